/** Makes catalogues, manifests and the like by chance, from pools so small that things collide. */
import fc from "fast-check"
import type { Content, PasswordWrap } from "../../domain/entity.ts"
import { Digest, EntityId, OrganisationId, organisationNode, Recipient } from "../../domain/id.ts"
import type { CatalogueRecord } from "../../domain/record.ts"

/** Ids that a careless comparison takes for the same. */
export const ORGANISATIONS = ["0123", "123", "1e3", "é"].map((id) => OrganisationId.make(id))
const CENTERS = ["ctr_1", "ctr_01", "ctr_a", "ctr_A"].map((id) => EntityId.make(id))
const STAFF = ["usr_a", "usr_b", "usr_A"].map((id) => EntityId.make(id))
const TAKERS = ["usr_1", "usr_01", "usr_1e0", "usr_é"].map((id) => EntityId.make(id))
const DELIVERIES = ["dlv_1", "dlv_0:1", "dlv_x"].map((id) => EntityId.make(id))

const RECIPIENT = Recipient.make("age1q")
const DIGEST = Digest.make("0".repeat(64))
const WRAP: PasswordWrap = {
  cost: { memoryKiB: 8, passes: 1 },
  salt: "",
  ver: 1,
  recipient: RECIPIENT,
  box: ""
}
const CONTENT: Content = {
  version: 1,
  blob: DIGEST,
  size: 1,
  plainSize: 1,
  plainSha256: DIGEST,
  recipient: RECIPIENT,
  qti: "2.1"
}

const some = <A>(items: ReadonlyArray<A>) => fc.subarray([...items])
const version = fc.integer({ min: 1, max: 3 })

const organisations = some(ORGANISATIONS).map((ids) =>
  ids.map(
    (organisation): CatalogueRecord => ({
      kind: "organisation",
      id: organisationNode(organisation),
      organisation,
      sealedLoginKey: ""
    })
  )
)

/** Logins are the same whatever their case, ids are not. */
const loginOf = (id: EntityId) => Buffer.from(id).toString("hex")

const people = fc
  .tuple(some(STAFF), some(TAKERS), fc.constantFrom(...ORGANISATIONS))
  .map(([staff, takers, organisation]): ReadonlyArray<CatalogueRecord> => {
    const person = { label: "l", interfaceLanguage: "en", wrap: WRAP }
    return [
      ...staff.map((id) => ({ ...person, kind: "proctor" as const, id, login: loginOf(id) })),
      ...takers.map((id) => ({ ...person, kind: "test-taker" as const, id, login: loginOf(id) })),
      {
        ...person,
        kind: "sync-manager",
        id: EntityId.make("usr_m"),
        login: "m",
        organisation
      }
    ]
  })

/** Names whatever it likes, also what is not in the catalogue, and sub-centers in circles. */
const center = (id: EntityId): fc.Arbitrary<CatalogueRecord> =>
  fc
    .tuple(fc.constantFrom(...ORGANISATIONS), some(STAFF), some(STAFF), some(CENTERS), version)
    .map(([organisation, administrators, proctors, subCenters, ver]) => ({
      kind: "test-center",
      id,
      label: id,
      organisation,
      administrators,
      proctors,
      subCenters,
      roster: { version: ver, recipient: RECIPIENT, sealedIdentity: "" }
    }))

const delivery = (id: EntityId): fc.Arbitrary<CatalogueRecord> =>
  version.map((ver) => ({
    kind: "delivery",
    id,
    label: id,
    period: {},
    proctored: false,
    content: { ...CONTENT, version: ver },
    sealedIdentity: ""
  }))

const eligibility = (testCenter: EntityId, delivery: EntityId): fc.Arbitrary<CatalogueRecord> =>
  some(TAKERS).map((testTakers) => ({
    kind: "eligibility",
    id: EntityId.make(`elg_${testCenter.slice(4)}.${delivery.slice(4)}`),
    testCenter,
    delivery,
    testTakers,
    proctored: false,
    period: {}
  }))

const consumer: fc.Arbitrary<CatalogueRecord> = fc
  .constantFrom(...ORGANISATIONS)
  .map((organisation) => ({
    kind: "lti-consumer",
    id: EntityId.make("lti_1"),
    label: "l",
    organisation,
    key: "k",
    sealedSecret: ""
  }))

const each = <A, B>(items: ReadonlyArray<A>, make: (item: A) => fc.Arbitrary<B>) =>
  some(items).chain((chosen) => fc.tuple(...chosen.map(make)))

/** A whole catalogue, each id at most once. */
export const catalogue: fc.Arbitrary<ReadonlyArray<CatalogueRecord>> = fc
  .tuple(
    organisations,
    people,
    each(CENTERS, center),
    each(DELIVERIES, delivery),
    each(
      CENTERS.flatMap((one) => DELIVERIES.map((other) => [one, other] as const)),
      ([one, other]) => eligibility(one, other)
    ),
    fc.option(consumer, { nil: undefined })
  )
  .map(([orgs, persons, centers, deliveries, eligibilities, lti]) => [
    ...orgs,
    ...persons,
    ...centers,
    ...deliveries,
    ...eligibilities,
    ...(lti === undefined ? [] : [lti])
  ])

/** A digest of few: collisions are wanted. */
export const digest = fc.constantFrom("a", "b", "c")
const key = fc.constantFrom(
  "delivery/0123",
  "delivery/123",
  "delivery/1e3",
  "person/123",
  "person/é"
)
export const manifest = fc.array(fc.tuple(key, digest), { maxLength: 6 }).map((all) => new Map(all))
export const keys = fc.array(key, { maxLength: 4 }).map((all) => new Set(all))

export const sha256 = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString("hex"))
