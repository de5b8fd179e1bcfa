/** Keeps in SQL the requests of devices that wait for approval, and what was decided about them. */
import { Effect, Layer, Option, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import { type KeptRequest, WaitingDevices } from "../application/waiting-ports.ts"
import { Signed } from "../domain/enrolment.ts"
import { DeviceId, Digest, OrganisationId } from "../domain/id.ts"

const Decided = { at: Schema.Int, by: Schema.String }
const DecisionBody = Schema.Union([
  Schema.Struct({
    state: Schema.Literal("approved"),
    ...Decided,
    device: DeviceId,
    organisations: Schema.Array(OrganisationId),
    answer: Schema.Struct({ path: Schema.String, note: Signed })
  }),
  Schema.Struct({ state: Schema.Literal("refused"), ...Decided, reason: Schema.String })
])

const Row = Schema.Struct({
  id: Digest,
  came_ms: Schema.Int,
  brought_by: Schema.String,
  note: Schema.fromJsonString(Signed),
  decision: Schema.NullOr(Schema.fromJsonString(DecisionBody))
})

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const columns = sql.literal("id, came_ms, brought_by, note, decision")
  const waiting = SqlSchema.findAll({
    Request: Schema.Void,
    Result: Row,
    execute: () => sql`
      SELECT ${columns} FROM waiting_devices WHERE decided_ms IS NULL ORDER BY came_ms, id`
  })
  const decided = SqlSchema.findAll({
    Request: Schema.Int,
    Result: Row,
    execute: (limit) => sql`
      SELECT ${columns} FROM waiting_devices WHERE decided_ms IS NOT NULL
      ORDER BY decided_ms DESC, id LIMIT ${limit}`
  })
  const byId = SqlSchema.findAll({
    Request: Digest,
    Result: Row,
    execute: (id) => sql`SELECT ${columns} FROM waiting_devices WHERE id = ${id}`
  })
  return WaitingDevices.of({
    waiting: Effect.orDie(Effect.map(waiting(undefined), (rows) => rows.map(kept))),
    decided: (limit) => Effect.orDie(Effect.map(decided(limit), (rows) => rows.map(kept))),
    find: (id) =>
      Effect.orDie(
        Effect.map(byId(id), ([row]) => Option.fromUndefinedOr(row === undefined ? row : kept(row)))
      ),
    add: ({ by, cameAt, id, note }) =>
      Effect.orDie(
        Effect.asVoid(sql`
          INSERT INTO waiting_devices (id, came_ms, brought_by, note)
          VALUES (${id}, ${cameAt}, ${by}, ${JSON.stringify(note)})
          ON CONFLICT (id) DO NOTHING`)
      ),
    // A change that changes nothing: PostgreSQL holds the row for it until the transaction ends.
    claim: (id) =>
      Effect.orDie(
        Effect.map(
          sql`
            UPDATE waiting_devices SET came_ms = came_ms
            WHERE id = ${id} AND decided_ms IS NULL
            RETURNING id`,
          (rows) => rows.length === 1
        )
      ),
    decide: (id, decision) =>
      Effect.orDie(
        Effect.asVoid(sql`
          UPDATE waiting_devices
          SET decided_ms = ${decision.at}, decision = ${JSON.stringify(decision)}
          WHERE id = ${id}`)
      ),
    forgetOutside: (from, to) =>
      Effect.orDie(
        Effect.asVoid(sql`
          DELETE FROM waiting_devices WHERE came_ms < ${from} OR came_ms > ${to}`)
      )
  })
})

const kept = ({ brought_by, came_ms, ...row }: typeof Row.Type): KeptRequest => ({
  ...row,
  cameAt: came_ms,
  by: brought_by
})

export const layer = Layer.effect(WaitingDevices, make)
