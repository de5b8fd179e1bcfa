/**
 * Accepts the header line of a roster file, or says what to change in it.
 *
 * Headers are TAO's, compared trimmed and in lower case. A column nobody knows is refused, not
 * ignored: a misspelt "is proctered" would otherwise leave a whole school unproctored.
 */
import { Result } from "effect"
import { type RowProblem, shownValue } from "./roster-cells.ts"

/** One column a kind of roster knows; `header` in TAO's spelling, in lower case. */
export interface Column {
  readonly header: string
  /** Whether the file is refused without it. */
  readonly mandatory: boolean
}

/** An accepted header: the columns in the order of the file, and how the file spells them. */
export interface Header {
  readonly columns: ReadonlyArray<string>
  readonly written: ReadonlyMap<string, string>
}

/** Accepts the cells of the header at `line`, or answers every problem at once. */
export const acceptHeader = (
  columns: ReadonlyArray<Column>,
  cells: ReadonlyArray<string>,
  line: number
): Result.Result<Header, ReadonlyArray<RowProblem>> => {
  const known = columns.map((column) => column.header)
  const names = cells.map((cell) => cell.trim().toLowerCase())
  // Without one known name this is no header but somebody's row, perhaps with a password in it,
  // so nothing of it is repeated.
  if (!names.some((name) => known.includes(name))) {
    const reason = `must be the header, with columns from: ${known.join(", ")}`
    return Result.fail([{ line, reason }])
  }
  const problems: Array<RowProblem> = []
  names.forEach((name, index) => {
    const reason = nameProblem(names, index, known)
    const column = name === "" ? {} : { column: shownValue(cells[index] ?? name) }
    if (reason !== undefined) problems.push({ line, ...column, reason })
  })
  for (const { header, mandatory } of columns) {
    if (mandatory && !names.includes(header)) {
      problems.push({ line, column: header, reason: "this column is missing" })
    }
  }
  return problems.length > 0
    ? Result.fail(problems)
    : Result.succeed({
        columns: names,
        written: new Map(names.map((name, index) => [name, cells[index]?.trim() ?? name]))
      })
}

const nameProblem = (
  names: ReadonlyArray<string>,
  index: number,
  known: ReadonlyArray<string>
): string | undefined => {
  const name = names[index] ?? ""
  if (name === "") return `the header of column ${index + 1} is empty`
  if (names.indexOf(name) !== index) return "this column appears twice"
  if (known.includes(name)) return undefined
  const nearest = nearestName(name, known)
  return nearest === undefined
    ? `is not a known column; known are: ${known.join(", ")}`
    : `is not a known column; did you mean "${nearest}"?`
}

/** The known name with the fewest edits, if that is at most a third of the letters, or two. */
const nearestName = (name: string, known: ReadonlyArray<string>): string | undefined => {
  const ranked = known
    .map((candidate) => ({ candidate, edits: editDistance(name, candidate) }))
    .sort((left, right) => left.edits - right.edits)
  const best = ranked[0]
  const tolerated = Math.max(2, Math.floor(name.length / 3))
  return best !== undefined && best.edits <= tolerated ? best.candidate : undefined
}

/** Levenshtein's distance, row by row; a name is cut so that a huge cell costs nothing. */
const editDistance = (left: string, right: string): number => {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (const [row, letter] of [...left.slice(0, 64)].entries()) {
    const current = [row + 1]
    for (let column = 1; column <= right.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (letter === right[column - 1] ? 0 : 1)
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[right.length] ?? 0
}
