/** The table that the contract of SqlClient works on. */
import { Effect, type Scope } from "effect"
import { SqlClient, type SqlError } from "effect/sql"

/** Runs a program on an empty database of its own, and afterwards checks what it left behind. */
export type InDatabase = <A, E>(
  program: Effect.Effect<A, E, SqlClient.SqlClient | Scope.Scope>
) => Effect.Effect<A, unknown, Scope.Scope>

export interface Item {
  readonly id: string
  readonly version: number | null
  readonly active: boolean | null
  readonly body: string | null
  readonly bytes: Uint8Array | null
}

export const COLUMNS = {
  id: "text",
  version: "integer",
  active: "boolean",
  body: "text",
  bytes: "blob"
} as const

export const createItems = Effect.gen(function* () {
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

export const item = (id: string, version: number | null = 1): Item => ({
  id,
  version,
  active: true,
  body: `{"of":"${id}"}`,
  bytes: new Uint8Array([0, 255])
})

export const insert = (sql: SqlClient.SqlClient, row: Item) =>
  sql`INSERT INTO items ${sql.insert({ ...row })}`

export const ids = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ id: string }>`SELECT id FROM items ORDER BY id`, (rows) =>
    rows.map((row) => row.id)
  )

export const readItems = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql<Item & { active: number | boolean | null }>`
      SELECT id, version, active, body, bytes FROM items ORDER BY id`,
    (rows) => rows.map((row) => ({ ...row, active: row.active === null ? null : !!row.active }))
  )

export const reason = <A>(effect: Effect.Effect<A, SqlError.SqlError>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)
