/**
 * Makes Effect's SQL connection of one postgres.js client that holds a single connection.
 *
 * postgres.js reconnects by itself, also in the middle of a transaction, whose rest would then run
 * and be kept statement by statement. So a lease remembers how often its connection had been lost
 * when it began, and refuses to go on after another loss. An interrupted query is cancelled on the
 * server and waited for, so that the cancellation cannot hit the next query on the connection.
 */
import { Effect, Option, Stream } from "effect"
import { type SqlConnection, SqlError } from "effect/sql"
import type { PendingQuery, Row, Sql } from "postgres"
import { type Converted, toParameter } from "./postgres-values.ts"
import { postgresError } from "./sql-failures.ts"

/** One connection of the pool. */
export interface Client {
  readonly sql: Sql<Converted>
  /** Statements prepared on it. */
  readonly prepared: Set<string>
  /** How often the connection was lost. */
  losses: number
  /** A query has succeeded since the last loss. */
  connected: boolean
  /** It may never be used again. */
  dead: boolean
}

type Parameters = ReadonlyArray<unknown>
type Rows = ReadonlyArray<Row>
type Transform = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** One use of a client: by one statement, stream or transaction. */
export interface Lease {
  readonly connection: SqlConnection.Connection
  /** Whether a transaction is open on it. */
  readonly open: () => boolean
}

export const lend = (client: Client): Lease => {
  const losses = client.losses
  let open = false
  const lost = () => client.dead || client.losses !== losses
  const query = <A>(text: string, parameters: Parameters, keep: boolean, shape: Shape<A>) => {
    const sent = Effect.suspend(() =>
      lost() ? Effect.fail(LOST) : run(client, text, parameters, keep, shape)
    )
    const control = CONTROL.exec(text)?.[1]
    if (control === undefined) return sent
    const tracked = Effect.tap(sent, () => Effect.sync(() => (open = control === "BEGIN")))
    // the server has rolled back a transaction whose connection is gone
    return control === "ROLLBACK"
      ? Effect.catchIf(tracked, lost, () => Effect.succeed(shape.none))
      : tracked
  }
  const rows = (text: string, parameters: Parameters, keep: boolean, transform: Transform) =>
    Effect.map(query(text, parameters, keep, OBJECTS), (found) => transform?.(found) ?? found)
  const connection: SqlConnection.Connection = {
    execute: (text, parameters, transform) => rows(text, parameters, true, transform),
    executeRaw: (text, parameters) => rows(text, parameters, true, undefined),
    executeUnprepared: (text, parameters, transform) => rows(text, parameters, false, transform),
    executeValues: (text, parameters) => query(text, parameters, true, VALUES),
    executeValuesUnprepared: (text, parameters) => query(text, parameters, false, VALUES),
    executeStream: (text, parameters, transform) =>
      stream(
        (sql, bound) => rows(sql, bound, false, transform),
        () => open,
        text,
        parameters
      )
  }
  return { connection, open: () => open && !lost() }
}

const CONTROL = /^(BEGIN|COMMIT|ROLLBACK)(?! TO)\b/

const LOST = new SqlError.SqlError({
  reason: new SqlError.ConnectionError({
    cause: "the connection was lost",
    message: "the connection to PostgreSQL was lost in the middle of a transaction",
    operation: "execute"
  })
})

interface Shape<A> {
  readonly none: A
  readonly of: (query: PendingQuery<Array<Row & Iterable<Row>>>) => PromiseLike<A>
}

const OBJECTS: Shape<Rows> = { none: [], of: (query) => query.then((rows) => rows.slice()) }
const VALUES: Shape<ReadonlyArray<ReadonlyArray<unknown>>> = {
  none: [],
  of: (query) => query.values().then((rows) => rows.slice())
}

// A prepared statement takes memory on the server for as long as the connection lives.
const PREPARED_MAX = 500

const run = <A>(
  client: Client,
  text: string,
  parameters: Parameters,
  keep: boolean,
  shape: Shape<A>
): Effect.Effect<A, SqlError.SqlError> =>
  Effect.callback<A, SqlError.SqlError>((resume) => {
    const fail = (cause: unknown) => resume(Effect.fail(postgresError(cause, "execute")))
    try {
      const query = client.sql.unsafe(text, parameters.map(toParameter), {
        prepare: keep && mayPrepare(client, text),
        // postgres.js would run several statements in one text when there are no parameters
        ...{ simple: false }
      })
      const settled = shape.of(query).then((rows) => {
        client.connected = true
        resume(Effect.succeed(rows))
      }, fail)
      return Effect.promise(() => abandon(client, query, settled))
    } catch (cause) {
      return fail(cause)
    }
  })

const mayPrepare = ({ prepared }: Client, text: string): boolean =>
  prepared.has(text) || (prepared.size < PREPARED_MAX && prepared.add(text).has(text))

// How long a server may take to obey a cancellation before its connection is given up.
const CANCEL_MILLIS = 5_000

/** Cancels a query and waits until it has ended, or gives up the connection. */
const abandon = async (
  client: Client,
  query: PendingQuery<Array<Row & Iterable<Row>>>,
  settled: PromiseLike<void>
): Promise<void> => {
  // postgres.js sends a query one turn later, and never recovers from a cancellation before that
  await new Promise(setImmediate)
  // the types leave out `active`: the server is working on the query
  const running = "active" in query && query.active === true
  if (!running && !client.connected) return kill(client)
  const cancelled: unknown = running ? query.cancel() : undefined
  const obeyed = Promise.allSettled([cancelled, settled]).then(() => true)
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(resolve, CANCEL_MILLIS, false)
  if (!(await Promise.race([obeyed, late]))) kill(client)
  clearTimeout(timer)
}

/** Gives up a connection; the server rolls back what it had not committed. */
export const kill = (client: Client): void => {
  client.dead = true
  client.sql.end({ timeout: 0 }).catch(() => {})
}

// Rows a round trip: large enough to hide the trip, small enough for rows of 100 KB.
const STREAM_ROWS = 250
let cursors = 0

type Send = (text: string, parameters: Parameters) => Effect.Effect<Rows, SqlError.SqlError>

/**
 * Reads by a cursor of the server, so that other statements may run on the transaction meanwhile.
 * The cursor lives in the open transaction, or in one of its own.
 */
const stream = (send: Send, inside: () => boolean, text: string, parameters: Parameters) => {
  const name = `testferry_stream_${cursors++}`
  const transaction = Effect.suspend(() =>
    inside()
      ? Effect.void
      : Effect.acquireRelease(send("BEGIN READ ONLY", []), () =>
          Effect.ignore(send("ROLLBACK", []))
        )
  )
  const cursor = Effect.acquireRelease(
    send(`DECLARE ${name} NO SCROLL CURSOR FOR ${text}`, parameters),
    () => Effect.ignore(send(`CLOSE ${name}`, []))
  )
  const batches = Stream.paginate(undefined, () =>
    Effect.map(send(`FETCH ${STREAM_ROWS} FROM ${name}`, []), (found) => {
      const more = found.length < STREAM_ROWS ? Option.none() : Option.some(undefined)
      return [found, more] as const
    })
  )
  return Stream.unwrap(Effect.as(Effect.andThen(transaction, cursor), batches))
}
