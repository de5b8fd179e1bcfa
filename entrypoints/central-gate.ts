/**
 * Guards central's HTTPS door: whatever comes in passes here first, whatever goes out passes here
 * last. Refuses devices of other versions before anything else happens (protocol §3), turns every
 * failure into a problem document (§8), and counts and logs each request in fields that name nobody.
 */
import { type Cause, Clock, Context, Effect, Metric, type Types } from "effect"
import {
  HttpRouter,
  HttpServerError,
  HttpServerRequest,
  type HttpServerResponse
} from "effect/http"
import { HttpApiError } from "effect/http-api"
import { PROTOCOL_VERSION, SUPPORTED_DEVICES, support } from "../domain/release.ts"
import { DEVICE_HEADER } from "../infrastructure/http-answers.ts"
import { ROUTES as API_ROUTES } from "../infrastructure/http-api.ts"
import {
  codeOfStatus,
  oauthResponse,
  problemResponse,
  type Trouble,
  trouble
} from "../infrastructure/http-problem.ts"
import { OFFICE_ROUTES } from "../infrastructure/office-api.ts"

const ROUTES = [...API_ROUTES, ...OFFICE_ROUTES]

/** Who the request turned out to be from, for its log line. */
export const Exchange = Context.Reference<{ client: string | undefined }>("testferry/Exchange", {
  defaultValue: () => ({ client: undefined })
})

/** How long a handler may think. Downloads flow on after it. */
const HANDLER_DEADLINE = "60 seconds"

const requests = Metric.counter("testferry_http_requests_total", { incremental: true })
const millis = Metric.histogram("testferry_http_request_millis", {
  boundaries: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000]
})

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
      const request = yield* HttpServerRequest.HttpServerRequest
      const started = yield* Clock.currentTimeMillis
      const exchange = { client: undefined }
      const path = pathOf(request.url)
      const { accept, [DEVICE_HEADER]: device } = request.headers
      const say = (found: Trouble) =>
        path === "/oauth/token" ? oauthResponse(found, accept) : problemResponse(found)
      const refused = versionTrouble(path, device)
      const answered =
        refused === undefined
          ? answer.pipe(
              Effect.provideService(Exchange, exchange),
              Effect.timeoutOrElse({
                duration: HANDLER_DEADLINE,
                orElse: () => Effect.succeed(say(TOO_SLOW))
              }),
              Effect.catchCause((cause) =>
                Effect.map(afterFailure(cause, request.method, path), say)
              )
            )
          : Effect.succeed(say(refused))
      const response = asProblem(yield* answered, say)
      yield* record(request.method, path, response.status, started, exchange.client)
      return response
    }),
  { global: true }
)

const TOO_SLOW = trouble("unavailable", "The answer took too long. Try again later.", {
  headers: { "retry-after": "10" }
})

/** What is wrong with the version that a device says it has; nothing, when it says none. */
const versionTrouble = (path: string, header: string | undefined): Trouble | undefined => {
  // Capabilities tell a device of any version which versions are supported.
  const judged = path.startsWith("/api/") || path.startsWith("/oauth/")
  if (header === undefined || !judged || path === "/api/v1/capabilities") return undefined
  const [, version = "", protocol = ""] = /^([\d.]{1,30})\/(\d{1,6})$/u.exec(header) ?? []
  const found = support(version, SUPPORTED_DEVICES)
  const { min, below } = SUPPORTED_DEVICES
  const range = `This server works with devices from ${min} up to, but not including, ${below}.`
  const upgrade = { headers: { upgrade: `testferry/${PROTOCOL_VERSION}` } }
  if (found === "unreadable")
    return trouble("device-unreadable", `Expected "version/protocol", such as "${min}/1".`)
  if (found === "too-old" || Number(protocol) < PROTOCOL_VERSION)
    return trouble("device-too-old", `${range} Update the device.`, upgrade)
  if (found === "too-new" || Number(protocol) > PROTOCOL_VERSION)
    return trouble("device-too-new", `${range} Update the server.`, upgrade)
  return undefined
}

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
    return trouble("internal", "The server's log says more.")
  }
  return trouble("unavailable", "The server is stopping. Try again.")
})

/** Logs a defect without its message, which may quote data: its kind, and where it came from. */
export const logFailure = (defect: unknown) => {
  const frames = defect instanceof Error ? (defect.stack ?? "").split("\n") : []
  const at = frames.filter((line) => /^\s+at /u.test(line)).slice(0, FRAMES_MAX)
  const error = defect instanceof Error ? defect.name : typeof defect
  return Effect.logError("failed").pipe(Effect.annotateLogs({ error, at }))
}

/** Enough of a stack to find the place. */
const FRAMES_MAX = 8

/** What a failure of the HTTP machinery means to the caller. */
const knownTrouble = (failure: unknown, method: string, path: string): Trouble | undefined => {
  if (HttpServerError.isHttpServerError(failure)) {
    const { reason } = failure
    if (reason._tag === "RouteNotFound") return noRoute(method, path)
    if (reason._tag === "RequestParseError")
      return reason.reason === "BodyTooLarge"
        ? TOO_LARGE
        : trouble("bad-request", "Unreadable body.")
  }
  if (HttpApiError.HttpApiPayloadTooLarge.is(failure)) return TOO_LARGE
  if (!HttpApiError.HttpApiSchemaError.is(failure)) return undefined
  // A path that cannot name anything names nothing: the same answer as for another's.
  if (failure.kind === "Params") return NOT_FOUND
  if (failure.kind === "Body" || failure.kind === "ResponseHeaders") return undefined
  // Schema messages name places and expectations, never the values that came.
  return trouble("bad-request", `${failure.kind}: ${failure.cause.message}`.slice(0, DETAIL_MAX))
}

/** So that a detail stays readable, however much was wrong with a request. */
const DETAIL_MAX = 2_000

export const NOT_FOUND = trouble(
  "not-found",
  "It does not exist, or it is not for the organisations of this client."
)
const TOO_LARGE = trouble("too-large", "Send less at once.")

const noRoute = (method: string, path: string): Trouble => {
  const allowed = ROUTES.filter(({ pattern }) => matches(pattern, path)).map(
    (route) => route.method
  )
  if (allowed.length === 0 || allowed.includes(method))
    return path.startsWith("/api/v1/") ? NOT_FOUND : trouble("not-found", "There is no such path.")
  const allow = allowed.includes("GET") ? ["HEAD", ...allowed] : allowed
  return trouble("method-not-allowed", `Allowed here: ${allow.join(", ")}.`, {
    headers: { allow: allow.join(", ") }
  })
}

/** Replaces error responses that libraries made, which are no JSON. */
const asProblem = (
  response: HttpServerResponse.HttpServerResponse,
  say: (found: Trouble) => HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse =>
  response.status < 400 || /json/u.test(response.headers["content-type"] ?? "")
    ? response
    : say(trouble(codeOfStatus(response.status), ""))

const record = Effect.fnUntraced(function* (
  method: string,
  path: string,
  status: number,
  started: number,
  client: string | undefined
) {
  const took = (yield* Clock.currentTimeMillis) - started
  const route = ROUTES.find(({ pattern }) => matches(pattern, path))?.pattern ?? "none"
  // A stranger may send any method: it must not make new log words or metrics.
  const known = METHODS.includes(method) ? method : "other"
  const labels = { method: known, route, status: String(status) }
  yield* Metric.update(requests.pipe(Metric.withAttributes(labels)), 1)
  yield* Metric.update(millis.pipe(Metric.withAttributes({ route })), took)
  const fields = { method: known, route, status, millis: took, client: client ?? null }
  yield* Effect.logInfo("answered").pipe(Effect.annotateLogs(fields))
})

const METHODS: ReadonlyArray<string> = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

const pathOf = (url: string): string => url.split(/[?#;]/u, 1)[0] ?? url

const matches = (pattern: string, path: string): boolean => {
  const want = pattern.split("/")
  const have = path.split("/")
  return (
    want.length === have.length &&
    want.every((part, at) => (part.startsWith(":") ? have[at] !== "" : part === have[at]))
  )
}
