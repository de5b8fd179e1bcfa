/**
 * Keeps the larger central's database: Effect's SqlClient over PostgreSQL 15 or newer.
 *
 * Each connection is a postgres.js client of its own and serves one statement, stream or transaction
 * at a time: postgres.js's pool sends queries behind running ones, and cannot tell a transaction
 * that its connection was replaced. Transactions that fail to serialise or deadlock are not retried:
 * their error says so (`isRetryable`). Array columns are read as text; bind arrays under a cast,
 * as in `unnest(${ids}::text[])`.
 */
import { Effect, Layer, Semaphore } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import postgres from "postgres"
import { type Client, kill, type Lease, lend } from "./postgres-connection.ts"
import { types } from "./postgres-values.ts"

export interface Options {
  /** `postgres://user:password@host:port/database?sslmode=require`; `?host=/directory` for a socket */
  readonly url: string
  /** Open connections at most; 10 unless given. PostgreSQL itself allows 100 unless configured. */
  readonly maxConnections?: number | undefined
}

/** Connects. Fails with SqlError when the server cannot be reached, refuses us, or is too old. */
export const layer = (
  options: string | Options
): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effect(
    SqlClient.SqlClient,
    make(typeof options === "string" ? { url: options } : options)
  ).pipe(Layer.provide(Reactivity.layer))

const CONNECTIONS = 10

const make = Effect.fnUntraced(function* (options: Options) {
  const pool = yield* makePool(() => connect(options.url), options.maxConnections ?? CONNECTIONS)
  const escape = Statement.defaultEscape('"')
  const sql = yield* SqlClient.make({
    ...pool,
    driver: "postgres",
    spanAttributes: [["db.system.name", "postgresql"]],
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    compiler: Statement.makeCompiler({
      dialect: "pg",
      placeholder: (index) => `$${index}`,
      onIdentifier: escape,
      onCustom: () => ["", []],
      onRecordUpdate: (placeholders, alias, columns, values, returning) => [
        `(VALUES ${placeholders}) AS ${alias}${columns}${returning ? ` RETURNING ${returning[0]}` : ""}`,
        [...values.flat(), ...(returning?.[1] ?? [])]
      ]
    })
  })
  yield* supported(sql)
  return sql
})

const OLDEST = 150_000

const supported = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
  const found = yield* sql<{ version: string; encoding: string }>`
    SELECT current_setting('server_version_num') AS version,
      current_setting('server_encoding') AS encoding`
  const { version, encoding } = found[0] ?? { version: "0", encoding: "?" }
  if (Number(version) >= OLDEST && encoding === "UTF8") return
  const message = `PostgreSQL 15 or newer with encoding UTF8 is needed: this is ${version} with ${encoding}`
  return yield* new SqlError.SqlError({
    reason: new SqlError.UnknownError({ cause: message, message, operation: "connect" })
  })
})

/** Lends at most `size` clients at a time, the most recently used first; closes them at the end. */
const makePool = Effect.fnUntraced(function* (open: () => Client, size: number) {
  const permits = yield* Semaphore.make(size)
  const idle: Array<Client> = []
  const clients = new Set<Client>()
  yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all([...clients].map(end))))
  const take = (): { client: Client; lease: Lease } => {
    const client = idle.pop() ?? open()
    clients.add(client)
    return { client, lease: lend(client) }
  }
  const give = ({ client, lease }: { client: Client; lease: Lease }) => {
    if (lease.open()) kill(client)
    if (client.dead) clients.delete(client)
    else idle.push(client)
  }
  const acquirer = Effect.uninterruptibleMask((restore) =>
    Effect.andThen(
      restore(permits.takeScoped(1)),
      Effect.acquireRelease(Effect.sync(take), (taken) => Effect.sync(() => give(taken)))
    )
  ).pipe(Effect.map(({ lease }) => lease.connection))
  const borrower: SqlConnection.Borrower = (use) =>
    permits.withPermit(
      Effect.acquireUseRelease(
        Effect.sync(take),
        ({ lease }) => use(lease.connection),
        (taken) => Effect.sync(() => give(taken))
      )
    )
  return { acquirer, borrower, transactionAcquirer: acquirer }
})

const CONNECT_SECONDS = 10
// A stopped process must not hold its row locks for ever.
const IDLE_TRANSACTION_MILLIS = 300_000
const IDLE_SECONDS = 60
const END_SECONDS = 5

const connect = (url: string): Client => {
  const client: Client = {
    sql: postgres(withoutHost(url), {
      ...socketOf(url),
      max: 1,
      connect_timeout: CONNECT_SECONDS,
      idle_timeout: IDLE_SECONDS,
      fetch_types: false,
      types,
      connection: {
        application_name: "testferry",
        idle_in_transaction_session_timeout: IDLE_TRANSACTION_MILLIS
      },
      onnotice: () => {},
      onclose: () => {
        client.losses++
        client.connected = false
        client.prepared.clear()
      }
    }),
    prepared: new Set(),
    losses: 0,
    connected: false,
    dead: false
  }
  return client
}

/** libpq's way to name a unix socket, which postgres.js would send on to the server. */
const socketOf = (url: string): { readonly path?: string } => {
  const { searchParams, port } = new URL(url)
  const directory = searchParams.get("host")
  return directory === null ? {} : { path: `${directory}/.s.PGSQL.${port || "5432"}` }
}

const withoutHost = (url: string): string => {
  const parsed = new URL(url)
  parsed.searchParams.delete("host")
  return parsed.href
}

const end = async (client: Client): Promise<void> => {
  await client.sql.end({ timeout: END_SECONDS })
}
