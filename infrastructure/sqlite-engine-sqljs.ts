/** Runs SQLite by sql.js on real files. */
import type { Database, Statement } from "sql.js"
import type { Cell, Engine, Prepared } from "./sqlite-engine.ts"
import { refuseRest } from "./sqlite-engine.ts"
import { REAL_PREFIX } from "./sqljs-disk.ts"
import { type FileDatabase, openFile } from "./sqljs-files.ts"

export const open = async (file: string): Promise<Engine> => {
  const opened = await openFile(file)
  return {
    driver: "sqljs",
    prepare: (text) => prepare(opened, text),
    broken: () => {
      const failure = opened.disk.failure
      return failure && `${failure.path} could not be synced to the disk: ${failure.message}`
    },
    path: (path) => REAL_PREFIX + path,
    close: opened.close
  }
}

const prepare = ({ database, disk }: FileDatabase, text: string): Prepared => {
  const statement = parse(database, text)
  // SQLite reports every failed sync of a file, but not that of the directory, without which a new
  // journal may vanish in a power cut together with the commit in it.
  const checked = <A>(run: () => A): A => {
    const before = disk.failure
    const result = run()
    if (before === undefined && disk.failure?.directory) throw new Error(disk.failure.message)
    return result
  }
  return {
    columns: statement.getColumnNames(),
    all: (parameters) => checked(() => [...rows(statement, parameters)]),
    iterate: (parameters) => rows(statement, parameters),
    free: () => {
      statement.free()
    }
  }
}

const parse = (database: Database, text: string): Statement => {
  const statement = database.prepare(text)
  try {
    refuseRest(text, statement.getSQL())
    return statement
  } catch (cause) {
    statement.free()
    throw cause
  }
}

function* rows(statement: Statement, parameters: ReadonlyArray<Cell>) {
  try {
    statement.bind([...parameters])
    while (statement.step()) yield statement.get()
  } finally {
    statement.reset()
  }
}
