/** Says in words what the verbs' errors mean to a runner, a test-taker, or a proctor. */
import { Cause, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import type { WrongKind } from "../application/log-in.ts"
import type { PlayRefused } from "../application/play-decide.ts"
import type {
  HoldingDamaged,
  TooManyTries,
  Unopenable,
  WrongPassword
} from "../application/ports.ts"
import type { Stale } from "../application/session-saves.ts"
import type { NoSession, SessionLocked, TooMuch, WrongStage } from "../application/session-step.ts"
import type { ContentUnready, Denied, NoResultsKey } from "../application/sit.ts"
import type { NotEnrolled } from "../application/sync.ts"
import {
  RUNNER_PROBLEMS,
  type RunnerCode,
  type RunnerTrouble,
  runnerProblem,
  runnerTrouble
} from "../infrastructure/runner-problem.ts"

export type Failure =
  | ContentUnready
  | Denied
  | HoldingDamaged
  | NoResultsKey
  | NoSession
  | NotEnrolled
  | PlayRefused
  | SessionLocked
  | Stale
  | TooManyTries
  | TooMuch
  | Unopenable
  | WrongKind
  | WrongPassword
  | WrongStage

/** Answers what a verb gives, or the problem that it has. */
export const answered = <A, R>(verb: Effect.Effect<A, Failure, R>) =>
  verb.pipe(
    Effect.map((answer) =>
      HttpServerResponse.isHttpServerResponse(answer)
        ? answer
        : HttpServerResponse.jsonUnsafe(answer, { headers: { "cache-control": "no-store" } })
    ),
    Effect.catch((failure) => Effect.succeed(runnerProblem(troubleOf(failure))))
  )

export const troubleOf = (failure: Failure): RunnerTrouble => {
  switch (failure._tag) {
    case "WrongPassword":
      return runnerTrouble("wrong-login", "Check both, also the Caps Lock key, and try again.")
    case "TooManyTries":
      return tooMany(failure.waitMillis)
    case "WrongKind":
      return runnerTrouble("wrong-person", `A ${failure.kind} can't log in here.`)
    case "Denied":
      return runnerTrouble(codeOf(failure.why), DENIED[failure.why] ?? "")
    case "NoSession":
      return runnerTrouble("not-found", "Check the id, and who is logged in.")
    case "WrongStage":
      return stageTrouble(failure)
    case "Stale":
      return runnerTrouble(
        "stale",
        `Of "${failure.part}" number ${failure.kept} is kept. Another window may be open: load it anew.`
      )
    case "PlayRefused":
      return runnerTrouble(
        failure.code === "over" ? "test-over" : failure.code,
        failure.item === null ? "Load the page anew." : `It is about "${failure.item}".`
      )
    case "TooMuch":
      return runnerTrouble("too-large", `The limit of a session is ${failure.max} ${failure.what}.`)
    default:
      return deviceTrouble(failure)
  }
}

/** What the people of the school can mend, and the test-taker can't. */
const deviceTrouble = (
  failure: ContentUnready | HoldingDamaged | NoResultsKey | NotEnrolled | SessionLocked | Unopenable
): RunnerTrouble => {
  switch (failure._tag) {
    case "NotEnrolled":
      return runnerTrouble("not-enrolled", "Ask the sync manager to enrol it.")
    case "NoResultsKey":
      return runnerTrouble(
        "no-results-key",
        "Central has named no results key, so no test may begin. Ask the office to make one, then synchronise."
      )
    case "ContentUnready":
      return runnerTrouble("content-unready", CONTENT[failure.why])
    case "SessionLocked":
      return runnerTrouble(
        "locked",
        "Only the test-taker, or a proctor of the center that it was begun at, can open it."
      )
    case "Unopenable":
    case "HoldingDamaged":
      return runnerTrouble("data-damaged", "Synchronise this device: that mends what is damaged.")
  }
}

const CONTENT: Readonly<Record<ContentUnready["why"], string>> = {
  missing: "It is not whole on this device. Synchronise, then try again.",
  "no key": "This person was given no key for it yet. Synchronise, then try again.",
  unopenable: "It is damaged on this device. Synchronise, then try again.",
  unplayable: "It says nothing that can be played. Ask the office to publish it once more."
}

const DENIED: Readonly<Partial<Record<string, string>>> = {
  "not-yet": "Its time has not come, by this device's clock.",
  over: "Its time is over, by this device's clock. What was saved is kept: finish the session.",
  "used-up": "No attempt is left.",
  awaiting: "Ask a proctor, then try again.",
  paused: "A proctor must let you go on.",
  ended: "What was answered is sealed."
}

const codeOf = (why: string): RunnerCode => (isCode(why) ? why : "wrong-stage")
const isCode = (text: string): text is RunnerCode => text in RUNNER_PROBLEMS

const stageTrouble = ({ event, stage }: WrongStage): RunnerTrouble => {
  if (stage === "finished" || stage === "terminated" || stage === "cancelled") {
    return runnerTrouble("ended", `It was ${stage}.`)
  }
  if (stage === "paused" && (event === "save" || event === "play")) {
    return runnerTrouble("paused", "Start it again, then save.")
  }
  if (stage === "awaiting" && event === "play") {
    return runnerTrouble("awaiting", "Ask a proctor, then try again.")
  }
  return runnerTrouble("wrong-stage", `"${event}" is not possible while it is ${stage}.`)
}

export const tooMany = (waitMillis: number): RunnerTrouble => {
  const seconds = Math.max(1, Math.ceil(waitMillis / 1_000))
  return runnerTrouble("too-many-requests", `Try again in ${seconds} seconds.`, {
    "retry-after": String(seconds)
  })
}

/** Whether a stream broke off by a defect, for the log. */
export const defectOf = (cause: Cause.Cause<unknown>) => Cause.findDefect(cause)
