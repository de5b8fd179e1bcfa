/**
 * Describes what the office's page asks of central, beside the door for devices (`http-api.ts`).
 * Handlers are in `entrypoints/office-routes.ts`.
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
import type { Account } from "../application/ports.ts"
import { CenterCompleteness } from "../domain/completeness.ts"
import { Signed } from "../domain/enrolment.ts"
import { Carrier, FleetFinding } from "../domain/fleet.ts"
import { HistoryEntry } from "../domain/history.ts"
import { DeviceId, Digest, EntityId, OrganisationId, Text } from "../domain/id.ts"
import { ImportReport } from "../domain/import-report.ts"
import { OfficeRole } from "../domain/office-role.ts"
import { Level } from "../domain/readiness.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import { RosterKind } from "../domain/roster.ts"
import { SPOKEN_MAX } from "../domain/spoken-words.ts"
import { Brought } from "../domain/waiting.ts"
import { officeFailure } from "./office-problem.ts"
import { LoginPost } from "./runner-api.ts"
import { failure } from "./runner-door.ts"

const [P400, P401, P403] = [failure(400), failure(401), failure(403)]
const P429 = failure(429)
const P413 = failure(413)
const [O404, O409] = [officeFailure(404), officeFailure(409)]
const [O413, O422] = [officeFailure(413), officeFailure(422)]

export const OFFICE_COOKIE = "testferry-office"
/** A search in the history is a device's id or a login. */
const WHO_MAX = 200

/** Whom the cookie of a request belongs to. */
export class OfficeHere extends Context.Service<OfficeHere, Account>()(
  "testferry/http/OfficeHere"
) {}

/** Asks for the cookie that a login gave. Nothing else opens this door, no device's token either. */
export class OfficeLoggedIn extends HttpApiMiddleware.Service<
  OfficeLoggedIn,
  { provides: OfficeHere }
>()("testferry/http/OfficeLoggedIn", {
  security: { cookie: HttpApiSecurity.apiKey({ key: OFFICE_COOKIE, in: "cookie" }) },
  error: [P401, P403]
}) {}

const Me = Schema.Struct({
  login: Schema.String,
  label: Schema.String,
  role: OfficeRole
}).annotate({ identifier: "Officer" })

const language = { language: Schema.optionalKey(Schema.Literals(["en", "fr"])) }

const Fleet = Schema.Struct({
  now: Schema.Int,
  devices: Schema.Array(
    Schema.Struct({
      device: Schema.String,
      name: Schema.String,
      organisations: Schema.Array(Schema.String),
      state: Schema.Literals(["active", "blocked", "revoked"]),
      program: Schema.NullOr(Schema.String),
      lastContact: Schema.NullOr(Schema.Struct({ at: Schema.Int, carrier: Carrier })),
      /** By the device's own clock. */
      reportedAt: Schema.NullOr(Schema.Int),
      disk: Schema.NullOr(Schema.Struct({ free: Schema.Int, total: Schema.Int })),
      /** Null when the device must begin anew. */
      changes: Schema.NullOr(Schema.Int),
      contents: Schema.Int,
      received: Schema.Int,
      missing: Schema.Int,
      /** As the device last said it; null when it never did. */
      pending: Schema.NullOr(Schema.Int),
      sitting: Schema.NullOr(Schema.Int),
      quarantined: Schema.Int,
      level: Level,
      findings: Schema.Array(Schema.Struct({ ...FleetFinding.fields, text: Schema.String }))
    })
  )
}).annotate({ identifier: "Fleet" })

const Completeness = Schema.Struct({
  deliveries: Schema.Array(
    Schema.Struct({
      delivery: EntityId,
      label: Schema.String,
      eligible: Schema.Int,
      sat: Schema.Int,
      notSat: Schema.Int,
      here: Schema.Int,
      quarantined: Schema.Int,
      missing: Schema.Int,
      without: Schema.Int,
      centers: Schema.Array(CenterCompleteness)
    })
  )
}).annotate({ identifier: "OfficeCompleteness" })

const Aside = { at: Schema.Int, device: Schema.String, why: Schema.String, todo: Schema.String }

const Results = Schema.Struct({
  states: Schema.Array(Schema.Struct({ state: Schema.String, count: Schema.Int })),
  aside: Schema.Array(
    Schema.Struct({ ...Aside, kind: Schema.String, number: Schema.Int, sha256: Schema.String })
  ),
  bundles: Schema.Array(Schema.Struct({ ...Aside, code: Schema.String }))
}).annotate({ identifier: "OfficeResults" })

const Opened = Schema.Struct({
  more: Schema.Boolean,
  results: Schema.Array(
    Schema.Struct({
      delivery: EntityId,
      deliveryLabel: Schema.String,
      testTaker: EntityId,
      name: Schema.String,
      device: Schema.String,
      sha256: Schema.String,
      attempt: Schema.Int,
      openedAt: Schema.Int,
      conflict: Schema.Boolean,
      state: Schema.NullOr(Schema.String)
    })
  )
}).annotate({ identifier: "OpenedResults" })

const historyQuery = {
  verb: Schema.optionalKey(HistoryEntry.fields.verb),
  outcome: Schema.optionalKey(HistoryEntry.fields.outcome),
  who: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(WHO_MAX)))
}

/** The notes of a stick: what more there is comes with the next try. */
const NOTES_AT_ONCE = 200
/** A file's name, by which the page says what became of it. */
const FILE_NAME_MAX = 255
/** A sentence or two that everybody at the office reads. */
const REASON_MAX = 500

const WaitingRequest = {
  id: Digest,
  name: Schema.String,
  words: Schema.String,
  program: Schema.String,
  /** By the device's own clock. */
  createdAt: Schema.Int,
  cameAt: Schema.Int,
  by: Schema.String
}

const Waiting = Schema.Struct({
  now: Schema.Int,
  waiting: Schema.Array(
    Schema.Struct({
      ...WaitingRequest,
      /** What central knows of a device with this key already. */
      known: Schema.NullOr(
        Schema.Struct({
          device: Schema.String,
          name: Schema.String,
          state: Schema.Literals(["active", "blocked", "revoked"])
        })
      )
    })
  ),
  decided: Schema.Array(
    Schema.Struct({
      ...WaitingRequest,
      state: Schema.Literals(["approved", "refused"]),
      at: Schema.Int,
      decidedBy: Schema.String,
      device: Schema.NullOr(DeviceId),
      organisations: Schema.Array(OrganisationId),
      reason: Schema.String
    })
  ),
  organisations: Schema.Array(OrganisationId),
  /** What the school compares before it takes the answer. */
  centralWords: Schema.String
}).annotate({ identifier: "WaitingDevices" })

const request = { id: Digest }

/** For administrators: who lets a device in answers for what it may fetch. */
const Devices = HttpApiGroup.make("office-devices")
  .add(
    HttpApiEndpoint.get("waiting", "/office/v1/waiting", { success: Waiting, error: P403 }),
    HttpApiEndpoint.post("bring", "/office/v1/waiting", {
      payload: Schema.Struct({
        requests: Schema.Array(
          Schema.Struct({
            name: Schema.String.check(Schema.isMaxLength(FILE_NAME_MAX)),
            note: Signed
          })
        ).check(Schema.isMaxLength(NOTES_AT_ONCE))
      }).annotate({ identifier: "RequestsPost" }),
      success: Schema.Struct({
        brought: Schema.Array(Schema.Struct({ name: Schema.String, outcome: Brought }))
      }),
      error: [P400, P403, P413]
    }),
    HttpApiEndpoint.post("approve", "/office/v1/waiting/:id/approve", {
      params: request,
      payload: Schema.Struct({
        /** As somebody heard them on the phone. */
        words: Schema.String.check(Schema.isMaxLength(SPOKEN_MAX)),
        organisation: Schema.NullOr(OrganisationId)
      }).annotate({ identifier: "ApprovalPost" }),
      success: Schema.Struct({ device: DeviceId, organisations: Schema.Array(OrganisationId) }),
      error: [P400, P403, O404, O409]
    }),
    HttpApiEndpoint.post("refuse", "/office/v1/waiting/:id/refuse", {
      params: request,
      payload: Schema.Struct({ reason: Text(REASON_MAX) }).annotate({ identifier: "RefusalPost" }),
      success: HttpApiSchema.NoContent,
      error: [P400, P403, O404, O409]
    }),
    HttpApiEndpoint.get("answer", "/office/v1/waiting/:id/answer.zip", {
      params: request,
      success: HttpApiSchema.StreamUint8Array(),
      error: [P403, O404]
    })
  )
  .middleware(OfficeLoggedIn)

/** What came of a roster, or would come of it. */
const RosterImport = Schema.Struct({
  /** Names file and outcome together: what is imported must come to just this. */
  seen: Digest,
  applied: Schema.Boolean,
  offered: Schema.Int,
  report: ImportReport,
  passwords: Schema.NullOr(Schema.Struct({ toMake: Schema.Int, toWrap: Schema.Int }))
}).annotate({ identifier: "RosterImport" })

/** The body is the file itself (`text/csv`), read only once its sender was let in. */
const Imports = HttpApiGroup.make("office-imports")
  .add(
    HttpApiEndpoint.post("roster", "/office/v1/imports/:kind", {
      params: { kind: RosterKind },
      query: {
        name: Schema.String.check(Schema.isMaxLength(FILE_NAME_MAX)),
        /** Of the preview that somebody agreed to; without it nothing is changed. */
        seen: Schema.optionalKey(Digest),
        /** Leaves the refused lines out instead of refusing the file. */
        keepGoing: Schema.optionalKey(Schema.Literal("yes"))
      },
      success: RosterImport,
      error: [P400, P403, O409, O413, O422]
    })
  )
  .middleware(OfficeLoggedIn)

const Access = HttpApiGroup.make("office-access").add(
  HttpApiEndpoint.post("login", "/office/v1/login", {
    payload: LoginPost,
    success: Me,
    error: [P400, P403, P429]
  }),
  HttpApiEndpoint.post("logout", "/office/v1/logout", { success: HttpApiSchema.NoContent })
)

const Pages = HttpApiGroup.make("office-pages")
  .add(
    HttpApiEndpoint.get("me", "/office/v1/me", { success: Me }),
    HttpApiEndpoint.get("fleet", "/office/v1/fleet", { query: language, success: Fleet }),
    HttpApiEndpoint.get("completeness", "/office/v1/completeness", { success: Completeness }),
    HttpApiEndpoint.get("results", "/office/v1/results", { query: language, success: Results }),
    HttpApiEndpoint.get("opened", "/office/v1/opened", { success: Opened, error: P403 }),
    HttpApiEndpoint.get("managers", "/office/v1/managers", {
      success: Schema.Struct({
        managers: Schema.Array(
          Schema.Struct({
            login: Schema.String,
            label: Schema.String,
            organisation: Schema.NullOr(Schema.String)
          })
        )
      })
    }),
    HttpApiEndpoint.get("history", "/office/v1/history", {
      query: historyQuery,
      success: Schema.Struct({ entries: Schema.Array(HistoryEntry), more: Schema.Boolean }),
      error: P400
    }),
    HttpApiEndpoint.get("historyTable", "/office/v1/history.csv", {
      query: historyQuery,
      success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/csv" })),
      error: P400
    })
  )
  .middleware(OfficeLoggedIn)

export const OfficeApi = HttpApi.make("testferry-office")
  .add(Access)
  .add(Pages)
  .add(Devices)
  .add(Imports)
  .annotateMerge(
    OpenApi.annotations({
      title: "Testferry central: the office's door",
      version: PROGRAM_VERSION,
      description:
        "What the page of the office asks of central: how the devices are, what has come home, and " +
        "what happened; and what administrators do there. Nothing here needs the results key."
    })
  )

export const OFFICE_ROUTES = Object.values(OfficeApi.groups).flatMap((group) =>
  Object.values(group.endpoints).map(({ method, path }) => ({ method, pattern: path }))
)
