/**
 * Makes the offered forms of catalogue records: names become sealed profiles, logins become tags,
 * keys become wraps. What was sealed once is kept and offered again until its stamp changes.
 */
import { Effect } from "effect"
import { canonical } from "../domain/canonical.ts"
import type { Entity, EntityKey } from "../domain/entity.ts"
import { keyText, Profile, WrappedKey } from "../domain/entity.ts"
import type { EntityId, OrganisationId, Recipient } from "../domain/id.ts"
import { organisationNode } from "../domain/id.ts"
import type { Made } from "../domain/offer.ts"
import { sealedStamp, wrapParts } from "../domain/offer.ts"
import type { CatalogueRecord, LtiConsumerRecord, PersonRecord } from "../domain/record.ts"
import type { Offer } from "./ports.ts"
import { Catalogue, Hashing, Opener, SealedStore, Secrets } from "./ports.ts"

export interface Reach {
  readonly reached: ReadonlyMap<EntityId, Made>
  readonly centers: ReadonlyArray<Made>
  readonly showing: ReadonlyMap<EntityId, ReadonlyArray<Made>>
}

/** Makes offers for these keys. A record that vanished meanwhile is left out. */
export const makeOffers = Effect.fn("makeOffers")(function* (
  organisation: OrganisationId,
  keys: ReadonlyArray<EntityKey>,
  reach: Reach,
  stampOf: (key: EntityKey) => string
) {
  const hashing = yield* Hashing
  const kit = yield* makeKit(organisation, keys, reach)
  const boxes = yield* sealMissing(keys, kit)
  const offers: Array<Offer> = []
  for (const key of keys) {
    const entity = yield* offered(key, kit, boxes)
    if (entity === undefined) continue
    const body = canonical(entity)
    offers.push({ key, stamp: stampOf(key), digest: hashing.sha256(body), body })
  }
  return offers
})

/** Everything that the offers of one batch are made from. */
interface Kit {
  readonly organisation: OrganisationId
  readonly loginKey: string
  readonly records: ReadonlyMap<EntityId, CatalogueRecord>
  readonly reach: Reach
}

const makeKit = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  keys: ReadonlyArray<EntityKey>,
  reach: Reach
) {
  const catalogue = yield* Catalogue
  const secrets = yield* Secrets
  const ids = new Set<EntityId>([organisationNode(organisation)])
  for (const key of keys) {
    if (key.kind === "key-wrap") {
      const { subject, reader } = wrapParts(key.id)
      ids.add(subject).add(reader)
    } else {
      ids.add(key.id)
      for (const center of sealedTo(key, reach)) ids.add(center.key.id)
    }
  }
  const records = yield* catalogue.byIds([...ids])
  const own = records.get(organisationNode(organisation))
  const loginKey = own?.kind === "organisation" ? yield* secrets.fromVault(own.sealedLoginKey) : ""
  return { organisation, loginKey, records, reach } satisfies Kit
})

/** The centers to whose rosters the secret part of an entity is sealed. */
const sealedTo = (key: EntityKey, reach: Reach): ReadonlyArray<Made> =>
  key.kind === "lti-consumer" ? reach.centers : (reach.showing.get(key.id) ?? [])

/** Finds or makes the sealed part of each key that has one: by key text, in base64. */
const sealMissing = Effect.fnUntraced(function* (keys: ReadonlyArray<EntityKey>, kit: Kit) {
  const store = yield* SealedStore
  const found = yield* store.find(keys.map(sealKey))
  const boxes = new Map<string, string>()
  const made: Array<{ key: string; stamp: string; box: string }> = []
  const identities = new Map<EntityId, string>()
  for (const key of keys) {
    const stamp = sealStamp(key, kit)
    const known = found.get(sealKey(key))
    if (stamp === undefined) continue
    if (known?.stamp === stamp) {
      boxes.set(keyText(key), known.box)
      continue
    }
    const box = yield* sealOne(key, kit, identities)
    if (box === undefined) continue
    boxes.set(keyText(key), box)
    made.push({ key: sealKey(key), stamp, box })
  }
  yield* store.put(made)
  return boxes
})

const sealKey = (key: EntityKey): string => keyText(key)

const sealStamp = (key: EntityKey, kit: Kit): string | undefined => {
  if (key.kind === "key-wrap") {
    const { reader, subject } = wrapParts(key.id)
    const person = kit.records.get(reader)
    const wrapped = recipientOf(kit.records.get(subject))
    if (person === undefined || !("wrap" in person) || wrapped === undefined) return undefined
    return `${person.wrap.recipient} ${wrapped}`
  }
  const record = kit.records.get(key.id)
  if (record === undefined || !("wrap" in record || record.kind === "lti-consumer"))
    return undefined
  const own = kit.reach.reached.get(key.id)
  return own === undefined ? undefined : sealedStamp(own, sealedTo(key, kit.reach))
}

/** To whom the key belongs that is wrapped: a delivery's content, a center's roster. */
const recipientOf = (record: CatalogueRecord | undefined): Recipient | undefined => {
  if (record?.kind === "delivery") return record.content.recipient
  return record?.kind === "test-center" ? record.roster.recipient : undefined
}

const sealOne = Effect.fnUntraced(function* (
  key: EntityKey,
  kit: Kit,
  identities: Map<EntityId, string>
) {
  if (key.kind === "key-wrap") return yield* sealKeyFor(key.id, kit, identities)
  const record = kit.records.get(key.id)
  const centers = sealedTo(key, kit.reach).flatMap((made) => rosterRecipient(made, kit))
  if (record?.kind === "lti-consumer") return yield* sealSecret(record, centers)
  if (record === undefined || !("wrap" in record)) return undefined
  return yield* sealProfile(record, centers)
})

const sealProfile = Effect.fnUntraced(function* (
  person: PersonRecord,
  centers: ReadonlyArray<Recipient>
) {
  const secrets = yield* Secrets
  const { id, login, label, firstName, lastName, mail, interfaceLanguage, defaultLanguage } = person
  const profile = Profile.make({
    user: id,
    login,
    label,
    interfaceLanguage,
    ...(firstName === undefined ? {} : { firstName }),
    ...(lastName === undefined ? {} : { lastName }),
    ...(mail === undefined ? {} : { mail }),
    ...(defaultLanguage === undefined ? {} : { defaultLanguage })
  })
  return yield* secrets.seal([person.wrap.recipient, ...centers], canonical(profile))
})

const sealSecret = Effect.fnUntraced(function* (
  consumer: LtiConsumerRecord,
  centers: ReadonlyArray<Recipient>
) {
  const secrets = yield* Secrets
  if (centers.length === 0) return undefined
  return yield* secrets.seal(centers, yield* secrets.fromVault(consumer.sealedSecret))
})

/** Seals the key of a delivery's content or a center's roster to one reader (format §3.6). */
const sealKeyFor = Effect.fnUntraced(function* (
  id: EntityId,
  kit: Kit,
  identities: Map<EntityId, string>
) {
  const secrets = yield* Secrets
  const { subject, version, reader } = wrapParts(id)
  const person = kit.records.get(reader)
  const owner = kit.records.get(subject)
  const sealed = owner === undefined ? undefined : sealedIdentityOf(owner)
  if (person === undefined || !("wrap" in person) || sealed === undefined) return undefined
  const identity = identities.get(subject) ?? (yield* secrets.fromVault(sealed))
  identities.set(subject, identity)
  const key = WrappedKey.make({ t: "testferry/cek/1", subject, version, reader, identity })
  return yield* secrets.seal([person.wrap.recipient], canonical(key))
})

const sealedIdentityOf = (record: CatalogueRecord): string | undefined =>
  record.kind === "test-center"
    ? record.roster.sealedIdentity
    : record.kind === "delivery"
      ? record.sealedIdentity
      : undefined

const rosterRecipient = (made: Made, kit: Kit): ReadonlyArray<Recipient> => {
  const center = kit.records.get(made.key.id)
  return center?.kind === "test-center" ? [center.roster.recipient] : []
}

const offered = Effect.fnUntraced(function* (
  key: EntityKey,
  kit: Kit,
  boxes: ReadonlyMap<string, string>
) {
  const opener = yield* Opener
  const box = boxes.get(keyText(key))
  if (key.kind === "key-wrap") {
    return box === undefined ? undefined : keyWrap(key.id, box)
  }
  const record = kit.records.get(key.id)
  if (record === undefined) return undefined
  if ("wrap" in record) {
    const loginTag = opener.loginTag(kit.loginKey, record.login)
    return box === undefined ? undefined : person(record, loginTag, box)
  }
  if (record.kind === "lti-consumer") {
    return box === undefined ? undefined : consumer(record, box)
  }
  return openForm(record, kit.loginKey)
})

const keyWrap = (id: EntityId, box: string): Entity => ({
  kind: "key-wrap",
  id,
  ...wrapParts(id),
  box
})

const person = (
  { kind, id, wrap }: PersonRecord,
  loginTag: ReturnType<Opener["Service"]["loginTag"]>,
  profile: string
): Entity => ({ kind, id, loginTag, wrap, profile })

const consumer = ({ kind, id, label, key }: LtiConsumerRecord, secret: string): Entity => ({
  kind,
  id,
  label,
  key,
  secret
})

/** The offered form of a record that has nothing sealed in it: the record without central's keys. */
const openForm = (
  record: Exclude<CatalogueRecord, PersonRecord | LtiConsumerRecord>,
  loginKey: string
): Entity => {
  switch (record.kind) {
    case "organisation":
      return { kind: "organisation", id: record.id, organisation: record.organisation, loginKey }
    case "test-center": {
      const { version, recipient } = record.roster
      return { ...record, roster: { version, recipient } }
    }
    case "delivery": {
      const { sealedIdentity: _, ...open } = record
      return open
    }
    case "eligibility":
      return record
  }
}
