/**
 * Lets each person have a few requests worked on at a time; more of theirs wait, unread. Whoever sends
 * megabytes on many connections at once keeps the device from nobody but themselves.
 */
import { Effect, Semaphore } from "effect"

/** A page asks a few things at once; what it shows flows on after it was answered. */
export const AT_ONCE_MAX = 4

interface Lane {
  readonly semaphore: Semaphore.Semaphore
  users: number
}

/** By any name of a person; nothing is kept of whoever asks nothing. */
export const makeShares = (atOnce: number) => {
  const lanes = new Map<string, Lane>()
  return <A, E, R>(who: string, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      const lane = lanes.get(who) ?? { semaphore: Semaphore.makeUnsafe(atOnce), users: 0 }
      lanes.set(who, lane)
      lane.users += 1
      const left = Effect.sync(() => {
        lane.users -= 1
        if (lane.users === 0) lanes.delete(who)
      })
      return Effect.ensuring(lane.semaphore.withPermits(1)(work), left)
    })
}
