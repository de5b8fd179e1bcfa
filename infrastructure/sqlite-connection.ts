/**
 * Makes Effect's SQL connection of an opened SQLite engine.
 *
 * It keeps prepared statements, notices when SQLite gave up a transaction by itself, and closes and
 * reopens the file after a failed sync.
 */
import { Effect, Option, Stream } from "effect"
import type { SqlConnection, SqlError } from "effect/sql"
import { type Cell, type Engine, type Prepared, toCell, toSqlError } from "./sqlite-engine.ts"

export interface Session {
  /** Gives the connection; on a new engine if the last one broke. Run it while nobody else writes. */
  readonly connection: Effect.Effect<SqlConnection.Connection, SqlError.SqlError>
  /** How SQL text names a real path. */
  readonly path: (path: string) => string
  readonly close: () => void
}

type Parameters = ReadonlyArray<unknown>
type Row = Readonly<Record<string, Cell>>

// A stream reads this many rows between two chances of the other fibers.
const STREAM_ROWS = 256

/** Starts a session on an engine that `reopen` can make again. */
export const start = (first: Engine, reopen: () => Promise<Engine>): Session => {
  let state = new State(first)
  const connection = makeConnection(() => state)
  const renew = Effect.tryPromise({
    try: async () => {
      closeBroken(state.engine)
      state = new State(await reopen())
      return connection
    },
    catch: (cause) => toSqlError(cause, "reopen")
  })
  return {
    connection: Effect.suspend(() =>
      state.engine.broken() === undefined ? Effect.succeed(connection) : renew
    ),
    path: (path) => state.engine.path(path),
    close: () => state.engine.close()
  }
}

// Every acknowledged commit was synced before the failure, so what this close cannot do is not lost.
const closeBroken = (engine: Engine): void => {
  try {
    engine.close()
  } catch {}
}

const makeConnection = (state: () => State): SqlConnection.Connection => {
  const run = <A>(text: string, parameters: Parameters, answer: Answer<A>, keep: boolean) =>
    Effect.try({
      try: () => {
        const cells = parameters.map(toCell)
        return state().guard(text, (text) => state().use(text, keep, (p) => answer(p, cells)))
      },
      catch: (cause) => toSqlError(cause, "execute")
    })
  const objects = (transform: Transform) => (prepared: Prepared, cells: ReadonlyArray<Cell>) => {
    const rows = toRows(prepared.columns, prepared.all(cells))
    return transform === undefined ? rows : transform(rows)
  }
  const values = (prepared: Prepared, cells: ReadonlyArray<Cell>) => prepared.all(cells)
  return {
    execute: (text, parameters, transform) => run(text, parameters, objects(transform), true),
    executeRaw: (text, parameters) => run(text, parameters, objects(undefined), true),
    executeValues: (text, parameters) => run(text, parameters, values, true),
    executeValuesUnprepared: (text, parameters) => run(text, parameters, values, false),
    executeUnprepared: (text, parameters, transform) =>
      run(text, parameters, objects(transform), false),
    executeStream: (text, parameters, transform) => stream(state, text, parameters, transform)
  }
}

type Answer<A> = (prepared: Prepared, cells: ReadonlyArray<Cell>) => A
type Transform = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

const toRows = (
  columns: ReadonlyArray<string>,
  found: ReadonlyArray<ReadonlyArray<Cell>>
): Array<Row> =>
  found.map((cells) => {
    const row: Record<string, Cell> = {}
    for (let i = 0; i < columns.length; i++) row[columns[i] ?? ""] = cells[i] ?? null
    return row
  })

/** Reads in batches on a statement of its own, which ends with the stream. */
const stream = (state: () => State, text: string, parameters: Parameters, transform: Transform) => {
  const attempt = <A>(run: () => A) =>
    Effect.try({
      try: () => state().guard(text, run),
      catch: (cause) => toSqlError(cause, "stream")
    })
  const read = Effect.acquireRelease(
    attempt(() => {
      const prepared = state().engine.prepare(text)
      return { prepared, rows: prepared.iterate(parameters.map(toCell)) }
    }),
    ({ prepared, rows }) =>
      Effect.sync(() => {
        rows.return?.()
        prepared.free()
      })
  )
  const batches = ({
    prepared,
    rows
  }: {
    prepared: Prepared
    rows: Iterator<ReadonlyArray<Cell>>
  }) =>
    Stream.paginate(undefined, () =>
      attempt(() => {
        const batch: Array<ReadonlyArray<Cell>> = []
        let next = rows.next()
        for (; !next.done; next = rows.next()) {
          batch.push(next.value)
          if (batch.length === STREAM_ROWS) break
        }
        const found = toRows(prepared.columns, batch)
        const more = next.done ? Option.none() : Option.some(undefined)
        return [transform === undefined ? found : transform(found), more] as const
      })
    )
  return Stream.unwrap(Effect.map(read, batches))
}

// Enough for every statement of the program; one takes a few KB, a bulk one up to 300 KB.
const STATEMENTS_MAX = 200

/** One engine with its prepared statements and the state of its transaction. */
class State {
  readonly engine: Engine
  readonly #statements = new Map<string, Prepared>()
  #inTransaction = false
  // Why SQLite ended the transaction while the program believes in it.
  #lost: unknown

  constructor(engine: Engine) {
    this.engine = engine
  }

  use<A>(text: string, keep: boolean, use: (prepared: Prepared) => A): A {
    if (keep) return use(this.#statement(text))
    const prepared = this.engine.prepare(text)
    try {
      return use(prepared)
    } finally {
      prepared.free()
    }
  }

  /** Keeps the most recently used; a kept statement knows its columns, so a new schema drops all. */
  #statement(text: string): Prepared {
    const kept = this.#statements.get(text)
    if (kept !== undefined) {
      this.#statements.delete(text)
      this.#statements.set(text, kept)
      return kept
    }
    if (/^\s*(ALTER|CREATE|DROP)\b/i.test(text)) this.#forget(0)
    else this.#forget(STATEMENTS_MAX - 1)
    const prepared = this.engine.prepare(text)
    this.#statements.set(text, prepared)
    return prepared
  }

  #forget(size: number): void {
    for (const [text, prepared] of this.#statements) {
      if (this.#statements.size <= size) return
      this.#statements.delete(text)
      prepared.free()
    }
  }

  /**
   * Runs a statement, unless its transaction is gone.
   *
   * A full disk or an I/O error makes SQLite roll back by itself. Without this guard the rest of the
   * transaction would run, and be kept, statement by statement.
   */
  guard<A>(text: string, run: (text: string) => A): A {
    const control = CONTROL.exec(text)?.[1]
    const undoing = control === "ROLLBACK" || control === "ROLLBACK TO" || control === "RELEASE"
    if (this.#lost !== undefined && undoing) {
      if (control === "ROLLBACK") this.#end()
      return run(NOTHING)
    }
    const refused = this.#lost ?? (undoing ? undefined : this.engine.broken())
    if (refused !== undefined) throw refused
    try {
      const result = run(text)
      if (control === "BEGIN") this.#inTransaction = true
      if (control === "COMMIT" || control === "ROLLBACK") this.#end()
      return result
    } catch (cause) {
      if (this.#inTransaction && !this.#stillOpen()) this.#lost = cause
      throw cause
    }
  }

  #end(): void {
    this.#inTransaction = false
    this.#lost = undefined
  }

  /** Asks SQLite: BEGIN succeeds only where no transaction is open. */
  #stillOpen(): boolean {
    try {
      this.use("BEGIN", false, (begin) => begin.all([]))
    } catch {
      return true
    }
    this.use("ROLLBACK", false, (rollback) => rollback.all([]))
    return false
  }
}

// what runs in place of undoing a transaction that is undone already
const NOTHING = "SELECT 1 WHERE 0"
const CONTROL = /^(BEGIN|COMMIT|ROLLBACK TO|ROLLBACK|RELEASE)\b/
