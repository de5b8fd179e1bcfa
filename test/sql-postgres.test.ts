/** What PostgreSQL adds to the contract of sql.test.ts. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Postgres from "../infrastructure/sql-postgres.ts"
import { freshPostgres } from "./support/database.ts"
import { createNotes, failing, notes, onPostgres, write } from "./support/on-database.ts"

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
        // interrupted before the driver has sent it, or just after
        const atOnce = yield* Effect.forkChild(sql`SELECT pg_sleep(600)`, {
          startImmediately: true
        })
        yield* Fiber.interrupt(atOnce)
        yield* until(sql, 0)
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
