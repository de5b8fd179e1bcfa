/**
 * Hands over to central what this device owes: in the order of the ledger, in batches bounded by
 * count and by size, each record until a verified receipt (design §8). A record that fails neither
 * blocks the others nor counts as sent; its reason is kept with it.
 */
import { Effect, Result } from "effect"
import type { RecordKind } from "../domain/ledger.ts"
import type { HomeRecord } from "../domain/result.ts"
import { BATCH_RECORDS_MAX } from "../domain/result.ts"
import { type Heard, hearReceipt, type ReceiptRefused } from "./hear-receipt.ts"
import { Atomic, Central, type CentralFailure } from "./ports.ts"
import { report } from "./progress.ts"
import { Outbox, type OwedRecord, Sending } from "./record-ports.ts"

/** A batch ends before it passes this; a larger record travels alone. */
export const BATCH_CHARACTERS = 4 * 1_048_576

/** A record that did not simply arrive, and why. */
export interface Noted {
  readonly kind: RecordKind
  readonly id: string
  readonly reason: string
}

export interface Submitted {
  /** What was to be sent when it began. */
  readonly owed: number
  /** With a receipt now, by kind; those in quarantine are among them. */
  readonly kept: Readonly<Partial<Record<RecordKind, number>>>
  readonly quarantined: ReadonlyArray<Noted>
  /** Not taken; will be tried again. */
  readonly refused: ReadonlyArray<Noted>
  readonly bytes: number
  /** Why it stopped before the end. What was not reached is owed as before. */
  readonly failure: CentralFailure | ReceiptRefused | null
}

interface Progress extends Submitted {
  /** Records that failed in a row. */
  readonly failed: number
}

export const NOTHING_SUBMITTED: Submitted = {
  owed: 0,
  kept: {},
  quarantined: [],
  refused: [],
  bytes: 0,
  failure: null
}

/** Sends everything that is owed, of some kinds or of all. A failure is in the report. */
export const submit = Effect.fn("submit")(function* (kinds?: ReadonlyArray<RecordKind>) {
  yield* queueWhatWaited
  const owed = yield* countOwed(kinds)
  let done: Progress = { ...NOTHING_SUBMITTED, owed, failed: 0 }
  if (owed === 0) return NOTHING_SUBMITTED
  let reached = 0
  yield* report({ ...BAR, phase: "started", done: 0, total: owed })
  for (let after = 0; done.failure === null; ) {
    const batch = yield* nextBatch(after, kinds)
    const last = batch.at(-1)
    if (last === undefined) break
    after = last.entry.number
    done = yield* sendBatch(batch, done)
    reached += batch.length
    if (done.failure === null) yield* report({ ...BAR, phase: "running", done: reached })
  }
  if (done.failure === null) yield* report({ ...BAR, phase: "finished", done: reached })
  const { failed: _, ...submitted } = done
  return submitted
})

const BAR = { kind: "result", label: "Sending results" } as const

/** How many records would be sent now. */
export const countOwed = Effect.fnUntraced(function* (
  kinds: ReadonlyArray<RecordKind> | undefined
) {
  const outbox = yield* Outbox
  const { statusExecutionsToSync: ends } = yield* Sending
  return yield* outbox.countOwed({ kinds, ends })
})

/** A wider setting sends what waited only because of the narrower one. */
export const queueWhatWaited = Effect.gen(function* () {
  const atomic = yield* Atomic
  const outbox = yield* Outbox
  const { statusExecutionsToSync: ends } = yield* Sending
  const waiting = (yield* outbox.waiting).filter(({ end }) => ends.includes(end))
  if (waiting.length === 0) return
  yield* atomic.run(
    Effect.forEach(waiting, ({ entry }) => outbox.move(entry.number, "queued", null))
  )
})

/** The next records after a number that are to be sent; none at the end of the ledger. */
const nextBatch = Effect.fnUntraced(function* (
  after: number,
  kinds: ReadonlyArray<RecordKind> | undefined
) {
  const outbox = yield* Outbox
  const { chunkSize, statusExecutionsToSync: ends } = yield* Sending
  const limit = Math.max(1, Math.min(chunkSize, BATCH_RECORDS_MAX))
  return bounded(yield* outbox.owed({ after, limit, kinds, ends }))
})

const bounded = (records: ReadonlyArray<OwedRecord>): ReadonlyArray<OwedRecord> => {
  const batch: Array<OwedRecord> = []
  let characters = 0
  for (const record of records) {
    characters += record.body?.length ?? 0
    if (batch.length > 0 && characters > BATCH_CHARACTERS) break
    batch.push(record)
  }
  return batch
}

/** Marks as sent first: whatever happens then, central may have it. */
const sendBatch = (
  batch: ReadonlyArray<OwedRecord>,
  before: Progress
): Effect.Effect<Progress, never, Needed> =>
  Effect.gen(function* () {
    const central = yield* Central
    const outbox = yield* Outbox
    yield* moveAll(batch, "sent", null)
    const ledger = yield* outbox.head
    const answered = yield* Effect.result(
      Effect.flatMap(central.submit({ ledger, records: batch.flatMap(asHome) }), hearReceipt)
    )
    if (Result.isSuccess(answered)) return yield* settled(batch, answered.success, before)
    const failure = answered.failure
    if (mayBeOfOne(failure) && batch.length > 1) return yield* oneByOne(batch, before)
    const reason = reasonOf(failure)
    // What central could not read it does not have; else it may have it, and the answer was lost.
    yield* moveAll(batch, isUnreadable(failure) ? "queued" : "sent", reason)
    if (!mayBeOfOne(failure)) return { ...before, failure }
    const failed = before.failed + 1
    return {
      ...before,
      failed,
      refused: [...before.refused, ...batch.map((one) => noted(one, reason))],
      failure: isUnreadable(failure) || failed < FAILED_MAX ? null : failure
    }
  })

/** When so many records fail in a row that it can't be the records, the others wait. */
const FAILED_MAX = 2

type Needed =
  | Central
  | Outbox
  | Atomic
  | (ReturnType<typeof hearReceipt> extends Effect.Effect<unknown, unknown, infer R> ? R : never)

const asHome = ({ body, entry }: OwedRecord): ReadonlyArray<HomeRecord> =>
  body === null ? [] : [{ ledger: entry, body }]

/** Central can't read what was sent: one of the records is bad, or the batch is too large. */
const isUnreadable = (failure: CentralFailure | ReceiptRefused): boolean =>
  failure._tag === "CentralRefused" && ["bad-request", "too-large"].includes(failure.code)

/** Central is there, but fails: perhaps at one record, and the others would do. */
const mayBeOfOne = (failure: CentralFailure | ReceiptRefused): boolean =>
  isUnreadable(failure) ||
  (failure._tag === "CentralAway" && ["unavailable", "timeout"].includes(failure.reason))

/** So that a bad record stands alone. */
const oneByOne = Effect.fnUntraced(function* (batch: ReadonlyArray<OwedRecord>, before: Progress) {
  let done = before
  for (const one of batch) if (done.failure === null) done = yield* sendBatch([one], done)
  return done
})

const settled = Effect.fnUntraced(function* (
  batch: ReadonlyArray<OwedRecord>,
  { acknowledged, receipt, refused }: Heard,
  before: Progress
) {
  const named = new Set(receipt.records.map(({ sha256 }) => sha256))
  const forgotten = batch.filter(({ entry }) => !named.has(entry.sha256))
  yield* moveAll(forgotten, "sent", NOT_NAMED)
  const kept = { ...before.kept }
  for (const { kind } of acknowledged) kept[kind] = (kept[kind] ?? 0) + 1
  const inQuarantine = acknowledged.filter(({ status }) => status === "quarantined")
  return {
    ...before,
    failed: 0,
    kept,
    quarantined: [...before.quarantined, ...inQuarantine.map(lineNoted)],
    refused: [
      ...before.refused,
      ...refused.map(lineNoted),
      ...forgotten.map((one) => noted(one, NOT_NAMED))
    ],
    bytes: before.bytes + batch.reduce((sum, { body }) => sum + (body?.length ?? 0), 0)
  } satisfies Progress
})

const NOT_NAMED = "central's receipt does not name it"

const lineNoted = ({ id, kind, reason }: Heard["acknowledged"][number]): Noted => ({
  kind,
  id,
  reason: reason ?? ""
})
const noted = ({ entry: { id, kind } }: OwedRecord, reason: string): Noted => ({ kind, id, reason })

const reasonOf = (failure: CentralFailure | ReceiptRefused): string => {
  switch (failure._tag) {
    case "CentralAway":
      return `${failure.reason}: ${failure.detail}`
    case "CentralRefused":
      return `${failure.code}: ${failure.detail}`
    case "CentralInconsistent":
      return failure.what
    case "ReceiptRefused":
      return `the receipt does not count: ${failure.detail}`
  }
}

const moveAll = Effect.fnUntraced(function* (
  batch: ReadonlyArray<OwedRecord>,
  stage: "sent" | "queued",
  reason: string | null
) {
  const atomic = yield* Atomic
  const outbox = yield* Outbox
  yield* atomic.run(Effect.forEach(batch, ({ entry }) => outbox.move(entry.number, stage, reason)))
})
