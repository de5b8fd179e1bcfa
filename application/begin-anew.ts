/**
 * Begins a new life of central after its database was restored from a backup: every position that a
 * device remembers is void, and each fetches a full snapshot at its next synchronisation. Bundles
 * begin anew too, by a root document of a new epoch.
 */
import { Effect, Option } from "effect"
import { changeRoot, type RootHoldersNeeded } from "./change-root.ts"
import { happened } from "./happened.ts"
import { Atomic, Feeds } from "./ports.ts"

/** `toSign` is the root document that its holders must sign before the next bundle goes out. */
export const beginAnew = Effect.gen(function* () {
  const atomic = yield* Atomic
  const feeds = yield* Feeds
  const epoch = yield* atomic.run(
    Effect.tap(feeds.newEpoch, () =>
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
