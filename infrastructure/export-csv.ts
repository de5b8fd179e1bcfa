/**
 * Writes results as CSV (RFC 4180): one row per variable, or one row per execution with a column for
 * each variable, named as TAO's export names them.
 *
 * UTF-8 without BOM, comma, CRLF. A cell that a spreadsheet would run as a formula (=, +, -, @, tab
 * or carriage return first) gets an apostrophe before it, unless it is a plain number. Whoever needs
 * the bytes as they were answered takes JSON lines.
 */
import { type ExportedResult, valueText, variableColumn } from "../domain/export.ts"

export const csvLine = (cells: ReadonlyArray<string>): string =>
  `${cells.map((cell) => quoted(harmless(cell))).join(",")}\r\n`

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/u

const harmless = (cell: string): string =>
  /^[=+\-@\t\r]/u.test(cell) && !NUMBER.test(cell) ? `'${cell}` : cell

const quoted = (cell: string): string =>
  /[",\r\n]/u.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell

/** What both tables say of an execution, by TAO's column names where it has them. */
const COMMON: ReadonlyArray<readonly [string, (result: ExportedResult) => string]> = [
  ["Test Taker ID", ({ document }) => document.testTaker],
  ["Test Taker", ({ taker }) => taker?.label ?? ""],
  ["Login", ({ taker }) => taker?.login ?? ""],
  ["First Name", ({ taker }) => taker?.firstName ?? ""],
  ["Last Name", ({ taker }) => taker?.lastName ?? ""],
  ["Mail", ({ taker }) => taker?.mail ?? ""],
  ["Interface Language", ({ taker }) => taker?.interfaceLanguage ?? ""],
  ["Delivery", ({ deliveryLabel, document }) => deliveryLabel ?? document.delivery],
  ["Delivery Execution Id", ({ document }) => document.execution],
  ["Start Delivery Execution", ({ document }) => iso(document.startedAt?.wall)],
  ["End Delivery Execution", ({ document }) => iso(document.finishedAt.wall)],
  ["Delivery ID", ({ document }) => document.delivery],
  ["Content Version", ({ document }) => String(document.contentVersion)],
  ["Organisation ID", ({ document }) => document.organisation],
  ["Test Center ID", ({ document }) => document.testCenter],
  ["Device", ({ document }) => document.device],
  ["Attempt", ({ document }) => String(document.attempt)],
  ["Revision", ({ document }) => String(document.revision)],
  ["End", ({ document }) => document.end],
  ["CONFLICT", ({ conflict }) => (conflict ? "yes" : "")]
]

const iso = (millis: number | undefined): string =>
  millis === undefined ? "" : new Date(millis).toISOString()

const common = (result: ExportedResult) => COMMON.map(([, cell]) => cell(result))
const HEADER = COMMON.map(([name]) => name)

export const VARIABLES_HEADER = csvLine([
  ...HEADER,
  "Item",
  "Position",
  "Item Attempt",
  "Kind",
  "Variable",
  "Cardinality",
  "Base Type",
  "Value",
  "Is Null",
  "At"
])

/** One row for each variable, traces too. */
export const variableRows = (result: ExportedResult): string => {
  const cells = common(result)
  return result.document.variables
    .flatMap(({ attempt, item, position, variables }) =>
      variables.map((variable) =>
        csvLine([
          ...cells,
          item ?? "",
          String(position),
          String(attempt),
          variable.kind,
          variable.identifier,
          variable.cardinality,
          variable.baseType ?? "",
          valueText(variable),
          variable.values === null ? "yes" : "",
          iso(variable.at)
        ])
      )
    )
    .join("")
}

/** Columns that the variables of one result need: its outcomes first, then its responses. */
export const columnsOf = ({ document }: ExportedResult): ReadonlyArray<string> => {
  const named = (kind: "outcome" | "response") =>
    document.variables.flatMap(({ attempt, item, variables }) =>
      variables
        .filter((variable) => variable.kind === kind)
        .map(({ identifier }) => variableColumn(item, attempt, identifier))
    )
  return [...named("outcome"), ...named("response")]
}

export const takersHeader = (columns: ReadonlyArray<string>): string =>
  csvLine([...HEADER, ...columns])

/** One row for an execution; a variable that it does not have leaves its cell empty. */
export const takerRow = (result: ExportedResult, columns: ReadonlyArray<string>): string => {
  const values = new Map(
    result.document.variables.flatMap(({ attempt, item, variables }) =>
      variables
        .filter(({ kind }) => kind !== "trace")
        .map((variable) => [
          variableColumn(item, attempt, variable.identifier),
          valueText(variable)
        ])
    )
  )
  return csvLine([...common(result), ...columns.map((column) => values.get(column) ?? "")])
}
