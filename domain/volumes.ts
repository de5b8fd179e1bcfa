/**
 * Cuts the files of a bundle into parts that fit volumes (format §2.8): in order, at segment borders,
 * each volume filled before the next begins.
 */
import { Result } from "effect"
import {
  type BundleManifest,
  type FileName,
  MANIFEST_BYTES_MAX,
  manifestText,
  type Part,
  streamOf,
  VOLUME_BYTES_MAX,
  VOLUMES_MAX
} from "./bundle-manifest.ts"
import type { Refusal } from "./bundle-refusal.ts"
import { canonical } from "./canonical.ts"
import type { Signed } from "./enrolment.ts"
import { DeviceId, Digest } from "./id.ts"
import {
  listedBytes,
  README_BYTES_MAX,
  ROOTS_MAX,
  SIGNATURES_MAX,
  VOLUME_ENTRIES_MAX,
  volumeBytes
} from "./volume-contents.ts"
import { printEntryName } from "./volume-name.ts"

export interface FileToCut {
  readonly name: typeof FileName.Type
  readonly role: Part["role"]
  readonly size: number
}

export interface PlacedPart {
  readonly file: string
  /** Where the part begins in the file. */
  readonly offset: number
  readonly name: string
  readonly role: Part["role"]
  readonly volume: number
  readonly size: number
}

/** A part that is cut has a number of three digits. */
const PIECES_MAX = 999
/** Parts of one volume: what entries are left beside the documents that it may carry. */
export const PARTS_MAX =
  VOLUME_ENTRIES_MAX -
  ["README.txt", "SHA256SUMS", "manifest.json"].length -
  SIGNATURES_MAX -
  ROOTS_MAX * (1 + SIGNATURES_MAX)

/**
 * Places the files. Refuses with E_VOL_TOO_BIG when the volumes are too small or too many. `extra`
 * is what every volume carries beside parts: `rootsBytes` of its root documents.
 *
 * How long the manifest gets depends on how many parts there are, and these on what room it leaves.
 * So the number of volumes is guessed, from below; each volume but the first cuts one file at most.
 */
export const cut = (
  files: ReadonlyArray<FileToCut>,
  options: { readonly volume: number; readonly segment: number; readonly extra: number }
): Result.Result<ReadonlyArray<PlacedPart>, Refusal> => {
  const { extra, segment, volume } = options
  const segments = files.reduce((sum, { size }) => sum + Math.ceil(size / segment), 0)
  for (let guess = 1; ; ) {
    const manifest = manifestBytes(files.length + guess - 1, segments)
    if (manifest > MANIFEST_BYTES_MAX) return tooBig(`its manifest would have ${manifest} bytes`)
    const room = volume - extra - documentBytes(manifest)
    if (room < segment + PART_BYTES) return tooBig("a volume does not hold a single segment")
    const placed = place(files, room, segment)
    if (Result.isFailure(placed)) return placed
    const volumes = placed.success.at(-1)?.volume ?? 1
    if (volumes > VOLUMES_MAX) return tooBig(`the bundle would have ${volumes} volumes`)
    if (volumes <= guess) return placed
    guess = volumes
  }
}

const place = (
  files: ReadonlyArray<FileToCut>,
  room: number,
  segment: number
): Result.Result<ReadonlyArray<PlacedPart>, Refusal> => {
  const parts: Array<PlacedPart> = []
  let volume = 1
  let left = room
  let here = 0
  for (const { name, role, size } of files) {
    let offset = 0
    let piece = 0
    while (offset < size) {
      const fits = here < PARTS_MAX ? left - PART_BYTES : 0
      const rest = size - offset
      const whole = rest <= fits
      const taken = whole ? rest : Math.floor(fits / segment) * segment
      if (taken <= 0) {
        if (role === "index") return tooBig("the index does not fit the first volume")
        volume += 1
        left = room
        here = 0
        continue
      }
      const isPiece = !whole || offset > 0
      if (isPiece) piece += 1
      parts.push({
        file: name,
        offset,
        name: isPiece ? `${name}.${String(piece).padStart(3, "0")}` : name,
        role,
        volume,
        size: taken
      })
      offset += taken
      left -= taken + PART_BYTES
      here += 1
    }
    if (piece > PIECES_MAX) return tooBig(`${name} has too many parts`)
    if (role === "index" && piece > 0) return tooBig("the index does not fit the first volume")
  }
  return Result.succeed(parts)
}

const tooBig = (detail: string) => Result.fail({ code: "E_VOL_TOO_BIG", detail } as const)

/** What root documents take of each volume, in bytes. */
export const rootsBytes = (roots: ReadonlyArray<Signed>): number =>
  roots.reduce(
    (sum, { signatures, text }) =>
      sum +
      listedBytes({ name: ROOT_NAME, size: new TextEncoder().encode(text).length }) +
      signatures.reduce(
        (all, { length }) => all + listedBytes({ name: ROOT_SIGNATURE_NAME, size: length }),
        0
      ),
    0
  )

const ROOT_NAME = printEntryName({ kind: "root", version: 1 })
const ROOT_SIGNATURE_NAME = printEntryName({ kind: "root-signature", version: 1, number: 1 })

/** Bytes of one signature of ours, and some to spare. */
export const SIGNATURE_BYTES = 512

/** What a volume holds beside parts and root documents, at most. */
const documentBytes = (manifest: number): number =>
  volumeBytes([{ name: "SHA256SUMS", size: 0 }]) +
  [
    { name: "README.txt", size: README_BYTES_MAX },
    { name: "manifest.json", size: manifest },
    ...Array.from({ length: SIGNATURES_MAX }, (_, at) => ({
      name: printEntryName({ kind: "manifest-signature", number: at + 1 }),
      size: SIGNATURE_BYTES
    }))
  ].reduce((sum, entry) => sum + listedBytes(entry), 0)

const DIGEST = Digest.make("0".repeat(64))

const WIDEST_PART: Part = {
  name: "p/000000.age.000",
  role: "records",
  volume: VOLUMES_MAX,
  size: VOLUME_BYTES_MAX,
  sha256: DIGEST,
  segments: []
}

/** What a part takes of its volume beside its bytes. */
const PART_BYTES = listedBytes({ name: WIDEST_PART.name, size: 0 })

const DEVICE = DeviceId.make(`dev_${"0".repeat(32)}`)
const NUMBER = Number.MAX_SAFE_INTEGER
const WIDEST_MANIFEST: BundleManifest = {
  schema: "testferry/manifest/1",
  bundle: "0".repeat(36),
  stream: streamOf("c2d", DEVICE),
  epoch: NUMBER,
  seq: NUMBER,
  prev: DIGEST,
  mode: "delta",
  base: NUMBER,
  from: DEVICE,
  to: DEVICE,
  createdAt: NUMBER,
  expires: NUMBER,
  root: NUMBER,
  revocations: NUMBER,
  ack: { stream: streamOf("d2c", DEVICE), epoch: NUMBER, seq: NUMBER, head: DIGEST },
  ledger: { count: NUMBER, head: DIGEST },
  segment: NUMBER,
  volumes: VOLUMES_MAX,
  parts: []
}

/** Bytes of a manifest with so many parts and segments, at most. */
const manifestBytes = (parts: number, segments: number): number =>
  manifestText(WIDEST_MANIFEST).length +
  parts * `${canonical({ ...WIDEST_PART })},`.length +
  segments * `"${DIGEST}",`.length
