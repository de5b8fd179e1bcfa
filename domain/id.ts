/**
 * Names every identifier once, branded, so that one kind of id cannot pass for another.
 *
 * Entity ids are made by central and never reused. An organisation id comes from the field
 * ("0123" and "123" are two organisations) and is compared exactly, never as a number.
 */
import { Schema } from "effect"

const CONTROL_FREE = /^[^\p{Cc}\p{Cs}]*$/u

/** Text a person typed: trimmed, one line, no control characters. */
export const Text = (max: number) =>
  Schema.Trimmed.check(
    Schema.isNonEmpty(),
    Schema.isMaxLength(max),
    Schema.isPattern(CONTROL_FREE, {
      message: "Expected one line of text"
    })
  )

export const ORGANISATION_ID_MAX = 128

/** The scope of a synchronisation: a free string, compared exactly. */
export const OrganisationId = Text(ORGANISATION_ID_MAX).pipe(Schema.brand("OrganisationId"))
export type OrganisationId = typeof OrganisationId.Type

/** An entity of the catalogue, unique across kinds: a prefix that tells the kind, then a free part. */
export const EntityId = Schema.String.check(
  Schema.isMaxLength(400),
  Schema.isPattern(/^[a-z]{2,3}[:_][^\p{Cc}\p{Cs}]+$/u, {
    message: "Expected an id as central makes them, such as dlv_rivers"
  })
).pipe(Schema.brand("EntityId"))
export type EntityId = typeof EntityId.Type

/**
 * The longest name of a delivery: with its prefix it still fits a cell of a roster (255), and the ids
 * of its key wraps, which have a person's id beside it, stay within those of entities.
 */
export const DELIVERY_NAME_MAX = 250

/** A delivery as people name it: its id, with or without the prefix `dlv_`. */
export const DeliveryName = Text(DELIVERY_NAME_MAX).check(
  Schema.isPattern(/^(?!dlv_$)/u, { message: "Expected more than the prefix dlv_" })
)

/** A device, named by central at enrolment. */
export const DeviceId = Schema.String.check(Schema.isPattern(/^dev_[a-z0-9]{6,32}$/u)).pipe(
  Schema.brand("DeviceId")
)
export type DeviceId = typeof DeviceId.Type

/** SHA-256 in lower-case hex: the name of bytes. */
export const Digest = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/u)).pipe(
  Schema.brand("Digest")
)
export type Digest = typeof Digest.Type

/** An age recipient: to whom something is sealed. */
export const Recipient = Schema.String.check(
  Schema.isMaxLength(2_200),
  Schema.isPattern(/^age1[0-9a-z]+$/u)
).pipe(Schema.brand("Recipient"))
export type Recipient = typeof Recipient.Type

/** Bytes in standard base64. */
export const Base64 = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9+/]*={0,2}$/u))

/** Milliseconds since 1970, the one form of time on wires and in rows. */
export const Millis = Schema.Int.check(
  Schema.isBetween({ minimum: 0, maximum: 253_402_300_799_999 })
)

/** The node of an organisation in the graph of the catalogue. */
export const organisationNode = (organisation: OrganisationId): EntityId =>
  EntityId.make(`org:${organisation}`)

/** The organisation that a node stands for, or undefined when the node is something else. */
export const organisationOfNode = (id: string): OrganisationId | undefined =>
  id.startsWith("org:") ? OrganisationId.make(id.slice(4)) : undefined
