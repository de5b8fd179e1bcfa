/**
 * Imports test centers from a roster: upserts them by organisation and label, links them to their
 * administrators, proctors and sub-centers.
 *
 * When somebody loses access to a center, the center gets a new roster key: whoever had the old one
 * can't read what is sealed from then on.
 */
import { Clock, Effect, Stream } from "effect"
import { canonical } from "../domain/canonical.ts"
import type { EntityId } from "../domain/id.ts"
import { OrganisationId } from "../domain/id.ts"
import { emptyReport, lost, type RowOutcome, reportWith } from "../domain/import-report.ts"
import { CenterRecord, centerName, type PersonRecord, personName } from "../domain/record.ts"
import type { RosterItem, TestCenterRow } from "../domain/roster.ts"
import type { RowProblem } from "../domain/roster-cells.ts"
import {
  ensureOrganisations,
  type Imported,
  type ImportJob,
  isApplicable,
  problem,
  rememberImport
} from "./import.ts"
import { Atomic, Catalogue, Secrets } from "./ports.ts"
import { report } from "./progress.ts"
import { refreshConcerned } from "./refresh.ts"

type Item = RosterItem<TestCenterRow>

/** Who and what the rows of one roster name, as the catalogue and the roster itself know them. */
interface Known {
  readonly people: ReadonlyMap<string, PersonRecord>
  readonly centers: ReadonlyMap<string, CenterRecord>
  readonly idByName: ReadonlyMap<string, EntityId>
}

export const importCenters = Effect.fn("importCenters")(function* <E>(
  job: ImportJob<TestCenterRow, E>
) {
  const atomic = yield* Atomic
  const began = yield* Clock.currentTimeMillis
  const items: Array<Item> = []
  yield* Stream.runForEach(job.read(), (piece) =>
    Effect.sync(() => {
      for (const item of piece.items) items.push(item)
    })
  )
  return yield* atomic.run(
    Effect.gen(function* () {
      const { judged, known } = judgeAll(items, yield* lookUp(items))
      const records = yield* recordsOf(judged, known)
      const outcomes = judged.map((one, at) => outcomeOf(one, known, records[at]))
      const summary = reportWith(emptyReport, outcomes)
      const changed = records.flatMap((record, at) =>
        record === undefined || outcomes[at]?._tag === "Unchanged" ? [] : [record]
      )
      if (!isApplicable(job, summary)) {
        return { report: summary, applied: false, offered: 0 } satisfies Imported
      }
      const offered = yield* put(changed)
      yield* rememberImport("test-center", job, summary, began)
      return { report: summary, applied: true, offered } satisfies Imported
    })
  )
})

const put = Effect.fnUntraced(function* (records: ReadonlyArray<CenterRecord>) {
  const catalogue = yield* Catalogue
  const ids = records.map((record): EntityId => record.id)
  const before = yield* catalogue.concerned(ids)
  const created = yield* ensureOrganisations(records.map((record) => record.organisation))
  yield* catalogue.put(records)
  yield* report({
    kind: "centers",
    label: "Saving test centers",
    phase: "finished",
    done: records.length,
    total: records.length
  })
  return yield* refreshConcerned(before, [...ids, ...created])
})

const lookUp = Effect.fnUntraced(function* (items: ReadonlyArray<Item>) {
  const catalogue = yield* Catalogue
  const secrets = yield* Secrets
  const rows = items.flatMap((item) => (item._tag === "Row" ? [item.row] : []))
  const people = new Map<string, PersonRecord>()
  const logins = rows.flatMap((row) => [...row.administrators, ...row.proctors]).map(personName)
  for (const [name, record] of yield* catalogue.byNames([...new Set(logins)])) {
    if ("wrap" in record) people.set(name, record)
  }
  const centers = new Map<string, CenterRecord>()
  const named = rows.flatMap((row) =>
    [row.label, ...row.subCenters].map((label) => nameIn(row, label))
  )
  for (const [name, record] of yield* catalogue.byNames([...new Set(named)])) {
    if (record.kind === "test-center") centers.set(name, record)
  }
  const idByName = new Map<string, EntityId>()
  for (const [name, record] of centers) idByName.set(name, record.id)
  for (const row of rows) {
    const name = nameIn(row, row.label)
    if (!idByName.has(name)) idByName.set(name, yield* secrets.newId("ctr"))
  }
  return { people, centers, idByName } satisfies Known
})

const nameIn = (row: TestCenterRow, label: string): string =>
  centerName(OrganisationId.make(row.organisation), label)

/** Judges rows until none names a center that only a refused row would have made. */
const judgeAll = (items: ReadonlyArray<Item>, named: Known) => {
  let known = named
  for (let judged = items; ; ) {
    judged = judged.map((item) => judge(item, known))
    const made = judged.flatMap((item) =>
      item._tag === "Row" ? [nameIn(item.row, item.row.label)] : []
    )
    const there = new Set([...known.centers.keys(), ...made])
    const idByName = new Map([...known.idByName].filter(([name]) => there.has(name)))
    if (idByName.size === known.idByName.size) return { judged, known }
    known = { ...known, idByName }
  }
}

/** A row with everything it names resolved, or refused with the reasons. */
const judge = (item: Item, known: Known): Item => {
  if (item._tag === "Refused") return item
  const { line, row } = item
  const problems: Array<RowProblem> = []
  const check = (column: string, logins: ReadonlyArray<string>, kind: PersonRecord["kind"]) => {
    for (const login of logins) {
      const person = known.people.get(personName(login))
      if (person === undefined) problems.push(problem(line, column, "nobody has this login", login))
      else if (person.kind !== kind) {
        problems.push(problem(line, column, `is a ${person.kind}, not a ${kind}`, login))
      }
    }
  }
  check("administrators", row.administrators, "administrator")
  check("proctors", row.proctors, "proctor")
  for (const label of row.subCenters) {
    const id = known.idByName.get(nameIn(row, label))
    if (label === row.label) problems.push(problem(line, "sub centers", "names itself", label))
    else if (id === undefined) {
      const reason =
        "no test center of this organisation has this label, in the catalogue or this file"
      problems.push(problem(line, "sub centers", reason, label))
    }
  }
  return problems.length === 0 ? item : { _tag: "Refused", line, problems }
}

const recordsOf = Effect.fnUntraced(function* (items: ReadonlyArray<Item>, known: Known) {
  return yield* Effect.forEach(
    items,
    Effect.fnUntraced(function* (item) {
      if (item._tag === "Refused") return undefined
      const { row } = item
      const name = nameIn(row, row.label)
      const before = known.centers.get(name)
      const peopleOf = (logins: ReadonlyArray<string>) =>
        logins.flatMap((login) => known.people.get(personName(login))?.id ?? []).sort()
      const administrators = peopleOf(row.administrators)
      const proctors = peopleOf(row.proctors)
      const id = known.idByName.get(name)
      if (id === undefined) return yield* Effect.die(new Error("a test center has no id"))
      return CenterRecord.make({
        kind: "test-center",
        id,
        label: row.label,
        organisation: OrganisationId.make(row.organisation),
        administrators,
        proctors,
        subCenters: row.subCenters
          .flatMap((label) => known.idByName.get(nameIn(row, label)) ?? [])
          .sort(),
        roster: yield* rosterFor(before, new Set([...administrators, ...proctors]))
      })
    })
  )
})

/** The center's roster key, or a new one when the center is new or somebody lost access. */
const rosterFor = Effect.fnUntraced(function* (
  before: CenterRecord | undefined,
  readers: ReadonlySet<EntityId>
) {
  const lost =
    before !== undefined &&
    [...before.administrators, ...before.proctors].some((reader) => !readers.has(reader))
  if (before !== undefined && !lost) return before.roster
  const secrets = yield* Secrets
  const { identity, recipient } = yield* secrets.newIdentity
  const sealedIdentity = yield* secrets.toVault(identity)
  return { version: (before?.roster.version ?? 0) + 1, recipient, sealedIdentity }
})

const outcomeOf = (item: Item, known: Known, record: CenterRecord | undefined): RowOutcome => {
  const { line } = item
  if (item._tag === "Refused") return { _tag: "Failed", line, problems: item.problems }
  const before = known.centers.get(nameIn(item.row, item.row.label))
  if (before === undefined || record === undefined) return { _tag: "Created", line }
  if (canonical(before) === canonical(record)) return { _tag: "Unchanged", line }
  return { _tag: "Updated", line, ...lost(listed(before), listed(record)) }
}

const listed = ({ administrators, proctors, subCenters }: CenterRecord) => [
  ...administrators,
  ...proctors,
  ...subCenters
]
