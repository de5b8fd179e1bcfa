/**
 * Writes the errors of a device's HTTP door as problem documents (RFC 9457): a stable code that
 * runners act on, a title for people, a detail about this one case.
 */
import { Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { PROBLEM_TYPE } from "./http-answers.ts"

/** Code, status and title. Codes never change. */
export const RUNNER_PROBLEMS = {
  "bad-request": { status: 400, title: "The request cannot be understood" },
  "login-needed": { status: 401, title: "Nobody is logged in, or was idle for too long" },
  "wrong-login": { status: 403, title: "The login or the password is wrong" },
  "wrong-person": { status: 403, title: "This door is for other people" },
  "cross-site": { status: 403, title: "The request comes from another page" },
  "not-yet": { status: 403, title: "The test may not be sat yet" },
  over: { status: 403, title: "The test may not be sat any more" },
  "used-up": { status: 403, title: "The test was sat as often as is allowed" },
  "not-found": { status: 404, title: "There is no such thing, or it is not yours" },
  "method-not-allowed": { status: 405, title: "The method is not allowed here" },
  stale: { status: 409, title: "A newer save is kept already" },
  "wrong-item": { status: 409, title: "The test-taker is at another item" },
  "not-open": { status: 409, title: "The item is not open" },
  "skipping-not-allowed": { status: 409, title: "The item wants an answer" },
  "response-required": { status: 409, title: "The answer is not complete" },
  "linear-no-way-back": { status: 409, title: "There is no way back in this part" },
  "time-is-left": { status: 409, title: "Time is left" },
  "too-early": { status: 409, title: "The item is to be looked at for longer" },
  "submitted-together": { status: 409, title: "Answers are submitted at the end of this part" },
  "not-over": { status: 409, title: "The test goes on" },
  "wrong-stage": { status: 409, title: "The session can't do this now" },
  "no-attempts-left": { status: 410, title: "The item is closed" },
  "time-is-up": { status: 410, title: "The time is up" },
  "test-over": { status: 410, title: "The test is over: hand it in" },
  ended: { status: 410, title: "The session has ended" },
  "too-large": { status: 413, title: "That is more than a session may hold" },
  "unsupported-media-type": { status: 415, title: "The content type is not supported" },
  "range-not-satisfiable": { status: 416, title: "The range is outside of the file" },
  awaiting: { status: 423, title: "A proctor must authorise this first" },
  paused: { status: 423, title: "The session is paused" },
  locked: { status: 423, title: "What was answered is locked" },
  "too-many-requests": { status: 429, title: "Too many tries" },
  internal: { status: 500, title: "The device failed" },
  unavailable: { status: 503, title: "The device cannot answer now" },
  "not-enrolled": { status: 503, title: "This device belongs to no central yet" },
  "no-results-key": { status: 503, title: "Nobody could ever read the results" },
  "content-unready": { status: 503, title: "The content of the test is not ready" },
  "data-damaged": { status: 503, title: "What this device holds is damaged" },
  "disk-full": { status: 507, title: "The device's disk is full" }
} as const
export type RunnerCode = keyof typeof RUNNER_PROBLEMS

const Codes = Schema.Literals([
  // Object.keys forgets the keys of a constant.
  ...(Object.keys(RUNNER_PROBLEMS) as ReadonlyArray<RunnerCode>)
])

/** The form of every error, for the OpenAPI document. */
export const RunnerProblem = Schema.Struct({
  type: Schema.String,
  title: Schema.String,
  status: Schema.Int,
  code: Codes,
  detail: Schema.String
}).annotate({ identifier: "Problem" })

export interface RunnerTrouble {
  readonly code: RunnerCode
  readonly detail: string
  readonly headers?: Readonly<Record<string, string>>
}

export const runnerTrouble = (
  code: RunnerCode,
  detail: string,
  headers: Readonly<Record<string, string>> = {}
): RunnerTrouble => ({ code, detail, headers })

export const runnerProblem = ({ code, detail, headers }: RunnerTrouble) => {
  const { status, title } = RUNNER_PROBLEMS[code]
  const type = `urn:testferry:problem:${code}`
  return HttpServerResponse.text(JSON.stringify({ type, title, status, code, detail }), {
    status,
    contentType: PROBLEM_TYPE,
    headers: {
      ...(status === 401 && { "www-authenticate": 'Bearer realm="testferry"' }),
      "cache-control": "no-store",
      ...headers
    }
  })
}

/** The code for a status that some library answered without a problem document. */
export const codeOfStatus = (status: number): RunnerCode => {
  const found = Codes.literals.find((code) => RUNNER_PROBLEMS[code].status === status)
  return found ?? (status < 500 ? "bad-request" : status === 500 ? "internal" : "unavailable")
}
