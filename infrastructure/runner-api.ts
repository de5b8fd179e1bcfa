/**
 * Describes a device's HTTP door once, for the server, for the OpenAPI document, and for whoever
 * writes a test runner or a proctor's page. Handlers are in `entrypoints/runner-routes.ts`,
 * `entrypoints/play-routes.ts` and `entrypoints/proctor-routes.ts`.
 */
import { ByteSize, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { EXTRA_MINUTES_MAX } from "../application/extra-time.ts"
import { LABEL_MAX, PersonKind } from "../domain/entity.ts"
import { EntityId, OrganisationId, Text } from "../domain/id.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import { PARTS_MAX, PartName, SESSION_BYTES_MAX } from "../domain/session.ts"
import { VariableSet } from "../domain/variable.ts"
import { Play } from "./play-api.ts"
import {
  EXECUTION,
  LoggedIn,
  one,
  P400,
  P403,
  P404,
  P409,
  P410,
  P413,
  P416,
  P423,
  P429,
  P503,
  P507,
  SessionAnswer
} from "./runner-door.ts"

/** A whole session in one save, and the JSON around it. */
export const REQUEST_BYTES_MAX = ByteSize.bytes(SESSION_BYTES_MAX + 1_048_576)
/** So that a runner's mistake is no essay in a log. */
const COMMENT_MAX = 2_000

export const LoginPost = Schema.Struct({
  login: Schema.String.check(Schema.isMaxLength(LABEL_MAX)),
  password: Schema.String.check(Schema.isMaxLength(1_000))
}).annotate({ identifier: "LoginPost" })

const PersonAnswer = Schema.Struct({
  id: EntityId,
  kind: PersonKind,
  login: Schema.String,
  label: Schema.String,
  language: Schema.String,
  organisations: Schema.Array(OrganisationId)
})

export const LoginAnswer = Schema.Struct({
  token: Schema.String,
  /** Unused for longer, the token is void. */
  idleSeconds: Schema.Int,
  person: PersonAnswer
}).annotate({ identifier: "LoginAnswer" })

const DeliveryAnswer = Schema.Struct({
  delivery: EntityId,
  eligibility: EntityId,
  organisation: OrganisationId,
  label: Schema.String,
  proctored: Schema.Boolean,
  /** Null: the person may begin; otherwise the code of the problem that beginning would have. */
  denied: Schema.NullOr(Schema.String),
  from: Schema.NullOr(Schema.Int),
  to: Schema.NullOr(Schema.Int),
  /** The one that is open, to go on with. */
  session: Schema.NullOr(SessionAnswer)
})
export const DeliveriesAnswer = Schema.Struct({
  deliveries: Schema.Array(DeliveryAnswer)
}).annotate({ identifier: "Deliveries" })

export const BeginPost = Schema.Struct({
  delivery: EntityId,
  eligibility: Schema.optionalKey(EntityId)
}).annotate({ identifier: "BeginPost" })

/** `seq` grows with each save of a part; the same save may be sent again. */
export const SavePut = Schema.Struct({
  seq: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  state: Schema.optionalKey(Schema.Json),
  variables: Schema.optionalKey(Schema.Array(VariableSet).check(Schema.isMaxLength(PARTS_MAX)))
}).annotate({ identifier: "SavePut" })

const Kept = Schema.Struct({ part: PartName, seq: Schema.Int }).annotate({ identifier: "Kept" })

export const SavedAnswer = Schema.Struct({
  parts: Schema.Array(
    Schema.Struct({
      part: PartName,
      seq: Schema.Int,
      state: Schema.Json,
      variables: Schema.Array(VariableSet)
    })
  )
}).annotate({ identifier: "Saved" })

export const FilesAnswer = Schema.Struct({
  files: Schema.Array(Schema.Struct({ path: Schema.String, size: Schema.Int }))
}).annotate({ identifier: "Files" })

export const ReasonPost = Schema.Struct({
  category: Text(80),
  subcategory: Schema.optionalKey(Schema.NullOr(Text(80))),
  comment: Schema.optionalKey(Schema.NullOr(Schema.String.check(Schema.isMaxLength(COMMENT_MAX))))
}).annotate({ identifier: "Reason" })

/** What a proctor's act may say beside; terminating and marking must say it. */
const ActPost = Schema.Struct({ reason: Schema.optionalKey(Schema.NullOr(ReasonPost)) })
const ReasonedPost = Schema.Struct({ reason: ReasonPost })
/** Fewer than none takes back what was granted. */
const TimePost = Schema.Struct({
  minutes: Schema.Int.check(
    Schema.isBetween({ minimum: -EXTRA_MINUTES_MAX, maximum: EXTRA_MINUTES_MAX })
  ),
  reason: ReasonPost
}).annotate({ identifier: "ExtraTime" })

export const WatchedAnswer = Schema.Struct({
  sessions: Schema.Array(
    Schema.Struct({
      ...SessionAnswer.fields,
      testCenter: EntityId,
      center: Schema.String,
      label: Schema.String,
      /** When it came into its stage, by the device's wall clock. */
      since: Schema.Int,
      /** Null: nothing was done in this test since the device was started. `position`: from 1. */
      progress: Schema.NullOr(
        Schema.Struct({
          items: Schema.Int,
          answered: Schema.Int,
          flagged: Schema.Int,
          position: Schema.Int
        })
      ),
      testTaker: Schema.Struct({
        id: EntityId,
        login: Schema.NullOr(Schema.String),
        label: Schema.NullOr(Schema.String)
      })
    })
  )
}).annotate({ identifier: "Watched" })

const login = (path: `/${string}`) =>
  HttpApiEndpoint.post("login", path, {
    payload: LoginPost,
    success: LoginAnswer,
    error: [P400, P403, P429, P503]
  })
const logout = (path: `/${string}`) =>
  HttpApiEndpoint.post("logout", path, { success: HttpApiSchema.NoContent })

const RunnerAccess = HttpApiGroup.make("access").add(login("/runner/v1/login"))
const ProctorAccess = HttpApiGroup.make("proctor-access").add(login("/proctor/v1/login"))

const Runner = HttpApiGroup.make("runner")
  .add(
    logout("/runner/v1/logout"),
    HttpApiEndpoint.get("me", "/runner/v1/me", { success: PersonAnswer }),
    HttpApiEndpoint.get("deliveries", "/runner/v1/deliveries", {
      success: DeliveriesAnswer,
      error: P503
    }),
    HttpApiEndpoint.post("begin", "/runner/v1/executions", {
      payload: BeginPost,
      success: SessionAnswer,
      error: [P400, P403, P404, P503, P507]
    }),
    HttpApiEndpoint.get("session", EXECUTION, {
      params: one,
      success: SessionAnswer,
      error: P404
    }),
    HttpApiEndpoint.post("start", `${EXECUTION}/start`, {
      params: one,
      success: SessionAnswer,
      error: [P403, P404, P410, P423, P503, P507]
    }),
    HttpApiEndpoint.post("pause", `${EXECUTION}/pause`, {
      params: one,
      success: SessionAnswer,
      error: [P404, P409, P410, P507]
    }),
    HttpApiEndpoint.post("finish", `${EXECUTION}/finish`, {
      params: one,
      success: SessionAnswer,
      error: [P404, P409, P410, P423, P503, P507]
    }),
    HttpApiEndpoint.get("saved", `${EXECUTION}/saves`, {
      params: one,
      success: SavedAnswer,
      error: [P404, P410, P423]
    }),
    HttpApiEndpoint.put("save", `${EXECUTION}/saves/:part`, {
      params: { ...one, part: PartName },
      payload: SavePut,
      success: Kept,
      error: [P400, P404, P409, P410, P413, P423, P507]
    }),
    HttpApiEndpoint.get("files", `${EXECUTION}/package`, {
      params: one,
      success: FilesAnswer,
      error: [P404, P409, P410, P423, P503]
    }),
    HttpApiEndpoint.get("file", `${EXECUTION}/files/*`, {
      params: { ...one, "*": Schema.String },
      headers: { range: Schema.optionalKey(Schema.String) },
      success: HttpApiSchema.StreamUint8Array(),
      error: [P404, P409, P410, P416, P423, P503]
    })
  )
  .middleware(LoggedIn)

const ACT = "/proctor/v1/sessions/:execution"
const act = <Name extends string>(name: Name) =>
  HttpApiEndpoint.post(name, `${ACT}/${name}`, {
    params: one,
    payload: ActPost,
    success: SessionAnswer,
    error: [P400, P404, P409, P410, P413, P507]
  })

const Proctor = HttpApiGroup.make("proctor")
  .add(
    logout("/proctor/v1/logout"),
    HttpApiEndpoint.get("sessions", "/proctor/v1/sessions", {
      success: WatchedAnswer,
      error: P503
    }),
    act("authorise"),
    act("withdraw"),
    act("pause"),
    act("resume"),
    HttpApiEndpoint.post("cancel", `${ACT}/cancel`, {
      params: one,
      payload: ActPost,
      success: SessionAnswer,
      error: [P400, P404, P409, P410, P423, P503, P507]
    }),
    HttpApiEndpoint.post("terminate", `${ACT}/terminate`, {
      params: one,
      payload: ReasonedPost,
      success: SessionAnswer,
      error: [P400, P404, P409, P410, P423, P503, P507]
    }),
    HttpApiEndpoint.post("extraTime", `${ACT}/extra-time`, {
      params: one,
      payload: TimePost,
      success: SessionAnswer,
      error: [P400, P404, P409, P410, P413, P507]
    }),
    HttpApiEndpoint.post("irregularity", `${ACT}/irregularity`, {
      params: one,
      payload: ReasonedPost,
      success: SessionAnswer,
      error: [P400, P404, P409, P410, P413, P507]
    })
  )
  .middleware(LoggedIn)

const Health = HttpApiGroup.make("health").add(
  HttpApiEndpoint.get("health", "/health", {
    success: Schema.Struct({ status: Schema.Literal("ok") })
  })
)

/** The router's name for the rest of a path is no name in OpenAPI. */
const namedPaths = (document: Record<string, unknown>): Record<string, unknown> =>
  JSON.parse(
    JSON.stringify(document)
      .replaceAll('/files/*"', '/files/{path}"')
      .replaceAll('"name":"*"', '"name":"path"')
  )

export const RunnerApi = HttpApi.make("testferry-device")
  .add(RunnerAccess)
  .add(Runner)
  .add(Play)
  .add(ProctorAccess)
  .add(Proctor)
  .add(Health)
  .annotateMerge(
    OpenApi.annotations({
      title: "Testferry device",
      version: PROGRAM_VERSION,
      description:
        "What a test runner and a proctor's page ask of a device in a school. A runner logs a " +
        "test-taker in, begins a delivery, starts it, reads the files of its package, saves after " +
        "each change, and finishes. An answer to a save means that it is on the disk. Every error " +
        "is a problem document.",
      transform: namedPaths
    })
  )

/** Method and path pattern of every route, for logs, and to tell 405 from 404. */
export const RUNNER_ROUTES: ReadonlyArray<{ readonly method: string; readonly pattern: string }> = [
  ...Object.values(RunnerApi.groups).flatMap((group) =>
    Object.values(group.endpoints).map(({ method, path }) => ({ method, pattern: path }))
  ),
  ...["/openapi.json", "/docs", "/", "/watch", "/assets/:version/:name"].map((pattern) => ({
    method: "GET",
    pattern
  }))
]
