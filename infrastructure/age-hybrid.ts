/**
 * Wraps and unwraps file keys for post-quantum recipients (`age1pq1…`) with node:crypto: the same
 * stanza that age-encryption makes in JavaScript, some ten times faster (C2SP age.md, "hybrid";
 * the KEM is X-Wing, draft-connolly-cfrg-xwing-kem; the envelope is HPKE, RFC 9180, base mode).
 *
 * OpenSSL answers a ciphertext for another key with a secret of nobody's: only the tag of the
 * wrapped key tells. So a stanza for somebody else, and one that was damaged, look alike here.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject
} from "node:crypto"
import { hmacSha256 } from "./hmac-sha256.ts"

export const HYBRID_STANZA = "mlkem768x25519"
export const FILE_KEY_BYTES = 16
const TAG_BYTES = 16
export const WRAPPED_BYTES = FILE_KEY_BYTES + TAG_BYTES
/** Sizes of ML-KEM-768 (FIPS 203) and X25519 (RFC 7748), one behind the other in X-Wing. */
const KEM_PUBLIC_BYTES = 1_184
const KEM_SHARE_BYTES = 1_088
const X25519_BYTES = 32
export const SHARE_BYTES = KEM_SHARE_BYTES + X25519_BYTES

/** A private key, taken apart once and used for many files. */
export interface HybridKey {
  readonly kem: KeyObject
  readonly x25519: KeyObject
  readonly x25519Public: Uint8Array
}

/**
 * Takes an identity apart. Both texts must be a pair that age-encryption made or accepted: their
 * checksums are not looked at again. Throws where this Node has no ML-KEM.
 */
export const hybridKey = (identity: string, recipient: string): HybridKey => {
  const seed = bech32Bytes(identity.toLowerCase())
  const publicKey = bech32Bytes(recipient)
  const expanded = createHash("shake256", { outputLength: 96 }).update(seed).digest()
  const x25519 = createPrivateKey({
    key: Buffer.concat([X25519_PKCS8, expanded.subarray(64)]),
    format: "der",
    type: "pkcs8"
  })
  const kem = createPrivateKey({
    key: {
      kty: "AKP",
      alg: "ML-KEM-768",
      priv: expanded.subarray(0, 64).toString("base64url"),
      pub: publicKey.subarray(0, KEM_PUBLIC_BYTES).toString("base64url")
    },
    format: "jwk"
  })
  return { kem, x25519, x25519Public: publicKey.subarray(KEM_PUBLIC_BYTES) }
}

/** Tells whether this Node can do it natively. Elsewhere the library is used. */
export const hasNativeHybrid: boolean = (() => {
  try {
    generateKeyPairSync("ml-kem-768")
    return true
  } catch {
    return false
  }
})()

/**
 * Opens one stanza. Undefined when it is not for this key, or was altered. Throws for a share that
 * no sender makes (a point of small order).
 */
export const unwrapHybrid = (
  key: HybridKey,
  share: Uint8Array,
  wrapped: Uint8Array
): Uint8Array | undefined => {
  const point = share.subarray(KEM_SHARE_BYTES)
  const secret = combined(
    decapsulate(key.kem, share.subarray(0, KEM_SHARE_BYTES)),
    diffieHellman({ privateKey: key.x25519, publicKey: x25519PublicKey(point) }),
    point,
    key.x25519Public
  )
  const { cipherKey, nonce } = schedule(secret)
  const decipher = createDecipheriv(CIPHER, cipherKey, nonce, { authTagLength: TAG_BYTES })
  decipher.setAuthTag(wrapped.subarray(FILE_KEY_BYTES))
  const fileKey = decipher.update(wrapped.subarray(0, FILE_KEY_BYTES))
  try {
    decipher.final()
    return fileKey
  } catch {
    return undefined
  }
}

/** Wraps a file key for a recipient: the share and the body of its stanza. */
export const wrapHybrid = (recipient: string, fileKey: Uint8Array) => {
  const publicKey = bech32Bytes(recipient)
  const kem = createPublicKey({
    key: Buffer.concat([KEM_SPKI, publicKey.subarray(0, KEM_PUBLIC_BYTES)]),
    format: "der",
    type: "spki"
  })
  const theirs = publicKey.subarray(KEM_PUBLIC_BYTES)
  const { ciphertext, sharedKey } = encapsulate(kem)
  const ours = generateKeyPairSync("x25519")
  const point = ours.publicKey.export({ format: "der", type: "spki" }).subarray(-X25519_BYTES)
  const shared = diffieHellman({
    privateKey: ours.privateKey,
    publicKey: x25519PublicKey(theirs)
  })
  const { cipherKey, nonce } = schedule(combined(sharedKey, shared, point, theirs))
  const cipher = createCipheriv(CIPHER, cipherKey, nonce, { authTagLength: TAG_BYTES })
  const body = cipher.update(fileKey)
  cipher.final()
  return {
    share: new Uint8Array(Buffer.concat([ciphertext, point])),
    body: new Uint8Array(Buffer.concat([body, cipher.getAuthTag()]))
  }
}

const CIPHER = "chacha20-poly1305"

/** What stands before the raw bytes of a key in DER; of fixed length for these keys. */
const X25519_PKCS8 = Buffer.from("302e020100300506032b656e04220420", "hex")
const KEM_SPKI = Buffer.from("308204b2300b0609608648016503040402038204a100", "hex")

const x25519PublicKey = (point: Uint8Array): KeyObject =>
  createPublicKey({
    key: { kty: "OKP", crv: "X25519", x: Buffer.from(point).toString("base64url") },
    format: "jwk"
  })

const XWING_LABEL = Buffer.from("5c2e2f2f5e5c", "hex")

/** X-Wing's combiner. */
const combined = (
  kemSecret: Uint8Array,
  shared: Uint8Array,
  point: Uint8Array,
  publicPoint: Uint8Array
): Buffer =>
  createHash("sha3-256")
    .update(kemSecret)
    .update(shared)
    .update(point)
    .update(publicPoint)
    .update(XWING_LABEL)
    .digest()

/** HPKE's suite: X-Wing, HKDF-SHA256, ChaCha20-Poly1305. */
const SUITE = Buffer.concat([Buffer.from("HPKE"), Buffer.from("647a00010003", "hex")])
const NOTHING = Buffer.alloc(0)

const VERSION = Buffer.from("HPKE-v1")

const extract = (salt: Uint8Array, label: string, input: Uint8Array): Buffer =>
  hmacSha256(salt, VERSION, SUITE, Buffer.from(label), input)

/** HKDF-Expand of at most one block, which is all that is asked for. */
const expand = (key: Uint8Array, label: string, info: Uint8Array, length: number): Buffer =>
  hmacSha256(
    key,
    Buffer.from([0, length]),
    VERSION,
    SUITE,
    Buffer.from(label),
    info,
    Buffer.from([1])
  ).subarray(0, length)

const CONTEXT = Buffer.concat([
  Buffer.from([0]),
  extract(NOTHING, "psk_id_hash", NOTHING),
  extract(NOTHING, "info_hash", Buffer.from("age-encryption.org/mlkem768x25519"))
])

const schedule = (sharedSecret: Uint8Array) => {
  const secret = extract(sharedSecret, "secret", NOTHING)
  return {
    cipherKey: expand(secret, "key", CONTEXT, 32),
    nonce: expand(secret, "base_nonce", CONTEXT, 12)
  }
}

const BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
const CHECKSUM_CHARACTERS = 6

/** The bytes of a bech32 text, whose checksum somebody has verified. */
const bech32Bytes = (text: string): Buffer => {
  const data = text.slice(text.lastIndexOf("1") + 1, -CHECKSUM_CHARACTERS)
  const out: Array<number> = []
  let held = 0
  let bits = 0
  for (const character of data) {
    held = ((held << 5) | BECH32.indexOf(character)) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    out.push((held >> bits) & 0xff)
  }
  return Buffer.from(out)
}
