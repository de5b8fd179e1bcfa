/** Lists the segments of a bundle: what is read, checked and noted at a time (format §2.3). */
import { type BundleManifest, filesOf, type Part } from "./bundle-manifest.ts"
import type { Digest } from "./id.ts"

export interface Segment {
  readonly part: Part
  /** The number in its part, from 0; `offset` and `length` are of the part. */
  readonly number: number
  readonly offset: number
  readonly length: number
  readonly sha256: Digest
  /** The file that the part belongs to, and where the segment begins in it. */
  readonly file: string
  readonly fileOffset: number
}

/** In the order in which they lie in the volumes. */
export const segmentsOf = (manifest: BundleManifest): ReadonlyArray<Segment> =>
  filesOf(manifest).flatMap((file) =>
    file.parts.flatMap(({ offset: partOffset, part }) =>
      part.segments.map((sha256, number) => {
        const offset = number * manifest.segment
        return {
          part,
          number,
          offset,
          length: Math.min(manifest.segment, part.size - offset),
          sha256,
          file: file.name,
          fileOffset: partOffset + offset
        }
      })
    )
  )
