/** Runs programs on databases of their own, and reads what they leave with another engine. */

import { spawnSync } from "node:child_process"
import { DatabaseSync } from "node:sqlite"
import { assert } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../infrastructure/sql-postgres.ts"
import type * as Sqlite from "../../infrastructure/sql-sqlite.ts"
import type { InDatabase } from "../contract/sql-items.ts"
import { freshPostgres, freshSqlite } from "./database.ts"

export type Embedded = SqlClient.SqlClient | Sqlite.Database
export type Open = (file: string) => Layer.Layer<Embedded, Sqlite.DatabaseUnavailable>

/** Reads a closed file with the other engine, and with SQLite's own shell where there is one. */
export const soundFile = (file: string) =>
  Effect.sync(() => {
    const database = new DatabaseSync(file, { readOnly: true })
    const check = database.prepare("PRAGMA integrity_check").all()
    database.close()
    assert.deepStrictEqual(check.map(Object.values), [["ok"]])
    const shell = spawnSync("sqlite3", ["-readonly", file, "PRAGMA integrity_check"])
    if (shell.error === undefined) assert.strictEqual(String(shell.stdout).trim(), "ok")
  })

export const embedded =
  (open: Open): InDatabase =>
  (program) =>
    Effect.gen(function* () {
      const file = yield* freshSqlite()
      const result = yield* Effect.scoped(program).pipe(Effect.provide(open(file)))
      yield* soundFile(file)
      return result
    })

export const onPostgres: InDatabase = (program) =>
  Effect.gen(function* () {
    const url = yield* freshPostgres()
    return yield* Effect.scoped(program).pipe(Effect.provide(Postgres.layer(url)))
  })

export const failing = <A, E>(layer: Layer.Layer<A, E>) =>
  Effect.flip(Effect.provide(Effect.void, layer, { local: true }))

export const createNotes = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS notes (body text NOT NULL)`
  return sql
})

export const notes = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ body: string }>`SELECT body FROM notes ORDER BY body`, (rows) =>
    rows.map((row) => row.body.slice(0, 9))
  )

export const write = (sql: SqlClient.SqlClient, body: string) =>
  sql`INSERT INTO notes (body) VALUES (${body})`
