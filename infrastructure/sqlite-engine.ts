/**
 * Describes what the two SQLite engines (sql.js on files, node:sqlite) have in common.
 *
 * All calls are synchronous: one of them blocks the event loop for as long as SQLite takes, which
 * for a commit is one fsync.
 */
import { SqlError } from "effect/sql"

/** A value as SQLite keeps it. Integers are exact up to 2^53 - 1. */
export type Cell = null | number | string | Uint8Array

export interface Prepared {
  readonly columns: ReadonlyArray<string>
  readonly all: (parameters: ReadonlyArray<Cell>) => Array<ReadonlyArray<Cell>>
  /** Rows one by one; ending the iteration early lets go of the read. */
  readonly iterate: (parameters: ReadonlyArray<Cell>) => IterableIterator<ReadonlyArray<Cell>>
  readonly free: () => void
}

export interface Engine {
  readonly driver: "sqljs" | "node"
  /** Prepares exactly one statement; throws when more text follows it. */
  readonly prepare: (text: string) => Prepared
  /** Says why nothing more may be written until the file is opened anew, if so. */
  readonly broken: () => string | undefined
  /** How SQL text of this engine names a real path. */
  readonly path: (path: string) => string
  readonly close: () => void
}

/** Opens the file, creating it if need be. The caller holds the process lock on it. */
export type OpenEngine = (file: string) => Promise<Engine>

/**
 * Turns a parameter into what SQLite keeps: booleans into 0 and 1, undefined into NULL.
 *
 * Throws for all that would be stored as something else: arrays, dates (bind integer milliseconds),
 * NaN, integers beyond 2^53 - 1.
 */
export const toCell = (value: unknown): Cell => {
  switch (typeof value) {
    case "string":
      return value
    case "number":
      if (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value)) {
        return value
      }
      break
    case "boolean":
      return value ? 1 : 0
    case "undefined":
      return null
    case "bigint":
      if (Number.isSafeInteger(Number(value))) return Number(value)
      break
    default:
      if (value === null || value instanceof Uint8Array) return value
  }
  throw new TypeError(`SQLite cannot keep this parameter exactly: ${describe(value)}`)
}

// Only the kind and numbers are named: anything else could be personal data in a log.
const describe = (value: unknown): string =>
  typeof value === "number" || typeof value === "bigint"
    ? String(value)
    : Object.prototype.toString.call(value)

/** Refuses text after the first statement, which both engines would silently not run. */
export const refuseRest = (text: string, first: string): void => {
  if (text.slice(first.length).trim() !== "") {
    throw new Error("only the first of several SQL statements would run: send one at a time")
  }
}

/**
 * Classifies what an engine threw: sql.js gives a message only, node:sqlite a number besides.
 *
 * A full disk keeps SQLite's message; `isDiskFull` (sql-failures.ts) recognises it.
 */
export const toSqlError = (cause: unknown, operation: string): SqlError.SqlError => {
  const message = cause instanceof Error ? cause.message : String(cause)
  const coded = Object.assign(new Error(message, { cause }), { code: codeOf(message) })
  return new SqlError.SqlError({
    reason: SqlError.classifySqliteError(coded, { message, operation })
  })
}

const codeOf = (message: string): string => {
  if (/^(UNIQUE|PRIMARY KEY) constraint failed|PRIMARY KEY must be unique/.test(message)) {
    return "SQLITE_CONSTRAINT_UNIQUE"
  }
  if (/constraint failed|^datatype mismatch|^cannot store/.test(message)) return "SQLITE_CONSTRAINT"
  if (/^database (table )?is locked/.test(message)) return "SQLITE_BUSY"
  if (/^unable to open database/.test(message)) return "SQLITE_CANTOPEN"
  return "SQLITE_ERROR"
}
