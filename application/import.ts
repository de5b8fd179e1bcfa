/**
 * Runs an import of a roster: checks all of it, and applies it in one transaction or not at all.
 *
 * With `keepGoing` the good rows are applied and the bad ones reported; without it one bad row
 * leaves everything as it was. A dry run stops after the check.
 */
import { Clock, Effect, type Stream } from "effect"
import type { Kind } from "../domain/entity.ts"
import type { KindCounts } from "../domain/history.ts"
import { NO_COUNTS } from "../domain/history.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { organisationNode } from "../domain/id.ts"
import type { ImportReport } from "../domain/import-report.ts"
import { OrganisationRecord } from "../domain/record.ts"
import type { RosterItem } from "../domain/roster.ts"
import type { RowProblem } from "../domain/roster-cells.ts"
import { happened } from "./happened.ts"
import { Atomic, Catalogue, Secrets } from "./ports.ts"

/** A piece of a roster as it is read: some rows, and how far into the file they reach. */
export interface Piece<Row> {
  readonly items: ReadonlyArray<RosterItem<Row>>
  readonly bytesRead: number
  readonly bytesTotal: number
}

export interface ImportJob<Row, E> {
  /** Reads the roster from its beginning; it is read more than once. */
  readonly read: () => Stream.Stream<Piece<Row>, E>
  readonly dryRun: boolean
  readonly keepGoing: boolean
  /** What the operator calls it: the file's name. */
  readonly name: string
}

export interface Imported {
  readonly report: ImportReport
  readonly applied: boolean
  /** Changes appended to the feeds of the organisations concerned. */
  readonly offered: number
}

/** Rolls back an import that was judged inside its transaction and is not to be applied. */
class NotApplied {
  readonly _tag = "NotApplied"
  readonly report: ImportReport
  constructor(report: ImportReport) {
    this.report = report
  }
}

/** Goes on with an import that is to be applied; ends any other inside `inOneTransaction`. */
export const applicable = (
  { dryRun, keepGoing }: { readonly dryRun: boolean; readonly keepGoing: boolean },
  report: ImportReport
): Effect.Effect<void, NotApplied> =>
  dryRun || (report.failed > 0 && !keepGoing) ? Effect.fail(new NotApplied(report)) : Effect.void

/** Does all of an import, or, where it was found not to be applicable, nothing but report. */
export const inOneTransaction = <E, R>(work: Effect.Effect<Imported, E | NotApplied, R>) =>
  Effect.flatMap(Atomic, (atomic) => atomic.run(work)).pipe(
    Effect.catchIf(
      (error) => error instanceof NotApplied,
      ({ report }) => Effect.succeed<Imported>({ report, applied: false, offered: 0 })
    )
  )

/** Says what is wrong with a row that could be read, naming the column to blame. */
export const problem = (
  line: number,
  column: string,
  reason: string,
  value?: string
): RowProblem => ({ line, column, reason, ...(value === undefined ? {} : { value }) })

/** Creates the organisations that are named for the first time, each with a key for its login tags. */
export const ensureOrganisations = Effect.fn("ensureOrganisations")(function* (
  organisations: Iterable<OrganisationId>
) {
  const catalogue = yield* Catalogue
  const secrets = yield* Secrets
  const named = [...new Set(organisations)]
  const known = yield* catalogue.byIds(named.map(organisationNode))
  const fresh = yield* Effect.forEach(
    named.filter((organisation) => !known.has(organisationNode(organisation))),
    Effect.fnUntraced(function* (organisation) {
      const sealedLoginKey = yield* secrets.toVault(yield* secrets.randomText(32))
      const id = organisationNode(organisation)
      return OrganisationRecord.make({ kind: "organisation", id, organisation, sealedLoginKey })
    })
  )
  yield* catalogue.put(fresh)
  return fresh.map((record): EntityId => record.id)
})

/** Remembers an import in the history. */
export const rememberImport = Effect.fn("rememberImport")(function* (
  kind: Kind,
  name: string,
  report: ImportReport,
  began: number
) {
  const now = yield* Clock.currentTimeMillis
  const counts: KindCounts = {
    ...NO_COUNTS,
    created: report.created,
    updated: report.updated,
    kept: report.unchanged
  }
  yield* happened({
    at: now,
    verb: "import",
    who: "operator",
    outcome: report.failed > 0 ? "incomplete" : "done",
    counts: { [kind]: counts },
    millis: Math.max(0, now - began),
    reason: name
  })
})
