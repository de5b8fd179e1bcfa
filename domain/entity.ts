/**
 * The entities that central offers to devices, as they travel and as a device stores them.
 *
 * Nothing personal is readable in them: a person's login is a keyed tag, the profile is an age file
 * to that person's key and to the roster keys of the centers concerned, the key is wrapped by the
 * password (format §3.5). Besides the eight kinds of the catalogue there are two that carry
 * secrets: `organisation` (the key of the login tags) and `key-wrap` (a delivery's content key or a
 * center's roster key, sealed to one reader).
 */
import { Schema } from "effect"
import { Base64, Digest, EntityId, Millis, OrganisationId, Recipient, Text } from "./id.ts"

/** In the order in which they are listed and counted for people. */
export const KINDS = [
  "organisation",
  "test-center",
  "administrator",
  "proctor",
  "sync-manager",
  "test-taker",
  "delivery",
  "eligibility",
  "lti-consumer",
  "key-wrap"
] as const
export const Kind = Schema.Literals(KINDS)
export type Kind = typeof Kind.Type

export const PERSON_KINDS = ["administrator", "proctor", "sync-manager", "test-taker"] as const
export const PersonKind = Schema.Literals(PERSON_KINDS)
export type PersonKind = typeof PersonKind.Type

export const LABEL_MAX = 300
/** So that an eligibility stays below the line limit of a bundle (format §2.5). */
export const TEST_TAKERS_MAX = 10_000
/** The longest body of one entity, in characters. */
export const BODY_MAX = 1_048_576

/** A user key wrapped by a password (format §3.5). Sizes in KiB; `box` holds commit, nonce and key. */
export const PasswordWrap = Schema.Struct({
  cost: Schema.Struct({ memoryKiB: Schema.Int, passes: Schema.Int }),
  salt: Base64,
  ver: Schema.Int,
  recipient: Recipient,
  box: Base64
})
export type PasswordWrap = typeof PasswordWrap.Type

export const Organisation = Schema.Struct({
  kind: Schema.Literal("organisation"),
  id: EntityId,
  organisation: OrganisationId,
  loginKey: Base64
})
export type Organisation = typeof Organisation.Type

export const TestCenter = Schema.Struct({
  kind: Schema.Literal("test-center"),
  id: EntityId,
  label: Text(LABEL_MAX),
  organisation: OrganisationId,
  administrators: Schema.Array(EntityId),
  proctors: Schema.Array(EntityId),
  subCenters: Schema.Array(EntityId),
  roster: Schema.Struct({ version: Schema.Int, recipient: Recipient })
})
export type TestCenter = typeof TestCenter.Type

/** An administrator, proctor, sync manager or test-taker. `profile` is an age file in base64. */
export const Person = Schema.Struct({
  kind: PersonKind,
  id: EntityId,
  loginTag: Digest,
  wrap: PasswordWrap,
  profile: Base64
})
export type Person = typeof Person.Type

/** What a profile says once it is opened. */
export const Profile = Schema.Struct({
  user: EntityId,
  login: Text(LABEL_MAX),
  label: Text(LABEL_MAX),
  firstName: Schema.optionalKey(Text(LABEL_MAX)),
  lastName: Schema.optionalKey(Text(LABEL_MAX)),
  mail: Schema.optionalKey(Text(LABEL_MAX)),
  interfaceLanguage: Text(40),
  defaultLanguage: Schema.optionalKey(Text(40))
})
export type Profile = typeof Profile.Type

/** One version of a delivery's content: an age file named by the digest of its ciphertext. */
export const Content = Schema.Struct({
  version: Schema.Int,
  blob: Digest,
  size: Schema.Int,
  plainSize: Schema.Int,
  plainSha256: Digest,
  recipient: Recipient,
  qti: Text(40)
})
export type Content = typeof Content.Type

/** When something may be used; either end may be open. */
export const Period = Schema.Struct({
  from: Schema.optionalKey(Millis),
  to: Schema.optionalKey(Millis)
})
export type Period = typeof Period.Type

export const Delivery = Schema.Struct({
  kind: Schema.Literal("delivery"),
  id: EntityId,
  label: Text(LABEL_MAX),
  period: Period,
  maxExecutions: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  proctored: Schema.Boolean,
  content: Content
})
export type Delivery = typeof Delivery.Type

export const Eligibility = Schema.Struct({
  kind: Schema.Literal("eligibility"),
  id: EntityId,
  testCenter: EntityId,
  delivery: EntityId,
  testTakers: Schema.Array(EntityId).check(Schema.isMaxLength(TEST_TAKERS_MAX)),
  proctored: Schema.Boolean,
  period: Period,
  maxExecutions: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0)))
})
export type Eligibility = typeof Eligibility.Type

/** A learning platform that may launch deliveries; `secret` is sealed to the rosters of the centers. */
export const LtiConsumer = Schema.Struct({
  kind: Schema.Literal("lti-consumer"),
  id: EntityId,
  label: Text(LABEL_MAX),
  key: Text(LABEL_MAX),
  secret: Base64
})
export type LtiConsumer = typeof LtiConsumer.Type

/** The key of `subject` (a delivery's content version, or a center's roster) sealed to `reader`. */
export const KeyWrap = Schema.Struct({
  kind: Schema.Literal("key-wrap"),
  id: EntityId,
  subject: EntityId,
  version: Schema.Int,
  reader: EntityId,
  box: Base64
})
export type KeyWrap = typeof KeyWrap.Type

/** What a key wrap says once it is opened; compared with the wrap, since age has no context (format §3.6). */
export const WrappedKey = Schema.Struct({
  t: Schema.Literal("testferry/cek/1"),
  subject: EntityId,
  version: Schema.Int,
  reader: EntityId,
  identity: Schema.String
})
export type WrappedKey = typeof WrappedKey.Type

export const Entity = Schema.Union([
  Organisation,
  TestCenter,
  Person,
  Delivery,
  Eligibility,
  LtiConsumer,
  KeyWrap
])
export type Entity = typeof Entity.Type

export interface EntityKey {
  readonly kind: Kind
  readonly id: EntityId
}

/** A key as one string, for maps and sets. */
export const keyText = (key: EntityKey): string => `${key.kind}/${key.id}`

export const keyFromText = (text: string): EntityKey => {
  const slash = text.indexOf("/")
  return { kind: Kind.make(text.slice(0, slash) as Kind), id: EntityId.make(text.slice(slash + 1)) }
}

/** Every entity that this one names and that must therefore be held with it (invariant 2). */
export const references = (entity: Entity): ReadonlyArray<EntityId> => {
  switch (entity.kind) {
    case "test-center":
      return [...entity.administrators, ...entity.proctors, ...entity.subCenters]
    case "eligibility":
      return [entity.testCenter, entity.delivery, ...entity.testTakers]
    case "key-wrap":
      return [entity.subject, entity.reader]
    default:
      return []
  }
}

/** By what an entity is looked up, beside its id: a person by login tag, a key wrap by reader. */
export const lookups = (entity: Entity | null) => ({
  tag: entity !== null && "loginTag" in entity ? entity.loginTag : null,
  reader: entity?.kind === "key-wrap" ? entity.reader : null
})

/** Kinds that must come along when only some kinds are asked for, so that references resolve. */
export const withReferred = (kinds: ReadonlyArray<Kind>): ReadonlySet<Kind> => {
  const wanted = new Set<Kind>(kinds)
  if (wanted.has("delivery")) wanted.add("key-wrap")
  if (wanted.has("key-wrap") || wanted.has("eligibility")) {
    for (const kind of ["test-center", "delivery", "test-taker", "key-wrap"] as const)
      wanted.add(kind)
  }
  if (wanted.has("test-center")) wanted.add("administrator").add("proctor")
  if (PERSON_KINDS.some((kind) => wanted.has(kind))) wanted.add("organisation")
  return wanted
}
