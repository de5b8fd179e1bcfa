/** What an embedded database adds to the contract of sql.test.ts. */

import fs from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import { isDiskFull } from "../infrastructure/sql-failures.ts"
import * as Sqlite from "../infrastructure/sql-sqlite.ts"
import { chooseBuild, openFile } from "../infrastructure/sqljs-files.ts"
import { freshFolder, freshSqlite } from "./support/database.ts"
import {
  createNotes,
  embedded,
  failing,
  notes,
  type Open,
  soundFile,
  write
} from "./support/on-database.ts"

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
  /** Fails the n-th sync of a file or of a directory from now on, once, as a broken disk would. */
  const breakSync = (what: "file" | "directory", n: number) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const real = fs.fsyncSync
        let left = n
        fs.fsyncSync = (fd) => {
          if (fs.fstatSync(fd).isDirectory() === (what === "directory") && --left === 0) {
            throw Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO" })
          }
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
              breakSync("file", n),
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

  /** Counts how often the file itself is opened from now on. */
  const countOpens = (file: string) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const real = fs.openSync
          const counted = { real, opens: 0 }
          fs.openSync = (path, flags, mode) => {
            if (path === file) counted.opens++
            return real(path, flags, mode)
          }
          return counted
        }),
        ({ real }) => Effect.sync(() => (fs.openSync = real))
      ),
      (counted) => () => counted.opens
    )

  it.live("opens the file anew after a failed sync, and only then", () =>
    Effect.gen(function* () {
      const file = `${fs.realpathSync(dirname(yield* freshSqlite()))}/test.db`
      yield* Effect.gen(function* () {
        const sql = yield* createNotes
        const opens = yield* countOpens(file)
        yield* write(sql, "a")
        assert.strictEqual(opens(), 0)
        yield* Effect.scoped(Effect.andThen(breakSync("file", 1), Effect.flip(write(sql, "lost"))))
        yield* write(sql, "b")
        assert.strictEqual(opens(), 1)
        assert.deepStrictEqual(yield* notes(sql), ["a", "b"])
      }).pipe(Effect.provide(Sqlite.layer(file)), Effect.scoped)
      yield* soundFile(file)
    })
  )

  it.live("never acknowledges a commit whose journal's directory was not synced", () =>
    embedded(Sqlite.layer)(
      Effect.gen(function* () {
        yield* Effect.scoped(Effect.andThen(breakSync("directory", 1), Effect.flip(createNotes)))
        const sql = yield* createNotes
        yield* write(sql, "a")
        assert.deepStrictEqual(yield* notes(sql), ["a"])
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
