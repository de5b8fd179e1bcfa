/** What is written out of opened results, and in which forms. */
import { Schema } from "effect"
import type { PersonRecord } from "./record.ts"
import type { ResultDocument } from "./result.ts"
import type { Variable } from "./variable.ts"

export const ExportFormat = Schema.Literals(["qti", "csv", "csv-takers", "jsonl"])
export type ExportFormat = typeof ExportFormat.Type

export const QtiVersion = Schema.Literals(["2.2", "3.0"])
export type QtiVersion = typeof QtiVersion.Type

/** A result with the names that central knows; where it is not at hand, ids are all there is. */
export interface ExportedResult {
  readonly document: ResultDocument
  readonly sha256: string
  readonly conflict: boolean
  readonly taker: Pick<
    PersonRecord,
    "login" | "label" | "firstName" | "lastName" | "mail" | "interfaceLanguage"
  > | null
  readonly deliveryLabel: string | null
}

/** A moment as text: to the millisecond, in UTC. */
export type Moment = (millis: number) => string

/** A variable's values in one cell: several are separated by ";", fields of a record are named. */
export const valueText = ({ values }: Pick<Variable, "values">): string =>
  (values ?? [])
    .map(({ field, value }) => (field === undefined ? value : `${field}=${value}`))
    .join(";")

/** The column of a variable, as TAO names it: the item, a hyphen, the variable. */
export const variableColumn = (item: string | null, attempt: number, identifier: string): string =>
  `${item ?? "test"}${attempt > 1 ? `#${attempt}` : ""}-${identifier}`

/**
 * Makes an XML name (NCName) of an id, so that two ids never become one: what may not stand there is
 * written `_xHHHH_`, as SQL/XML does (ISO 9075-14), and so is an underscore that looks like it.
 */
export const ncName = (id: string): string =>
  [...id.replace(/_(?=x[0-9A-F]{4,6}_)/gu, "_x005F_")]
    .map((character, at) =>
      (at === 0 ? NAME_START : NAME).test(character) ? character : hex(character)
    )
    .join("")

const NAME_START = /^[A-Za-z_]$/u
const NAME = /^[A-Za-z0-9._-]$/u

const hex = (character: string): string =>
  `_x${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}_`
