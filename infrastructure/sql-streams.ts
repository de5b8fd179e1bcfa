/** Keeps in SQL what a side received in each stream of bundles, and what it sent. */
import { Effect, Layer, Option, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import { type SentBundle, Streams } from "../application/bundle-ports.ts"
import { Acknowledgement, StreamId } from "../domain/bundle-manifest.ts"
import { canonical } from "../domain/canonical.ts"
import { DeviceReport } from "../domain/device-report.ts"
import { Digest } from "../domain/id.ts"
import { REMEMBERED, StreamState } from "../domain/stream.ts"
import { setting } from "./sql-settings.ts"

const { blobs, cursors, revocations, root } = DeviceReport.fields
const Brings = Schema.fromJsonString(Schema.Struct({ cursors, blobs, root, revocations }))
const SentRow = Schema.Struct({
  stream: StreamId,
  epoch: Schema.Int,
  seq: Schema.Int,
  manifest: Digest,
  at_ms: Schema.Int,
  brings: Schema.NullOr(Brings)
})

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const states = SqlSchema.findAll({
    Request: Schema.String,
    Result: Schema.Struct({ state: Schema.fromJsonString(StreamState) }),
    execute: (stream) => sql`SELECT state FROM streams_received WHERE stream = ${stream}`
  })
  const acknowledgements = SqlSchema.findAll({
    Request: Schema.String,
    Result: Acknowledgement,
    execute: (stream) => sql`
      SELECT stream, epoch, seq, head FROM streams_acknowledged WHERE stream = ${stream}`
  })
  const decodeSent = Schema.decodeUnknownEffect(Schema.Array(SentRow))
  const first = Effect.fnUntraced(function* (rows: ReadonlyArray<unknown>) {
    const [row] = yield* decodeSent(rows)
    return Option.map(
      Option.fromUndefinedOr(row),
      ({ at_ms, ...rest }): SentBundle => ({ ...rest, at: at_ms })
    )
  })

  return Streams.of({
    received: (stream) =>
      Effect.orDie(Effect.map(states(stream), ([row]) => Option.fromUndefinedOr(row?.state))),

    receive: (state) =>
      Effect.orDie(
        Effect.asVoid(sql`
          INSERT INTO streams_received (stream, state)
          VALUES (${state.stream}, ${canonical({ ...state })})
          ON CONFLICT (stream) DO UPDATE SET state = excluded.state`)
      ),

    lastSent: (stream, epoch) =>
      Effect.orDie(
        Effect.flatMap(
          sql`
            SELECT stream, epoch, seq, manifest, at_ms, brings FROM streams_sent
            WHERE stream = ${stream} AND epoch = ${epoch} ORDER BY seq DESC LIMIT 1`,
          first
        )
      ),

    sent: (stream, epoch, seq) =>
      Effect.orDie(
        Effect.flatMap(
          sql`
            SELECT stream, epoch, seq, manifest, at_ms, brings FROM streams_sent
            WHERE stream = ${stream} AND epoch = ${epoch} AND seq = ${seq}`,
          first
        )
      ),

    send: Effect.fn("Streams.send")(
      function* ({ at, brings, epoch, manifest, seq, stream }) {
        const text = brings === null ? null : canonical({ ...brings })
        yield* sql`
          INSERT INTO streams_sent (stream, epoch, seq, manifest, at_ms, brings)
          VALUES (${stream}, ${epoch}, ${seq}, ${manifest}, ${at}, ${text})`
        yield* sql`
          DELETE FROM streams_sent
          WHERE stream = ${stream} AND epoch = ${epoch} AND seq <= ${seq - REMEMBERED}`
      },
      sql.withTransaction,
      Effect.orDie
    ),

    acknowledged: (stream) =>
      Effect.orDie(Effect.map(acknowledgements(stream), ([row]) => Option.fromUndefinedOr(row))),

    acknowledge: ({ epoch, head, seq, stream }) =>
      Effect.orDie(
        Effect.asVoid(sql`
          INSERT INTO streams_acknowledged (stream, epoch, seq, head)
          VALUES (${stream}, ${epoch}, ${seq}, ${head})
          ON CONFLICT (stream) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq,
            head = excluded.head
          WHERE streams_acknowledged.epoch < excluded.epoch
            OR (streams_acknowledged.epoch = excluded.epoch
              AND streams_acknowledged.seq <= excluded.seq)`)
      ),

    unacknowledge: (stream) =>
      Effect.orDie(Effect.asVoid(sql`DELETE FROM streams_acknowledged WHERE stream = ${stream}`)),

    floor: Effect.orDie(Effect.map(setting(sql, FLOOR), (value) => Number(value ?? 0))),

    // Sixteen digits, so that the greater text is the greater number.
    raiseFloor: (at) =>
      Effect.orDie(
        Effect.asVoid(sql`
          INSERT INTO settings (name, value)
          VALUES (${FLOOR}, ${String(at).padStart(16, "0")})
          ON CONFLICT (name) DO UPDATE SET value = excluded.value
          WHERE settings.value < excluded.value`)
      )
  })
})

const FLOOR = "bundles.floor"

export const layer = Layer.effect(Streams, make)
