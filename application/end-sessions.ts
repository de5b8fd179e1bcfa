/**
 * Pauses or terminates everything that is being sat on this device, because its operator says so
 * before synchronising. Without their word a synchronisation touches no session.
 */
import { Effect } from "effect"
import type { ExecutionId } from "../domain/result.ts"
import type { Session } from "../domain/session.ts"
import { end } from "./end-session.ts"
import { Atomic } from "./ports.ts"
import { Sessions } from "./session-ports.ts"
import { step } from "./session-step.ts"

export interface EndedSessions {
  readonly done: ReadonlyArray<ExecutionId>
  /** Their answers are locked: only a proctor of the center, logged in here, can terminate them. */
  readonly needProctor: ReadonlyArray<ExecutionId>
}

const REASON = { category: "Synchronisation", subcategory: null, comment: null }

/** Answers what became of each session that was started (for `terminate`: or paused). */
export const endSessions = Effect.fn("endSessions")(function* (how: "pause" | "terminate") {
  const sessions = yield* Sessions
  const open = yield* sessions.list("open")
  const done: Array<ExecutionId> = []
  const needProctor: Array<ExecutionId> = []
  for (const session of open.filter(({ stage }) => STAGES[how].includes(stage))) {
    const ended =
      how === "pause"
        ? yield* Effect.result(paused(session))
        : yield* Effect.result(terminated(session))
    // One that went on by itself meanwhile is no longer ours to end.
    if (ended._tag === "Success") done.push(session.execution)
    else if (ended.failure._tag !== "WrongStage") needProctor.push(session.execution)
  }
  return { done, needProctor } satisfies EndedSessions
})

const STAGES: Readonly<Record<"pause" | "terminate", ReadonlyArray<Session["stage"]>>> = {
  pause: ["started"],
  terminate: ["started", "paused"]
}

const paused = Effect.fnUntraced(function* (session: Session) {
  const atomic = yield* Atomic
  const said = { what: "paused", who: "device", reason: REASON } as const
  return yield* atomic.run(step(session, "pause", said, { pausedBy: "device" }))
})

const terminated = (session: Session) => end(session.execution, "terminate", "device", REASON)
