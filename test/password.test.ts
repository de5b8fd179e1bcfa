/** The password wraps of format §3.5 and rows 61, 62: floor, ceiling, spelling, and the wrap itself. */
import { argon2Sync, createCipheriv, hkdfSync } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import fc from "fast-check"
import { COST_DEFAULT, type Cost, costRefused, MEMORY_KIB_MAX, PASSES_MAX } from "../domain/cost.ts"
import { foldedLogin } from "../domain/login.ts"
import {
  acceptablePassword,
  generatedPassword,
  PASSWORD_CHARACTERS_MAX,
  PASSWORD_RANDOM_BYTES,
  spelledPassword
} from "../domain/password.ts"
import { loginTag } from "../infrastructure/login-tag.ts"
import {
  dummy,
  generatePassword,
  hkdfExpand,
  unwrap,
  type Wrap,
  wrap
} from "../infrastructure/password.ts"

/** Not a cost for people's keys: these tests are about everything but the time it takes. */
const cheap: Cost = { memoryKiB: 64, passes: 1 }
const user = {
  userId: "tt_1",
  ver: 1,
  recipient: "age1recipient",
  identity: "AGE-SECRET-KEY-1IDENTITY",
  password: "correct horse battery staple",
  cost: cheap
}
const wrapped = await Effect.runPromise(wrap(user))

describe("a wrap", () => {
  it.effect("gives the identity back for the password, at the default cost", () =>
    Effect.gen(function* () {
      const dear = yield* wrap({ ...user, cost: COST_DEFAULT })
      const { password, userId } = user
      assert.strictEqual(yield* unwrap({ userId, password, wrap: dear }), user.identity)
      assert.deepInclude(dear, { cost: COST_DEFAULT, ver: 1, recipient: user.recipient })
      assert.deepStrictEqual(JSON.parse(JSON.stringify(dear)), dear)
    })
  )

  it.effect("is made as the format says, step by step", () =>
    Effect.gen(function* () {
      const box = Buffer.from(wrapped.box, "base64")
      const secret = argon2Sync("argon2id", {
        message: user.password,
        nonce: Buffer.from(wrapped.salt, "base64"),
        parallelism: 1,
        tagLength: 32,
        memory: cheap.memoryKiB,
        passes: cheap.passes,
        associatedData: "testferry/pw/1|tt_1"
      })
      assert.isTrue(hkdfExpand(secret, "testferry/pw/commit/1", 32).equals(box.subarray(0, 32)))
      const kek = hkdfExpand(secret, "testferry/pw/kek/1", 32)
      const cipher = createCipheriv("aes-256-gcm", kek, box.subarray(32, 44))
      cipher.setAAD(Buffer.from('{"recipient":"age1recipient","user":"tt_1","ver":1}'))
      const sealed = Buffer.concat([cipher.update(user.identity), cipher.final()])
      assert.isTrue(Buffer.concat([sealed, cipher.getAuthTag()]).equals(box.subarray(44)))
      assert.strictEqual(Buffer.from(wrapped.salt, "base64").length, 16)
      assert.notStrictEqual((yield* wrap(user)).salt, wrapped.salt)
    })
  )

  const flipped = (text: string, at: number) => {
    const bytes = Buffer.from(text, "base64")
    bytes[at < 0 ? bytes.length + at : at]! ^= 1
    return bytes.toString("base64")
  }
  const wrongs: ReadonlyArray<readonly [string, Partial<typeof user>, Partial<Wrap>]> = [
    ["another password", { password: "correct horse battery stable" }, {}],
    ["no password", { password: "" }, {}],
    ["a megabyte of password", { password: "x".repeat(1 << 20) }, {}],
    ["another user's wrap", { userId: "tt_2" }, {}],
    ["another cost", {}, { cost: { memoryKiB: 72, passes: 1 } }],
    ["another version", {}, { ver: 2 }],
    ["another recipient", {}, { recipient: "age1other" }],
    ["a changed salt", {}, { salt: flipped(wrapped.salt, 0) }],
    ["a salt of one byte", {}, { salt: "AA==" }],
    ["a changed commitment", {}, { box: flipped(wrapped.box, 0) }],
    ["a changed nonce", {}, { box: flipped(wrapped.box, 32) }],
    ["a changed ciphertext", {}, { box: flipped(wrapped.box, 44) }],
    ["a changed tag", {}, { box: flipped(wrapped.box, -1) }],
    ["a box cut short", {}, { box: wrapped.box.slice(0, 64) }],
    ["an empty box", {}, { box: "" }]
  ]
  it.effect.each(wrongs)("does not open with %s", ([, changedUser, changedWrap]) =>
    Effect.gen(function* () {
      const { password, userId } = { ...user, ...changedUser }
      const refused = yield* Effect.flip(
        unwrap({ userId, password, wrap: { ...wrapped, ...changedWrap } })
      )
      assert.strictEqual(refused._tag, "WrongPassword")
    })
  )

  const floods: ReadonlyArray<Cost> = [
    { memoryKiB: 8 * 1_048_576, passes: 3 },
    { memoryKiB: MEMORY_KIB_MAX + 1, passes: 1 },
    { memoryKiB: 65_536, passes: PASSES_MAX + 1 },
    { memoryKiB: 65_536, passes: 0 },
    { memoryKiB: 7, passes: 1 },
    { memoryKiB: 64.5, passes: 1 },
    { memoryKiB: Number.NaN, passes: 1 }
  ]
  it.effect.each(floods)("asking for %o is refused before the work", (cost) =>
    Effect.gen(function* () {
      const { password, userId } = user
      const refusals = [
        yield* Effect.flip(unwrap({ userId, password, wrap: { ...wrapped, cost } })),
        yield* Effect.flip(wrap({ ...user, cost })),
        yield* Effect.flip(dummy(cost))
      ]
      for (const refused of refusals) {
        assert.deepInclude(refused, { _tag: "CostOverLimit", reason: "E_KDF_LIMIT" })
      }
    })
  )

  it.effect("of an unknown login costs the same derivation, and nothing comes of it", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* dummy(cheap))
    })
  )

  it.effect("opens however the password was composed (NFKC) and a generated one was typed", () =>
    Effect.gen(function* () {
      const accented = yield* wrap({ ...user, password: "pass\u00e9 compos\u00e9 de ﬁn" })
      const typed = { userId: user.userId, password: "passe\u0301 compose\u0301 de fin" }
      assert.strictEqual(yield* unwrap({ ...typed, wrap: accented }), user.identity)

      const generated = yield* generatePassword
      const ours = yield* wrap({ ...user, password: generated })
      const sloppy = ` ${generated.slice(0, 5).toLowerCase()}-${generated.slice(5)} `
      const spoken = { userId: user.userId, password: sloppy.replaceAll("0", "o") }
      assert.strictEqual(yield* unwrap({ ...spoken, wrap: ours }), user.identity)
    })
  )

  it.effect("can be made by many at once, and giving up on some harms no other", () =>
    Effect.gen(function* () {
      const fibers = yield* Effect.forEach(Array.from({ length: 40 }), () =>
        Effect.forkChild(wrap(user))
      )
      yield* Fiber.interruptAll(fibers.slice(0, 20))
      for (const made of yield* Fiber.joinAll(fibers.slice(20))) {
        const { password, userId } = user
        assert.strictEqual(yield* unwrap({ userId, password, wrap: made }), user.identity)
      }
    })
  )
})

describe("HKDF-Expand", () => {
  it("gives the outputs of RFC 5869, appendix A.1 and A.2", () => {
    const prk = Buffer.from(
      "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
      "hex"
    )
    assert.strictEqual(
      hkdfExpand(prk, Buffer.from("f0f1f2f3f4f5f6f7f8f9", "hex"), 42).toString("hex"),
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    const longPrk = Buffer.from(
      "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
      "hex"
    )
    const info = Buffer.from(Array.from({ length: 80 }, (_, n) => 0xb0 + n))
    assert.strictEqual(
      hkdfExpand(longPrk, info, 82).toString("hex"),
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c" +
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71" +
        "cc30c58179ec3e87c14c01d5c1f3434f1d87"
    )
  })

  it("is not the whole HKDF, which extracts first", () => {
    const key = Buffer.alloc(32, 7)
    const whole = Buffer.from(hkdfSync("sha256", key, "", "x", 32))
    assert.isFalse(hkdfExpand(key, "x", 32).equals(whole))
  })
})

describe("a cost", () => {
  it("is refused below every OWASP pair and above the ceiling", () => {
    for (const [memoryKiB, passes] of [
      [47_104, 1],
      [19_456, 2],
      [12_288, 3],
      [9_216, 4],
      [7_168, 5]
    ] as const) {
      assert.isUndefined(costRefused({ memoryKiB, passes }))
      assert.strictEqual(costRefused({ memoryKiB: memoryKiB - 1, passes }), "E_KDF_FLOOR")
      assert.isUndefined(costRefused({ memoryKiB: memoryKiB + 1, passes: passes + 1 }))
    }
    assert.isUndefined(costRefused(COST_DEFAULT))
    assert.isUndefined(costRefused({ memoryKiB: MEMORY_KIB_MAX, passes: PASSES_MAX }))
    assert.strictEqual(costRefused({ memoryKiB: MEMORY_KIB_MAX + 1, passes: 3 }), "E_KDF_LIMIT")
    assert.strictEqual(costRefused({ memoryKiB: 65_536, passes: PASSES_MAX + 1 }), "E_KDF_LIMIT")
  })
})

describe("a generated password", () => {
  const random = fc.uint8Array({
    minLength: PASSWORD_RANDOM_BYTES,
    maxLength: PASSWORD_RANDOM_BYTES
  })
  const passwords = random.map(generatedPassword)
  const alphabet = [..."0123456789ABCDEFGHJKMNPQRSTVWXYZ"]

  it("has eleven characters that nobody mistakes, fifty bits of them random", () => {
    fc.assert(
      fc.property(random, (bytes) => {
        const password = generatedPassword(bytes)
        assert.match(password, /^[0-9A-HJKMNP-TV-Z]{11}$/)
        const read = [...password.slice(0, 10)].map((one) => alphabet.indexOf(one))
        assert.deepStrictEqual(
          read,
          Array.from(bytes, (byte) => byte % 32)
        )
        assert.isTrue(acceptablePassword(password))
        assert.strictEqual(spelledPassword(password), password)
      })
    )
    assert.throws(() => generatedPassword(new Uint8Array(9)), RangeError)
  })

  it("with one wrong character is not acceptable, wherever it is and whatever stands there", () => {
    fc.assert(
      fc.property(passwords, (password) => {
        for (let at = 0; at < password.length; at++) {
          for (const put of alphabet.filter((one) => one !== password[at])) {
            const wrong = password.slice(0, at) + put + password.slice(at + 1)
            assert.isFalse(acceptablePassword(wrong), `${password} as ${wrong}`)
          }
        }
      }),
      { numRuns: 20 }
    )
  })

  it("with two characters swapped is not acceptable", () => {
    fc.assert(
      fc.property(passwords, fc.nat({ max: 10 }), fc.nat({ max: 10 }), (password, one, two) => {
        fc.pre(password[one] !== password[two])
        const swapped = [...password]
        swapped[one] = password[two]!
        swapped[two] = password[one]!
        assert.isFalse(acceptablePassword(swapped.join("")))
      })
    )
  })

  it("is read in lower case, grouped, and with O, I and L for the digits they look like", () => {
    fc.assert(
      fc.property(passwords, fc.constantFrom("i", "I", "l", "L"), (password, one) => {
        const typed = `${password.slice(0, 5)}-${password.slice(5, 10)} ${password.slice(10)}`
        const sloppy = typed.toLowerCase().replaceAll("0", "o").replaceAll("1", one)
        assert.strictEqual(spelledPassword(sloppy), password)
      })
    )
  })

  it.effect("is a new one each time", () =>
    Effect.gen(function* () {
      const made = yield* Effect.all(Array.from({ length: 100 }, () => generatePassword))
      assert.strictEqual(new Set(made).size, 100)
    })
  )
})

describe("a chosen password", () => {
  it("needs 15 characters, counted as people count, and at most what we read", () => {
    assert.isFalse(acceptablePassword("123456"))
    assert.isFalse(acceptablePassword("fourteen chars"))
    assert.isTrue(acceptablePassword("fifteen letters"))
    assert.isFalse(acceptablePassword("🐎".repeat(14)))
    assert.isTrue(acceptablePassword("🐎".repeat(15)))
    assert.isTrue(acceptablePassword("x".repeat(PASSWORD_CHARACTERS_MAX)))
    assert.isFalse(acceptablePassword("x".repeat(PASSWORD_CHARACTERS_MAX + 1)))
  })

  it("stays what it is, but for NFKC", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 15, unit: "grapheme" }), (text) => {
        fc.pre(spelledPassword(text).length !== 11)
        assert.strictEqual(spelledPassword(text), text.normalize("NFKC"))
      })
    )
  })
})

describe("a login tag", () => {
  const key = Buffer.alloc(32, 1)

  it("is the same however the login is typed, and another under another key", () => {
    const tag = loginTag(key, "j\u00f6rg.m\u00fcller")
    assert.match(tag, /^[0-9a-f]{64}$/)
    for (const typed of [" J\u00d6RG.M\u00dcLLER\n", "jo\u0308rg.mu\u0308ller", "Ｊörg.müller"]) {
      assert.strictEqual(loginTag(key, typed), tag, typed)
    }
    // Lower-casing makes a pair of characters that NFKC joins into one.
    assert.strictEqual(loginTag(key, "T\u0308"), loginTag(key, "\u1e97"))
    assert.notStrictEqual(loginTag(key, "jorg.muller"), tag)
    assert.notStrictEqual(loginTag(Buffer.alloc(32, 2), "j\u00f6rg.m\u00fcller"), tag)
  })

  it("folds a login once and for all", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (login) => {
        assert.strictEqual(foldedLogin(foldedLogin(login)), foldedLogin(login))
      }),
      { examples: [["T\u0308"], ["İ"], ["ΑΣ"], [" ẛ\u0323 "]] }
    )
  })
})
