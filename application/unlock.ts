/**
 * Finds who has a login on this device, tries the password, and takes out the keys that it opens:
 * what opening, sitting and proctoring have in common (format §3.5, §3.6).
 */
import { Clock, Effect, Option, Result, Schema, Stream } from "effect"
import type { KeyWrap, PasswordWrap, Person } from "../domain/entity.ts"
import { PERSON_KINDS, WrappedKey } from "../domain/entity.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { organisationNode } from "../domain/id.ts"
import { foldedLogin } from "../domain/login.ts"
import {
  Atomic,
  Hashing,
  HoldingDamaged,
  Holdings,
  LoginTries,
  Opener,
  Passwords,
  WrongPassword
} from "./ports.ts"
import { rechecking } from "./recheck.ts"

/** What somebody typed. `from`: the address of their machine, where it is another one. */
export interface Typed {
  readonly login: string
  readonly password: string
  readonly from?: string
}

/**
 * Answers the person of this login in each organisation, with their key. Fails with WrongPassword or
 * TooManyTries, alike for a login that nobody has; with HoldingDamaged when it can't be told who.
 */
export const unlock = Effect.fnUntraced(function* (
  organisations: ReadonlyArray<OrganisationId>,
  typed: Typed
) {
  const recheck = rechecking(organisations)
  const people = yield* recheck(findPeople(organisations, typed.login))
  const anybody = yield* recheck(anyWrap(organisations))
  return yield* admitted(typed, people, anybody)
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
 * Tries the password, counted before it is worked on, so that of many at once not all pass uncounted;
 * and for each machine apart, so that nobody keeps others from their exam by trying their logins.
 */
const admitted = Effect.fnUntraced(function* (
  { from, login, password }: Typed,
  people: ReadonlyArray<Found>,
  anybody: Option.Option<PasswordWrap>
) {
  const atomic = yield* Atomic
  const hashing = yield* Hashing
  const passwords = yield* Passwords
  const tries = yield* LoginTries
  const tag = hashing.sha256(
    [`login ${foldedLogin(login)}`, ...(from === undefined ? [] : [from])].join("\n")
  )
  const now = yield* Clock.currentTimeMillis
  yield* atomic.run(Effect.andThen(tries.admit(tag, now), tries.failed(tag, now)))
  const found = yield* people.length === 0
    ? passwords.decoy(password, Option.getOrUndefined(anybody))
    : unwrapped(people, password)
  yield* tries.clear(tag)
  return found
})

/**
 * The organisations that know a person by this password. All do, with one key and one derivation; but
 * while one has been pulled and another not yet, a changed password is known to some only.
 */
const unwrapped = Effect.fnUntraced(function* (people: ReadonlyArray<Found>, password: string) {
  const passwords = yield* Passwords
  const keys = new Map<string, Result.Result<string, WrongPassword>>()
  for (const { person } of people) {
    const { recipient } = person.wrap
    if (keys.has(recipient)) continue
    keys.set(recipient, yield* Effect.result(passwords.unwrap(person.id, person.wrap, password)))
  }
  const found = people.flatMap((one) => {
    const key = keys.get(one.person.wrap.recipient)
    return key !== undefined && Result.isSuccess(key) ? [{ ...one, key: key.success }] : []
  })
  return found.length > 0 ? found : yield* new WrongPassword()
})

/**
 * The keys in wraps that are for a person, by what they open and which version of it; each wrap must
 * say what it is. A version may be of an earlier life of a delivery, so no version is the newest.
 */
export const keysOf = Effect.fnUntraced(function* (wraps: ReadonlyArray<KeyWrap>, key: string) {
  const opener = yield* Opener
  const keys = new Map<string, string>()
  for (const wrap of wraps) {
    const opened = yield* Effect.option(opener.open(key, wrap.box))
    if (Option.isNone(opened)) continue
    const said = yield* Effect.option(decodeKey(opened.value))
    if (Option.isNone(said) || !agrees(wrap, said.value)) continue
    keys.set(keyName(wrap.subject, wrap.version), said.value.identity)
  }
  return keys
})

export const keyName = (subject: EntityId, version: number): string => `${version} ${subject}`

export type Keys = Effect.Success<ReturnType<typeof keysOf>>

const agrees = (wrap: KeyWrap, key: WrappedKey): boolean =>
  wrap.subject === key.subject && wrap.version === key.version && wrap.reader === key.reader

const decodeKey = Schema.decodeUnknownEffect(Schema.fromJsonString(WrappedKey))
