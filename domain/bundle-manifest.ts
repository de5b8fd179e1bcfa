/**
 * The signed table of contents of a bundle (format §2.3): to whom, in which stream, and every part
 * with its digests. It lies in clear on the stick and holds nothing personal.
 *
 * A file of the bundle is one age file, `p/000007.age`. It travels as one part of that name, or, cut
 * at segment borders, as parts `p/000007.age.001`, `.002`, … in one or more volumes.
 */
import { Option, Result, Schema } from "effect"
import type { Refusal } from "./bundle-refusal.ts"
import { canonical, parseCanonical } from "./canonical.ts"
import { DeviceId, Digest, Millis } from "./id.ts"

/** 20 GB of parts have a manifest of 160 KB; this is a hundred times that. */
export const MANIFEST_BYTES_MAX = 16 * 1_048_576
/** What is read, checked and noted at a time. Smaller ones are for tests; readers obey the manifest. */
export const SEGMENT_BYTES = 8 * 1_048_576
export const SEGMENT_BYTES_MIN = 4_096
/** Below 2^31 for every 32-bit tool, and far below the limit of FAT32, in bytes (format §2.2). */
export const VOLUME_BYTES_MAX = 2_000_000_000
/** The number of a volume has two digits. */
export const VOLUMES_MAX = 99
/** A bundle that was not fed in for so long is no longer believed (format §2.6). */
export const BUNDLE_MILLIS = 30 * 24 * 3_600_000

const Sequence = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** A direction and a device: `c2d.dev_…` from central to it, `d2c.dev_…` back. */
export const StreamId = Schema.String.check(
  Schema.isPattern(/^(?:c2d|d2c)\.dev_[a-z0-9]{6,32}$/u)
).pipe(Schema.brand("StreamId"))
export type StreamId = typeof StreamId.Type
export type Direction = "c2d" | "d2c"

export const streamOf = (direction: Direction, device: DeviceId): StreamId =>
  StreamId.make(`${direction}.${device}`)

export const Party = Schema.Union([Schema.Literal("central"), DeviceId])
export type Party = typeof Party.Type

/** Up to which bundle of the opposite stream the sender has applied, and that bundle's digest. */
export const Acknowledgement = Schema.Struct({
  stream: StreamId,
  epoch: Sequence,
  seq: Sequence,
  head: Digest
})
export type Acknowledgement = typeof Acknowledgement.Type

/** The name of a whole file of the bundle. */
export const FileName = Schema.String.check(Schema.isPattern(/^p\/[0-9]{6}\.age$/u))

export const Part = Schema.Struct({
  name: Schema.String.check(Schema.isPattern(/^p\/[0-9]{6}\.age(?:\.[0-9]{3})?$/u)),
  role: Schema.Literals(["index", "records", "blob"]),
  volume: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: VOLUMES_MAX })),
  size: Sequence,
  sha256: Digest,
  /** SHA-256 of each segment of the part, the last one shorter. */
  segments: Schema.Array(Digest).check(Schema.isMinLength(1))
})
export type Part = typeof Part.Type

export const BundleManifest = Schema.Struct({
  schema: Schema.Literal("testferry/manifest/1"),
  bundle: Schema.String.check(Schema.isPattern(/^[0-9a-f-]{36}$/u)),
  stream: StreamId,
  epoch: Sequence,
  seq: Sequence,
  /** Digest of the manifest before this one in the stream; null where there was none. */
  prev: Schema.NullOr(Digest),
  mode: Schema.Literals(["full", "delta"]),
  /** The bundle of this stream that the receiver must have applied; 0 when none is needed. */
  base: Count,
  from: Party,
  to: Party,
  createdAt: Millis,
  expires: Millis,
  root: Sequence,
  revocations: Count,
  ack: Schema.NullOr(Acknowledgement),
  ledger: Schema.NullOr(Schema.Struct({ count: Count, head: Digest })),
  segment: Schema.Int.check(
    Schema.isBetween({ minimum: SEGMENT_BYTES_MIN, maximum: SEGMENT_BYTES })
  ),
  volumes: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: VOLUMES_MAX })),
  parts: Schema.Array(Part).check(Schema.isMinLength(1))
})
export type BundleManifest = typeof BundleManifest.Type

/** A file of the bundle, put together from its parts. */
export interface BundleFile {
  readonly name: string
  readonly role: Part["role"]
  readonly size: number
  /** In order; `offset` is where the part begins in the file. */
  readonly parts: ReadonlyArray<{ readonly part: Part; readonly offset: number }>
}

export const manifestText = (manifest: BundleManifest): string => canonical({ ...manifest })

/**
 * Reads the bytes of a manifest whose signature was checked before. Refuses what is not canonical,
 * of another version, of another shape, or contradicts itself.
 */
export const readManifest = (text: string): Result.Result<BundleManifest, Refusal> => {
  const parsed = parseCanonical(text)
  if (Result.isFailure(parsed)) {
    return refuse("E_MANIFEST_CANONICAL", "the manifest is not written in the one allowed way")
  }
  const version = Option.getOrUndefined(decodeVersion(parsed.success))?.schema
  if (version !== undefined && version !== "testferry/manifest/1") {
    return refuse("E_SCHEMA_UNSUPPORTED", `the bundle has the format ${version.slice(0, 60)}`)
  }
  const decoded = decode(parsed.success)
  if (Result.isFailure(decoded))
    return refuse("E_MANIFEST_SCHEMA", "the manifest lacks or adds fields")
  const contradiction = contradictionIn(decoded.success)
  return contradiction === undefined
    ? Result.succeed(decoded.success)
    : refuse("E_MANIFEST_SCHEMA", contradiction)
}

/** The files that the parts make up, in order of their names. */
export const filesOf = ({ parts }: BundleManifest): ReadonlyArray<BundleFile> => {
  const files = new Map<string, BundleFile>()
  for (const part of parts) {
    const name = part.name.slice(0, FILE_NAME_LENGTH)
    const file = files.get(name) ?? { name, role: part.role, size: 0, parts: [] }
    files.set(name, {
      ...file,
      size: file.size + part.size,
      parts: [...file.parts, { part, offset: file.size }]
    })
  }
  return [...files.values()]
}

/** The index is always the first file. */
export const INDEX_FILE = "p/000000.age"
const FILE_NAME_LENGTH = INDEX_FILE.length

const VersionOnly = Schema.Struct({ schema: Schema.String })
const decodeVersion = Schema.decodeUnknownOption(VersionOnly)
const decode = Schema.decodeUnknownResult(BundleManifest, { onExcessProperty: "error" })

const refuse = (code: Refusal["code"], detail: string) => Result.fail({ code, detail })

const contradictionIn = (manifest: BundleManifest): string | undefined =>
  streamContradiction(manifest) ?? partsContradiction(manifest)

const streamContradiction = (manifest: BundleManifest): string | undefined => {
  const { ack, base, createdAt, expires, from, mode, prev, seq, stream, to } = manifest
  const device = stream.slice(4)
  const [sender, receiver] = stream.startsWith("c2d.") ? ["central", device] : [device, "central"]
  if (from !== sender || to !== receiver) return "sender or receiver is not that of the stream"
  if (mode === "full" && base !== 0) return "a full bundle has a base"
  if (base >= seq) return "the base is not before the bundle"
  if (seq === 1 && prev !== null) return "the first bundle of a stream follows another"
  if (expires <= createdAt) return "the bundle ends before it begins"
  const opposite = `${stream.startsWith("c2d.") ? "d2c" : "c2d"}.${device}`
  if (ack !== null && ack.stream !== opposite) return "it acknowledges another stream"
  return undefined
}

const partsContradiction = ({ parts, segment, volumes }: BundleManifest): string | undefined => {
  const [first] = parts
  if (first?.name !== INDEX_FILE || first.role !== "index" || first.volume !== 1) {
    return "the index is not the first part of the first volume"
  }
  for (const [at, part] of parts.entries()) {
    const before = parts[at - 1]
    if (part.segments.length !== Math.ceil(part.size / segment)) {
      return `${part.name} has another number of segments than its size`
    }
    if (part.role === "index" && at > 0) return "there are two indexes"
    if (before === undefined) continue
    if (part.volume < before.volume || part.volume > before.volume + 1) {
      return `${part.name} is not in the volume after the part before it`
    }
    const broken = sequel(before, part, segment)
    if (broken !== undefined) return broken
  }
  if (parts.at(-1)?.volume !== volumes) return "a volume has no part"
  if (isHalf(parts)) return "a file has its first part only"
  return undefined
}

/** Parts follow each other without a hole: the next file, or the next part of the same file. */
const sequel = (before: Part, part: Part, segment: number): string | undefined => {
  const [file, piece] = numbersOf(part)
  const [fileBefore, pieceBefore] = numbersOf(before)
  if (file === fileBefore) {
    const follows = pieceBefore > 0 && piece === pieceBefore + 1 && part.role === before.role
    if (!follows) return `${part.name} does not follow ${before.name}`
    return before.size % segment === 0 ? undefined : `${before.name} is not cut at a segment border`
  }
  return file === fileBefore + 1 && piece <= 1 ? undefined : `${part.name} leaves a hole`
}

/** A file that is cut has at least two parts: a lone `.001` would be a second name for the same. */
const isHalf = (parts: ReadonlyArray<Part>): boolean =>
  parts.some((part, at) => {
    const [file, piece] = numbersOf(part)
    const next = parts[at + 1]
    return piece === 1 && (next === undefined || numbersOf(next)[0] !== file)
  })

/** The number of the file, and of the part in it: 0 when the file is whole. */
const numbersOf = ({ name }: Part): readonly [file: number, piece: number] => [
  Number(name.slice(2, 8)),
  Number(name.slice(FILE_NAME_LENGTH + 1) || 0)
]
