/**
 * Makes the bundle that a device sends home: its report, and by the place in its stream the
 * acknowledgement of what it has applied, and every record that it owes, until a receipt comes.
 */
import { Clock, Effect, Option } from "effect"
import { streamOf } from "../domain/bundle-manifest.ts"
import { canonical } from "../domain/canonical.ts"
import type { Outcome } from "../domain/history.ts"
import { Standing, Streams, type WrittenBundle } from "./bundle-ports.ts"
import { happened } from "./happened.ts"
import { makeReport } from "./make-report.ts"
import { markSent, stageOwed } from "./owed-records.ts"
import { DeviceIdentity, type Membership } from "./ports.ts"
import { type CutOptions, cutBundle, fileName, sendBundle } from "./send-bundle.ts"
import { queueWhatWaited } from "./submit.ts"
import { NotEnrolled } from "./sync.ts"

export interface ReportExported {
  readonly seq: number
  /** The bundle of central's that it acknowledges; 0 when none was applied. */
  readonly acknowledges: number
  /** Records that it carries, and how many of them are results. */
  readonly records: number
  readonly results: number
  readonly bytes: number
  readonly volumes: number
  readonly written: Option.Option<WrittenBundle>
}

/** Fails with NotEnrolled, NoSpace, MediaFailed, ExportOvertaken or BundleRefused (E_VOL_TOO_BIG). */
export const exportReport = Effect.fn("exportReport")(function* (
  options: CutOptions & { readonly dryRun: boolean }
) {
  const identity = yield* DeviceIdentity
  const membership = yield* identity.membership
  if (Option.isNone(membership)) return yield* new NotEnrolled()
  const began = yield* Clock.currentTimeMillis
  if (!options.dryRun) yield* queueWhatWaited
  const { cut, owed } = yield* cutHome(membership.value, options)
  const said = {
    seq: cut.manifest.seq,
    acknowledges: cut.manifest.ack?.seq ?? 0,
    records: owed.numbers.size,
    results: owed.results,
    bytes: cut.bytes,
    volumes: cut.manifest.volumes
  }
  if (options.dryRun) return { ...said, written: Option.none() } satisfies ReportExported
  const written = yield* Effect.tapError(sendBundle(cut, options.to), ({ _tag }) =>
    remember(membership.value, "failed", 0, began, _tag)
  )
  yield* markSent(owed)
  yield* remember(membership.value, "done", written.bytes, began, `bundle ${said.seq}`)
  return { ...said, written: Option.some(written) } satisfies ReportExported
}, Effect.scoped)

const cutHome = Effect.fnUntraced(function* (membership: Membership, options: CutOptions) {
  const standing = yield* Standing
  const streams = yield* Streams
  const { device } = membership
  const root = yield* standing.root
  const { list } = yield* standing.revocations
  const applied = Option.getOrUndefined(yield* streams.received(streamOf("c2d", device)))
  const head = applied?.recent[0]?.digest
  const { document } = root
  const report = yield* makeReport(membership)
  const { recipient } = document.ingest
  const owed = yield* stageOwed(recipient)
  const { file, ledger } = owed
  const records = file === null ? null : { file: fileName(1), ...file.measured }
  const cut = yield* cutBundle(
    {
      purpose: "d2c",
      stream: streamOf("d2c", device),
      from: device,
      to: "central",
      root: document,
      roots: [],
      revocations: list.version,
      recipient,
      mode: "full",
      base: 0,
      ack:
        applied === undefined || head === undefined
          ? null
          : { stream: applied.stream, epoch: applied.epoch, seq: applied.seq, head },
      ledger: ledger.head === null ? null : { count: ledger.count, head: ledger.head },
      index: (place) =>
        canonical({ schema: "testferry/index/1", ...place, report, ledger, records }),
      files: file === null ? [] : [{ role: "records", staged: file.staged }],
      brings: null
    },
    options
  )
  return { cut, owed }
})

const remember = Effect.fnUntraced(function* (
  { device }: Membership,
  outcome: Outcome,
  bytes: number,
  began: number,
  reason: string
) {
  const at = yield* Clock.currentTimeMillis
  const millis = Math.max(0, at - began)
  yield* happened({ at, verb: "export", who: "device", device, outcome, bytes, millis, reason })
})
