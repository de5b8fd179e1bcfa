/**
 * Reads the cells of one roster row and says, cell by cell and in plain words, what is wrong.
 *
 * A rule turns the trimmed text of a cell into a value or a reason. Nothing is guessed: "false"
 * is false, an organisation id is never a number, and what a rule does not know it refuses.
 * The cell of a password is never repeated in a problem.
 */
import { DateTime, Option, Result, Schema } from "effect"
import { Millis } from "./id.ts"

/** Labels and names: longer ones are nearly always a cell that swallowed its neighbours. */
export const LABEL_LENGTH_MAX = 255
/** Logins and organisation ids are typed by people and shown in tables. */
export const IDENTIFIER_LENGTH_MAX = 128
/** RFC 5321 §4.5.3.1 leaves room for 254 characters in a mail address. */
export const MAIL_LENGTH_MAX = 254
/** The longest language tag that RFC 5646 §4.4.1 asks software to carry. */
export const LANGUAGE_LENGTH_MAX = 35
/** Keeps the work of hashing one password small; far above any password rule. */
export const PASSWORD_LENGTH_MAX = 256
/** A center serves up to 10,000 test-takers, so no list names more. */
export const LIST_ITEMS_MAX = 10_000
/** More sittings than this is a typing error. */
export const EXECUTIONS_MAX = 1_000
/** A problem quotes enough of a cell to find it, and never a whole list. */
export const VALUE_SHOWN_MAX = 60

/**
 * Says what is wrong with one line, or one cell of it, of a roster file. `line` counts from 1 as a
 * text editor does; `lastLine` is there when the row goes on over line breaks in quotes; `column`
 * is written as in the file's header, and missing when the whole line is meant.
 */
export const RowProblem = Schema.Struct({
  line: Schema.Int,
  lastLine: Schema.optionalKey(Schema.Int),
  column: Schema.optionalKey(Schema.String),
  reason: Schema.String,
  value: Schema.optionalKey(Schema.String)
})
export type RowProblem = typeof RowProblem.Type

/** Turns the trimmed, non-empty text of a cell into a value, or says why it can't. */
export type Rule<A> = (text: string) => Result.Result<A, string | Refusal>

/** Names the part of a cell that is wrong, where quoting the whole cell would not help. */
interface Refusal {
  readonly reason: string
  readonly value: string
}

/** The cells of one row by column: takes values out, and gathers what is wrong with them. */
export interface RowCells {
  /** The value, or `blank` after noting a problem; an empty cell is one. */
  readonly need: <A>(column: string, rule: Rule<A>, blank: A) => A
  /** The value, or undefined for an absent column, an empty cell, or after noting a problem. */
  readonly allow: <A>(column: string, rule: Rule<A>) => A | undefined
  /** Like `allow` for a secret: exactly as written, and never repeated in a problem. */
  readonly allowSecret: (column: string, rule: Rule<string>) => string | undefined
  readonly note: (column: string, reason: string, value?: string) => void
  readonly problems: ReadonlyArray<RowProblem>
}

/** Opens the cells of the row at `line`; `written` has the header's own spelling by column. */
export const rowCells = (
  line: number,
  cells: ReadonlyMap<string, string>,
  written: ReadonlyMap<string, string>
): RowCells => {
  const problems: Array<RowProblem> = []

  const note = (column: string, reason: string, value?: string) => {
    const shown = value === undefined ? {} : { value: shownValue(value) }
    problems.push({ line, column: written.get(column) ?? column, reason, ...shown })
  }

  const allow = <A>(column: string, rule: Rule<A>): A | undefined => {
    const text = (cells.get(column) ?? "").trim()
    if (text === "") return undefined
    const result = rule(text)
    if (Result.isSuccess(result)) return result.success
    const refusal = result.failure
    if (typeof refusal === "string") note(column, refusal, text)
    else note(column, refusal.reason, refusal.value)
    return undefined
  }

  const need = <A>(column: string, rule: Rule<A>, blank: A): A => {
    if ((cells.get(column) ?? "").trim() === "") {
      note(column, "is empty, but must have a value")
      return blank
    }
    return allow(column, rule) ?? blank
  }

  const allowSecret = (column: string, rule: Rule<string>): string | undefined => {
    const secret = cells.get(column) ?? ""
    if (secret.trim() === "") return undefined
    const result = rule(secret)
    if (Result.isSuccess(result)) return result.success
    note(column, typeof result.failure === "string" ? result.failure : result.failure.reason)
    return undefined
  }

  return { need, allow, allowSecret, note, problems }
}

/** Labels and names: any text on one line. */
export const label: Rule<string> = (text) => plain(text, LABEL_LENGTH_MAX)

/** Labels that lists name: `|` would cut them in two there. */
export const listableLabel: Rule<string> = (text) => withoutBar(label(text))

/** Organisation ids and other names that are compared exactly, so nothing invisible may hide. */
export const identifier: Rule<string> = (text) =>
  /\p{Cf}/u.test(text)
    ? Result.fail("contains an invisible character; type it again instead of pasting it")
    : plain(text, IDENTIFIER_LENGTH_MAX)

export const login: Rule<string> = (text) => withoutBar(identifier(text))

/** The form in which two logins are the same login: TAO compares bytes, people do not. */
export const loginKey = (text: string): string => text.normalize("NFKC").toLowerCase()

export const language: Rule<string> = (text) =>
  text.length <= LANGUAGE_LENGTH_MAX && /^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$/.test(text)
    ? Result.succeed(text)
    : Result.fail("is not a language tag such as en-US or fr")

/** Checked loosely: only a delivered mail proves an address. */
export const mail: Rule<string> = (text) =>
  text.length <= MAIL_LENGTH_MAX && /^[^\s@\p{C}]+@[^\s@\p{C}]+$/u.test(text)
    ? Result.succeed(text)
    : Result.fail("is not a mail address")

/** A chosen password, judged by `rule`: answers the reason to refuse it, or undefined. */
export const password =
  (rule: (password: string) => string | undefined): Rule<string> =>
  (secret) => {
    if (secret.trim() !== secret) return Result.fail("begins or ends with a space")
    const text = plain(secret, PASSWORD_LENGTH_MAX)
    const reason = Result.isFailure(text) ? text.failure : rule(secret)
    return reason === undefined ? Result.succeed(secret) : Result.fail(reason)
  }

const truths: ReadonlyMap<string, boolean> = new Map([
  ...["yes", "y", "true", "1", "on", "oui"].map((word) => [word, true] as const),
  ...["no", "n", "false", "0", "off", "non"].map((word) => [word, false] as const)
])

/** Reads "false" as false; TAO's PHP takes every non-empty text but "0" for true. */
export const yesOrNo: Rule<boolean> = (text) => {
  const truth = truths.get(text.toLowerCase())
  return truth === undefined
    ? Result.fail("must be yes or no (or true/false, 1/0, y/n, on/off, oui/non)")
    : Result.succeed(truth)
}

/** Splits at `|`, drops empty parts, and keeps the first of those that are the same by `key`. */
export const list =
  (rule: Rule<string>, key: (item: string) => string = (item) => item): Rule<Array<string>> =>
  (text) => {
    const items = new Map<string, string>()
    for (const part of text.split("|")) {
      const item = part.trim()
      if (item === "") continue
      const result = rule(item)
      if (Result.isFailure(result)) {
        const reason = typeof result.failure === "string" ? result.failure : result.failure.reason
        return Result.fail({ reason: `an entry of the list ${reason}`, value: item })
      }
      if (!items.has(key(item))) items.set(key(item), result.success)
    }
    if (items.size > LIST_ITEMS_MAX) {
      return Result.fail(`names ${items.size} entries; at most ${LIST_ITEMS_MAX} are possible`)
    }
    return Result.succeed([...items.values()])
  }

export const executions: Rule<number> = (text) => {
  const count = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0
  return count >= 1 && count <= EXECUTIONS_MAX
    ? Result.succeed(count)
    : Result.fail(`must be a whole number from 1 to ${EXECUTIONS_MAX}, or empty for no limit`)
}

/** A moment with its time zone, since a school and the center may be in different ones. */
export const moment: Rule<DateTime.Utc> = (text) => {
  const parts = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)$/i.exec(text)
  const [, day = "", time = "", zone = ""] = parts ?? []
  const instant = DateTime.make(`${day}T${time}${zone.toUpperCase()}`)
  if (parts === null || !isCalendarDay(day) || Option.isNone(instant)) {
    return Result.fail("must be a date and time with its zone, such as 2027-03-01T08:00+01:00")
  }
  return isMillis(DateTime.toEpochMillis(instant.value))
    ? Result.succeed(DateTime.toUtc(instant.value))
    : Result.fail("must lie between the years 1970 and 9999")
}

const isMillis = Schema.is(Millis)

/** Whether the day exists: the platform's parser reads 30 February as 2 March. */
const isCalendarDay = (day: string): boolean =>
  Option.exists(
    DateTime.make(`${day}T00:00:00Z`),
    (date) => DateTime.formatIsoDateUtc(date) === day
  )

const plain = (text: string, lengthMax: number): Result.Result<string, string> => {
  if (text.length > lengthMax) {
    return Result.fail(`is ${text.length} characters long; at most ${lengthMax} are possible`)
  }
  if (/[\r\n\u2028\u2029]/.test(text)) {
    return Result.fail("contains a line break; is a quote missing or too many?")
  }
  if (/\p{Cc}/u.test(text)) return Result.fail("contains a control character")
  if (text.includes("\uFFFD")) {
    return Result.fail("contains the mark of a lost character (U+FFFD); export the file again")
  }
  return Result.succeed(text)
}

const withoutBar = <E>(result: Result.Result<string, E>): Result.Result<string, E | string> =>
  Result.isSuccess(result) && result.success.includes("|")
    ? Result.fail('contains "|", which separates the entries of lists')
    : result

/** The beginning of a cell, on one line, with nothing in it that could steer a terminal. */
export const shownValue = (value: string): string => {
  const visible = value.replace(
    /[\p{C}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`
  )
  return visible.length > VALUE_SHOWN_MAX ? `${visible.slice(0, VALUE_SHOWN_MAX)}…` : visible
}
