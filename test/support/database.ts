/** Gives tests databases of their own, which go with the scope. */

import { randomUUID } from "node:crypto"
import fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import postgres from "postgres"
import { inject } from "vitest"

/** A file name in a folder of its own; the database itself is not created. */
export const freshSqlite = (): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(freshFolder(), (folder) => join(folder, "test.db"))

export const freshFolder = (): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "testferry-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )

/** The URL of an empty PostgreSQL database on the run's server. */
export const freshPostgres = (): Effect.Effect<string, never, Scope.Scope> =>
  Effect.suspend(() => freshPostgresAt(inject("postgresUrl")))

/** The same on the server of a superuser's URL, for use outside vitest. */
export const freshPostgresAt = (admin: string): Effect.Effect<string, never, Scope.Scope> => {
  const name = `test_${randomUUID().replaceAll("-", "")}`
  const url = new URL(admin)
  url.pathname = name
  return Effect.acquireRelease(
    Effect.as(execute(admin, `CREATE DATABASE ${name} TEMPLATE template0`), url.href),
    () => execute(admin, `DROP DATABASE ${name} WITH (FORCE)`)
  )
}

/** Runs one statement as the superuser. */
export const execute = (admin: string, text: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    const sql = postgres(admin, { max: 1, fetch_types: false, onnotice: () => {} })
    try {
      await sql.unsafe(text)
    } finally {
      await sql.end({ timeout: 5 })
    }
  })
