/**
 * Keeps in SQL what a device owes central: its ledger, and each record until a receipt allows to
 * forget it (format §3.7). A line of the ledger is never removed.
 */
import { Clock, Effect, Layer, Option, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import { Hashing } from "../application/ports.ts"
import { Outbox, type OwedRecord, type Owing } from "../application/record-ports.ts"
import { Digest } from "../domain/id.ts"
import { LedgerEntry, ledgerText } from "../domain/ledger.ts"
import { DEVICE_EVENTS, DeviceStage, EndStage, stepOnDevice } from "../domain/lifecycle.ts"
import { changeSetting, setting } from "./sql-settings.ts"

const Row = Schema.Struct({
  ...LedgerEntry.fields,
  stage: DeviceStage,
  end_stage: EndStage,
  body: Schema.NullOr(Schema.String),
  tries: Schema.Int,
  reason: Schema.NullOr(Schema.String)
})

/** The setting that says when everything was queued again. */
const ANEW = "outbox-anew"
/** How many acknowledged records central lacked when it was last asked: what can't be had again. */
const LACKING = "outbox-lacking"

export const layer = Layer.effect(
  Outbox,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const hashing = yield* Hashing
    const columns = sql.literal(
      "number, prev, kind, id, revision, sha256, stage, end_stage, body, tries, reason"
    )
    const heads = SqlSchema.findAll({
      Request: Schema.Void,
      Result: Schema.Struct({ number: Schema.Int, head: Digest }),
      execute: () => sql`SELECT number, head FROM outbox ORDER BY number DESC LIMIT 1`
    })
    const isOwed = ({ ends, kinds }: Owing) =>
      sql.and([
        sql`(stage = 'sent' OR (stage = 'queued'
        AND (kind = 'lti-user' OR ${sql.in("end_stage", ends)})))`,
        sql.in("kind", kinds ?? LedgerEntry.fields.kind.literals)
      ])
    const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))
    const waitingRows = SqlSchema.findAll({
      Request: Schema.Void,
      Result: Row,
      execute: () => sql`SELECT ${columns} FROM outbox WHERE stage = 'sealed' ORDER BY number`
    })
    const digestRows = SqlSchema.findAll({
      Request: Digest,
      Result: Row,
      execute: (sha256) => sql`
        SELECT ${columns} FROM outbox WHERE sha256 = ${sha256}
        ORDER BY stage IN ('acknowledged', 'purged'), number LIMIT 1`
    })
    const stages = SqlSchema.findAll({
      Request: Schema.Int,
      Result: Schema.Struct({ stage: DeviceStage }),
      execute: (number) => sql`SELECT stage FROM outbox WHERE number = ${number}`
    })
    const owing = SqlSchema.findAll({
      Request: Schema.String,
      Result: Schema.Struct({ number: Schema.Int }),
      execute: (id) => sql`
        SELECT number FROM outbox
        WHERE id = ${id} AND stage IN ('sealed', 'queued', 'sent') LIMIT 1`
    })
    const countRows = SqlSchema.findAll({
      Request: Schema.Void,
      Result: Schema.Struct({ stage: DeviceStage, count: Schema.Int }),
      execute: () => sql`SELECT stage, COUNT(*) AS count FROM outbox GROUP BY stage`
    })
    const anew = Effect.map(setting(sql, ANEW), (at) => Number(at ?? 0))
    const head = Effect.gen(function* () {
      const [last] = yield* heads(undefined)
      return { count: last?.number ?? 0, head: last?.head ?? null, anew: yield* anew }
    })

    return Outbox.of({
      append: Effect.fn("Outbox.append")(function* ({ body, end, id, kind, revision, stage }) {
        const before = yield* head
        const sha256 = hashing.sha256(body)
        const number = before.count + 1
        // sql.js copies text character by character, bytes all at once.
        const entry: LedgerEntry = { number, prev: before.head, kind, id, revision, sha256 }
        yield* sql`
          INSERT INTO outbox (${columns}, head)
          VALUES (${number}, ${before.head}, ${kind}, ${id}, ${revision}, ${sha256}, ${stage},
            ${end}, CAST(${Buffer.from(body)} AS TEXT), 0, NULL, ${hashing.sha256(ledgerText(entry))})`
        return entry
      }, Effect.orDie),

      head: Effect.orDie(head),

      owed: Effect.fn("Outbox.owed")(function* ({ after, limit, ...owing }) {
        const rows = yield* sql`
          SELECT ${columns} FROM outbox WHERE number > ${after} AND ${isOwed(owing)}
          ORDER BY number LIMIT ${limit}`
        return (yield* decodeRows(rows)).map(owed)
      }, Effect.orDie),

      countOwed: (owing) =>
        Effect.orDie(
          Effect.map(
            sql<{ count: number }>`SELECT COUNT(*) AS count FROM outbox WHERE ${isOwed(owing)}`,
            ([row]) => row?.count ?? 0
          )
        ),

      waiting: Effect.orDie(Effect.map(waitingRows(undefined), (rows) => rows.map(owed))),

      move: Effect.fn("Outbox.move")(function* (number, stage, reason) {
        const [row] = yield* stages(number)
        if (row === undefined || !leads(row.stage, stage)) return yield* noArrow(number, row, stage)
        const tried = stage === "sent" && reason === null ? 1 : 0
        yield* sql`
          UPDATE outbox SET stage = ${stage}, reason = ${reason}, tries = tries + ${tried}
          WHERE number = ${number}`
      }, Effect.orDie),

      purge: Effect.fn("Outbox.purge")(function* (number) {
        const [row] = yield* stages(number)
        if (row?.stage !== "acknowledged") return yield* noArrow(number, row, "purged")
        yield* sql`UPDATE outbox SET stage = 'purged', body = NULL WHERE number = ${number}`
      }, Effect.orDie),

      resend: Effect.gen(function* () {
        // Never the same again, also when the clock stands still.
        const at = Math.max(yield* Clock.currentTimeMillis, (yield* anew) + 1)
        yield* changeSetting(sql, ANEW, String(at))
        yield* sql`UPDATE outbox SET stage = 'queued', reason = NULL WHERE stage = 'acknowledged'`
      }).pipe(Effect.orDie),

      noteKept: Effect.fn("Outbox.noteKept")(function* (kept) {
        const [row] = yield* sql<{ count: number }>`
          SELECT COUNT(*) AS count FROM outbox WHERE stage IN ('acknowledged', 'purged')`
        const lacking = Math.max(0, (row?.count ?? 0) - kept)
        const before = Number((yield* setting(sql, LACKING)) ?? 0)
        if (lacking !== before) yield* changeSetting(sql, LACKING, String(lacking))
        return Math.max(0, lacking - before)
      }, Effect.orDie),

      byDigest: (sha256) =>
        Effect.orDie(
          Effect.map(digestRows(sha256), ([row]) =>
            row === undefined ? Option.none() : Option.some(owed(row))
          )
        ),

      owes: (id) => Effect.orDie(Effect.map(owing(id), (rows) => rows.length > 0)),

      counts: Effect.orDie(
        Effect.map(
          countRows(undefined),
          (rows) => new Map(rows.map(({ count, stage }) => [stage, count]))
        )
      ),

      resultsWaiting: Effect.orDie(
        Effect.map(
          sql<{ count: number }>`
            SELECT COUNT(*) AS count FROM outbox
            WHERE kind = 'result' AND stage IN ('sealed', 'queued', 'sent')`,
          ([row]) => row?.count ?? 0
        )
      )
    })
  })
)

const owed = ({
  body,
  end_stage,
  reason,
  stage,
  tries,
  ...entry
}: typeof Row.Type): OwedRecord => ({
  entry,
  stage,
  end: end_stage,
  body,
  tries,
  reason
})

/** Whether one step of the life of a record goes there. */
const leads = (from: DeviceStage, to: DeviceStage): boolean =>
  DEVICE_EVENTS.some((event) => Option.contains(to)(Option.getSuccess(stepOnDevice(from, event))))

const noArrow = (number: number, row: { readonly stage: string } | undefined, to: string) =>
  Effect.die(new Error(`record ${number} can't go from ${row?.stage ?? "nowhere"} to ${to}`))
