/** The databases: one contract over sql.js files, node:sqlite and PostgreSQL, then what differs. */

import { spawnSync } from "node:child_process"
import fs from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Layer } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import { isDiskFull } from "../infrastructure/sql-errors.ts"
import * as Postgres from "../infrastructure/sql-postgres.ts"
import * as Sqlite from "../infrastructure/sql-sqlite.ts"
import { chooseBuild, openFile } from "../infrastructure/sqljs-files.ts"
import { type InDatabase, suite } from "./contract/sql.ts"
import { freshFolder, freshPostgres, freshSqlite } from "./support/database.ts"

type Embedded = SqlClient.SqlClient | Sqlite.Database
type Open = (file: string) => Layer.Layer<Embedded, Sqlite.DatabaseUnavailable>

/** Reads a closed file with the other engine, and with SQLite's own shell where there is one. */
const soundFile = (file: string) =>
  Effect.sync(() => {
    const database = new DatabaseSync(file, { readOnly: true })
    const check = database.prepare("PRAGMA integrity_check").all()
    database.close()
    assert.deepStrictEqual(check.map(Object.values), [["ok"]])
    const shell = spawnSync("sqlite3", ["-readonly", file, "PRAGMA integrity_check"])
    if (shell.error === undefined) assert.strictEqual(String(shell.stdout).trim(), "ok")
  })

const embedded =
  (open: Open): InDatabase =>
  (program) =>
    Effect.gen(function* () {
      const file = yield* freshSqlite()
      const result = yield* Effect.scoped(program).pipe(Effect.provide(open(file)))
      yield* soundFile(file)
      return result
    })

const onPostgres: InDatabase = (program) =>
  Effect.gen(function* () {
    const url = yield* freshPostgres()
    return yield* Effect.scoped(program).pipe(Effect.provide(Postgres.layer(url)))
  })

suite("sql.js on files", embedded(Sqlite.layer))
suite("node:sqlite", embedded(Sqlite.layerNode))
suite("PostgreSQL", onPostgres)

const failing = <A, E>(layer: Layer.Layer<A, E>) =>
  Effect.flip(Effect.provide(Effect.void, layer, { local: true }))

const createNotes = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS notes (body text NOT NULL)`
  return sql
})

const notes = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ body: string }>`SELECT body FROM notes ORDER BY body`, (rows) =>
    rows.map((row) => row.body.slice(0, 9))
  )

const write = (sql: SqlClient.SqlClient, body: string) =>
  sql`INSERT INTO notes (body) VALUES (${body})`

const engines: ReadonlyArray<readonly [string, Open]> = [
  ["sql.js on files", Sqlite.layer],
  ["node:sqlite", Sqlite.layerNode]
]

for (const [name, open] of engines) {
  describe(`an embedded database by ${name}`, () => {
    it.live("keeps its rows when it is closed and opened again", () =>
      Effect.gen(function* () {
        const file = yield* freshSqlite()
        const add = (body: string) =>
          Effect.flatMap(createNotes, (sql) => Effect.andThen(write(sql, body), notes(sql)))
        yield* add("one").pipe(Effect.provide(open(file), { local: true }))
        const found = yield* add("two").pipe(Effect.provide(open(file), { local: true }))
        assert.deepStrictEqual(found, ["one", "two"])
      })
    )

    it.live("syncs every commit and checks foreign keys", () =>
      embedded(open)(
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const read = (name: string) => Effect.map(sql.unsafe(`PRAGMA ${name}`).values, (v) => v)
          assert.deepStrictEqual(yield* read("journal_mode"), [["wal"]])
          assert.deepStrictEqual(yield* read("synchronous"), [[2]])
          assert.deepStrictEqual(yield* read("foreign_keys"), [[1]])
          assert.deepStrictEqual(yield* read("locking_mode"), [["exclusive"]])
        })
      )
    )

    it.live("belongs to one user at a time, by any of its names", () =>
      Effect.gen(function* () {
        const file = yield* freshSqlite()
        const link = `${dirname(file)}/link.db`
        yield* Effect.gen(function* () {
          yield* createNotes
          fs.symlinkSync(file, link)
          for (const name of [file, link]) {
            const refused = yield* failing(open(name))
            assert.strictEqual(refused.reason, "owned")
          }
        }).pipe(Effect.provide(open(file)))
        yield* Effect.provide(createNotes, open(link), { local: true })
      })
    )

    it.live("that is not one is refused as damaged, and a missing folder as unreachable", () =>
      Effect.gen(function* () {
        const file = yield* freshSqlite()
        fs.writeFileSync(file, "not a database at all, though it is long enough. ".repeat(90))
        const before = fs.readFileSync(file)
        assert.strictEqual((yield* failing(open(file))).reason, "damaged")
        assert.deepStrictEqual(fs.readFileSync(file), before)
        const missing = yield* failing(open(`${dirname(file)}/missing/test.db`))
        assert.strictEqual(missing.reason, "unreachable")
      })
    )

    it.live("is copied whole while it is in use, and never onto itself", () =>
      Effect.gen(function* () {
        const file = yield* freshSqlite()
        const copy = `${dirname(file)}/copy.db`
        yield* Effect.gen(function* () {
          const sql = yield* createNotes
          const database = yield* Sqlite.Database
          yield* write(sql, "one")
          yield* database.backupTo(copy)
          yield* write(sql, "two")
          yield* database.backupTo(copy)
          yield* Effect.flip(database.backupTo(file))
          yield* Effect.flip(sql.withTransaction(database.backupTo(copy)))
          assert.deepStrictEqual(yield* database.integrityCheck, [])
        }).pipe(Effect.provide(open(file)))
        yield* soundFile(copy)
        const found = yield* Effect.flatMap(createNotes, notes).pipe(Effect.provide(open(copy)))
        assert.deepStrictEqual(found, ["one", "two"])
        assert.deepStrictEqual(
          fs.readdirSync(dirname(file)).filter((entry) => entry.includes("partial")),
          []
        )
      })
    )

    it.live("says what is wrong with its pages and references", () =>
      Effect.gen(function* () {
        const file = yield* freshSqlite()
        const problems = Effect.flatMap(Sqlite.Database, (database) => database.integrityCheck)
        yield* Effect.gen(function* () {
          const sql = yield* createNotes
          yield* sql`CREATE TABLE parts (note integer REFERENCES parents (id))`
          yield* sql`CREATE TABLE parents (id integer PRIMARY KEY)`
          yield* sql`PRAGMA foreign_keys = OFF`
          yield* sql`INSERT INTO parts (note) VALUES (9)`
          assert.match((yield* problems).join(), /parts 1/)
        }).pipe(Effect.provide(open(file)))
      })
    )

    it.live("that is full says so, and keeps none of the transaction, even when that goes on", () =>
      embedded(open)(
        Effect.gen(function* () {
          const sql = yield* createNotes
          yield* write(sql, "before")
          yield* sql`PRAGMA max_page_count = 40`
          const outcome = yield* Effect.exit(
            sql.withTransaction(
              Effect.gen(function* () {
                yield* write(sql, "first")
                const full = yield* Effect.flip(write(sql, "x".repeat(300_000)))
                assert.isTrue(isDiskFull(full), full.message)
                yield* write(sql, "last")
              })
            )
          )
          const kept = Exit.isSuccess(outcome) ? ["before", "first", "last"] : ["before"]
          assert.deepStrictEqual(yield* notes(sql), kept)
          yield* write(sql, "next")
        })
      )
    )

    it.live("reports a full disk as a failure, not as a defect of its rollback", () =>
      embedded(open)(
        Effect.gen(function* () {
          const sql = yield* createNotes
          yield* sql`PRAGMA max_page_count = 40`
          const grow = Effect.forEach(
            Array.from({ length: 50 }),
            () => sql`INSERT INTO notes (body) VALUES (${"x".repeat(9_000)})`
          )
          const full = yield* Effect.flip(sql.withTransaction(grow))
          assert.isTrue(SqlError.isSqlError(full) && isDiskFull(full))
          assert.deepStrictEqual(yield* notes(sql), [])
        })
      )
    )
  })
}

describe("sql.js on files", () => {
  /** Breaks the n-th sync from now on this file's folder, once. */
  const breakSync = (n: number) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const real = fs.fsyncSync
        let left = n
        fs.fsyncSync = (fd) => {
          if (--left === 0) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" })
          real(fd)
        }
        return real
      }),
      (real) => Effect.sync(() => (fs.fsyncSync = real))
    )

  it.live("never acknowledges a commit whose sync failed, and goes on with a new handle", () =>
    Effect.forEach([1, 2, 3], (n) =>
      Effect.gen(function* () {
        const file = yield* freshSqlite()
        const acknowledged = yield* Effect.gen(function* () {
          const sql = yield* createNotes
          const done: Array<string> = []
          yield* Effect.scoped(
            Effect.andThen(
              breakSync(n),
              Effect.forEach(["a", "b", "c", "d", "e"], (body) =>
                sql.withTransaction(write(sql, body)).pipe(
                  Effect.tap(() => Effect.sync(() => done.push(body))),
                  Effect.exit
                )
              )
            )
          )
          assert.strictEqual(done.length, 4)
          yield* write(sql, "f")
          assert.deepStrictEqual(yield* notes(sql), [...done, "f"])
          return done
        }).pipe(Effect.provide(Sqlite.layer(file)))
        yield* soundFile(file)
        const reader = new DatabaseSync(file, { readOnly: true })
        const found = reader.prepare("SELECT body FROM notes ORDER BY body").all()
        reader.close()
        assert.deepStrictEqual(
          found.map((row) => row.body),
          [...acknowledged, "f"]
        )
      })
    )
  )

  it.live("maps a file once in a process", () =>
    Effect.gen(function* () {
      const file = yield* freshSqlite()
      const first = yield* Effect.promise(() => openFile(file))
      yield* Effect.flip(Effect.tryPromise(() => openFile(file)))
      first.close()
      const second = yield* Effect.promise(() => openFile(file))
      second.close()
    })
  )

  it.live("takes the debug build for bytes it does not know, and that works too", () =>
    Effect.gen(function* () {
      assert.strictEqual(chooseBuild(new Uint8Array([1])), "sql-wasm-debug")
      const file = yield* freshSqlite()
      const { database, disk, close } = yield* Effect.promise(() =>
        openFile(file, "sql-wasm-debug")
      )
      database.run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL")
      database.run("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
      assert.isAbove(disk.syncs, 0)
      close()
      yield* soundFile(file)
    })
  )

  it.live("leaves no temporary file with exam data behind", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      yield* Effect.gen(function* () {
        const sql = yield* createNotes
        for (let i = 0; i < 200; i++) yield* write(sql, `${i}`.repeat(2_000))
        yield* sql`SELECT body FROM notes ORDER BY body DESC`
        yield* sql`VACUUM`.unprepared
      }).pipe(Effect.provide(Sqlite.layer(`${folder}/a.db`)))
      assert.deepStrictEqual(fs.readdirSync(folder).sort(), ["a.db", "a.db.lock"])
    })
  )
})

describe("PostgreSQL", () => {
  it.live("takes arrays of every kind of element under a cast", () =>
    onPostgres(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const kinds: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
          ["boolean", [true, false, null, true]],
          ["bigint", [Number.MAX_SAFE_INTEGER, -1, null]],
          ["integer", [1, 2, 3]],
          ["text", ["a,b", '"', "\\", "NULL", "", null, "{}", "é😀"]],
          ["bytea", [new Uint8Array([0, 92, 255]), new Uint8Array(), null]],
          ["float8", [0.1, -1.5e-300]],
          ["text", []]
        ]
        for (const [type, elements] of kinds) {
          const rows = yield* sql.unsafe(`SELECT * FROM unnest($1::${type}[])`, [elements]).values
          assert.deepStrictEqual(
            rows.map((row) => row[0]),
            [...elements]
          )
        }
        const large = yield* sql`SELECT * FROM unnest(${[9007199254740993n]}::bigint[])`.pipe(
          Effect.exit
        )
        assert.isTrue(Exit.isFailure(large), "an integer that would be rounded must fail")
      })
    )
  )

  it.live("never takes something else for a boolean", () =>
    onPostgres(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const read = (value: unknown) => sql`SELECT ${value}::boolean AS b`
        assert.deepStrictEqual(yield* read(1), [{ b: true }])
        assert.deepStrictEqual(yield* read(0), [{ b: false }])
        assert.isTrue(Exit.isFailure(yield* Effect.exit(read("maybe"))))
        assert.deepStrictEqual(yield* read(true), [{ b: true }])
      })
    )
  )

  const running = (sql: SqlClient.SqlClient) =>
    Effect.map(
      sql<{ n: number }>`
        SELECT count(*) AS n FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep%'
          AND pid <> pg_backend_pid()`,
      (rows) => rows[0]?.n ?? 0
    )
  const until = (sql: SqlClient.SqlClient, n: number): Effect.Effect<void, SqlError.SqlError> =>
    Effect.flatMap(running(sql), (found) =>
      found === n ? Effect.void : Effect.andThen(Effect.sleep("10 millis"), until(sql, n))
    )

  it.live("stops working on a query that was interrupted", () =>
    onPostgres(
      Effect.gen(function* () {
        const sql = yield* createNotes
        const sleeping = [
          sql`SELECT pg_sleep(600)`,
          sql.withTransaction(Effect.andThen(write(sql, "lost"), sql`SELECT pg_sleep(600)`))
        ]
        for (const query of sleeping) {
          const fiber = yield* Effect.forkChild(query)
          yield* until(sql, 1)
          yield* Fiber.interrupt(fiber)
          yield* until(sql, 0)
        }
        assert.deepStrictEqual(yield* notes(sql), [])
      })
    )
  )

  it.live("survives queries that are interrupted at any moment", () =>
    onPostgres(
      Effect.gen(function* () {
        const sql = yield* createNotes
        for (let i = 0; i < 60; i++) {
          const fiber = yield* Effect.forkChild(sql.withTransaction(write(sql, "lost")), {
            startImmediately: true
          })
          for (let turn = 0; turn < i % 12; turn++) {
            yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          }
          yield* Fiber.interrupt(fiber)
          yield* write(sql, `kept ${i}`)
        }
        const kept = (yield* notes(sql)).filter((body) => body !== "lost")
        assert.strictEqual(kept.length, 60)
      })
    )
  )

  it.live("keeps nothing of a transaction whose connection was lost in the middle", () =>
    onPostgres(
      Effect.gen(function* () {
        const sql = yield* createNotes
        const pid = Effect.map(
          sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`,
          (rows) => rows[0]
        )
        const inner = yield* Effect.exit(
          sql.withTransaction(
            Effect.gen(function* () {
              yield* write(sql, "first")
              const victim = yield* pid
              yield* Effect.promise(() => terminate(sql, victim?.pid ?? 0))
              yield* Effect.exit(write(sql, "second"))
              yield* write(sql, "third")
            })
          )
        )
        assert.isTrue(Exit.isFailure(inner))
        assert.deepStrictEqual(yield* notes(sql), [])
        yield* write(sql, "next")
        assert.deepStrictEqual(yield* notes(sql), ["next"])
      })
    )
  )

  it.live("says that it cannot be reached, with a reason that may be tried again", () =>
    Effect.gen(function* () {
      const refused = yield* failing(Postgres.layer("postgres://nobody@127.0.0.1:1/none"))
      assert.strictEqual(refused.reason._tag, "ConnectionError")
      assert.isTrue(refused.isRetryable)
    })
  )

  it.live("lends at most as many connections as it may open", () =>
    Effect.gen(function* () {
      const url = yield* freshPostgres()
      yield* Effect.gen(function* () {
        const sql = yield* createNotes
        yield* Effect.forEach(
          Array.from({ length: 12 }).keys(),
          (i) => sql.withTransaction(write(sql, `n${i}`)),
          { concurrency: "unbounded" }
        )
        const open = yield* sql`
          SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()`
        assert.deepStrictEqual(open, [{ n: 2 }])
      }).pipe(Effect.provide(Postgres.layer({ url, maxConnections: 2 })))
    })
  )
})

/** Ends a connection by another one, as a restarting server or a broken network would. */
const terminate = (sql: SqlClient.SqlClient, pid: number) =>
  Effect.runPromise(sql`SELECT pg_terminate_backend(${pid}, 2000)`)
