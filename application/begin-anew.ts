/**
 * Begins a new life of central after its database was restored from a backup: every position that a
 * device remembers is void, and each fetches a full snapshot at its next synchronisation.
 */
import { Clock, Effect } from "effect"
import { Atomic, Feeds, History } from "./ports.ts"

export const beginAnew = Effect.gen(function* () {
  const atomic = yield* Atomic
  const feeds = yield* Feeds
  const history = yield* History
  return yield* atomic.run(
    Effect.gen(function* () {
      const epoch = yield* feeds.newEpoch
      yield* history.append({
        at: yield* Clock.currentTimeMillis,
        verb: "audit",
        who: "operator",
        device: null,
        organisation: null,
        outcome: "done",
        counts: {},
        bytes: 0,
        millis: 0,
        reason: "restored from a backup"
      })
      return epoch
    })
  )
})
