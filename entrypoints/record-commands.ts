/** What an operator can ask about records that came home: what is here, what is missing, what is odd. */
import { Effect, Schema, Stream } from "effect"
import { deliveriesComplete, devicesComplete } from "../application/completeness.ts"
import { type KeptRecord, Records } from "../application/record-ports.ts"
import { Refused } from "../application/refused.ts"
import { releaseRecord } from "../application/release-record.ts"
import { DeliveryCompleteness, DeviceCompleteness } from "../domain/completeness.ts"
import { DeviceId, Digest, EntityId, OrganisationId } from "../domain/id.ts"
import { LedgerEntry } from "../domain/ledger.ts"
import { CentralStage, EndStage } from "../domain/lifecycle.ts"
import { defineCommand, ItemsLeft, Positive, type ServedCommand } from "./command.ts"
import type { CentralPorts } from "./wiring.ts"

const RecordReport = Schema.Struct({
  device: DeviceId,
  number: Schema.Int,
  kind: LedgerEntry.fields.kind,
  id: Schema.String,
  revision: Schema.Int,
  sha256: Digest,
  stage: CentralStage,
  receivedAt: Schema.Int,
  carrier: Schema.Literals(["https", "bundle"]),
  reason: Schema.NullOr(Schema.String),
  conflict: Schema.Boolean,
  /** Of its session; null until that has come. */
  delivery: Schema.NullOr(EntityId),
  organisation: Schema.NullOr(OrganisationId),
  testTaker: Schema.NullOr(EntityId),
  attempt: Schema.NullOr(Schema.Int),
  end: Schema.NullOr(EndStage),
  startedAt: Schema.NullOr(Schema.Int),
  finishedAt: Schema.NullOr(Schema.Int)
})
export type RecordReport = typeof RecordReport.Type

export const recordsList = defineCommand({
  name: "results list",
  side: "central",
  args: Schema.Struct({
    kind: LedgerEntry.fields.kind,
    stages: Schema.NullOr(Schema.Array(CentralStage)),
    delivery: Schema.NullOr(EntityId),
    device: Schema.NullOr(DeviceId),
    limit: Positive
  }),
  report: Schema.Struct({ records: Schema.Array(RecordReport), more: Schema.Boolean }),
  run: Effect.fn("recordsList")(function* ({ delivery, device, kind, limit, stages }) {
    const found = yield* listed(
      {
        kind,
        stages: stages ?? undefined,
        delivery: delivery ?? undefined,
        organisation: undefined,
        device: device ?? undefined
      },
      limit
    )
    return found
  })
})

export const quarantineList = defineCommand({
  name: "results quarantine list",
  side: "central",
  args: Schema.Struct({ limit: Positive }),
  report: Schema.Struct({ records: Schema.Array(RecordReport), more: Schema.Boolean }),
  run: ({ limit }) =>
    listed(
      {
        kind: undefined,
        stages: ["quarantined"],
        delivery: undefined,
        organisation: undefined,
        device: undefined
      },
      limit
    )
})

const listed = Effect.fnUntraced(function* (
  filter: Parameters<Records["Service"]["list"]>[0],
  limit: number
) {
  const records = yield* Records
  const found = yield* Stream.runCollect(Stream.take(records.list(filter), limit + 1))
  return { records: found.slice(0, limit).map(reportOf), more: found.length > limit }
})

const reportOf = ({ entry, session, ...one }: KeptRecord): RecordReport => ({
  device: one.device,
  number: entry.number,
  kind: entry.kind,
  id: entry.id,
  revision: entry.revision,
  sha256: entry.sha256,
  stage: one.stage,
  receivedAt: one.receivedAt,
  carrier: one.carrier,
  reason: one.reason,
  conflict: one.conflict,
  delivery: session?.delivery ?? null,
  organisation: session?.organisation ?? null,
  testTaker: session?.testTaker ?? null,
  attempt: session?.attempt ?? null,
  end: session?.end ?? null,
  startedAt: session?.startedAt?.wall ?? null,
  finishedAt: session?.finishedAt.wall ?? null
})

export const quarantineRelease = defineCommand({
  name: "results quarantine release",
  side: "central",
  args: Schema.Struct({ device: DeviceId, sha256: Digest }),
  report: Schema.Struct({ device: DeviceId, sha256: Digest, id: Schema.String }),
  run: ({ device, sha256 }) =>
    releaseRecord(device, sha256, "operator").pipe(
      Effect.map(({ entry }) => ({ device, sha256, id: entry.id })),
      Effect.mapError(
        () =>
          new Refused({
            code: "E_NOT_IN_QUARANTINE",
            what: "Nothing was released.",
            why: `${device} has no such record in quarantine, or its bytes were altered on the way.`,
            todo: 'See "testferry results quarantine list". What was altered the device sends again.'
          })
      )
    )
})

/** Something is missing or odd: status 3, so that a script need not read the report. */
export const resultsCompleteness = defineCommand({
  name: "results completeness",
  side: "central",
  args: Schema.Struct({ delivery: Schema.NullOr(EntityId), device: Schema.NullOr(DeviceId) }),
  report: Schema.Struct({
    devices: Schema.Array(DeviceCompleteness),
    deliveries: Schema.Array(DeliveryCompleteness),
    exit: ItemsLeft
  }),
  run: Effect.fn("resultsCompleteness")(function* ({ delivery, device }) {
    const devices = delivery === null ? yield* devicesComplete(device ?? undefined) : []
    const deliveries = device === null ? yield* deliveriesComplete(delivery ?? undefined) : []
    const isOdd =
      devices.some(
        (one) => one.missing.length > 0 || one.quarantined + one.conflicts > 0 || one.forked
      ) || deliveries.some((one) => one.missing.length + one.quarantined > 0)
    return { devices, deliveries, ...(isOdd ? { exit: 3 as const } : {}) }
  })
})

/** All of them, as the control socket serves them. */
export const recordCommands: ReadonlyArray<ServedCommand<CentralPorts>> = [
  recordsList,
  quarantineList,
  quarantineRelease,
  resultsCompleteness
]
