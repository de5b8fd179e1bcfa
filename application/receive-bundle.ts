/**
 * Takes bundles from devices into central (format §2.6): every new one on a medium, in order.
 *
 * Central loses nothing that a device sent. A bundle that cannot be believed (of an unknown or
 * revoked device, of a stream that forked) is put aside with all its bytes, and the receipt says so;
 * only one that is damaged or not all there is asked for again.
 */
import { Clock, Effect, Option, Result, Stream } from "effect"
import { type HomewardIndex, readHomewardIndex } from "../domain/bundle-index.ts"
import { type BundleManifest, filesOf, readManifest, streamOf } from "../domain/bundle-manifest.ts"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import { DeviceId, type Digest } from "../domain/id.ts"
import type { Receipt } from "../domain/receipt.ts"
import { revokedFrom } from "../domain/revocations.ts"
import { applied, type Judgement, judge, type StreamState } from "../domain/stream.ts"
import {
  type BundleRefused,
  Devices,
  type FoundBundle,
  Incoming,
  Medium,
  type OpenBundle,
  Standing,
  Streams
} from "./bundle-ports.ts"
import { refuse, settled, trustInDevice } from "./bundle-trust.ts"
import { WaitingReceipts } from "./carried-ports.ts"
import {
  type CheckedManifest,
  checkManifest,
  giveReceipt,
  openIndex,
  receiptOf,
  stateOf
} from "./check-bundle.ts"
import { collectParts, demandWhole } from "./collect-parts.ts"
import { happened } from "./happened.ts"
import { hearReceipts, hearReport } from "./hear-report.ts"
import { byAge } from "./order-bundles.ts"
import { Atomic, Blobs, type Client, Clients, Hashing } from "./ports.ts"
import { NOTHING_CARRIED, receiveCarried, writeReceipts } from "./receive-carried.ts"

export interface ReceivedBundle {
  readonly device: string
  readonly seq: number
  /** Bundles of this device that were not looked at: there are too many of them. */
  readonly left: number
  readonly result: Result.Result<
    | { readonly status: "received" | "already" }
    | { readonly status: "quarantined"; code: BundleCode },
    BundleRefused
  >
  readonly receiptWritten: boolean
  /** What it brought; nothing for one that was not taken now. */
  readonly carried: typeof NOTHING_CARRIED
  /** Receipts for records that lie on the medium now. */
  readonly recordReceipts: number
}

export interface Received {
  readonly bundles: ReadonlyArray<ReceivedBundle>
  /** Receipts on the medium that told something new. */
  readonly receipts: number
}

/** Fails with BundleRefused only when the medium cannot be read; else each bundle has its result. */
export const receiveBundles = Effect.fn("receiveBundles")(function* (from: string) {
  const medium = yield* Medium
  const found = yield* Effect.result(medium.find(from))
  // A stick may carry nothing but receipts.
  if (Result.isFailure(found)) {
    const receipts = found.failure.code === "E_NOT_FOUND" ? yield* hearReceipts(from) : 0
    return receipts > 0 ? { bundles: [], receipts } : yield* found.failure
  }
  const homeward = found.success.filter(({ stream }) => stream.startsWith("d2c."))
  const streams = [...new Set(homeward.map(({ stream }) => stream))].sort()
  const bundles: Array<ReceivedBundle> = []
  for (const one of streams) {
    const ordered = yield* byAge(homeward.filter(({ stream }) => stream === one))
    for (const bundle of ordered) bundles.push(yield* receiveOne(from, bundle))
  }
  return { bundles, receipts: yield* hearReceipts(from) } satisfies Received
})

const receiveOne = Effect.fnUntraced(function* (from: string, found: FoundBundle) {
  const device = found.stream.slice(4)
  const now = yield* Clock.currentTimeMillis
  const attempt = yield* Effect.result(Effect.scoped(receive(found, now)))
  const told = { device, seq: found.seq, left: found.left }
  if (Result.isFailure(attempt)) {
    yield* remember(device, "refused", `${attempt.failure.code}: ${attempt.failure.detail}`)
    const result: ReceivedBundle["result"] = Result.fail(attempt.failure)
    const nothing = { receiptWritten: false, carried: NOTHING_CARRIED, recordReceipts: 0 }
    return { ...told, result, ...nothing } satisfies ReceivedBundle
  }
  const { carried, receipt } = attempt.success
  const receiptWritten = yield* giveReceipt(from, receipt)
  const isTaken = receipt.status !== "quarantined"
  return {
    ...told,
    carried,
    recordReceipts: isTaken ? yield* writeReceipts(from, DeviceId.make(device)) : 0,
    result: Result.succeed(statusOf(receipt)),
    receiptWritten
  } satisfies ReceivedBundle
})

const statusOf = ({ error, status }: Receipt) => {
  if (status === "already") return { status: "already" as const }
  return error === null
    ? { status: "received" as const }
    : { status: "quarantined" as const, code: error }
}

/** Receives one bundle. Fails with BundleRefused when nothing of it is kept. */
const receive = Effect.fnUntraced(function* (found: FoundBundle, now: number) {
  const medium = yield* Medium
  const hashing = yield* Hashing
  const devices = yield* Devices
  const incoming = yield* Incoming
  const opened = yield* medium.open(found)
  const known = (yield* devices.quarantined).find(
    ({ manifest }) => manifest === hashing.sha256(opened.manifest.text)
  )
  const checked = yield* Effect.result(check(found, opened, now))
  if (Result.isSuccess(checked) && checked.success.judgement === "already applied") {
    // A kill may have come before this.
    yield* incoming.drop(checked.success.bundle.digest)
    return unchanged(receiptOf(checked.success.bundle, "already", null, now))
  }
  // Also for one that is not believed: without its form it is no bundle, and nothing can be kept.
  const bundle = Result.isSuccess(checked)
    ? checked.success.bundle
    : yield* unbelieved(found, opened, checked.failure)
  if (known !== undefined && Result.isFailure(checked)) {
    yield* incoming.drop(bundle.digest)
    return unchanged(receiptOf(bundle, "quarantined", known.code, now))
  }
  yield* collect(found, opened, bundle)
  if (Result.isFailure(checked)) return yield* putAside(bundle, opened, checked.failure, now)
  const index = yield* Effect.result(openIndex(bundle, readHomewardIndex))
  if (Result.isFailure(index)) return yield* putAside(bundle, opened, index.failure, now)
  const taken = yield* Effect.result(take(checked.success, index.success, now))
  if (Result.isSuccess(taken)) return taken.success
  return yield* putAside(bundle, opened, taken.failure, now)
})

const unchanged = (receipt: Receipt) => ({ receipt, carried: NOTHING_CARRIED })

/** Whether central believes the bundle, and whether it is the next one. */
const check = Effect.fnUntraced(function* (found: FoundBundle, opened: OpenBundle, now: number) {
  const clients = yield* Clients
  const { revocations, root } = yield* Standing
  const device = found.stream.slice(4)
  const client = Option.getOrUndefined(yield* clients.find(device))
  if (client?.kind !== "device" || client.keys === null) {
    return yield* refuse("E_UNKNOWN_DEVICE", `there is no device ${device}`)
  }
  const bundle = yield* checkManifest(found, opened, "d2c", yield* trustInDevice(client))
  const { document } = yield* root
  const { list } = yield* revocations
  const state = yield* stateOf(bundle.manifest.stream, 1)
  const judgement = wasApplied(bundle, state)
    ? "already applied"
    : yield* settled(
        judge(bundle.manifest, bundle.digest, {
          me: "central",
          state,
          // A device that has not heard of a new epoch yet goes on in the old one.
          rootEpoch: epochOf(bundle.manifest, state, document.epoch),
          // A device learns of revocations late, and what it sends never grows too old.
          revocations: 0,
          now,
          floor: 0,
          expiredAllowed: true
        })
      )
  const from = revokedFrom(list, "device", device)
  if (judgement === "apply" && from !== undefined && bundle.manifest.createdAt >= from) {
    return yield* refuse("E_REVOKED", `${device} is revoked`)
  }
  if (judgement === "apply" && from === undefined && client.state === "revoked") {
    return yield* refuse("E_REVOKED", `${device} is revoked`)
  }
  const standing = client.state === "active" && from === undefined ? "good" : "blocked"
  return { bundle, judgement, state, client, standing } satisfies Checked
})

interface Checked {
  readonly bundle: CheckedManifest
  readonly judgement: Judgement
  readonly state: StreamState
  readonly client: Client
  /** Whether its results count at once, or a person must look at them first. */
  readonly standing: "good" | "blocked"
}

/** The epoch that a bundle may be of: not before the stream's last, not after the root's. */
const epochOf = ({ epoch }: BundleManifest, state: StreamState, newest: number): number =>
  epoch >= state.epoch && epoch <= newest ? epoch : newest

/** An old stick that comes back is no fork: its bundle is among those that were applied. */
const wasApplied = ({ digest, manifest }: CheckedManifest, state: StreamState): boolean =>
  manifest.epoch === state.epoch &&
  state.recent.some((one) => one.seq === manifest.seq && one.digest === digest)

/** What kept central from believing a bundle is a reason to keep it; that it is broken is none. */
const unbelieved = Effect.fnUntraced(function* (
  { stream }: FoundBundle,
  { manifest: { text } }: OpenBundle,
  refused: BundleRefused
) {
  const hashing = yield* Hashing
  const manifest = readManifest(text)
  if (!DISBELIEF.has(refused.code) || Result.isFailure(manifest)) return yield* refused
  // A bundle in another device's folder is kept under the name that its folder has.
  if (manifest.success.stream !== stream) return yield* refused
  const bundle: CheckedManifest = { manifest: manifest.success, digest: hashing.sha256(text) }
  return bundle
})

const DISBELIEF: ReadonlySet<BundleCode> = new Set<BundleCode>([
  "E_SIG_MISSING",
  "E_SIG_FORMAT",
  "E_SIG_NAMESPACE",
  "E_SIG_HASH",
  "E_SIG_UNKNOWN_KEY",
  "E_SIG_BAD",
  "E_SIG_THRESHOLD",
  "E_UNKNOWN_DEVICE",
  "E_REVOKED",
  "E_EPOCH",
  "E_ROLLBACK",
  "E_STREAM_FORK",
  "E_SEQ_JUMP",
  "E_GAP"
])

const collect = Effect.fnUntraced(function* (
  found: FoundBundle,
  opened: OpenBundle,
  { digest, manifest }: CheckedManifest
) {
  const volumes = new Set(found.volumes.keys())
  const collecting = { bundle: digest, manifest, opened, volumes }
  yield* demandWhole(yield* collectParts(collecting, filesOf(manifest)))
})

/**
 * Takes the records first: what stops half-way is done again, and each is kept once. Then the bundle
 * is applied, with all that it says. Fails with BundleRefused when its lines are not right, before
 * any of them is kept.
 */
const take = Effect.fnUntraced(function* (
  { bundle, client, standing, state }: Checked,
  index: HomewardIndex,
  now: number
) {
  const atomic = yield* Atomic
  const incoming = yield* Incoming
  const streams = yield* Streams
  const waiting = yield* WaitingReceipts
  const { digest, manifest } = bundle
  const { report } = index
  const carried = yield* receiveCarried(client, digest, index, standing)
  yield* atomic.run(
    Effect.gen(function* () {
      yield* waiting.keepOnly(report.device, digest)
      yield* streams.receive(applied(manifest, digest, state))
      // The newest word of a device that was restored from a copy may say less than it said before.
      const isNewest = yield* hearReport(report)
      if (isNewest) yield* streams.unacknowledge(streamOf("c2d", report.device))
      if (manifest.ack !== null) yield* streams.acknowledge(manifest.ack)
      yield* remember(report.device, "done", `bundle ${manifest.seq}`)
    })
  )
  yield* incoming.drop(digest)
  return { receipt: receiptOf(bundle, "applied", null, now), carried }
})

/**
 * Keeps all bytes of a bundle that is not believed. A fork tells that the device was restored from
 * an older copy: what it was thought to hold it may have lost.
 */
const putAside = Effect.fnUntraced(function* (
  bundle: CheckedManifest,
  opened: OpenBundle,
  { code, detail }: BundleRefused,
  now: number
) {
  const atomic = yield* Atomic
  const devices = yield* Devices
  const incoming = yield* Incoming
  const { digest, manifest } = bundle
  const files = yield* keepBytes(digest, manifest, opened)
  const device = manifest.stream.slice(4)
  yield* atomic.run(
    Effect.gen(function* () {
      yield* devices.quarantine({ device, manifest: digest, at: now, code, detail, files })
      if (code === "E_STREAM_FORK") yield* devices.forgetReport(DeviceId.make(device))
      yield* remember(device, "refused", `put aside, ${code}: ${detail}`)
    })
  )
  yield* incoming.drop(digest)
  return unchanged(receiptOf(bundle, "quarantined", code, now))
})

const keepBytes = Effect.fnUntraced(
  function* (bundle: Digest, manifest: BundleManifest, opened: OpenBundle) {
    const blobs = yield* Blobs
    const incoming = yield* Incoming
    const { signatures, text } = opened.manifest
    const texts = [text, ...signatures].map((one, at) => [nameOf(at), one] as const)
    const files = new Map<string, Digest>()
    for (const [name, one] of texts) {
      files.set(name, (yield* blobs.add(Stream.make(new TextEncoder().encode(one)))).blob)
    }
    for (const { name } of filesOf(manifest)) {
      files.set(name, (yield* blobs.add(incoming.read(bundle, name))).blob)
    }
    return files
  },
  Effect.catchTag("NoSpace", ({ free, needed }) =>
    refuse("E_NO_SPACE", `it needs ${needed} bytes, and there are ${free}`)
  )
)

const nameOf = (at: number): string =>
  at === 0 ? "manifest.json" : at === 1 ? "manifest.json.sig" : `manifest.json.sig.${at}`

const remember = Effect.fnUntraced(function* (
  device: string,
  outcome: "done" | "refused",
  reason: string
) {
  yield* happened({
    verb: "receive",
    who: "device",
    device,
    outcome,
    reason
  })
})
