/**
 * Opens on a device what a person may read there: their profile, the deliveries they may sit, the
 * roster of their centers. Needs nothing but the login and the password; no network, no other key.
 *
 * A wrong password and a login that nobody has cost the same time, are counted alike and are
 * answered alike (format §3.5). What is opened is in memory only.
 */
import { Clock, Effect, Option, Schema, Stream } from "effect"
import type { Sitting } from "../domain/eligible.ts"
import { sitting } from "../domain/eligible.ts"
import type { Delivery, Eligibility, Person } from "../domain/entity.ts"
import { Profile } from "../domain/entity.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { DeviceIdentity, HoldingDamaged, Holdings, Opener } from "./ports.ts"
import { proveContent } from "./prove-content.ts"
import { rechecking } from "./recheck.ts"
import { NotEnrolled } from "./sync.ts"
import { type Keys, keyName, keysOf, unlock } from "./unlock.ts"

export interface OpenDelivery {
  readonly delivery: Delivery
  readonly eligibility: Eligibility
  readonly sitting: Sitting
  /** What was read out of the content with the person's key, or why it could not be. */
  readonly content:
    | { readonly files: number; readonly name: string; readonly bytes: number }
    | "missing"
    | "no key"
    | "unopenable"
}

export interface Opened {
  readonly organisation: OrganisationId
  readonly kind: Person["kind"]
  readonly profile: Profile
  readonly deliveries: ReadonlyArray<OpenDelivery>
  readonly roster: ReadonlyArray<{
    readonly center: string
    readonly people: ReadonlyArray<Profile>
  }>
}

/**
 * Answers one entry per organisation of the login. Fails with WrongPassword or TooManyTries; with
 * Unopenable when the password was right, but what it opens is damaged; with HoldingDamaged when the
 * person, or a delivery of theirs, can't be read here any more.
 */
export const open = Effect.fn("open")(function* (login: string, password: string) {
  const identity = yield* DeviceIdentity
  const membership = yield* identity.membership
  if (Option.isNone(membership)) return yield* new NotEnrolled()
  const unlocked = yield* unlock(membership.value.organisations, { login, password })
  return yield* Effect.forEach(unlocked, ({ organisation, person, key }) =>
    rechecking([organisation])(openFor(organisation, person, key))
  )
})

const openFor = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  person: Person,
  key: string
) {
  const opener = yield* Opener
  const text = yield* opener.open(key, person.profile)
  const holdings = yield* Holdings
  const keys = yield* keysOf(yield* holdings.wrapsFor(organisation, person.id), key)
  const readsRoster = person.kind === "proctor" || person.kind === "administrator"
  return {
    organisation,
    kind: person.kind,
    profile: yield* Effect.orDie(decodeProfile(text)),
    deliveries: person.kind === "test-taker" ? yield* sittings(organisation, person.id, keys) : [],
    roster: readsRoster ? yield* rosterOf(organisation, keys) : []
  } satisfies Opened
})

const sittings = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  taker: EntityId,
  keys: Keys
) {
  const holdings = yield* Holdings
  const now = yield* Clock.currentTimeMillis
  const mine: Array<Eligibility> = []
  yield* Stream.runForEach(holdings.entities(organisation, ["eligibility"]), (entity) =>
    Effect.sync(() => {
      if (entity.kind === "eligibility" && entity.testTakers.includes(taker)) mine.push(entity)
    })
  )
  return yield* Effect.forEach(
    mine,
    Effect.fnUntraced(function* (eligibility) {
      const [delivery] = yield* holdings.byIds(organisation, [eligibility.delivery])
      if (delivery?.kind !== "delivery") return yield* new HoldingDamaged({ organisation })
      const content = yield* proofOf(delivery, keys)
      return {
        delivery,
        eligibility,
        sitting: sitting(now, delivery, eligibility),
        content
      } satisfies OpenDelivery
    })
  )
})

const proofOf = Effect.fnUntraced(function* (delivery: Delivery, keys: Keys) {
  const key = keys.get(keyName(delivery.id, delivery.content.version))
  if (key === undefined) return "no key" as const
  return yield* proveContent(delivery.content, key).pipe(
    Effect.catchTags({
      BlobDamaged: () => Effect.succeed("missing" as const),
      Unopenable: () => Effect.succeed("unopenable" as const)
    })
  )
})

/** The people of the centers whose roster key was wrapped for the reader. */
const rosterOf = Effect.fnUntraced(function* (organisation: OrganisationId, keys: Keys) {
  const holdings = yield* Holdings
  const opener = yield* Opener
  const centers = new Map<EntityId, { readonly label: string; readonly key: string }>()
  yield* Stream.runForEach(holdings.entities(organisation, ["test-center"]), (entity) =>
    Effect.sync(() => {
      if (entity.kind !== "test-center") return
      const key = keys.get(keyName(entity.id, entity.roster.version))
      if (key !== undefined) centers.set(entity.id, { label: entity.label, key })
    })
  )
  const takersByCenter = new Map<EntityId, Set<EntityId>>()
  yield* Stream.runForEach(holdings.entities(organisation, ["eligibility"]), (entity) =>
    Effect.sync(() => {
      if (entity.kind !== "eligibility" || !centers.has(entity.testCenter)) return
      const takers = takersByCenter.get(entity.testCenter) ?? new Set()
      for (const taker of entity.testTakers) takers.add(taker)
      takersByCenter.set(entity.testCenter, takers)
    })
  )
  const rosters: Array<Opened["roster"][number]> = []
  for (const [id, { key, label }] of centers) {
    const people: Array<Profile> = []
    for (const entity of yield* holdings.byIds(organisation, [...(takersByCenter.get(id) ?? [])])) {
      if (!("profile" in entity)) continue
      const text = yield* Effect.option(opener.open(key, entity.profile))
      if (Option.isSome(text)) people.push(yield* Effect.orDie(decodeProfile(text.value)))
    }
    rosters.push({ center: label, people: people.sort(byLogin) })
  }
  return rosters
})

const byLogin = (a: Profile, b: Profile) => (a.login < b.login ? -1 : a.login > b.login ? 1 : 0)

const decodeProfile = Schema.decodeUnknownEffect(Schema.fromJsonString(Profile))
