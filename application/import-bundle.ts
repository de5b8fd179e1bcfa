/**
 * Takes a bundle from a medium into a device (format §2.6, §2.7): checks it, copies its parts aside,
 * and then synchronises with what it says exactly as with central itself.
 *
 * A refusal changes nothing but the history. What stops half-way can be done again: parts that are
 * here are not read again, and a bundle counts as applied only when all of it was.
 */
import { Clock, Effect, Option, Result } from "effect"
import { type OutwardIndex, readOutwardIndex } from "../domain/bundle-index.ts"
import { filesOf, streamOf } from "../domain/bundle-manifest.ts"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import { judgeFeed } from "../domain/feed-ground.ts"
import type { DeviceId, OrganisationId } from "../domain/id.ts"
import { revokedFrom } from "../domain/revocations.ts"
import { clockIsBehind, type Judgement, judge } from "../domain/stream.ts"
import { followRoots } from "./accept-roots.ts"
import { applyBundle, type Ready } from "./apply-bundle.ts"
import {
  BundleReader,
  type BundleRefused,
  type FoundBundle,
  Incoming,
  Medium,
  Standing,
  Streams
} from "./bundle-ports.ts"
import { readRevocations, refuse, settled, trustIn } from "./bundle-trust.ts"
import {
  type CheckedManifest,
  checkManifest,
  giveReceipt,
  openIndex,
  receiptOf,
  stateOf
} from "./check-bundle.ts"
import { type Collecting, collectParts, demandWhole } from "./collect-parts.ts"
import { happened } from "./happened.ts"
import {
  type HeardReceipts,
  hearAll,
  hearNotes,
  NOTHING_HEARD,
  together
} from "./hear-receipt-notes.ts"
import { byAge } from "./order-bundles.ts"
import { Blobs, DeviceIdentity, Holdings, Lease, type Membership } from "./ports.ts"
import type { PullOptions } from "./pull.ts"
import { NotEnrolled, rememberCancelled, type Synced } from "./sync.ts"

export interface ImportOptions extends Pick<PullOptions, "dryRun" | "confirmRemovals"> {
  /** A person takes it upon them that the bundle is older than it may be. */
  readonly expiredAllowed: boolean
}

export interface Imported {
  /** Null when the medium brought nothing but receipts. */
  readonly bundle: CheckedManifest | null
  readonly judgement: Judgement | null
  /** What central says of results that went home by stick. */
  readonly receipts: HeardReceipts
  /** What synchronising with it did; none when the bundle had been applied before. */
  readonly synced: Option.Option<Synced>
  /** Organisations that have come further over HTTPS than the bundle. */
  readonly ahead: ReadonlyArray<OrganisationId>
  /** Whether the bundle counts as applied now. False: mend what the report says, give it again. */
  readonly applied: boolean
  readonly receiptWritten: boolean
  /** The clock is so far behind what central signed that a person should set it. */
  readonly clockBehind: boolean
  /** Bundles on the medium that were not looked at. */
  readonly others: ReadonlyArray<Pick<FoundBundle, "stream" | "seq">>
  /** Bundles for this device that were not even named: there are too many of them. */
  readonly left: number
}

/** Fails with BundleRefused, NotEnrolled or SyncRunning; the rest is in the report. */
export const importBundle = Effect.fn("importBundle")(function* (
  from: string,
  options: ImportOptions
) {
  const identity = yield* DeviceIdentity
  const lease = yield* Lease
  const membership = yield* identity.membership
  if (Option.isNone(membership)) return yield* new NotEnrolled()
  const work = Effect.scoped(take(from, membership.value, options)).pipe(
    Effect.tapErrorTag("BundleRefused", (refused) => rememberRefused(membership.value, refused))
  )
  return yield* lease.hold(rememberCancelled("import", membership.value, work))
})

const take = Effect.fnUntraced(function* (
  from: string,
  membership: Membership,
  options: ImportOptions
) {
  const incoming = yield* Incoming
  const streams = yield* Streams
  // Before the bundle: a stick may bring nothing else, or a bundle that is refused.
  const notes = options.dryRun ? NOTHING_HEARD : yield* hearNotes(from, membership.device)
  const searched = yield* Effect.result(search(from, membership))
  if (Result.isFailure(searched)) return yield* withoutBundle(searched.failure, notes, membership)
  const { chosen, found } = searched.success
  const now = yield* Clock.currentTimeMillis
  const seen = {
    others: found.filter((one) => one !== chosen).map(({ seq, stream }) => ({ seq, stream })),
    left: chosen.left,
    clockBehind: clockIsBehind(now, yield* streams.floor)
  }
  const checked = yield* check(chosen, membership, now, options)
  const { bundle, judgement } = checked
  if (judgement === "already applied") {
    // A kill may have come before each of these.
    const brought = options.dryRun ? NOTHING_HEARD : yield* hearAgain(checked, chosen)
    yield* incoming.drop(bundle.digest)
    const receiptWritten = options.dryRun
      ? false
      : yield* giveReceipt(from, receiptOf(bundle, "already", null, now))
    return {
      ...seen,
      bundle,
      judgement,
      receipts: together(notes, brought),
      synced: Option.none(),
      ahead: [],
      applied: true,
      receiptWritten
    } satisfies Imported
  }
  const ready = yield* prepare(checked, chosen, membership)
  const { applied, synced } = yield* applyBundle(ready, membership, options)
  const receiptWritten =
    applied && (yield* giveReceipt(from, receiptOf(bundle, "applied", null, now)))
  const { ahead, index } = ready
  // Whatever came of the rest: a receipt stands for itself.
  const brought = options.dryRun ? NOTHING_HEARD : yield* hearAll(index.receipts)
  return {
    ...seen,
    bundle,
    judgement,
    receipts: together(notes, brought),
    synced: Option.some(synced),
    ahead,
    applied,
    receiptWritten
  } satisfies Imported
})

/** The receipts of a bundle that was applied before; none where the medium does not give them. */
const hearAgain = Effect.fnUntraced(
  function* ({ bundle, opened }: Checked, found: FoundBundle) {
    const { digest, manifest } = bundle
    const volumes = new Set(found.volumes.keys())
    const files = filesOf(manifest).slice(0, 1)
    yield* demandWhole(yield* collectParts({ bundle: digest, manifest, opened, volumes }, files))
    return yield* hearAll((yield* openIndex(bundle, readOutwardIndex)).receipts)
  },
  Effect.catchTag("BundleRefused", () => Effect.succeed(NOTHING_HEARD))
)

const search = Effect.fnUntraced(function* (from: string, membership: Membership) {
  const medium = yield* Medium
  const found = yield* medium.find(from)
  return { found, chosen: yield* choose(found, membership) }
})

/** No bundle is for this device: that is a success where receipts are. */
const withoutBundle = Effect.fnUntraced(function* (
  refused: BundleRefused,
  receipts: HeardReceipts,
  { device }: Membership
) {
  if (receipts.heard === 0 || !NO_BUNDLE.has(refused.code)) return yield* refused
  yield* remember(device, "done", `${receipts.heard} receipts`)
  return {
    bundle: null,
    judgement: null,
    receipts,
    synced: Option.none(),
    ahead: [],
    applied: false,
    receiptWritten: false,
    clockBehind: false,
    others: [],
    left: 0
  } satisfies Imported
})

const NO_BUNDLE: ReadonlySet<BundleCode> = new Set<BundleCode>([
  "E_NOT_FOUND",
  "E_WRONG_STREAM",
  "E_WRONG_DEVICE"
])

/** The newest bundle for this device. What else lies there is named when there is none. */
const choose = Effect.fnUntraced(function* (
  found: ReadonlyArray<FoundBundle>,
  { device }: Membership
) {
  const mine = streamOf("c2d", device)
  const newest = (yield* byAge(found.filter(({ stream }) => stream === mine))).at(-1)
  if (newest !== undefined) return newest
  const [other] = found.filter(({ stream }) => stream.startsWith("c2d."))
  if (other !== undefined) {
    return yield* refuse("E_WRONG_DEVICE", `the bundle is for ${other.stream.slice(4)}`)
  }
  return found.length > 0
    ? yield* refuse("E_WRONG_STREAM", "the bundles there are for central")
    : yield* refuse("E_NOT_FOUND", "there is no bundle")
})

/** Checks all that can be known before a part of the bundle is read. */
const check = Effect.fnUntraced(function* (
  found: FoundBundle,
  { device }: Membership,
  now: number,
  { expiredAllowed }: ImportOptions
) {
  const medium = yield* Medium
  const standing = yield* Standing
  const streams = yield* Streams
  const opened = yield* medium.open(found)
  const floor = yield* streams.floor
  const roots = yield* followRoots(opened.roots, Math.max(now, floor))
  const { list } = yield* standing.revocations
  const trust = trustIn(roots.document, "c2d", list)
  const bundle = yield* checkManifest(found, opened, "c2d", trust)
  const { digest, manifest } = bundle
  const judgement = yield* settled(
    judge(manifest, digest, {
      me: device,
      state: yield* stateOf(streamOf("c2d", device), roots.document.epoch),
      rootEpoch: roots.document.epoch,
      revocations: list.version,
      now,
      floor,
      expiredAllowed
    })
  )
  if (revokedFrom(list, "bundle", manifest.bundle) !== undefined) {
    return yield* refuse("E_REVOKED", "central has taken this bundle back")
  }
  return { bundle, judgement, opened, roots, list }
})

type Checked = Effect.Success<ReturnType<typeof check>>

/**
 * Copies the bundle aside, the index first: what it cannot build on is said before gigabytes are
 * copied, and contents that are here already are not copied at all.
 */
const prepare = Effect.fnUntraced(function* (
  { bundle, list, opened, roots }: Checked,
  found: FoundBundle,
  membership: Membership
) {
  const incoming = yield* Incoming
  const reader = yield* BundleReader
  yield* incoming.sweep(bundle.digest)
  const volumes = new Set(found.volumes.keys())
  const collecting: Collecting = {
    bundle: bundle.digest,
    manifest: bundle.manifest,
    opened,
    volumes
  }
  const [indexFile, ...files] = filesOf(bundle.manifest)
  const first = yield* collectParts(collecting, indexFile === undefined ? [] : [indexFile])
  // Without its index a bundle can still be copied, so that the next stick need not bring all.
  const index =
    first.damages.length + first.missing.length === 0
      ? yield* openIndex(bundle, readOutwardIndex)
      : undefined
  const judged = index === undefined ? undefined : yield* judgeFeeds(index, membership)
  const revocations =
    index === undefined || index.revocations === null
      ? null
      : yield* readRevocations(index.revocations, roots.document, list)
  const held = index === undefined ? new Set<string>() : yield* contentsHeld(index)
  const rest = yield* collectParts(
    collecting,
    files.filter(({ name }) => !held.has(name))
  )
  yield* demandWhole({
    damages: [...first.damages, ...rest.damages],
    missing: [...new Set([...first.missing, ...rest.missing])].sort((a, b) => a - b)
  })
  if (index === undefined || judged === undefined) {
    return yield* Effect.die(new Error("a whole bundle without an index"))
  }
  const central = yield* reader.open(bundle.digest, index)
  return {
    bundle,
    index,
    central,
    freshRoots: roots.fresh,
    epoch: roots.document.epoch,
    revocations:
      revocations !== null && revocations.version > list.version ? index.revocations : null,
    brought: index.blobs.filter(({ file }) => !held.has(file)),
    ahead: judged.ahead
  } satisfies Ready
})

/** Refuses with E_EPOCH or E_GAP when the device cannot build on the bundle. */
const judgeFeeds = Effect.fnUntraced(function* (index: OutwardIndex, membership: Membership) {
  const holdings = yield* Holdings
  const ahead: Array<OrganisationId> = []
  for (const feed of index.feeds) {
    if (!membership.organisations.includes(feed.organisation)) continue
    const judgement = yield* settled(judgeFeed(feed, yield* holdings.cursor(feed.organisation)))
    if (judgement === "ahead") ahead.push(feed.organisation)
  }
  return { ahead }
})

const contentsHeld = Effect.fnUntraced(function* (index: OutwardIndex) {
  const blobs = yield* Blobs
  const held = new Set<string>()
  for (const { blob, file } of index.blobs) if (yield* blobs.has(blob)) held.add(file)
  return held
})

const rememberRefused = ({ device }: Membership, { code, detail }: BundleRefused) =>
  remember(device, "refused", `${code}: ${detail}`)

const remember = Effect.fnUntraced(function* (
  device: DeviceId,
  outcome: "done" | "refused",
  reason: string
) {
  yield* happened({
    verb: "import",
    who: "device",
    device,
    outcome,
    reason
  })
})
