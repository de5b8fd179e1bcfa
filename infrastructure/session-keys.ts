/**
 * Makes, keeps and uses the keys of sessions: 256 random bits each, in this process's memory, and as
 * an age file for those who may take it out again. A save is AES-256-GCM with the session, the part
 * and its number bound in.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { Effect, Layer } from "effect"
import { Unopenable } from "../application/ports.ts"
import { type SaveName, SessionKeys } from "../application/session-ports.ts"
import { canonical } from "../domain/canonical.ts"
import { ExecutionId } from "../domain/result.ts"
import * as AgeFile from "./age-file.ts"

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Five random bits each: 130 bits, so that ids of all devices never meet by chance. */
const ID_CHARACTERS = 26
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

export const layer = Layer.sync(SessionKeys, () => {
  const keys = new Map<ExecutionId, Uint8Array>()
  const forget = (execution: ExecutionId) => {
    keys.get(execution)?.fill(0)
    keys.delete(execution)
  }
  const keep = (execution: ExecutionId, key: Uint8Array) => {
    forget(execution)
    keys.set(execution, key)
  }
  const keyOf = (execution: ExecutionId) =>
    Effect.suspend(() => {
      const key = keys.get(execution)
      return key === undefined
        ? Effect.die(new Error(`${execution} is locked`))
        : Effect.succeed(key)
    })

  return SessionKeys.of({
    newExecution: Effect.sync(() => ExecutionId.make(`ex_${randomName()}`)),
    make: Effect.fnUntraced(function* (execution, recipients) {
      const key = randomBytes(KEY_BYTES)
      const said = Buffer.from(canonical({ execution, key: key.toString("base64") }))
      const box = yield* Effect.orDie(AgeFile.seal(recipients, said))
      said.fill(0)
      keep(execution, key)
      return Buffer.from(box).toString("base64")
    }),
    unlock: Effect.fnUntraced(function* (execution, keyBox, identities) {
      if (identities.length === 0) return yield* new Unopenable()
      const bytes = yield* Effect.mapError(
        AgeFile.open(identities.slice(0, AgeFile.IDENTITIES_MAX), Buffer.from(keyBox, "base64")),
        () => new Unopenable()
      )
      const key = readKey(execution, Buffer.from(bytes).toString("utf8"))
      bytes.fill(0)
      if (key === undefined) return yield* new Unopenable()
      keep(execution, key)
    }),
    isUnlocked: (execution) => Effect.sync(() => keys.has(execution)),
    seal: (execution, name, text) =>
      Effect.map(keyOf(execution), (key) => {
        const nonce = randomBytes(NONCE_BYTES)
        const cipher = createCipheriv("aes-256-gcm", key, nonce)
        cipher.setAAD(context(execution, name))
        const sealed = [cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]
        return Buffer.concat([nonce, ...sealed]).toString("base64")
      }),
    open: (execution, name, box) =>
      Effect.flatMap(keyOf(execution), (key) =>
        Effect.try({
          try: () => openBox(key, Buffer.from(box, "base64"), context(execution, name)),
          catch: () => new Unopenable()
        })
      ),
    forget: (execution) => Effect.sync(() => forget(execution))
  })
})

/** A box that was put in another's place names another session. */
const readKey = (execution: ExecutionId, text: string): Uint8Array | undefined => {
  const said: unknown = JSON.parse(text)
  if (typeof said !== "object" || said === null) return undefined
  if (!("execution" in said && "key" in said) || said.execution !== execution) return undefined
  const key = typeof said.key === "string" ? Buffer.from(said.key, "base64") : Buffer.alloc(0)
  return key.length === KEY_BYTES ? key : undefined
}

/** Throws unless the box is authentic. */
const openBox = (key: Uint8Array, box: Buffer, bound: Uint8Array): string => {
  const nonce = box.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(bound)
  decipher.setAuthTag(box.subarray(-TAG_BYTES))
  const sealed = box.subarray(NONCE_BYTES, -TAG_BYTES)
  return decipher.update(sealed, undefined, "utf8") + decipher.final("utf8")
}

const context = (execution: ExecutionId, { part, seq }: SaveName): Uint8Array =>
  Buffer.from(canonical({ execution, part, seq }))

const randomName = (): string =>
  Array.from(randomBytes(ID_CHARACTERS), (byte) => ALPHABET[byte & 31] ?? "").join("")
