/**
 * Copies parts of a bundle aside, segment by segment, each checked against the signed manifest
 * (format §2.7). From then on the medium may leave.
 *
 * What cannot be read or is not what was signed does not keep the rest waiting: one pass finds all
 * damage, and a second pass, perhaps from another stick, reads only what is not here yet.
 */
import { Effect, Result } from "effect"
import type { BundleFile, BundleManifest } from "../domain/bundle-manifest.ts"
import type { Digest } from "../domain/id.ts"
import { type Segment, segmentsOf } from "../domain/segments.ts"
import { BundleRefused, type Damage, Incoming, type OpenBundle } from "./bundle-ports.ts"
import { report } from "./progress.ts"
import { readSegment, roomFor } from "./verify-bundle.ts"

/** Room beyond the bytes themselves, for the database that takes them in. */
const SPACE_FACTOR = 1.1

/** What a pass found wrong; nothing is missing when both are empty. */
export interface Collected {
  readonly damages: ReadonlyArray<Damage>
  readonly missing: ReadonlyArray<number>
}

export interface Collecting {
  readonly bundle: Digest
  readonly manifest: BundleManifest
  readonly opened: OpenBundle
  /** The volumes that are on the medium. */
  readonly volumes: ReadonlySet<number>
}

/** Fails with E_NO_SPACE before anything is copied, or when the disk fills up nevertheless. */
export const collectParts = Effect.fn("collectParts")(function* (
  collecting: Collecting,
  files: ReadonlyArray<BundleFile>
) {
  const { bundle, volumes } = collecting
  const incoming = yield* Incoming
  const wanted: Array<Segment> = []
  const names = new Set(files.map(({ name }) => name))
  for (const segment of segmentsOf(collecting.manifest)) {
    const { file, fileOffset: offset, length, sha256 } = segment
    if (!names.has(file)) continue
    if (!(yield* incoming.has(bundle, file, { offset, length, sha256 }))) wanted.push(segment)
  }
  const here = wanted.filter(({ part }) => volumes.has(part.volume))
  const totalBytes = here.reduce((sum, { length }) => sum + length, 0)
  const free = yield* incoming.free
  if (totalBytes * SPACE_FACTOR > free) return yield* noSpace(totalBytes, free)
  const room = roomFor(here)
  const damages: Array<Damage> = []
  const damaged = new Set<string>()
  let bytes = 0
  for (const segment of here) {
    const copied = yield* Effect.result(copy(collecting, segment, room))
    if (Result.isFailure(copied)) {
      if (copied.failure instanceof BundleRefused) return yield* copied.failure
      damages.push(copied.failure)
      damaged.add(segment.file)
    }
    bytes += segment.length
    yield* report({
      kind: "bundle",
      label: "Copying the bundle",
      phase: bytes === totalBytes ? "finished" : "running",
      done: bytes === totalBytes ? 1 : 0,
      total: 1,
      bytes,
      totalBytes
    })
  }
  const missing = new Set(wanted.filter((one) => !here.includes(one)).map((one) => one.part.volume))
  for (const { name, parts, size } of files) {
    const whole = !damaged.has(name) && parts.every(({ part }) => !missing.has(part.volume))
    if (whole) yield* incoming.settle(bundle, name, size)
  }
  return { damages, missing: [...missing].sort((a, b) => a - b) } satisfies Collected
})

/** Refuses when anything is damaged or missing, with all of it. */
export const demandWhole = ({
  damages,
  missing
}: Collected): Effect.Effect<void, BundleRefused> => {
  const [first] = damages
  if (first !== undefined) {
    const where = `volume ${first.volume}, ${first.part}, bytes ${first.from} to ${first.to}`
    const detail = `${damages.length} stretches are damaged, the first in ${where}`
    return Effect.fail(new BundleRefused({ code: first.code, detail, damages, missing }))
  }
  return missing.length === 0
    ? Effect.void
    : Effect.fail(
        new BundleRefused({
          code: "E_VOLUME_MISSING",
          detail: `the volumes ${missing.join(", ")} are not here`,
          damages,
          missing
        })
      )
}

const copy = Effect.fnUntraced(function* (
  { bundle, opened }: Collecting,
  segment: Segment,
  room: Uint8Array
) {
  const incoming = yield* Incoming
  const bytes = yield* readSegment(opened, segment, room)
  yield* Effect.catchTag(
    incoming.write(bundle, segment.file, segment.fileOffset, bytes),
    "NoSpace",
    ({ free, needed }) => noSpace(needed, free)
  )
})

const noSpace = (needed: number, free: number) =>
  Effect.fail(
    new BundleRefused({
      code: "E_NO_SPACE",
      detail: `it needs ${needed} bytes, and there are ${free}`,
      damages: [],
      missing: []
    })
  )
