/**
 * Makes HMAC-SHA256 and HKDF-SHA256 of small inputs (RFC 2104, RFC 5869) from whole hashes.
 *
 * node:crypto has both, but takes some 40 microseconds to accept a key; a result that is opened asks
 * eight times, which is longer than its ML-KEM takes. Here each costs two hashes.
 */
import { hash } from "node:crypto"

/** Of SHA-256. A longer key would have to be hashed first; nobody here has one. */
const BLOCK_BYTES = 64
const HASH_BYTES = 32

/** Authenticates the parts, one behind the other. Throws a RangeError for a key above 64 bytes. */
export const hmacSha256 = (key: Uint8Array, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  if (key.length > BLOCK_BYTES) throw new RangeError("the key is longer than a block")
  const inner = hash("sha256", Buffer.concat([padded(key, 0x36), ...parts]), "buffer")
  return hash("sha256", Buffer.concat([padded(key, 0x5c), inner]), "buffer")
}

const padded = (key: Uint8Array, pad: number): Buffer => {
  const block = Buffer.alloc(BLOCK_BYTES, pad)
  for (let at = 0; at < key.length; at += 1) block[at] = (key[at] ?? 0) ^ pad
  return block
}

/** Derives one block: 32 bytes. An empty salt is that of RFC 5869. */
export const hkdfSha256 = (input: Uint8Array, salt: Uint8Array, info: string): Uint8Array => {
  const key = hmacSha256(salt.length === 0 ? Buffer.alloc(HASH_BYTES) : salt, input)
  return new Uint8Array(hmacSha256(key, Buffer.from(info), Buffer.from([1])))
}
