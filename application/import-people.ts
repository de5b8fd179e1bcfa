/**
 * Imports users from a roster: upserts them by login.
 *
 * Each person has a key of their own, wrapped by the password; central keeps the recipient and
 * forgets the rest (format §3.5). Wrapping is slow by design, so it is done before the transaction,
 * on all cores, and what is done is kept under the file's digest: the same file given again goes
 * on where it stopped. A password that still opens a person's wrap leaves that wrap alone.
 */
import { Clock, Effect, Option, Redacted, Ref, Schema, Stream } from "effect"
import { canonical } from "../domain/canonical.ts"
import type { PersonKind } from "../domain/entity.ts"
import type { Digest, EntityId } from "../domain/id.ts"
import { OrganisationId } from "../domain/id.ts"
import { emptyReport, type RowOutcome, reportWith } from "../domain/import-report.ts"
import { PersonRecord, personName } from "../domain/record.ts"
import type { RosterItem, UserRow } from "../domain/roster.ts"
import {
  applicable,
  ensureOrganisations,
  type Imported,
  type ImportJob,
  inOneTransaction,
  isApplicable,
  problem,
  rememberImport
} from "./import.ts"
import { Catalogue, ImportWork, type Paid, Passwords, Secrets } from "./ports.ts"
import { report } from "./progress.ts"
import { refresh } from "./refresh.ts"

/** The file leaves passwords empty, and there is nowhere to write those that central makes. */
export class PasswordSheetNeeded extends Schema.TaggedError<PasswordSheetNeeded>()(
  "PasswordSheetNeeded",
  { people: Schema.Int }
) {}

/** Where generated passwords go: durable when `append` returns; `finish` leaves one line a login. */
export interface PasswordSheet {
  readonly append: (
    lines: ReadonlyArray<{ readonly login: string; readonly password: string }>
  ) => Effect.Effect<void>
  readonly finish: Effect.Effect<void>
}

export interface PeopleJob<E> extends ImportJob<UserRow, E> {
  readonly kind: PersonKind
  /** The digest of the file, under which paid work is kept. */
  readonly file: Digest
  readonly sheet: Option.Option<PasswordSheet>
  /** Wraps made at a time: the number of cores. */
  readonly width: number
}

/** How long the work of an import that broke off is kept for the same file. */
const WORK_MILLIS = 30 * 24 * 3_600_000

type Row = Extract<RosterItem<UserRow>, { readonly _tag: "Row" }>

export const importPeople = Effect.fn("importPeople")(function* <E>(job: PeopleJob<E>) {
  const began = yield* Clock.currentTimeMillis
  const checked = yield* checkPeople(job)
  if (!isApplicable(job, checked.report)) {
    const passwords = { toMake: checked.generated, toWrap: checked.wraps }
    return { report: checked.report, applied: false, offered: 0, passwords } satisfies Imported
  }
  if (checked.generated > 0 && Option.isNone(job.sheet)) {
    return yield* new PasswordSheetNeeded({ people: checked.generated })
  }
  yield* wrapPeople(job, checked.wraps)
  return yield* applyPeople(job, began)
})

/** Reads the whole roster and says what would become of each row, without changing anything. */
const checkPeople = Effect.fnUntraced(function* <E>(job: PeopleJob<E>) {
  let summary = emptyReport
  let generated = 0
  let wraps = 0
  yield* Stream.runForEach(job.read(), (piece) =>
    Effect.gen(function* () {
      const known = yield* knownPeople(piece.items)
      const paid = yield* paidFor(job.file, piece.items, known)
      summary = reportWith(
        summary,
        piece.items.map((item) => outcome(item, job.kind, known))
      )
      for (const item of piece.items) {
        if (item._tag !== "Row" || paid.has(personName(item.row.login))) continue
        const person = known.get(personName(item.row.login))
        if (person === undefined && item.row.password === undefined) generated += 1
        if (person === undefined || item.row.password !== undefined) wraps += 1
      }
      yield* report({
        kind: "check",
        label: "Checking rows",
        phase: piece.bytesRead >= piece.bytesTotal ? "finished" : "running",
        done: summary.created + summary.updated + summary.unchanged + summary.failed,
        bytes: piece.bytesRead,
        totalBytes: piece.bytesTotal
      })
    })
  )
  return { report: summary, generated, wraps }
})

/** Pays for every wrap that is not paid for yet, batch by batch, on all cores. */
const wrapPeople = Effect.fnUntraced(function* <E>(job: PeopleJob<E>, total: number) {
  const done = yield* Ref.make(0)
  const step = Effect.flatMap(
    Ref.updateAndGet(done, (n) => n + 1),
    (n) =>
      report({
        kind: "passwords",
        label: "Wrapping keys by password",
        phase: n >= total ? "finished" : "running",
        done: Math.min(n, total),
        total
      })
  )
  yield* Stream.runForEach(job.read(), (piece) =>
    Effect.gen(function* () {
      const known = yield* knownPeople(piece.items)
      const paid = yield* paidFor(job.file, piece.items, known)
      const due = piece.items.filter(
        (item): item is Row =>
          item._tag === "Row" &&
          !paid.has(personName(item.row.login)) &&
          mayBe(job.kind, known.get(personName(item.row.login))) &&
          (item.row.password !== undefined || !known.has(personName(item.row.login)))
      )
      // A batch is what an interruption can cost: a few seconds of all cores.
      for (let at = 0; at < due.length; at += job.width * 8) {
        yield* wrapBatch(job, due.slice(at, at + job.width * 8), known, step)
      }
    })
  )
  if (Option.isSome(job.sheet)) yield* job.sheet.value.finish
})

const wrapBatch = Effect.fnUntraced(function* <E>(
  job: PeopleJob<E>,
  rows: ReadonlyArray<Row>,
  known: ReadonlyMap<string, PersonRecord>,
  step: Effect.Effect<void>
) {
  const work = yield* ImportWork
  const secrets = yield* Secrets
  const lines: Array<{ login: string; password: string }> = []
  const wrapped = yield* Effect.forEach(
    rows,
    Effect.fnUntraced(function* ({ row }) {
      const person = known.get(personName(row.login))
      const chosen = row.password === undefined ? undefined : Redacted.value(row.password)
      const kept = yield* stillOpens(person, chosen)
      const password = chosen ?? (yield* secrets.newPassword)
      if (chosen === undefined) lines.push({ login: row.login, password })
      const paid = kept ?? (yield* newWrap(person, password))
      yield* step
      return { login: personName(row.login), ...paid }
    }),
    { concurrency: job.width }
  )
  // The sheet first: a wrap whose password nobody has would lock a person out.
  if (Option.isSome(job.sheet) && lines.length > 0) yield* job.sheet.value.append(lines)
  yield* work.keep(job.file, wrapped)
})

/** The wrap that a person has, when this password opens it. */
const stillOpens = Effect.fnUntraced(function* (
  person: PersonRecord | undefined,
  password: string | undefined
) {
  if (person === undefined || password === undefined) return undefined
  const passwords = yield* Passwords
  return yield* passwords.unwrap(person.id, person.wrap, password).pipe(
    Effect.as({ user: person.id, wrap: person.wrap } satisfies Paid),
    Effect.catchTag("WrongPassword", () => Effect.succeed(undefined))
  )
})

const newWrap = Effect.fnUntraced(function* (person: PersonRecord | undefined, password: string) {
  const secrets = yield* Secrets
  const user = person?.id ?? (yield* secrets.newId("usr"))
  const ver = (person?.wrap.ver ?? 0) + 1
  const { identity, recipient } = yield* secrets.newIdentity
  const wrap = yield* secrets.wrap({ user, ver, password, identity, recipient })
  return { user, wrap } satisfies Paid
})

/** Writes everything in one transaction, feeds included. */
const applyPeople = Effect.fnUntraced(function* <E>(job: PeopleJob<E>, began: number) {
  const work = yield* ImportWork
  return yield* inOneTransaction(
    Effect.gen(function* () {
      let summary = emptyReport
      // As a dry run sees them, which tries no passwords.
      let seen = emptyReport
      const concerned = new Set<OrganisationId>()
      yield* Stream.runForEach(job.read(), (piece) =>
        Effect.gen(function* () {
          const { looked, outcomes } = yield* putPeople(job, piece.items, concerned)
          seen = reportWith(seen, looked)
          summary = reportWith(summary, outcomes)
          yield* report({
            kind: "people",
            label: "Saving people",
            phase: piece.bytesRead >= piece.bytesTotal ? "finished" : "running",
            done: summary.created + summary.updated + summary.unchanged,
            bytes: piece.bytesRead,
            totalBytes: piece.bytesTotal
          })
        })
      )
      // Rows can go bad while others are wrapped: a login becomes somebody else's.
      yield* applicable({ ...job, agreed: () => job.agreed?.(seen) ?? true }, summary)
      const offered = yield* refresh(concerned)
      yield* rememberImport(job.kind, job, summary, began)
      yield* work.forget(job.file)
      yield* work.forgetOutside(began - WORK_MILLIS, began + WORK_MILLIS)
      return { report: summary, applied: true, offered } satisfies Imported
    })
  )
})

const putPeople = Effect.fnUntraced(function* <E>(
  job: PeopleJob<E>,
  items: ReadonlyArray<RosterItem<UserRow>>,
  concerned: Set<OrganisationId>
) {
  const catalogue = yield* Catalogue
  const known = yield* knownPeople(items)
  const paid = yield* paidFor(job.file, items, known)
  const records: Array<PersonRecord> = []
  const outcomes: Array<RowOutcome> = []
  const looked = items.map((item) => outcome(item, job.kind, known))
  for (const [at, item] of items.entries()) {
    const became = looked[at]
    if (became === undefined) continue
    if (item._tag !== "Row" || became._tag === "Failed") {
      outcomes.push(became)
      continue
    }
    const before = known.get(personName(item.row.login))
    const own = paid.get(personName(item.row.login)) ?? paidAlready(before)
    if (own === undefined) return yield* Effect.die(new Error("a person has no wrap"))
    const record = recordOf(item.row, job.kind, own)
    if (before !== undefined && same(before, record)) {
      outcomes.push({ _tag: "Unchanged", line: item.line })
    } else {
      records.push(record)
      outcomes.push({ _tag: before === undefined ? "Created" : "Updated", line: item.line })
    }
  }
  const ids = records.map((record): EntityId => record.id)
  for (const organisation of yield* catalogue.concerned(ids)) concerned.add(organisation)
  const created = yield* ensureOrganisations(records.flatMap((record) => record.organisation ?? []))
  yield* catalogue.put(records)
  for (const one of yield* catalogue.concerned([...ids, ...created])) concerned.add(one)
  return { looked, outcomes }
})

/** What would become of a row, as far as it can be told without its password. */
const outcome = (
  item: RosterItem<UserRow>,
  kind: PersonKind,
  known: ReadonlyMap<string, PersonRecord>
): RowOutcome => {
  if (item._tag === "Refused") return { _tag: "Failed", line: item.line, problems: item.problems }
  const { line, row } = item
  const person = known.get(personName(row.login))
  if (person === undefined) return { _tag: "Created", line }
  if (!mayBe(kind, person)) {
    const reason = `this login is a ${person.kind}, which an import of another type does not change`
    return { _tag: "Failed", line, problems: [problem(line, "login", reason, row.login)] }
  }
  const unchanged = same(person, recordOf(row, kind, { user: person.id, wrap: person.wrap }))
  return { _tag: unchanged ? "Unchanged" : "Updated", line }
}

const mayBe = (kind: PersonKind, person: PersonRecord | undefined): boolean =>
  person === undefined || person.kind === kind

const recordOf = (row: UserRow, kind: PersonKind, { user, wrap }: Paid): PersonRecord => {
  const { login, label, firstName, lastName, mail, interfaceLanguage, defaultLanguage } = row
  return PersonRecord.make({
    kind,
    id: user,
    login,
    label,
    interfaceLanguage,
    wrap,
    ...(firstName === undefined ? {} : { firstName }),
    ...(lastName === undefined ? {} : { lastName }),
    ...(mail === undefined ? {} : { mail }),
    ...(defaultLanguage === undefined ? {} : { defaultLanguage }),
    ...(row.organisation === undefined
      ? {}
      : { organisation: OrganisationId.make(row.organisation) })
  })
}

const same = (before: PersonRecord, after: PersonRecord): boolean =>
  canonical(before) === canonical(after)

const paidAlready = (person: PersonRecord | undefined): Paid | undefined =>
  person === undefined ? undefined : { user: person.id, wrap: person.wrap }

const loginsOf = (items: ReadonlyArray<RosterItem<UserRow>>): ReadonlyArray<string> =>
  items.flatMap((item) => (item._tag === "Row" ? [personName(item.row.login)] : []))

/** The people that these rows are about, by name, as the catalogue has them now. */
const knownPeople = Effect.fnUntraced(function* (items: ReadonlyArray<RosterItem<UserRow>>) {
  const catalogue = yield* Catalogue
  const known = new Map<string, PersonRecord>()
  for (const [name, record] of yield* catalogue.byNames(loginsOf(items))) {
    if ("wrap" in record) known.set(name, record)
  }
  return known
})

/**
 * Work paid for earlier, but for a login that has become somebody else's meanwhile, or has got
 * another key: two keys under one version would be taken for the same.
 */
const paidFor = Effect.fnUntraced(function* (
  file: Digest,
  items: ReadonlyArray<RosterItem<UserRow>>,
  known: ReadonlyMap<string, PersonRecord>
) {
  const work = yield* ImportWork
  const found = yield* work.find(file, loginsOf(items))
  return new Map([...found].filter(([name, paid]) => stillCounts(paid, known.get(name))))
})

const stillCounts = ({ user, wrap }: Paid, person: PersonRecord | undefined): boolean =>
  person === undefined ||
  (person.id === user && (person.wrap.recipient === wrap.recipient || person.wrap.ver < wrap.ver))
