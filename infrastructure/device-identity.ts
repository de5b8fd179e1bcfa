/**
 * Keeps who a device is: its keys in files, its certificate and the root documents in the database.
 *
 * What central answers at enrolment is accepted only if every signature holds: the root documents by
 * their own root keys (that is whom the device trusts from now on), the certificate by the device
 * authority that the newest root names, for exactly this device's keys.
 */
import { randomBytes, randomUUID } from "node:crypto"
import { Clock, Effect, Layer, Option, Result, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { firstRoots, followRoots } from "../application/accept-roots.ts"
import { Signatures, Standing } from "../application/bundle-ports.ts"
import {
  Atomic,
  CentralInconsistent,
  DeviceIdentity,
  type Membership
} from "../application/ports.ts"
import { canonical, parseCanonical } from "../domain/canonical.ts"
import { Certificate, EnrolmentRequest, NAMESPACE, Signed } from "../domain/enrolment.ts"
import { Recipient } from "../domain/id.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import { type RootDocument, trustOf } from "../domain/root.ts"
import type { FileKeys } from "./file-keys.ts"
import type { AssertionClaims } from "./http-token.ts"
import { changeSetting, setting } from "./sql-settings.ts"
import { sign } from "./sshsig.ts"

const SETTING = "certificate"

export const layer = (keys: FileKeys) =>
  Layer.effect(
    DeviceIdentity,
    Effect.gen(function* () {
      const atomic = yield* Atomic
      const sql = yield* SqlClient.SqlClient
      const standing = yield* Standing
      const context = yield* Effect.context<Signatures | Standing>()
      const own = yield* Effect.orDie(ownKeys(keys))

      /** The certificate as it was last read: it is asked for several times in each synchronisation. */
      let known: { readonly text: string; readonly certificate: Certificate } | undefined

      const take = Effect.fnUntraced(function* (certificate: Signed, root: RootDocument) {
        const read = yield* Effect.provideContext(readCertificate(certificate, root, own), context)
        yield* Effect.orDie(changeSetting(sql, SETTING, JSON.stringify(certificate)))
        return membershipOf(read, root)
      })

      return DeviceIdentity.of({
        membership: Effect.gen(function* () {
          const text = yield* Effect.orDie(setting(sql, SETTING))
          if (text === undefined) return Option.none()
          // Its signature was checked when it was taken; its authority may have retired since.
          if (known?.text !== text) {
            const { text: certificate } = yield* Effect.orDie(decodeSigned(text))
            known = { text, certificate: yield* Effect.orDie(decodeText(certificate)) }
          }
          const { certificate } = known
          const { document } = yield* standing.root
          return Option.some(membershipOf(certificate, document))
        }),
        request: (name, now) => Effect.sync(() => request(own, name, now)),
        accept: Effect.fn("DeviceIdentity.accept")(function* ({ certificate, roots }) {
          const now = yield* Clock.currentTimeMillis
          const before = yield* standing.chain
          yield* sameRoot(before, roots)
          const { document, fresh } = yield* (before.length === 0 ? firstRoots : followRoots)(
            roots,
            now
          ).pipe(
            Effect.provideContext(context),
            Effect.catch(({ code, detail }) => refuse(`the root document (${code}: ${detail})`))
          )
          return yield* atomic.run(
            Effect.andThen(standing.putRoots(fresh), take(certificate, document))
          )
        }),
        renew: Effect.fn("DeviceIdentity.renew")(function* (certificate) {
          const { document } = yield* standing.root
          return yield* take(certificate, document)
        })
      })
    })
  )

const request = (own: Own, name: string, now: number): Signed => {
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
  return { text, signatures: [sign(own.sig.key, NAMESPACE.enrolment, Buffer.from(text))] }
}

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

const decodeSigned = Schema.decodeUnknownEffect(Schema.fromJsonString(Signed))
const decodeText = Schema.decodeUnknownEffect(Schema.fromJsonString(Certificate))
const decodeCertificate = Schema.decodeUnknownOption(Certificate)

/** The certificate, when the device authority of this root signed exactly these bytes for us. */
const readCertificate = Effect.fnUntraced(function* (
  certificate: Signed,
  root: RootDocument,
  own: Own
) {
  const signatures = yield* Signatures
  const trust = trustOf(root, "deviceCa")
  const parsed = parseCanonical(certificate.text)
  const isSigned = Result.isSuccess(signatures.check("certificate", certificate, trust))
  const said =
    isSigned && Result.isSuccess(parsed) ? decodeCertificate(parsed.success) : Option.none()
  if (Option.isNone(said)) return yield* refuse("the certificate")
  const { auth, enc, sig } = said.value
  if (sig !== own.public.sig || auth !== own.public.auth || enc !== own.public.enc) {
    return yield* refuse("the certificate, which is for other keys")
  }
  return said.value
})

const membershipOf = (certificate: Certificate, root: RootDocument): Membership => ({
  device: certificate.device,
  organisations: certificate.organisations,
  certificate,
  root
})

/** A device belongs to one central: another root means another central, or an attacker. */
const sameRoot = (before: ReadonlyArray<Signed>, after: ReadonlyArray<Signed>) =>
  before.length === 0 || before[0]?.text === after[0]?.text
    ? Effect.void
    : refuse("the root document, which is another central's than the one this device belongs to")

const refuse = (what: string) =>
  Effect.fail(new CentralInconsistent({ what: `central's answer: ${what} can't be trusted` }))
