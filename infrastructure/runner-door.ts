/** Describes what every request at a device's HTTP door has: who asks, of which session, and problems. */
import { Context, Schema } from "effect"
import { HttpApiMiddleware, HttpApiSchema, HttpApiSecurity } from "effect/http-api"
import type { Visitor } from "../application/session-ports.ts"
import { EntityId, OrganisationId } from "../domain/id.ts"
import { ExecutionId, Moment } from "../domain/result.ts"
import { Session } from "../domain/session.ts"
import { PROBLEM_TYPE } from "./http-answers.ts"
import { RunnerProblem } from "./runner-problem.ts"

export const COOKIE = "testferry"
/**
 * A page that is let in by the cookie sends it with every write: the id of the person whom it shows, or
 * `NOBODY_YET`. Two windows of a browser have one cookie, of whoever logged in last.
 */
export const PAGE_HEADER = "testferry-page"
/** What a page says that does not know yet who is logged in. */
export const NOBODY_YET = "1"

/** Who the token of a request belongs to. */
export class Here extends Context.Service<
  Here,
  { readonly visitor: Visitor; readonly token: string }
>()("testferry/http/Here") {}

/** A problem document with a status. */
export const failure = (status: number) =>
  RunnerProblem.annotate({ identifier: `Problem${status}` }).pipe(
    HttpApiSchema.status(status),
    HttpApiSchema.asJson({ contentType: PROBLEM_TYPE })
  )
export const [P400, P401, P403, P404] = [failure(400), failure(401), failure(403), failure(404)]
export const [P409, P410, P413, P416] = [failure(409), failure(410), failure(413), failure(416)]
export const [P423, P429, P503, P507] = [failure(423), failure(429), failure(503), failure(507)]

/** Asks for the token that a login gave: as a bearer token, or as the cookie. */
export class LoggedIn extends HttpApiMiddleware.Service<LoggedIn, { provides: Here }>()(
  "testferry/http/LoggedIn",
  {
    security: {
      bearer: HttpApiSecurity.bearer,
      cookie: HttpApiSecurity.apiKey({ key: COOKIE, in: "cookie" })
    },
    error: P401
  }
) {}

/** A session, and the device's clocks at the moment of the answer. */
export const SessionAnswer = Schema.Struct({
  execution: ExecutionId,
  organisation: OrganisationId,
  delivery: EntityId,
  eligibility: EntityId,
  contentVersion: Schema.Int,
  attempt: Schema.Int,
  stage: Session.fields.stage,
  proctored: Schema.Boolean,
  pausedBy: Session.fields.pausedBy,
  /** What a proctor granted on top of every limit of time. */
  extraMillis: Schema.Int,
  createdAt: Moment,
  startedAt: Schema.NullOr(Moment),
  finishedAt: Schema.NullOr(Moment),
  now: Moment
}).annotate({ identifier: "Session" })
export type SessionAnswer = typeof SessionAnswer.Type

export const one = { execution: ExecutionId }
export const EXECUTION = "/runner/v1/executions/:execution"
