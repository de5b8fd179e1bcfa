/**
 * Provides the verbs' ports over this house's cryptography: digests, opening with a key that the
 * caller has, passwords, and central's own secrets behind its vault key (format §3.1, §3.5, §3.6).
 */
import { hash, randomBytes } from "node:crypto"
import { Effect, Layer, Stream } from "effect"
import {
  Hashing,
  Opener,
  Passwords,
  Secrets,
  Unopenable,
  WrongPassword
} from "../application/ports.ts"
import { COST_DEFAULT, type Cost } from "../domain/cost.ts"
import { Digest, EntityId, Recipient } from "../domain/id.ts"
import * as AgeFile from "./age-file.ts"
import { sealStream } from "./age-stream.ts"
import type { FileKeys } from "./file-keys.ts"
import { loginTag } from "./login-tag.ts"
import * as Password from "./password.ts"

export const layerHashing = Layer.succeed(Hashing, {
  // Called for every entity: what Node makes is in lower-case hex, and not checked again.
  sha256: (bytes) => Digest.make(hash("sha256", bytes, "hex"), { disableChecks: true })
})

export const layerOpener = Layer.succeed(Opener, {
  open: (identity, box) =>
    AgeFile.open([identity], base64(box)).pipe(
      Effect.map((bytes) => Buffer.from(bytes).toString("utf8")),
      Effect.mapError(() => new Unopenable())
    ),
  loginTag: (key, login) => Digest.make(loginTag(base64(key), login))
})

/** `decoyCost` is what a login that nobody has must cost where no wrap says it: that of new wraps. */
export const layerPasswords = (decoyCost: Cost = COST_DEFAULT) =>
  Layer.succeed(Passwords, {
    unwrap: (userId, wrap, password) =>
      Password.unwrap({ userId, wrap, password }).pipe(Effect.mapError(() => new WrongPassword())),
    decoy: (_, like) =>
      Password.dummy(like?.cost ?? decoyCost).pipe(
        Effect.mapError(() => new WrongPassword()),
        Effect.andThen(Effect.fail(new WrongPassword()))
      )
  })

/** Central's secrets. Wraps cost what `cost` says; the vault key lies in central's key folder. */
export const layerSecrets = (keys: FileKeys, cost: Cost) =>
  Layer.effect(
    Secrets,
    Effect.gen(function* () {
      const vault = yield* keys.ageIdentity("vault", "x25519")
      const seal = (recipients: ReadonlyArray<string>, text: string) =>
        AgeFile.seal(recipients, Buffer.from(text, "utf8")).pipe(
          Effect.map((bytes) => Buffer.from(bytes).toString("base64")),
          Effect.orDie
        )
      return Secrets.of({
        newIdentity: Effect.map(AgeFile.newIdentity("x25519"), ({ identity, recipient }) => ({
          identity,
          recipient: Recipient.make(recipient)
        })),
        randomText: (bytes) => Effect.sync(() => randomBytes(bytes).toString("base64")),
        seal,
        toVault: (text) => seal([vault.recipient], text),
        fromVault: (box) =>
          AgeFile.open([vault.identity], base64(box)).pipe(
            Effect.map((bytes) => Buffer.from(bytes).toString("utf8")),
            Effect.orDie
          ),
        wrap: ({ identity, password, recipient, user, ver }) =>
          Password.wrap({ userId: user, ver, recipient, identity, password, cost }).pipe(
            Effect.map((wrapped) => ({ ...wrapped, recipient })),
            Effect.orDie
          ),
        newPassword: Password.generatePassword,
        sealStream: (recipient, bytes) =>
          sealStream([recipient])(bytes).pipe(
            Stream.catch((error) =>
              error instanceof AgeFile.AgeInputRefused ? Stream.die(error) : Stream.fail(error)
            )
          ),
        newId: (prefix) => Effect.sync(() => EntityId.make(`${prefix}_${randomName()}`))
      })
    })
  )

const base64 = (text: string): Uint8Array => Buffer.from(text, "base64")

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

/** Sixteen characters of five random bits each: 80 bits, so that ids never meet by chance. */
const randomName = (): string =>
  Array.from(randomBytes(16), (byte) => ALPHABET[byte & 31] ?? "").join("")
