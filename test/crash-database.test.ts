/**
 * Kills a process that migrates a database and commits to it, at every one of its sync points.
 *
 * node:sqlite, which shares no code with the file layer under test, then reads what is left; the
 * engine itself has to open it too, and its lock must not have outlived the process.
 */

import { type ChildProcess, spawn } from "node:child_process"
import fs from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import * as Sqlite from "../infrastructure/sql-sqlite.ts"
import { freshSqlite } from "./support/database.ts"

const PRELOAD = fileURLToPath(new URL("support/kill-at-sync.mjs", import.meta.url))
const CHILD = fileURLToPath(new URL("support/crash-database-child.ts", import.meta.url))
// what the child does
const COMMITS = 6
const SUM = 40 * 1_000

interface Ended {
  readonly lines: ReadonlyArray<string>
  readonly errors: string
  readonly signal: NodeJS.Signals | null
  readonly code: number | null
}

// Half of a child's time goes into compiling what it imports.
const cache = fs.mkdtempSync(join(tmpdir(), "testferry-cache-"))
afterAll(() => fs.rmSync(cache, { recursive: true, force: true }))

const start = (file: string, environment: Readonly<Record<string, string>>) =>
  spawn(process.execPath, ["--no-warnings", "--import", PRELOAD, CHILD, file], {
    env: { ...process.env, NODE_COMPILE_CACHE: cache, ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })

const ended = (child: ChildProcess): Effect.Effect<Ended> =>
  Effect.promise(
    () =>
      new Promise((resolve) => {
        let output = ""
        let errors = ""
        child.stdout?.on("data", (chunk) => (output += String(chunk)))
        child.stderr?.on("data", (chunk) => (errors += String(chunk)))
        child.on("close", (code, signal) =>
          resolve({ lines: output.split("\n").filter((line) => line !== ""), errors, signal, code })
        )
      })
  )

const run = (file: string, environment: Readonly<Record<string, string>>) =>
  Effect.suspend(() => ended(start(file, environment)))

const acknowledged = ({ lines }: Ended): number =>
  Math.max(0, ...lines.map((line) => Number(/^committed (\d+)$/.exec(line)?.[1] ?? 0)))

const says = (child: ChildProcess, word: string) =>
  new Promise<void>((resolve, reject) => {
    child.stdout?.on("data", (chunk) => String(chunk).includes(word) && resolve())
    child.on("close", () => reject(new Error(`the child ended before it said ${word}`)))
  })

/** Looks at a copy, so that the journal stays for the engine itself. */
const inspect = (file: string, killed: Ended) => {
  const copy = `${file}.copy`
  for (const suffix of ["", "-wal", "-journal"]) {
    if (fs.existsSync(file + suffix)) fs.copyFileSync(file + suffix, copy + suffix)
  }
  const database = new DatabaseSync(copy)
  const all = (text: string) => {
    const statement = database.prepare(text)
    statement.setReturnArrays(true)
    // with arrays on, each row is one; the types do not say so
    return statement.all().map((row) => Object.values(row))
  }
  try {
    assert.deepStrictEqual(all("PRAGMA integrity_check"), [["ok"]])
    const names = all("SELECT name FROM sqlite_schema WHERE type <> 'trigger'").flat()
    const migrations = names.includes("crash_migrations")
      ? all("SELECT name FROM crash_migrations ORDER BY migration_id").flat()
      : []
    const created = migrations.includes("accounts")
    for (const table of ["accounts", "log"]) assert.strictEqual(names.includes(table), created)
    const extended = migrations.includes("holders")
    assert.strictEqual(names.includes("accounts_by_holder"), extended)
    if (killed.lines.includes("migrated")) assert.isTrue(extended)
    if (!created) return assert.strictEqual(acknowledged(killed), 0)
    const columns = all("SELECT name FROM pragma_table_info('accounts')").flat()
    assert.strictEqual(columns.includes("holder"), extended)
    if (extended) {
      assert.deepStrictEqual(all("SELECT count(*) FROM accounts WHERE holder = ''"), [[0]])
    }
    const [count, last] = all("SELECT count(*), ifnull(max(number), 0) FROM log").flat()
    assert.strictEqual(count, last)
    assert.isAtLeast(Number(last), acknowledged(killed))
    assert.isAtMost(Number(last), acknowledged(killed) + 1)
    assert.deepStrictEqual(all("SELECT sum(balance) FROM accounts"), [[SUM]])
  } finally {
    database.close()
  }
}

/** Opens what is left by the engine under test. */
const reopened = (file: string) =>
  Effect.gen(function* () {
    const database = yield* Sqlite.Database
    assert.deepStrictEqual(yield* database.integrityCheck, [])
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS afterwards (id integer)`
  }).pipe(Effect.provide(Sqlite.layer(file), { local: true }))

const killedAt = (n: number): Effect.Effect<boolean, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const file = yield* freshSqlite()
    const outcome = yield* run(file, { KILL_AT_SYNC: String(n) })
    if (outcome.signal !== "SIGKILL") {
      assert.strictEqual(outcome.code, 0, outcome.errors)
      assert.strictEqual(acknowledged(outcome), COMMITS)
    }
    inspect(file, outcome)
    yield* reopened(file)
    return outcome.signal === "SIGKILL"
  })

describe("a database whose process is killed", () => {
  it.live("at any sync point keeps every acknowledged commit, and whole migrations or none", () =>
    Effect.gen(function* () {
      const whole = yield* run(yield* freshSqlite(), { COUNT_SYNCS: "1" })
      const points = Number(/syncs (\d+)/.exec(whole.errors)?.[1])
      assert.isAbove(points, COMMITS)
      const numbers = Array.from({ length: points + 1 }, (_, i) => i + 1)
      const killed = yield* Effect.forEach(numbers, killedAt, {
        concurrency: availableParallelism()
      })
      assert.deepStrictEqual(
        killed,
        numbers.map((n) => n <= points)
      )
    }).pipe(Effect.scoped)
  )

  it.live("is free again at once, and until then refuses everybody else", () =>
    Effect.gen(function* () {
      const file = yield* freshSqlite()
      const holder = start(file, { HOLD: "1" })
      yield* Effect.addFinalizer(() => Effect.sync(() => holder.kill("SIGKILL")))
      yield* Effect.promise(() => says(holder, "holding"))
      const refused = yield* Effect.flip(reopened(file))
      assert.isTrue(refused._tag === "DatabaseUnavailable" && refused.reason === "owned")
      const other = yield* run(file, {})
      assert.deepStrictEqual(other.lines, ["DatabaseUnavailable owned"])
      assert.strictEqual(other.code, 1)
      holder.kill("SIGKILL")
      yield* Effect.promise(() => new Promise((resolve) => holder.on("close", resolve)))
      yield* reopened(file)
    }).pipe(Effect.scoped)
  )
})
