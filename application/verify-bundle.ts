/**
 * Checks bundles on a medium without any secret: the form of every volume, every digest, and, where
 * somebody is trusted, the signature. Changes nothing, and finds all damage in one pass (format §2.7).
 */
import { Effect, Result } from "effect"
import { type BundleManifest, readManifest } from "../domain/bundle-manifest.ts"
import type { Refusal } from "../domain/bundle-refusal.ts"
import type { Purpose } from "../domain/enrolment.ts"
import { type Segment, segmentsOf } from "../domain/segments.ts"
import {
  BundleRefused,
  type Damage,
  type FoundBundle,
  Medium,
  type OpenBundle,
  Signatures,
  type Trust
} from "./bundle-ports.ts"
import { Hashing } from "./ports.ts"
import { report } from "./progress.ts"

/** Whose signature would count for a stream; none when this machine trusts nobody yet. */
export type TrustOf = (found: FoundBundle) => Effect.Effect<Trust | undefined>

export interface VerifiedBundle {
  readonly found: FoundBundle
  /** Null when it could not be read; then `refused` says why. */
  readonly manifest: BundleManifest | null
  readonly signature: "good" | "not checked" | "bad"
  /** Of the volumes that could be opened. */
  readonly damages: ReadonlyArray<Damage>
  readonly missing: ReadonlyArray<number>
  /** Why the bundle as it lies there would not be taken, whatever its bytes. */
  readonly refused: BundleRefused | null
  readonly bytes: number
}

export const verifyBundles = Effect.fn("verifyBundles")(function* (from: string, trustOf: TrustOf) {
  const medium = yield* Medium
  const found = yield* medium.find(from)
  return yield* Effect.forEach(found, (one) => Effect.scoped(verifyOne(one, trustOf)))
})

const verifyOne = Effect.fnUntraced(function* (found: FoundBundle, trustOf: TrustOf) {
  const opened = yield* Effect.result(openReadable(found))
  if (Result.isFailure(opened)) return unreadable(found, opened.failure)
  const { bundle, here, refused } = opened.success
  const trust = yield* trustOf(found)
  const signature = trust === undefined ? Result.succeed([]) : yield* signed(found, bundle, trust)
  const manifest = Result.isSuccess(signature)
    ? readManifest(bundle.manifest.text)
    : Result.fail(signature.failure)
  if (Result.isFailure(manifest)) {
    return {
      ...unreadable(found, refusal(manifest.failure)),
      signature: trust === undefined ? "not checked" : Result.isSuccess(signature) ? "good" : "bad"
    } as const
  }
  const scanned = yield* scan(here, bundle, manifest.success)
  return {
    found,
    manifest: manifest.success,
    signature: trust === undefined ? "not checked" : "good",
    ...scanned,
    missing: missingVolumes(found, manifest.success),
    refused: refused ?? misnamed(found, manifest.success)
  } satisfies VerifiedBundle
})

/** The volumes that could be opened, and why the others could not. */
interface Readable {
  readonly here: FoundBundle
  readonly bundle: OpenBundle
  readonly refused: BundleRefused | null
}

/**
 * Opens the volumes that can be opened: one that is broken must not hide what is wrong with the
 * others. Fails when that leaves none, or when it is not known which of them belong together.
 */
const openReadable = Effect.fnUntraced(function* (found: FoundBundle) {
  const medium = yield* Medium
  const all = yield* Effect.result(medium.open(found))
  if (Result.isSuccess(all)) {
    return { here: found, bundle: all.success, refused: null } satisfies Readable
  }
  const volumes = new Map<number, string>()
  for (const [number, path] of found.volumes) {
    const alone = { ...found, volumes: new Map([[number, path]]) }
    const opened = yield* Effect.result(Effect.scoped(medium.open(alone)))
    if (Result.isSuccess(opened)) volumes.set(number, path)
  }
  const here = { ...found, volumes }
  if (volumes.size === 0 || volumes.size === found.volumes.size) return yield* all.failure
  const bundle = yield* Effect.mapError(medium.open(here), () => all.failure)
  return { here, bundle, refused: all.failure } satisfies Readable
})

const misnamed = (found: FoundBundle, { seq, stream, volumes }: BundleManifest) =>
  found.stream === stream && found.seq === seq && found.of === volumes
    ? null
    : refusal({
        code: "E_VOL_NAME",
        detail: `by its manifest it is bundle ${seq} of ${stream}, in ${volumes} volumes`
      })

const refusal = ({ code, detail }: Refusal) =>
  new BundleRefused({ code, detail, damages: [], missing: [] })

const unreadable = (found: FoundBundle, refused: BundleRefused): VerifiedBundle => ({
  found,
  manifest: null,
  signature: "not checked",
  damages: refused.damages,
  missing: refused.missing,
  refused,
  bytes: 0
})

const signed = Effect.fnUntraced(function* (found: FoundBundle, bundle: OpenBundle, trust: Trust) {
  const signatures = yield* Signatures
  const purpose: Purpose = found.stream.startsWith("c2d.") ? "c2d" : "d2c"
  return signatures.check(purpose, bundle.manifest, trust)
})

export const missingVolumes = (
  found: FoundBundle,
  { volumes }: BundleManifest
): ReadonlyArray<number> =>
  Array.from({ length: volumes }, (_, at) => at + 1).filter((number) => !found.volumes.has(number))

const scan = Effect.fnUntraced(function* (
  found: FoundBundle,
  bundle: OpenBundle,
  manifest: BundleManifest
) {
  const segments = segmentsOf(manifest).filter(({ part }) => found.volumes.has(part.volume))
  const totalBytes = segments.reduce((sum, { length }) => sum + length, 0)
  const damages: Array<Damage> = []
  const room = roomFor(segments)
  let bytes = 0
  for (const segment of segments) {
    const read = yield* Effect.result(readSegment(bundle, segment, room))
    if (Result.isFailure(read)) damages.push(read.failure)
    bytes += segment.length
    yield* report({
      kind: `verify ${found.stream} ${found.seq}`,
      label: `Checking bundle ${found.seq}`,
      phase: bytes === totalBytes ? "finished" : "running",
      done: 0,
      bytes,
      totalBytes
    })
  }
  return { damages, bytes }
})

/** Room for any one of the segments: one for all of them, so that memory does not grow with them. */
export const roomFor = (segments: ReadonlyArray<Segment>): Uint8Array =>
  new Uint8Array(segments.reduce((most, { length }) => Math.max(most, length), 0))

/** Times that a stretch is read before it counts as unreadable: a worn stick often gives in. */
const READ_TRIES = 3

/** Reads one segment into `room` and checks it; fails with where the damage is. */
export const readSegment = Effect.fnUntraced(function* (
  bundle: OpenBundle,
  segment: Segment,
  room: Uint8Array
) {
  const { sha256 } = yield* Hashing
  const { length, number, offset, part } = segment
  const damage = (code: Damage["code"]): Damage => ({
    code,
    volume: part.volume,
    part: part.name,
    segment: number,
    from: offset,
    to: offset + length - 1
  })
  if (bundle.sizes.get(part.name) !== part.size) return yield* Effect.fail(damage("E_PART_MISSING"))
  const bytes = yield* bundle.read(part.name, offset, length, room).pipe(
    Effect.retry({ times: READ_TRIES - 1 }),
    Effect.mapError(() => damage("E_MEDIA_IO"))
  )
  return sha256(bytes) === segment.sha256 ? bytes : yield* Effect.fail(damage("E_PART_DIGEST"))
})
