/** Makes catalogue records for tests of storage: well formed, but nothing in them opens anything. */
import type { PersonKind } from "../../domain/entity.ts"
import { Digest, EntityId, OrganisationId, organisationNode, Recipient } from "../../domain/id.ts"
import type {
  CatalogueRecord,
  CenterRecord,
  DeliveryRecord,
  EligibilityRecord,
  LtiConsumerRecord,
  OrganisationRecord,
  PersonRecord
} from "../../domain/record.ts"

/** What the field really uses, and what breaks careless handling of text. */
export const ZERO = OrganisationId.make("0123")
export const PLAIN = OrganisationId.make("123")
export const STRANGE = OrganisationId.make("a=b&c/%é")
export const ORGANISATIONS = [ZERO, PLAIN, STRANGE]

const recipient = Recipient.make("age1x")
const digest = Digest.make("0".repeat(64))

export const id = (text: string): EntityId => EntityId.make(text)
export const idOf = (record: CatalogueRecord): EntityId => record.id

export const organisation = (name: OrganisationId): OrganisationRecord => ({
  kind: "organisation",
  id: organisationNode(name),
  organisation: name,
  sealedLoginKey: "aaaa"
})

export const wrap = (ver = 1) => ({
  cost: { memoryKiB: 19_456, passes: 2 },
  salt: "aaaa",
  ver,
  recipient,
  box: "aaaa"
})

export const person = (
  login: string,
  kind: PersonKind = "test-taker",
  more: Partial<PersonRecord> = {}
): PersonRecord => ({
  kind,
  id: id(`usr_${login}`),
  login,
  label: `Label of ${login}`,
  interfaceLanguage: "en-GB",
  wrap: wrap(),
  ...more
})

export const center = (
  name: string,
  owner: OrganisationId,
  more: Partial<CenterRecord> = {}
): CenterRecord => ({
  kind: "test-center",
  id: id(`ctr_${name}`),
  label: name,
  organisation: owner,
  administrators: [],
  proctors: [],
  subCenters: [],
  roster: { version: 1, recipient, sealedIdentity: "aaaa" },
  ...more
})

export const delivery = (name: string, version = 1): DeliveryRecord => ({
  kind: "delivery",
  id: id(`dlv_${name}`),
  label: name,
  period: {},
  proctored: false,
  content: {
    version,
    blob: digest,
    size: 1,
    plainSize: 1,
    plainSha256: digest,
    recipient,
    qti: "2.1"
  },
  sealedIdentity: "aaaa"
})

export const eligibility = (
  name: string,
  testCenter: EntityId,
  what: EntityId,
  testTakers: ReadonlyArray<EntityId>
): EligibilityRecord => ({
  kind: "eligibility",
  id: id(`elg_${name}`),
  testCenter,
  delivery: what,
  testTakers,
  proctored: true,
  period: { from: 1, to: 2 }
})

export const consumer = (name: string, owner: OrganisationId): LtiConsumerRecord => ({
  kind: "lti-consumer",
  id: id(`lti_${name}`),
  label: name,
  organisation: owner,
  key: name,
  sealedSecret: "aaaa"
})

/** Many ids of one sort, more than any statement takes at once. */
export const MANY = 1_500
export const many = <A>(make: (name: string) => A): ReadonlyArray<A> =>
  Array.from({ length: MANY }, (_, at) => make(`n${String(at).padStart(4, "0")}`))
