/** Schema migrations on both databases: forward, whole, once, and never behind a newer program. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, type Layer, type Scope } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { type Migrations, migrate } from "../infrastructure/sql-migrate.ts"
import * as Postgres from "../infrastructure/sql-postgres.ts"
import * as Sqlite from "../infrastructure/sql-sqlite.ts"
import { freshPostgres, freshSqlite } from "./support/database.ts"

const TABLE = "test_migrations"

const creates = (table: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE ${sql(table)} (id integer PRIMARY KEY)`
    // without IF NOT EXISTS and with a row: running twice fails, running half shows
    yield* sql`INSERT INTO ${sql(table)} (id) VALUES (1)`
  })

const fails = Effect.gen(function* () {
  yield* creates("half")
  const sql = yield* SqlClient.SqlClient
  yield* sql`INSERT INTO half (id) VALUES (1)`
})

const ONE: Migrations = { "0001_one": creates("one") }
const TWO: Migrations = { ...ONE, "0002_two": creates("two") }

const exists = (table: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(Effect.exit(sql`SELECT id FROM ${sql(table)}`), Exit.isSuccess)
  )

type Fresh = Effect.Effect<
  Layer.Layer<SqlClient.SqlClient, Sqlite.DatabaseUnavailable | SqlError.SqlError>,
  never,
  Scope.Scope
>

const databases: ReadonlyArray<readonly [string, Fresh]> = [
  ["sql.js on files", Effect.map(freshSqlite(), (file) => Sqlite.layer(file))],
  ["PostgreSQL", Effect.map(freshPostgres(), (url) => Postgres.layer(url))]
]

for (const [name, fresh] of databases) {
  const on = <A, E>(program: Effect.Effect<A, E, SqlClient.SqlClient>) =>
    Effect.flatMap(fresh, (layer) => Effect.provide(program, layer))

  describe(`migrations on ${name}`, () => {
    it.live("run what is missing, once", () =>
      on(
        Effect.gen(function* () {
          yield* migrate(TABLE, ONE)
          yield* migrate(TABLE, ONE)
          assert.deepStrictEqual([yield* exists("one"), yield* exists("two")], [true, false])
          yield* migrate(TABLE, TWO)
          yield* migrate(TABLE, TWO)
          assert.isTrue(yield* exists("two"))
        })
      )
    )

    it.live("leave nothing of a run in which one failed, and say why", () =>
      on(
        Effect.gen(function* () {
          const broken = { ...TWO, "0003_half": fails }
          const error = yield* Effect.flip(migrate(TABLE, broken))
          assert.strictEqual(error._tag, "SqlError")
          for (const table of ["one", "two", "half"]) assert.isFalse(yield* exists(table))
          yield* migrate(TABLE, TWO)
        })
      )
    )

    it.live("refuse a database that a newer program has changed", () =>
      on(
        Effect.gen(function* () {
          yield* migrate(TABLE, TWO)
          const error = yield* Effect.flip(migrate(TABLE, ONE))
          assert.deepInclude(error, {
            _tag: "DatabaseTooNew",
            found: "0002_two",
            known: "0001_one"
          })
        })
      )
    )

    it.live("die when the program contradicts what was applied", () =>
      on(
        Effect.gen(function* () {
          yield* migrate(TABLE, { "0002_two": creates("two") })
          for (const wrong of [TWO, { "0002_other": creates("x") }, { two: creates("y") }]) {
            const exit = yield* Effect.exit(migrate(TABLE, wrong))
            assert.isTrue(Exit.hasDies(exit))
          }
          assert.isFalse(yield* exists("one"))
        })
      )
    )
  })
}

describe("migrations on PostgreSQL", () => {
  it.live("run once when eight programs start together", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 3; round++) {
        const url = yield* freshPostgres()
        yield* Effect.forEach(
          Array.from({ length: 8 }),
          () => Effect.provide(migrate(TABLE, TWO), Postgres.layer(url), { local: true }),
          { concurrency: "unbounded" }
        )
        const applied = Effect.flatMap(
          SqlClient.SqlClient,
          (sql) => sql`SELECT migration_id FROM ${sql(TABLE)} ORDER BY 1`.values
        )
        assert.deepStrictEqual(yield* Effect.provide(applied, Postgres.layer(url)), [[1], [2]])
      }
    })
  )
})
