import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { PROGRAM_VERSION, SUPPORTED_DEVICES, support } from "../domain/release.ts"

const RANGE = { min: "0.9.2", below: "1.10.0" }

describe("a device's version", () => {
  const cases = [
    ["0.9.1", "too-old"],
    ["0.9.2", "supported"],
    ["0.9.10", "supported"],
    ["0.10.0", "supported"],
    ["1.9.99", "supported"],
    ["1.10.0", "too-new"],
    ["1.10.1", "too-new"],
    ["10.0.0", "too-new"],
    ["0.0.0", "too-old"],
    ["", "unreadable"],
    ["1", "unreadable"],
    ["1.2", "unreadable"],
    ["1.2.3.4", "unreadable"],
    ["1.2.3-beta", "unreadable"],
    [" 1.2.3", "unreadable"],
    ["1.2.3\n", "unreadable"],
    ["v1.2.3", "unreadable"],
    ["1.2.x", "unreadable"],
    ["-1.2.3", "unreadable"],
    ["1e1.0.0", "unreadable"],
    ["1.2.1234567", "unreadable"],
    ["١.٢.٣", "unreadable"]
  ] as const
  for (const [version, answer] of cases) {
    it(`${JSON.stringify(version)} is ${answer}`, () => {
      assert.strictEqual(support(version, RANGE), answer)
    })
  }

  it("of this program is supported by this program", () => {
    assert.strictEqual(support(PROGRAM_VERSION, SUPPORTED_DEVICES), "supported")
  })

  it("can't be judged by a range that can't be read", () => {
    assert.strictEqual(support("1.0.0", { min: "1", below: "2.0.0" }), "unreadable")
    assert.strictEqual(support("1.0.0", { min: "1.0.0", below: "next" }), "unreadable")
  })

  it("is compared number by number, as people read it", () => {
    const part = fc.integer({ min: 0, max: 12 })
    const version = fc.tuple(part, part, part)
    const rank = ([major, minor, patch]: readonly [number, number, number]) =>
      major * 10_000 + minor * 100 + patch
    fc.assert(
      fc.property(version, version, version, (asked, min, below) => {
        const expected =
          rank(asked) < rank(min) ? "too-old" : rank(asked) < rank(below) ? "supported" : "too-new"
        const answer = support(asked.join("."), { min: min.join("."), below: below.join(".") })
        assert.strictEqual(answer, expected)
      })
    )
  })
})
