/**
 * Keeps the keys by which central certifies devices, and makes those that a root document names
 * (format §3.2, §3.3). Root 1 is made once, by whichever process comes first; every process of this
 * central then hands out the same bytes. Where the root keys are kept elsewhere, only a draft of it
 * is made, which their holders must sign.
 */
import { Clock, Effect, Layer, Option, Result, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Standing } from "../application/bundle-ports.ts"
import { Authority } from "../application/ports.ts"
import { canonical, parseCanonical } from "../domain/canonical.ts"
import { EnrolmentRequest, NAMESPACE, Signed } from "../domain/enrolment.ts"
import { Recipient } from "../domain/id.ts"
import { ROOT_MILLIS, type RootDocument, type RootHolders, rootText } from "../domain/root.ts"
import { KEY_NAME, roleKey, signed } from "./bundle-keys.ts"
import type { FileKeys, SigningKey } from "./file-keys.ts"
import { settleSetting } from "./sql-settings.ts"
import { keyId, verify } from "./sshsig.ts"

/**
 * The database belongs to a central with other keys: what this one certified, no device would
 * believe, and what it has sealed, it could not open.
 */
export class KeysOfAnother extends Schema.TaggedError<KeysOfAnother>()("KeysOfAnother", {}) {}

/**
 * `holders`: whose keys sign the roots, where these keys are not to be on this disk. Fails with
 * KeysOfAnother, and with KeyFileRefused.
 */
export const layer = (keys: FileKeys, holders?: RootHolders) =>
  Layer.effect(
    Authority,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const standing = yield* Standing
      const draft =
        (yield* standing.versions).root > 0
          ? undefined
          : yield* holders === undefined
              ? Effect.flatMap(settledRoot(sql, keys), (root) => standing.putRoots([root]))
              : Effect.flatMap(firstRoot(keys, holders), (root) =>
                  Effect.orDie(settleSetting(sql, "root.draft", rootText(root)))
                )
      if ((yield* standing.versions).root > 0) {
        const { document } = yield* standing.root
        if (Option.isSome(yield* missingKey(keys)(document))) return yield* new KeysOfAnother()
      }
      return Authority.of({
        draft: Effect.map(standing.versions, ({ root }) =>
          root === 0 && typeof draft === "string" ? Option.some(draft) : Option.none()
        ),
        certify: Effect.fn("Authority.certify")(function* (certificate) {
          const { document } = yield* standing.root
          const key = yield* roleKey(keys, document, "deviceCa")
          return signed("certificate", canonical(certificate), [key])
        }),
        checkRequest: (request) => Effect.sync(() => checkRequest(request)),
        newKey: (role, version) =>
          Effect.map(Effect.orDie(keys.ed25519(`${KEY_NAME[role]}-${version}`)), named),
        newIngest: (version) =>
          Effect.map(
            Effect.orDie(keys.ageIdentity(`ingest-${version}`, "x25519")),
            ({ recipient }) => ({ id: `i${version}`, recipient: Recipient.make(recipient) })
          ),
        lacks: missingKey(keys),
        signRoot: (text, ids) =>
          Effect.map(Effect.orDie(keys.signingKeys(KEY_NAME.root)), (here) =>
            signed(
              "root",
              text,
              here.filter(({ keyId }) => ids.has(keyId))
            )
          )
      })
    })
  )

/** Which of central's own keys of a root document is not in this folder. */
const missingKey = (keys: FileKeys) =>
  Effect.fn("Authority.lacks")(function* ({ ingest, roles }: RootDocument) {
    for (const role of ["c2d", "deviceCa", "revocation"] as const) {
      const here = yield* keys.signingKeys(KEY_NAME[role])
      if (!here.some(({ keyId }) => roles[role].keys.includes(keyId)))
        return Option.some(`a key of the role ${role}`)
    }
    const identities = yield* keys.ageIdentities("ingest", "x25519")
    return identities.some(({ recipient }) => recipient === ingest.recipient)
      ? Option.none()
      : Option.some("the ingest key")
  }, Effect.orDie)

const decodeRequest = Schema.decodeUnknownOption(EnrolmentRequest)

const named = ({ keyId: id, raw }: SigningKey) => ({ id, raw: Buffer.from(raw).toString("base64") })

/** Of two processes that come first at a time, both take the same bytes. */
const settledRoot = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, keys: FileKeys) {
  const made = JSON.stringify(yield* selfSigned(keys))
  const settled = yield* Effect.orDie(settleSetting(sql, "root.first", made))
  return yield* Effect.orDie(decodeSigned(settled))
})

const decodeSigned = Schema.decodeUnknownEffect(Schema.fromJsonString(Signed))

const selfSigned = Effect.fnUntraced(function* (keys: FileKeys) {
  const root = yield* keys.ed25519(KEY_NAME.root)
  const holders = { keys: [named(root)], threshold: 1 }
  return signed("root", rootText(yield* firstRoot(keys, holders)), [root])
})

/** Root document 1 of this central. */
const firstRoot = Effect.fnUntraced(function* (keys: FileKeys, holders: RootHolders) {
  const c2d = named(yield* keys.ed25519(KEY_NAME.c2d))
  const deviceCa = named(yield* keys.ed25519(KEY_NAME.deviceCa))
  const revocation = named(yield* keys.ed25519(KEY_NAME.revocation))
  const ingest = yield* keys.ageIdentity("ingest", "x25519")
  const role = ({ id }: { readonly id: string }) => ({ threshold: 1, keys: [id] })
  const all = [...holders.keys, c2d, deviceCa, revocation]
  const document: RootDocument = {
    schema: "testferry/root/1",
    version: 1,
    epoch: 1,
    expires: (yield* Clock.currentTimeMillis) + ROOT_MILLIS,
    keys: Object.fromEntries(all.map(({ id, raw }) => [id, raw])),
    roles: {
      root: { threshold: holders.threshold, keys: holders.keys.map(({ id }) => id) },
      c2d: role(c2d),
      deviceCa: role(deviceCa),
      revocation: role(revocation)
    },
    results: null,
    ingest: { id: "i1", recipient: Recipient.make(ingest.recipient) }
  }
  return document
})

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
