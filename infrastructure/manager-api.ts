/**
 * Describes what the sync manager's page asks of a device, beside the doors for test runners and
 * proctors (`runner-api.ts`). Handlers are in `entrypoints/manager-routes.ts`.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Refused } from "../application/refused.ts"
import { CLIENT_NAME_MAX } from "../domain/enrolment.ts"
import { HistoryEntry } from "../domain/history.ts"
import { OrganisationId, Text } from "../domain/id.ts"
import { Finding, RoomReadiness } from "../domain/readiness.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import { Bar, RunKind, RunState } from "../domain/run.ts"
import { LoginAnswer, LoginPost } from "./runner-api.ts"
import { failure, LoggedIn } from "./runner-door.ts"

const [P400, P403, P409] = [failure(400), failure(403), failure(409)]
const [P429, P503] = [failure(429), failure(503)]
const PATH_MAX = 4_096

/** A run as every window shows it. */
export const RunView = Schema.Struct({
  id: Schema.String,
  kind: RunKind,
  dryRun: Schema.Boolean,
  /** The stick; null where none is needed. */
  path: Schema.NullOr(Schema.String),
  state: RunState,
  startedAt: Schema.Int,
  endedAt: Schema.NullOr(Schema.Int),
  /** One per kind of work, in the order in which they began. */
  bars: Schema.Array(Bar),
  /** What the command of the same name reports with `--json`. */
  report: Schema.NullOr(Schema.Json),
  refused: Schema.NullOr(Refused),
  /** To be read out to whoever helps: it says which run this was, and how it ended. */
  support: Schema.String
}).annotate({ identifier: "Run" })
export type RunView = typeof RunView.Type

const Current = Schema.Struct({ run: Schema.NullOr(RunView) }).annotate({ identifier: "Current" })

/** What everybody may know who stands before the device. */
export const DoorAnswer = Schema.Struct({
  name: Schema.String,
  enrolled: Schema.Boolean,
  /** Whether anybody can log in: not before the first fetch. */
  peopled: Schema.Boolean,
  central: Schema.String,
  language: Schema.String,
  /** The first fetch, while nobody can log in to look at it; nothing else is shown here. */
  first: Schema.NullOr(
    Schema.Struct({
      state: RunState,
      bars: Schema.Array(Bar),
      refused: Schema.NullOr(Refused),
      support: Schema.String
    })
  )
}).annotate({ identifier: "Door" })

/** Who central says that it is, before anything is said to it. */
const PeerAnswer = Schema.Struct({
  fingerprint: Schema.NullOr(Schema.String),
  /** Whether the system's authorities vouch for it, or it was confirmed before. */
  known: Schema.Boolean,
  refused: Schema.NullOr(Refused)
}).annotate({ identifier: "Peer" })

const EnrolPost = Schema.Struct({
  ...LoginPost.fields,
  name: Text(CLIENT_NAME_MAX),
  /** The fingerprint that a person compared; null where the certificate is known. */
  fingerprint: Schema.NullOr(Schema.String.check(Schema.isMaxLength(200)))
}).annotate({ identifier: "EnrolPost" })

const EnrolAnswer = Schema.Struct({ refused: Schema.NullOr(Refused) }).annotate({
  identifier: "Enrolled"
})

export const OverviewAnswer = Schema.Struct({
  name: Schema.String,
  organisations: Schema.Array(OrganisationId),
  tests: Schema.Struct({ here: Schema.Int, wanted: Schema.Int }),
  /** When the last change came, by either road. */
  fetchedAt: Schema.NullOr(Schema.Int),
  /** Results that have no receipt yet; and with the sessions and logs that go with them. */
  results: Schema.Int,
  waiting: Schema.Int,
  /** Tests that are not finished. */
  inProgress: Schema.Int,
  now: Schema.Int,
  run: Schema.NullOr(RunView)
}).annotate({ identifier: "Overview" })

export const RunPost = Schema.Struct({
  kind: RunKind,
  /** The stick: one of those that are listed, or a folder from the settings. */
  path: Schema.NullOr(Schema.String.check(Schema.isMaxLength(PATH_MAX))),
  dryRun: Schema.Boolean,
  confirmRemovals: Schema.Boolean
}).annotate({ identifier: "RunPost" })

const MediaAnswer = Schema.Struct({
  media: Schema.Array(
    Schema.Struct({
      path: Schema.String,
      name: Schema.String,
      free: Schema.NullOr(Schema.Int),
      total: Schema.NullOr(Schema.Int),
      writable: Schema.Boolean
    })
  )
}).annotate({ identifier: "Media" })

const Said = Schema.Struct({ ...Finding.fields, text: Schema.String })

/** Findings with their words in the language that was asked for. */
const ReadinessAnswer = Schema.Struct({
  at: Schema.Int,
  level: Finding.fields.level,
  device: Schema.Array(Said),
  rooms: Schema.Array(Schema.Struct({ ...RoomReadiness.fields, findings: Schema.Array(Said) }))
}).annotate({ identifier: "Readiness" })

const DoctorAnswer = Schema.Struct({
  device: Schema.Array(Said),
  central: Schema.Struct({
    program: Schema.NullOr(Schema.String),
    /** Whether central still works with this program. */
    support: Schema.NullOr(Schema.Literals(["supported", "too-old", "too-new", "unreadable"])),
    millis: Schema.NullOr(Schema.Int),
    ahead: Schema.NullOr(Schema.Int),
    refused: Schema.NullOr(Refused)
  })
}).annotate({ identifier: "Doctor" })

const language = { language: Schema.optionalKey(Schema.Literals(["en", "fr"])) }

const Access = HttpApiGroup.make("manager-access").add(
  HttpApiEndpoint.get("door", "/manager/v1/door", { success: DoorAnswer }),
  HttpApiEndpoint.get("peer", "/manager/v1/peer", { success: PeerAnswer }),
  HttpApiEndpoint.post("enrol", "/manager/v1/enrol", {
    payload: EnrolPost,
    success: EnrolAnswer,
    error: [P400, P403, P409, P429]
  }),
  HttpApiEndpoint.post("first", "/manager/v1/first", {
    success: HttpApiSchema.NoContent,
    error: [P403, P409]
  }),
  HttpApiEndpoint.post("login", "/manager/v1/login", {
    payload: LoginPost,
    success: LoginAnswer,
    error: [P400, P403, P429, P503]
  })
)

const Manager = HttpApiGroup.make("manager")
  .add(
    HttpApiEndpoint.post("logout", "/manager/v1/logout", { success: HttpApiSchema.NoContent }),
    HttpApiEndpoint.get("overview", "/manager/v1/overview", {
      success: OverviewAnswer,
      error: P403
    }),
    HttpApiEndpoint.get("run", "/manager/v1/run", { success: Current, error: P403 }),
    HttpApiEndpoint.post("start", "/manager/v1/run", {
      payload: RunPost,
      success: RunView,
      error: [P400, P403, P409]
    }),
    HttpApiEndpoint.post("cancel", "/manager/v1/run/cancel", { success: Current, error: P403 }),
    HttpApiEndpoint.get("media", "/manager/v1/media", { success: MediaAnswer, error: P403 }),
    HttpApiEndpoint.get("history", "/manager/v1/history", {
      success: Schema.Struct({ entries: Schema.Array(HistoryEntry) }),
      error: P403
    }),
    HttpApiEndpoint.get("readiness", "/manager/v1/readiness", {
      query: { at: Schema.optionalKey(Schema.FiniteFromString), ...language },
      success: ReadinessAnswer,
      error: [P400, P403]
    }),
    HttpApiEndpoint.get("doctor", "/manager/v1/doctor", {
      query: language,
      success: DoctorAnswer,
      error: P403
    })
  )
  .middleware(LoggedIn)

export const ManagerApi = HttpApi.make("testferry-manager")
  .add(Access)
  .add(Manager)
  .annotateMerge(
    OpenApi.annotations({
      title: "Testferry device: the sync manager's door",
      version: PROGRAM_VERSION,
      description:
        "What the page of the sync manager asks of a device: where it stands, and the runs that " +
        "fetch tests and send results. One run at a time, the same for every window."
    })
  )

export const MANAGER_ROUTES = Object.values(ManagerApi.groups).flatMap((group) =>
  Object.values(group.endpoints).map(({ method, path }) => ({ method, pattern: path }))
)
