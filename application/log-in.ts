/**
 * Lets a person in on a device: a test-taker who sits, a proctor or an administrator who watches.
 * What the password opened stays in memory, behind a token, until they leave or were idle too long.
 */
import { Effect, Option, Schema } from "effect"
import { type Person, Profile } from "../domain/entity.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { DeviceIdentity, Holdings, Opener, Unopenable } from "./ports.ts"
import { rechecking } from "./recheck.ts"
import { type Visitor, Visitors } from "./session-ports.ts"
import { NotEnrolled } from "./sync.ts"
import { keysOf, unlock } from "./unlock.ts"

/** The password is right, but this door is for people of another kind. */
export class WrongKind extends Schema.TaggedError<WrongKind>()("WrongKind", {
  kind: Schema.String
}) {}

/**
 * Fails with NotEnrolled, WrongPassword or TooManyTries; with WrongKind for somebody whom this door is
 * not for; with Unopenable when the password was right, but what it opens is damaged.
 */
export const logIn = Effect.fn("logIn")(function* (
  login: string,
  password: string,
  kinds: ReadonlyArray<Person["kind"]>,
  from?: string
) {
  const identity = yield* DeviceIdentity
  const opener = yield* Opener
  const visitors = yield* Visitors
  const membership = yield* identity.membership
  if (Option.isNone(membership)) return yield* new NotEnrolled()
  const found = yield* unlock(membership.value.organisations, {
    login,
    password,
    ...(from === undefined ? {} : { from })
  })
  const [first] = found
  // Somebody was found, or the password would have been wrong.
  if (first === undefined) return yield* new Unopenable()
  const { key, person } = first
  if (!kinds.includes(person.kind)) return yield* new WrongKind({ kind: person.kind })
  const text = yield* opener.open(key, person.profile)
  const visitor: Visitor = {
    person: person.id,
    kind: person.kind,
    profile: yield* Effect.mapError(decodeProfile(text), () => new Unopenable()),
    organisations: found
      .filter((one) => one.person.id === person.id && one.key === key)
      .map(({ organisation }) => organisation),
    identity: key
  }
  return { visitor, ...(yield* visitors.admit(visitor)) }
})

const decodeProfile = Schema.decodeUnknownEffect(Schema.fromJsonString(Profile))

/** Keys that somebody was given for one thing (a content, a roster), of whatever version is here. */
export const keysFor = Effect.fnUntraced(function* (
  visitor: Visitor,
  organisation: OrganisationId,
  subject: EntityId
) {
  const holdings = yield* Holdings
  const wraps = yield* rechecking([organisation])(holdings.wrapsFor(organisation, visitor.person))
  return yield* keysOf(
    wraps.filter((wrap) => wrap.subject === subject),
    visitor.identity
  )
})
