/**
 * Takes in at central what a device hands over, by HTTPS or in a bundle, and answers with a signed
 * receipt, record by record in the same order (format §3.7). Nothing is opened and nothing is thrown
 * away: what can't be accepted is kept aside with its reason (invariants 7 and 12).
 */
import { Clock, Effect, Option } from "effect"
import { canonical } from "../domain/canonical.ts"
import { DeviceId } from "../domain/id.ts"
import { judgeRecord, type RecordFault } from "../domain/record-form.ts"
import type { HomeRecord, RecordsReceipt, Submission } from "../domain/result.ts"
import { BundleKeys } from "./bundle-ports.ts"
import { happened } from "./happened.ts"
import { Atomic, type Client, Hashing } from "./ports.ts"
import { type KeptRecord, type NewRecord, Records } from "./record-ports.ts"

/**
 * Keeps a batch (at most BATCH_RECORDS_MAX) in one transaction and signs what became of each record.
 *
 * `standing`: whether the device speaks in good standing. What a blocked or revoked one brings by
 * bundle is put aside whole; over HTTPS it is not admitted in the first place.
 */
export const receiveRecords = Effect.fn("receiveRecords")(function* (
  client: Client,
  submission: Submission,
  way: { readonly carrier: KeptRecord["carrier"]; readonly standing: "good" | "blocked" }
) {
  const atomic = yield* Atomic
  const keys = yield* BundleKeys
  const records = yield* Records
  const at = yield* Clock.currentTimeMillis
  const device = DeviceId.make(client.id)
  const sender = { device, organisations: client.organisations }
  const judged = yield* Effect.forEach(submission.records, (record) =>
    judge(record, sender, way.standing)
  )
  const lines = yield* atomic.run(
    Effect.gen(function* () {
      // Before the records: what the device said is judged by what was known.
      const chain = yield* records.noteLedger(device, submission.ledger)
      const answers = yield* records.add(
        device,
        judged.map((one) => toKeep(one, way.carrier, at))
      )
      const fresh = judged.filter((_, index) => answers[index] !== "same")
      const conflicts = answers.filter((answer) => answer === "other bytes").length
      // Only what is new is told: a device that asks again would fill the history.
      if (fresh.length > 0) yield* remember(client, fresh, conflicts, chain === "forked", at)
      const known = judged.filter((_, index) => answers[index] === "same")
      const before = yield* whatIsSo(device, known)
      return judged.map((one) => lineOf(one, before.get(one)))
    })
  )
  const receipt: RecordsReceipt = {
    schema: "testferry/records-receipt/1",
    device,
    at,
    anew: submission.ledger.anew ?? 0,
    records: lines
  }
  return yield* keys.sign("receipt", canonical(receipt))
})

/**
 * What became of records that were here before, whatever would be said of them today: one that was put
 * aside stays there when its device is unblocked, until a person releases it, and one that was released
 * stays accepted. Bytes that are not those of the digest are not among what is here.
 */
const whatIsSo = Effect.fnUntraced(function* (
  device: DeviceId,
  known: ReadonlyArray<JudgedRecord>
) {
  const records = yield* Records
  const whole = known.filter(({ fault }) => fault !== "E_RECORD_DIGEST")
  const found = yield* records.findAll(whole.map(({ sha256 }) => ({ device, sha256 })))
  const stages = new Map(found.map(({ sha256, stage }) => [sha256, stage]))
  const so = new Map<JudgedRecord, Pick<Line, "status" | "reason">>()
  for (const one of whole) {
    if (stages.get(one.sha256) !== "quarantined") so.set(one, { status: "stored", reason: null })
    else {
      const kept = yield* records.find(device, one.sha256)
      const reason = Option.getOrNull(Option.map(kept, (each) => each.reason))
      so.set(one, { status: "quarantined", reason })
    }
  }
  return so
})

type Line = RecordsReceipt["records"][number]

const lineOf = (
  { fault, record: { ledger } }: JudgedRecord,
  before: Pick<Line, "status" | "reason"> | undefined
): Line => ({
  kind: ledger.kind,
  id: ledger.id,
  revision: ledger.revision,
  sha256: ledger.sha256,
  ...(before ?? { status: statusOf(fault), reason: fault })
})

interface JudgedRecord extends ReturnType<typeof judgeRecord> {
  readonly record: HomeRecord
  readonly sha256: ReturnType<Hashing["Service"]["sha256"]>
}

const judge = Effect.fnUntraced(function* (
  record: HomeRecord,
  sender: Parameters<typeof judgeRecord>[2],
  standing: "good" | "blocked"
) {
  const hashing = yield* Hashing
  const sha256 = hashing.sha256(record.body)
  const { fault, session } = judgeRecord(record, sha256, sender)
  const blocked: RecordFault | null = standing === "blocked" ? "E_DEVICE_BLOCKED" : null
  return { record, sha256, session, fault: fault ?? blocked } satisfies JudgedRecord
})

/** Bytes that are not those of the digest were not received: the device must send them again. */
const statusOf = (fault: RecordFault | null) =>
  fault === null ? "stored" : fault === "E_RECORD_DIGEST" ? "refused" : "quarantined"

const toKeep = (
  { fault, record, session, sha256 }: JudgedRecord,
  carrier: KeptRecord["carrier"],
  at: number
): NewRecord => ({
  record: { ...record, ledger: { ...record.ledger, sha256 } },
  carrier,
  at,
  stage: fault === null ? "stored" : "quarantined",
  reason: fault,
  session,
  altered: fault === "E_RECORD_DIGEST"
})

/** Trouble is for people; that all is well, completeness says. */
const remember = Effect.fnUntraced(function* (
  client: Client,
  fresh: ReadonlyArray<JudgedRecord>,
  conflicts: number,
  forked: boolean,
  at: number
) {
  const faults = [...new Set(fresh.flatMap(({ fault }) => fault ?? []))]
  const reason = [
    ...faults.map((code) => `${fresh.filter(({ fault }) => fault === code).length} × ${code}`),
    ...(conflicts > 0 ? [`${conflicts} × E_RECORD_CONFLICT`] : []),
    ...(forked ? ["E_LEDGER"] : [])
  ].join("; ")
  if (reason === "") return
  yield* happened({
    at,
    verb: "receive",
    who: client.kind,
    device: client.id,
    outcome: "incomplete",
    bytes: fresh.reduce((sum, { record }) => sum + record.body.length, 0),
    reason
  })
})
