/** Keeps in SQL who may ask central for tokens, and which one-time ids were used. */
import { Effect, Layer, Option, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import type { Client } from "../application/ports.ts"
import { Clients } from "../application/ports.ts"
import { OrganisationId } from "../domain/id.ts"
import { inChunks } from "./sql-chunks.ts"

const Keys = Schema.Struct({ sig: Schema.String, auth: Schema.String, enc: Schema.String })
const Row = Schema.Struct({
  id: Schema.String,
  kind: Schema.Literals(["device", "credential", "results"]),
  name: Schema.String,
  organisations: Schema.fromJsonString(Schema.Array(OrganisationId)),
  state: Schema.Literals(["active", "blocked", "revoked"]),
  created_ms: Schema.Int,
  last_seen_ms: Schema.NullOr(Schema.Int),
  program: Schema.NullOr(Schema.String),
  keys: Schema.NullOr(Schema.fromJsonString(Keys)),
  serial: Schema.Int
})

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const columns = sql.literal(
    "id, kind, name, organisations, state, created_ms, last_seen_ms, program, keys, serial"
  )
  const byColumn = (column: "id" | "sig" | "kind") =>
    SqlSchema.findAll({
      Request: Schema.String,
      Result: Row,
      execute: (value) => sql`
        SELECT ${columns} FROM clients WHERE ${sql(column)} = ${value} ORDER BY created_ms, id`
    })
  const byId = byColumn("id")
  const bySig = byColumn("sig")
  const byKind = byColumn("kind")
  const byIds = SqlSchema.findAll({
    Request: Schema.Array(Schema.String),
    Result: Row,
    execute: (ids) => sql`SELECT ${columns} FROM clients WHERE ${sql.in("id", ids)}`
  })
  const first = (rows: ReadonlyArray<typeof Row.Type>) =>
    Option.fromUndefinedOr(rows[0] === undefined ? undefined : client(rows[0]))

  return Clients.of({
    find: (id) => Effect.orDie(Effect.map(byId(id), first)),
    findAll: Effect.fn("Clients.findAll")(function* (ids) {
      const found: Array<Client> = []
      yield* inChunks(ids, (chunk) =>
        Effect.map(byIds(chunk), (rows) => void found.push(...rows.map(client)))
      )
      return found
    }, Effect.orDie),
    findBySigningKey: (sig) => Effect.orDie(Effect.map(bySig(sig), first)),
    list: (kind) => Effect.orDie(Effect.map(byKind(kind), (rows) => rows.map(client))),

    put: Effect.fn("Clients.put")(function* (one, secretHash) {
      yield* sql`
        INSERT INTO clients (${columns}, sig, secret_hash)
        VALUES (${one.id}, ${one.kind}, ${one.name}, ${JSON.stringify(one.organisations)},
          ${one.state}, ${one.createdAt}, ${one.lastSeenAt}, ${one.program},
          ${one.keys === null ? null : JSON.stringify(one.keys)}, ${one.serial},
          ${one.keys?.sig ?? null}, ${secretHash ?? null})
        ON CONFLICT (id) DO UPDATE SET name = excluded.name,
          organisations = excluded.organisations, state = excluded.state, keys = excluded.keys,
          sig = excluded.sig, serial = excluded.serial,
          secret_hash = COALESCE(excluded.secret_hash, clients.secret_hash)`
    }, Effect.orDie),

    secretHash: Effect.fn("Clients.secretHash")(function* (id) {
      const [row] = yield* sql<{ secret_hash: string | null }>`
        SELECT secret_hash FROM clients WHERE id = ${id}`
      return Option.fromNullishOr(row?.secret_hash)
    }, Effect.orDie),

    seen: (id, at, program) =>
      Effect.orDie(
        Effect.asVoid(sql`
          UPDATE clients SET last_seen_ms = ${at}, program = ${program} WHERE id = ${id}`)
      ),

    useOnce: Effect.fn("Clients.useOnce")(function* (id, now, expires) {
      yield* sql`DELETE FROM used_once WHERE expires_ms < ${now}`
      const rows = yield* sql`
        INSERT INTO used_once (id, expires_ms) VALUES (${id}, ${expires})
        ON CONFLICT (id) DO NOTHING
        RETURNING id`
      return rows.length === 1
    }, Effect.orDie)
  })
})

const client = (row: typeof Row.Type): Client => ({
  id: row.id,
  kind: row.kind,
  name: row.name,
  organisations: row.organisations,
  state: row.state,
  createdAt: row.created_ms,
  lastSeenAt: row.last_seen_ms,
  program: row.program,
  keys: row.keys,
  serial: row.serial
})

export const layer = Layer.effect(Clients, make)
