/**
 * Shows what is on a medium: what anybody can see who finds it, and, to the side that holds the key,
 * what is inside (format §2.9). Changes nothing.
 */
import { Effect, Option, Result, Stream } from "effect"
import {
  type HomewardIndex,
  type OutwardIndex,
  readHomewardIndex,
  readOutwardIndex
} from "../domain/bundle-index.ts"
import {
  type BundleManifest,
  INDEX_FILE,
  readManifest,
  SEGMENT_BYTES
} from "../domain/bundle-manifest.ts"
import {
  BundleKeys,
  type BundleRefused,
  type FoundBundle,
  Medium,
  type OpenBundle
} from "./bundle-ports.ts"
import { settled } from "./bundle-trust.ts"
import { INDEX_BYTES_MAX } from "./check-bundle.ts"

export interface InspectedBundle {
  readonly found: FoundBundle
  readonly seen: Result.Result<BundleManifest, BundleRefused>
  /** None where this side has no key for it. */
  readonly inside: Option.Option<OutwardIndex | HomewardIndex>
}

/** A finder has no keys, and sees what is in clear. */
export const inspectBundles = Effect.fn("inspectBundles")(function* (from: string) {
  const keys = yield* Effect.serviceOption(BundleKeys)
  const medium = yield* Medium
  const found = yield* medium.find(from)
  return yield* Effect.forEach(found, (one) => Effect.scoped(inspectOne(one, keys)))
})

const inspectOne = Effect.fnUntraced(function* (
  found: FoundBundle,
  keys: Option.Option<BundleKeys["Service"]>
) {
  const medium = yield* Medium
  const opened = yield* Effect.result(medium.open(found))
  if (Result.isFailure(opened)) {
    return {
      found,
      seen: Result.fail(opened.failure),
      inside: Option.none()
    } satisfies InspectedBundle
  }
  const seen = yield* Effect.result(settled(readManifest(opened.success.manifest.text)))
  const inside =
    Result.isSuccess(seen) && Option.isSome(keys)
      ? yield* Effect.option(readInside(opened.success, seen.success, keys.value))
      : Option.none()
  return { found, seen, inside } satisfies InspectedBundle
})

const readInside = Effect.fnUntraced(function* (
  bundle: OpenBundle,
  manifest: BundleManifest,
  keys: BundleKeys["Service"]
) {
  const size = Math.min(bundle.sizes.get(INDEX_FILE) ?? 0, INDEX_BYTES_MAX)
  const sealed: Array<Uint8Array> = []
  for (let at = 0; at < size; at += SEGMENT_BYTES) {
    sealed.push(yield* bundle.read(INDEX_FILE, at, Math.min(SEGMENT_BYTES, size - at)))
  }
  const opened = keys.open(Stream.fromIterable(sealed))
  const pieces = yield* opened.pipe(Stream.decodeText, Stream.runCollect)
  const text = pieces.join("")
  const index: Result.Result<OutwardIndex | HomewardIndex, unknown> = manifest.stream.startsWith(
    "c2d."
  )
    ? readOutwardIndex(text, manifest)
    : readHomewardIndex(text, manifest)
  return yield* Effect.fromResult(index)
})
