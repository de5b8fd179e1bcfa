/**
 * Begins a new life of central after its database was restored from a backup: every position that a
 * device remembers is void, and each fetches a full snapshot at its next synchronisation. Bundles
 * begin anew too, by a root document of a new epoch.
 */
import { Effect, Option, Result } from "effect"
import type { Signed } from "../domain/enrolment.ts"
import { ROOT_MILLIS, readRoot } from "../domain/root.ts"
import { Standing } from "./bundle-ports.ts"
import { changeRoot, type RootHoldersNeeded } from "./change-root.ts"
import { happened } from "./happened.ts"
import { Atomic, Feeds } from "./ports.ts"

/** `toSign` is the root document that its holders must sign before the next bundle goes out. */
export const beginAnew = Effect.gen(function* () {
  const atomic = yield* Atomic
  const feeds = yield* Feeds
  const standing = yield* Standing
  const after = rootMade((yield* standing.chain).at(-1))
  const epoch = yield* atomic.run(
    Effect.tap(feeds.newEpoch(after), () =>
      happened({ verb: "audit", who: "operator", reason: "restored from a backup" })
    )
  )
  const toSign = yield* changeRoot({ rotate: [], newEpoch: true, holders: undefined }).pipe(
    Effect.as(Option.none<RootHoldersNeeded>()),
    Effect.catchTags({
      RootHoldersNeeded: (needed) => Effect.succeedSome(needed),
      // Nothing was ever sent by a root that nobody has signed.
      NoRootInForce: () => Effect.succeedNone,
      BundleRefused: Effect.die,
      RootNotOurs: Effect.die
    })
  )
  return { epoch, toSign: Option.getOrNull(toSign) }
})

/**
 * When the newest root document was made; 0 if there is none. Root documents that are kept beside the
 * backups tell of lives that the backup knows nothing of, and which ended with them.
 */
const rootMade = (signed: Signed | undefined): number => {
  if (signed === undefined) return 0
  const read = readRoot(signed.text)
  if (Result.isFailure(read)) return 0
  // Each of its epochs was a life: they are told apart though the clock should stand still.
  return read.success.expires - ROOT_MILLIS + read.success.epoch
}
