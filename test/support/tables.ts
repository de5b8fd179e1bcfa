/** Reads and empties the tables of a database, whichever it is and whatever is in them. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** What an installation is, as opposed to what it has: never emptied. */
const KEPT = ["settings", "migrations", "documents"]

const tables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql.onDialectOrElse({
    pg: () => sql<{ name: string }>`
      SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`,
    orElse: () => sql<{ name: string }>`
      SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
  })
  return rows.map(({ name }) => name).sort()
})

/** Every row of every table but the given ones, as text in an order of its own. */
export const dump = Effect.fn("dump")(function* (...without: ReadonlyArray<string>) {
  const sql = yield* SqlClient.SqlClient
  const found: Record<string, ReadonlyArray<string>> = {}
  for (const table of yield* tables) {
    if (without.includes(table)) continue
    const rows = yield* sql`SELECT * FROM ${sql(table)}`
    found[table] = rows.map((row) => JSON.stringify(row)).sort()
  }
  return found
}, Effect.orDie)

export const empty = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const emptied = (yield* tables).filter((table) => !KEPT.includes(table))
  yield* sql.withTransaction(Effect.forEach(emptied, (table) => sql`DELETE FROM ${sql(table)}`))
}).pipe(Effect.orDie)
