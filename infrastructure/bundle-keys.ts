/**
 * Lets a side sign bundles as itself and open what is sealed to it, with the keys in its folder
 * (format §3.1). Central and a device have different hands; neither can sign for the other.
 */
import { Effect, Layer, Stream } from "effect"
import { BundleKeys, BundleRefused, type Purpose } from "../application/bundle-ports.ts"
import { HEADER_BYTES_MAX, isForAnother, Undecryptable } from "./age-file.ts"
import { openStream } from "./age-stream.ts"
import { NAMESPACES } from "./bundle-signatures.ts"
import type { FileKeys } from "./file-keys.ts"
import { sign } from "./sshsig.ts"

/** Central speaks with the key of the role, and opens with the ingest key. */
export const layerCentral = (keys: FileKeys) =>
  make(keys, "ingest", {
    root: "root",
    certificate: "device-ca",
    c2d: "c2d",
    receipt: "c2d",
    revocations: "revocation"
  })

/** A device has one key to sign with, and one to open. */
export const layerDevice = (keys: FileKeys) =>
  make(keys, "enc", { enrolment: "sig", d2c: "sig", receipt: "sig" })

const make = (keys: FileKeys, own: string, hands: Readonly<Partial<Record<Purpose, string>>>) =>
  Layer.effect(
    BundleKeys,
    Effect.gen(function* () {
      const { identity } = yield* keys.ageIdentity(own, "x25519")
      return BundleKeys.of({
        sign: Effect.fn("BundleKeys.sign")(function* (purpose, text) {
          const name = hands[purpose]
          if (name === undefined) return yield* Effect.die(new Error(`no hand for ${purpose}`))
          const { key } = yield* keys.ed25519(name)
          return { text, signatures: [sign(key, NAMESPACES[purpose], Buffer.from(text))] }
        }, Effect.orDie),
        open: (sealed) => openWith(identity, sealed)
      })
    })
  )

const openWith = (
  identity: string,
  sealed: Stream.Stream<Uint8Array>
): Stream.Stream<Uint8Array, BundleRefused> =>
  Stream.suspend(() => {
    // Kept to tell, in the end, a file for somebody else from a damaged one.
    const head: Array<Uint8Array> = []
    let length = 0
    const kept = Stream.tap(sealed, (bytes) =>
      Effect.sync(() => {
        if (length < HEADER_BYTES_MAX) head.push(bytes)
        length += bytes.length
      })
    )
    return openStream([identity])(kept).pipe(
      Stream.catch((error) =>
        error instanceof Undecryptable
          ? Stream.fromEffect(Effect.flatMap(reason(identity, head), (code) => refuse(code)))
          : Stream.die(error)
      )
    )
  })

const reason = (identity: string, head: ReadonlyArray<Uint8Array>) =>
  isForAnother([identity], new Uint8Array(Buffer.concat(head))).pipe(
    Effect.orDie,
    Effect.map((another) => (another ? ("E_AGE_NO_MATCH" as const) : ("E_AGE_AUTH" as const)))
  )

const refuse = (code: "E_AGE_NO_MATCH" | "E_AGE_AUTH") =>
  Effect.fail(
    new BundleRefused({
      code,
      detail: code === "E_AGE_AUTH" ? "a sealed file is not authentic" : "it is sealed to another",
      damages: [],
      missing: []
    })
  )
