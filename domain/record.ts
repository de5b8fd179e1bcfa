/**
 * The catalogue as central keeps it: people with their names in clear, centers with their links by
 * id, deliveries with the keys that central may hand on. Devices never see these forms; what they
 * are offered is made from them (`entity.ts`).
 *
 * `sealedIdentity` is a private key sealed to central's vault (format §3.1): of a center's roster,
 * of a delivery's content. The private key of a person is not here at all: central forgot it.
 */
import { Schema } from "effect"
import { Content, LABEL_MAX, PasswordWrap, Period, PersonKind } from "./entity.ts"
import { Base64, EntityId, OrganisationId, Recipient, Text } from "./id.ts"
import { foldedLogin } from "./login.ts"

export const OrganisationRecord = Schema.Struct({
  kind: Schema.Literal("organisation"),
  id: EntityId,
  organisation: OrganisationId,
  sealedLoginKey: Base64
})
export type OrganisationRecord = typeof OrganisationRecord.Type

export const CenterRecord = Schema.Struct({
  kind: Schema.Literal("test-center"),
  id: EntityId,
  label: Text(LABEL_MAX),
  organisation: OrganisationId,
  administrators: Schema.Array(EntityId),
  proctors: Schema.Array(EntityId),
  subCenters: Schema.Array(EntityId),
  roster: Schema.Struct({ version: Schema.Int, recipient: Recipient, sealedIdentity: Base64 })
})
export type CenterRecord = typeof CenterRecord.Type

export const PersonRecord = Schema.Struct({
  kind: PersonKind,
  id: EntityId,
  login: Text(LABEL_MAX),
  label: Text(LABEL_MAX),
  firstName: Schema.optionalKey(Text(LABEL_MAX)),
  lastName: Schema.optionalKey(Text(LABEL_MAX)),
  mail: Schema.optionalKey(Text(LABEL_MAX)),
  interfaceLanguage: Text(40),
  defaultLanguage: Schema.optionalKey(Text(40)),
  organisation: Schema.optionalKey(OrganisationId),
  wrap: PasswordWrap
})
export type PersonRecord = typeof PersonRecord.Type

export const DeliveryRecord = Schema.Struct({
  kind: Schema.Literal("delivery"),
  id: EntityId,
  label: Text(LABEL_MAX),
  period: Period,
  maxExecutions: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  proctored: Schema.Boolean,
  content: Content,
  sealedIdentity: Base64
})
export type DeliveryRecord = typeof DeliveryRecord.Type

export const EligibilityRecord = Schema.Struct({
  kind: Schema.Literal("eligibility"),
  id: EntityId,
  testCenter: EntityId,
  delivery: EntityId,
  testTakers: Schema.Array(EntityId),
  proctored: Schema.Boolean,
  period: Period,
  maxExecutions: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0)))
})
export type EligibilityRecord = typeof EligibilityRecord.Type

export const LtiConsumerRecord = Schema.Struct({
  kind: Schema.Literal("lti-consumer"),
  id: EntityId,
  label: Text(LABEL_MAX),
  organisation: OrganisationId,
  key: Text(LABEL_MAX),
  sealedSecret: Base64
})
export type LtiConsumerRecord = typeof LtiConsumerRecord.Type

export const CatalogueRecord = Schema.Union([
  OrganisationRecord,
  CenterRecord,
  PersonRecord,
  DeliveryRecord,
  EligibilityRecord,
  LtiConsumerRecord
])
export type CatalogueRecord = typeof CatalogueRecord.Type

/**
 * The name by which a record is found and updated, unique in the whole catalogue: a person by login
 * (letter case and width do not matter), a center by organisation and label (two schools may both
 * have a "Main hall"), an eligibility by center and delivery.
 */
export const naturalName = (record: CatalogueRecord): string => {
  switch (record.kind) {
    case "organisation":
      return `organisation ${record.organisation}`
    case "test-center":
      return centerName(record.organisation, record.label)
    case "delivery":
      return deliveryName(record.id)
    case "eligibility":
      return eligibilityName(record.testCenter, record.delivery)
    case "lti-consumer":
      return ltiConsumerName(record.key)
    default:
      return personName(record.login)
  }
}

export const personName = (login: string) => `person ${foldedLogin(login)}`
export const centerName = (organisation: OrganisationId, label: string) =>
  `test-center ${JSON.stringify([organisation, label])}`
export const ltiConsumerName = (key: string) => `lti-consumer ${key}`
export const deliveryName = (id: EntityId) => `delivery ${id}`
export const eligibilityName = (center: EntityId, delivery: EntityId) =>
  `eligibility ${center} ${delivery}`

/** The organisation that a record itself belongs to, where it belongs to one. */
export const ownOrganisation = (record: CatalogueRecord): OrganisationId | undefined =>
  "organisation" in record ? record.organisation : undefined

/** The version of the key that a record is about: a center's roster, a delivery's content, a person's. */
export const keyVersion = (record: CatalogueRecord): number => {
  if (record.kind === "test-center") return record.roster.version
  if (record.kind === "delivery") return record.content.version
  return "wrap" in record ? record.wrap.ver : 0
}

/** The label by which people know a record; an eligibility has none. */
export const labelOf = (record: CatalogueRecord): string | null =>
  "label" in record ? record.label : null
