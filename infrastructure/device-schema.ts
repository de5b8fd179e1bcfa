/** The tables of a device, as numbered migrations: forward only, never edited once shipped. */
import { Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Signed } from "../domain/enrolment.ts"
import { commonTables, dialect, documentTable, streamTables } from "./central-schema.ts"
import { holdingSums } from "./sql-holding-sums.ts"
import { changeSetting, setting } from "./sql-settings.ts"
import { CONDEMNED } from "./sql-soundness.ts"

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

/** What is being sat. */
const sessions = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE sessions (
      number INTEGER PRIMARY KEY,
      execution TEXT NOT NULL UNIQUE,
      test_taker TEXT NOT NULL,
      test_center TEXT NOT NULL,
      open ${integer} NOT NULL,
      body TEXT NOT NULL,
      key_box TEXT
    ) ${table}`
  yield* sql`CREATE INDEX sessions_by_taker ON sessions (test_taker)`
  yield* sql`CREATE INDEX sessions_by_center ON sessions (test_center)`
  yield* sql`CREATE INDEX sessions_open ON sessions (open) WHERE open = 1`
  yield* sql`
    CREATE TABLE session_saves (
      execution TEXT NOT NULL,
      part TEXT NOT NULL,
      seq ${integer} NOT NULL,
      box TEXT NOT NULL,
      bytes ${integer} NOT NULL,
      PRIMARY KEY (execution, part)
    ) ${table}`
  yield* sql`
    CREATE TABLE session_log (
      execution TEXT NOT NULL,
      number ${integer} NOT NULL,
      entry TEXT NOT NULL,
      PRIMARY KEY (execution, number)
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

/** The first root came with the answer to the enrolment, and lay in the same setting. */
const standing = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* documentTable
  const text = yield* setting(sql, "enrolment")
  if (text === undefined) return
  const { certificate, roots } = yield* Effect.orDie(decodeAnswer(text))
  for (const [at, root] of roots.entries()) {
    yield* sql`
      INSERT INTO documents (kind, version, signed)
      VALUES ('root', ${at + 1}, ${JSON.stringify(root)})`
  }
  yield* changeSetting(sql, "certificate", JSON.stringify(certificate))
  yield* sql`DELETE FROM settings WHERE name = 'enrolment'`
})

/** Sums of what is held, and a way to what was condemned that does not pass by everything else. */
const sums = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* holdingSums
  yield* sql`
    CREATE INDEX holdings_condemned ON holdings (organisation)
    WHERE digest = ${sql.literal(`'${CONDEMNED}'`)}`
})

const decodeAnswer = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Struct({ certificate: Signed, roots: Schema.Array(Signed) }))
)

export const deviceMigrations = {
  "0001_common": commonTables,
  "0002_holdings": holdings,
  "0003_standing": standing,
  "0004_bundles": streamTables,
  "0005_outbox": outbox,
  "0006_sessions": sessions,
  "0007_sums": sums
}
