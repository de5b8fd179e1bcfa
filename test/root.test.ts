/** The chain of roots: format §2.6 step 1, §3.2, and rows 36 and 39 to 41 of §5.1. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { SqlClient } from "effect/sql"
import fc from "fast-check"
import { acceptRoots } from "../application/accept-roots.ts"
import { Standing } from "../application/bundle-ports.ts"
import type { Signed } from "../domain/enrolment.ts"
import { Recipient } from "../domain/id.ts"
import {
  inForce,
  isFirst,
  type RootDocument,
  readRoot,
  rootText,
  succeeds
} from "../domain/root.ts"
import { type Holder, holder, online, rootOf, signRoot, signText } from "./support/roots.ts"
import { freshDevice, shared } from "./support/wired.ts"

const device = shared(freshDevice("node"))
const [a, b, c, d] = [holder(), holder(), holder(), holder()]
const NOW = 1_700_000_000_000
const ROOT1 = rootOf([a, b, c], 2)

const next = (
  holders: ReadonlyArray<Holder> = [a, b, c],
  changes: Partial<RootDocument> = {},
  threshold = 2
) => rootOf(holders, threshold, { version: 2, ...changes })

/** What a device that trusts root 1 says of a chain; and which root it trusts afterwards. */
const offered = (chain: ReadonlyArray<Signed>, now = NOW) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const standing = yield* Standing
    yield* sql`DELETE FROM documents`
    yield* standing.putRoots([signRoot(ROOT1, [a, b])])
    const said = yield* acceptRoots(chain, now).pipe(
      Effect.match({
        onSuccess: ({ version }): number | string => version,
        onFailure: ({ code }) => code
      })
    )
    const kept = yield* standing.root
    assert.strictEqual(kept.chain.length, kept.document.version)
    return { said, kept: kept.document }
  }).pipe(Effect.provide(device))

describe("a chain of roots", () => {
  it.live("leads on when the old and the new holders have signed", () =>
    Effect.gen(function* () {
      const root2 = next([a, b, d])
      const root3 = rootOf([d, b, c], 2, { version: 3, epoch: 2 })
      const chain = [signRoot(ROOT1, [a, b]), signRoot(root2, [a, b]), signRoot(root3, [b, d])]
      const { kept, said } = yield* offered(chain)
      assert.strictEqual(said, 3)
      assert.deepStrictEqual(kept, root3)
    })
  )

  it.live("is refused with a link left out (row 39)", () =>
    Effect.gen(function* () {
      const { kept, said } = yield* offered([signRoot({ ...next(), version: 3 }, [a, b])])
      assert.deepStrictEqual([said, kept.version], ["E_ROOT_VERSION", 1])
    })
  )

  it.live("is refused when only the new holders signed, or only the old (row 39)", () =>
    Effect.gen(function* () {
      const [e, f] = [holder(), holder()]
      const handed = next([d, e, f])
      for (const by of [[d, e, f], [a, b, c], [a, d, e], [a, b, d], []]) {
        const { kept, said } = yield* offered([signRoot(handed, by)])
        assert.deepStrictEqual([said, kept.version], ["E_ROOT_SIG", 1])
      }
      const both = yield* offered([signRoot(handed, [a, b, d, e])])
      assert.strictEqual(both.said, 2)
    })
  )

  it.live("is refused at its end when that has expired, and keeps what was (row 40)", () =>
    Effect.gen(function* () {
      const old = next([a, b, c], { expires: NOW - 1 })
      const expired = yield* offered([signRoot(old, [a, b])])
      assert.deepStrictEqual([expired.said, expired.kept.version], ["E_ROOT_EXPIRED", 1])
      const renewed = rootOf([a, b, c], 2, { version: 3 })
      const walked = yield* offered([signRoot(old, [a, b]), signRoot(renewed, [a, b])])
      assert.strictEqual(walked.said, 3, "an expired link on the way does no harm")
      assert.strictEqual((yield* offered([], ROOT1.expires + 1)).said, "E_ROOT_EXPIRED")
      assert.strictEqual((yield* offered([], ROOT1.expires)).said, 1)
    })
  )

  it.live("does not give results another recipient by an online key's word (row 41)", () =>
    Effect.gen(function* () {
      const recipient = Recipient.make("age1attacker")
      const results = { active: { id: "r", recipient }, recovery: { id: "x", recipient } }
      const { kept, said } = yield* offered([signRoot(next([a, b, c], { results }), [online])])
      assert.deepStrictEqual([said, kept.results], ["E_ROOT_SIG", null])
    })
  )

  it.live("counts a key once, however often it signs or is named (row 36)", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* offered([signRoot(next(), [a, a, a])])).said, "E_ROOT_SIG")
      const twice = rootOf([a, a], 2, { version: 2 })
      assert.strictEqual((yield* offered([signRoot(twice, [a, b])])).said, "E_ROOT_SIG")
    })
  )

  it.live("passes over signatures that do not hold, beside enough that do", () =>
    Effect.gen(function* () {
      const { text, signatures } = signRoot(next(), [a, b])
      const other = signRoot(ROOT1, [c]).signatures
      const said = yield* offered([{ text, signatures: ["junk", ...other, ...signatures] }])
      assert.strictEqual(said.said, 2)
    })
  )

  it.live("never leads back: older roots, even well signed ones, change nothing", () =>
    Effect.gen(function* () {
      const other = rootOf([a, b, d], 2)
      const { kept, said } = yield* offered([signRoot(other, [a, b, d])])
      assert.deepStrictEqual([said, kept], [1, ROOT1])
    })
  )

  it.live("is refused for other bytes of the same document, and for other forms", () =>
    Effect.gen(function* () {
      const text = rootText(next())
      const cases: ReadonlyArray<readonly [string, string]> = [
        [`${text}\n`, "E_ROOT_SIG"],
        [text.replace('"version":2', '"version":2.0'), "E_ROOT_SIG"],
        [text.replace('{"epoch"', '{"also":1,"epoch"'), "E_ROOT_SIG"],
        [text.replace("testferry/root/1", "testferry/root/2"), "E_SCHEMA_UNSUPPORTED"],
        [text.replace('"threshold":2', '"threshold":0'), "E_ROOT_SIG"],
        [text.replace('"threshold":2', '"threshold":4'), "E_ROOT_SIG"]
      ]
      for (const [changed, code] of cases) {
        assert.notStrictEqual(changed, text)
        assert.strictEqual((yield* offered([signText(changed, [a, b])])).said, code, changed)
      }
    })
  )

  it.live("takes an epoch that stays or grows by one, and no other", () =>
    Effect.gen(function* () {
      for (const [epoch, said] of [
        [1, 2],
        [2, 2],
        [3, "E_ROOT_VERSION"]
      ] as const) {
        const chain = [signRoot(next([a, b, c], { epoch }), [a, b])]
        assert.strictEqual((yield* offered(chain)).said, said)
      }
      const back = rootOf([a, b, c], 2, { version: 3, epoch: 1 })
      const chain = [signRoot(next([a, b, c], { epoch: 2 }), [a, b]), signRoot(back, [a, b])]
      assert.strictEqual((yield* offered(chain)).said, "E_ROOT_VERSION")
    })
  )
})

describe("the rule of succession", () => {
  const holders = Array.from({ length: 6 }, (_, at) => ({ ...a, id: `SHA256:${at}` }))
  const some = fc.subarray(holders, { minLength: 1 })
  const role = some.chain((keys) =>
    fc.record({
      keys: fc.constant(keys),
      threshold: fc.integer({ min: 1, max: Math.min(4, keys.length) })
    })
  )

  it("asks for the old threshold among the old keys and the new among the new", () => {
    fc.assert(
      fc.property(role, role, fc.subarray(holders), fc.boolean(), (old, young, signers, twice) => {
        const ids = signers.map(({ id }) => id)
        const enough = ({ keys, threshold }: typeof old) =>
          keys.filter(({ id }) => ids.includes(id)).length >= threshold
        const current = rootOf(old.keys, old.threshold)
        const newer = rootOf(young.keys, young.threshold, { version: 2 })
        const judged = succeeds(current, newer, twice ? [...ids, ...ids] : ids)
        assert.strictEqual(Result.isSuccess(judged), enough(old) && enough(young))
        assert.strictEqual(Result.isSuccess(isFirst(current, ids)), enough(old))
      })
    )
  })

  it("lets only the very next version in, whoever signed", () => {
    const everybody = holders.map(({ id }) => id)
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 }), (from, to) => {
        const current = rootOf(holders, 2, { version: from })
        const judged = succeeds(current, rootOf(holders, 2, { version: to }), everybody)
        assert.strictEqual(Result.isSuccess(judged), to === from + 1)
      })
    )
  })

  it("has one byte form for each document, which reads back as it was", () => {
    fc.assert(
      fc.property(role, fc.integer({ min: 1, max: 999_999 }), ({ keys, threshold }, version) => {
        const root = rootOf(keys, threshold, { version })
        assert.deepStrictEqual(Result.getOrThrow(readRoot(rootText(root))), root)
        assert.isTrue(Result.isFailure(inForce(root, root.expires + 1)))
      })
    )
  })

  it("takes no document whose roles nobody could fulfil", () => {
    const lost = rootOf([a, b], 2, { keys: { [a.id]: a.raw, [online.id]: online.raw } })
    assert.isTrue(Result.isFailure(readRoot(rootText(lost))))
    assert.isTrue(Result.isFailure(readRoot(rootText(rootOf([a], 2)))))
  })
})
