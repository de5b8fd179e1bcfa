/**
 * Signs and verifies bytes the OpenSSH way (SSHSIG), so that `ssh-keygen -Y verify` can check what
 * Testferry signed, and the other way round (format §2.4, OpenSSH PROTOCOL.sshsig).
 *
 * ed25519 and SHA-512 only. Decoding is strict: what was not written exactly as the format says is
 * refused before its key is looked at. The key inside a signature is a lookup hint, never trusted.
 */

import {
  createHash,
  createPublicKey,
  type KeyObject,
  sign as signRaw,
  verify as verifyRaw
} from "node:crypto"
import { Result, Schema } from "effect"

/** A signature of ours has about 330 characters; a signature file longer than this is no signature. */
export const ARMOR_CHARACTERS_MAX = 4_096
/** Raw ed25519 public keys and signatures (RFC 8032 §5.1). */
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64

/** Why a signature does not count. The closed list of format §5.1, rows 28 and 33 to 38. */
export const SignatureRefusal = Schema.Literals([
  "E_SIG_FORMAT",
  "E_SIG_NAMESPACE",
  "E_SIG_HASH",
  "E_SIG_UNKNOWN_KEY",
  "E_SIG_BAD"
])

/** A signature does not show that a trusted key signed these bytes for this purpose. */
export class SignatureRefused extends Schema.TaggedError<SignatureRefused>()("SignatureRefused", {
  reason: SignatureRefusal
}) {}

/** Raw 32-byte ed25519 public keys by their OpenSSH fingerprint, as `keyId` gives it. */
export type TrustedKeys = ReadonlyMap<string, Uint8Array>

/**
 * Signs bytes for one purpose, the namespace (format §2.4), and returns the armored signature file.
 * Throws when the key is not a private ed25519 key or the namespace is empty: bugs of the caller.
 */
export const sign = (privateKey: KeyObject, namespace: string, bytes: Uint8Array): string => {
  if (namespace === "") throw new RangeError("a signature needs a namespace")
  const raw = rawPublicKey(createPublicKey(privateKey))
  const signature = signRaw(null, signedBytes(namespace, bytes), privateKey)
  const blob = Buffer.concat([
    PREAMBLE,
    VERSION,
    field(publicKeyBlob(raw)),
    field(namespace),
    field(""),
    field("sha512"),
    field(Buffer.concat([field(KEY_TYPE), field(signature)]))
  ])
  const lines = blob.toString("base64").match(/.{1,70}/g) ?? []
  return [BEGIN, ...lines, END, ""].join("\n")
}

/**
 * Names the trusted key that signed these bytes for this namespace.
 *
 * Answers SignatureRefused with E_SIG_FORMAT for whatever is not a strict SSHSIG file, E_SIG_NAMESPACE
 * for another purpose, E_SIG_HASH for another hash, E_SIG_UNKNOWN_KEY for a key that is not among
 * the trusted, and E_SIG_BAD when the key did not sign these bytes.
 */
export const verify = (options: {
  readonly trusted: TrustedKeys
  readonly namespace: string
  readonly bytes: Uint8Array
  readonly armored: string
}): Result.Result<string, SignatureRefused> => {
  const parsed = parse(options.armored)
  if (parsed === undefined || parsed.reserved.length > 0) return refused("E_SIG_FORMAT")
  if (!parsed.namespace.equals(Buffer.from(options.namespace))) return refused("E_SIG_NAMESPACE")
  if (parsed.hash.toString("latin1") !== "sha512") return refused("E_SIG_HASH")
  const signature = rawSignature(parsed.signature)
  if (!isPublicKeyBlob(parsed.publicKey) || signature === undefined) return refused("E_SIG_FORMAT")

  const id = fingerprint(parsed.publicKey)
  const raw = options.trusted.get(id)
  const isListed = raw !== undefined && publicKeyBlob(raw).equals(parsed.publicKey)
  if (!isListed || isSmallOrder(raw)) return refused("E_SIG_UNKNOWN_KEY")
  const message = signedBytes(options.namespace, options.bytes)
  return verifyRaw(null, message, publicKeyObject(raw), signature)
    ? Result.succeed(id)
    : refused("E_SIG_BAD")
}

/** Gives a raw public key its name: the fingerprint that `ssh-keygen -lf` prints, `SHA256:…`. */
export const keyId = (raw: Uint8Array): string => fingerprint(publicKeyBlob(raw))

/**
 * Writes a public key as OpenSSH does (`ssh-ed25519 AAAA… comment`), without a line end.
 * Throws a RangeError for a comment that is not one printable line.
 */
export const publicKeyLine = (raw: Uint8Array, comment: string): string => {
  if (/\p{Cc}/u.test(comment)) throw new RangeError("a key comment has a control character")
  return `${KEY_TYPE} ${publicKeyBlob(raw).toString("base64")} ${comment}`.trimEnd()
}

/** Reads such a line (a `.pub` file): the raw key, or undefined when it is no ed25519 public key. */
export const readPublicKeyLine = (line: string): Uint8Array | undefined => {
  const [type, base64 = ""] = line.trim().split(/ +/u)
  const blob = strictBase64(base64)
  return type === KEY_TYPE && blob !== undefined && isPublicKeyBlob(blob)
    ? new Uint8Array(blob.subarray(-KEY_BYTES))
    : undefined
}

/** Takes the 32 raw bytes out of an ed25519 key, public or private. Throws for other kinds of key. */
export const rawPublicKey = (key: KeyObject): Uint8Array => {
  const { crv, x } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" })
  if (crv !== "Ed25519" || x === undefined) throw new TypeError("not an ed25519 key")
  return new Uint8Array(Buffer.from(x, "base64url"))
}

/** Makes the key object that node:crypto verifies with. Throws unless given 32 bytes. */
export const publicKeyObject = (raw: Uint8Array): KeyObject => {
  const held = keyObjects.get(raw)
  if (held !== undefined) return held
  const made = createPublicKey({
    key: { kty: "OKP", crv: "Ed25519", x: Buffer.from(exactly32(raw)).toString("base64url") },
    format: "jwk"
  })
  keyObjects.set(raw, made)
  return made
}

/** Making one costs as much as verifying with it; it goes when the bytes that it was made of go. */
const keyObjects = new WeakMap<Uint8Array, KeyObject>()

/** Writes a raw public key as documents carry it: standard base64 of the 32 bytes. */
export const encodeRawKey = (raw: Uint8Array): string =>
  Buffer.from(exactly32(raw)).toString("base64")

/**
 * Reads a raw public key from a document. Undefined unless the text is the one base64 form of 32
 * bytes, and for the few points with which anybody can sign anything (row 38).
 */
export const decodeRawKey = (text: string): Uint8Array | undefined => {
  const raw = strictBase64(text)
  return raw === undefined || raw.length !== KEY_BYTES || isSmallOrder(raw)
    ? undefined
    : new Uint8Array(raw)
}

const KEY_TYPE = "ssh-ed25519"
const PREAMBLE = Buffer.from("SSHSIG")
const VERSION = Buffer.from([0, 0, 0, 1])
const BEGIN = "-----BEGIN SSH SIGNATURE-----"
const END = "-----END SSH SIGNATURE-----"
// PROTOCOL.sshsig asks for lines of 76, ssh-keygen writes 70: every width up to 76 is read.
const ARMOR = new RegExp(`^${BEGIN}\\n((?:[A-Za-z0-9+/=]{1,76}\\n)+)${END}\\n?$`)

const refused = (reason: typeof SignatureRefusal.Type) =>
  Result.fail(new SignatureRefused({ reason }))

/** A length-prefixed string of the SSH wire format (RFC 4251 §5). */
const field = (value: string | Uint8Array): Buffer => {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const publicKeyBlob = (raw: Uint8Array): Buffer =>
  Buffer.concat([field(KEY_TYPE), field(exactly32(raw))])

const fingerprint = (blob: Uint8Array): string =>
  `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`

const signedBytes = (namespace: string, bytes: Uint8Array): Buffer =>
  Buffer.concat([
    PREAMBLE,
    field(namespace),
    field(""),
    field("sha512"),
    field(createHash("sha512").update(bytes).digest())
  ])

interface Parsed {
  readonly publicKey: Buffer
  readonly namespace: Buffer
  readonly reserved: Buffer
  readonly hash: Buffer
  readonly signature: Buffer
}

/** Takes an armored signature apart; undefined as soon as one byte is not where it must be. */
const parse = (armored: string): Parsed | undefined => {
  if (armored.length > ARMOR_CHARACTERS_MAX) return undefined
  const body = ARMOR.exec(armored)?.[1]
  const blob = body === undefined ? undefined : strictBase64(body.replaceAll("\n", ""))
  const head = PREAMBLE.length + VERSION.length
  if (!blob?.subarray(0, head).equals(Buffer.concat([PREAMBLE, VERSION]))) return undefined
  const [publicKey, namespace, reserved, hash, signature, ...more] = fields(blob.subarray(head))
  return publicKey && namespace && reserved && hash && signature && more.length === 0
    ? { publicKey, namespace, reserved, hash, signature }
    : undefined
}

/** Splits bytes into length-prefixed strings; nothing at all unless they end exactly at the end. */
const fields = (bytes: Buffer): ReadonlyArray<Buffer> => {
  const found: Array<Buffer> = []
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) return []
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) return []
    found.push(bytes.subarray(at + 4, end))
    at = end
  }
  return found
}

const rawSignature = (bytes: Buffer): Buffer | undefined => {
  const [type, signature, ...more] = fields(bytes)
  const isOurs = type?.toString("latin1") === KEY_TYPE && signature?.length === SIGNATURE_BYTES
  return isOurs && more.length === 0 ? signature : undefined
}

const isPublicKeyBlob = (bytes: Buffer): boolean => {
  const [type, raw, ...more] = fields(bytes)
  return type?.toString("latin1") === KEY_TYPE && raw?.length === KEY_BYTES && more.length === 0
}

/** Node decodes base64 leniently; only text that it would write back letter for letter counts. */
const strictBase64 = (text: string): Buffer | undefined => {
  const bytes = Buffer.from(text, "base64")
  return bytes.toString("base64") === text ? bytes : undefined
}

const exactly32 = (raw: Uint8Array): Uint8Array => {
  if (raw.length !== KEY_BYTES) throw new RangeError("a raw ed25519 key has 32 bytes")
  return raw
}

/**
 * The points of order 1, 2, 4 and 8 on edwards25519 and their second encodings, without the sign
 * bit, as libsodium refuses them. Under such a key one signature fits many messages.
 */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  `00${"00".repeat(31)}`,
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`
])

const isSmallOrder = (raw: Uint8Array): boolean => {
  const masked = Buffer.from(raw)
  masked[KEY_BYTES - 1] = (masked[KEY_BYTES - 1] ?? 0) & 0x7f
  return SMALL_ORDER.has(masked.toString("hex"))
}
