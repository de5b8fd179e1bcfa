/** Runs SQLite by node:sqlite: the second engine, and the independent reader in tests. */
import { DatabaseSync, type SQLInputValue } from "node:sqlite"
import type { Cell, Engine, Prepared } from "./sqlite-engine.ts"
import { refuseRest } from "./sqlite-engine.ts"

export const open = async (file: string): Promise<Engine> => {
  const database = new DatabaseSync(file)
  let broken: string | undefined
  // After a failed sync the kernel may have dropped what was written: only a new handle is sure.
  const watched = <A>(run: () => A): A => {
    try {
      return run()
    } catch (cause) {
      if (isInputOutput(cause)) broken ??= `${file}: ${String(cause)}`
      throw cause
    }
  }
  return {
    driver: "node",
    prepare: (text) => prepare(database, text, watched),
    broken: () => broken,
    path: (path) => path,
    close: () => {
      if (database.isOpen) database.close()
    }
  }
}

const prepare = (
  database: DatabaseSync,
  text: string,
  watched: <A>(run: () => A) => A
): Prepared => {
  const statement = database.prepare(text)
  refuseRest(text, statement.sourceSQL)
  statement.setReturnArrays(true)
  return {
    columns: statement.columns().map((column) => column.name),
    all: (parameters) => watched(() => statement.all(...parameters.map(exact))).map(cells),
    iterate: (parameters) => each(statement.iterate(...parameters.map(exact))),
    free: () => {}
  }
}

function* each(rows: Iterable<unknown>) {
  for (const row of rows) yield cells(row)
}

// SQLITE_IOERR; the bits above the lowest eight tell which call failed
const IO_ERROR = 10
const isInputOutput = (cause: unknown): boolean =>
  cause instanceof Error && "errcode" in cause && (Number(cause.errcode) & 0xff) === IO_ERROR

// node:sqlite binds every number as a float, so that ? / 2 would not be an integer division
const exact = (cell: Cell): SQLInputValue =>
  typeof cell === "number" && Number.isInteger(cell) ? BigInt(cell) : cell

// the boundary to node:sqlite, whose types do not know that rows are arrays after setReturnArrays
const cells = (row: unknown): ReadonlyArray<Cell> => row as ReadonlyArray<Cell>
