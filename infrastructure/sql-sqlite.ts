/**
 * Keeps the embedded database: Effect's SqlClient over SQLite on one file.
 *
 * Settings are fixed. WAL with synchronous=FULL is the one mode that lost nothing in simulated power
 * cuts with a single sync per commit; exclusive locking replaces the shared memory that sql.js lacks
 * and has to come first. Transactions begin IMMEDIATE, for a deferred one may fail half-way.
 *
 * One process owns the file (`<file>.lock`), and one fiber at a time uses the connection. Inside a
 * transaction or a stream's consumer, use the same fiber's client: a statement of the stream's
 * consumer outside a transaction would wait for the stream itself.
 *
 * Integers beyond 2^31 are bound as floats by sql.js: exact when stored in or compared with an
 * INTEGER column, but write CAST(? AS INTEGER) before dividing one.
 */

import fs from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { Context, Effect, Layer, Schema, Semaphore } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { SqlClient, type SqlError, Statement } from "effect/sql"
import { lock } from "./process-lock.ts"
import * as Connection from "./sqlite-connection.ts"
import { type Engine, type OpenEngine, toSqlError } from "./sqlite-engine.ts"
import * as NodeEngine from "./sqlite-engine-node.ts"
import * as SqlJsEngine from "./sqlite-engine-sqljs.ts"
import { selfTest } from "./sqlite-self-test.ts"

/**
 * The database file cannot be used.
 *
 * - `owned`: another process has it open
 * - `self-test`: this machine's disk or the engine did not keep what a trial wrote
 * - `damaged`: it is no SQLite database, or a broken one
 * - `unreachable`: its directory is missing, or not writable
 * - `full`: there is no room on the disk even to open it
 */
export class DatabaseUnavailable extends Schema.TaggedError<DatabaseUnavailable>()(
  "DatabaseUnavailable",
  {
    reason: Schema.Literals(["owned", "self-test", "damaged", "unreachable", "full"]),
    file: Schema.String,
    detail: Schema.String
  }
) {
  override get message() {
    return `${this.file}: ${this.detail}`
  }
}

/** What only an embedded database can do. */
export class Database extends Context.Service<
  Database,
  {
    /**
     * Copies the whole database to `path` as of now, in one synced file that replaces an older one.
     * Fails inside a transaction; leaves at most `<path>.partial` behind when interrupted.
     */
    readonly backupTo: (path: string) => Effect.Effect<void, SqlError.SqlError>
    /** Reads every page and index; lists what is wrong, at most 100 lines, or nothing. */
    readonly integrityCheck: Effect.Effect<ReadonlyArray<string>, SqlError.SqlError>
  }
>()("testferry/infrastructure/sql-sqlite/Database") {}

/** Opens `file` by sql.js, creating it if it is missing. */
export const layer = (file: string) => make(file, SqlJsEngine.open)

/** Opens the same file with the same settings by node:sqlite: about 1.6 times faster in bulk. */
export const layerNode = (file: string) => make(file, NodeEngine.open)

const make = (
  file: string,
  open: OpenEngine
): Layer.Layer<SqlClient.SqlClient | Database, DatabaseUnavailable> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const path = yield* realPath(file)
      yield* owned(path)
      yield* selfTested(path)
      const prepared = () => open(path).then(prepare)
      const session = yield* Effect.acquireRelease(
        Effect.tryPromise({ try: prepared, catch: (cause) => unusable(path, cause) }).pipe(
          Effect.map((engine) => Connection.start(engine, prepared))
        ),
        (session) => Effect.sync(session.close)
      )
      const sql = yield* client(session)
      return Context.make(SqlClient.SqlClient, sql).pipe(
        Context.add(Database, database(sql, session, path))
      )
    })
  ).pipe(Layer.provide(Reactivity.layer))

/** Finds the file behind links, so that the journal lies beside it and two names are one lock. */
const realPath = (file: string) =>
  Effect.try({
    try: () => {
      const path = resolve(file)
      return fs.existsSync(path)
        ? fs.realpathSync(path)
        : join(fs.realpathSync(dirname(path)), basename(path))
    },
    catch: (cause) => unusable(file, cause)
  })

const owned = (file: string) =>
  Effect.mapError(
    lock(`${file}.lock`),
    ({ held, detail }) =>
      new DatabaseUnavailable({
        reason: held ? "owned" : "unreachable",
        file,
        detail: held ? "another process is using this database" : detail
      })
  )

let tested = false

/** Tries engine and disk once per process, on a scratch file beside the database. */
const selfTested = (file: string) =>
  Effect.suspend(() =>
    tested
      ? Effect.void
      : Effect.tryPromise({
          try: () => selfTest(`${file}.self-test`),
          catch: (cause) => {
            const detail = describe(cause)
            const reason = FULL.test(detail) ? "full" : "self-test"
            return new DatabaseUnavailable({ reason, file, detail })
          }
        }).pipe(Effect.tap(() => Effect.sync(() => (tested = true))))
  )

const describe = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

const unusable = (file: string, cause: unknown): DatabaseUnavailable => {
  const detail = describe(cause)
  const damaged = /not a database|malformed|unsupported file format/.test(detail)
  const reason = FULL.test(detail) ? "full" : damaged ? "damaged" : "unreachable"
  return new DatabaseUnavailable({ reason, file, detail })
}

/** SQLite's words, and those of the system for a file of ours. */
const FULL = /database or disk is full|ENOSPC|EDQUOT/

const SETTINGS = [
  // A body is one to two KB: pages of twice the usual size waste less, and half as many are written.
  "PRAGMA page_size = 8192",
  "PRAGMA locking_mode = EXCLUSIVE",
  "PRAGMA journal_mode = WAL",
  "PRAGMA synchronous = FULL",
  "PRAGMA foreign_keys = ON",
  // sorting must not write exam data to a temporary file
  "PRAGMA temp_store = MEMORY",
  // 16 MB of pages: a device has 2 GB
  "PRAGMA cache_size = -16384",
  // after a large transaction the journal shrinks to 16 MB again
  "PRAGMA journal_size_limit = 16777216"
]

const prepare = (engine: Engine): Engine => {
  const run = (text: string) => {
    const statement = engine.prepare(text)
    try {
      return statement.all([])
    } finally {
      statement.free()
    }
  }
  try {
    for (const setting of SETTINGS) run(setting)
    const mode = run("PRAGMA journal_mode")[0]?.[0]
    if (mode !== "wal") throw new Error(`the journal mode is ${mode}, not wal`)
    run("SELECT count(*) FROM sqlite_schema")
    return engine
  } catch (cause) {
    engine.close()
    throw cause
  }
}

const client = Effect.fnUntraced(function* (session: Connection.Session) {
  return yield* SqlClient.make({
    ...SqlClient.makeSqliteAcquirers({
      connection: session.connection,
      semaphore: yield* Semaphore.make(1)
    }),
    compiler: Statement.makeCompilerSqlite(),
    driver: "sqlite",
    beginTransaction: "BEGIN IMMEDIATE",
    prepareTransactionControls: true,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    spanAttributes: [["db.system.name", "sqlite"]]
  })
})

const database = (sql: SqlClient.SqlClient, session: Connection.Session, file: string) =>
  Database.of({
    backupTo: (path) => {
      const partial = `${resolve(path)}.partial`
      return Effect.gen(function* () {
        yield* onDisk(() => prepareBackup(file, resolve(path), partial))
        yield* sql.unsafe("VACUUM INTO ?", [session.path(partial)]).unprepared
        yield* onDisk(() => finishBackup(resolve(path), partial))
      })
    },
    integrityCheck: Effect.gen(function* () {
      const pages = yield* sql<{ integrity_check: string }>`PRAGMA integrity_check(100)`
      const references = yield* sql<{ table: string; rowid: number }>`PRAGMA foreign_key_check`
      return [
        ...pages.map((row) => row.integrity_check).filter((line) => line !== "ok"),
        ...references.map((row) => `${row.table} ${row.rowid}: refers to a missing row`)
      ].slice(0, 100)
    })
  })

const onDisk = <A>(run: () => A) =>
  Effect.try({ try: run, catch: (cause) => toSqlError(cause, "backup") })

const prepareBackup = (file: string, target: string, partial: string) => {
  if (fs.existsSync(target) && fs.realpathSync(target) === file) {
    throw new Error("a backup must not replace the database itself")
  }
  fs.rmSync(partial, { force: true })
}

const finishBackup = (target: string, partial: string) => {
  syncPath(partial)
  fs.renameSync(partial, target)
  syncPath(dirname(target))
}

const syncPath = (path: string) => {
  const fd = fs.openSync(path, "r")
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}
