/**
 * Signs and opens as one side of the bundles: central with the keys that the newest root document
 * names, a device with its own (format §3.1).
 */
import { Effect, Layer, Stream } from "effect"
import { BundleKeys, BundleRefused, Standing } from "../application/bundle-ports.ts"
import { NAMESPACE, type Purpose, type Signed } from "../domain/enrolment.ts"
import type { RootDocument, RootRole } from "../domain/root.ts"
import { HEADER_BYTES_MAX, IDENTITIES_MAX, isForAnother, Undecryptable } from "./age-file.ts"
import { openStream } from "./age-stream.ts"
import type { FileKeys, SigningKey } from "./file-keys.ts"
import { sign } from "./sshsig.ts"

/** Central's hand: for each purpose the key of the role that the root names for it. */
export const layerCentral = (keys: FileKeys) =>
  Layer.effect(
    BundleKeys,
    Effect.gen(function* () {
      const standing = yield* Standing
      return BundleKeys.of({
        sign: Effect.fn("BundleKeys.sign")(function* (purpose, text) {
          const { document } = yield* standing.root
          return signed(purpose, text, [yield* roleKey(keys, document, ROLE_OF[purpose] ?? "c2d")])
        }),
        open: (sealed) =>
          // Old ones open what devices sealed before they heard of the newer.
          Stream.unwrap(
            Effect.map(Effect.orDie(keys.ageIdentities("ingest", "x25519")), (all) =>
              openedBy(
                all.map(({ identity }) => identity),
                sealed
              )
            )
          )
      })
    })
  )

const ROLE_OF: Partial<Record<Purpose, RootRole>> = {
  certificate: "deviceCa",
  revocations: "revocation"
}

/** A device's hand: one key signs everything, one identity opens. */
export const layerDevice = (keys: FileKeys) =>
  Layer.succeed(BundleKeys, {
    sign: (purpose, text) =>
      Effect.map(Effect.orDie(keys.ed25519("sig")), (key) => signed(purpose, text, [key])),
    open: (sealed) =>
      Stream.unwrap(
        Effect.map(Effect.orDie(keys.ageIdentity("enc", "x25519")), ({ identity }) =>
          openedBy([identity], sealed)
        )
      )
  })

/** Under which name each role's keys lie in the folder of keys, `NAME.pem`, `NAME-2.pem`, … */
export const KEY_NAME: Readonly<Record<RootRole, string>> = {
  root: "root",
  c2d: "c2d",
  deviceCa: "device-ca",
  revocation: "revocation"
}

/** The key on this disk that the root names for a role. Dies when it is not here. */
export const roleKey = Effect.fnUntraced(function* (
  keys: FileKeys,
  root: RootDocument,
  role: RootRole
) {
  const here = yield* Effect.orDie(keys.signingKeys(KEY_NAME[role]))
  const found = here.find((key) => root.roles[role].keys.includes(key.keyId))
  if (found !== undefined) return found
  return yield* Effect.die(
    new Error(`the folder of keys lacks the ${role} key of root ${root.version}: restore it`)
  )
})

export const signed = (purpose: Purpose, text: string, by: ReadonlyArray<SigningKey>): Signed => ({
  text,
  signatures: by.map(({ key }) => sign(key, NAMESPACE[purpose], Buffer.from(text)))
})

const openedBy = (
  ring: ReadonlyArray<string>,
  sealed: Stream.Stream<Uint8Array>
): Stream.Stream<Uint8Array, BundleRefused> =>
  Stream.suspend(() => {
    const identities = ring.slice(0, IDENTITIES_MAX)
    // Kept to tell, in the end, a file for somebody else from one that was altered.
    const head: Array<Uint8Array> = []
    let length = 0
    const kept = Stream.tap(sealed, (bytes) =>
      Effect.sync(() => {
        if (length < HEADER_BYTES_MAX) head.push(bytes)
        length += bytes.length
      })
    )
    const refusal = Effect.suspend(() => {
      const bytes = new Uint8Array(Buffer.concat(head))
      return Effect.flatMap(Effect.orDie(isForAnother(identities, bytes)), unopened)
    })
    return openStream(identities)(kept).pipe(
      Stream.catch((error) =>
        error instanceof Undecryptable ? Stream.fromEffect(refusal) : Stream.die(error)
      )
    )
  })

const unopened = (isForAnother: boolean) =>
  Effect.fail(
    new BundleRefused({
      code: isForAnother ? "E_AGE_NO_MATCH" : "E_AGE_AUTH",
      detail: isForAnother ? "it is sealed to somebody else" : "what is sealed was altered",
      damages: [],
      missing: []
    })
  )
