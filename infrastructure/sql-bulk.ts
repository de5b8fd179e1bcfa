/**
 * Writes many rows with few statements, on both databases.
 *
 * PostgreSQL takes each column as one array (`unnest`), so that one text serves any number of rows;
 * SQLite takes VALUES lists. Rows count in their order on both: a row whose key was already written
 * by the same statement goes into the next one, for PostgreSQL refuses to change a row twice.
 */
import { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"

/** How a column is kept; times are integer milliseconds, JSON is text. A `document` is long text. */
export type Kind = "text" | "document" | "integer" | "real" | "blob" | "boolean"

export interface Insert<Columns extends Readonly<Record<string, Kind>>> {
  readonly table: string
  readonly columns: Columns
  readonly rows: ReadonlyArray<Readonly<Record<keyof Columns, unknown>>>
  /** What to do with a row whose key is taken; the failure UniqueViolation unless given. */
  readonly onConflict?: {
    /** The columns of a primary key or unique index. */
    readonly key: ReadonlyArray<keyof Columns & string>
    /** SQL as of DO: `DO NOTHING`, or `DO UPDATE SET a = excluded.a WHERE t.version < excluded.version`. */
    readonly action: string
  }
}

/** Inserts all rows or, when any of them fails, none. Fails with SqlError. */
export const insertRows = <const Columns extends Readonly<Record<string, Kind>>>(
  sql: SqlClient.SqlClient,
  insert: Insert<Columns>
): Effect.Effect<void, SqlError.SqlError> => Effect.asVoid(insertReturning(sql, insert))

/** As `insertRows`; answers what an action that ends with RETURNING says, row by row. */
export const insertReturning = <const Columns extends Readonly<Record<string, Kind>>>(
  sql: SqlClient.SqlClient,
  insert: Insert<Columns>
): Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError> => {
  const dialect = sql.onDialectOrElse({ pg: () => POSTGRES, orElse: () => SQLITE })
  const names = Object.keys(insert.columns)
  const batches = inBatches(insert, dialect.rowsMax(names.length))
  const statements = Effect.map(
    Effect.forEach(batches, (batch) => dialect.write(sql, insert, names, batch)),
    (answers) => answers.flat()
  )
  return batches.length > 1 ? sql.withTransaction(statements) : statements
}

type AnyInsert = Omit<Insert<Readonly<Record<string, Kind>>>, "rows">
type Rows = ReadonlyArray<Readonly<Record<string, unknown>>>

interface Dialect {
  readonly rowsMax: (columns: number) => number
  readonly write: (
    sql: SqlClient.SqlClient,
    insert: AnyInsert,
    names: ReadonlyArray<string>,
    rows: Rows
  ) => Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError>
}

const inBatches = <Columns extends Readonly<Record<string, Kind>>>(
  { rows, onConflict }: Insert<Columns>,
  size: number
): ReadonlyArray<Rows> => {
  const batches: Array<Rows> = []
  const keys = new Set<string>()
  let start = 0
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]
    const key = onConflict && row ? keyOf(row, onConflict.key) : undefined
    if (i - start === size || (key !== undefined && keys.has(key))) {
      batches.push(rows.slice(start, i))
      keys.clear()
      start = i
    }
    if (key !== undefined) keys.add(key)
  }
  if (start < rows.length) batches.push(rows.slice(start))
  return batches
}

// Two keys that look alike only end a batch early.
const keyOf = (row: Readonly<Record<string, unknown>>, key: ReadonlyArray<string>): string => {
  let text = ""
  for (const name of key) {
    const value = row[name]
    text += `\u0000${value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value}`
  }
  return text
}

const target = ({ table, onConflict }: AnyInsert, names: ReadonlyArray<string>) => ({
  into: `INSERT INTO ${quote(table)} (${names.map(quote).join(", ")})`,
  conflict: onConflict
    ? ` ON CONFLICT (${onConflict.key.map(quote).join(", ")}) ${onConflict.action}`
    : ""
})

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`

// More rows a statement bring no speed (measured 1,000 to 10,000), only memory.
const POSTGRES_ROWS = 2_000
const POSTGRES_TYPES: Readonly<Record<Kind, string>> = {
  text: "text",
  document: "text",
  integer: "bigint",
  real: "float8",
  blob: "bytea",
  boolean: "boolean"
}

const POSTGRES: Dialect = {
  rowsMax: () => POSTGRES_ROWS,
  write: (sql, insert, names, rows) => {
    const { into, conflict } = target(insert, names)
    const arrays = names.map((name, i) => `$${i + 1}::${POSTGRES_TYPES[kind(insert, name)]}[]`)
    const text = `${into} SELECT * FROM unnest(${arrays.join(", ")})${conflict}`
    const columns = names.map((name) => rows.map((row) => row[name]))
    return sql.unsafe(text, columns)
  }
}

const kind = ({ columns }: AnyInsert, name: string): Kind => columns[name] ?? "text"

// 500 rows a statement take nearly all the speed there is; SQLite takes 32,766 parameters.
const SQLITE_ROWS = 500
const SQLITE_PARAMETERS = 32_000

const SQLITE: Dialect = {
  rowsMax: (columns) => Math.min(SQLITE_ROWS, Math.floor(SQLITE_PARAMETERS / columns)),
  write: (sql, insert, names, rows) => {
    const { into, conflict } = target(insert, names)
    const row = `(${names.map((name) => (isDocument(insert, name) ? AS_BYTES : "?")).join(",")})`
    const text = `${into} VALUES ${Array(rows.length).fill(row).join(",")}${conflict}`
    const documents = names.map((name) => isDocument(insert, name))
    const parameters: Array<unknown> = []
    for (const row of rows) {
      for (let i = 0; i < names.length; i++) {
        const value = row[names[i] ?? ""]
        parameters.push(documents[i] && typeof value === "string" ? Buffer.from(value) : value)
      }
    }
    const statement = sql.unsafe(text, parameters)
    // only full batches come again and are worth keeping prepared
    return rows.length === SQLITE.rowsMax(names.length) ? statement : statement.unprepared
  }
}

// sql.js copies text character by character, bytes all at once: half the cost of a row of 1 KB.
const AS_BYTES = "CAST(? AS TEXT)"
const isDocument = (insert: AnyInsert, name: string) => kind(insert, name) === "document"
