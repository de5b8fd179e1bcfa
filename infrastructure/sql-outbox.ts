/** Keeps a device's ledger in SQL, and the bytes of its records until a receipt lets them go. */
import { Effect, Layer, Option, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import { Hashing } from "../application/ports.ts"
import { Outbox, type OwedRecord } from "../application/record-ports.ts"
import { Digest } from "../domain/id.ts"
import { LedgerEntry, ledgerText } from "../domain/ledger.ts"
import { DEVICE_EVENTS, DeviceStage, EndStage, stepOnDevice } from "../domain/lifecycle.ts"

const Row = Schema.Struct({
  entry: Schema.fromJsonString(LedgerEntry),
  stage: DeviceStage,
  ended: EndStage,
  body: Schema.NullOr(Schema.String),
  tries: Schema.Int,
  reason: Schema.NullOr(Schema.String)
})

/** Whether one arrow of the table leads there. */
const leads = (from: DeviceStage, to: DeviceStage): boolean =>
  DEVICE_EVENTS.some((event) => {
    const next = stepOnDevice(from, event)
    return next._tag === "Success" && next.success === to
  })

export const layer = Layer.effect(
  Outbox,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const hashing = yield* Hashing
    const rows = (rest: ReturnType<typeof sql.in>) =>
      SqlSchema.findAll({
        Request: Schema.Void,
        Result: Row,
        execute: () => sql`SELECT entry, stage, ended, body, tries, reason FROM outbox ${rest}`
      })(undefined).pipe(
        Effect.map((found) =>
          found.map(({ ended, ...row }): OwedRecord => ({ ...row, end: ended }))
        ),
        Effect.orDie
      )
    const heads = SqlSchema.findAll({
      Request: Schema.Void,
      Result: Schema.Struct({ number: Schema.Int, head: Digest }),
      execute: () => sql`SELECT number, head FROM outbox ORDER BY number DESC LIMIT 1`
    })
    const head = Effect.orDie(
      Effect.map(heads(undefined), ([row]) => ({
        count: row?.number ?? 0,
        head: row?.head ?? null
      }))
    )
    const stages = SqlSchema.findAll({
      Request: Schema.Void,
      Result: Schema.Struct({ stage: DeviceStage, count: Schema.Int }),
      execute: () => sql`SELECT stage, COUNT(*) AS count FROM outbox GROUP BY stage`
    })
    const byNumber = Effect.fnUntraced(function* (number: number) {
      const [row] = yield* rows(sql`WHERE number = ${number}`)
      return row ?? (yield* Effect.die(new Error(`no record ${number}`)))
    })
    const moving = Effect.fnUntraced(function* (number: number, to: DeviceStage) {
      const { stage } = yield* byNumber(number)
      if (!leads(stage, to)) return yield* Effect.die(new Error(`${number}: ${stage} to ${to}`))
    })

    return Outbox.of({
      append: Effect.fn("Outbox.append")(function* ({ body, end, stage, ...record }) {
        const last = yield* head
        const entry: LedgerEntry = {
          number: last.count + 1,
          prev: last.head,
          ...record,
          sha256: hashing.sha256(body)
        }
        const text = ledgerText(entry)
        yield* sql`
          INSERT INTO outbox (number, kind, stage, ended, sha256, entry, head, body, tries)
          VALUES (${entry.number}, ${entry.kind}, ${stage}, ${end}, ${entry.sha256}, ${text},
            ${hashing.sha256(text)}, ${body}, 0)`
        return entry
      }, Effect.orDie),
      head,
      owed: ({ after, kinds, limit }) =>
        rows(sql`
          WHERE stage IN ('queued', 'sent') AND number > ${after}
            AND ${kinds === undefined ? sql`1 = 1` : sql.in("kind", kinds)}
          ORDER BY number LIMIT ${limit}`),
      waiting: rows(sql`WHERE stage = 'sealed' ORDER BY number`),
      move: Effect.fn("Outbox.move")(function* (number, stage, reason) {
        yield* moving(number, stage)
        const tried = stage === "sent" ? 1 : 0
        yield* sql`
          UPDATE outbox SET stage = ${stage}, reason = ${reason}, tries = tries + ${tried}
          WHERE number = ${number}`
      }, Effect.orDie),
      purge: Effect.fn("Outbox.purge")(function* (number) {
        yield* moving(number, "purged")
        yield* sql`UPDATE outbox SET stage = 'purged', body = NULL WHERE number = ${number}`
      }, Effect.orDie),
      byDigest: (sha256) =>
        Effect.map(rows(sql`WHERE sha256 = ${sha256} ORDER BY number LIMIT 1`), ([row]) =>
          Option.fromUndefinedOr(row)
        ),
      counts: Effect.orDie(
        Effect.map(stages(undefined), (all) => new Map(all.map((row) => [row.stage, row.count])))
      )
    })
  })
)
