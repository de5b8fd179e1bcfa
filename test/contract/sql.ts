/** Says what every adapter of SqlClient keeps, whatever the database behind it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { SqlClient } from "effect/sql"
import * as fc from "fast-check"
import { insertRows } from "../../infrastructure/sql-bulk.ts"
import {
  COLUMNS,
  createItems,
  type InDatabase,
  type Item,
  ids,
  insert,
  item,
  readItems,
  reason
} from "./sql-items.ts"
import { bulk, streams, transactions } from "./sql-transactions.ts"

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
          assert.deepStrictEqual(yield* all, [{ id: 1 }])
          yield* sql`ALTER TABLE things ADD COLUMN name text`
          assert.deepStrictEqual(yield* all, [{ id: 1, name: null }])
        })
      )
    )
  })
