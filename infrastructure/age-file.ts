/**
 * Seals bytes to recipients and opens them again, as age files (format §2.5, §4.3; C2SP age.md).
 *
 * With age-passphrase.ts the one place that imports age-encryption, because it must not be called
 * bare: it encrypts a Node Readable as an empty file, writes files that nobody can open when no
 * recipient was named, mixes post-quantum recipients with others, and reads a header of every
 * length. Here the input is bytes or it is refused; streams and random access are in age-stream.ts.
 */

import { randomBytes } from "node:crypto"
import {
  Decrypter,
  Encrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
  Stanza
} from "age-encryption"
import { Effect, Schema } from "effect"
import { HYBRID_STANZA, hasNativeHybrid, wrapHybrid } from "./age-hybrid.ts"
import {
  CHUNK_BYTES,
  cutter,
  openChunk,
  PAYLOAD_NONCE_BYTES,
  payloadKey,
  payloadSize,
  SEALED_CHUNK_BYTES,
  sealChunk
} from "./age-payload.ts"

/** Ours have at most two recipients and 5 KB; the rest is room for other makers (format §4.3). */
export const HEADER_BYTES_MAX = 65_536
export const STANZAS_MAX = 32
/** Results, profiles and wraps are far smaller; what is larger goes through age-stream.ts. */
export const WHOLE_BYTES_MAX = 64 * 1_048_576
/** Every identity is tried on every stanza; a key ring of retired keys stays below this. */
export const IDENTITIES_MAX = 64

/** Not opened: another key, another format, altered or cut bytes. Says no more than that. */
export class Undecryptable extends Schema.TaggedError<Undecryptable>()("Undecryptable", {}) {}

/** What we were asked to seal, or to whom, or to open with, cannot be right (format §5.1, row 77). */
export class AgeInputRefused extends Schema.TaggedError<AgeInputRefused>()("AgeInputRefused", {
  reason: Schema.Literals(["E_AGE_INPUT", "E_AGE_RECIPIENTS", "E_AGE_IDENTITIES"])
}) {}

export interface Identity {
  /** `AGE-SECRET-KEY-1…` or `AGE-SECRET-KEY-PQ-1…`: opens. */
  readonly identity: string
  /** `age1…` or `age1pq1…`: seals. */
  readonly recipient: string
}

/** Makes a key pair: X25519 for all but results, which take the post-quantum hybrid (format §3.1). */
export const newIdentity = Effect.fnUntraced(function* (kind: "x25519" | "hybrid") {
  const make = kind === "hybrid" ? generateHybridIdentity : generateX25519Identity
  const identity = yield* Effect.promise(make)
  return { identity, recipient: yield* Effect.promise(() => identityToRecipient(identity)) }
})

/** Finds whom an identity opens for. Fails with E_AGE_IDENTITIES when it is none. */
export const recipientOf = (identity: string): Effect.Effect<string, AgeInputRefused> =>
  Effect.tryPromise({
    try: () => identityToRecipient(identity),
    catch: () => new AgeInputRefused({ reason: "E_AGE_IDENTITIES" })
  })

/**
 * Seals at most WHOLE_BYTES_MAX bytes so that each recipient can open them. Fails with E_AGE_INPUT
 * for what is not bytes, E_AGE_RECIPIENTS for none, more than STANZAS_MAX, unreadable or mixed ones.
 */
export const seal = Effect.fnUntraced(function* (
  recipients: ReadonlyArray<string>,
  bytes: Uint8Array
) {
  yield* checkBytes(bytes)
  if (bytes.length > WHOLE_BYTES_MAX) return yield* refuse("E_AGE_INPUT")
  if (bytes.length <= CHUNK_BYTES) {
    const encrypter = yield* encrypterTo(recipients)
    return yield* Effect.promise(() => encrypter.encrypt(bytes))
  }
  const { start, key } = yield* newFile(recipients)
  const out: Array<Uint8Array> = [start]
  const cut = cutter(CHUNK_BYTES)
  cut.push(bytes, (chunk) => out.push(sealChunk(key, out.length - 1, false, chunk)))
  out.push(sealChunk(key, out.length - 1, true, cut.last()))
  return new Uint8Array(Buffer.concat(out))
})

/** Opens a whole file of at most WHOLE_BYTES_MAX plain bytes with the first identity that fits. */
export const open = Effect.fnUntraced(function* (
  identities: ReadonlyArray<string>,
  bytes: Uint8Array
) {
  yield* checkBytes(bytes)
  if (bytes.length > HEADER_BYTES_MAX + payloadSize(WHOLE_BYTES_MAX)) {
    return yield* refuse("E_AGE_INPUT")
  }
  const { key, start } = yield* openHeader(identities, bytes)
  const plain: Array<Uint8Array> = []
  for (let at = start; at < bytes.length || at === start; at += SEALED_CHUNK_BYTES) {
    const end = at + SEALED_CHUNK_BYTES
    const isLast = end >= bytes.length
    const chunk = openChunk(key, plain.length, isLast, bytes.subarray(at, end))
    if (chunk === undefined) return yield* new Undecryptable()
    plain.push(chunk)
  }
  return new Uint8Array(Buffer.concat(plain))
})

/**
 * Tells a file for somebody else from a damaged one, when `open` failed: true if the header is well
 * formed and names none of these identities (E_AGE_NO_MATCH). For the person who holds the keys
 * only; a peer learns nothing but Undecryptable.
 */
export const isForAnother = Effect.fnUntraced(function* (
  identities: ReadonlyArray<string>,
  bytes: Uint8Array
) {
  yield* checkBytes(bytes)
  const end = headerEnd(bytes)
  if (typeof end === "string") return false
  const decrypter = yield* decrypterWith(identities)
  let isUnmatched = false
  // Asked last, so only when every real identity passed: the library's error texts are no interface.
  decrypter.addIdentity({
    unwrapFileKey: () => {
      isUnmatched = true
      return null
    }
  })
  yield* Effect.promise(() => decrypter.decryptHeader(bytes.subarray(0, end)).catch(() => null))
  return isUnmatched
})

/** How long the header for these recipients is; the same for every file to them. */
export const headerLength = (recipients: ReadonlyArray<string>) =>
  Effect.map(newFile(recipients), ({ start }) => start.length - PAYLOAD_NONCE_BYTES)

/** How many bytes an age file has, from the length of its header and of what it holds. */
export const sealedSize = (headerLength: number, plainSize: number): number =>
  headerLength + payloadSize(plainSize)

/**
 * Begins one file: header and nonce, and the key of its payload. The library wraps the file key for
 * the recipients; one more recipient, which adds no stanza, hears what that key is.
 */
export const newFile = Effect.fnUntraced(function* (recipients: ReadonlyArray<string>) {
  const encrypter = yield* encrypterTo(recipients)
  let fileKey = new Uint8Array()
  encrypter.addRecipient({
    wrapFileKey: (key) => {
      fileKey = Uint8Array.from(key)
      return []
    }
  })
  const empty = yield* Effect.promise(() => encrypter.encrypt(new Uint8Array()))
  const nonce = randomBytes(PAYLOAD_NONCE_BYTES)
  const header = empty.subarray(0, empty.length - payloadSize(0))
  return { start: new Uint8Array(Buffer.concat([header, nonce])), key: payloadKey(fileKey, nonce) }
})

/** Reads header and nonce at the head of a file: the key of its payload, and where that starts. */
export const openHeader = Effect.fnUntraced(function* (
  identities: ReadonlyArray<string>,
  head: Uint8Array
) {
  const decrypter = yield* decrypterWith(identities)
  const end = headerEnd(head)
  if (typeof end === "string") return yield* new Undecryptable()
  const start = end + PAYLOAD_NONCE_BYTES
  if (head.length < start) return yield* new Undecryptable()
  const fileKey = yield* Effect.tryPromise({
    try: () => decrypter.decryptHeader(head.subarray(0, end)),
    catch: () => new Undecryptable()
  })
  return { key: payloadKey(fileKey, head.subarray(end, start)), start }
})

/**
 * Where the header ends, before the library sees a byte of it: "unfinished" if more bytes are
 * needed, "refused" as soon as it is no age file, or longer or fuller than we read.
 */
export const headerEnd = (head: Uint8Array): number | "unfinished" | "refused" => {
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, HEADER_BYTES_MAX))
  const intro = bytes.subarray(0, INTRO.length)
  if (!intro.equals(INTRO.subarray(0, intro.length))) return "refused"
  const mac = bytes.indexOf("\n--- ")
  const end = mac < 0 ? -1 : bytes.indexOf("\n", mac + 1)
  if (end < 0) return head.length >= HEADER_BYTES_MAX ? "refused" : "unfinished"
  const stanzas = bytes.toString("latin1", 0, mac + 1).split("\n-> ").length - 1
  return stanzas > STANZAS_MAX ? "refused" : end + 1
}

/** Refuses what is not bytes, whatever the types said: the library would encrypt nothing at all. */
export const checkBytes = (value: unknown): Effect.Effect<void, AgeInputRefused> =>
  value instanceof Uint8Array ? Effect.void : refuse("E_AGE_INPUT")

/** Refuses an unusable key ring before a byte is read. */
export const decrypterWith = (
  identities: ReadonlyArray<string>
): Effect.Effect<Decrypter, AgeInputRefused> => {
  if (identities.length === 0 || identities.length > IDENTITIES_MAX) {
    return refuse("E_AGE_IDENTITIES")
  }
  return Effect.try({
    try: () => {
      const decrypter = new Decrypter()
      for (const identity of identities) decrypter.addIdentity(identity)
      return decrypter
    },
    catch: () => new AgeInputRefused({ reason: "E_AGE_IDENTITIES" })
  })
}

const INTRO = Buffer.from("age-encryption.org/v1\n")

/** Anybody with a quantum computer opens a mixed file by its X25519 stanza: all or none are hybrid. */
const encrypterTo = (
  recipients: ReadonlyArray<string>
): Effect.Effect<Encrypter, AgeInputRefused> => {
  const isHybrid = (recipient: string) => recipient.startsWith("age1pq1")
  const hybrids = recipients.filter(isHybrid).length
  const others = recipients.filter((one) => !isHybrid(one) && X25519.test(one)).length
  const isUniform = hybrids === recipients.length || others === recipients.length
  if (recipients.length === 0 || recipients.length > STANZAS_MAX || !isUniform) {
    return refuse("E_AGE_RECIPIENTS")
  }
  return Effect.try({
    try: () => {
      const encrypter = new Encrypter()
      for (const recipient of recipients) encrypter.addRecipient(recipient)
      return hybrids > 0 && hasNativeHybrid ? nativeEncrypterTo(recipients) : encrypter
    },
    catch: () => new AgeInputRefused({ reason: "E_AGE_RECIPIENTS" })
  })
}

/** Wraps natively for hybrid recipients that the library has accepted: 5 ms less for each. */
const nativeEncrypterTo = (recipients: ReadonlyArray<string>): Encrypter => {
  const encrypter = new Encrypter()
  for (const recipient of recipients) {
    encrypter.addRecipient({
      wrapFileKey: (fileKey) => {
        const { body, share } = wrapHybrid(recipient, fileKey)
        const text = Buffer.from(share).toString("base64").replace(/=+$/, "")
        return [new Stanza([HYBRID_STANZA, text], body)]
      }
    })
  }
  return encrypter
}

const X25519 = /^age1[02-9ac-hj-np-z]{58}$/

const refuse = (reason: AgeInputRefused["reason"]) => Effect.fail(new AgeInputRefused({ reason }))
