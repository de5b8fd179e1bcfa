/**
 * Gives sealed results out of SQL to whoever opens them, and moves them on, a batch at a time: with
 * a question for each result, PostgreSQL would take longer than its cryptography.
 */
import { Effect, Result, Schema } from "effect"
import type { SqlClient } from "effect/sql"
import type { RecordMove, RecordName, Records } from "../application/record-ports.ts"
import { DeviceId, Digest } from "../domain/id.ts"
import { LedgerEntry } from "../domain/ledger.ts"
import { CentralStage, stepAtCentral } from "../domain/lifecycle.ts"
import type { ResultsFilter } from "../domain/opening.ts"

type Service = Records["Service"]
type OpeningQueries = Pick<Service, "countResults" | "claim" | "findAll" | "moveAll" | "lanes">

/** One lane opens while the other reads and writes. More take memory and bring nothing. */
const LANES = 2

export const openingQueries = (sql: SqlClient.SqlClient): OpeningQueries => ({
  countResults: Effect.fn("Records.countResults")(function* (filter, stages) {
    const [row] = yield* sql<{ count: number }>`
      SELECT count(*) AS count FROM records r WHERE ${meant(sql, filter, stages)}`
    return Number(row?.count ?? 0)
  }, Effect.orDie),

  claim: Effect.fn("Records.claim")(function* (filter, limit, characters) {
    const candidates = yield* decodeCandidates(
      yield* sql`
        SELECT r.device, r.sha256, r.id, r.revision, ${length(sql)} AS characters
        FROM records r
        WHERE ${meant(sql, filter, ["stored"])}
        ORDER BY r.received_ms, r.device, r.number, r.sha256
        LIMIT ${limit} ${sql.onDialectOrElse({ pg: () => sql`FOR UPDATE SKIP LOCKED`, orElse: () => sql`` })}`
    )
    if (candidates.length === 0) return []
    let sum = 0
    const taken = candidates.filter((one, at) => {
      sum += one.characters
      return at === 0 || sum <= characters
    })
    const bodies = yield* decodeBodies(
      yield* sql`SELECT device, sha256, body FROM records WHERE ${among(sql, taken)}`
    )
    const byName = new Map(bodies.map((one) => [`${one.device} ${one.sha256}`, one.body]))
    return taken.map(({ device, id, revision, sha256 }) => ({
      device,
      sha256,
      id,
      revision,
      body: byName.get(`${device} ${sha256}`) ?? ""
    }))
  }, Effect.orDie),

  findAll: Effect.fn("Records.findAll")(function* (names) {
    if (names.length === 0) return []
    return yield* decodeFound(
      yield* sql`
        SELECT device, sha256, kind, id, revision, stage FROM records
        WHERE ${among(sql, names)} AND altered = 0
        ${sql.onDialectOrElse({ pg: () => sql`FOR UPDATE`, orElse: () => sql`` })}`
    )
  }, Effect.orDie),

  moveAll: Effect.fn("Records.moveAll")(function* (moves) {
    if (moves.length === 0) return
    const steps = moves.map((move) => ({ ...move, to: after(move) }))
    const moved = yield* sql.onDialectOrElse({
      pg: () => sql`
        UPDATE records r SET stage = m.stage, reason = m.reason
        FROM unnest(${steps.map(({ device }) => device)}::text[],
          ${steps.map(({ sha256 }) => sha256)}::text[], ${steps.map(({ from }) => from)}::text[],
          ${steps.map(({ to }) => to)}::text[], ${steps.map(({ reason }) => reason)}::text[])
          AS m (device, sha256, before, stage, reason)
        WHERE r.device = m.device AND r.sha256 = m.sha256 AND r.stage = m.before AND r.altered = 0
        RETURNING r.sha256`,
      orElse: () =>
        Effect.map(
          Effect.forEach(
            steps,
            ({ device, from, reason, sha256, to }) => sql`
              UPDATE records SET stage = ${to}, reason = ${reason}
              WHERE device = ${device} AND sha256 = ${sha256} AND stage = ${from} AND altered = 0
              RETURNING sha256`
          ),
          (rows) => rows.flat()
        )
    })
    if (moved.length === moves.length) return
    return yield* Effect.die(
      new Error(`${moves.length - moved.length} records were moved by others`)
    )
  }, Effect.orDie),

  lanes: sql.onDialectOrElse({ pg: () => LANES, orElse: () => 1 })
})

const Name = { device: DeviceId, sha256: Digest }
const { id, kind, revision } = LedgerEntry.fields
const rowsOf = <Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.decodeUnknownEffect(Schema.Array(Schema.Struct(fields)))
const decodeCandidates = rowsOf({ ...Name, id, revision, characters: Schema.Int })
const decodeBodies = rowsOf({ ...Name, body: Schema.String })
const decodeFound = rowsOf({ ...Name, kind, id, revision, stage: CentralStage })

/** Sealed bytes are ASCII: PostgreSQL knows how many there are without reading them. */
const length = (sql: SqlClient.SqlClient) =>
  sql.onDialectOrElse({ pg: () => sql`octet_length(r.body)`, orElse: () => sql`length(r.body)` })

const meant = (
  sql: SqlClient.SqlClient,
  { delivery, organisation }: ResultsFilter,
  stages: ReadonlyArray<CentralStage>
) =>
  sql.and([
    sql`r.kind = 'result'`,
    sql.in("r.stage", stages),
    ...(delivery === null ? [] : [ofSession(sql, "delivery", delivery)]),
    ...(organisation === null ? [] : [ofSession(sql, "organisation", organisation)])
  ])

/** Sessions say it themselves; results by the session that names them. */
export const ofSession = (
  sql: SqlClient.SqlClient,
  column: "delivery" | "organisation",
  value: string
) => sql`(r.${sql(column)} = ${value} OR (r.device, r.sha256) IN (
    SELECT s.device, s.result FROM records s
    WHERE s.${sql(column)} = ${value} AND s.stage = 'stored' AND s.result IS NOT NULL))`

/** Rows with these names; there must be one. */
export const among = (sql: SqlClient.SqlClient, names: ReadonlyArray<RecordName>) =>
  sql.onDialectOrElse({
    pg: () => sql`(device, sha256) IN (
      SELECT * FROM unnest(${names.map(({ device }) => device)}::text[],
        ${names.map(({ sha256 }) => sha256)}::text[]))`,
    orElse: () =>
      sql`(device, sha256) IN (VALUES ${sql.csv(
        names.map(({ device, sha256 }) => sql`(${device}, ${sha256})`)
      )})`
  })

/** The stage after all events; a way that there is not is a bug of the caller. */
const after = ({ events, from, sha256 }: RecordMove): CentralStage =>
  events.reduce((stage, event) => {
    const next = stepAtCentral(stage, event)
    if (Result.isFailure(next)) throw new Error(`${sha256} is ${stage}: no ${event}`)
    return next.success
  }, from)
