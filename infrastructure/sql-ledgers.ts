/** Keeps the small books of an installation in SQL: history, executions, tries, sealed boxes. */
import { Clock, Effect, Layer, Option, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import {
  Accounts,
  Executions,
  History,
  ImportWork,
  Lease,
  LoginTries,
  type Paid,
  SealedStore,
  SyncRunning,
  TooManyTries
} from "../application/ports.ts"
import { canonical } from "../domain/canonical.ts"
import { PasswordWrap } from "../domain/entity.ts"
import { Execution } from "../domain/execution.ts"
import { HistoryEntry } from "../domain/history.ts"
import { EntityId } from "../domain/id.ts"
import { foldedLogin } from "../domain/login.ts"
import { OfficeRole } from "../domain/office-role.ts"
import { WAIT_MAX_MILLIS, waitAfter } from "../domain/tries.ts"
import { insertRows } from "./sql-bulk.ts"
import { inChunks } from "./sql-chunks.ts"

export const layerHistory = Layer.effect(
  History,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const recent = SqlSchema.findAll({
      Request: Schema.Int,
      Result: Schema.Struct({ entry: Schema.fromJsonString(HistoryEntry) }),
      execute: (limit) => sql`SELECT entry FROM history ORDER BY number DESC LIMIT ${limit}`
    })
    return History.of({
      append: (entry) =>
        Effect.orDie(
          Effect.asVoid(sql`
            INSERT INTO history (at_ms, entry) VALUES (${entry.at}, ${canonical(entry)})`)
        ),
      recent: (limit) =>
        Effect.orDie(Effect.map(recent(limit), (rows) => rows.map(({ entry }) => entry)))
    })
  })
)

export const layerExecutions = Layer.effect(
  Executions,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const unsettled = SqlSchema.findAll({
      Request: Schema.Void,
      Result: Schema.Struct({ body: Schema.fromJsonString(Execution) }),
      execute: () => sql`SELECT body FROM executions WHERE state <> 'settled' ORDER BY id`
    })
    return Executions.of({
      put: (execution) =>
        Effect.orDie(
          Effect.asVoid(sql`
            INSERT INTO executions (id, state, body)
            VALUES (${execution.id}, ${execution.state}, ${canonical(execution)})
            ON CONFLICT (id) DO UPDATE SET state = excluded.state, body = excluded.body`)
        ),
      unsettled: Effect.orDie(
        Effect.map(unsettled(undefined), (rows) => rows.map((row) => row.body))
      )
    })
  })
)

export const layerSealedStore = Layer.effect(
  SealedStore,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const rowsOf = SqlSchema.findAll({
      Request: Schema.Array(Schema.String),
      Result: Schema.Struct({ key: Schema.String, stamp: Schema.String, box: Schema.String }),
      execute: (keys) => sql`SELECT key, stamp, box FROM sealed WHERE ${sql.in("key", keys)}`
    })
    return SealedStore.of({
      find: Effect.fn("SealedStore.find")(function* (keys) {
        const found = new Map<string, { readonly stamp: string; readonly box: string }>()
        yield* inChunks(keys, (chunk) =>
          Effect.map(rowsOf(chunk), (rows) => {
            for (const { key, stamp, box } of rows) found.set(key, { stamp, box })
          })
        )
        return found
      }, Effect.orDie),
      put: (boxes) =>
        Effect.orDie(
          insertRows(sql, {
            table: "sealed",
            columns: { key: "text", stamp: "text", box: "document" },
            rows: boxes,
            onConflict: {
              key: ["key"],
              action: "DO UPDATE SET stamp = excluded.stamp, box = excluded.box"
            }
          })
        ),
      forget: (keys) =>
        Effect.orDie(
          inChunks(keys, (chunk) => sql`DELETE FROM sealed WHERE ${sql.in("key", chunk)}`)
        )
    })
  })
)

/** Longer than any wait: whoever guesses gains nothing by waiting for this. */
const TRIES_KEPT_MILLIS = 24 * 3_600_000

export const layerLoginTries = Layer.effect(
  LoginTries,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    // Rows of logins that nobody has are never cleared by a right password. A full disk keeps them, and
    // keeps nobody from working.
    const old = (yield* Clock.currentTimeMillis) - TRIES_KEPT_MILLIS
    yield* Effect.ignore(sql`DELETE FROM login_tries WHERE not_before_ms < ${old}`)
    const rowOf = SqlSchema.findAll({
      Request: Schema.String,
      Result: Schema.Struct({ not_before_ms: Schema.Int }),
      execute: (tag) => sql`SELECT not_before_ms FROM login_tries WHERE tag = ${tag}`
    })
    return LoginTries.of({
      admit: Effect.fn("LoginTries.admit")(function* (tag, now) {
        const [row] = yield* Effect.orDie(rowOf(tag))
        const wait = (row?.not_before_ms ?? 0) - now
        // No wait is longer than the rule's longest: such a row was written by a clock since set back.
        if (wait > 0 && wait <= WAIT_MAX_MILLIS)
          return yield* new TooManyTries({ waitMillis: wait })
      }),
      failed: Effect.fn("LoginTries.failed")(
        function* (tag, now) {
          // Counted first: the row is then ours, and of many at once each waits for its own number.
          const [row] = yield* sql<{ failures: number }>`
            INSERT INTO login_tries (tag, failures, not_before_ms)
            VALUES (${tag}, 1, ${now})
            ON CONFLICT (tag) DO UPDATE SET failures = login_tries.failures + 1
            RETURNING failures`
          yield* sql`
            UPDATE login_tries SET not_before_ms = ${now + waitAfter(row?.failures ?? 1)}
            WHERE tag = ${tag}`
        },
        sql.withTransaction,
        Effect.orDie
      ),
      clear: (tag) => Effect.orDie(Effect.asVoid(sql`DELETE FROM login_tries WHERE tag = ${tag}`))
    })
  })
)

/**
 * One process owns a device's database, so that whose turn it is need not be written into it: nothing
 * is left of a holder that crashed, and asking whether there is news writes nothing to the disk.
 */
export const layerLease = Layer.effect(
  Lease,
  Effect.sync(() => {
    let since: number | undefined
    const take = Effect.gen(function* () {
      if (since !== undefined) return yield* new SyncRunning({ since })
      since = yield* Clock.currentTimeMillis
    })
    const giveBack = Effect.sync(() => {
      since = undefined
    })
    return Lease.of({
      hold: (effect) =>
        Effect.acquireUseRelease(
          take,
          () => effect,
          () => giveBack
        )
    })
  })
)

export const layerImportWork = Layer.effect(
  ImportWork,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const Work = Schema.Struct({ user: EntityId, wrap: PasswordWrap })
    const rowsOf = SqlSchema.findAll({
      Request: Schema.Struct({ file: Schema.String, logins: Schema.Array(Schema.String) }),
      Result: Schema.Struct({ login: Schema.String, work: Schema.fromJsonString(Work) }),
      execute: ({ file, logins }) => sql`
        SELECT login, work FROM import_work WHERE file = ${file} AND ${sql.in("login", logins)}`
    })
    return ImportWork.of({
      find: Effect.fn("ImportWork.find")(function* (file, logins) {
        const found = new Map<string, Paid>()
        yield* inChunks(logins, (chunk) =>
          Effect.map(rowsOf({ file, logins: chunk }), (rows) => {
            for (const { login, work } of rows) found.set(login, work)
          })
        )
        return found
      }, Effect.orDie),
      keep: Effect.fn("ImportWork.keep")(function* (file, done) {
        const kept_ms = yield* Clock.currentTimeMillis
        yield* insertRows(sql, {
          table: "import_work",
          columns: { file: "text", login: "text", work: "text", kept_ms: "integer" },
          rows: done.map(({ login, user, wrap }) => ({
            file,
            login,
            work: canonical({ user, wrap }),
            kept_ms
          })),
          onConflict: {
            key: ["file", "login"],
            action: "DO UPDATE SET work = excluded.work, kept_ms = excluded.kept_ms"
          }
        })
      }, Effect.orDie),
      forget: (file) =>
        Effect.orDie(Effect.asVoid(sql`DELETE FROM import_work WHERE file = ${file}`)),
      forgetLogins: (logins) =>
        Effect.orDie(
          inChunks(logins, (chunk) => sql`DELETE FROM import_work WHERE ${sql.in("login", chunk)}`)
        ),
      forgetOutside: (from, to) =>
        Effect.orDie(
          Effect.asVoid(sql`DELETE FROM import_work WHERE kept_ms < ${from} OR kept_ms > ${to}`)
        )
    })
  })
)

export const layerAccounts = Layer.effect(
  Accounts,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const AccountBody = Schema.Struct({
      id: EntityId,
      login: Schema.String,
      role: OfficeRole,
      label: Schema.String,
      mail: Schema.NullOr(Schema.String),
      wrap: PasswordWrap
    })
    const rowsOf = SqlSchema.findAll({
      Request: Schema.String,
      Result: Schema.Struct({ body: Schema.fromJsonString(AccountBody) }),
      execute: (login) => sql`SELECT body FROM accounts WHERE login = ${login}`
    })
    const allRows = SqlSchema.findAll({
      Request: Schema.Void,
      Result: Schema.Struct({ body: Schema.fromJsonString(AccountBody) }),
      execute: () => sql`SELECT body FROM accounts ORDER BY login`
    })
    return Accounts.of({
      all: Effect.orDie(Effect.map(allRows(undefined), (rows) => rows.map(({ body }) => body))),
      remove: (login) =>
        Effect.orDie(
          Effect.map(
            sql`DELETE FROM accounts WHERE login = ${foldedLogin(login)} RETURNING login`,
            (rows) => rows.length === 1
          )
        ),
      find: (login) =>
        Effect.orDie(
          Effect.map(rowsOf(foldedLogin(login)), ([row]) => Option.fromUndefinedOr(row?.body))
        ),
      put: (account) =>
        Effect.orDie(
          Effect.asVoid(sql`
            INSERT INTO accounts (login, role, body)
            VALUES (${foldedLogin(account.login)}, ${account.role}, ${canonical({ ...account })})
            ON CONFLICT (login) DO UPDATE SET role = excluded.role, body = excluded.body`)
        )
    })
  })
)
