/**
 * Brings a database to the program's newest schema.
 *
 * Migrations are numbered, run forward only, and all that are missing run in one transaction: a
 * killed program leaves the old schema or the new one. On PostgreSQL a lock on the table of
 * migrations lets several starting processes wait for the first. Never edit a migration that has
 * left the house: what a database has applied must be what the program knows.
 */
import { Effect, Schema } from "effect"
import { Migrator, SqlClient, SqlError } from "effect/sql"

/** By `0001_name`: four digits that only grow, and what it is about. */
export type Migrations = Readonly<
  Record<string, Effect.Effect<void, SqlError.SqlError, SqlClient.SqlClient>>
>

/** A newer program has changed this database: only that program, or a newer one, may use it. */
export class DatabaseTooNew extends Schema.TaggedError<DatabaseTooNew>()("DatabaseTooNew", {
  table: Schema.String,
  /** Its newest migration, and the newest this program knows. */
  found: Schema.String,
  known: Schema.String
}) {
  override get message() {
    return `the database was changed by a newer program (${this.found}; this one knows ${this.known})`
  }
}

/**
 * Runs the migrations that `table` does not list yet.
 *
 * Fails with DatabaseTooNew, or with the SqlError of a statement, and then nothing was changed. Dies
 * when the program's migrations contradict what the table says was applied.
 */
export const migrate = Effect.fn("migrate")(function* (table: string, migrations: Migrations) {
  const sql = yield* SqlClient.SqlClient
  const names = Object.keys(migrations).sort()
  const misnamed = names.find((name) => !NAME.test(name))
  if (misnamed !== undefined) return yield* contradiction(`${misnamed} is not named 0001_name`)
  yield* Migrator.make({})({ loader: Migrator.fromRecord({ ...migrations }), table }).pipe(
    Effect.catchTag("MigrationError", (error) =>
      SqlError.isSqlError(error.cause) ? Effect.fail(error.cause) : Effect.die(error)
    )
  )
  // The migrator skips what is lower than the newest applied: comparing afterwards sees that, and
  // sees a newer program that came between.
  const applied = yield* sql<{ migration_id: number; name: string }>`
    SELECT migration_id, name FROM ${sql(table)} ORDER BY migration_id`
  yield* agree(
    table,
    applied.map((row) => `${String(row.migration_id).padStart(4, "0")}_${row.name}`),
    names
  )
})

const NAME = /^\d{4}_[a-z0-9_]+$/

const agree = (table: string, applied: ReadonlyArray<string>, names: ReadonlyArray<string>) => {
  const found = applied.at(-1) ?? "none"
  const known = names.at(-1) ?? "none"
  if (numberOf(found) > numberOf(known)) {
    return Effect.fail(new DatabaseTooNew({ table, found, known }))
  }
  return applied.join() === names.join()
    ? Effect.void
    : contradiction(`${table} lists ${applied.join()}, the program has ${names.join()}`)
}

const numberOf = (name: string): number => (name === "none" ? 0 : Number.parseInt(name, 10))

const contradiction = (detail: string) => Effect.die(new Error(`migrations contradict: ${detail}`))
