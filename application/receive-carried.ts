/**
 * Takes in the records that a bundle brought, exactly as those that come by HTTPS, and keeps the
 * receipts for the way back: in the next bundle, and as notes on the stick itself (format §2.10).
 */
import { Effect, Result, Schema, Stream } from "effect"
import { type HomewardIndex, RECEIPTS_MAX } from "../domain/bundle-index.ts"
import type { Signed } from "../domain/enrolment.ts"
import { DeviceId, type Digest } from "../domain/id.ts"
import { BATCH_RECORDS_MAX, type HomeRecord, RecordsReceipt } from "../domain/result.ts"
import { Medium } from "./bundle-ports.ts"
import { RecordLines, WaitingReceipts } from "./carried-ports.ts"
import type { Client } from "./ports.ts"
import { receiveRecords } from "./receive-records.ts"
import { BATCH_CHARACTERS } from "./submit.ts"

export const NOTHING_CARRIED = { records: 0, results: 0, putAside: 0, refused: 0 }

/**
 * Keeps all records of a bundle, in batches. Fails with BundleRefused before the first is kept when
 * the lines are not what the index says.
 */
export const receiveCarried = Effect.fn("receiveCarried")(function* (
  client: Client,
  bundle: Digest,
  { ledger, records }: HomewardIndex,
  standing: "good" | "blocked"
) {
  const lines = yield* RecordLines
  const waiting = yield* WaitingReceipts
  const device = DeviceId.make(client.id)
  const way = { carrier: "bundle", standing } as const
  if (records === null) {
    yield* receiveRecords(client, { ledger, records: [] }, way)
    return NOTHING_CARRIED
  }
  yield* Stream.runDrain(lines.read(bundle, records))
  let sum = NOTHING_CARRIED
  let number = 0
  yield* Stream.runForEach(inBatches(lines.read(bundle, records)), (batch) =>
    Effect.gen(function* () {
      const signed = yield* receiveRecords(client, { ledger, records: batch }, way)
      yield* waiting.keep(device, { bundle, number, signed })
      number += 1
      sum = counted(sum, signed)
    })
  )
  return sum
})

/** So that a batch fits the database's transactions and its receipt a note, whatever comes. */
const inBatches = <E, R>(
  lines: Stream.Stream<ReadonlyArray<HomeRecord>, E, R>
): Stream.Stream<ReadonlyArray<HomeRecord>, E, R> =>
  Stream.suspend(() => {
    let batch: Array<HomeRecord> = []
    let characters = 0
    const cut = () => {
      const full = batch
      batch = []
      characters = 0
      return full
    }
    const add = (record: HomeRecord) => {
      const isFull =
        batch.length === BATCH_RECORDS_MAX || characters + record.body.length > BATCH_CHARACTERS
      const full = isFull && batch.length > 0 ? [cut()] : []
      batch.push(record)
      characters += record.body.length
      return full
    }
    return lines.pipe(
      Stream.flattenIterable,
      Stream.map(add),
      Stream.concat(Stream.sync(() => (batch.length > 0 ? [cut()] : []))),
      Stream.flattenIterable
    )
  })

const counted = (sum: typeof NOTHING_CARRIED, { text }: Signed) => {
  const { records } = decodeReceipt(text)
  const count = (isMeant: (one: (typeof records)[number]) => boolean) =>
    records.filter(isMeant).length
  return {
    records: sum.records + records.length,
    results: sum.results + count(({ kind }) => kind === "result"),
    putAside: sum.putAside + count(({ status }) => status === "quarantined"),
    refused: sum.refused + count(({ status }) => status === "refused")
  }
}

const decodeReceipt = Schema.decodeUnknownSync(Schema.fromJsonString(RecordsReceipt))

/**
 * Writes the receipts that wait for a device onto the medium, for a stick that goes straight back.
 * Answers how many; where none can be written the next bundle brings them.
 */
export const writeReceipts = Effect.fn("writeReceipts")(function* (to: string, device: DeviceId) {
  const medium = yield* Medium
  const waiting = yield* WaitingReceipts
  let written = 0
  for (const { number, signed } of yield* waiting.list(device, undefined, RECEIPTS_MAX)) {
    // By number, so that a stick that travels for years does not fill with old ones.
    const name = `records-${String(number).padStart(8, "0")}.json`
    const put = yield* Effect.result(medium.putNote(to, `receipts/${device}/${name}`, signed))
    if (Result.isFailure(put)) break
    written += 1
  }
  return written
})
