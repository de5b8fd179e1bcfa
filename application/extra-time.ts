/** Lets a proctor grant a test-taker more time, on top of every limit of their test. */
import { Effect } from "effect"
import { isOpen } from "../domain/lifecycle.ts"
import type { ExecutionId } from "../domain/result.ts"
import { Atomic } from "./ports.ts"
import { watchedSession } from "./proctor.ts"
import { Sessions, type Visitor } from "./session-ports.ts"
import { log, type Reason, WrongStage } from "./session-step.ts"

/** Beyond a day somebody has mistyped. */
export const EXTRA_MINUTES_MAX = 24 * 60

/**
 * Adds minutes, or takes some back; what is granted in all is never below zero. Fails with NoSession,
 * WrongStage, or TooMuch.
 */
export const grantTime = Effect.fn("grantTime")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  minutes: number,
  reason: NonNullable<Reason>
) {
  const atomic = yield* Atomic
  const sessions = yield* Sessions
  return yield* atomic.run(
    Effect.gen(function* () {
      const session = yield* watchedSession(visitor, execution)
      if (!isOpen(session.stage)) {
        return yield* new WrongStage({ stage: session.stage, event: "extra-time" })
      }
      const millis = (session.extraMillis ?? 0) + minutes * 60_000
      const granted = { ...session, extraMillis: Math.max(0, millis) }
      yield* sessions.put(granted)
      const comment = [`${minutes} min`, ...(reason.comment ? [reason.comment] : [])].join(": ")
      const said = { ...reason, comment: comment.slice(0, COMMENT_MAX).toWellFormed() }
      yield* log(execution, { what: "extra-time", who: visitor.person, reason: said })
      return granted
    })
  )
})

/** As long as a comment in a log may be. */
const COMMENT_MAX = 2_000
