/**
 * Decides whether a test-taker may begin a delivery, and whether they may go on with a session: by
 * both periods, the attempts so far, who must authorise, and who paused.
 */
import { Result } from "effect"
import { sitting } from "./eligible.ts"
import type { Delivery, Eligibility } from "./entity.ts"
import type { DeviceEvent } from "./lifecycle.ts"
import { isOpen } from "./lifecycle.ts"
import type { Session } from "./session.ts"

/** Why not: each is answered in its own words, and `awaiting` and `paused` may pass by themselves. */
export type Denial = "not-yet" | "over" | "used-up" | "awaiting" | "paused" | "ended"

type Window = {
  readonly delivery: Pick<Delivery, "period">
  readonly eligibility: Pick<Eligibility, "period">
}

type Before = Pick<Session, "eligibility" | "stage" | "startedAt">

/** What a new session would be: the number of the attempt, and whether somebody must authorise it. */
export interface Admitted {
  readonly attempt: number
  readonly proctored: boolean
}

/**
 * `before` are all sessions of this person and delivery on this device. One that was cancelled before
 * it was started used nothing up. Whoever has an open one goes on with that (the caller looks first).
 */
export const mayBegin = (
  now: number,
  delivery: Pick<Delivery, "period" | "maxExecutions" | "proctored">,
  eligibility: Pick<Eligibility, "id" | "period" | "maxExecutions" | "proctored">,
  before: ReadonlyArray<Before>
): Result.Result<Admitted, Denial> => {
  const when = sitting(now, delivery, eligibility)
  if (when !== "open") return Result.fail(when)
  const used = before.filter((one) => one.startedAt !== null || isOpen(one.stage))
  const here = used.filter((one) => one.eligibility === eligibility.id)
  if (used.length >= (delivery.maxExecutions ?? Number.POSITIVE_INFINITY)) {
    return Result.fail("used-up")
  }
  if (here.length >= (eligibility.maxExecutions ?? Number.POSITIVE_INFINITY)) {
    return Result.fail("used-up")
  }
  return Result.succeed({
    attempt: before.length + 1,
    proctored: delivery.proctored || eligibility.proctored
  })
}

/**
 * Which arrow the test-taker may follow into the session: `start`, `resume`, or none where it runs
 * already (after a power cut, or a second window). A pause that a proctor made, or one of a proctored
 * session, only a proctor ends.
 */
export const mayEnter = (
  now: number,
  { delivery, eligibility }: Window,
  session: Pick<Session, "stage" | "proctored" | "pausedBy">
): Result.Result<Extract<DeviceEvent, "start" | "resume"> | undefined, Denial> => {
  if (!isOpen(session.stage)) return Result.fail("ended")
  const when = sitting(now, delivery, eligibility)
  if (when !== "open") return Result.fail(when)
  if (session.stage === "awaiting") return Result.fail("awaiting")
  if (session.stage === "authorised") return Result.succeed("start")
  if (session.stage === "started") return Result.succeed(undefined)
  const own = !session.proctored && session.pausedBy !== "proctor"
  return own ? Result.succeed("resume") : Result.fail("paused")
}
