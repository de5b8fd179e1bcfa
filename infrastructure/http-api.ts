/**
 * Describes central's HTTPS door once, for the server that serves it, for the OpenAPI document, and
 * for people who read that (protocol §2 to §8). Handlers are in `entrypoints/central-routes.ts`.
 */
import { Context, Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "effect/http-api"
import { ENTITY_KEYS_MAX } from "../application/answer.ts"
import type { Client } from "../application/ports.ts"
import { DeviceReport } from "../domain/device-report.ts"
import { Enrolment, Signed } from "../domain/enrolment.ts"
import { Kind, LABEL_MAX } from "../domain/entity.ts"
import { Buckets, FeedPage } from "../domain/feed.ts"
import { Digest, EntityId, OrganisationId } from "../domain/id.ts"
import { OPENING_ASKS } from "../domain/opening.ts"
import { Capabilities, PROGRAM_VERSION } from "../domain/release.ts"
import { Submission } from "../domain/result.ts"
import {
  BucketAnswer,
  EntitiesAnswer,
  PROBLEM_TYPE,
  ReportAnswer,
  RootsAnswer,
  TokenAnswer
} from "./http-answers.ts"
import { PROBLEMS } from "./http-problem.ts"

/** The client whose token came with the request. */
export class Caller extends Context.Service<Caller, Client>()("testferry/http/Caller") {}

const problem = (status: number) =>
  Schema.Struct({
    type: Schema.String,
    title: Schema.String,
    status: Schema.Literal(status),
    code: Schema.Literals(codesOf(status)),
    detail: Schema.String
  })
    .annotate({ identifier: `Problem${status}` })
    .pipe(HttpApiSchema.status(status), HttpApiSchema.asJson({ contentType: PROBLEM_TYPE }))

const codesOf = (status: number): ReadonlyArray<string> =>
  Object.entries(PROBLEMS)
    .filter(([, each]) => each.status === status)
    .map(([code]) => code)

const P400 = problem(400)
const P401 = problem(401)
const P403 = problem(403)
const P404 = problem(404)
const P410 = problem(410)
const P413 = problem(413)
const P415 = problem(415)
const P416 = problem(416)
const P426 = problem(426)
const P429 = problem(429)
const P500 = problem(500)
const P503 = problem(503)
const ALWAYS = [P400, P426, P500, P503] as const

/** Asks for a bearer token and puts its client into the context. */
export class Admitted extends HttpApiMiddleware.Service<Admitted, { provides: Caller }>()(
  "testferry/http/Admitted",
  { security: { bearer: HttpApiSecurity.bearer }, error: P401 }
) {}

export const TokenRequest = Schema.Struct({
  grant_type: Schema.String,
  client_id: Schema.optionalKey(Schema.String),
  client_secret: Schema.optionalKey(Schema.String),
  client_assertion_type: Schema.optionalKey(Schema.String),
  client_assertion: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "TokenRequest" })
export type TokenRequest = typeof TokenRequest.Type

const ProofText = Schema.String.check(Schema.isMaxLength(LABEL_MAX))

export const EnrolmentPost = Schema.Struct({
  request: Signed,
  proof: Schema.Union([
    Schema.Struct({ login: ProofText, password: Schema.String.check(Schema.isMaxLength(1_000)) }),
    Schema.Struct({ key: ProofText, secret: ProofText })
  ])
}).annotate({ identifier: "EnrolmentPost" })

export const EntitiesPost = Schema.Struct({
  keys: Schema.Array(Schema.Struct({ kind: Kind, id: EntityId })).check(
    Schema.isMaxLength(ENTITY_KEYS_MAX)
  )
}).annotate({ identifier: "EntitiesPost" })

const Version = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))

const Access = HttpApiGroup.make("access").add(
  HttpApiEndpoint.post("token", "/oauth/token", {
    payload: TokenRequest.pipe(HttpApiSchema.asFormUrlEncoded()),
    success: TokenAnswer,
    error: [...ALWAYS, P401, P403, P413, P415, P429]
  }),
  HttpApiEndpoint.post("enrol", "/api/v1/enrolments", {
    payload: EnrolmentPost,
    success: Enrolment.annotate({ identifier: "Enrolment" }),
    error: [...ALWAYS, P403, P413, P415, P429]
  }),
  HttpApiEndpoint.get("capabilities", "/api/v1/capabilities", {
    success: Capabilities.annotate({ identifier: "Capabilities" }),
    error: [P500, P503]
  })
)

const organisation = { organisation: OrganisationId }

const Feeds = HttpApiGroup.make("feeds")
  .add(
    HttpApiEndpoint.get("page", "/api/v1/feeds/:organisation", {
      params: organisation,
      query: {
        since: Schema.optionalKey(Version),
        epoch: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(120)))
      },
      success: FeedPage.annotate({ identifier: "FeedPage" }),
      error: [...ALWAYS, P404, P410]
    }),
    HttpApiEndpoint.get("buckets", "/api/v1/feeds/:organisation/buckets", {
      params: organisation,
      success: Buckets.annotate({ identifier: "Buckets" }),
      error: [...ALWAYS, P404]
    }),
    HttpApiEndpoint.get("bucket", "/api/v1/feeds/:organisation/buckets/:number", {
      params: { ...organisation, number: Schema.Int },
      success: BucketAnswer,
      error: [...ALWAYS, P404]
    }),
    HttpApiEndpoint.post("entities", "/api/v1/feeds/:organisation/entities", {
      params: organisation,
      payload: EntitiesPost,
      success: EntitiesAnswer,
      error: [...ALWAYS, P404, P413, P415]
    })
  )
  .middleware(Admitted)

const Contents = HttpApiGroup.make("contents")
  .add(
    HttpApiEndpoint.get("blob", "/api/v1/blobs/:digest", {
      params: { digest: Digest },
      headers: {
        range: Schema.optionalKey(Schema.String),
        "if-range": Schema.optionalKey(Schema.String)
      },
      success: HttpApiSchema.StreamUint8Array(),
      error: [...ALWAYS, P404, P416]
    })
  )
  .middleware(Admitted)

const Documents = HttpApiGroup.make("documents")
  .add(
    HttpApiEndpoint.get("roots", "/api/v1/roots", {
      query: { after: Schema.optionalKey(Version) },
      success: RootsAnswer,
      error: ALWAYS
    }),
    HttpApiEndpoint.get("revocations", "/api/v1/revocations", {
      success: Signed.annotate({ identifier: "Signed" }),
      error: [...ALWAYS, P404]
    }),
    HttpApiEndpoint.get("certificate", "/api/v1/certificate", {
      success: Signed.annotate({ identifier: "Signed" }),
      error: [...ALWAYS, P404]
    }),
    HttpApiEndpoint.post("report", "/api/v1/report", {
      payload: DeviceReport.annotate({ identifier: "DeviceReport" }),
      success: ReportAnswer,
      error: [...ALWAYS, P404, P413, P415]
    })
  )
  .middleware(Admitted)

/** Only for devices. Records that can't be read by themselves are answered in the receipt. */
const Records = HttpApiGroup.make("records")
  .add(
    HttpApiEndpoint.post("submit", "/api/v1/records", {
      payload: Submission.annotate({ identifier: "Submission" }),
      success: Signed.annotate({ identifier: "SignedRecordsReceipt" }),
      error: [...ALWAYS, P404, P413, P415]
    })
  )
  .middleware(Admitted)

/** Only for credentials that were made for it: sealed results out, opened ones back. */
const officeErrors = [...ALWAYS, P404, P413, P415]
const Office = HttpApiGroup.make("office")
  .add(
    HttpApiEndpoint.post("waiting", "/api/v1/results/waiting", {
      payload: OPENING_ASKS.waiting.ask.annotate({ identifier: "ResultsFilter" }),
      success: OPENING_ASKS.waiting.answer,
      error: officeErrors
    }),
    HttpApiEndpoint.post("retry", "/api/v1/results/retry", {
      payload: OPENING_ASKS.retry.ask,
      success: OPENING_ASKS.retry.answer,
      error: officeErrors
    }),
    HttpApiEndpoint.post("sealed", "/api/v1/results/sealed", {
      payload: OPENING_ASKS.sealed.ask,
      success: OPENING_ASKS.sealed.answer.annotate({ identifier: "SealedResults" }),
      error: officeErrors
    }),
    HttpApiEndpoint.post("opened", "/api/v1/results/opened", {
      payload: OPENING_ASKS.opened.ask.annotate({ identifier: "OpenedResults" }),
      success: OPENING_ASKS.opened.answer,
      error: officeErrors
    }),
    HttpApiEndpoint.post("ran", "/api/v1/results/ran", {
      payload: OPENING_ASKS.ran.ask.annotate({ identifier: "OpeningRun" }),
      success: OPENING_ASKS.ran.answer,
      error: officeErrors
    })
  )
  .middleware(Admitted)

const Health = HttpApiGroup.make("health").add(
  HttpApiEndpoint.get("health", "/health", {
    success: Schema.Struct({ status: Schema.Literal("ok") })
  }),
  HttpApiEndpoint.get("ready", "/ready", {
    success: Schema.Struct({ status: Schema.Literal("ready") }),
    error: P503
  })
)

export const Api = HttpApi.make("testferry")
  .add(Access)
  .add(Feeds)
  .add(Contents)
  .add(Documents)
  .add(Records)
  .add(Office)
  .add(Health)
  .annotateMerge(
    OpenApi.annotations({
      title: "Testferry central",
      version: PROGRAM_VERSION,
      description:
        "What devices and integrators ask of a central server. Plain words: docs/protocol.md. " +
        "Organisation ids are percent-encoded free strings. Every error is a problem document."
    })
  )

/** Routes beside the API itself. */
export const EXTRA_ROUTES = ["/metrics", "/openapi.json", "/docs"] as const

/** Method and path pattern of every route, for logs, metrics, and to tell 405 from 404. */
export const ROUTES: ReadonlyArray<{ readonly method: string; readonly pattern: string }> = [
  ...Object.values(Api.groups).flatMap((group) =>
    Object.values(group.endpoints).map(({ method, path }) => ({ method, pattern: path }))
  ),
  ...EXTRA_ROUTES.map((pattern) => ({ method: "GET", pattern }))
]
