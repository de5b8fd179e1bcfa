/**
 * Guards a device's HTTP door: turns every failure into a problem document, and logs each request in
 * fields that name nobody.
 */
import { ByteSize, type Cause, Clock, Effect, type Types } from "effect"
import {
  HttpIncomingMessage,
  HttpRouter,
  HttpServerError,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import { HttpApiError } from "effect/http-api"
import { SqlError } from "effect/sql"
import { MANAGER_ROUTES } from "../infrastructure/manager-api.ts"
import { REQUEST_BYTES_MAX, RUNNER_ROUTES } from "../infrastructure/runner-api.ts"
import {
  codeOfStatus,
  type RunnerTrouble,
  runnerProblem,
  runnerTrouble
} from "../infrastructure/runner-problem.ts"
import { logFailure } from "./central-gate.ts"

/** How long a handler may think: a login behind a whole class of others. Files flow on after it. */
const HANDLER_DEADLINE = "60 seconds"
/** So that a detail stays readable, however much was wrong with a request. */
const DETAIL_MAX = 2_000

/** What anybody may send who has not logged in: names and a password, each letter as an escape. */
const STRANGER_BYTES_MAX = ByteSize.kibibytes(32)
const ofStrangers = (path: string): boolean => /\/(?:login|enrol)$/u.test(path)

const ROUTES = [...RUNNER_ROUTES, ...MANAGER_ROUTES]

/** The gate as a layer over the router; it sees every request, also those without a route. */
export const layer = HttpRouter.middleware(
  // The router wants to know that errors may pass; none does.
  (
    answer
  ): Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    Types.unhandled,
    HttpServerRequest.HttpServerRequest
  > =>
    Effect.gen(function* () {
      const { method, url } = yield* HttpServerRequest.HttpServerRequest
      const started = yield* Clock.currentTimeMillis
      const path = url.split(/[?#;]/u, 1)[0] ?? url
      const response = yield* limited(answer, path).pipe(
        Effect.timeoutOrElse({
          duration: HANDLER_DEADLINE,
          orElse: () => Effect.succeed(runnerProblem(TOO_SLOW))
        }),
        Effect.catchCause((cause) =>
          Effect.map(afterFailure(cause, method, path), (found) => runnerProblem(found))
        )
      )
      const said = asProblem(response)
      const route = ROUTES.find(({ pattern }) => matches(pattern, path))?.pattern ?? "none"
      const millis = (yield* Clock.currentTimeMillis) - started
      yield* Effect.logInfo("answered").pipe(
        Effect.annotateLogs({ route, status: said.status, millis })
      )
      return HttpServerResponse.setHeaders(said, {
        // Names, answers, tasks: what a page or a file doesn't say to keep is kept nowhere.
        ...(said.headers["cache-control"] === undefined && { "cache-control": "no-store" }),
        "x-content-type-options": "nosniff"
      })
    }),
  { global: true }
)

/** Five megabytes of JSON take a core for a quarter of a second: not from whom nobody knows. */
const limited = <A, E, R>(answer: Effect.Effect<A, E, R>, path: string) =>
  Effect.provideService(
    answer,
    HttpIncomingMessage.MaxBodySize,
    ofStrangers(path) ? STRANGER_BYTES_MAX : REQUEST_BYTES_MAX
  )

const TOO_SLOW = runnerTrouble("unavailable", "The answer took too long. Try again.", {
  "retry-after": "5"
})

const afterFailure = Effect.fnUntraced(function* (
  cause: Cause.Cause<unknown>,
  method: string,
  path: string
) {
  for (const reason of cause.reasons) {
    if (reason._tag === "Interrupt") continue
    const failure = reason._tag === "Fail" ? reason.error : reason.defect
    const known = knownTrouble(failure, method, path)
    if (known !== undefined) return known
    yield* logFailure(failure)
    return runnerTrouble("internal", "The device's log says more. Nothing was half saved.")
  }
  return runnerTrouble("unavailable", "The device is stopping. Try again.")
})

/** What a failure of the machinery means to the caller. */
const knownTrouble = (
  failure: unknown,
  method: string,
  path: string
): RunnerTrouble | undefined => {
  if (HttpServerError.isHttpServerError(failure)) {
    const { reason } = failure
    if (reason._tag === "RouteNotFound") return noRoute(method, path)
    if (reason._tag === "RequestParseError") {
      return reason.reason === "BodyTooLarge"
        ? TOO_LARGE
        : runnerTrouble("bad-request", "Unreadable body.")
    }
  }
  if (SqlError.isSqlError(failure) && /disk is full|ENOSPC|EDQUOT/u.test(String(failure.message))) {
    return runnerTrouble("disk-full", "Tell a proctor: nothing can be saved until there is room.")
  }
  if (HttpApiError.HttpApiPayloadTooLarge.is(failure)) return TOO_LARGE
  if (!HttpApiError.HttpApiSchemaError.is(failure)) return undefined
  if (failure.kind === "Params") return runnerTrouble("not-found", "No such name is possible.")
  if (failure.kind === "Body" || failure.kind === "ResponseHeaders") return undefined
  // Schema messages name places and expectations, never the values that came.
  const detail = `${failure.kind}: ${failure.cause.message}`.slice(0, DETAIL_MAX)
  return runnerTrouble("bad-request", detail)
}

const TOO_LARGE = runnerTrouble("too-large", "Save less at once, in more parts.")

const noRoute = (method: string, path: string): RunnerTrouble => {
  const allowed = ROUTES.filter(({ pattern }) => matches(pattern, path)).map(
    (route) => route.method
  )
  if (allowed.length === 0 || allowed.includes(method)) {
    return runnerTrouble("not-found", "There is no such path.")
  }
  const allow = allowed.join(", ")
  return runnerTrouble("method-not-allowed", `Allowed here: ${allow}.`, { allow })
}

/** Replaces error responses that libraries made, which are no JSON. */
const asProblem = (response: HttpServerResponse.HttpServerResponse) =>
  response.status < 400 || /json/u.test(response.headers["content-type"] ?? "")
    ? response
    : runnerProblem(runnerTrouble(codeOfStatus(response.status), ""))

const matches = (pattern: string, path: string): boolean => {
  const want = pattern.split("/")
  const have = path.split("/")
  return want.at(-1) === "*"
    ? have.length >= want.length && want.slice(0, -1).every((part, at) => fits(part, have[at]))
    : want.length === have.length && want.every((part, at) => fits(part, have[at]))
}

const fits = (want: string, have: string | undefined): boolean =>
  want.startsWith(":") ? have !== "" : want === have
