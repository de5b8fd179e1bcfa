/** The tables of a device, as numbered migrations: forward only, never edited once shipped. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { commonTables, dialect } from "./central-schema.ts"

const holdings = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE cursors (
      organisation TEXT PRIMARY KEY,
      epoch TEXT NOT NULL,
      version ${integer} NOT NULL,
      staged_epoch TEXT NOT NULL,
      staged_version ${integer} NOT NULL
    ) ${table}`
  yield* sql`
    CREATE TABLE holdings (
      organisation TEXT NOT NULL,
      id TEXT NOT NULL,
      kind TEXT NOT NULL,
      version ${integer} NOT NULL,
      digest TEXT NOT NULL,
      a ${integer} NOT NULL,
      b ${integer} NOT NULL,
      bucket ${integer} NOT NULL,
      held ${integer} NOT NULL,
      tag TEXT,
      reader TEXT,
      body TEXT NOT NULL,
      PRIMARY KEY (organisation, id)
    ) ${table}`
  yield* sql`CREATE INDEX holdings_set ON holdings (organisation, held, bucket, a, b)`
  yield* sql`CREATE INDEX holdings_by_kind ON holdings (organisation, kind, held, id)`
  yield* sql`CREATE INDEX holdings_by_tag ON holdings (organisation, tag) WHERE tag IS NOT NULL`
  yield* sql`CREATE INDEX holdings_by_reader ON holdings (organisation, reader) WHERE reader IS NOT NULL`
  yield* sql`
    CREATE TABLE staged (
      organisation TEXT NOT NULL,
      id TEXT NOT NULL,
      kind TEXT NOT NULL,
      version ${integer} NOT NULL,
      digest TEXT,
      a ${integer} NOT NULL,
      b ${integer} NOT NULL,
      bucket ${integer} NOT NULL,
      tag TEXT,
      reader TEXT,
      body TEXT,
      PRIMARY KEY (organisation, id)
    ) ${table}`
  yield* sql`
    CREATE TABLE executions (
      id TEXT PRIMARY KEY,
      state TEXT NOT NULL,
      body TEXT NOT NULL
    ) ${table}`
})

/** The ledger, and beside each line the record itself until it may be forgotten (format §3.7). */
const outbox = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE outbox (
      number ${integer} PRIMARY KEY,
      prev TEXT,
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      revision ${integer} NOT NULL,
      sha256 TEXT NOT NULL,
      stage TEXT NOT NULL,
      end_stage TEXT NOT NULL,
      body TEXT,
      tries ${integer} NOT NULL,
      reason TEXT,
      head TEXT NOT NULL
    ) ${table}`
  yield* sql`CREATE INDEX outbox_by_stage ON outbox (stage, number)`
  yield* sql`CREATE INDEX outbox_by_digest ON outbox (sha256)`
  yield* sql`CREATE INDEX outbox_by_id ON outbox (id)`
})

export const deviceMigrations = {
  "0001_common": commonTables,
  "0002_holdings": holdings,
  // 0003 and 0004 belong to the signed documents and streams of bundles.
  "0005_outbox": outbox
}
