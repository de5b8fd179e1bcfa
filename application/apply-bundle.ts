/**
 * Applies a bundle that was checked and is here whole: keeps the documents it brings, moves its
 * contents to their place, synchronises with what it says, and only then notes that it was applied.
 */
import { Effect, Option, Result, Schema } from "effect"
import type { BlobPart, OutwardIndex } from "../domain/bundle-index.ts"
import { Certificate, type Signed } from "../domain/enrolment.ts"
import type { OrganisationId } from "../domain/id.ts"
import { sameSet } from "../domain/set-digest.ts"
import { applied as appliedState } from "../domain/stream.ts"
import { Incoming, Standing, Streams } from "./bundle-ports.ts"
import { refuse } from "./bundle-trust.ts"
import { type CheckedManifest, stateOf } from "./check-bundle.ts"
import { happened } from "./happened.ts"
import { Atomic, Central, DeviceIdentity, Holdings, type Membership } from "./ports.ts"
import type { PullOptions } from "./pull.ts"
import { countsOf, reasonOf, type Synced, synchronise } from "./sync.ts"

/** A bundle that may be applied; its parts are here. */
export interface Ready {
  readonly bundle: CheckedManifest
  readonly index: OutwardIndex
  /** Central, as the bundle speaks for it. */
  readonly central: Central["Service"]
  readonly freshRoots: ReadonlyArray<Signed>
  readonly epoch: number
  readonly revocations: Signed | null
  /** Contents that came and are not in their place yet. */
  readonly brought: ReadonlyArray<BlobPart>
  /** Organisations that have come further than the bundle. */
  readonly ahead: ReadonlyArray<OrganisationId>
}

export interface Applied {
  readonly synced: Synced
  readonly applied: boolean
}

type Options = Pick<PullOptions, "dryRun" | "confirmRemovals">

export const applyBundle = Effect.fn("applyBundle")(function* (
  ready: Ready,
  membership: Membership,
  options: Options
) {
  if (options.dryRun) return yield* rehearse(ready, membership, options)
  const incoming = yield* Incoming
  const { digest } = ready.bundle
  for (const { blob, file } of ready.brought) {
    yield* Effect.catchTag(incoming.toBlob(digest, file, blob), "BlobDamaged", () =>
      refuse("E_BLOB_DIGEST", `${file} is not the content ${blob}`)
    )
  }
  const member = yield* keepDocuments(ready, membership)
  yield* dropForeignStaged(ready)
  const synced = yield* pullFrom(ready, member.organisations, options)
  yield* askForAll(ready, synced)
  const applied = synced.organisations.every(({ pulled }) => Result.isSuccess(pulled))
  if (applied) yield* noteApplied(ready)
  yield* remember(ready, member, synced, applied)
  if (applied) yield* incoming.drop(digest)
  return { synced, applied } satisfies Applied
})

/** Synchronises for real in a transaction that is then rolled back. */
const rehearse = Effect.fnUntraced(function* (
  ready: Ready,
  { organisations }: Membership,
  options: Options
) {
  const atomic = yield* Atomic
  const rehearsed = pullFrom(ready, organisations, options)
  const synced = yield* Effect.flip(
    atomic.run(Effect.flatMap(rehearsed, (done) => Effect.fail(done)))
  )
  return { synced, applied: false } satisfies Applied
})

const pullFrom = Effect.fnUntraced(function* (
  { ahead, central, index }: Ready,
  organisations: ReadonlyArray<OrganisationId>,
  options: Options
) {
  const brought = new Set(index.feeds.map(({ organisation }) => organisation))
  const pulling = organisations.filter((one) => brought.has(one) && !ahead.includes(one))
  return yield* Effect.provideService(
    synchronise(organisations, pulling, options),
    Central,
    central
  )
})

/**
 * Keeps what central signed for itself: root documents, the device's certificate, revocations. They
 * hold whatever comes of the rest, and the certificate says to which organisations data may come.
 */
const keepDocuments = Effect.fnUntraced(function* (ready: Ready, membership: Membership) {
  const atomic = yield* Atomic
  const identity = yield* DeviceIdentity
  const standing = yield* Standing
  const { certificate } = ready.index
  return yield* atomic.run(
    Effect.gen(function* () {
      if (ready.freshRoots.length > 0) yield* standing.putRoots(ready.freshRoots)
      if (ready.revocations !== null) yield* standing.putRevocations(ready.revocations)
      if (certificate === null || !isNewer(certificate, membership.certificate)) return membership
      return yield* Effect.catch(identity.renew(certificate), ({ what }) =>
        refuse("E_INDEX_MISMATCH", what)
      )
    })
  )
})

/** A bundle that was cut before the device joined one more organisation must not take that back. */
const isNewer = ({ text }: Signed, held: Certificate): boolean =>
  Option.exists(decodeCertificate(text), ({ notAfter, serial }) =>
    serial === held.serial ? notAfter > held.notAfter : serial > held.serial
  )

const decodeCertificate = Schema.decodeUnknownOption(Schema.fromJsonString(Certificate))

/** What an interrupted fetch left is good only where the bundle goes on from it. */
const dropForeignStaged = Effect.fnUntraced(function* ({ ahead, index }: Ready) {
  const holdings = yield* Holdings
  for (const { epoch, head, organisation } of index.feeds) {
    const staged = yield* holdings.stagedCursor(organisation)
    const applied = yield* holdings.cursor(organisation)
    const isStaged = staged.version !== applied.version || staged.epoch !== applied.epoch
    const fits = staged.epoch === epoch && staged.version <= head
    if (isStaged && !fits && !ahead.includes(organisation)) yield* holdings.dropStaged(organisation)
  }
})

/**
 * Where the sets differ and the bundle could not say how, the cursor is forgotten: the next report
 * then asks central for everything, and so does the next synchronisation over HTTPS.
 */
const askForAll = Effect.fnUntraced(function* ({ index }: Ready, synced: Synced) {
  const holdings = yield* Holdings
  for (const { organisation, pulled } of synced.organisations) {
    const feed = index.feeds.find((one) => one.organisation === organisation)
    if (feed === undefined || Result.isSuccess(pulled)) continue
    const cursor = yield* holdings.cursor(organisation)
    const isTaken = cursor.version === feed.head && cursor.epoch === feed.epoch
    if (isTaken && !sameSet(yield* holdings.set(organisation), feed.set)) {
      yield* holdings.restart(organisation)
    }
  }
})

/** From here on the bundle is applied: an older one is refused, the next one may build on it. */
const noteApplied = Effect.fnUntraced(function* ({ bundle, epoch }: Ready) {
  const atomic = yield* Atomic
  const streams = yield* Streams
  const { digest, manifest } = bundle
  yield* atomic.run(
    Effect.gen(function* () {
      const state = yield* stateOf(manifest.stream, epoch)
      yield* streams.receive(appliedState(manifest, digest, state))
      if (manifest.ack !== null) yield* streams.acknowledge(manifest.ack)
      yield* streams.raiseFloor(manifest.createdAt)
    })
  )
})

const remember = Effect.fnUntraced(function* (
  { brought, bundle }: Ready,
  { device }: Membership,
  synced: Synced,
  applied: boolean
) {
  const reason = reasonOf(synced)
  yield* happened({
    verb: "import",
    who: "device",
    device,
    outcome: applied ? synced.outcome : "failed",
    counts: countsOf(synced),
    bytes: brought.reduce((sum, { size }) => sum + size, 0),
    millis: synced.millis,
    reason: `bundle ${bundle.manifest.seq}${reason === "" ? "" : `: ${reason}`}`
  })
})
