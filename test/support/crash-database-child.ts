/**
 * Migrates a database and commits to it until it is killed or done; the crash tests run it.
 *
 * Each commit moves an amount between two accounts and writes a numbered row, so that half a commit
 * shows in the sum or in the numbers. `committed N` is printed after commit N was acknowledged.
 */

import fs from "node:fs"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { type Migrations, migrate } from "../../infrastructure/sql-migrate.ts"
import * as Sqlite from "../../infrastructure/sql-sqlite.ts"

const COMMITS = 6
const ACCOUNTS = 40
const BALANCE = 1_000
const TABLE = "crash_migrations"

const first = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE accounts (id integer PRIMARY KEY, balance integer NOT NULL) STRICT`
  yield* sql`CREATE TABLE log (number integer PRIMARY KEY, body text NOT NULL) STRICT`
  for (let id = 0; id < ACCOUNTS; id++) {
    yield* sql`INSERT INTO accounts (id, balance) VALUES (${id}, ${BALANCE})`
  }
})

const second = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE accounts ADD COLUMN holder text NOT NULL DEFAULT ''`
  yield* sql`UPDATE accounts SET holder = 'holder ' || id`
  yield* sql`CREATE INDEX accounts_by_holder ON accounts (holder)`
})

const OLD: Migrations = { "0001_accounts": first }
const NEW: Migrations = { ...OLD, "0002_holders": second }

const commit = Effect.fnUntraced(function* (number: number) {
  const sql = yield* SqlClient.SqlClient
  const from = number % ACCOUNTS
  const to = (number * 7 + 1) % ACCOUNTS
  yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`UPDATE accounts SET balance = balance - ${number} WHERE id = ${from}`
      yield* sql`INSERT INTO log (number, body) VALUES (${number}, ${"x".repeat(number * 700)})`
      yield* sql`UPDATE accounts SET balance = balance + ${number} WHERE id = ${to}`
    })
  )
  fs.writeSync(1, `committed ${number}\n`)
})

const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  // small enough that the journal is written back, and the kills land in that too
  yield* sql`PRAGMA wal_autocheckpoint = 16`
  yield* migrate(TABLE, OLD)
  const last = yield* sql<{ last: number | null }>`SELECT max(number) AS last FROM log`
  const done = last[0]?.last ?? 0
  for (let number = done + 1; number <= COMMITS / 2; number++) yield* commit(number)
  yield* migrate(TABLE, NEW)
  fs.writeSync(1, "migrated\n")
  for (let number = Math.max(done, COMMITS / 2) + 1; number <= COMMITS; number++) {
    yield* commit(number)
  }
  if (process.env.HOLD) {
    fs.writeSync(1, "holding\n")
    yield* Effect.sleep("10 minutes")
  }
})

const [file = ""] = process.argv.slice(2)
const refused = (error: Sqlite.DatabaseUnavailable) =>
  Effect.sync(() => {
    fs.writeSync(1, `${error._tag} ${error.reason}\n`)
    process.exitCode = 1
  })
await Effect.runPromise(
  program.pipe(Effect.provide(Sqlite.layer(file)), Effect.catchTag("DatabaseUnavailable", refused))
)
