/** The keys that open results, and what they open (format §3.1, §3.7, §5.1 rows 65, 66, 71). */
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { inflateSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Decrypter, Encrypter } from "age-encryption"
import { Effect, Result } from "effect"
import { ResultsOpener } from "../application/record-ports.ts"
import { canonical } from "../domain/canonical.ts"
import { KeyId } from "../domain/opening.ts"
import { newIdentity, open, recipientOf, seal } from "../infrastructure/age-file.ts"
import {
  hasNativeHybrid,
  hybridKey,
  unwrapHybrid,
  wrapHybrid
} from "../infrastructure/age-hybrid.ts"
import { openHybrid } from "../infrastructure/age-hybrid-file.ts"
import { lock, unlock } from "../infrastructure/age-passphrase.ts"
import { boxOpener, libraryUnsealer } from "../infrastructure/open-result.ts"
import { makeResultsKey, readRecipient, unlockResultsKey } from "../infrastructure/results-keys.ts"
import * as Opener from "../infrastructure/results-opener.ts"
import { freshFolder } from "./support/database.ts"
import {
  resultDocument,
  sealedBox,
  sealedResult,
  signedText,
  testDevice
} from "./support/results.ts"
import vectors from "./vectors/age.json" with { type: "json" }

const officer = await Effect.runPromise(newIdentity("hybrid"))
const recovery = await Effect.runPromise(newIdentity("hybrid"))
const stranger = await Effect.runPromise(newIdentity("hybrid"))
const both = [officer.recipient, recovery.recipient]
const native = hybridKey(officer.identity, officer.recipient)

const PASSPHRASE = "correct horse battery staple"
/** The cheapest that shows the same. */
const CHEAP = 4
const id = KeyId.make("r2026")

describe("a hybrid key of node:crypto", () => {
  it("is there, so that results open fast", () => assert.isTrue(hasNativeHybrid))

  it.effect("opens what the library seals, for either recipient", () =>
    Effect.gen(function* () {
      for (const size of [0, 1, 65_535, 65_536, 65_537, 131_072]) {
        const plain = randomBytes(size)
        const file = yield* Effect.promise(() => libraryFile(both, plain))
        for (const { identity, recipient } of [officer, recovery]) {
          const opened = openHybrid([hybridKey(identity, recipient)], file)
          assert.isTrue(typeof opened !== "string" && Buffer.from(opened).equals(plain))
        }
      }
    })
  )

  it.effect("seals what the library opens", () =>
    Effect.gen(function* () {
      const file = yield* seal(both, Buffer.from("sealed natively"))
      for (const { identity } of [officer, recovery]) {
        const decrypter = new Decrypter()
        decrypter.addIdentity(identity)
        const plain = yield* Effect.promise(() => decrypter.decrypt(file))
        assert.strictEqual(Buffer.from(plain).toString(), "sealed natively")
      }
    })
  )

  it("unwraps its own and nobody else's", () => {
    const fileKey = randomBytes(16)
    const { body, share } = wrapHybrid(officer.recipient, fileKey)
    assert.deepStrictEqual(Buffer.from(unwrapHybrid(native, share, body) ?? []), fileKey)
    const others = hybridKey(stranger.identity, stranger.recipient)
    assert.isUndefined(unwrapHybrid(others, share, body))
  })

  const HYBRID = Object.entries(vectors).filter(([name]) => name.startsWith("hybrid"))
  it.effect.each(HYBRID)("agrees with the vector %s of other makers", ([, vector]) =>
    Effect.gen(function* () {
      const bytes = Buffer.from(vector.file, "base64")
      const file = "compressed" in vector ? inflateSync(bytes) : bytes
      const recipient = yield* recipientOf(vector.identity)
      const opened = openHybrid([hybridKey(vector.identity, recipient)], file)
      assert.strictEqual(typeof opened !== "string", vector.expect === "success")
    })
  )

  it.effect("agrees with the library about every byte of the header that is changed", () =>
    Effect.gen(function* () {
      const file = yield* seal(both, Buffer.from("x"))
      const end = Buffer.from(file).indexOf("\n--- ")
      for (let at = 0; at < file.length; at += at < 60 || at > end - 60 ? 1 : 97) {
        const changed = Uint8Array.from(file)
        changed[at] = (changed[at] ?? 0) ^ 1
        const ours = openHybrid([native], changed)
        const theirs = yield* Effect.result(open([officer.identity], changed))
        assert.strictEqual(typeof ours !== "string", Result.isSuccess(theirs), `byte ${at}`)
      }
    })
  )
})

describe("a passphrase file", () => {
  it.effect("is one of age: the library opens ours, and we open the library's", () =>
    Effect.gen(function* () {
      const ours = yield* lock(PASSPHRASE, Buffer.from("text"), CHEAP)
      const decrypter = new Decrypter()
      decrypter.addPassphrase(PASSPHRASE)
      const plain = yield* Effect.promise(() => decrypter.decrypt(ours))
      assert.strictEqual(Buffer.from(plain).toString(), "text")

      const encrypter = new Encrypter()
      encrypter.setPassphrase(PASSPHRASE)
      encrypter.setScryptWorkFactor(CHEAP)
      const theirs = yield* Effect.promise(() => encrypter.encrypt(Buffer.from("text")))
      assert.strictEqual(Buffer.from(yield* unlock(PASSPHRASE, theirs)).toString(), "text")
    })
  )

  it.effect("stays shut for another passphrase, and when it asks for too much work", () =>
    Effect.gen(function* () {
      const file = yield* lock(PASSPHRASE, Buffer.from("text"), CHEAP)
      yield* Effect.flip(unlock("wrong", file))
      const heavy = Buffer.from(
        Buffer.from(file).toString("latin1").replace(" 4\n", " 30\n"),
        "latin1"
      )
      yield* Effect.flip(unlock(PASSPHRASE, heavy))
    })
  )
})

describe("a results key", () => {
  it.effect("is written locked, for its owner only, with its public half beside it", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* freshFolder(), "keys")
      const made = yield* makeResultsKey({ ...wanted, directory })
      const { identity, recipient } = made.files
      assert.strictEqual(fs.statSync(identity).mode & 0o777, 0o600)
      assert.notInclude(fs.readFileSync(identity, "latin1"), "AGE-SECRET")
      assert.deepStrictEqual(yield* readRecipient(recipient), { id, recipient: made.recipient })
      const key = yield* unlockResultsKey(identity, PASSPHRASE)
      assert.strictEqual(key.id, id)
      assert.strictEqual(key.recipient, made.recipient)
      assert.deepStrictEqual(fs.readdirSync(directory).sort(), ["r2026.age", "r2026.recipient"])
    }).pipe(Effect.scoped)
  )

  it.effect("is never overwritten", () =>
    Effect.gen(function* () {
      const directory = yield* freshFolder()
      yield* makeResultsKey({ ...wanted, directory })
      const before = fs.readFileSync(path.join(directory, "r2026.age"))
      const refused = yield* Effect.flip(makeResultsKey({ ...wanted, directory }))
      assert.strictEqual(refused.reason, "exists")
      fs.rmSync(path.join(directory, "r2026.recipient"))
      yield* Effect.flip(makeResultsKey({ ...wanted, directory }))
      assert.deepStrictEqual(fs.readFileSync(path.join(directory, "r2026.age")), before)
    }).pipe(Effect.scoped)
  )

  it.effect("is refused when it is locked otherwise, unlocked, or for something else", () =>
    Effect.gen(function* () {
      const directory = yield* freshFolder()
      const { files } = yield* makeResultsKey({ ...wanted, directory })
      const ingest = yield* newIdentity("x25519")
      const put = (name: string, bytes: Uint8Array | string) => {
        const file = path.join(directory, name)
        fs.writeFileSync(file, bytes)
        return file
      }
      const lockedIngest = yield* lock(PASSPHRASE, Buffer.from(`${ingest.identity}\n`), CHEAP)
      const cases = [
        [files.identity, "wrong", "wrong-passphrase"],
        [put("plain", `${officer.identity}\n`), PASSPHRASE, "not-locked"],
        [put("ingest", `${ingest.identity}\n`), PASSPHRASE, "other-role"],
        [put("ingest.age", lockedIngest), PASSPHRASE, "other-role"],
        [put("noise", randomBytes(300)), PASSPHRASE, "wrong-passphrase"],
        [path.join(directory, "none"), PASSPHRASE, "unreadable"]
      ] as const
      for (const [file, passphrase, reason] of cases) {
        const refused = yield* Effect.flip(unlockResultsKey(file, passphrase))
        assert.strictEqual(refused.reason, reason, file)
      }
      const half = put("other.recipient", `# testferry results key r2026\n${ingest.recipient}\n`)
      assert.strictEqual((yield* Effect.flip(readRecipient(half))).reason, "no-recipient")
    }).pipe(Effect.scoped)
  )

  it.effect("is opened by age itself where that is installed", () =>
    Effect.gen(function* () {
      const directory = yield* freshFolder()
      const { files } = yield* makeResultsKey({ ...wanted, directory })
      // The passphrase is asked on a terminal, so only the form is looked at here.
      const hasAge = spawnSync("age", ["--version"]).error === undefined
      const head = fs.readFileSync(files.identity, "latin1").split("\n").slice(0, 2)
      assert.deepStrictEqual([head[0], head[1]?.split(" ")[1]], ["age-encryption.org/v1", "scrypt"])
      if (hasAge) assert.strictEqual(spawnSync("age", ["-d", files.identity]).status, 1)
    }).pipe(Effect.scoped)
  )
})

const device = testDevice("school")
const forger = testDevice("forger")
const document = resultDocument(device, 1)

describe.each([
  ["natively", boxOpener([officer])],
  ["by the library", boxOpener([officer], libraryUnsealer([officer]))]
] as const)("a sealed result, opened %s,", (_, openBox) => {
  const outcomeOf = (box: string, signers = [device.signer]) =>
    Effect.map(
      Effect.promise(() => openBox({ box, signers })),
      (result) => (Result.isSuccess(result) ? result.success.text : result.failure)
    )
  const boxed = (text: string, recipients = both) => sealedBox(recipients, text)
  const text = canonical({ ...document })

  it.effect("is the document that the device signed", () =>
    Effect.gen(function* () {
      const { box } = yield* sealedResult(both, device, document)
      assert.strictEqual(yield* outcomeOf(box), text)
      const rotated = [forger.signer, device.signer]
      assert.strictEqual(yield* outcomeOf(box, rotated), text)
    })
  )

  it.effect("tells another's key from altered bytes", () =>
    Effect.gen(function* () {
      const elsewhere = yield* boxed(signedText(text, device.key), [stranger.recipient])
      assert.strictEqual(yield* outcomeOf(elsewhere), "wrong-key")
      const good = Buffer.from(yield* boxed(signedText(text, device.key)), "base64")
      for (const at of [good.length - 1, good.length - 40, good.indexOf("\n--- ") + 8]) {
        const bad = Uint8Array.from(good)
        bad[at] = (bad[at] ?? 0) ^ 1
        assert.strictEqual(yield* outcomeOf(Buffer.from(bad).toString("base64")), "altered")
      }
      for (const cut of [0, 1, 300, good.length - 1]) {
        const short = good.subarray(0, cut).toString("base64")
        assert.strictEqual(yield* outcomeOf(short), "altered", `cut to ${cut}`)
      }
    })
  )

  it.effect("does not count unless the device signed exactly this text for this purpose", () =>
    Effect.gen(function* () {
      const forged = yield* boxed(signedText(text, forger.key))
      assert.strictEqual(yield* outcomeOf(forged), "bad-signature")
      const changed = signedText(text, device.key).replace("1.5", "9.5")
      assert.strictEqual(yield* outcomeOf(yield* boxed(changed)), "bad-signature")
      const unsigned = canonical({ text, signatures: [] })
      assert.strictEqual(yield* outcomeOf(yield* boxed(unsigned)), "bad-signature")
      assert.strictEqual(yield* outcomeOf(yield* boxed(text)), "altered")
    })
  )

  it.effect("is left alone when it says more than this program knows", () =>
    Effect.gen(function* () {
      const newer = canonical({ ...document, shape: "new" })
      const box = yield* boxed(signedText(newer, device.key))
      assert.strictEqual(yield* outcomeOf(box), "unreadable")
      const loose = JSON.stringify(JSON.parse(text), null, 1)
      assert.strictEqual(
        yield* outcomeOf(yield* boxed(signedText(loose, device.key))),
        "unreadable"
      )
    })
  )
})

describe("the opener", () => {
  it.effect("opens many at once and answers in their order, with retired keys too", () =>
    Effect.gen(function* () {
      const opener = yield* ResultsOpener
      assert.deepStrictEqual(opener.keys, ["r2026", "r2025"])
      const numbers = Array.from({ length: 70 }, (_, at) => at)
      const boxes = yield* Effect.forEach(numbers, (number) =>
        sealedResult(
          [number % 2 === 0 ? officer.recipient : stranger.recipient],
          number === 33 ? forger : device,
          resultDocument(device, number)
        )
      )
      const signers = [device.signer]
      const opened = yield* opener.open(boxes.map(({ box }) => ({ box, signers })))
      assert.deepStrictEqual(
        opened.map((one) => (Result.isSuccess(one) ? one.success.facts.execution : one.failure)),
        numbers.map((at) => (at === 33 ? "bad-signature" : (boxes[at]?.id ?? "")))
      )
      assert.deepStrictEqual(yield* opener.open([]), [])
    }).pipe(
      Effect.provide(
        Opener.layer(
          [
            { id: "r2026", ...officer },
            { id: "r2025", ...stranger }
          ],
          2
        )
      )
    )
  )
})

const wanted = { id, role: "active", passphrase: PASSPHRASE, workFactor: CHEAP } as const

const libraryFile = (recipients: ReadonlyArray<string>, plain: Uint8Array) => {
  const encrypter = new Encrypter()
  for (const recipient of recipients) encrypter.addRecipient(recipient)
  return encrypter.encrypt(plain)
}
