/**
 * Turns the lines of roster files (users, test centers, eligibilities) into rows, or into problems
 * that name line, column and reason.
 *
 * The columns are those of TAO's own CSV imports (`ImportUsersCsv`, `ImportTestCentersCsv`,
 * `ImportEligibilityCsv`), so that a programme's files go on working. Two things differ on purpose:
 * a password may be left out (one is made, or the old one stays), and "false" is false.
 *
 * Every line of a file ends as a row, as a refusal, or is blank; none disappears. A row with one
 * wrong cell is refused whole, with all its problems.
 */
import { DateTime, Redacted, Result, Schema } from "effect"
import type { RowCells, RowProblem } from "./roster-cells.ts"
import * as Cells from "./roster-cells.ts"
import { acceptHeader, type Column, type Header } from "./roster-header.ts"

/** The kinds of users a file can hold, in the words of TAO's `-t` option. */
export const UserType = Schema.Literals([
  "test-taker",
  "proctor",
  "test-center-admin",
  "sync-manager"
])
export type UserType = typeof UserType.Type

/** Everything that a roster file can be about. */
export const RosterKind = Schema.Literals(["test-centers", "eligibilities", ...UserType.literals])
export type RosterKind = typeof RosterKind.Type

/**
 * One user. Without `password` a new user gets a generated one and a known user keeps theirs.
 * `login` is as written; two logins are the same when their `loginKey` is.
 */
export const UserRow = Schema.Struct({
  login: Schema.NonEmptyString,
  label: Schema.NonEmptyString,
  firstName: Schema.optionalKey(Schema.NonEmptyString),
  lastName: Schema.optionalKey(Schema.NonEmptyString),
  mail: Schema.optionalKey(Schema.NonEmptyString),
  password: Schema.optionalKey(Schema.Redacted(Schema.NonEmptyString)),
  interfaceLanguage: Schema.NonEmptyString,
  defaultLanguage: Schema.optionalKey(Schema.NonEmptyString),
  organisation: Schema.optionalKey(Schema.NonEmptyString)
})
export type UserRow = typeof UserRow.Type

/** One test center; administrators and proctors by login, sub-centers by label. */
export const TestCenterRow = Schema.Struct({
  label: Schema.NonEmptyString,
  organisation: Schema.NonEmptyString,
  administrators: Schema.Array(Schema.NonEmptyString),
  proctors: Schema.Array(Schema.NonEmptyString),
  subCenters: Schema.Array(Schema.NonEmptyString)
})
export type TestCenterRow = typeof TestCenterRow.Type

/** Who may sit a delivery at a test center; the center by organisation id, label or id. */
export const EligibilityRow = Schema.Struct({
  testCenter: Schema.NonEmptyString,
  delivery: Schema.NonEmptyString,
  testTakers: Schema.Array(Schema.NonEmptyString),
  proctored: Schema.Boolean,
  from: Schema.optionalKey(Schema.DateTimeUtc),
  to: Schema.optionalKey(Schema.DateTimeUtc),
  maxExecutions: Schema.optionalKey(Schema.Int)
})
export type EligibilityRow = typeof EligibilityRow.Type

/** What a kind of roster file looks like: its columns, and how a row is read from them. */
export interface Roster<Row> {
  readonly columns: ReadonlyArray<Column>
  /** Reads a row, noting problems in `cells`; with any problem the row means nothing. */
  readonly read: (cells: RowCells) => Row
  /** What two rows of one file must not share: in words, as text, and the column to blame. */
  readonly unique: {
    readonly column: string
    readonly what: string
    readonly key: (row: Row) => string
  }
}

/** What became of one line that is not blank. */
export type RosterItem<Row> =
  | { readonly _tag: "Row"; readonly line: number; readonly row: Row }
  | {
      readonly _tag: "Refused"
      readonly line: number
      readonly problems: ReadonlyArray<RowProblem>
    }

/** A record as it stands in the file, from `line` to `lastLine`. */
export interface RosterRecord {
  readonly line: number
  readonly lastLine: number
  readonly cells: ReadonlyArray<string>
}

/**
 * Prepares to read the records below `header`, or answers what is wrong with the header. The
 * function in the answer takes each record once, in order: it remembers what it has seen, to name
 * the first line when a second has the same key. It answers undefined for a blank line.
 */
export const rosterReader = <Row>(
  roster: Roster<Row>,
  header: RosterRecord
): Result.Result<
  (record: RosterRecord) => RosterItem<Row> | undefined,
  ReadonlyArray<RowProblem>
> =>
  Result.map(acceptHeader(roster.columns, header.cells, header.line), (accepted) => {
    const lineByKey = new Map<string, number>()
    return (record) =>
      isBlank(record) ? undefined : readRecord(roster, accepted, lineByKey, record)
  })

/** Whether a record holds nothing: an empty line, or the `,,,` spreadsheets leave behind. */
export const isBlank = (record: RosterRecord): boolean =>
  record.cells.every((cell) => cell.trim() === "")

const readRecord = <Row>(
  roster: Roster<Row>,
  header: Header,
  lineByKey: Map<string, number>,
  record: RosterRecord
): RosterItem<Row> => {
  const { line } = record
  const reason = shapeProblem(header, record)
  if (reason !== undefined) return refusedRecord(record, reason)

  const byColumn = new Map(header.columns.map((column, at) => [column, record.cells[at] ?? ""]))
  const cells = Cells.rowCells(line, byColumn, header.written)
  const row = roster.read(cells)
  const { column, what, key } = roster.unique
  if (cells.problems.length === 0) {
    const firstLine = lineByKey.get(key(row))
    if (firstLine === undefined) lineByKey.set(key(row), line)
    else cells.note(column, `${what} is already on line ${firstLine}`, byColumn.get(column))
  }
  return cells.problems.length > 0
    ? { _tag: "Refused", line, problems: cells.problems }
    : { _tag: "Row", line, row }
}

/** Refuses a whole record, quoting none of its cells: one may be a password. */
export const refusedRecord = (
  { line, lastLine }: Pick<RosterRecord, "line" | "lastLine">,
  reason: string
): RosterItem<never> => {
  const span = lastLine > line ? { lastLine } : {}
  return { _tag: "Refused", line, problems: [{ line, ...span, reason }] }
}

const shapeProblem = (header: Header, { cells }: RosterRecord): string | undefined => {
  const wanted = header.columns.length
  if (cells.length !== wanted) {
    const counts = `has ${cells.length} columns where the header has ${wanted}`
    return `${counts}; text with a separator in it needs quotes`
  }
  const filled = cells.filter((cell) => cell.trim() !== "").length
  return filled === 1 && wanted > 1 && cells[0]?.trim() !== ""
    ? "only the first cell is filled"
    : undefined
}

const mandatory = (header: string): Column => ({ header, mandatory: true })
const optional = (header: string): Column => ({ header, mandatory: false })

/**
 * Rosters of users. `passwordRule` answers why a chosen password is refused, or undefined; its
 * answer is shown to people, so it must not repeat the password.
 */
export const users = (
  type: UserType,
  passwordRule: (password: string) => string | undefined
): Roster<UserRow> => ({
  columns: [
    ...["label", "login", "interface language"].map(mandatory),
    { header: "organisation id", mandatory: type === "sync-manager" },
    ...["first name", "last name", "mail", "password", "default language"].map(optional)
  ],
  read: (cells) => {
    const firstName = cells.allow("first name", Cells.label)
    const lastName = cells.allow("last name", Cells.label)
    const mail = cells.allow("mail", Cells.mail)
    const password = cells.allowSecret("password", Cells.password(passwordRule))
    const defaultLanguage = cells.allow("default language", Cells.language)
    const organisation =
      type === "sync-manager"
        ? cells.need("organisation id", Cells.identifier, "")
        : cells.allow("organisation id", Cells.identifier)
    return {
      login: cells.need("login", Cells.login, ""),
      label: cells.need("label", Cells.label, ""),
      interfaceLanguage: cells.need("interface language", Cells.language, ""),
      ...(firstName !== undefined && { firstName }),
      ...(lastName !== undefined && { lastName }),
      ...(mail !== undefined && { mail }),
      ...(password !== undefined && { password: Redacted.make(password) }),
      ...(defaultLanguage !== undefined && { defaultLanguage }),
      ...(organisation !== undefined && { organisation })
    }
  },
  unique: { column: "login", what: "this login", key: (row) => Cells.loginKey(row.login) }
})

const logins = Cells.list(Cells.login, Cells.loginKey)

/** Rosters of test centers. Several may share an organisation id, but then under other labels. */
export const testCenters: Roster<TestCenterRow> = {
  columns: [
    ...["label", "organisation id"].map(mandatory),
    ...["administrators", "proctors", "sub centers"].map(optional)
  ],
  read: (cells) => ({
    label: cells.need("label", Cells.listableLabel, ""),
    organisation: cells.need("organisation id", Cells.identifier, ""),
    administrators: cells.allow("administrators", logins) ?? [],
    proctors: cells.allow("proctors", logins) ?? [],
    subCenters: cells.allow("sub centers", Cells.list(Cells.label)) ?? []
  }),
  unique: {
    column: "label",
    what: "this label in this organisation",
    key: (row) => JSON.stringify([row.organisation, row.label])
  }
}

/**
 * Rosters of eligibilities. Without a word in `is proctored` a proctor must authorise: the safe
 * reading. A center and a delivery meet in one row only, since a second would replace the first.
 */
export const eligibilities: Roster<EligibilityRow> = {
  columns: [
    ...["test center", "delivery", "test takers"].map(mandatory),
    ...["is proctored", "from", "to", "max executions"].map(optional)
  ],
  read: (cells) => {
    const from = cells.allow("from", Cells.moment)
    const to = cells.allow("to", Cells.moment)
    if (from !== undefined && to !== undefined && !DateTime.isLessThan(from, to)) {
      cells.note("to", 'must be later than "from"')
    }
    const maxExecutions = cells.allow("max executions", Cells.executions)
    return {
      testCenter: cells.need("test center", Cells.label, ""),
      delivery: cells.need("delivery", Cells.label, ""),
      testTakers: cells.need("test takers", atLeastOne(logins), []),
      proctored: cells.allow("is proctored", Cells.yesOrNo) ?? true,
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
      ...(maxExecutions !== undefined && { maxExecutions })
    }
  },
  unique: {
    column: "delivery",
    what: "this delivery at this test center",
    key: (row) => JSON.stringify([row.testCenter, row.delivery])
  }
}

const atLeastOne =
  (rule: Cells.Rule<Array<string>>): Cells.Rule<Array<string>> =>
  (text) =>
    Result.flatMap(rule(text), (items) =>
      items.length > 0 ? Result.succeed(items) : Result.fail("names nobody")
    )
