/** Gathers what `domain/readiness.ts` judges: for every test of every center that this device holds. */
import { Clock, Effect, Option, Stream } from "effect"
import type { Delivery, Eligibility, TestCenter } from "../domain/entity.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { wrapId } from "../domain/offer.ts"
import { type DeviceFacts as Facts, judge, type RoomFacts } from "../domain/readiness.ts"
import { DeviceFacts, Standing, Streams } from "./bundle-ports.ts"
import { Blobs, DeviceIdentity, History, Holdings } from "./ports.ts"
import { recheckingAlways } from "./recheck.ts"
import { Outbox } from "./record-ports.ts"
import { Sessions, Trials } from "./session-ports.ts"

/** What has a receipt waits no more. */
const WAITING = ["sealed", "queued", "sent"] as const
/** How far back a fetch is looked for; a device that was asked every minute writes no line for that. */
const HISTORY_READ = 200

/** Judges this device for a moment to come. Changes nothing, and asks nobody. */
export const readiness = Effect.fn("readiness")(function* (at: number) {
  const identity = yield* DeviceIdentity
  const membership = Option.getOrUndefined(yield* identity.membership)
  const organisations = membership?.organisations ?? []
  const rooms = yield* Effect.forEach(organisations, (organisation) =>
    recheckingAlways([organisation])(roomsOf(organisation))
  )
  return judge(yield* deviceFacts, rooms.flat(), at)
})

/** What is known of the device itself, without looking at any test. */
export const deviceFacts = Effect.gen(function* () {
  const facts = yield* DeviceFacts
  const history = yield* History
  const identity = yield* DeviceIdentity
  const outbox = yield* Outbox
  const sessions = yield* Sessions
  const standing = yield* Standing
  const streams = yield* Streams
  const membership = Option.getOrUndefined(yield* identity.membership)
  const root = membership === undefined ? undefined : (yield* standing.root).document
  const stages = yield* outbox.counts
  const recent = yield* history.recent(HISTORY_READ)
  const brought = recent.find(
    ({ outcome, verb }) =>
      (verb === "sync" || verb === "import") && (outcome === "done" || outcome === "unchanged")
  )
  return {
    now: yield* Clock.currentTimeMillis,
    enrolled: membership !== undefined,
    fetchedAt: brought?.at ?? null,
    knownPast: yield* streams.floor,
    diskFree: (yield* facts.disk).free,
    certificateEnds: membership?.certificate.notAfter ?? null,
    rootEnds: root?.expires ?? null,
    resultsKey: root !== undefined && root.results !== null,
    resultsWaiting: WAITING.reduce((sum, stage) => sum + (stages.get(stage) ?? 0), 0),
    inProgress: (yield* sessions.list("open")).length
  } satisfies Facts
})

/** The latest of what begins, the earliest of what ends. */
const latest = (...moments: ReadonlyArray<number | undefined>): number | null =>
  moments.reduce<number | null>((a, b) => (b === undefined ? a : Math.max(a ?? b, b)), null)
const earliest = (...moments: ReadonlyArray<number | undefined>): number | null =>
  moments.reduce<number | null>((a, b) => (b === undefined ? a : Math.min(a ?? b, b)), null)

const roomsOf = Effect.fnUntraced(function* (organisation: OrganisationId) {
  const holdings = yield* Holdings
  const kept = new Set(yield* holdings.keptBack(organisation))
  const centers = new Map<EntityId, TestCenter>()
  const deliveries = new Map<EntityId, Delivery>()
  const eligibilities: Array<Eligibility> = []
  yield* Stream.runForEach(
    holdings.entities(organisation, ["test-center", "delivery", "eligibility"]),
    (entity) =>
      Effect.sync(() => {
        if (kept.has(`${entity.kind}/${entity.id}`)) return
        if (entity.kind === "test-center") centers.set(entity.id, entity)
        if (entity.kind === "delivery") deliveries.set(entity.id, entity)
        if (entity.kind === "eligibility") eligibilities.push(entity)
      })
  )
  const rooms: Array<RoomFacts> = []
  for (const eligibility of eligibilities) {
    const center = centers.get(eligibility.testCenter)
    const delivery = deliveries.get(eligibility.delivery)
    if (center === undefined || delivery === undefined) continue
    rooms.push(yield* roomOf(organisation, center, delivery, eligibility))
  }
  return rooms
})

const roomOf = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  center: TestCenter,
  delivery: Delivery,
  { period, proctored, testTakers }: Eligibility
) {
  const blobs = yield* Blobs
  const holdings = yield* Holdings
  const trials = yield* Trials
  const { blob, size, version } = delivery.content
  const here = yield* blobs.size(blob)
  const wraps = testTakers.map((person) => wrapId(delivery.id, version, person))
  const supervisors = [...center.proctors, ...center.administrators]
  return {
    organisation,
    center: center.id,
    centerLabel: center.label,
    delivery: delivery.id,
    label: delivery.label,
    contentHere: Option.isSome(here) && here.value === size,
    openedAt: Option.getOrNull(yield* trials.openedAt(blob)),
    from: latest(delivery.period.from, period.from),
    to: earliest(delivery.period.to, period.to),
    proctored: delivery.proctored || proctored,
    proctors: (yield* holdings.present(organisation, supervisors)).size,
    testTakers: {
      named: testTakers.length,
      present: (yield* holdings.present(organisation, testTakers)).size,
      withKey: (yield* holdings.present(organisation, wraps)).size
    }
  } satisfies RoomFacts
})
