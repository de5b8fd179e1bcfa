/** Keeps in SQL the receipts that wait for the next bundle to their device. */
import { Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { WaitingReceipts } from "../application/carried-ports.ts"
import { canonical } from "../domain/canonical.ts"
import { Signed } from "../domain/enrolment.ts"
import { Digest } from "../domain/id.ts"

const Row = Schema.Struct({
  bundle: Digest,
  number: Schema.Int,
  signed: Schema.fromJsonString(Signed)
})

export const layer = Layer.effect(
  WaitingReceipts,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))
    return WaitingReceipts.of({
      keep: (device, { bundle, number, signed }) =>
        Effect.orDie(
          Effect.asVoid(sql`
            INSERT INTO receipts_out (device, bundle, number, signed)
            VALUES (${device}, ${bundle}, ${number}, ${canonical({ ...signed })})
            ON CONFLICT (device, bundle, number) DO UPDATE SET signed = excluded.signed,
              sent_epoch = NULL, sent_seq = NULL`)
        ),

      keepOnly: (device, bundle) =>
        Effect.orDie(
          Effect.asVoid(
            sql`DELETE FROM receipts_out WHERE device = ${device} AND bundle <> ${bundle}`
          )
        ),

      list: Effect.fn("WaitingReceipts.list")(function* (device, acknowledged, limit) {
        const { epoch, seq } = acknowledged ?? { epoch: -1, seq: -1 }
        const rows = yield* sql`
          SELECT bundle, number, signed FROM receipts_out
          WHERE device = ${device} AND (sent_epoch IS NULL OR sent_epoch > ${epoch}
            OR (sent_epoch = ${epoch} AND sent_seq > ${seq}))
          ORDER BY bundle, number LIMIT ${limit}`
        return yield* decodeRows(rows)
      }, Effect.orDie),

      wentOut: Effect.fn("WaitingReceipts.wentOut")(
        function* (device, receipts, { epoch, seq }) {
          for (const { bundle, number } of receipts) {
            yield* sql`
              UPDATE receipts_out SET sent_epoch = ${epoch}, sent_seq = ${seq}
              WHERE device = ${device} AND bundle = ${bundle} AND number = ${number}
                AND sent_epoch IS NULL`
          }
        },
        sql.withTransaction,
        Effect.orDie
      )
    })
  })
)
