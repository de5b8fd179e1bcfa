/** What a person can ask of a device: each command decodes, calls one verb, and words its errors. */
import { Clock, Effect, type Layer, Option, Redacted, Result, Schema } from "effect"
import { type EndedSessions, endSessions } from "../application/end-sessions.ts"
import { enrol, type Vouching } from "../application/enrol.ts"
import { contentsHere } from "../application/fetch-contents.ts"
import { open } from "../application/open.ts"
import type { Central, CentralDesk, CentralDocuments } from "../application/ports.ts"
import { DeviceIdentity, Executions, History, Holdings } from "../application/ports.ts"
import { recheckingAlways } from "../application/recheck.ts"
import { Refused } from "../application/refused.ts"
import type { Submitted } from "../application/submit.ts"
import { countsOf, type PullFailure, type Synced } from "../application/sync.ts"
import { type DocumentFailure, syncOnline } from "../application/sync-online.ts"
import { CLIENT_NAME_MAX } from "../domain/enrolment.ts"
import { Delivery, Eligibility, Kind, PersonKind, Profile } from "../domain/entity.ts"
import { HistoryEntry, KindCounts, Outcome } from "../domain/history.ts"
import { DeviceId, OrganisationId, Text } from "../domain/id.ts"
import { LedgerEntry } from "../domain/ledger.ts"
import { defineCommand, ItemsLeft, Positive, type ServedCommand } from "./command.ts"
import { fromOldRoot, refusedDocument } from "./document-refusals.ts"
import {
  fromCentral,
  fromNoSpace,
  fromNotEnrolled,
  fromRemoval,
  fromRunning,
  fromTries,
  fromWrongPassword
} from "./refusals.ts"
import { simulateCommand } from "./simulate-session.ts"
import { stickEnrolCommands } from "./stick-enrol-commands.ts"
import type { DevicePorts } from "./wiring.ts"

/** How a command reaches central: built only when a command needs it, and anew each time. */
export interface Reach<R> {
  readonly central: Layer.Layer<Central | CentralDocuments, Refused, R>
  readonly desk: Layer.Layer<CentralDesk, Refused, R>
}

const OrganisationReport = Schema.Struct({
  organisation: OrganisationId,
  head: Schema.NullOr(Schema.Int),
  refused: Schema.NullOr(Refused),
  mended: Schema.Int
})

const NotedRecord = Schema.Struct({
  kind: LedgerEntry.fields.kind,
  id: Schema.String,
  reason: Schema.String
})

/** What went home: `owed` when it began, `kept` with central's receipt. */
const RecordsReport = Schema.Struct({
  owed: Schema.Int,
  kept: Schema.Int,
  quarantined: Schema.Array(NotedRecord),
  refused: Schema.Array(NotedRecord),
  bytes: Schema.Int,
  refusal: Schema.NullOr(Refused)
})

export const SyncReport = Schema.Struct({
  outcome: Outcome,
  dryRun: Schema.Boolean,
  counts: Schema.Record(Schema.String, KindCounts),
  organisations: Schema.Array(OrganisationReport),
  contents: Schema.Struct({
    wanted: Schema.Int,
    fetched: Schema.Int,
    bytes: Schema.Int,
    refused: Schema.Array(Refused)
  }),
  /** Documents that central signs (roots, revocations, certificate) which were not taken over. */
  documents: Schema.Array(Refused),
  records: RecordsReport,
  /** What became of sessions that the operator wanted ended first. */
  sessions: Schema.optionalKey(
    Schema.Struct({
      how: Schema.Literals(["pause", "terminate"]),
      done: Schema.Array(Schema.String),
      needProctor: Schema.Array(Schema.String)
    })
  ),
  millis: Schema.Int,
  exit: ItemsLeft
})
export type SyncReport = typeof SyncReport.Type

export const syncCommand = <R>(reach: Reach<R>) =>
  defineCommand({
    name: "sync",
    side: "device",
    args: Schema.Struct({
      kinds: Schema.NullOr(Schema.Array(Kind)),
      records: Schema.optionalKey(Schema.NullOr(Schema.Array(LedgerEntry.fields.kind))),
      dryRun: Schema.Boolean,
      confirmRemovals: Schema.Boolean,
      endSessions: Schema.optionalKey(Schema.Literals(["pause", "terminate"]))
    }),
    report: SyncReport,
    run: ({ confirmRemovals, dryRun, endSessions: how, kinds, records }) =>
      Effect.gen(function* () {
        const ended = how === undefined || dryRun ? undefined : yield* endSessions(how)
        const { documents, synced } = yield* syncOnline({
          dryRun,
          confirmRemovals,
          ...(kinds === null ? {} : { kinds }),
          ...(records === null || records === undefined ? {} : { records })
        })
        const report = yield* syncReport(synced, documents)
        return how === undefined || ended === undefined ? report : withSessions(report, how, ended)
      }).pipe(
        Effect.catchTags({
          BundleRefused: (error) => Effect.fail(fromOldRoot(error)),
          CentralAway: (error) => Effect.fail(fromOldRoot(error)),
          CentralRefused: (error) => Effect.fail(fromOldRoot(error)),
          CentralInconsistent: (error) => Effect.fail(fromOldRoot(error)),
          NotEnrolled: (error) => Effect.fail(fromNotEnrolled(error)),
          SyncRunning: (error) => Effect.fail(fromRunning(error))
        }),
        Effect.provide(reach.central)
      )
  })

const withSessions = (
  report: SyncReport,
  how: "pause" | "terminate",
  { done, needProctor }: EndedSessions
): SyncReport => ({
  ...report,
  sessions: { how, done, needProctor },
  ...(needProctor.length === 0 ? {} : { exit: 3 as const })
})

/** When nothing at all came about, that is a refusal; when a part did, items are left (status 3). */
export const syncReport = (
  synced: Synced,
  documents: ReadonlyArray<DocumentFailure>
): Effect.Effect<SyncReport, Refused> => {
  const organisations = synced.organisations.map(({ audited, organisation, pulled }) => ({
    organisation,
    head: Result.isSuccess(pulled) ? pulled.success.head : null,
    refused: Result.isSuccess(pulled) ? null : refusedPull(organisation, pulled.failure),
    mended: Option.match(audited, {
      onNone: () => 0,
      onSome: ({ mended, removed }) => mended + removed
    })
  }))
  const [first] = organisations
  if (synced.outcome === "failed" && first?.refused) return Effect.fail(first.refused)
  const { bytes, failures, fetched, wanted } = synced.contents
  return Effect.succeed({
    outcome: synced.outcome,
    dryRun: synced.dryRun,
    counts: countsOf(synced),
    organisations,
    contents: { wanted, fetched, bytes, refused: failures.map(({ why }) => refusedContent(why)) },
    documents: documents.map(refusedDocument),
    records: recordsReport(synced.submitted),
    millis: synced.millis,
    ...(synced.outcome === "incomplete" || documents.length > 0 ? { exit: 3 as const } : {})
  })
}

const recordsReport = ({ failure, kept, ...rest }: Submitted): typeof RecordsReport.Type => ({
  ...rest,
  kept: Object.values(kept).reduce((sum, one) => sum + one, 0),
  refusal: failure === null ? null : refusedSending(failure)
})

const refusedSending = (failure: NonNullable<Submitted["failure"]>): Refused =>
  failure._tag === "ReceiptRefused"
    ? new Refused({
        code: "E_RECEIPT",
        what: "Not all results were sent.",
        why: `Central's receipt does not count: ${failure.detail}.`,
        todo: "Tell the office. Nothing was forgotten; the results are sent again."
      })
    : fromCentral("Not all results were sent.", failure)

const refusedPull = (organisation: OrganisationId, failure: PullFailure): Refused =>
  failure._tag === "RemovalNeedsConfirmation"
    ? fromRemoval(failure)
    : fromCentral(`The data of ${organisation} was not brought up to date.`, failure)

const refusedContent = (why: Synced["contents"]["failures"][number]["why"]): Refused => {
  if (why._tag === "NoSpace") return fromNoSpace(why)
  if (why._tag !== "BlobDamaged") return fromCentral("A test content was not fetched.", why)
  return new Refused({
    code: "E_CONTENT_DAMAGED",
    what: "A test content was fetched, but thrown away.",
    why: "Its bytes are not those that central promised.",
    todo: "Try again. If it stays so, tell the office: the content at central may be damaged."
  })
}

export const enrolCommand = <R>(reach: Reach<R>) =>
  defineCommand({
    name: "device enrol",
    side: "device",
    args: Schema.Struct({
      name: Text(CLIENT_NAME_MAX),
      login: Schema.NullOr(Schema.String),
      password: Schema.NullOr(Schema.Redacted(Schema.String)),
      key: Schema.NullOr(Schema.String),
      secret: Schema.NullOr(Schema.Redacted(Schema.String))
    }),
    report: Schema.Struct({ device: DeviceId, organisations: Schema.Array(OrganisationId) }),
    run: ({ key, login, name, password, secret }) =>
      vouching(login, password, key, secret).pipe(
        Effect.flatMap((proof) => enrol(name, proof)),
        Effect.map(({ device, organisations }) => ({ device, organisations })),
        Effect.mapError((error) =>
          error._tag === "Refused" ? error : fromCentral("The device was not enrolled.", error)
        ),
        Effect.provide(reach.desk)
      )
  })

const vouching = (
  login: string | null,
  password: Redacted.Redacted | null,
  key: string | null,
  secret: Redacted.Redacted | null
): Effect.Effect<Vouching, Refused> => {
  if (login !== null && password !== null) {
    return Effect.succeed({ login, password: Redacted.value(password) })
  }
  if (key !== null && secret !== null)
    return Effect.succeed({ key, secret: Redacted.value(secret) })
  return Effect.fail(
    new Refused({
      code: "E_USAGE",
      what: "The device was not enrolled.",
      why: "Somebody must vouch for it.",
      todo: "Give --login with a sync manager's login, or --credentials KEY:SECRET-FILE.",
      exit: 2
    })
  )
}

const Content = Schema.Union([
  Schema.Struct({ files: Schema.Int, name: Schema.String, bytes: Schema.Int }),
  Schema.Literals(["missing", "no key", "unopenable"])
])

export const openCommand = defineCommand({
  name: "device open",
  side: "device",
  args: Schema.Struct({ login: Schema.String, password: Schema.Redacted(Schema.String) }),
  report: Schema.Struct({
    organisations: Schema.Array(
      Schema.Struct({
        organisation: OrganisationId,
        kind: PersonKind,
        profile: Profile,
        deliveries: Schema.Array(
          Schema.Struct({
            delivery: Delivery,
            eligibility: Eligibility,
            sitting: Schema.Literals(["open", "not-yet", "over"]),
            content: Content
          })
        ),
        roster: Schema.Array(
          Schema.Struct({ center: Schema.String, people: Schema.Array(Profile) })
        )
      })
    )
  }),
  run: ({ login, password }) =>
    open(login, Redacted.value(password)).pipe(
      Effect.map((organisations) => ({ organisations })),
      Effect.catchTags({
        NotEnrolled: (error) => Effect.fail(fromNotEnrolled(error)),
        WrongPassword: (error) => Effect.fail(fromWrongPassword(error)),
        TooManyTries: (error) => Effect.fail(fromTries(error)),
        Unopenable: () => Effect.fail(damagedProfile),
        HoldingDamaged: () => Effect.fail(damagedHolding)
      })
    )
})

const damagedProfile = new Refused({
  code: "E_PROFILE_DAMAGED",
  what: "Nothing was opened.",
  why: "The password is right, but what it opens is damaged on this device.",
  todo: 'Run "testferry sync": it compares everything with central and mends what differs.'
})

const damagedHolding = new Refused({
  code: "E_DATA_DAMAGED",
  what: "Nothing was opened.",
  why: "What this device holds for this login is damaged: its bytes changed on the disk.",
  todo: 'Run "testferry sync": it fetches again from central what is damaged.'
})

export const DeviceStatus = Schema.Struct({
  device: Schema.NullOr(DeviceId),
  organisations: Schema.Array(
    Schema.Struct({
      organisation: OrganisationId,
      version: Schema.Int,
      counts: Schema.Record(Schema.String, Schema.Int),
      keptBack: Schema.Int
    })
  ),
  contents: Schema.Struct({ here: Schema.Int, wanted: Schema.Int }),
  unsettled: Schema.Int,
  lastSync: Schema.NullOr(HistoryEntry),
  now: Schema.Int
})

export const statusCommand = defineCommand({
  name: "device status",
  side: "device",
  args: Schema.Struct({}),
  report: DeviceStatus,
  run: Effect.fn("status")(function* () {
    const identity = yield* DeviceIdentity
    const executions = yield* Executions
    const history = yield* History
    const holdings = yield* Holdings
    const membership = Option.getOrUndefined(yield* identity.membership)
    const member = membership?.organisations ?? []
    const organisations = yield* Effect.forEach(
      member,
      Effect.fnUntraced(function* (organisation) {
        return {
          organisation,
          version: (yield* holdings.cursor(organisation)).version,
          counts: Object.fromEntries(yield* holdings.count(organisation)),
          keptBack: (yield* holdings.keptBack(organisation)).length
        }
      })
    )
    const recent = yield* history.recent(100)
    return {
      device: membership?.device ?? null,
      organisations,
      contents: yield* recheckingAlways(member)(contentsHere(member)),
      unsettled: (yield* executions.unsettled).length,
      lastSync: recent.find((entry) => entry.verb === "sync") ?? null,
      now: yield* Clock.currentTimeMillis
    }
  })
})

export const deviceHistory = defineCommand({
  name: "device history",
  side: "device",
  args: Schema.Struct({ limit: Positive }),
  report: Schema.Struct({ entries: Schema.Array(HistoryEntry), now: Schema.Int }),
  run: Effect.fn("deviceHistory")(function* ({ limit }) {
    const history = yield* History
    return { entries: yield* history.recent(limit), now: yield* Clock.currentTimeMillis }
  })
})

/** All of them, as the control socket serves them. */
export const deviceCommands = (
  reach: Reach<DevicePorts>
): ReadonlyArray<ServedCommand<DevicePorts>> => [
  syncCommand(reach),
  enrolCommand(reach),
  openCommand,
  statusCommand,
  deviceHistory,
  simulateCommand,
  ...stickEnrolCommands
]
