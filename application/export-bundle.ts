/**
 * Makes bundles for devices at central: what each needs since it was last heard of, sealed to it
 * alone, in the next place of its stream (format §2).
 *
 * What a device needs is asked of central's own feeds, with the cursor that the device last told of,
 * by whatever road. Whoever never told anything, or told of another life of central, gets all.
 */
import { Clock, Effect, Option } from "effect"
import { type OutwardIndex, RECEIPTS_MAX } from "../domain/bundle-index.ts"
import { type BundleManifest, streamOf } from "../domain/bundle-manifest.ts"
import { canonical } from "../domain/canonical.ts"
import type { DeviceReport } from "../domain/device-report.ts"
import { START } from "../domain/feed.ts"
import { type HistoryEntry, NO_COUNTS } from "../domain/history.ts"
import { DeviceId, type Digest, type OrganisationId, Recipient } from "../domain/id.ts"
import {
  type BundleRefused,
  Devices,
  Standing,
  Streams,
  type WrittenBundle
} from "./bundle-ports.ts"
import { refuse } from "./bundle-trust.ts"
import { WaitingReceipts } from "./carried-ports.ts"
import { certificateOf } from "./certify.ts"
import { happened } from "./happened.ts"
import { Authority, type Client, Clients, Feeds } from "./ports.ts"
import { type CutBundle, type CutOptions, cutBundle, fileName, sendBundle } from "./send-bundle.ts"
import { stageContents } from "./stage-contents.ts"
import { type FeedCounts, stageFeed } from "./stage-feed.ts"

export interface ExportOptions extends CutOptions {
  /** Takes nothing for granted that the device is said to hold. */
  readonly full: boolean
  readonly dryRun: boolean
}

export interface Exported {
  readonly device: DeviceId
  readonly seq: number
  readonly mode: BundleManifest["mode"]
  readonly base: number
  readonly feeds: ReadonlyArray<{
    readonly organisation: OrganisationId
    readonly base: number
    readonly head: number
    /** By kind: how many entities it brings, and how many it takes away. */
    readonly counts: FeedCounts
  }>
  readonly contents: {
    readonly brought: number
    readonly bytes: number
    /** Left out, because the device should hold them. */
    readonly held: number
  }
  readonly volumes: number
  /** Of all parts, sealed. */
  readonly bytes: number
  /** None for a dry run. */
  readonly written: Option.Option<WrittenBundle>
}

/**
 * Fails with BundleRefused (E_UNKNOWN_DEVICE, E_REVOKED, E_VOL_TOO_BIG), NoSpace, MediaFailed or
 * ExportOvertaken. A dry run does everything but signing, remembering and writing.
 */
export const exportToDevice = Effect.fn("exportToDevice")(
  function* (device: DeviceId, options: ExportOptions) {
    const began = yield* Clock.currentTimeMillis
    const client = yield* admitted(device)
    const { counts, cut, receipts, said } = yield* cutFor(client, options)
    if (options.dryRun) return { ...said, written: Option.none() } satisfies Exported
    const written = yield* sendBundle(cut, options.to)
    const waiting = yield* WaitingReceipts
    yield* waiting.wentOut(device, receipts, cut.manifest)
    yield* remember(client, {
      outcome: "done",
      counts,
      bytes: written.bytes,
      millis: Math.max(0, (yield* Clock.currentTimeMillis) - began),
      reason: `bundle ${said.seq}, ${said.mode}`
    })
    return { ...said, written: Option.some(written) } satisfies Exported
  },
  (effect, device, { dryRun }) =>
    Effect.scoped(effect).pipe(
      Effect.tapError((error) => (dryRun ? Effect.void : rememberFailed(device, error)))
    )
)

/** Makes a bundle for each active device of an organisation. One that fails does not stop the rest. */
export const exportToOrganisation = Effect.fn("exportToOrganisation")(function* (
  organisation: OrganisationId,
  options: ExportOptions
) {
  const clients = yield* Clients
  const devices = (yield* clients.list("device")).filter(
    (one) => one.state === "active" && one.organisations.includes(organisation)
  )
  return yield* Effect.forEach(devices, ({ id }) => {
    const device = DeviceId.make(id)
    return Effect.map(Effect.result(exportToDevice(device, options)), (exported) => ({
      device,
      exported
    }))
  })
})

const admitted = Effect.fnUntraced(function* (device: DeviceId) {
  const clients = yield* Clients
  const client = Option.getOrUndefined(yield* clients.find(device))
  if (client?.kind !== "device" || client.keys === null) {
    return yield* refuse("E_UNKNOWN_DEVICE", `there is no device ${device}`)
  }
  return client.state === "active"
    ? { ...client, keys: client.keys, device }
    : yield* refuse("E_REVOKED", `the device is ${client.state}`)
})

type Admitted = Effect.Success<ReturnType<typeof admitted>>

const cutFor = Effect.fnUntraced(function* (client: Admitted, options: ExportOptions) {
  const standing = yield* Standing
  const { device, organisations } = client
  const stream = streamOf("c2d", device)
  const root = yield* standing.root
  const revocations = yield* standing.revocations
  const known = yield* knownOf(device, options.full)
  const recipient = Recipient.make(client.keys.enc)
  // Before and after the feeds: a delivery that changes meanwhile is in one of them.
  const before = yield* offeredBlobs(organisations)
  const staged = yield* Effect.forEach(organisations, (organisation) =>
    stageFeed(organisation, known.cursors.get(organisation) ?? START, recipient)
  )
  const offered = new Set([...before, ...(yield* offeredBlobs(organisations))])
  const isFull = staged.every(({ base }) => base === 0)
  const held = isFull ? new Set<Digest>() : known.blobs
  const lines = staged.flatMap((feed) => (feed.lines === null ? [] : [feed.lines]))
  const contents = yield* stageContents(offered, held, 1 + lines.length)
  const receipts = yield* receiptsFor(device)
  const index = {
    ...(yield* indexOf(client, staged, contents, known.revocations)),
    receipts: receipts.map(({ signed }) => signed)
  }
  const cut = yield* cutBundle(
    {
      purpose: "c2d",
      stream,
      from: "central",
      to: device,
      root: root.document,
      roots: root.chain.filter((_, at) => at >= known.root),
      revocations: revocations.list.version,
      recipient,
      mode: isFull ? "full" : "delta",
      base: isFull ? 0 : yield* appliedSeq(device, root.document.epoch),
      ack: yield* acknowledgementOf(device),
      ledger: null,
      index: (place) => canonical({ schema: "testferry/index/1", ...place, ...index }),
      files: [
        ...lines.map(({ staged: file }) => ({ role: "records" as const, staged: file })),
        ...contents.brought.map(({ staged: file }) => ({ role: "blob" as const, staged: file }))
      ],
      brings: {
        cursors: staged.map(({ epoch, head, organisation }) => ({
          organisation,
          epoch,
          version: head
        })),
        blobs: [...offered],
        root: root.document.version,
        revocations: revocations.list.version
      }
    },
    options
  )
  const said = saidOf(device, cut, staged, contents)
  return { cut, receipts, said, counts: countsOf(staged) }
})

type Staged = Effect.Success<ReturnType<typeof stageFeed>>
type Contents = Effect.Success<ReturnType<typeof stageContents>>

const offeredBlobs = (organisations: ReadonlyArray<OrganisationId>) =>
  Effect.flatMap(Feeds, (feeds) => feeds.blobs(organisations))

/** What the device is known to hold; nothing, where a full bundle is wanted or nothing is known. */
const knownOf = Effect.fnUntraced(function* (device: DeviceId, full: boolean) {
  const devices = yield* Devices
  const told: Option.Option<DeviceReport> = full ? Option.none() : yield* devices.report(device)
  const report = Option.getOrUndefined(told)
  return {
    cursors: new Map(report?.cursors.map((cursor) => [cursor.organisation, cursor])),
    blobs: new Set(report?.blobs),
    // Everybody has the first, by enrolment.
    root: report?.root ?? 1,
    revocations: report?.revocations ?? 0
  }
})

const appliedSeq = Effect.fnUntraced(function* (device: DeviceId, epoch: number) {
  const streams = yield* Streams
  const applied = yield* streams.acknowledged(streamOf("c2d", device))
  return Option.match(applied, {
    onNone: () => 0,
    onSome: (ack) => (ack.epoch === epoch ? ack.seq : 0)
  })
})

/** What the device may not have heard of the records that it sent by bundle. */
const receiptsFor = Effect.fnUntraced(function* (device: DeviceId) {
  const streams = yield* Streams
  const waiting = yield* WaitingReceipts
  const applied = yield* streams.acknowledged(streamOf("c2d", device))
  return yield* waiting.list(device, Option.getOrUndefined(applied), RECEIPTS_MAX)
})

/** How far central has applied what the device sends. */
const acknowledgementOf = Effect.fnUntraced(function* (device: DeviceId) {
  const streams = yield* Streams
  const state = Option.getOrUndefined(yield* streams.received(streamOf("d2c", device)))
  const head = state?.recent[0]?.digest
  if (state === undefined || head === undefined) return null
  return { stream: state.stream, epoch: state.epoch, seq: state.seq, head }
})

/**
 * The certificate goes along each time: it is small, and so it is renewed long before it ends, and
 * says to which organisations the device belongs now.
 */
const indexOf = Effect.fnUntraced(function* (
  client: Client,
  staged: ReadonlyArray<Staged>,
  contents: Contents,
  knownRevocations: number
) {
  const authority = yield* Authority
  const standing = yield* Standing
  const revocations = yield* standing.revocations
  let at = 0
  return {
    feeds: staged.map(({ base, epoch, head, lines, organisation, set }) => {
      if (lines === null) return { organisation, epoch, base, head, set, lines: null }
      const { staged: _, ...measured } = lines
      at += 1
      return { organisation, epoch, base, head, set, lines: { file: fileName(at), ...measured } }
    }),
    blobs: contents.brought.map(({ blob, file, staged: { size } }) => ({ blob, file, size })),
    have: contents.held,
    certificate: yield* authority.certify(yield* certificateOf(client)),
    revocations: revocations.list.version > knownRevocations ? revocations.signed : null
  } satisfies Partial<OutwardIndex>
})

const saidOf = (
  device: DeviceId,
  { bytes, manifest }: CutBundle,
  staged: ReadonlyArray<Staged>,
  { brought, held }: Contents
) => ({
  device,
  seq: manifest.seq,
  mode: manifest.mode,
  base: manifest.base,
  feeds: staged.map(({ base, counts, head, organisation }) => ({
    organisation,
    base,
    head,
    counts
  })),
  contents: {
    brought: brought.length,
    bytes: brought.reduce((sum, { staged: { size } }) => sum + size, 0),
    held: held.length
  },
  volumes: manifest.volumes,
  bytes
})

/** As the history counts: central cannot tell what is new to a device that has something already. */
const countsOf = (staged: ReadonlyArray<Staged>): HistoryEntry["counts"] => {
  const sum = new Map<string, typeof NO_COUNTS>()
  for (const { base, counts } of staged) {
    for (const [kind, { brought, gone }] of counts) {
      const before = sum.get(kind) ?? NO_COUNTS
      const field = base === 0 ? "created" : "updated"
      const deleted = before.deleted + gone
      sum.set(kind, { ...before, [field]: before[field] + brought, deleted })
    }
  }
  return Object.fromEntries(sum)
}

const rememberFailed = Effect.fnUntraced(function* (
  device: DeviceId,
  error: { readonly _tag: string } & Partial<Pick<BundleRefused, "code" | "detail">>
) {
  const reason = error.code === undefined ? error._tag : `${error.code}: ${error.detail}`
  const outcome = error.code === undefined ? "failed" : "refused"
  yield* remember({ id: device }, { outcome, counts: {}, bytes: 0, millis: 0, reason })
})

const remember = Effect.fnUntraced(function* (
  { id }: Pick<Client, "id">,
  entry: Pick<HistoryEntry, "outcome" | "counts" | "bytes" | "millis" | "reason">
) {
  yield* happened({
    verb: "export",
    who: "operator",
    device: id,
    ...entry
  })
})
