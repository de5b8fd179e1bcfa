/**
 * Keeps in SQL what came home from devices: each record once, its bytes unread, and what is known
 * about it beside them. On PostgreSQL and SQLite alike.
 */
import { Effect, Layer, Option, Result, Schema, Stream } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import { Hashing } from "../application/ports.ts"
import { type KeptRecord, type NewRecord, Records } from "../application/record-ports.ts"
import { DeviceId, type Digest } from "../domain/id.ts"
import { LedgerEntry, ledgerText } from "../domain/ledger.ts"
import { CentralStage, stepAtCentral } from "../domain/lifecycle.ts"
import { SessionBody } from "../domain/result.ts"
import { insertRows } from "./sql-bulk.ts"
import { addition, type KnownRow } from "./sql-records-known.ts"
import { ofSession, openingQueries } from "./sql-records-opening.ts"

const Row = Schema.Struct({
  ...LedgerEntry.fields,
  device: DeviceId,
  stage: CentralStage,
  received_ms: Schema.Int,
  carrier: Schema.Literals(["https", "bundle"]),
  reason: Schema.NullOr(Schema.String),
  conflict: Schema.Int,
  altered: Schema.Int,
  session: Schema.NullOr(Schema.fromJsonString(SessionBody))
})

/** Rows of one page of a listing: without their bodies they are small. */
const PAGE_ROWS = 500

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const hashing = yield* Hashing
  const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))

  const stageOf = SqlSchema.findAll({
    Request: Schema.Struct({ device: Schema.String, sha256: Schema.String }),
    Result: Schema.Struct({ stage: CentralStage, altered: Schema.Int }),
    execute: ({ device, sha256 }) => sql`
      SELECT stage, altered FROM records WHERE device = ${device} AND sha256 = ${sha256}`
  })
  const lock = (device: DeviceId) => sql`
    INSERT INTO device_ledgers (device, count, head, forked) VALUES (${device}, 0, NULL, 0)
    ON CONFLICT (device) DO UPDATE SET count = device_ledgers.count`
  const known = (device: DeviceId, records: ReadonlyArray<NewRecord>) => {
    const entries = records.map(({ record }) => record.ledger)
    const of = <A>(pick: (entry: LedgerEntry) => A) => [...new Set(entries.map(pick))]
    return sql<KnownRow>`
      SELECT sha256, number, kind, id, revision, altered FROM records
      WHERE device = ${device} AND (${sql.in(
        "sha256",
        of((one) => one.sha256)
      )}
        OR ${sql.in(
          "number",
          of((one) => one.number)
        )}
        OR ${sql.in(
          "id",
          of((one) => one.id)
        )})`
  }

  const add = Effect.fn("Records.add")(function* (
    device: DeviceId,
    records: ReadonlyArray<NewRecord>
  ) {
    if (records.length === 0) return []
    yield* lock(device)
    const { answers, flagged, fresh } = addition(yield* known(device, records), records)
    yield* insertRows(sql, {
      table: "records",
      columns: COLUMNS,
      rows: fresh.map(({ conflict, one }) => ({
        ...rowOf(device, one),
        head: hashing.sha256(ledgerText(one.record.ledger)),
        conflict: conflict ? 1 : 0
      })),
      // What was kept only to be looked at gives way to the same bytes when they come as they should.
      onConflict: { key: ["device", "sha256"], action: REPLACE_ALTERED }
    })
    if (flagged.length > 0) {
      yield* sql`
        UPDATE records SET conflict = 1 WHERE device = ${device} AND ${sql.in("sha256", flagged)}`
    }
    return answers
  })

  const page = Effect.fnUntraced(function* (filter: Filter, after: Key | undefined) {
    const { delivery, device, kind, organisation, stages } = filter
    const conditions = [
      sql`r.received_ms >= 0`,
      ...(kind === undefined ? [] : [sql`r.kind = ${kind}`]),
      ...(stages === undefined ? [] : [sql.in("r.stage", stages)]),
      ...(device === undefined ? [] : [sql`r.device = ${device}`]),
      ...(delivery === undefined ? [] : [ofSession(sql, "delivery", delivery)]),
      ...(organisation === undefined ? [] : [ofSession(sql, "organisation", organisation)]),
      ...(after === undefined
        ? []
        : [
            sql`(r.received_ms, r.device, r.number, r.sha256)
              > (${after.received_ms}, ${after.device}, ${after.number}, ${after.sha256})`
          ])
    ]
    const rows = yield* sql`
      SELECT ${columns(sql)} FROM records r
      WHERE ${sql.and(conditions)}
      ORDER BY r.received_ms, r.device, r.number, r.sha256
      LIMIT ${PAGE_ROWS}`
    const found = yield* decodeRows(rows)
    return [found, nextKey(found)] as const
  }, Effect.orDie)

  return Records.of({
    ...openingQueries(sql),

    add: (device, records) => Effect.orDie(sql.withTransaction(add(device, records))),

    body: Effect.fn("Records.body")(function* (device, sha256) {
      const [row] = yield* sql<{ body: string }>`
        SELECT body FROM records WHERE device = ${device} AND sha256 = ${sha256}`
      return Option.fromNullishOr(row?.body)
    }, Effect.orDie),

    list: (filter) =>
      Stream.paginate(undefined as Key | undefined, (after) =>
        Effect.map(page(filter, after), ([rows, next]) => [rows.map(kept), next] as const)
      ),

    find: Effect.fn("Records.find")(function* (device, sha256) {
      // Whoever asks is about to move it: on PostgreSQL the others wait for what comes of that.
      yield* sql.onDialectOrElse({
        pg: () => sql`
          SELECT sha256 FROM records WHERE device = ${device} AND sha256 = ${sha256} FOR UPDATE`,
        orElse: () => Effect.void
      })
      const rows = yield* sql`
        SELECT ${columns(sql)} FROM records r WHERE r.device = ${device} AND r.sha256 = ${sha256}`
      return Option.fromUndefinedOr((yield* decodeRows(rows)).map(kept)[0])
    }, Effect.orDie),

    move: Effect.fn("Records.move")(function* (device, sha256, event, reason) {
      const [row] = yield* stageOf({ device, sha256 })
      const next = row === undefined ? undefined : stepAtCentral(row.stage, event)
      if (row?.altered !== 0 || next === undefined || Result.isFailure(next)) {
        return yield* Effect.die(new Error(`${sha256} is ${row?.stage ?? "not here"}: no ${event}`))
      }
      yield* sql`
        UPDATE records SET stage = ${next.success}, reason = ${reason}
        WHERE device = ${device} AND sha256 = ${sha256}`
    }, Effect.orDie),

    numbers: Effect.fn("Records.numbers")(function* (device) {
      const rows = yield* sql<{ number: number }>`
        SELECT DISTINCT number FROM records WHERE device = ${device} AND altered = 0
        ORDER BY number`
      const [ledger] = yield* sql<{ count: number; forked: number }>`
        SELECT count, forked FROM device_ledgers WHERE device = ${device}`
      const received = rows.map(({ number }) => Number(number))
      const count = Math.max(Number(ledger?.count ?? 0), received.at(-1) ?? 0)
      return { received, count, forked: Number(ledger?.forked ?? 0) === 1 }
    }, Effect.orDie),

    countNumbers: (device) =>
      Effect.orDie(
        Effect.map(
          sql<{ count: number }>`
            SELECT COUNT(DISTINCT number) AS count FROM records WHERE device = ${device}`,
          ([row]) => Number(row?.count ?? 0)
        )
      ),

    noteLedger: Effect.fn("Records.noteLedger")(function* (device, { count, head }) {
      yield* lock(device)
      const [before] = yield* sql<{ count: number; head: string | null }>`
        SELECT count, head FROM device_ledgers WHERE device = ${device}`
      const known = Number(before?.count ?? 0)
      if (count > known) {
        yield* sql`
          UPDATE device_ledgers SET count = ${count}, head = ${head} WHERE device = ${device}`
        return "grew" as const
      }
      const heads = yield* sql<{ head: string }>`
        SELECT head FROM records WHERE device = ${device} AND number = ${count} AND altered = 0`
      const said = count === known ? [before?.head ?? null] : []
      const all = [...heads.map((row): string | null => row.head), ...said]
      if (count === 0 || all.length === 0 || all.includes(head)) return "same" as const
      yield* sql`UPDATE device_ledgers SET forked = 1 WHERE device = ${device}`
      return "forked" as const
    }, Effect.orDie)
  })
})

/** What is known of a record without its bytes, and what its session says. */
const columns = (sql: SqlClient.SqlClient) => sql`
  r.device, r.number, r.prev, r.kind, r.id, r.revision, r.sha256, r.stage, r.received_ms,
  r.carrier, r.reason, r.conflict, r.altered,
  CASE WHEN r.kind = 'test-session' AND r.delivery IS NOT NULL THEN r.body ELSE (
    SELECT s.body FROM records s
    WHERE s.device = r.device AND s.result = r.sha256 AND s.stage = 'stored'
    ORDER BY s.number, s.sha256 LIMIT 1
  ) END AS session`

type Filter = Parameters<Records["Service"]["list"]>[0]
type Key = Pick<typeof Row.Type, "received_ms" | "device" | "number" | "sha256">

const nextKey = (rows: ReadonlyArray<typeof Row.Type>): Option.Option<Key> => {
  const last = rows.at(-1)
  return last === undefined || rows.length < PAGE_ROWS ? Option.none() : Option.some(last)
}

const kept = (row: typeof Row.Type): KeptRecord => {
  const { id, kind, number, prev, revision, sha256 } = row
  return {
    device: row.device,
    entry: { number, prev, kind, id, revision, sha256 },
    stage: row.stage,
    receivedAt: row.received_ms,
    carrier: row.carrier,
    reason: row.reason,
    conflict: row.conflict === 1,
    altered: row.altered === 1,
    session: row.session
  }
}

const COLUMNS = {
  device: "text",
  sha256: "text",
  number: "integer",
  prev: "text",
  kind: "text",
  id: "text",
  revision: "integer",
  head: "text",
  stage: "text",
  received_ms: "integer",
  carrier: "text",
  reason: "text",
  conflict: "integer",
  altered: "integer",
  delivery: "text",
  organisation: "text",
  result: "text",
  body: "document"
} as const

const REPLACE_ALTERED = `DO UPDATE SET ${Object.keys(COLUMNS)
  .filter((name) => name !== "device" && name !== "sha256")
  .map((name) => `${name} = excluded.${name}`)
  .join(", ")} WHERE records.altered = 1`

const rowOf = (
  device: DeviceId,
  { altered, at, carrier, reason, record, session, stage }: NewRecord
): Omit<Record<keyof typeof COLUMNS, unknown>, "head" | "conflict"> => ({
  device,
  ...record.ledger,
  stage,
  received_ms: at,
  carrier,
  reason,
  altered: altered ? 1 : 0,
  delivery: session?.delivery ?? null,
  organisation: session?.organisation ?? null,
  result: session?.result ?? (null satisfies Digest | null),
  body: record.body
})

export const layer = Layer.effect(Records, make)
