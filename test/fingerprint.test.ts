/** What two people compare, by phone or on a screen (format §3.3). */
import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { wordlist } from "@scure/bip39/wordlists/english.js"
import fc from "fast-check"
import { fingerprintHex, fingerprintWords } from "../infrastructure/fingerprint.ts"

describe("a fingerprint in words", () => {
  it("is this one for these bytes, for ever", () => {
    assert.strictEqual(fingerprintWords(Buffer.from("testferry")), PINNED)
  })

  it("says the first 88 bits of the SHA-256 in eight words of the list, in order", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const words = fingerprintWords(bytes).split(" ")
        assert.lengthOf(words, 8)
        const bits = words.map((word) => wordlist.indexOf(word).toString(2).padStart(11, "0"))
        const hex = BigInt(`0b${bits.join("")}`)
          .toString(16)
          .padStart(22, "0")
        assert.strictEqual(hex, createHash("sha256").update(bytes).digest("hex").slice(0, 22))
      })
    )
  })

  it("takes its words from a list of 2,048 different ones", () => {
    assert.strictEqual(new Set(wordlist).size, 2_048)
  })
})

describe("a fingerprint in hex", () => {
  it("is the SHA-256 in upper-case pairs, as browsers and openssl show it", () => {
    assert.strictEqual(
      fingerprintHex(Buffer.from("abc")),
      "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:" +
        "B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
    )
  })
})

const PINNED = "resist foil rhythm kiss valve credit wood foster"
