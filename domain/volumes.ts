/**
 * Cuts the files of a bundle into parts that fit volumes (format §2.8): in order, at segment borders,
 * each volume filled before the next begins.
 */
import { Result } from "effect"
import { type FileName, type Part, VOLUMES_MAX } from "./bundle-manifest.ts"
import type { Refusal } from "./bundle-refusal.ts"

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

/** What a zip volume needs for one entry beside its bytes: two headers and two names. */
const ENTRY_BYTES = 200
/** What a manifest needs for one part, and for each segment of it. */
const PART_BYTES = 300
const DIGEST_BYTES = 67
/** README, checksums, signatures, the manifest's own fields. */
const FIXED_BYTES = 24_576
/** A part that is cut has a number of three digits. */
const PIECES_MAX = 999

/**
 * Places the files. Refuses with E_VOL_TOO_BIG when the volumes are too small or too many. `extra`
 * is what every volume carries beside parts: root documents.
 */
export const cut = (
  files: ReadonlyArray<FileToCut>,
  options: { readonly volume: number; readonly segment: number; readonly extra: number }
): Result.Result<ReadonlyArray<PlacedPart>, Refusal> => {
  const { segment } = options
  const room = options.volume - options.extra - manifestBytes(files, segment)
  if (room < segment + ENTRY_BYTES) return tooBig("a volume does not hold a single segment")
  const parts: Array<PlacedPart> = []
  let volume = 1
  let left = room
  for (const { name, role, size } of files) {
    let offset = 0
    let piece = 0
    while (offset < size) {
      const fits = left - ENTRY_BYTES
      const rest = size - offset
      const whole = rest <= fits
      const taken = whole ? rest : Math.floor(fits / segment) * segment
      if (taken <= 0) {
        if (role === "index") return tooBig("the index does not fit the first volume")
        volume += 1
        left = room
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
      left -= taken + ENTRY_BYTES
    }
    if (piece > PIECES_MAX) return tooBig(`${name} has too many parts`)
    if (role === "index" && piece > 0) return tooBig("the index does not fit the first volume")
  }
  return volume > VOLUMES_MAX
    ? tooBig(`the bundle would have ${volume} volumes`)
    : Result.succeed(parts)
}

/** An upper bound, so that what was cut is never too large when it is written. */
const manifestBytes = (files: ReadonlyArray<FileToCut>, segment: number): number =>
  files.reduce(
    (sum, { size }) => sum + 2 * PART_BYTES + DIGEST_BYTES * (Math.ceil(size / segment) + 2),
    FIXED_BYTES
  )

const tooBig = (detail: string) => Result.fail({ code: "E_VOL_TOO_BIG", detail } as const)
