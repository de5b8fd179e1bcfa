/**
 * Keeps the keys by which central certifies devices, and the root document that names them
 * (format §3.2, §3.3). The document is made once, by whichever process comes first, and stored with
 * its signatures; every process of this central then hands out the same bytes.
 */
import { Clock, Effect, Layer, Option, Result, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Authority } from "../application/ports.ts"
import { canonical, parseCanonical } from "../domain/canonical.ts"
import {
  EnrolmentRequest,
  NAMESPACE,
  ROOT_MILLIS,
  RootDocument,
  Signed
} from "../domain/enrolment.ts"
import { Recipient } from "../domain/id.ts"
import type { FileKeys } from "./file-keys.ts"
import { settleSetting } from "./sql-settings.ts"
import { keyId, sign, verify } from "./sshsig.ts"

/**
 * The database belongs to a central with other keys: what this one certified, no device would
 * believe, and what it has sealed, it could not open.
 */
export class KeysOfAnother extends Schema.TaggedError<KeysOfAnother>()("KeysOfAnother", {}) {}

/** Fails with KeysOfAnother, and with KeyFileRefused. */
export const layer = (keys: FileKeys) =>
  Layer.effect(
    Authority,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const deviceCa = yield* keys.ed25519("device-ca")
      const made = yield* firstRoot(keys)
      const stored = yield* Effect.orDie(settleSetting(sql, "root.1", canonical(made)))
      const root = yield* Effect.orDie(decodeSigned(stored))
      if ((yield* keysOf(root)) !== (yield* keysOf(made))) return yield* new KeysOfAnother()
      return Authority.of({
        roots: Effect.succeed([root]),
        certify: (certificate) =>
          Effect.sync(() => signed(NAMESPACE.certificate, canonical(certificate), [deviceCa.key])),
        checkRequest: (request) => Effect.sync(() => checkRequest(request))
      })
    })
  )

/** The keys that a root document names, as text. */
const keysOf = ({ text }: Signed) =>
  Effect.map(Effect.orDie(decodeRoot(text)), ({ ingest, keys }) => canonical({ ingest, keys }))

const decodeRoot = Schema.decodeUnknownEffect(Schema.fromJsonString(RootDocument))
const decodeSigned = Schema.decodeUnknownEffect(Schema.fromJsonString(Signed))
const decodeRequest = Schema.decodeUnknownOption(EnrolmentRequest)

/** Root document 1 of this central, signed by its one root key. */
const firstRoot = Effect.fnUntraced(function* (keys: FileKeys) {
  const root = yield* keys.ed25519("root")
  const c2d = yield* keys.ed25519("c2d")
  const deviceCa = yield* keys.ed25519("device-ca")
  const revocation = yield* keys.ed25519("revocation")
  const ingest = yield* keys.ageIdentity("ingest", "x25519")
  const role = (key: { readonly keyId: string }) => ({ threshold: 1, keys: [key.keyId] })
  const all = [root, c2d, deviceCa, revocation]
  const document: RootDocument = {
    schema: "testferry/root/1",
    version: 1,
    epoch: 1,
    expires: (yield* Clock.currentTimeMillis) + ROOT_MILLIS,
    keys: Object.fromEntries(
      all.map((key) => [key.keyId, Buffer.from(key.raw).toString("base64")])
    ),
    roles: {
      root: role(root),
      c2d: role(c2d),
      deviceCa: role(deviceCa),
      revocation: role(revocation)
    },
    results: null,
    ingest: { id: "i1", recipient: Recipient.make(ingest.recipient) }
  }
  return signed(NAMESPACE.root, canonical(document), [root.key])
})

const signed = (
  namespace: string,
  text: string,
  by: ReadonlyArray<Parameters<typeof sign>[0]>
): Signed => ({ text, signatures: by.map((key) => sign(key, namespace, Buffer.from(text))) })

/** A request proves that its sender has the key it names: it is signed by that key. */
const checkRequest = ({ signatures, text }: Signed): Option.Option<EnrolmentRequest> => {
  const [armored] = signatures
  const parsed = parseCanonical(text)
  if (armored === undefined || signatures.length !== 1 || Result.isFailure(parsed)) {
    return Option.none()
  }
  return Option.filter(decodeRequest(parsed.success), (request) => {
    const raw = new Uint8Array(Buffer.from(request.sig, "base64"))
    const trusted = new Map([[keyId(raw), raw]])
    const namespace = NAMESPACE.enrolment
    return Result.isSuccess(verify({ trusted, namespace, bytes: Buffer.from(text), armored }))
  })
}
