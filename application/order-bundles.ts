/**
 * Orders the bundles of one stream by their age. A new epoch begins the numbers anew (format §1), so
 * the names of the volumes alone do not say which bundle is the newest.
 */
import { Effect, Result } from "effect"
import { readManifest } from "../domain/bundle-manifest.ts"
import { type FoundBundle, Medium } from "./bundle-ports.ts"

/**
 * The oldest first. Nothing is verified here: who lies about the epoch gains the order of bundles
 * that are refused all the same. One that cannot be read counts as of the newest epoch, so that its
 * damage is told and no older bundle is taken in its place without a word.
 */
export const byAge = Effect.fn("byAge")(function* (found: ReadonlyArray<FoundBundle>) {
  if (found.length < 2) return found
  const aged = yield* Effect.forEach(found, (bundle) =>
    Effect.map(epochOf(bundle), (epoch) => ({ bundle, epoch }))
  )
  const newest = Math.max(0, ...aged.map(({ epoch }) => epoch ?? 0))
  return aged
    .sort((a, b) => (a.epoch ?? newest) - (b.epoch ?? newest) || a.bundle.seq - b.bundle.seq)
    .map(({ bundle }) => bundle)
})

const epochOf = Effect.fnUntraced(function* (bundle: FoundBundle) {
  const medium = yield* Medium
  const opened = yield* Effect.result(medium.open(bundle))
  if (Result.isFailure(opened)) return undefined
  return Result.getOrUndefined(readManifest(opened.success.manifest.text))?.epoch
}, Effect.scoped)
