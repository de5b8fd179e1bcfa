/** The signatures of format §2.4: both ways with OpenSSH, and rows 28, 33 to 35 and 38 of §5.1. */
import { execFileSync, spawnSync } from "node:child_process"
import { createPrivateKey, generateKeyPairSync } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import {
  ARMOR_CHARACTERS_MAX,
  decodeRawKey,
  encodeRawKey,
  keyId,
  publicKeyLine,
  publicKeyObject,
  rawPublicKey,
  sign,
  verify
} from "../infrastructure/sshsig.ts"
import openssh from "./vectors/sshsig.json" with { type: "json" }

const namespace = "testferry-c2d-v1"
const message = Buffer.from(openssh.message)
const privateKey = createPrivateKey(openssh.privateKey)
const raw = rawPublicKey(privateKey)
const trusted = new Map([[keyId(raw), raw]])
const armored = sign(privateKey, namespace, message)
const hasSshKeygen = spawnSync("ssh-keygen", ["-?"]).error === undefined

/** What verify says: the key id, or the reason of the refusal. */
const verdict = (changed: Partial<Parameters<typeof verify>[0]>): string =>
  Result.match(verify({ trusted, namespace, bytes: message, armored, ...changed }), {
    onSuccess: (id) => id,
    onFailure: ({ reason }) => reason
  })

describe("a signature", () => {
  it("names the trusted key that made it", () => {
    assert.strictEqual(verdict({}), openssh.fingerprint)
  })

  it("is byte for byte the one that ssh-keygen made with the same key", () => {
    assert.strictEqual(armored, openssh.signature)
  })

  it("of ssh-keygen is accepted, and ours is accepted by ssh-keygen", () => {
    // Without OpenSSH on this machine, its signature in the vectors stands for it.
    const made = hasSshKeygen ? signedBySshKeygen(message) : openssh
    const theirs = new Uint8Array(blobOf(made.publicKeyLine).subarray(-32))
    assert.strictEqual(
      verdict({ trusted: new Map([[keyId(theirs), theirs]]), armored: made.signature }),
      made.fingerprint
    )
    if (hasSshKeygen) assert.strictEqual(checkedBySshKeygen(armored, namespace, message), 0)
    else assert.strictEqual(armored, openssh.signature)
  })

  it("is refused by ssh-keygen for other bytes and another namespace, as it is by us", () => {
    const other = Buffer.from("{}")
    assert.strictEqual(verdict({ bytes: other }), "E_SIG_BAD")
    assert.strictEqual(verdict({ namespace: "testferry-d2c-v1" }), "E_SIG_NAMESPACE")
    if (!hasSshKeygen) return
    assert.notStrictEqual(checkedBySshKeygen(armored, namespace, other), 0)
    assert.notStrictEqual(checkedBySshKeygen(armored, "testferry-d2c-v1", message), 0)
  })

  it("does not count when its key is not listed, or listed under another id", () => {
    const stranger = rawPublicKey(generateKeyPairSync("ed25519").publicKey)
    assert.strictEqual(verdict({ trusted: new Map() }), "E_SIG_UNKNOWN_KEY")
    assert.strictEqual(verdict({ trusted: new Map([[keyId(raw), stranger]]) }), "E_SIG_UNKNOWN_KEY")
  })

  it("is refused when a single byte of the message is another", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (bytes, place, difference) => {
          const changed = Uint8Array.from(bytes)
          changed[place % bytes.length]! ^= difference
          const signature = sign(privateKey, namespace, bytes)
          assert.strictEqual(verdict({ bytes, armored: signature }), openssh.fingerprint)
          assert.strictEqual(verdict({ bytes: changed, armored: signature }), "E_SIG_BAD")
        }
      ),
      { numRuns: 30 }
    )
  })

  it("is refused when a single character of its armor is another", () => {
    const character = fc.constantFrom(..."\n\r =+/-AZaz09\u00e9\u0000")
    fc.assert(
      fc.property(fc.nat({ max: armored.length - 1 }), character, (place, put) => {
        fc.pre(armored[place] !== put)
        const changed = armored.slice(0, place) + put + armored.slice(place + 1)
        assert.match(verdict({ armored: changed }), /^E_SIG_/)
      }),
      { numRuns: 1_000 }
    )
  })

  it("is refused when a single bit inside is another, wherever it is", () => {
    const blob = blobOf(armored)
    for (let bit = 0; bit < blob.length * 8; bit++) {
      const changed = Buffer.from(blob)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      assert.match(verdict({ armored: armor(changed) }), /^E_SIG_/, `bit ${bit}`)
    }
  })
})

describe("a malformed signature", () => {
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    ["made over SHA-256 by ssh-keygen", openssh.signatureSha256, "E_SIG_HASH"],
    ["of an RSA key by ssh-keygen", openssh.signatureRsa, "E_SIG_FORMAT"],
    ["with a reserved field that is not empty", crafted({ reserved: "x" }), "E_SIG_FORMAT"],
    ["of version 2", crafted({ version: 2 }), "E_SIG_FORMAT"],
    ["with another preamble", crafted({ preamble: "SSHSIX" }), "E_SIG_FORMAT"],
    ["of another key type", crafted({ keyType: "ssh-ed448" }), "E_SIG_FORMAT"],
    ["of another signature type", crafted({ signatureType: "ssh-rsa" }), "E_SIG_FORMAT"],
    ["of 63 bytes", crafted({ cut: 1 }), "E_SIG_FORMAT"],
    ["with bytes behind it", crafted({ trailing: "x" }), "E_SIG_FORMAT"],
    ["with a field behind it", crafted({ trailing: "\0\0\0\0" }), "E_SIG_FORMAT"],
    ["for another namespace", crafted({ namespace: "testferry-receipt-v1" }), "E_SIG_NAMESPACE"],
    ["naming another hash", crafted({ hash: "sha256" }), "E_SIG_HASH"],
    ["in base64 that is not canonical", nonCanonical(), "E_SIG_FORMAT"],
    ["with CRLF line ends", armored.replaceAll("\n", "\r\n"), "E_SIG_FORMAT"],
    ["with text before it", `x\n${armored}`, "E_SIG_FORMAT"],
    ["with text behind it", `${armored}x`, "E_SIG_FORMAT"],
    ["twice", armored + armored, "E_SIG_FORMAT"],
    ["that is empty", "", "E_SIG_FORMAT"],
    ["of a megabyte", armored.replace("U1NI", "A".repeat(1_000_000)), "E_SIG_FORMAT"],
    ["whose S is S + L (row 38)", crafted({ addOrder: true }), "E_SIG_BAD"]
  ]
  it.each(cases)("%s is refused", (_, text, reason) => {
    assert.strictEqual(verdict({ armored: text }), reason)
  })

  it("is told from a good one without the last line end, which is accepted", () => {
    assert.strictEqual(verdict({ armored: armored.trimEnd() }), openssh.fingerprint)
    assert.isBelow(armored.length, ARMOR_CHARACTERS_MAX)
  })

  it("under a small-order key that signs everything is refused even if the key is listed", () => {
    const identity = Uint8Array.from([1, ...new Uint8Array(31)])
    const forged = crafted({ raw: identity, signature: Buffer.from([1, ...new Uint8Array(63)]) })
    const listed = new Map([[keyId(identity), identity]])
    assert.strictEqual(verdict({ trusted: listed, armored: forged }), "E_SIG_UNKNOWN_KEY")
    assert.isUndefined(decodeRawKey(encodeRawKey(identity)))
  })
})

describe("a key", () => {
  it("has the fingerprint and the public key line that OpenSSH gives it", () => {
    assert.strictEqual(keyId(raw), openssh.fingerprint)
    assert.strictEqual(publicKeyLine(raw, "fixture"), openssh.publicKeyLine)
    assert.throws(() => publicKeyLine(raw, "two\nlines"), RangeError)
  })

  it("survives its text form, and only its one text form", () => {
    const text = encodeRawKey(raw)
    assert.deepStrictEqual(decodeRawKey(text), raw)
    assert.deepStrictEqual(rawPublicKey(publicKeyObject(raw)), raw)
    for (const wrong of [`${text}\n`, text.slice(0, -1), text.slice(4), "", ` ${text}`]) {
      assert.isUndefined(decodeRawKey(wrong), wrong)
    }
  })

  it("of another kind cannot sign or be taken apart", () => {
    const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
    assert.throws(() => sign(ec, namespace, message), TypeError)
    assert.throws(() => sign(privateKey, "", message), RangeError)
    assert.throws(() => publicKeyObject(new Uint8Array(31)), RangeError)
  })
})

interface Craft {
  readonly preamble?: string
  readonly version?: number
  readonly keyType?: string
  readonly raw?: Uint8Array
  readonly namespace?: string
  readonly reserved?: string
  readonly hash?: string
  readonly signatureType?: string
  readonly signature?: Buffer
  readonly cut?: number
  readonly addOrder?: boolean
  readonly trailing?: string
}

/** A signature as ours, but for what is asked to be wrong. */
function crafted(craft: Craft): string {
  let signature: Buffer = craft.signature ?? blobOf(armored).subarray(-64)
  if (craft.addOrder) signature = Buffer.concat([signature.subarray(0, 32), plusOrder(signature)])
  const version = Buffer.alloc(4)
  version.writeUInt32BE(craft.version ?? 1)
  const signed = [
    field(craft.signatureType ?? "ssh-ed25519"),
    field(signature.subarray(craft.cut ?? 0))
  ]
  return armor(
    Buffer.concat([
      Buffer.from(craft.preamble ?? "SSHSIG"),
      version,
      field(Buffer.concat([field(craft.keyType ?? "ssh-ed25519"), field(craft.raw ?? raw)])),
      field(craft.namespace ?? namespace),
      field(craft.reserved ?? ""),
      field(craft.hash ?? "sha512"),
      field(Buffer.concat(signed)),
      Buffer.from(craft.trailing ?? "")
    ])
  )
}

/** The second half of an ed25519 signature, plus the order of the group: the same point again. */
function plusOrder(signature: Buffer): Buffer {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n
  const scalar = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`)
  const hex = (scalar + order).toString(16).padStart(64, "0")
  return Buffer.from(hex, "hex").reverse()
}

/** The last character carries bits that no byte needs; setting one changes the text alone. */
function nonCanonical(): string {
  const padded = sign(privateKey, "testferry-cert-v1", message)
  const lines = padded.split("\n")
  const last = lines.at(-3)!
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  const padding = /=*$/.exec(last)![0]
  assert.isNotEmpty(padding, "needs a signature that ends in padding")
  const at = last.length - padding.length - 1
  const other = alphabet[alphabet.indexOf(last[at]!) + 1]!
  lines[lines.length - 3] = last.slice(0, at) + other + padding
  assert.isTrue(blobOf(lines.join("\n")).equals(blobOf(padded)))
  return lines.join("\n")
}

function field(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function armor(blob: Buffer): string {
  const lines = blob.toString("base64").match(/.{1,70}/g)!
  return `-----BEGIN SSH SIGNATURE-----\n${lines.join("\n")}\n-----END SSH SIGNATURE-----\n`
}

function blobOf(text: string): Buffer {
  const line = /^ssh-ed25519 (\S+)/.exec(text)?.[1]
  return Buffer.from(line ?? text.split("\n").slice(1, -2).join(""), "base64")
}

function signedBySshKeygen(bytes: Uint8Array) {
  return inFolder((folder) => {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "fixture", "-f", "key"], {
      cwd: folder
    })
    writeFileSync(join(folder, "message"), bytes)
    execFileSync("ssh-keygen", ["-q", "-Y", "sign", "-f", "key", "-n", namespace, "message"], {
      cwd: folder
    })
    const listed = execFileSync("ssh-keygen", ["-lf", "key.pub"], { cwd: folder }).toString()
    return {
      publicKeyLine: readFileSync(join(folder, "key.pub"), "utf8").trim(),
      fingerprint: listed.split(" ")[1],
      signature: readFileSync(join(folder, "message.sig"), "utf8")
    }
  })
}

/** The exit status of `ssh-keygen -Y verify`, as the school's check runs it. */
function checkedBySshKeygen(signature: string, purpose: string, bytes: Uint8Array) {
  return inFolder((folder) => {
    const signer = `central namespaces="${namespace}" ${publicKeyLine(raw, "c2d")}\n`
    writeFileSync(join(folder, "allowed"), signer)
    writeFileSync(join(folder, "sig"), signature)
    const args = ["-Y", "verify", "-f", "allowed", "-I", "central", "-n", purpose, "-s", "sig"]
    return spawnSync("ssh-keygen", args, { cwd: folder, input: bytes }).status
  })
}

function inFolder<A>(use: (folder: string) => A): A {
  const folder = mkdtempSync(join(tmpdir(), "testferry-sshsig-"))
  try {
    return use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
