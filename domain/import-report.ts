/**
 * Tells what an import of a roster file did: how many rows were created, updated, left alone or
 * refused, and for each refused row why, in lines a person can follow to the cell.
 */
import { Schema } from "effect"
import { RowProblem } from "./roster-cells.ts"

/** The problems kept: more than anybody mends in one go, and few enough to store and to show. */
export const PROBLEMS_KEPT_MAX = 1_000

/** What became of one row. */
export const RowOutcome = Schema.TaggedUnion({
  Created: { line: Schema.Int },
  /** `removed`: names that were listed here before and are not any more. */
  Updated: { line: Schema.Int, removed: Schema.optionalKey(Schema.Int) },
  Unchanged: { line: Schema.Int },
  Failed: { line: Schema.Int, problems: Schema.Array(RowProblem) }
})
export type RowOutcome = typeof RowOutcome.Type

/** Counts rows, not problems; `problemsLeftOut` counts those beyond the first thousand. */
export const ImportReport = Schema.Struct({
  created: Schema.Natural,
  updated: Schema.Natural,
  unchanged: Schema.Natural,
  failed: Schema.Natural,
  /** People and centers that rows do not list any more: what they had by that, they lose. */
  removed: Schema.Natural,
  problems: Schema.Array(RowProblem),
  problemsLeftOut: Schema.Natural
})
export type ImportReport = typeof ImportReport.Type

export const emptyReport: ImportReport = {
  created: 0,
  updated: 0,
  unchanged: 0,
  failed: 0,
  removed: 0,
  problems: [],
  problemsLeftOut: 0
}

/** The report after the outcomes of one more batch; the earlier report is left as it is. */
export const reportWith = (
  report: ImportReport,
  outcomes: ReadonlyArray<RowOutcome>
): ImportReport => {
  const count = (tag: RowOutcome["_tag"]) =>
    outcomes.filter((outcome) => outcome._tag === tag).length
  const found = outcomes.flatMap((outcome) => (outcome._tag === "Failed" ? outcome.problems : []))
  const kept = found.slice(0, PROBLEMS_KEPT_MAX - report.problems.length)
  return {
    created: report.created + count("Created"),
    updated: report.updated + count("Updated"),
    unchanged: report.unchanged + count("Unchanged"),
    failed: report.failed + count("Failed"),
    removed: outcomes.reduce(
      (sum, outcome) => sum + (outcome._tag === "Updated" ? (outcome.removed ?? 0) : 0),
      report.removed
    ),
    problems: [...report.problems, ...kept],
    problemsLeftOut: report.problemsLeftOut + found.length - kept.length
  }
}

/** The report as lines of plain text: the problems, then the counts. */
export const reportLines = (report: ImportReport): ReadonlyArray<string> => [
  ...report.problems.map(problemLine),
  ...(report.problemsLeftOut > 0 ? [`… and ${report.problemsLeftOut} more problems`] : []),
  `${report.created} created, ${report.updated} updated, ` +
    `${report.unchanged} unchanged, ${report.failed} refused`,
  ...(report.removed > 0 ? [`${report.removed} names are listed no more, and lose access`] : [])
]

/** How many of the names before are not among those after. */
export const lost = (
  before: ReadonlyArray<string>,
  after: ReadonlyArray<string>
): { readonly removed?: number } => {
  const still = new Set(after)
  const removed = before.filter((name) => !still.has(name)).length
  return removed > 0 ? { removed } : {}
}

/** One problem as a line: `line 14, column "Login": is empty, but must have a value`. */
export const problemLine = (problem: RowProblem): string => {
  const { line, lastLine, column, reason, value } = problem
  const where = lastLine === undefined ? `line ${line}` : `lines ${line} to ${lastLine}`
  const cell = column === undefined ? "" : `, column "${column}"`
  return `${where}${cell}: ${reason}${value === undefined ? "" : ` (found "${value}")`}`
}
