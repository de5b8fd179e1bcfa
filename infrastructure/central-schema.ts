/**
 * The tables of central, as numbered migrations: forward only, never edited once shipped.
 *
 * The same text runs on SQLite (STRICT tables) and on PostgreSQL; only the name of the wide integer
 * differs. Times are milliseconds, bodies are canonical JSON as text, so that their digests hold.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** The words in which the two dialects differ. */
export const dialect = (sql: SqlClient.SqlClient) => ({
  integer: sql.literal(sql.onDialectOrElse({ pg: () => "BIGINT", orElse: () => "INTEGER" })),
  table: sql.literal(sql.onDialectOrElse({ pg: () => "", orElse: () => "STRICT" })),
  number: sql.literal(
    sql.onDialectOrElse({
      pg: () => "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
      orElse: () => "INTEGER PRIMARY KEY"
    })
  )
})

/** Tables that central and devices have in common. */
export const commonTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, number, table } = dialect(sql)
  yield* sql`CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) ${table}`
  yield* sql`
    CREATE TABLE history (
      number ${number},
      at_ms ${integer} NOT NULL,
      entry TEXT NOT NULL
    ) ${table}`
  yield* sql`
    CREATE TABLE login_tries (
      tag TEXT PRIMARY KEY,
      failures ${integer} NOT NULL,
      not_before_ms ${integer} NOT NULL
    ) ${table}`
})

/** Signed documents of which newer ones replace older: roots (all are kept) and revocation lists. */
export const documentTable = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE documents (
      kind TEXT NOT NULL,
      version ${integer} NOT NULL,
      signed TEXT NOT NULL,
      PRIMARY KEY (kind, version)
    ) ${table}`
})

/** The first root was a setting before there were others. */
const standing = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* documentTable
  yield* sql`
    INSERT INTO documents (kind, version, signed)
    SELECT 'root', 1, value FROM settings WHERE name = 'root.1'`
  yield* sql`DELETE FROM settings WHERE name = 'root.1'`
})

const catalogue = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE entities (
      id TEXT PRIMARY KEY,
      kind TEXT NOT NULL,
      name TEXT NOT NULL UNIQUE,
      label TEXT,
      revision ${integer} NOT NULL,
      key_version ${integer} NOT NULL,
      body TEXT NOT NULL
    ) ${table}`
  yield* sql`CREATE INDEX entities_by_kind ON entities (kind, id)`
  yield* sql`CREATE INDEX entities_by_label ON entities (label)`
  yield* sql`
    CREATE TABLE links (
      owner_id TEXT NOT NULL,
      from_id TEXT NOT NULL,
      relation TEXT NOT NULL,
      to_id TEXT NOT NULL,
      PRIMARY KEY (owner_id, from_id, relation, to_id)
    ) ${table}`
  yield* sql`CREATE INDEX links_forth ON links (from_id, relation, to_id)`
  yield* sql`CREATE INDEX links_back ON links (to_id, relation, from_id)`
  yield* sql`CREATE TABLE sealed (key TEXT PRIMARY KEY, stamp TEXT NOT NULL, box TEXT NOT NULL) ${table}`
})

const feeds = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE feeds (
      organisation TEXT PRIMARY KEY,
      head ${integer} NOT NULL,
      count ${integer} NOT NULL,
      a ${integer} NOT NULL,
      b ${integer} NOT NULL
    ) ${table}`
  yield* sql`
    CREATE TABLE offers (
      organisation TEXT NOT NULL,
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      version ${integer} NOT NULL,
      stamp TEXT NOT NULL,
      digest TEXT,
      a ${integer} NOT NULL,
      b ${integer} NOT NULL,
      bucket ${integer} NOT NULL,
      blob TEXT,
      body TEXT,
      PRIMARY KEY (organisation, id, kind)
    ) ${table}`
  // PostgreSQL refuses index rows of 2,700 bytes and more; the stamp of somebody whom hundreds of
  // centers show is longer.
  yield* sql.onDialectOrElse({
    pg: () => Effect.void,
    orElse: () => sql`
      CREATE INDEX offers_stamps ON offers (organisation, kind, id, stamp) WHERE digest IS NOT NULL`
  })
  yield* sql`CREATE UNIQUE INDEX offers_by_version ON offers (organisation, version)`
  yield* sql`CREATE INDEX offers_by_bucket ON offers (organisation, bucket, a, b)`
  yield* sql`CREATE INDEX offers_by_blob ON offers (blob) WHERE blob IS NOT NULL`
})

const doors = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE clients (
      id TEXT PRIMARY KEY,
      kind TEXT NOT NULL,
      name TEXT NOT NULL,
      organisations TEXT NOT NULL,
      state TEXT NOT NULL,
      created_ms ${integer} NOT NULL,
      last_seen_ms ${integer},
      program TEXT,
      keys TEXT,
      sig TEXT UNIQUE,
      serial ${integer} NOT NULL,
      secret_hash TEXT
    ) ${table}`
  yield* sql`CREATE TABLE used_once (id TEXT PRIMARY KEY, expires_ms ${integer} NOT NULL) ${table}`
  yield* sql`
    CREATE TABLE accounts (
      login TEXT PRIMARY KEY,
      role TEXT NOT NULL,
      body TEXT NOT NULL
    ) ${table}`
  yield* sql`
    CREATE TABLE import_work (
      file TEXT NOT NULL,
      login TEXT NOT NULL,
      work TEXT NOT NULL,
      PRIMARY KEY (file, login)
    ) ${table}`
})

const forgetting = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`CREATE TABLE retired (id TEXT PRIMARY KEY, key_version ${integer} NOT NULL) ${table}`
  yield* sql`CREATE INDEX offers_by_id ON offers (id, kind) WHERE digest IS NOT NULL`
  yield* sql`
    DELETE FROM sealed
    WHERE key NOT IN (SELECT kind || '/' || id FROM offers WHERE digest IS NOT NULL)`
  yield* sql`ALTER TABLE import_work ADD COLUMN kept_ms ${integer} NOT NULL DEFAULT 0`
})

/** What a side received and sent, on central and on devices. */
export const streamTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`CREATE TABLE streams_received (stream TEXT PRIMARY KEY, state TEXT NOT NULL) ${table}`
  yield* sql`
    CREATE TABLE streams_sent (
      stream TEXT NOT NULL,
      epoch ${integer} NOT NULL,
      seq ${integer} NOT NULL,
      manifest TEXT NOT NULL,
      at_ms ${integer} NOT NULL,
      brings TEXT,
      PRIMARY KEY (stream, epoch, seq)
    ) ${table}`
  yield* sql`
    CREATE TABLE streams_acknowledged (
      stream TEXT PRIMARY KEY,
      epoch ${integer} NOT NULL,
      seq ${integer} NOT NULL,
      head TEXT NOT NULL
    ) ${table}`
})

/** What central heard of its devices, and what it put aside. */
const devices = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* streamTables
  yield* sql`CREATE TABLE device_reports (device TEXT PRIMARY KEY, report TEXT NOT NULL) ${table}`
  yield* sql`
    CREATE TABLE quarantine (
      manifest TEXT PRIMARY KEY,
      device TEXT NOT NULL,
      at_ms ${integer} NOT NULL,
      code TEXT NOT NULL,
      detail TEXT NOT NULL,
      files TEXT NOT NULL
    ) ${table}`
})

/** What came home from devices, and what each said of its ledger (format §3.7). */
const records = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE records (
      device TEXT NOT NULL,
      sha256 TEXT NOT NULL,
      number ${integer} NOT NULL,
      prev TEXT,
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      revision ${integer} NOT NULL,
      head TEXT NOT NULL,
      stage TEXT NOT NULL,
      received_ms ${integer} NOT NULL,
      carrier TEXT NOT NULL,
      reason TEXT,
      conflict ${integer} NOT NULL,
      altered ${integer} NOT NULL,
      delivery TEXT,
      organisation TEXT,
      result TEXT,
      body TEXT NOT NULL,
      PRIMARY KEY (device, sha256)
    ) ${table}`
  yield* sql`CREATE INDEX records_by_number ON records (device, number)`
  yield* sql`CREATE INDEX records_by_id ON records (device, id)`
  yield* sql`CREATE INDEX records_by_age ON records (received_ms, device, number, sha256)`
  yield* sql`CREATE INDEX records_by_result ON records (device, result) WHERE result IS NOT NULL`
  yield* sql`CREATE INDEX records_by_delivery ON records (delivery) WHERE delivery IS NOT NULL`
  yield* sql`
    CREATE TABLE device_ledgers (
      device TEXT PRIMARY KEY,
      count ${integer} NOT NULL,
      head TEXT,
      forked ${integer} NOT NULL
    ) ${table}`
  // Sealed bytes do not shrink: trying to costs PostgreSQL more than writing them.
  yield* sql.onDialectOrElse({
    pg: () => sql`ALTER TABLE records ALTER COLUMN body SET STORAGE EXTERNAL`,
    orElse: () => Effect.void
  })
})

/**
 * Opened results, in a table of their own: on PostgreSQL the role of the server needs no right to
 * read their documents (docs/operations.md, "Who may read opened results").
 */
const opened = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE opened_results (
      device TEXT NOT NULL,
      sha256 TEXT NOT NULL,
      execution TEXT NOT NULL,
      revision ${integer} NOT NULL,
      delivery TEXT NOT NULL,
      organisation TEXT NOT NULL,
      opened_ms ${integer} NOT NULL,
      document TEXT NOT NULL,
      PRIMARY KEY (device, sha256)
    ) ${table}`
  yield* sql`CREATE INDEX opened_by_execution ON opened_results (execution, revision)`
  yield* sql`CREATE INDEX opened_by_age ON opened_results (opened_ms, sha256, device)`
  // The next to be opened, without a walk over those that were.
  yield* sql`
    CREATE INDEX records_by_stage ON records (kind, stage, received_ms, device, number, sha256)`
})

/** Receipts for records that came by bundle, until the device can have heard them (format §2.10). */
const receipts = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE receipts_out (
      device TEXT NOT NULL,
      bundle TEXT NOT NULL,
      number ${integer} NOT NULL,
      signed TEXT NOT NULL,
      sent_epoch ${integer},
      sent_seq ${integer},
      PRIMARY KEY (device, bundle, number)
    ) ${table}`
})

/** The packages that contents were made from, where they had to be changed to be played. */
const origins = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE package_origins (
      delivery TEXT NOT NULL,
      version ${integer} NOT NULL,
      plain_sha256 TEXT NOT NULL,
      original_sha256 TEXT NOT NULL,
      original_size ${integer} NOT NULL,
      blob TEXT NOT NULL,
      qti TEXT NOT NULL,
      at_ms ${integer} NOT NULL,
      PRIMARY KEY (delivery, version)
    ) ${table}`
})

/** That a person let in what was put aside, and why. */
const released = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer } = dialect(sql)
  yield* sql`ALTER TABLE quarantine ADD COLUMN released_ms ${integer}`
  yield* sql`ALTER TABLE quarantine ADD COLUMN released_reason TEXT`
})

/** Devices that asked by stick, until somebody decides about them and for some time after. */
const waiting = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { integer, table } = dialect(sql)
  yield* sql`
    CREATE TABLE waiting_devices (
      id TEXT PRIMARY KEY,
      came_ms ${integer} NOT NULL,
      brought_by TEXT NOT NULL,
      note TEXT NOT NULL,
      decided_ms ${integer},
      decision TEXT
    ) ${table}`
})

export const centralMigrations = {
  "0001_common": commonTables,
  "0002_catalogue": catalogue,
  "0003_feeds": feeds,
  "0004_doors": doors,
  "0005_forgetting": forgetting,
  "0006_standing": standing,
  "0007_bundles": devices,
  "0008_records": records,
  "0009_opened": opened,
  "0010_receipts": receipts,
  "0011_origins": origins,
  "0012_released": released,
  "0013_waiting": waiting
}
