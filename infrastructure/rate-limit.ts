/**
 * Slows down whoever asks too often: at most so many tries per key and window, in memory. Several
 * processes of one central each count for themselves, so the true limit is theirs together.
 */
import { Clock, Effect, Option } from "effect"

export interface RateLimit {
  readonly tries: number
  readonly windowMillis: number
}

/** Keys remembered at once; beyond it the oldest windows are forgotten, so that memory is bounded. */
const KEYS_MAX = 20_000

/** Counts a try; returns how long to wait, in milliseconds, when there were too many. */
export const makeRateLimiter = (limit: RateLimit) => {
  const windows = new Map<string, { readonly since: number; tries: number }>()
  return (key: string): Effect.Effect<Option.Option<number>> =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const open = windows.get(key)
      // A window of a later time is of a clock since set back: nobody waits until then.
      if (open !== undefined && open.since <= now && now - open.since < limit.windowMillis) {
        open.tries += 1
        return open.tries > limit.tries
          ? Option.some(open.since + limit.windowMillis - now)
          : Option.none()
      }
      windows.delete(key)
      windows.set(key, { since: now, tries: 1 })
      const [oldest] = windows.keys()
      if (windows.size > KEYS_MAX && oldest !== undefined) windows.delete(oldest)
      return Option.none()
    })
}
