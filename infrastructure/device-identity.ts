/**
 * Keeps who a device is: its keys in files, its certificate and root document in the database.
 *
 * What central answers at enrolment is accepted only if every signature holds: the root document by
 * its own root keys (that is whom the device trusts from now on), the certificate by the device
 * authority that the root names, for exactly this device's keys.
 */
import { randomBytes, randomUUID } from "node:crypto"
import { Effect, Layer, Option, Result, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { CentralInconsistent, DeviceIdentity, type Membership } from "../application/ports.ts"
import { canonical, parseCanonical } from "../domain/canonical.ts"
import {
  Certificate,
  Enrolment,
  EnrolmentRequest,
  NAMESPACE,
  RootDocument,
  type Signed
} from "../domain/enrolment.ts"
import { Recipient } from "../domain/id.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import type { FileKeys } from "./file-keys.ts"
import type { AssertionClaims } from "./http-token.ts"
import { changeSetting, setting } from "./sql-settings.ts"
import { sign, verify } from "./sshsig.ts"

const SETTING = "enrolment"

export const layer = (keys: FileKeys) =>
  Layer.effect(
    DeviceIdentity,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const own = yield* Effect.orDie(ownKeys(keys))
      const stored = Effect.orDie(setting(sql, SETTING))
      // Proving signatures took a sixth of asking whether there is news; the same text proves the same.
      let proved: { readonly text: string; readonly membership: Membership } | undefined
      return DeviceIdentity.of({
        membership: Effect.gen(function* () {
          const text = yield* stored
          if (text === undefined) return Option.none()
          if (proved?.text === text) return Option.some(proved.membership)
          const enrolment = yield* Effect.orDie(decodeEnrolment(text))
          const membership = yield* Effect.orDie(membershipOf(enrolment, own))
          proved = { text, membership }
          return Option.some(membership)
        }),
        request: (name, now) =>
          Effect.sync(() => {
            const request = EnrolmentRequest.make({
              schema: "testferry/enrol/1",
              requestId: randomUUID(),
              name,
              ...own.public,
              program: PROGRAM_VERSION,
              createdAt: now,
              nonce: randomBytes(16).toString("base64")
            })
            const text = canonical(request)
            return {
              text,
              signatures: [sign(own.sig.key, NAMESPACE.enrolment, Buffer.from(text))]
            }
          }),
        accept: Effect.fn("DeviceIdentity.accept")(function* (enrolment) {
          const before = yield* stored
          const membership = yield* membershipOf(enrolment, own)
          if (before !== undefined) {
            yield* sameRoot(yield* Effect.orDie(decodeEnrolment(before)), enrolment)
          }
          yield* Effect.orDie(changeSetting(sql, SETTING, JSON.stringify(enrolment)))
          return membership
        })
      })
    })
  )

/** Signs the assertions by which a device asks for tokens, with its `auth` key (RFC 7523). */
export const signAssertion = Effect.fnUntraced(function* (keys: FileKeys, claims: AssertionClaims) {
  const auth = yield* Effect.orDie(keys.ed25519("auth"))
  // Loaded here: tokens are kept, so that most runs of the program sign nothing.
  return yield* Effect.promise(async () => {
    const { SignJWT } = await import("jose")
    return await new SignJWT({ ...claims }).setProtectedHeader({ alg: "EdDSA" }).sign(auth.key)
  })
})

type Own = Effect.Success<ReturnType<typeof ownKeys>>

const ownKeys = Effect.fnUntraced(function* (keys: FileKeys) {
  const sig = yield* keys.ed25519("sig")
  const auth = yield* keys.ed25519("auth")
  const enc = yield* keys.ageIdentity("enc", "x25519")
  return {
    sig,
    public: {
      sig: Buffer.from(sig.raw).toString("base64"),
      auth: Buffer.from(auth.raw).toString("base64"),
      enc: Recipient.make(enc.recipient)
    }
  }
})

const decodeEnrolment = Schema.decodeUnknownEffect(Schema.fromJsonString(Enrolment))
const decodeRoot = Schema.decodeUnknownOption(RootDocument)
const decodeCertificate = Schema.decodeUnknownOption(Certificate)

const membershipOf = Effect.fnUntraced(function* (enrolment: Enrolment, own: Own) {
  const root = enrolment.roots.map(readRoot).at(-1)
  if (root === undefined || Option.isNone(root)) return yield* refuse("the root document")
  const certificate = readSigned(
    enrolment.certificate,
    NAMESPACE.certificate,
    root.value,
    "deviceCa"
  )
  const said = Option.flatMap(certificate, decodeCertificate)
  if (Option.isNone(said)) return yield* refuse("the certificate")
  const { auth, device, enc, organisations, sig } = said.value
  if (sig !== own.public.sig || auth !== own.public.auth || enc !== own.public.enc) {
    return yield* refuse("the certificate, which is for other keys")
  }
  const membership: Membership = {
    device,
    organisations,
    certificate: enrolment.certificate,
    root: root.value
  }
  return membership
})

/** A device belongs to one central: another root means another central, or an attacker. */
const sameRoot = (before: Enrolment, after: Enrolment) =>
  before.roots[0]?.text === after.roots[0]?.text
    ? Effect.void
    : refuse("the root document, which is another central's than the one this device belongs to")

const refuse = (what: string) =>
  Effect.fail(new CentralInconsistent({ what: `central's answer: ${what} can't be trusted` }))

const readRoot = (signed: Signed): Option.Option<RootDocument> => {
  const parsed = parseCanonical(signed.text)
  const root = Result.isSuccess(parsed) ? decodeRoot(parsed.success) : Option.none()
  return Option.filter(root, (document) =>
    Option.isSome(readSigned(signed, NAMESPACE.root, document, "root"))
  )
}

/** The value of a signed document, if enough keys of the role signed exactly these bytes. */
const readSigned = (
  { signatures, text }: Signed,
  namespace: string,
  root: RootDocument,
  role: keyof RootDocument["roles"]
): Option.Option<unknown> => {
  const { keys, threshold } = root.roles[role]
  const trusted = new Map(
    keys.flatMap((id) => {
      const key = root.keys[id]
      return key === undefined ? [] : [[id, new Uint8Array(Buffer.from(key, "base64"))] as const]
    })
  )
  const signers = new Set<string>()
  for (const armored of signatures) {
    const verified = verify({ trusted, namespace, bytes: Buffer.from(text), armored })
    if (Result.isSuccess(verified)) signers.add(verified.success)
  }
  const parsed = parseCanonical(text)
  return threshold >= 1 && signers.size >= threshold && Result.isSuccess(parsed)
    ? Option.some(parsed.success)
    : Option.none()
}
