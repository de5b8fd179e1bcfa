/** Says what every adapter of SqlClient keeps, whatever the database behind it. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, type Scope, Stream } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as fc from "fast-check"
import { insertRows } from "../../infrastructure/sql-bulk.ts"

/** Runs a program on an empty database of its own, and afterwards checks what it left behind. */
export type InDatabase = <A, E>(
  program: Effect.Effect<A, E, SqlClient.SqlClient | Scope.Scope>
) => Effect.Effect<A, unknown, Scope.Scope>

interface Item {
  readonly id: string
  readonly version: number | null
  readonly active: boolean | null
  readonly body: string | null
  readonly bytes: Uint8Array | null
}

const COLUMNS = {
  id: "text",
  version: "integer",
  active: "boolean",
  body: "text",
  bytes: "blob"
} as const

const createItems = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql.onDialectOrElse({
    pg: () => sql`
      CREATE TABLE items (id text PRIMARY KEY, version bigint, active boolean, body text, bytes bytea)`,
    orElse: () => sql`
      CREATE TABLE items (id text PRIMARY KEY, version integer, active integer, body text, bytes blob)
      STRICT`
  })
  return sql
})

const item = (id: string, version: number | null = 1): Item => ({
  id,
  version,
  active: true,
  body: `{"of":"${id}"}`,
  bytes: new Uint8Array([0, 255])
})

const insert = (sql: SqlClient.SqlClient, row: Item) =>
  sql`INSERT INTO items ${sql.insert({ ...row })}`

const ids = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ id: string }>`SELECT id FROM items ORDER BY id`, (rows) =>
    rows.map((row) => row.id)
  )

const readItems = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql<Item & { active: number | boolean | null }>`
      SELECT id, version, active, body, bytes FROM items ORDER BY id`,
    (rows) => rows.map((row) => ({ ...row, active: row.active === null ? null : !!row.active }))
  )

const reason = <A>(effect: Effect.Effect<A, SqlError.SqlError>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

export const suite = (name: string, inDatabase: InDatabase) =>
  describe(name, () => {
    values(inDatabase)
    statements(inDatabase)
    transactions(inDatabase)
    bulk(inDatabase)
    streams(inDatabase)
  })

const values = (inDatabase: InDatabase) =>
  describe("values", () => {
    const EXTREMES: ReadonlyArray<Item> = [
      {
        id: "a",
        version: Number.MAX_SAFE_INTEGER,
        active: true,
        body: "",
        bytes: new Uint8Array()
      },
      { id: "b", version: -Number.MAX_SAFE_INTEGER, active: false, body: `'"\\,{}`, bytes: null },
      { id: "c", version: 2 ** 31, active: null, body: "é😀\n\t", bytes: new Uint8Array(70_000) },
      { id: "d", version: null, active: true, body: null, bytes: Uint8Array.of(0, 92, 34, 255) },
      { id: "e", version: 0, active: false, body: "NULL", bytes: Uint8Array.of(92, 120) }
    ]

    it.live("come back as they were given, one by one and in bulk", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          for (const row of EXTREMES) yield* insert(sql, row)
          assert.deepStrictEqual(yield* readItems(sql), [...EXTREMES])
          yield* sql`DELETE FROM items`
          yield* insertRows(sql, { table: "items", columns: COLUMNS, rows: EXTREMES })
          assert.deepStrictEqual(yield* readItems(sql), [...EXTREMES])
        })
      )
    )

    it.live("come back as they were given, whatever they are", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          for (const rows of fc.sample(ITEMS, { numRuns: 60, seed: 7 })) {
            yield* insertRows(sql, { table: "items", columns: COLUMNS, rows })
            const expected = [...rows].sort((a, b) => (a.id < b.id ? -1 : 1))
            const found = [...(yield* readItems(sql))].sort((a, b) => (a.id < b.id ? -1 : 1))
            assert.deepStrictEqual(found, expected)
            yield* sql`DELETE FROM items`
          }
        })
      )
    )

    it.live("that could not be kept exactly are refused", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          for (const version of [Number.NaN, Infinity, 2 ** 53, { a: 1 }, 2n ** 70n]) {
            const refused = yield* Effect.exit(
              sql`INSERT INTO items (id, version) VALUES ('x', ${version})`
            )
            assert.isTrue(Exit.isFailure(refused), String(version))
          }
          assert.deepStrictEqual(yield* ids(sql), [])
        })
      )
    )

    it.live("compare exactly beyond 2^31, and counts and sums are numbers", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          const time = 1_800_000_000_001
          yield* insert(sql, item("a", time))
          const query = (at: number) =>
            sql`SELECT count(*) AS count, sum(version) AS sum FROM items WHERE version >= ${at}`
          assert.deepStrictEqual(yield* query(time), [{ count: 1, sum: time }])
          assert.deepStrictEqual(yield* query(time + 1), [{ count: 0, sum: null }])
        })
      )
    )
  })

const text = fc
  .string({ unit: "grapheme", maxLength: 12 })
  .filter((value) => value.isWellFormed() && !value.includes("\u0000"))

const ITEMS: fc.Arbitrary<ReadonlyArray<Item>> = fc.uniqueArray(
  fc.record({
    id: text,
    version: fc.option(fc.maxSafeInteger()),
    active: fc.option(fc.boolean()),
    body: fc.option(text),
    bytes: fc.option(fc.uint8Array({ maxLength: 20 }).map((bytes) => Uint8Array.from(bytes)))
  }),
  { selector: (row) => row.id, minLength: 1, maxLength: 8 }
)

const statements = (inDatabase: InDatabase) =>
  describe("statements", () => {
    it.live("find by a list of keys, also by an empty one", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          for (const id of ["a", "b", "c"]) yield* insert(sql, item(id))
          const find = (keys: ReadonlyArray<string>) =>
            sql`SELECT id FROM items WHERE ${sql.in("id", keys)} ORDER BY id`
          assert.deepStrictEqual(yield* find(["c", "a", "x"]), [{ id: "a" }, { id: "c" }])
          assert.deepStrictEqual(yield* find([]), [])
        })
      )
    )

    it.live("return what they changed", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          yield* insert(sql, item("a", 1))
          const changed = yield* sql`
            INSERT INTO items (id, version) VALUES ('a', 7)
            ON CONFLICT (id) DO UPDATE SET version = excluded.version
            RETURNING id, version`
          assert.deepStrictEqual(changed, [{ id: "a", version: 7 }])
          assert.deepStrictEqual(yield* sql`SELECT version FROM items`.values, [[7]])
        })
      )
    )

    it.live("fail with a typed reason", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          yield* sql`CREATE TABLE parts (
            item text NOT NULL REFERENCES items (id), name text UNIQUE, n integer CHECK (n > 0))`
          yield* insert(sql, item("a"))
          yield* sql`INSERT INTO parts (item, name, n) VALUES ('a', 'one', 1)`
          const part = (parent: string | null, name: string, n: number) =>
            Effect.map(
              reason(sql`INSERT INTO parts (item, name, n) VALUES (${parent}, ${name}, ${n})`),
              ({ _tag }) => _tag
            )
          assert.strictEqual((yield* reason(insert(sql, item("a"))))._tag, "UniqueViolation")
          assert.strictEqual(yield* part("a", "one", 1), "UniqueViolation")
          assert.strictEqual(yield* part("x", "two", 1), "ConstraintError")
          assert.strictEqual(yield* part(null, "two", 1), "ConstraintError")
          assert.strictEqual(yield* part("a", "two", 0), "ConstraintError")
        })
      )
    )

    it.live("are refused when there are several in one text", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* createItems
          yield* Effect.flip(sql`DELETE FROM items; DROP TABLE items`)
          yield* Effect.flip(sql`DELETE FROM items; DROP TABLE items`.unprepared)
          assert.deepStrictEqual(yield* ids(sql), [])
        })
      )
    )

    it.live("see a column that was added since they were last run", () =>
      inDatabase(
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          yield* sql`CREATE TABLE things (id integer PRIMARY KEY)`
          yield* sql`INSERT INTO things (id) VALUES (1)`
          const all = sql`SELECT * FROM things`
          assert.deepStrictEqual(yield* all.unprepared, [{ id: 1 }])
          yield* sql`ALTER TABLE things ADD COLUMN name text`
          assert.deepStrictEqual(yield* all, [{ id: 1, name: null }])
        })
      )
    )
  })

const transactions = (inDatabase: InDatabase) =>
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

const bulk = (inDatabase: InDatabase) =>
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

const streams = (inDatabase: InDatabase) =>
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
