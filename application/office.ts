/** Lets people of the office in at central, and shows them what has come home; without any key. */
import { Clock, Effect, Option, Schema, Stream } from "effect"
import { centerCompleteness } from "../domain/completeness.ts"
import type { HistoryEntry } from "../domain/history.ts"
import type { EntityId } from "../domain/id.ts"
import { CentralStage } from "../domain/lifecycle.ts"
import { foldedLogin } from "../domain/login.ts"
import { ALL_RESULTS } from "../domain/opening.ts"
import { Devices } from "./bundle-ports.ts"
import { deliveriesComplete } from "./completeness.ts"
import { HISTORY_LOOKED_AT } from "./fleet.ts"
import {
  type Account,
  Accounts,
  Catalogue,
  Hashing,
  History,
  LoginTries,
  Passwords
} from "./ports.ts"
import { OpenedResults, Records } from "./record-ports.ts"
import { Tokens } from "./token-ports.ts"

/** Nobody is logged in by this token, or was idle for too long. */
export class NobodyHere extends Schema.TaggedError<NobodyHere>()("NobodyHere", {}) {}

/** Keeps the office's tokens apart from those of devices: no client has an id like this. */
const SUBJECT = "office/"

/**
 * Opens an account with its password. Fails with WrongPassword, alike for logins that nobody has, or
 * TooManyTries; the try is counted before the derivation starts, so that many at once all count.
 */
export const enterOffice = Effect.fn("enterOffice")(function* (login: string, password: string) {
  const accounts = yield* Accounts
  const hashing = yield* Hashing
  const passwords = yield* Passwords
  const tries = yield* LoginTries
  const now = yield* Clock.currentTimeMillis
  const tag = hashing.sha256(`testferry/office-tries/1|${foldedLogin(login)}`)
  yield* tries.admit(tag, now)
  yield* tries.failed(tag, now)
  const account = Option.getOrUndefined(yield* accounts.find(login))
  if (account === undefined) return yield* passwords.decoy(password)
  yield* passwords.unwrap(account.id, account.wrap, password)
  yield* tries.clear(tag)
  return account
})

/**
 * A token that lets somebody in for as long as central's tokens live. It is signed, so that any of
 * several processes of one central knows it; the account is looked up anew at every request.
 */
export const officeToken = Effect.fn("officeToken")(function* (account: Account) {
  const tokens = yield* Tokens
  return yield* tokens.issue(
    `${SUBJECT}${foldedLogin(account.login)}`,
    yield* Clock.currentTimeMillis
  )
})

export const whoIsHere = Effect.fn("whoIsHere")(function* (token: string) {
  const accounts = yield* Accounts
  const tokens = yield* Tokens
  const subject = Option.getOrElse(
    yield* tokens.verify(token, yield* Clock.currentTimeMillis),
    () => ""
  )
  if (!subject.startsWith(SUBJECT)) return yield* new NobodyHere()
  const account = yield* accounts.find(subject.slice(SUBJECT.length))
  return yield* Effect.mapError(Effect.fromOption(account), () => new NobodyHere())
})

/** Every delivery, and of each the centers at which it may be sat. */
export const completenessByCenter = Effect.fn("completenessByCenter")(function* () {
  const catalogue = yield* Catalogue
  const eligible = new Map<EntityId, Map<EntityId, Set<EntityId>>>()
  yield* Stream.runForEach(catalogue.list("eligibility"), (record) =>
    Effect.sync(() => {
      if (record.kind !== "eligibility") return
      const centers = eligible.get(record.delivery) ?? new Map<EntityId, Set<EntityId>>()
      const people = centers.get(record.testCenter) ?? new Set()
      for (const id of record.testTakers) people.add(id)
      eligible.set(record.delivery, centers.set(record.testCenter, people))
    })
  )
  const centers = new Set([...eligible.values()].flatMap((one) => [...one.keys()]))
  const labels = yield* labelsOf([...centers])
  return (yield* deliveriesComplete(undefined)).map(({ missing, notSat, ...counts }) => ({
    ...counts,
    notSat: notSat.length,
    missing: missing.length,
    centers: [...(eligible.get(counts.delivery) ?? [])].map(([id, people]) =>
      centerCompleteness({ id, label: labels(id), eligible: people }, { missing, notSat })
    )
  }))
})

const labelsOf = Effect.fnUntraced(function* (ids: ReadonlyArray<EntityId>) {
  const catalogue = yield* Catalogue
  const known = yield* catalogue.byIds(ids)
  return (id: EntityId): string => {
    const record = known.get(id)
    return record !== undefined && "label" in record ? record.label : id
  }
})

/** So many lines of what is aside are shown; whoever has more has one cause, not so many. */
const ASIDE_SHOWN = 500

/** How many results are in each state, and what is kept but not accepted. */
export const resultsHere = Effect.fn("resultsHere")(function* () {
  const devices = yield* Devices
  const records = yield* Records
  const states = yield* Effect.forEach(CentralStage.literals, (state) =>
    Effect.map(records.countResults(ALL_RESULTS, [state]), (count) => ({ state, count }))
  )
  const aside = yield* Stream.runCollect(
    Stream.take(records.list({ ...EVERYTHING, stages: ["quarantined"] }), ASIDE_SHOWN)
  )
  const bundles = yield* devices.quarantined
  return {
    states,
    aside: aside.map(({ altered, device, entry, reason, receivedAt }) => ({
      device,
      kind: entry.kind,
      number: entry.number,
      sha256: entry.sha256,
      reason,
      altered,
      at: receivedAt
    })),
    bundles: bundles
      .slice(-ASIDE_SHOWN)
      .map(({ at, code, detail, device }) => ({ at, code, detail, device }))
  }
})

const EVERYTHING = {
  kind: undefined,
  stages: undefined,
  delivery: undefined,
  organisation: undefined,
  device: undefined
} as const

export interface HistoryFilter {
  readonly verb?: HistoryEntry["verb"] | undefined
  readonly outcome?: HistoryEntry["outcome"] | undefined
  /** A part of the device's id or of the name of who did it, in any case. */
  readonly who?: string | undefined
}

/** What happened, newest first, of the newest 10,000 entries. */
export const historyOf = Effect.fn("historyOf")(function* (filter: HistoryFilter) {
  const history = yield* History
  const who = foldedLogin(filter.who ?? "")
  return (yield* history.recent(HISTORY_LOOKED_AT)).filter(
    (entry) =>
      (filter.verb === undefined || entry.verb === filter.verb) &&
      (filter.outcome === undefined || entry.outcome === filter.outcome) &&
      foldedLogin(`${entry.device ?? ""} ${entry.who}`).includes(who)
  )
})

/** The list of opened results says which there are; the documents themselves only an export gives. */
const OPENED_SHOWN = 2_000

export const openedHere = Effect.fn("openedHere")(function* () {
  const opened = yield* OpenedResults
  const records = yield* Records
  const every = opened.list({ delivery: undefined, organisation: undefined }).pipe(
    // Only what is shown is kept: the documents are large.
    Stream.map(({ conflict, device, document, openedAt, sha256 }) => ({
      conflict,
      device,
      sha256,
      openedAt,
      delivery: document.delivery,
      testTaker: document.testTaker,
      attempt: document.attempt
    })),
    Stream.take(OPENED_SHOWN + 1)
  )
  const found = yield* Stream.runCollect(every)
  const shown = found.slice(0, OPENED_SHOWN)
  const states = new Map(
    (yield* records.findAll(shown)).map((one) => [`${one.device} ${one.sha256}`, one.stage])
  )
  const label = yield* labelsOf([
    ...new Set(shown.flatMap(({ delivery, testTaker }) => [delivery, testTaker]))
  ])
  return {
    more: found.length > OPENED_SHOWN,
    results: shown.map((one) => ({
      ...one,
      deliveryLabel: label(one.delivery),
      name: label(one.testTaker),
      state: states.get(`${one.device} ${one.sha256}`) ?? null
    }))
  }
})

/** Who may enrol devices and fetch tests, by organisation. */
export const syncManagers = Effect.fn("syncManagers")(function* () {
  const catalogue = yield* Catalogue
  const found = yield* Stream.runCollect(catalogue.list("sync-manager"))
  return found
    .flatMap((record) => (record.kind === "sync-manager" ? [record] : []))
    .map(({ label, login, organisation }) => ({ label, login, organisation: organisation ?? null }))
    .sort((a, b) => (a.organisation ?? "").localeCompare(b.organisation ?? ""))
})
