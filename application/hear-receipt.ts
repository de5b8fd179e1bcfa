/**
 * Takes central's signed word on records of this device, by whatever road it came: as the answer
 * over HTTPS, in a bundle, or as a file on a stick. Only such a word lets a device forget a result,
 * and only the bytes that it names (invariant 8).
 */
import { Clock, Effect, Option, Result, Schema } from "effect"
import { parseCanonical } from "../domain/canonical.ts"
import type { Signed } from "../domain/enrolment.ts"
import type { DeviceStage } from "../domain/lifecycle.ts"
import { RecordsReceipt } from "../domain/result.ts"
import { inForce } from "../domain/root.ts"
import { Signatures, Standing } from "./bundle-ports.ts"
import { trustIn } from "./bundle-trust.ts"
import { Atomic, DeviceIdentity, Executions } from "./ports.ts"
import { Outbox, type OwedRecord, Sending } from "./record-ports.ts"

/** It is not central's word, or not about this device; nothing was changed. */
export class ReceiptRefused extends Schema.TaggedError<ReceiptRefused>()("ReceiptRefused", {
  detail: Schema.String
}) {}

type Line = RecordsReceipt["records"][number]

/** What a receipt said that was not known before. */
export interface Heard {
  readonly receipt: RecordsReceipt
  readonly acknowledged: ReadonlyArray<Line>
  /** Not taken by central; queued again, with the reason. */
  readonly refused: ReadonlyArray<Line>
  /** Lines about what is not here, or that central may have forgotten since. */
  readonly unknown: number
}

/** Verifies a receipt and follows it, in one transaction. Fails with ReceiptRefused. */
export const hearReceipt = Effect.fn("hearReceipt")(function* (signed: Signed) {
  const atomic = yield* Atomic
  const receipt = yield* verified(signed)
  return yield* atomic.run(follow(receipt))
})

const verified = Effect.fnUntraced(function* (signed: Signed) {
  const identity = yield* DeviceIdentity
  const signatures = yield* Signatures
  const standing = yield* Standing
  const membership = yield* identity.membership
  if (Option.isNone(membership)) return yield* refused("this device belongs to no central")
  const { document } = yield* standing.root
  const { list } = yield* standing.revocations
  const current = inForce(document, yield* Clock.currentTimeMillis)
  if (Result.isFailure(current)) return yield* refused(current.failure.detail)
  const checked = signatures.check("receipt", signed, trustIn(document, "c2d", list))
  if (Result.isFailure(checked)) return yield* refused(checked.failure.detail)
  const parsed = Option.getOrUndefined(Result.getSuccess(parseCanonical(signed.text)))
  const receipt = Option.getOrUndefined(decodeReceipt(parsed))
  if (receipt === undefined) return yield* refused("it does not have the form of a receipt")
  return receipt.device === membership.value.device
    ? receipt
    : yield* refused(`it is for the device ${receipt.device}`)
})

const decodeReceipt = Schema.decodeUnknownOption(RecordsReceipt, { onExcessProperty: "error" })

const refused = (detail: string) => Effect.fail(new ReceiptRefused({ detail }))

const follow = Effect.fnUntraced(function* (receipt: RecordsReceipt) {
  const outbox = yield* Outbox
  const { anew } = yield* outbox.head
  const acknowledged: Array<Line> = []
  const sentBack: Array<Line> = []
  // What central said before it was restored from a backup it may not have any more.
  const isSo = (receipt.anew ?? 0) === (anew ?? 0)
  let unknown = isSo ? 0 : receipt.records.length
  for (const line of isSo ? receipt.records : []) {
    const found = Option.getOrUndefined(yield* outbox.byDigest(line.sha256))
    if (found === undefined || !isAbout(line, found)) unknown += 1
    else if (line.status === "refused") {
      if (found.stage !== "sent") continue
      yield* outbox.move(found.entry.number, "queued", line.reason ?? "central refused it")
      sentBack.push(line)
    } else if (yield* acknowledge(found, line)) acknowledged.push(line)
  }
  yield* settle(new Set(acknowledged.map(({ id }) => id)))
  return { receipt, acknowledged, refused: sentBack, unknown } satisfies Heard
})

const isAbout = (line: Line, { entry }: OwedRecord): boolean =>
  entry.kind === line.kind && entry.id === line.id && entry.revision === line.revision

/** The stages on the way: a receipt may be there before this device knew that it had sent. */
const ONWARDS: Partial<Record<DeviceStage, ReadonlyArray<DeviceStage>>> = {
  sealed: ["queued", "sent", "acknowledged"],
  queued: ["sent", "acknowledged"],
  sent: ["acknowledged"]
}

/** What central put aside it has, and it counts as kept; but its bytes stay here as well. */
const acknowledge = Effect.fnUntraced(function* ({ entry, stage }: OwedRecord, line: Line) {
  const outbox = yield* Outbox
  const { deleteAfterSend } = yield* Sending
  const onwards = ONWARDS[stage] ?? []
  if (onwards.length === 0) return false
  for (const next of onwards) yield* outbox.move(entry.number, next, line.reason)
  if (deleteAfterSend && line.status === "stored") yield* outbox.purge(entry.number)
  return true
})

/** An execution of which nothing is owed any more holds nothing on the device (invariant 4). */
const settle = Effect.fnUntraced(function* (ids: ReadonlySet<string>) {
  if (ids.size === 0) return
  const executions = yield* Executions
  const outbox = yield* Outbox
  for (const execution of yield* executions.unsettled) {
    const isDone = execution.state === "pending" && ids.has(execution.id)
    if (isDone && !(yield* outbox.owes(execution.id))) {
      yield* executions.put({ ...execution, state: "settled" })
    }
  }
})
