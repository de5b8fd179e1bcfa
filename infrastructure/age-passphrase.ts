/**
 * Locks small files with a passphrase and unlocks them, as `age -p` does (C2SP age.md, "The scrypt
 * recipient type"). The derivation is node:crypto's, on another thread: the library's takes 1.5
 * seconds, in which the process would do nothing else.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto"
import { armor, Decrypter, Encrypter, Stanza } from "age-encryption"
import { Effect } from "effect"
import { headerEnd, Undecryptable } from "./age-file.ts"

/** What age itself takes: 256 MiB and most of a second for each guess. */
export const WORK_FACTOR = 18
/** A file that asks for more is a way to bring this machine down; age refuses it too (22). */
export const WORK_FACTOR_MAX = 20

const SALT_BYTES = 16
const FILE_KEY_BYTES = 16
const TAG_BYTES = 16
const LABEL = "age-encryption.org/v1/scrypt"
const BLOCK = 8

/** Locks bytes. `workFactor`: log2 of scrypt's N. */
export const lock = (
  passphrase: string,
  bytes: Uint8Array,
  workFactor = WORK_FACTOR
): Effect.Effect<Uint8Array> =>
  Effect.promise(() => {
    const encrypter = new Encrypter()
    encrypter.addRecipient({
      wrapFileKey: async (fileKey) => {
        const salt = randomBytes(SALT_BYTES)
        const cipher = createCipheriv(CIPHER, await derived(passphrase, salt, workFactor), NONCE, {
          authTagLength: TAG_BYTES
        })
        const body = cipher.update(fileKey)
        cipher.final()
        const args = ["scrypt", base64(salt), String(workFactor)]
        return [new Stanza(args, Buffer.concat([body, cipher.getAuthTag()]))]
      }
    })
    return encrypter.encrypt(bytes)
  })

/**
 * Unlocks a file that `lock` or `age -p` made, armored or not. Fails with Undecryptable for a wrong
 * passphrase, an altered file, and one that is no passphrase file at all.
 */
export const unlock = (
  passphrase: string,
  file: Uint8Array
): Effect.Effect<Uint8Array, Undecryptable> =>
  Effect.tryPromise({
    try: () => {
      const bytes = dearmored(file)
      if (typeof headerEnd(bytes) === "string") throw new Error("no age file")
      const decrypter = new Decrypter()
      decrypter.addIdentity({
        unwrapFileKey: (stanzas: ReadonlyArray<Stanza>) => unwrapped(passphrase, stanzas)
      })
      return decrypter.decrypt(bytes)
    },
    catch: () => new Undecryptable()
  })

const unwrapped = async (
  passphrase: string,
  stanzas: ReadonlyArray<Stanza>
): Promise<Uint8Array | null> => {
  const [stanza, ...others] = stanzas
  const [type, salt = "", factor = ""] = stanza?.args ?? []
  // Beside other stanzas a passphrase stanza would let anybody try theirs: the format forbids it.
  if (stanza === undefined || others.length > 0 || type !== "scrypt") return null
  if (!/^[1-9][0-9]?$/.test(factor) || Number(factor) > WORK_FACTOR_MAX) return null
  const bytes = Buffer.from(salt, "base64")
  if (bytes.length !== SALT_BYTES || base64(bytes) !== salt || stanza.args.length !== 3) return null
  if (stanza.body.length !== FILE_KEY_BYTES + TAG_BYTES) return null
  const key = await derived(passphrase, bytes, Number(factor))
  const decipher = createDecipheriv(CIPHER, key, NONCE, { authTagLength: TAG_BYTES })
  decipher.setAuthTag(stanza.body.subarray(FILE_KEY_BYTES))
  const fileKey = decipher.update(stanza.body.subarray(0, FILE_KEY_BYTES))
  try {
    decipher.final()
    return new Uint8Array(fileKey)
  } catch {
    return null
  }
}

const CIPHER = "chacha20-poly1305"
/** The key serves this one box only. */
const NONCE = Buffer.alloc(12)

const derived = (passphrase: string, salt: Uint8Array, workFactor: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const N = 2 ** workFactor
    // Twice what scrypt itself says it takes: OpenSSL counts some more.
    const limits = { N, r: BLOCK, p: 1, maxmem: 256 * N * BLOCK }
    const labelled = Buffer.concat([Buffer.from(LABEL), salt])
    scrypt(passphrase, labelled, 32, limits, (error, key) =>
      error === null ? resolve(key) : reject(error)
    )
  })

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes).toString("base64").replace(/=+$/, "")

const ARMOR = "-----BEGIN AGE ENCRYPTED FILE-----"

const dearmored = (file: Uint8Array): Uint8Array => {
  const text = Buffer.from(file).toString("latin1")
  return text.trimStart().startsWith(ARMOR) ? armor.decode(text) : file
}
