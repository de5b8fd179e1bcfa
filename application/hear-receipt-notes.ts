/**
 * Hears receipts for records that came by stick: in a bundle, or as notes beside the bundles. One
 * that does not count stops none of the others (format §2.10).
 */
import { Effect, Result } from "effect"
import type { Signed } from "../domain/enrolment.ts"
import type { DeviceId } from "../domain/id.ts"
import { Medium } from "./bundle-ports.ts"
import { hearReceipt } from "./hear-receipt.ts"

export interface HeardReceipts {
  /** Receipts that are central's word to this device, known before or not. */
  readonly heard: number
  /** Records that central has, and of which this device did not know that; results among them. */
  readonly acknowledged: number
  readonly results: number
  /** Records that central put aside, or that must be sent again, with the reason. */
  readonly trouble: ReadonlyArray<{ readonly id: string; readonly reason: string }>
  /** Why receipts did not count. */
  readonly ignored: ReadonlyArray<string>
}

export const NOTHING_HEARD: HeardReceipts = {
  heard: 0,
  acknowledged: 0,
  results: 0,
  trouble: [],
  ignored: []
}

/** The notes on a medium that are for this device. */
export const hearNotes = Effect.fn("hearNotes")(function* (from: string, device: DeviceId) {
  const medium = yield* Medium
  const notes = yield* medium.notes(from, "receipts")
  const mine = notes.filter(({ path }) => path.startsWith(`receipts/${device}/records-`))
  return yield* hearAll(mine.map(({ note }) => note))
})

export const hearAll = Effect.fn("hearAll")(function* (receipts: ReadonlyArray<Signed>) {
  let sum = NOTHING_HEARD
  for (const signed of receipts) {
    const heard = yield* Effect.result(hearReceipt(signed))
    if (Result.isFailure(heard)) {
      sum = together(sum, { ...NOTHING_HEARD, ignored: [heard.failure.detail] })
      continue
    }
    const { acknowledged, refused } = heard.success
    const trouble = [...acknowledged, ...refused].flatMap(({ id, reason, status }) =>
      status === "stored" ? [] : [{ id, reason: reason ?? status }]
    )
    const results = acknowledged.filter(({ kind }) => kind === "result").length
    sum = together(sum, {
      heard: 1,
      acknowledged: acknowledged.length,
      results,
      trouble,
      ignored: []
    })
  }
  return sum
})

export const together = (one: HeardReceipts, other: HeardReceipts): HeardReceipts => ({
  heard: one.heard + other.heard,
  acknowledged: one.acknowledged + other.acknowledged,
  results: one.results + other.results,
  trouble: [...one.trouble, ...other.trouble],
  ignored: [...one.ignored, ...other.ignored]
})
