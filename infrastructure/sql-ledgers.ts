/** Keeps the small books of an installation in SQL: history, executions, tries, lease, sealed boxes. */
import { Clock, Effect, Layer, Option, Random, Schema } from "effect"
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
        )
    })
  })
)

export const layerLoginTries = Layer.effect(
  LoginTries,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
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
 * A lease lives so long without a heartbeat; a holder renews it three times in that span. One that
 * ends later than that was written by a clock that has been set back since, and is free to take.
 */
const LEASE_MILLIS = 60_000

export const layerLease = Layer.effect(
  Lease,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    // One process at a time has a device's database open: what lies here is of one that was killed,
    // and nobody should wait for it.
    yield* Effect.orDie(sql`DELETE FROM leases`)
    const take = Effect.fnUntraced(
      function* (holder: string) {
        const now = yield* Clock.currentTimeMillis
        yield* sql`
        INSERT INTO leases (name, holder, since_ms, until_ms)
        VALUES ('sync', ${holder}, ${now}, ${now + LEASE_MILLIS})
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, since_ms = excluded.since_ms,
          until_ms = excluded.until_ms
        WHERE leases.until_ms <= ${now} OR leases.until_ms > ${now + LEASE_MILLIS}`
        const [row] = yield* sql<{ holder: string; since_ms: number }>`
        SELECT holder, since_ms FROM leases WHERE name = 'sync'`
        if (row?.holder !== holder) return yield* new SyncRunning({ since: row?.since_ms ?? now })
      },
      Effect.catchTag("SqlError", Effect.die)
    )
    const renew = (holder: string) =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (now) => sql`
        UPDATE leases SET until_ms = ${now + LEASE_MILLIS}
        WHERE name = 'sync' AND holder = ${holder}`
      )
    const heartbeat = (holder: string) =>
      Effect.orDie(Effect.forever(Effect.andThen(Effect.sleep(LEASE_MILLIS / 3), renew(holder))))
    const giveBack = (holder: string) =>
      Effect.orDie(sql`DELETE FROM leases WHERE name = 'sync' AND holder = ${holder}`)
    return Lease.of({
      hold: Effect.fnUntraced(function* (effect) {
        const holder = `${yield* Random.nextInt}.${yield* Random.nextInt}`
        return yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Effect.acquireRelease(take(holder), () => giveBack(holder))
            yield* Effect.forkScoped(heartbeat(holder))
            return yield* effect
          })
        )
      })
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
      keep: (file, done) =>
        Effect.orDie(
          insertRows(sql, {
            table: "import_work",
            columns: { file: "text", login: "text", work: "text" },
            rows: done.map(({ login, user, wrap }) => ({
              file,
              login,
              work: canonical({ user, wrap })
            })),
            onConflict: { key: ["file", "login"], action: "DO UPDATE SET work = excluded.work" }
          })
        ),
      forget: (file) =>
        Effect.orDie(Effect.asVoid(sql`DELETE FROM import_work WHERE file = ${file}`))
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
      role: Schema.Literal("administrator"),
      label: Schema.String,
      mail: Schema.NullOr(Schema.String),
      wrap: PasswordWrap
    })
    const rowsOf = SqlSchema.findAll({
      Request: Schema.String,
      Result: Schema.Struct({ body: Schema.fromJsonString(AccountBody) }),
      execute: (login) => sql`SELECT body FROM accounts WHERE login = ${login}`
    })
    return Accounts.of({
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
