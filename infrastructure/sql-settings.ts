/** Reads and writes named settings of a database: what is true of this installation. */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"

export const setting = (sql: SqlClient.SqlClient, name: string) =>
  Effect.map(
    sql<{ value: string }>`SELECT value FROM settings WHERE name = ${name}`,
    (rows): string | undefined => rows[0]?.value
  )

/** Sets a setting that has no value yet, and answers the value that holds now. */
export const settleSetting = (sql: SqlClient.SqlClient, name: string, value: string) =>
  sql`INSERT INTO settings (name, value) VALUES (${name}, ${value}) ON CONFLICT (name) DO NOTHING`.pipe(
    Effect.andThen(setting(sql, name)),
    Effect.map((settled) => settled ?? value)
  )

export const changeSetting = (sql: SqlClient.SqlClient, name: string, value: string) =>
  Effect.asVoid(sql`
    INSERT INTO settings (name, value) VALUES (${name}, ${value})
    ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
