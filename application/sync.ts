/**
 * Synchronises a device with central, by whichever carrier the `Central` port stands for.
 *
 * In this order: the data of each organisation, the contents that the deliveries need, and then what
 * this device owes. What fails does not keep the others waiting and never counts as done.
 * One synchronisation at a time: a lease says whose turn it is.
 */
import { Cause, Clock, Effect, Exit, Option, Result, Schema } from "effect"
import type { Kind } from "../domain/entity.ts"
import { keyFromText } from "../domain/entity.ts"
import type { HistoryEntry, KindCounts, Outcome } from "../domain/history.ts"
import { NO_COUNTS } from "../domain/history.ts"
import type { OrganisationId } from "../domain/id.ts"
import { RECORD_KINDS, type RecordKind } from "../domain/ledger.ts"
import { isIdle } from "../domain/plan.ts"
import { type Audited, audit } from "./audit.ts"
import { type FetchedContents, fetchContents, sweepContents } from "./fetch-contents.ts"
import { happened } from "./happened.ts"
import { noticeLoss } from "./notice-loss.ts"
import type { CentralFailure, Membership } from "./ports.ts"
import { DeviceIdentity, Holdings, Lease } from "./ports.ts"
import { type Pulled, type PullOptions, pull, type RemovalNeedsConfirmation } from "./pull.ts"
import { recheck, recheckingAlways, recheckWhenDue } from "./recheck.ts"
import { countOwed, NOTHING_SUBMITTED, type Noted, type Submitted, submit } from "./submit.ts"

/** The device belongs to no central yet. */
export class NotEnrolled extends Schema.TaggedError<NotEnrolled>()("NotEnrolled", {}) {}

export type PullFailure = CentralFailure | RemovalNeedsConfirmation

export interface OrganisationSync {
  readonly organisation: OrganisationId
  readonly pulled: Result.Result<Pulled, PullFailure>
  readonly audited: Option.Option<Audited>
}

export interface Synced {
  readonly organisations: ReadonlyArray<OrganisationSync>
  readonly contents: FetchedContents
  /** What went home; nothing where the carrier takes nothing along. */
  readonly submitted: Submitted
  readonly outcome: Outcome
  readonly dryRun: boolean
  readonly millis: number
}

const NO_CONTENTS: FetchedContents = { wanted: 0, fetched: 0, bytes: 0, failures: [] }

/** With neither `kinds` nor `records` everything is brought and sent; else only what is named. */
export interface SyncOptions extends PullOptions {
  readonly records?: ReadonlyArray<RecordKind>
}

/** Fails with NotEnrolled or SyncRunning; what went wrong on the way is in the report. */
export const sync = Effect.fn("sync")(function* (options: SyncOptions) {
  const identity = yield* DeviceIdentity
  const lease = yield* Lease
  const membership = yield* identity.membership
  if (Option.isNone(membership)) return yield* new NotEnrolled()
  const work = bothWays(membership.value.organisations, options)
  return yield* lease.hold(
    rememberCancelled(
      "sync",
      membership.value,
      Effect.tap(work, (synced) =>
        synced.dryRun ? Effect.void : remember(membership.value, synced)
      )
    )
  )
})

const bothWays = Effect.fnUntraced(function* (
  organisations: ReadonlyArray<OrganisationId>,
  { records, ...options }: SyncOptions
) {
  const bringsNothing = records !== undefined && (options.kinds ?? []).length === 0
  const synced = yield* synchronise(organisations, bringsNothing ? [] : organisations, options)
  const sendsNothing =
    records?.length === 0 || (records === undefined && options.kinds !== undefined)
  if (sendsNothing || centralIsAway(synced)) return synced
  const began = yield* Clock.currentTimeMillis
  const kept = keptByCentral(synced)
  if (!options.dryRun && kept !== undefined) yield* noticeLoss(kept)
  const submitted = options.dryRun
    ? { ...NOTHING_SUBMITTED, owed: yield* countOwed(records) }
    : yield* submit(records)
  const millis = synced.millis + Math.max(0, (yield* Clock.currentTimeMillis) - began)
  return { ...synced, submitted, millis, outcome: withSubmitted(synced.outcome, submitted) }
})

const keptByCentral = ({ organisations }: Synced): number | undefined =>
  organisations
    .flatMap(({ pulled }) => (Result.isSuccess(pulled) ? [pulled.success.newest?.records] : []))
    .find((records) => records !== undefined)

/** Whoever waited for every organisation in vain need not wait once more. */
const centralIsAway = ({ organisations }: Synced): boolean =>
  organisations.length > 0 &&
  organisations.every(
    ({ pulled }) => Result.isFailure(pulled) && pulled.failure._tag === "CentralAway"
  )

/** Trouble with records never makes less of the data; records that arrived make more of nothing. */
const withSubmitted = (outcome: Outcome, { failure, kept, refused }: Submitted): Outcome => {
  const arrived = Object.keys(kept).length > 0
  if (outcome === "failed") return arrived ? "incomplete" : "failed"
  if (failure !== null || refused.length > 0) return "incomplete"
  return outcome === "unchanged" && arrived ? "done" : outcome
}

/**
 * Does the work for whoever holds the lease, and leaves it to them to remember it. Pulls the data of
 * `pulling`, and then the contents that all `organisations` of the device need.
 */
export const synchronise = Effect.fn("synchronise")(function* (
  organisations: ReadonlyArray<OrganisationId>,
  pulling: ReadonlyArray<OrganisationId>,
  options: PullOptions
) {
  const began = yield* Clock.currentTimeMillis
  const done: Array<OrganisationSync> = []
  for (const organisation of pulling) done.push(yield* syncOrganisation(organisation, options))
  const contents = yield* syncContents(organisations, done, options).pipe(
    recheckingAlways(organisations)
  )
  const now = yield* Clock.currentTimeMillis
  return {
    organisations: done,
    contents,
    submitted: NOTHING_SUBMITTED,
    outcome: outcomeOf(done, contents),
    dryRun: options.dryRun,
    millis: Math.max(0, now - began)
  } satisfies Synced
})

const syncContents = Effect.fnUntraced(function* (
  organisations: ReadonlyArray<OrganisationId>,
  done: ReadonlyArray<OrganisationSync>,
  options: PullOptions
) {
  const reached = done.some((one) => Result.isSuccess(one.pulled))
  const bringsContents = options.kinds === undefined || options.kinds.includes("delivery")
  const contents =
    !options.dryRun && reached && bringsContents ? yield* fetchContents(organisations) : NO_CONTENTS
  const moved = done.some(
    (one) => Result.isSuccess(one.pulled) && one.pulled.success.plan.remove.length > 0
  )
  if (moved && !options.dryRun && !(yield* someCondemned(organisations))) {
    yield* sweepContents(organisations)
  }
  return contents
})

/** Nobody knows which content a delivery needs that can't be read. */
const someCondemned = Effect.fnUntraced(function* (organisations: ReadonlyArray<OrganisationId>) {
  const holdings = yield* Holdings
  for (const organisation of organisations) {
    if (yield* holdings.condemned(organisation)) return true
  }
  return false
})

const syncOrganisation = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  options: PullOptions
) {
  const whole = !options.dryRun && options.kinds === undefined
  const rechecked = whole && (yield* recheckWhenDue(organisation))
  // Before the pull, so that the audit after it mends what the contents are chosen by.
  const readable = recheckingAlways([organisation])
  const holdings = yield* Holdings
  yield* readable(holdings.deliveries(organisation))
  const pulled = yield* Effect.result(readable(pull(organisation, options)))
  const differs = Result.isSuccess(pulled) && pulled.success.same === false
  if (!differs) return { organisation, pulled, audited: Option.none() } satisfies OrganisationSync
  if (!rechecked) yield* recheck(organisation)
  const mended = yield* Effect.result(readable(audit(organisation, pulled.success.head, options)))
  return Result.isFailure(mended)
    ? { organisation, pulled: Result.fail(mended.failure), audited: Option.none<Audited>() }
    : { organisation, pulled, audited: Option.some(mended.success) }
})

const outcomeOf = (
  organisations: ReadonlyArray<OrganisationSync>,
  contents: FetchedContents
): Outcome => {
  const failed = organisations.filter((one) => Result.isFailure(one.pulled)).length
  if (failed > 0 && failed === organisations.length) return "failed"
  if (failed > 0 || contents.failures.length > 0) return "incomplete"
  const idle = organisations.every(
    (one) =>
      Result.isSuccess(one.pulled) && isIdle(one.pulled.success.plan) && Option.isNone(one.audited)
  )
  return idle && contents.fetched === 0 ? "unchanged" : "done"
}

/** Counts of what a synchronisation did, by kind. */
export const countsOf = (synced: Synced): HistoryEntry["counts"] => {
  const counts = new Map<Kind | RecordKind, KindCounts>()
  const add = (keys: ReadonlyArray<string>, field: keyof typeof NO_COUNTS) => {
    for (const key of keys) {
      const { kind } = keyFromText(key)
      const before = counts.get(kind) ?? NO_COUNTS
      counts.set(kind, { ...before, [field]: before[field] + 1 })
    }
  }
  for (const { pulled } of synced.organisations) {
    if (Result.isFailure(pulled)) continue
    const { create, held, keep, remove, update } = pulled.success.plan
    add(create, "created")
    add(update, "updated")
    add(remove, "deleted")
    add(keep, "kept")
    add(held, "held")
  }
  const { kept, refused } = synced.submitted
  for (const kind of RECORD_KINDS) {
    const failed = refused.filter((one) => one.kind === kind).length
    const uploaded = kept[kind] ?? 0
    if (uploaded + failed > 0) counts.set(kind, { ...NO_COUNTS, uploaded, failed })
  }
  return Object.fromEntries(counts)
}

/** What went wrong, as codes for the history: doors make sentences of them. */
export const reasonOf = (synced: Synced): string =>
  [
    ...synced.organisations.flatMap(({ organisation, pulled }) =>
      Result.isFailure(pulled) ? [`${organisation}: ${pulled.failure._tag}`] : []
    ),
    ...synced.organisations.flatMap(({ organisation, pulled }) =>
      Result.isSuccess(pulled) && pulled.success.anew ? [`${organisation}: compared anew`] : []
    ),
    ...synced.organisations.flatMap(({ audited, organisation }) =>
      Option.isSome(audited)
        ? [`${organisation}: mended ${audited.value.mended + audited.value.removed}`]
        : []
    ),
    ...synced.contents.failures.map(({ why }) => `content: ${why._tag}`),
    ...namely("in quarantine", synced.submitted.quarantined),
    ...namely("not sent", synced.submitted.refused),
    ...(synced.submitted.failure === null ? [] : [`sending: ${synced.submitted.failure._tag}`])
  ].join("; ")

/** One line for each, or for the first few of many: all of them are in the outbox. */
const namely = (what: string, records: ReadonlyArray<Noted>): ReadonlyArray<string> => {
  const more = records.length - NAMED_MAX
  return [
    ...records
      .slice(0, NAMED_MAX)
      .map(({ id, kind, reason }) => `${what}: ${kind} ${id}: ${reason}`),
    ...(more > 0 ? [`${what}: ${more} more`] : [])
  ]
}

const NAMED_MAX = 5

const remember = Effect.fnUntraced(function* (membership: Membership, synced: Synced) {
  // A device that asks every minute whether there is news would bury what happened.
  if (synced.outcome === "unchanged") return
  yield* happened({
    verb: "sync",
    who: "device",
    device: membership.device,
    outcome: synced.outcome,
    counts: countsOf(synced),
    bytes: synced.contents.bytes + synced.submitted.bytes,
    millis: synced.millis,
    reason: reasonOf(synced)
  })
})

/** A cancelled synchronisation leaves the state before it, and this entry. */
export const rememberCancelled = <A, E, R>(
  verb: "sync" | "import",
  membership: Membership,
  effect: Effect.Effect<A, E, R>
) =>
  Effect.onExit(effect, (exit) =>
    Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)
      ? Effect.gen(function* () {
          yield* happened({
            verb,
            who: "device",
            device: membership.device,
            outcome: "cancelled",
            reason: ""
          })
        })
      : Effect.void
  )
