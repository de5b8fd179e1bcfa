/**
 * The documents of enrolment (format §3.2, §3.3): a device asks, central certifies, and hands out
 * the root document that says which keys speak for it. All are canonical JSON under an SSHSIG
 * signature; the signed bytes are kept as they were.
 */
import { Option, Result, Schema } from "effect"
import { parseCanonical } from "./canonical.ts"
import { Base64, DeviceId, Millis, OrganisationId, Recipient, Text } from "./id.ts"

/** For which purpose something is signed: never good for another (format §2.4). */
export const NAMESPACE = {
  root: "testferry-root-v1",
  certificate: "testferry-cert-v1",
  enrolment: "testferry-enrol-v1",
  c2d: "testferry-c2d-v1",
  d2c: "testferry-d2c-v1",
  receipt: "testferry-receipt-v1",
  revocations: "testferry-revocations-v1",
  result: "testferry-result-v1"
} as const
export type Purpose = keyof typeof NAMESPACE

/** A raw ed25519 public key in base64. */
export const PublicKey = Base64.check(Schema.isMinLength(44), Schema.isMaxLength(44))

/** The longest name of a device or credential. */
export const CLIENT_NAME_MAX = 120

export const EnrolmentRequest = Schema.Struct({
  schema: Schema.Literal("testferry/enrol/1"),
  requestId: Schema.String.check(Schema.isPattern(/^[0-9a-f-]{16,40}$/u)),
  name: Text(CLIENT_NAME_MAX),
  sig: PublicKey,
  auth: PublicKey,
  enc: Recipient,
  program: Schema.String,
  createdAt: Millis,
  nonce: Base64
})
export type EnrolmentRequest = typeof EnrolmentRequest.Type

export const Certificate = Schema.Struct({
  schema: Schema.Literal("testferry/cert/1"),
  serial: Schema.Int,
  device: DeviceId,
  organisations: Schema.Array(OrganisationId),
  sig: PublicKey,
  auth: PublicKey,
  enc: Recipient,
  notBefore: Millis,
  notAfter: Millis
})
export type Certificate = typeof Certificate.Type

/** Signatures beside one document: on media they are called `.sig` to `.sig.9` (format §2.2). */
const SIGNATURES_MAX = 9

/** Ten times an armored signature of ours (format §2.4). */
export const SIGNATURE_CHARACTERS_MAX = 4_096

/** A signed document: the exact text, and one armored signature per signer. */
export const Signed = Schema.Struct({
  text: Schema.String.check(Schema.isMaxLength(1_048_576)),
  signatures: Schema.Array(Schema.String.check(Schema.isMaxLength(SIGNATURE_CHARACTERS_MAX))).check(
    Schema.isMaxLength(SIGNATURES_MAX)
  )
})
export type Signed = typeof Signed.Type

/** Central's answer to an enrolment. */
export const Enrolment = Schema.Struct({ certificate: Signed, roots: Schema.Array(Signed) })
export type Enrolment = typeof Enrolment.Type

/**
 * The same by stick, in answer to a request (format §3.3): it lies beside the request. What counts in
 * it is signed by itself; a person compares who signed the first root.
 */
export const EnrolmentAnswer = Schema.Struct({
  schema: Schema.Literal("testferry/enrolment/1"),
  requestId: Schema.String,
  ...Enrolment.fields
})
export type EnrolmentAnswer = typeof EnrolmentAnswer.Type

/** Where request and answer lie on a stick. Ids that leave no room for the answer's name have none. */
export const requestNote = (requestId: string): string => `enrol/${requestId}.json`
export const answerNote = (requestId: string): string => `enrol/${requestId}${ANSWER_SUFFIX}.json`
/** A letter that the ids of notes may have, so that an answer is a note like others. */
const ANSWER_SUFFIX = "-a"
export const STICK_REQUEST_ID = /^[0-9a-f-]{16,38}$/u

/** A certificate is good for a year; a device that synchronises gets a new one before. */
export const CERTIFICATE_MILLIS = 366 * 24 * 3_600_000

/** Read what such documents say; whose word it is, is another question. */
export const readRequestText = Schema.decodeUnknownResult(Schema.fromJsonString(EnrolmentRequest))
export const readCertificateText = Schema.decodeUnknownResult(Schema.fromJsonString(Certificate))

/** None for what is no answer in its one allowed form. */
export const readAnswer = (text: string): Option.Option<EnrolmentAnswer> =>
  Option.flatMap(Result.getSuccess(parseCanonical(text)), decodeAnswer)

const decodeAnswer = Schema.decodeUnknownOption(EnrolmentAnswer, { onExcessProperty: "error" })
