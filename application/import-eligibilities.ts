/**
 * Imports eligibilities from a roster: who may sit which delivery at which test center.
 *
 * A center is named by its id, its organisation (when that has one center only) or its label; a
 * delivery by its id or its label. A row is the whole truth about its center and delivery: it
 * replaces the list of test-takers that was there.
 */
import { Clock, DateTime, Effect, Schema, Stream } from "effect"
import { canonical } from "../domain/canonical.ts"
import { EntityId, OrganisationId } from "../domain/id.ts"
import { emptyReport, lost, type RowOutcome, reportWith } from "../domain/import-report.ts"
import {
  type CatalogueRecord,
  EligibilityRecord,
  eligibilityName,
  type PersonRecord,
  personName
} from "../domain/record.ts"
import type { EligibilityRow, RosterItem } from "../domain/roster.ts"
import type { RowProblem } from "../domain/roster-cells.ts"
import {
  applicable,
  type Imported,
  type ImportJob,
  inOneTransaction,
  problem,
  rememberImport
} from "./import.ts"
import { Catalogue, Secrets } from "./ports.ts"
import { report } from "./progress.ts"
import { refreshConcerned } from "./refresh.ts"

type Item = RosterItem<EligibilityRow>

export const importEligibilities = Effect.fn("importEligibilities")(function* <E>(
  job: ImportJob<EligibilityRow, E>
) {
  const began = yield* Clock.currentTimeMillis
  return yield* inOneTransaction(
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      let summary = emptyReport
      const ids: Array<EntityId> = []
      const before = new Set<OrganisationId>()
      const seen = new Map<string, number>()
      yield* Stream.runForEach(job.read(), (piece) =>
        Effect.gen(function* () {
          const { outcomes, records } = yield* judgePiece(piece.items, seen)
          summary = reportWith(summary, outcomes)
          for (const one of yield* catalogue.concerned(records.map((record) => record.id))) {
            before.add(one)
          }
          yield* catalogue.put(records)
          for (const record of records) ids.push(record.id)
          yield* report({
            kind: "eligibilities",
            label: "Saving eligibilities",
            phase: piece.bytesRead >= piece.bytesTotal ? "finished" : "running",
            done: summary.created + summary.updated + summary.unchanged,
            bytes: piece.bytesRead,
            totalBytes: piece.bytesTotal
          })
        })
      )
      yield* applicable(job, summary)
      const offered = yield* refreshConcerned(before, ids)
      yield* rememberImport("eligibility", job, summary, began)
      return { report: summary, applied: true, offered } satisfies Imported
    })
  )
})

/** What the rows of a piece name, found in as few questions as there are sorts of names. */
interface Named {
  readonly centers: (text: string) => ReadonlyArray<EntityId>
  readonly deliveries: (text: string) => ReadonlyArray<EntityId>
  readonly takers: ReadonlyMap<string, Pick<PersonRecord, "id" | "kind">>
}

const judgePiece = Effect.fnUntraced(function* (
  items: ReadonlyArray<Item>,
  seen: Map<string, number>
) {
  const catalogue = yield* Catalogue
  const secrets = yield* Secrets
  const named = yield* lookUp(items.flatMap((item) => (item._tag === "Row" ? [item.row] : [])))
  const judged = items.map((item) => judge(item, named, seen))
  const names = judged.flatMap((one) => (one._tag === "Resolved" ? [one.name] : []))
  const known = yield* catalogue.byNames(names)
  const outcomes: Array<RowOutcome> = []
  const records: Array<EligibilityRecord> = []
  for (const one of judged) {
    if (one._tag === "Failed") {
      outcomes.push(one)
      continue
    }
    const before = known.get(one.name)
    const id = before?.id ?? (yield* secrets.newId("elg"))
    const record = EligibilityRecord.make({ kind: "eligibility", id, ...one.body })
    const unchanged = before !== undefined && canonical(before) === canonical(record)
    if (!unchanged) records.push(record)
    if (before === undefined) outcomes.push({ _tag: "Created", line: one.line })
    else if (unchanged) outcomes.push({ _tag: "Unchanged", line: one.line })
    else {
      const had = before.kind === "eligibility" ? before.testTakers : []
      outcomes.push({ _tag: "Updated", line: one.line, ...lost(had, record.testTakers) })
    }
  }
  return { outcomes, records }
})

const lookUp = Effect.fnUntraced(function* (rows: ReadonlyArray<EligibilityRow>) {
  const catalogue = yield* Catalogue
  const centerTexts = [...new Set(rows.map((row) => row.testCenter))]
  const deliveryTexts = [...new Set(rows.map((row) => row.delivery))]
  const logins = new Set<string>()
  for (const row of rows) for (const login of row.testTakers) logins.add(personName(login))
  const byOrganisation = yield* catalogue.centersOf(centerTexts.filter(Schema.is(OrganisationId)))
  const centers = groupByText(
    yield* catalogue.byLabels("test-center", centerTexts),
    yield* recordsByIds(centerTexts, "ctr_")
  )
  const deliveries = groupByText(
    yield* catalogue.byLabels("delivery", deliveryTexts),
    yield* recordsByIds(deliveryTexts, "dlv_")
  )
  const takers = yield* takersCalled([...logins])
  return {
    centers: (text) => {
      const own = Schema.is(OrganisationId)(text) ? (byOrganisation.get(text) ?? []) : []
      return [...new Set([...own, ...(centers.get(text) ?? [])])]
    },
    deliveries: (text) => deliveries.get(text) ?? [],
    takers
  } satisfies Named
})

/** People looked up at a time: a thousand rows may name millions, and their records are large. */
const LOGINS = 1_000

const takersCalled = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
  const catalogue = yield* Catalogue
  const takers = new Map<string, Pick<PersonRecord, "id" | "kind">>()
  for (let at = 0; at < names.length; at += LOGINS) {
    for (const [name, record] of yield* catalogue.byNames(names.slice(at, at + LOGINS))) {
      if ("wrap" in record) takers.set(name, { id: record.id, kind: record.kind })
    }
  }
  return takers
})

const recordsByIds = Effect.fnUntraced(function* (texts: ReadonlyArray<string>, prefix: string) {
  const catalogue = yield* Catalogue
  const ids = texts.map((text) => (text.startsWith(prefix) ? text : `${prefix}${text}`))
  return yield* catalogue.byIds(ids.filter(Schema.is(EntityId)))
})

/** Ids by label, by whole id, and by id without its prefix. */
const groupByText = (
  labelled: ReadonlyArray<CatalogueRecord>,
  identified: ReadonlyMap<EntityId, CatalogueRecord>
): ReadonlyMap<string, ReadonlyArray<EntityId>> => {
  const ids = new Map<string, Set<EntityId>>()
  const add = (text: string, id: EntityId) => ids.set(text, (ids.get(text) ?? new Set()).add(id))
  for (const record of labelled) if ("label" in record) add(record.label, record.id)
  for (const id of identified.keys()) {
    add(id, id)
    add(id.slice(4), id)
  }
  return new Map([...ids].map(([text, found]) => [text, [...found]]))
}

type Judged =
  | Extract<RowOutcome, { readonly _tag: "Failed" }>
  | {
      readonly _tag: "Resolved"
      readonly line: number
      readonly name: string
      readonly body: Omit<EligibilityRecord, "kind" | "id">
    }

const judge = (item: Item, named: Named, seen: Map<string, number>): Judged => {
  const { line } = item
  if (item._tag === "Refused") return { _tag: "Failed", line, problems: item.problems }
  const { row } = item
  const problems: Array<RowProblem> = []
  const one = (column: string, text: string, found: ReadonlyArray<EntityId>, what: string) => {
    if (found.length === 1) return found[0]
    const reason =
      found.length === 0
        ? `there is no ${what} of this id, organisation id or label`
        : `${found.length} ${what}s answer to this; use the id of the one that is meant`
    problems.push(problem(line, column, reason, text))
    return undefined
  }
  const testCenter = one(
    "test center",
    row.testCenter,
    named.centers(row.testCenter),
    "test center"
  )
  const delivery = one("delivery", row.delivery, named.deliveries(row.delivery), "delivery")
  const testTakers = row.testTakers.flatMap((login) => {
    const person = named.takers.get(personName(login))
    if (person?.kind === "test-taker") return [person.id]
    const reason = person === undefined ? "nobody has this login" : `is a ${person.kind}`
    problems.push(problem(line, "test takers", reason, login))
    return []
  })
  if (testCenter === undefined || delivery === undefined || problems.length > 0) {
    return { _tag: "Failed", line, problems }
  }
  const name = eligibilityName(testCenter, delivery)
  const first = seen.get(name)
  if (first !== undefined) {
    const reason = `line ${first} is about the same test center and delivery`
    return { _tag: "Failed", line, problems: [problem(line, "delivery", reason)] }
  }
  seen.set(name, line)
  const { maxExecutions, proctored } = row
  const period = { ...moment("from", row.from), ...moment("to", row.to) }
  return {
    _tag: "Resolved",
    line,
    name,
    body: {
      testCenter,
      delivery,
      testTakers: [...new Set(testTakers)].sort(),
      proctored,
      period,
      ...(maxExecutions === undefined ? {} : { maxExecutions })
    }
  }
}

const moment = (key: "from" | "to", at: DateTime.Utc | undefined) =>
  at === undefined ? {} : { [key]: DateTime.toEpochMillis(at) }
