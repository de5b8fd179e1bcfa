import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { BUCKETS, bucketOf, changed, EMPTY, marks, sameSet } from "../domain/set-digest.ts"
import { sha256 } from "./support/arbitrary.ts"

const set = fc.array(sha256, { maxLength: 20 })

describe("a set digest", () => {
  it("does not depend on the order in which the set came about", () => {
    fc.assert(
      fc.property(set, fc.infiniteStream(fc.nat()), (digests, order) => {
        const shuffled = digests
          .map((digest) => [order.next().value ?? 0, digest] as const)
          .sort(([a], [b]) => a - b)
          .map(([, digest]) => digest)
        assert.deepStrictEqual(changed(EMPTY, [], shuffled), changed(EMPTY, [], digests))
        const oneByOne = digests.reduce((sum, digest) => changed(sum, [], [digest]), EMPTY)
        assert.deepStrictEqual(oneByOne, changed(EMPTY, [], digests))
      })
    )
  })

  it("forgets what left it, whenever it left", () => {
    fc.assert(
      fc.property(set, set, (staying, passing) => {
        const both = changed(EMPTY, [], [...staying, ...passing])
        assert.deepStrictEqual(changed(both, passing, []), changed(EMPTY, [], staying))
        assert.deepStrictEqual(
          changed(EMPTY, passing, [...passing, ...staying]),
          changed(EMPTY, [], staying)
        )
      })
    )
  })

  it("tells sets apart that differ in one digest", () => {
    fc.assert(
      fc.property(set, sha256, sha256, (rest, one, other) => {
        fc.pre(one.slice(0, 16) !== other.slice(0, 16))
        const x = changed(EMPTY, [], [...rest, one])
        assert.isFalse(sameSet(x, changed(EMPTY, [], [...rest, other])))
        assert.isFalse(sameSet(x, changed(EMPTY, [], rest)))
        assert.isTrue(sameSet(x, changed(EMPTY, [], [one, ...rest])))
      })
    )
  })

  it("counts in numbers of 32 bits that are cut from the digest's head", () => {
    assert.deepStrictEqual(marks(`ffffffff00000001${"a".repeat(48)}`), { a: 0xffffffff, b: 1 })
    assert.deepStrictEqual(marks("0".repeat(64)), { a: 0, b: 0 })
  })

  it("stays exact for two million of the largest digests", () => {
    const { a } = marks("f".repeat(64))
    assert.isTrue(Number.isSafeInteger(a * 2_000_000))
  })
})

describe("a bucket", () => {
  it("is a number from 0 to 255 that follows from the id alone", () => {
    fc.assert(
      fc.property(fc.string(), (id) => {
        const bucket = bucketOf(id)
        assert.isTrue(Number.isInteger(bucket) && bucket >= 0 && bucket < BUCKETS)
        assert.strictEqual(bucketOf(id), bucket)
      })
    )
  })

  it("does not change between releases: both sides must agree", () => {
    assert.deepStrictEqual(["", "usr_1", "ctr_é", "kw:1:dlv_a:usr_b"].map(bucketOf), PINNED)
  })

  it("takes about as many of a run of ids as any other", () => {
    const sizes = new Map<number, number>()
    for (let at = 0; at < 25_600; at++) {
      const bucket = bucketOf(`usr_${at}`)
      sizes.set(bucket, (sizes.get(bucket) ?? 0) + 1)
    }
    assert.strictEqual(sizes.size, BUCKETS)
    assert.isBelow(Math.max(...sizes.values()), 200)
  })
})

const PINNED = [197, 159, 42, 99]
