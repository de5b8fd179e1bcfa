/** Says what transactions, bulk inserts and streams keep on every database. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { insertRows } from "../../infrastructure/sql-bulk.ts"
import { COLUMNS, createItems, type InDatabase, ids, insert, item, reason } from "./sql-items.ts"

export const transactions = (inDatabase: InDatabase) =>
  describe("transactions", () => {
    it.live("leave nothing when they fail or die", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          for (const end of [Effect.fail("no"), Effect.die("no")]) {
            yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(sql, item("a")), end)))
            assert.deepStrictEqual(yield* ids(sql), [])
          }
        })
      )
    )

    it.live("leave nothing when they are interrupted, and the client goes on", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          const written = yield* Deferred.make<void>()
          const fiber = yield* Effect.forkChild(
            sql.withTransaction(
              insert(sql, item("a")).pipe(
                Effect.andThen(Deferred.succeed(written, undefined)),
                Effect.andThen(Effect.never)
              )
            )
          )
          yield* Deferred.await(written)
          yield* Fiber.interrupt(fiber)
          assert.deepStrictEqual(yield* ids(sql), [])
        })
      )
    )

    it.live("undo an inner failure alone, and keep the outer work", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          yield* sql.withTransaction(
            Effect.gen(function* () {
              yield* insert(sql, item("a"))
              const inner = Effect.andThen(insert(sql, item("b")), insert(sql, item("a")))
              yield* Effect.flip(sql.withTransaction(inner))
              yield* sql.withTransaction(insert(sql, item("c")))
            })
          )
          assert.deepStrictEqual(yield* ids(sql), ["a", "c"])
        })
      )
    )

    it.live("run twenty at once without losing an update", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          yield* insert(sql, item("n", 0))
          const add = (i: number) =>
            sql.withTransaction(
              Effect.gen(function* () {
                yield* sql`UPDATE items SET version = version + 1 WHERE id = 'n'`
                yield* Effect.yieldNow
                yield* insert(sql, item(`t${i}`))
              })
            )
          yield* Effect.forEach(Array.from({ length: 20 }).keys(), add, {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(yield* sql`SELECT version FROM items WHERE id = 'n'`.values, [
            [20]
          ])
          assert.strictEqual((yield* ids(sql)).length, 21)
        })
      )
    )

    it.live("show others all of their work or none", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          const half = yield* Deferred.make<void>()
          const go = yield* Deferred.make<void>()
          const work = Effect.gen(function* () {
            yield* insert(sql, item("a"))
            yield* Deferred.succeed(half, undefined)
            yield* Deferred.await(go)
            yield* insert(sql, item("b"))
          })
          const writer = yield* Effect.forkChild(sql.withTransaction(work))
          yield* Deferred.await(half)
          // on one connection the reader waits for the writer, on several it sees the old state
          const reader = yield* Effect.forkChild(ids(sql), { startImmediately: true })
          yield* Effect.yieldNow
          yield* Deferred.succeed(go, undefined)
          assert.include(["", "a,b"], (yield* Fiber.join(reader)).join())
          yield* Fiber.join(writer)
          assert.deepStrictEqual(yield* ids(sql), ["a", "b"])
        })
      )
    )
  })

export const bulk = (inDatabase: InDatabase) =>
  describe("bulk inserts", () => {
    const VERSIONED = {
      key: ["id"],
      action:
        "DO UPDATE SET version = excluded.version, body = excluded.body WHERE items.version < excluded.version"
    } as const

    it.live("write thousands of rows in several statements", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          const rows = Array.from({ length: 5_001 }, (_, i) => item(`i${i}`, i))
          yield* insertRows(sql, { table: "items", columns: COLUMNS, rows })
          const found = yield* sql`SELECT count(*) AS n, max(version) AS last FROM items`
          assert.deepStrictEqual(found, [{ n: 5_001, last: 5_000 }])
          yield* insertRows(sql, { table: "items", columns: COLUMNS, rows: [] })
        })
      )
    )

    it.live("apply the same key several times in the rows' order", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          const rows = [item("a", 1), item("b", 5), item("a", 3), item("a", 2), item("b", 4)]
          yield* insertRows(sql, { table: "items", columns: COLUMNS, rows, onConflict: VERSIONED })
          yield* insertRows(sql, { table: "items", columns: COLUMNS, rows, onConflict: VERSIONED })
          const found = yield* sql`SELECT id, version FROM items ORDER BY id`
          assert.deepStrictEqual(found, [
            { id: "a", version: 3 },
            { id: "b", version: 5 }
          ])
        })
      )
    )

    it.live("write nothing when one row of many is refused", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          const rows = [...Array.from({ length: 4_500 }, (_, i) => item(`i${i}`)), item("i0")]
          const refused = yield* reason(insertRows(sql, { table: "items", columns: COLUMNS, rows }))
          assert.strictEqual(refused._tag, "UniqueViolation")
          assert.deepStrictEqual(yield* ids(sql), [])
        })
      )
    )
  })

export const streams = (inDatabase: InDatabase) =>
  describe("streams", () => {
    const filled = Effect.gen(function* () {
      const sql = yield* createItems
      const rows = Array.from({ length: 1_000 }, (_, i) => item(String(i).padStart(4, "0"), i))
      yield* insertRows(sql, { table: "items", columns: COLUMNS, rows })
      return sql
    })
    const versions = (sql: SqlClient.SqlClient, from: number) =>
      sql<{ version: number }>`
        SELECT version FROM items WHERE version >= ${from} ORDER BY version`.stream.pipe(
        Stream.map((row) => row.version)
      )

    it.live("give all rows in order", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* filled
          const expected = Array.from({ length: 990 }, (_, i) => i + 10)
          assert.deepStrictEqual(yield* Stream.runCollect(versions(sql, 10)), expected)
          assert.deepStrictEqual(yield* Stream.runCollect(versions(sql, 5_000)), [])
        })
      )
    )

    it.live("may be left early, and the client goes on", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* filled
          for (let i = 0; i < 15; i++) {
            assert.deepStrictEqual(
              yield* Stream.runCollect(Stream.take(versions(sql, 0), 3)),
              [0, 1, 2]
            )
          }
          yield* insert(sql, item("x"))
        })
      )
    )

    it.live("run beside other statements of their transaction", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* filled
          const copy = (version: number) => insert(sql, item(`copy ${version}`, null))
          yield* sql.withTransaction(Stream.runForEach(versions(sql, 0), copy))
          assert.strictEqual((yield* ids(sql)).length, 2_000)
        })
      )
    )

    it.live("fail with the database's error", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const exit = yield* Effect.exit(Stream.runDrain(sql`SELECT id FROM missing`.stream))
          assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause))
          assert.deepStrictEqual(yield* sql`SELECT 1 AS one`, [{ one: 1 }])
        })
      )
    )
  })
