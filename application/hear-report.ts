/**
 * Takes what a device says of itself, by whatever road it came: in a bundle, in a request, or as a
 * receipt of a bundle. It decides what the next bundle need not carry again.
 */
import { Effect, Option, Schema } from "effect"
import type { Acknowledgement } from "../domain/bundle-manifest.ts"
import { streamOf } from "../domain/bundle-manifest.ts"
import type { DeviceReport } from "../domain/device-report.ts"
import { DeviceId } from "../domain/id.ts"
import { Receipt } from "../domain/receipt.ts"
import { Devices, Medium, Signatures, Standing, Streams } from "./bundle-ports.ts"
import { trustInDevice } from "./bundle-trust.ts"
import { Atomic, Clients } from "./ports.ts"

/**
 * Keeps a report, unless a newer one was heard. Answers whether it was kept. Warns when the device has a
 * newer root document than central: then central was restored from a backup that is older than that.
 */
export const hearReport = Effect.fn("hearReport")(function* (report: DeviceReport) {
  const devices = yield* Devices
  const known = Option.getOrUndefined(yield* devices.report(report.device))
  if (known !== undefined && known.serial >= report.serial) return false
  yield* devices.putReport(report)
  const { root } = yield* (yield* Standing).versions
  if (report.root > root) {
    yield* Effect.logWarning(
      `${report.device} has root document ${report.root}, central only ${root}: the backup is older ` +
        "than a change of the root (docs/operations.md, 4)"
    )
  }
  return true
})

/**
 * Reads the receipts that devices left on a medium. One that is signed by its device, and names a
 * bundle as it was sent, tells as much as a report: the device holds what that bundle brought.
 * Others are passed over: what a bundle says of itself arrives with the next one. Answers how many
 * told something new.
 */
export const hearReceipts = Effect.fn("hearReceipts")(function* (from: string) {
  const medium = yield* Medium
  let heard = 0
  for (const { note } of yield* medium.notes(from, "receipts")) {
    const receipt = Option.getOrUndefined(decodeReceipt(note.text))
    if (receipt === undefined || receipt.status === "quarantined") continue
    const device = DeviceId.make(receipt.stream.slice(4))
    if (receipt.stream !== streamOf("c2d", device)) continue
    if (yield* isSignedBy(device, note)) heard += (yield* hearReceipt(device, receipt)) ? 1 : 0
  }
  return heard
})

const decodeReceipt = Schema.decodeUnknownOption(Schema.fromJsonString(Receipt))

const isSignedBy = Effect.fnUntraced(function* (
  device: DeviceId,
  note: Parameters<Signatures["Service"]["check"]>[1]
) {
  const clients = yield* Clients
  const signatures = yield* Signatures
  const client = Option.getOrUndefined(yield* clients.find(device))
  if (client?.kind !== "device" || client.state !== "active") return false
  return signatures.check("receipt", note, yield* trustInDevice(client))._tag === "Success"
})

const hearReceipt = Effect.fnUntraced(function* (device: DeviceId, receipt: Receipt) {
  const atomic = yield* Atomic
  const devices = yield* Devices
  const streams = yield* Streams
  const { epoch, manifest, seq, stream } = receipt
  return yield* atomic.run(
    Effect.gen(function* () {
      const sent = Option.getOrUndefined(yield* streams.sent(stream, epoch, seq))
      const known = Option.getOrUndefined(yield* streams.acknowledged(stream))
      if (sent?.manifest !== manifest || sent.brings === null) return false
      if (known !== undefined && !isAfter(receipt, known)) return false
      const { blobs, cursors, revocations, root } = sent.brings
      const before = Option.getOrUndefined(yield* devices.report(device))
      yield* streams.acknowledge({ stream, epoch, seq, head: manifest })
      yield* devices.putReport({
        ...(before ?? blank(device)),
        cursors,
        blobs,
        root,
        revocations
      })
      return true
    })
  )
})

const isAfter = (receipt: Receipt, known: Acknowledgement): boolean =>
  receipt.epoch === known.epoch ? receipt.seq > known.seq : receipt.epoch > known.epoch

/** Any report of the device's own is newer than what its receipt lets central guess. */
const blank = (device: DeviceId): DeviceReport => ({
  schema: "testferry/report/1",
  device,
  serial: 0,
  at: 0,
  program: "",
  cursors: [],
  blobs: [],
  root: 1,
  revocations: 0,
  disk: { free: 0, total: 0 }
})
