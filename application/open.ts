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
import type { Delivery, Eligibility, KeyWrap, PasswordWrap, Person } from "../domain/entity.ts"
import { PERSON_KINDS, Profile, WrappedKey } from "../domain/entity.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { organisationNode } from "../domain/id.ts"
import { foldedLogin } from "../domain/login.ts"
import {
  Atomic,
  Contents,
  DeviceIdentity,
  Hashing,
  HoldingDamaged,
  Holdings,
  LoginTries,
  Opener,
  Passwords
} from "./ports.ts"
import { rechecking } from "./recheck.ts"
import { NotEnrolled } from "./sync.ts"

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
  const { organisations } = membership.value
  const recheck = rechecking(organisations)
  const people = yield* recheck(findPeople(organisations, login))
  const anybody = yield* recheck(anyWrap(organisations))
  const unlocked = yield* admitted(login, password, people, anybody)
  return yield* Effect.forEach(unlocked, ({ organisation, person, key }) =>
    rechecking([organisation])(openFor(organisation, person, key))
  )
})

interface Found {
  readonly organisation: OrganisationId
  readonly person: Person
}

const findPeople = Effect.fnUntraced(function* (
  organisations: ReadonlyArray<OrganisationId>,
  login: string
) {
  const holdings = yield* Holdings
  const opener = yield* Opener
  const found: Array<Found> = []
  let unreadable: OrganisationId | undefined
  for (const organisation of organisations) {
    const node = organisationNode(organisation)
    const [own] = yield* holdings.byIds(organisation, [node])
    if (own?.kind !== "organisation") {
      if ((yield* holdings.present(organisation, [node])).size > 0) unreadable = organisation
      continue
    }
    const tag = opener.loginTag(own.loginKey, login)
    const person = yield* holdings.personByTag(organisation, tag)
    if (Option.isSome(person)) found.push({ organisation, person: person.value })
  }
  if (found.length === 0 && unreadable !== undefined) {
    return yield* new HoldingDamaged({ organisation: unreadable })
  }
  return found
})

/** Somebody's wrap: a login that nobody has must cost what it would cost if somebody had it. */
const anyWrap = Effect.fnUntraced(function* (organisations: ReadonlyArray<OrganisationId>) {
  const holdings = yield* Holdings
  const people = Stream.fromIterable(organisations).pipe(
    Stream.flatMap((organisation) => holdings.entities(organisation, PERSON_KINDS)),
    Stream.filter((entity) => "wrap" in entity)
  )
  return Option.map(yield* Stream.runHead(people), ({ wrap }) => wrap)
})

/**
 * Tries the password, once for all organisations: a person has one key everywhere. The try is
 * counted before it is worked on, so that of many at once not all pass uncounted.
 */
const admitted = Effect.fnUntraced(function* (
  login: string,
  password: string,
  people: ReadonlyArray<Found>,
  anybody: Option.Option<PasswordWrap>
) {
  const atomic = yield* Atomic
  const hashing = yield* Hashing
  const passwords = yield* Passwords
  const tries = yield* LoginTries
  const tag = hashing.sha256(`login ${foldedLogin(login)}`)
  const now = yield* Clock.currentTimeMillis
  yield* atomic.run(Effect.andThen(tries.admit(tag, now), tries.failed(tag, now)))
  const [first] = people
  const key = yield* first === undefined
    ? passwords.decoy(password, Option.getOrUndefined(anybody))
    : passwords.unwrap(first.person.id, first.person.wrap, password)
  yield* tries.clear(tag)
  return people.map((found) => ({ ...found, key }))
})

const openFor = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  person: Person,
  key: string
) {
  const opener = yield* Opener
  const text = yield* opener.open(key, person.profile)
  const keys = yield* keysOf(organisation, person.id, key)
  const readsRoster = person.kind === "proctor" || person.kind === "administrator"
  return {
    organisation,
    kind: person.kind,
    profile: yield* Effect.orDie(decodeProfile(text)),
    deliveries: person.kind === "test-taker" ? yield* sittings(organisation, person.id, keys) : [],
    roster: readsRoster ? yield* rosterOf(organisation, keys) : []
  } satisfies Opened
})

/**
 * The keys that are wrapped for a person, by what they open and which version of it; each wrap must
 * say what it is. A version may be of an earlier life of a delivery, so no version is the newest.
 */
const keysOf = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  reader: EntityId,
  key: string
) {
  const holdings = yield* Holdings
  const opener = yield* Opener
  const keys = new Map<string, string>()
  for (const wrap of yield* holdings.wrapsFor(organisation, reader)) {
    const opened = yield* Effect.option(opener.open(key, wrap.box))
    if (Option.isNone(opened)) continue
    const said = yield* Effect.option(decodeKey(opened.value))
    if (Option.isNone(said) || !agrees(wrap, said.value)) continue
    keys.set(keyName(wrap.subject, wrap.version), said.value.identity)
  }
  return keys
})

const keyName = (subject: EntityId, version: number): string => `${version} ${subject}`

type Keys = Effect.Success<ReturnType<typeof keysOf>>

const agrees = (wrap: KeyWrap, key: WrappedKey): boolean =>
  wrap.subject === key.subject && wrap.version === key.version && wrap.reader === key.reader

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
  const contents = yield* Contents
  const key = keys.get(keyName(delivery.id, delivery.content.version))
  if (key === undefined) return "no key" as const
  return yield* contents.prove(delivery.content, key).pipe(
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
const decodeKey = Schema.decodeUnknownEffect(Schema.fromJsonString(WrappedKey))
