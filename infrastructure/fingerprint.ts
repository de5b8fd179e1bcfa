/**
 * Turns bytes into something two people can compare: eight words to read over the phone, or the
 * grouped hex that browsers show for a certificate.
 */

import { createHash } from "node:crypto"
import { wordlist } from "@scure/bip39/wordlists/english.js"

/** 8 of 2,048 words are 88 bits: fewer could be ground out by trying keys (format §3.3). */
const WORDS = 8
const BITS_PER_WORD = 11n

/**
 * Names bytes by eight English words, from the first 88 bits of their SHA-256. Order matters.
 * Equal bytes give equal words; two sets of words are compared as they stand.
 */
export const fingerprintWords = (bytes: Uint8Array): string => {
  const digest = createHash("sha256").update(bytes).digest()
  let bits = BigInt(`0x${digest.subarray(0, 11).toString("hex")}`)
  const words: Array<string> = []
  for (let n = 0; n < WORDS; n++) {
    words.unshift(wordlist[Number(bits & 0x7ffn)] ?? "")
    bits >>= BITS_PER_WORD
  }
  return words.join(" ")
}

/**
 * Names a certificate (its DER bytes) by its SHA-256 in upper-case pairs, `AB:CD:…`: the form of
 * browsers, of `openssl x509 -fingerprint -sha256` and of node:tls (`fingerprint256`).
 */
export const fingerprintHex = (der: Uint8Array): string =>
  (createHash("sha256").update(der).digest("hex").toUpperCase().match(/../g) ?? []).join(":")
