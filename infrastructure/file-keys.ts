/**
 * Keeps private keys as files in one folder that only its owner can read, and makes each one exactly
 * once, however many processes ask at the same time.
 *
 * A new key is written aside, synced, and linked to its name: the link fails if the name is
 * taken, and then the key that was first is the key. Nothing here overwrites or deletes a key.
 */

import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto"
import { constants } from "node:fs"
import { link, mkdir, open, readdir, stat, unlink } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Schema } from "effect"
import { newIdentity, recipientOf } from "./age-file.ts"
import { keyId, rawPublicKey } from "./sshsig.ts"

/** A PEM or age key has a few hundred characters. */
export const KEY_FILE_BYTES_MAX = 8_192
export const SECRET_BYTES = 32

/**
 * A key file, or the folder, is not as we keep them: "open-to-others" (chmod 600 the file, 700 the
 * folder, and think who may have read it), "not-a-file" (a link, a folder), or "damaged" (not the
 * kind of key that is asked for: restore it from a backup; a new one would open nothing).
 */
export class KeyFileRefused extends Schema.TaggedError<KeyFileRefused>()("KeyFileRefused", {
  path: Schema.String,
  reason: Schema.Literals(["open-to-others", "not-a-file", "damaged"])
}) {}

export interface SigningKey {
  readonly key: KeyObject
  /** The 32 bytes of the public key. */
  readonly raw: Uint8Array
  readonly keyId: string
}

export interface AgeIdentity {
  readonly identity: string
  readonly recipient: string
}

export interface FileKeys {
  /** `NAME.pem`: an ed25519 key, PKCS#8. */
  readonly ed25519: (name: string) => Effect.Effect<SigningKey, KeyFileRefused>
  /** The keys `NAME.pem`, `NAME-2.pem`, … that are here, the newest first; none is made. */
  readonly signingKeys: (name: string) => Effect.Effect<ReadonlyArray<SigningKey>, KeyFileRefused>
  /** `NAME.age`: an age identity, as age-keygen writes it. */
  readonly ageIdentity: (
    name: string,
    kind: "x25519" | "hybrid"
  ) => Effect.Effect<AgeIdentity, KeyFileRefused>
  /** The identities `NAME.age`, `NAME-2.age`, … that are here, the newest first; none is made. */
  readonly ageIdentities: (
    name: string,
    kind: "x25519" | "hybrid"
  ) => Effect.Effect<ReadonlyArray<AgeIdentity>, KeyFileRefused>
  /** `NAME.secret`: SECRET_BYTES random bytes, in hex. */
  readonly secret: (name: string) => Effect.Effect<Uint8Array, KeyFileRefused>
}

/**
 * Opens a folder of keys, making it if there is none. Every method gives the key of that name, made
 * now if it never was. Fails with KeyFileRefused; a disk that fails is a defect.
 */
export const openKeys = Effect.fnUntraced(function* (directory: string) {
  yield* Effect.promise(() => mkdir(directory, { recursive: true, mode: 0o700 }))
  const folder = yield* Effect.promise(() => stat(directory))
  if (isOpenToOthers(folder.mode)) return yield* refuse(directory, "open-to-others")

  const keys: FileKeys = {
    signingKeys: Effect.fnUntraced(function* (name) {
      const names = yield* generations(directory, name, "pem")
      return yield* Effect.forEach(names, (each) => keys.ed25519(each))
    }),
    ageIdentities: Effect.fnUntraced(function* (name, kind) {
      const names = yield* generations(directory, name, "age")
      return yield* Effect.forEach(names, (each) => keys.ageIdentity(each, kind))
    }),
    ed25519: Effect.fnUntraced(function* (name) {
      const path = keyPath(directory, name, "pem")
      const pem = yield* readOrCreate(path, Effect.sync(newSigningPem))
      return yield* Effect.try({
        try: () => signingKey(pem),
        catch: () => damaged(path)
      })
    }),
    ageIdentity: Effect.fnUntraced(function* (name, kind) {
      const path = keyPath(directory, name, "age")
      const text = yield* readOrCreate(path, Effect.map(newIdentity(kind), identityText))
      const identity = IDENTITY[kind].exec(text)?.[0]
      if (identity === undefined) return yield* damaged(path)
      const recipient = yield* Effect.mapError(recipientOf(identity), () => damaged(path))
      return { identity, recipient }
    }),
    secret: Effect.fnUntraced(function* (name) {
      const path = keyPath(directory, name, "secret")
      const text = yield* readOrCreate(path, Effect.sync(newSecretText))
      if (!SECRET.test(text)) return yield* damaged(path)
      return new Uint8Array(Buffer.from(text.trim(), "hex"))
    })
  }
  return keys
})

/** Names of the keys that replaced one another under one name: the first bears no number. */
const generations = (directory: string, name: string, kind: string) =>
  Effect.promise(async () => {
    const numbers = (await readdir(directory)).flatMap((file) => {
      const [whole, number] =
        new RegExp(`^${name}(?:-([1-9][0-9]{0,5}))?\\.${kind}$`).exec(file) ?? []
      return whole === undefined ? [] : [Number(number ?? 1)]
    })
    return numbers
      .sort((a, b) => b - a)
      .map((number) => (number === 1 ? name : `${name}-${number}`))
  })

const IDENTITY = {
  x25519: /^AGE-SECRET-KEY-1[0-9A-Z]+$/m,
  hybrid: /^AGE-SECRET-KEY-PQ-1[0-9A-Z]+$/m
} as const

const SECRET = /^[0-9a-f]{64}\n$/

const newSigningPem = (): string =>
  generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString()

const newSecretText = (): string => `${randomBytes(SECRET_BYTES).toString("hex")}\n`

const identityText = (made: { readonly identity: string; readonly recipient: string }): string =>
  `# public key: ${made.recipient}\n${made.identity}\n`

/** Throws unless the text is a private ed25519 key. */
const signingKey = (pem: string): SigningKey => {
  const key = createPrivateKey(pem)
  const raw = rawPublicKey(key)
  return { key, raw, keyId: keyId(raw) }
}

/** Throws a RangeError for a name that could leave the folder: names are ours, never a person's. */
const keyPath = (directory: string, name: string, kind: string): string => {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) throw new RangeError(`not a key name: ${name}`)
  return join(directory, `${name}.${kind}`)
}

const readOrCreate = Effect.fnUntraced(function* (path: string, make: Effect.Effect<string>) {
  const held = yield* readKey(path)
  if (held !== undefined) return held
  const text = yield* make
  yield* Effect.promise(() => createOnce(path, text))
  // Whoever was first: what is in the file now is the key.
  const kept = yield* readKey(path)
  return kept ?? (yield* Effect.die(new Error(`${path} vanished while it was being made`)))
})

/** The text of a key file, or undefined when there is none. */
const readKey = Effect.fnUntraced(function* (path: string) {
  const found = yield* Effect.promise(() => readIfThere(path))
  if (found === undefined || "text" in found) return found?.text
  return yield* refuse(path, found.refused)
})

/** No symbolic links, and no waiting for whoever might write into a pipe of that name. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

type Found = { readonly text: string } | { readonly refused: KeyFileRefused["reason"] }

const readIfThere = async (path: string): Promise<Found | undefined> => {
  try {
    await using file = await open(path, READ_FLAGS)
    const { mode, size } = await file.stat()
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) return { refused: "not-a-file" }
    if (isOpenToOthers(mode)) return { refused: "open-to-others" }
    if (size > KEY_FILE_BYTES_MAX) return { refused: "damaged" }
    return { text: await file.readFile("utf8") }
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined
    if (isErrno(error, "ELOOP")) return { refused: "not-a-file" }
    throw error
  }
}

/** Links a synced file to its name, unless the name is taken. The folder is synced either way. */
const createOnce = async (path: string, text: string): Promise<void> => {
  const aside = `${path}.${randomBytes(8).toString("hex")}.partial`
  const directory = join(path, "..")
  try {
    await using file = await open(aside, "wx", 0o600)
    await file.writeFile(text)
    await file.sync()
    await link(aside, path).catch((error: unknown) => {
      if (!isErrno(error, "EEXIST")) throw error
    })
  } finally {
    await unlink(aside).catch(() => undefined)
  }
  await using folder = await open(directory, "r")
  await folder.sync()
}

const isOpenToOthers = (mode: number): boolean => (mode & 0o077) !== 0

const isErrno = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code

const damaged = (path: string) => new KeyFileRefused({ path, reason: "damaged" })

const refuse = (path: string, reason: KeyFileRefused["reason"]) =>
  Effect.fail(new KeyFileRefused({ path, reason }))
