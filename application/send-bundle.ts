/**
 * Makes a bundle of files that are staged, and writes it onto a medium: the same for both directions
 * (format §2.8). Everything is sealed, cut and measured before the manifest is signed, and the
 * bundle is remembered as sent before a byte of it is written.
 */
import { Clock, Effect, Option, Schema } from "effect"
import {
  type Acknowledgement,
  BUNDLE_MILLIS,
  type BundleManifest,
  type FileName,
  manifestText,
  type Part,
  type Party,
  SEGMENT_BYTES,
  type StreamId,
  VOLUME_BYTES_MAX
} from "../domain/bundle-manifest.ts"
import type { Signed } from "../domain/enrolment.ts"
import type { Digest, Recipient } from "../domain/id.ts"
import type { RootDocument } from "../domain/root.ts"
import { nextPlace } from "../domain/stream.ts"
import { cut, rootsBytes } from "../domain/volumes.ts"
import {
  BundleKeys,
  Outgoing,
  type PartSource,
  type SentBundle,
  type StagedFile,
  Stick,
  Streams,
  type WrittenBundle
} from "./bundle-ports.ts"
import { settled } from "./bundle-trust.ts"
import { Atomic, Hashing, NoSpace } from "./ports.ts"
import { report } from "./progress.ts"

/** Another export for the same receiver came between. Nothing was written; it can be done again. */
export class ExportOvertaken extends Schema.TaggedError<ExportOvertaken>()("ExportOvertaken", {
  stream: Schema.String
}) {}

export interface CutOptions {
  readonly to: string
  readonly volumeBytes: number
  readonly segmentBytes: number
}

/** What the programs use; tests cut smaller. */
export const CUT_DEFAULTS = { volumeBytes: VOLUME_BYTES_MAX, segmentBytes: SEGMENT_BYTES } as const

/** What index and manifest say of a bundle's place. */
export type Place = Pick<BundleManifest, "bundle" | "stream" | "epoch" | "seq" | "from" | "to">

/** A bundle to be: everything but what follows from its size. */
export interface Draft {
  readonly purpose: "c2d" | "d2c"
  readonly stream: StreamId
  readonly from: Party
  readonly to: Party
  readonly root: RootDocument
  /** Root documents that the receiver may lack. */
  readonly roots: ReadonlyArray<Signed>
  readonly revocations: number
  readonly recipient: Recipient
  readonly mode: BundleManifest["mode"]
  readonly base: number
  readonly ack: Acknowledgement | null
  readonly ledger: BundleManifest["ledger"]
  /** The text of the index, in the one form that is signed. */
  readonly index: (place: Place) => string
  /** The files after the index, in order: the n-th is called `fileName(n)`, from 1. */
  readonly files: ReadonlyArray<{ readonly role: "records" | "blob"; readonly staged: StagedFile }>
  readonly brings: SentBundle["brings"]
}

export const fileName = (at: number): typeof FileName.Type => `p/${String(at).padStart(6, "0")}.age`

/** A bundle that is ready to be signed and written. */
export interface CutBundle {
  readonly draft: Draft
  readonly manifest: BundleManifest
  readonly parts: ReadonlyArray<PartSource>
  /** Of all parts. */
  readonly bytes: number
}

/** Seals the index, cuts the files and measures them. Refuses with E_VOL_TOO_BIG. */
export const cutBundle = Effect.fn("cutBundle")(function* (draft: Draft, options: CutOptions) {
  const outgoing = yield* Outgoing
  const { epoch } = draft.root
  const createdAt = yield* Clock.currentTimeMillis
  const { prev, seq } = yield* placeOf(draft)
  const bundle = yield* bundleId(draft.stream, epoch, seq, createdAt)
  const { from, stream, to } = draft
  const place: Place = { bundle, stream, epoch, seq, from, to }
  const index = yield* outgoing.text(draft.recipient, draft.index(place))
  const files = [{ role: "index" as const, staged: index }, ...draft.files].map((file, at) => ({
    ...file,
    name: fileName(at),
    size: file.staged.size
  }))
  const placed = yield* settled(
    cut(files, {
      volume: options.volumeBytes,
      segment: options.segmentBytes,
      extra: rootsBytes(draft.roots)
    })
  )
  const staged = new Map(files.map((file) => [file.name, file.staged]))
  const parts = yield* measure(placed, staged, options.segmentBytes)
  const manifest: BundleManifest = {
    schema: "testferry/manifest/1",
    ...place,
    prev,
    mode: draft.mode,
    base: draft.base,
    createdAt,
    expires: createdAt + BUNDLE_MILLIS,
    root: draft.root.version,
    revocations: draft.revocations,
    ack: draft.ack,
    ledger: draft.ledger,
    segment: options.segmentBytes,
    volumes: placed.at(-1)?.volume ?? 1,
    parts: parts.map(({ part }) => part)
  }
  const bytes = placed.reduce((sum, { size }) => sum + size, 0)
  return { draft, manifest, parts, bytes } satisfies CutBundle
})

/**
 * Signs a bundle and writes it. Fails with NoSpace or MediaFailed, before anything is remembered
 * where the medium says at once that it has no room, and with ExportOvertaken.
 */
export const sendBundle = Effect.fn("sendBundle")(function* (
  { bytes, draft, manifest, parts }: CutBundle,
  to: string
) {
  const hashing = yield* Hashing
  const keys = yield* BundleKeys
  const stick = yield* Stick
  const free = yield* stick.free(to)
  if (free < bytes) return yield* new NoSpace({ needed: bytes, free })
  const signed = yield* keys.sign(draft.purpose, manifestText(manifest))
  yield* rememberSent(draft, manifest, hashing.sha256(signed.text))
  let done = 0
  // Every byte is told twice: when it is written, and when it is read back.
  const show = (more: number) =>
    Effect.suspend(() => {
      done = Math.min(2 * bytes, done + more)
      return progress("bundle", "Writing the bundle", "running", done, 2 * bytes)
    })
  const { roots } = draft
  const written = yield* stick.write({ to, manifest, signed, roots, parts, onBytes: show })
  yield* progress("bundle", "Writing the bundle", "finished", 2 * bytes, 2 * bytes)
  return written satisfies WrittenBundle
})

/** Unless another export has taken the number since. */
const rememberSent = Effect.fnUntraced(function* (
  draft: Draft,
  { createdAt, epoch, prev, seq, stream }: BundleManifest,
  manifest: Digest
) {
  const atomic = yield* Atomic
  const streams = yield* Streams
  yield* atomic.run(
    Effect.gen(function* () {
      const place = yield* placeOf(draft)
      if (place.seq !== seq || place.prev !== prev) return yield* new ExportOvertaken({ stream })
      yield* streams.send({ stream, epoch, seq, manifest, at: createdAt, brings: draft.brings })
    })
  )
})

const placeOf = Effect.fnUntraced(function* ({ root, stream }: Draft) {
  const streams = yield* Streams
  const sent = yield* streams.lastSent(stream, root.epoch)
  const applied = Option.filter(
    yield* streams.acknowledged(stream),
    ({ epoch }) => epoch === root.epoch
  )
  return nextPlace(Option.getOrUndefined(sent), Option.getOrUndefined(applied))
})

/** A name made of what no other bundle shares; no dice, so that the same input makes the same. */
const bundleId = Effect.fnUntraced(function* (
  stream: StreamId,
  epoch: number,
  seq: number,
  at: number
) {
  const hashing = yield* Hashing
  const hex = hashing.sha256(`testferry/bundle/1|${stream}|${epoch}|${seq}|${at}`)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
    .concat(hex.slice(20, 32))
    .join("-")
})

const measure = Effect.fnUntraced(function* (
  placed: ReadonlyArray<Omit<Part, "sha256" | "segments"> & { file: string; offset: number }>,
  staged: ReadonlyMap<string, StagedFile>,
  segment: number
) {
  const outgoing = yield* Outgoing
  const total = placed.reduce((sum, { size }) => sum + size, 0)
  const parts: Array<PartSource> = []
  let measured = 0
  for (const { file, name, offset, role, size, volume } of placed) {
    const source = staged.get(file)
    if (source === undefined) return yield* Effect.die(new Error(`${file} is not staged`))
    const stretch = { offset, length: size, segment }
    const { segments, sha256 } = yield* outgoing.digests(source, stretch)
    const part: Part = { name, role, volume, size, sha256, segments }
    parts.push({ part, bytes: source.read(offset, size) })
    measured += size
    const phase = measured === total ? "finished" : "running"
    yield* progress("measuring", "Measuring the bundle", phase, measured, total)
  }
  return parts
})

const progress = (
  kind: string,
  label: string,
  phase: "running" | "finished",
  bytes: number,
  totalBytes: number
) => report({ kind, label, phase, done: phase === "finished" ? 1 : 0, total: 1, bytes, totalBytes })
