/** What a person can ask about bundles: each command decodes, calls one verb, and words its errors. */
import { Effect, Layer, Option, Result, Schema } from "effect"
import type { BundleRefused, MediaFailed, WrittenBundle } from "../application/bundle-ports.ts"
import {
  type Exported,
  exportToDevice,
  exportToOrganisation
} from "../application/export-bundle.ts"
import { exportReport } from "../application/export-report.ts"
import { type Imported, importBundle } from "../application/import-bundle.ts"
import type { NoSpace } from "../application/ports.ts"
import { type Received, receiveBundles } from "../application/receive-bundle.ts"
import { Refused } from "../application/refused.ts"
import { CUT_DEFAULTS, type ExportOvertaken } from "../application/send-bundle.ts"
import { SEGMENT_BYTES_MIN, VOLUME_BYTES_MAX } from "../domain/bundle-manifest.ts"
import { DeviceId, OrganisationId } from "../domain/id.ts"
import * as StickMedium from "../infrastructure/stick-medium.ts"
import * as StickWriter from "../infrastructure/stick-writer.ts"
import { fromBundle } from "./bundle-refusals.ts"
import { defineCommand, ItemsLeft } from "./command.ts"
import { SyncReport, syncReport } from "./device-commands.ts"
import { fromNoSpace, fromNotEnrolled, fromRunning } from "./refusals.ts"

export const layerStick = Layer.mergeAll(StickMedium.layer, StickWriter.layer)

/** The smallest volume that can carry anything; far below what anybody wants but a test. */
const VOLUME_BYTES_MIN = 64 * 1_024

const VolumeBytes = Schema.Int.check(
  Schema.isBetween({ minimum: VOLUME_BYTES_MIN, maximum: VOLUME_BYTES_MAX })
)

const Written = Schema.Struct({
  paths: Schema.Array(Schema.String),
  bytes: Schema.Int,
  readBack: Schema.Literals(["medium", "cache"])
})

// ---------------------------------------------------------------- export

const ExportReport = Schema.Struct({
  device: DeviceId,
  seq: Schema.Int,
  mode: Schema.Literals(["full", "delta"]),
  organisations: Schema.Array(
    Schema.Struct({
      organisation: OrganisationId,
      from: Schema.Int,
      to: Schema.Int,
      changes: Schema.Int
    })
  ),
  contents: Schema.Struct({ brought: Schema.Int, bytes: Schema.Int, held: Schema.Int }),
  volumes: Schema.Int,
  bytes: Schema.Int,
  written: Schema.NullOr(Written)
})

export const ExportsReport = Schema.Struct({
  bundles: Schema.Array(ExportReport),
  refused: Schema.Array(Schema.Struct({ device: DeviceId, refused: Refused })),
  dryRun: Schema.Boolean,
  exit: ItemsLeft
})
export type ExportsReport = typeof ExportsReport.Type

export const bundleExport = defineCommand({
  name: "bundle.export",
  side: "central",
  args: Schema.Struct({
    to: Schema.String,
    device: Schema.NullOr(DeviceId),
    organisation: Schema.NullOr(OrganisationId),
    full: Schema.Boolean,
    volumeBytes: Schema.NullOr(VolumeBytes),
    dryRun: Schema.Boolean
  }),
  report: ExportsReport,
  run: Effect.fnUntraced(function* ({ device, dryRun, full, organisation, to, volumeBytes }) {
    const options = { to, full, dryRun, ...cutOf(volumeBytes) }
    if (device !== null) {
      const exported = yield* Effect.mapError(exportToDevice(device, options), fromExport)
      return { bundles: [exportReportOf(exported)], refused: [], dryRun }
    }
    if (organisation === null) return yield* noReceiver
    const all = yield* exportToOrganisation(organisation, options)
    if (all.length === 0) return yield* nobodyIn(organisation)
    const bundles = all.flatMap(({ exported }) =>
      Result.isSuccess(exported) ? [exportReportOf(exported.success)] : []
    )
    const refused = all.flatMap(({ device, exported }) =>
      Result.isFailure(exported) ? [{ device, refused: fromExport(exported.failure) }] : []
    )
    return { bundles, refused, dryRun, ...(refused.length > 0 ? { exit: 3 as const } : {}) }
  }, Effect.provide(layerStick))
})

export const HomeReport = Schema.Struct({
  seq: Schema.Int,
  acknowledges: Schema.Int,
  records: Schema.Int,
  results: Schema.Int,
  volumes: Schema.Int,
  bytes: Schema.Int,
  written: Schema.NullOr(Written)
})
export type HomeReport = typeof HomeReport.Type

export const bundleSend = defineCommand({
  name: "bundle.send",
  side: "device",
  args: Schema.Struct({
    to: Schema.String,
    volumeBytes: Schema.NullOr(VolumeBytes),
    dryRun: Schema.Boolean
  }),
  report: HomeReport,
  run: Effect.fnUntraced(function* ({ dryRun, to, volumeBytes }) {
    const sent = yield* exportReport({ to, dryRun, ...cutOf(volumeBytes) }).pipe(
      Effect.mapError((error) =>
        error._tag === "NotEnrolled" ? fromNotEnrolled(error) : fromExport(error)
      )
    )
    return { ...sent, written: writtenOf(sent.written) }
  }, Effect.provide(layerStick))
})

/** Small volumes are for trials; their segments are small too, or none would fit. */
const cutOf = (volumeBytes: number | null) =>
  volumeBytes === null
    ? CUT_DEFAULTS
    : {
        volumeBytes,
        segmentBytes: Math.min(
          CUT_DEFAULTS.segmentBytes,
          Math.max(SEGMENT_BYTES_MIN, 2 ** Math.floor(Math.log2(volumeBytes / 16)))
        )
      }

const exportReportOf = ({
  base: _,
  feeds,
  written,
  ...rest
}: Exported): typeof ExportReport.Type => ({
  ...rest,
  organisations: feeds.map(({ base, counts, head, organisation }) => ({
    organisation,
    from: base,
    to: head,
    changes: [...counts.values()].reduce((sum, one) => sum + one.brought + one.gone, 0)
  })),
  written: writtenOf(written)
})

const writtenOf = (written: Option.Option<WrittenBundle>) => Option.getOrNull(written)

const NOT_WRITTEN = "The bundle was not written."

const fromExport = (error: BundleRefused | NoSpace | MediaFailed | ExportOvertaken): Refused => {
  switch (error._tag) {
    case "BundleRefused":
      return fromBundle(NOT_WRITTEN, error)
    case "NoSpace":
      return fromNoSpace(error)
    case "MediaFailed":
      return new Refused({
        code: "E_MEDIA_IO",
        what: NOT_WRITTEN,
        why: `The stick can't be written or read back: ${error.path}: ${error.detail}`,
        todo: "Check that it is in, not write-protected and not full, or take another one. Then run the command again."
      })
    case "ExportOvertaken":
      return new Refused({
        code: "E_EXPORT_OVERTAKEN",
        what: NOT_WRITTEN,
        why: "Another bundle for the same machine was made at the same time.",
        todo: "Run the command again."
      })
  }
}

const noReceiver = new Refused({
  code: "E_USAGE",
  what: NOT_WRITTEN,
  why: "It was not said for whom.",
  todo: "Give --device ID, or --organisation ID for all its devices.",
  exit: 2
})

const nobodyIn = (organisation: OrganisationId) =>
  new Refused({
    code: "E_UNKNOWN_DEVICE",
    what: NOT_WRITTEN,
    why: `No active device belongs to the organisation ${organisation}.`,
    todo: 'See "testferry central devices list". Enrol a device first.'
  })

// ---------------------------------------------------------------- import

export const ImportReport = Schema.Struct({
  /** Null when the stick brought nothing but receipts. */
  seq: Schema.NullOr(Schema.Int),
  receipts: Schema.Struct({
    heard: Schema.Int,
    acknowledged: Schema.Int,
    results: Schema.Int,
    trouble: Schema.Array(Schema.Struct({ id: Schema.String, reason: Schema.String })),
    ignored: Schema.Array(Schema.String)
  }),
  already: Schema.Boolean,
  applied: Schema.Boolean,
  sync: Schema.NullOr(SyncReport),
  ahead: Schema.Array(OrganisationId),
  receiptWritten: Schema.Boolean,
  clockBehind: Schema.Boolean,
  others: Schema.Array(Schema.Struct({ stream: Schema.String, seq: Schema.Int })),
  left: Schema.Int,
  exit: ItemsLeft
})
export type ImportReport = typeof ImportReport.Type

const NOT_IMPORTED = "The bundle was not imported."

export const bundleImport = defineCommand({
  name: "bundle.import",
  side: "device",
  args: Schema.Struct({
    from: Schema.String,
    dryRun: Schema.Boolean,
    confirmRemovals: Schema.Boolean,
    expiredAllowed: Schema.Boolean
  }),
  report: ImportReport,
  run: ({ from, ...options }) =>
    importBundle(from, options).pipe(
      Effect.catchTags({
        BundleRefused: (error) => Effect.fail(fromBundle(NOT_IMPORTED, error)),
        NotEnrolled: (error) => Effect.fail(fromNotEnrolled(error)),
        SyncRunning: (error) => Effect.fail(fromRunning(error))
      }),
      Effect.flatMap(importReportOf),
      Effect.provide(layerStick)
    )
})

const importReportOf = Effect.fnUntraced(function* ({
  bundle,
  judgement,
  synced,
  ...rest
}: Imported) {
  const sync = Option.isNone(synced) ? null : yield* syncReport(synced.value, [])
  const left = sync?.exit === 3 || (!rest.applied && sync?.dryRun === false)
  return {
    seq: bundle?.manifest.seq ?? null,
    already: judgement === "already applied",
    sync,
    ...rest,
    ...(left ? { exit: 3 as const } : {})
  }
})

export const ReceiveReport = Schema.Struct({
  bundles: Schema.Array(
    Schema.Struct({
      device: Schema.String,
      seq: Schema.Int,
      left: Schema.Int,
      status: Schema.Literals(["received", "already", "quarantined", "refused"]),
      refused: Schema.NullOr(Refused),
      receiptWritten: Schema.Boolean,
      carried: Schema.Struct({
        records: Schema.Int,
        results: Schema.Int,
        putAside: Schema.Int,
        refused: Schema.Int
      }),
      recordReceipts: Schema.Int
    })
  ),
  receipts: Schema.Int,
  exit: ItemsLeft
})
export type ReceiveReport = typeof ReceiveReport.Type

export const bundleReceive = defineCommand({
  name: "bundle.receive",
  side: "central",
  args: Schema.Struct({ from: Schema.String }),
  report: ReceiveReport,
  run: ({ from }) =>
    receiveBundles(from).pipe(
      Effect.mapError((error) => fromBundle("Nothing was received.", error)),
      Effect.map(receiveReportOf),
      Effect.provide(layerStick)
    )
})

const receiveReportOf = ({ bundles, receipts }: Received): ReceiveReport => {
  const rows = bundles.map(({ result, ...rest }) => ({
    ...rest,
    status: Result.isSuccess(result) ? result.success.status : ("refused" as const),
    refused: Result.isSuccess(result)
      ? null
      : fromBundle("A bundle was not received.", result.failure)
  }))
  const left = rows.some(
    ({ carried, status }) =>
      status === "refused" || status === "quarantined" || carried.putAside + carried.refused > 0
  )
  return { bundles: rows, receipts, ...(left ? { exit: 3 as const } : {}) }
}
