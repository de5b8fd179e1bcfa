import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import { canonical, type Json, parseCanonical } from "../domain/canonical.ts"

const { value } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<Json>(null, true, false),
    fc.maxSafeInteger(),
    fc.string({ unit: "grapheme" }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: "grapheme" }), tie("value"), { maxKeys: 4 })
  )
}))

/** The same value with the keys of its objects in another order. */
const turned = (json: Json): Json => {
  if (Array.isArray(json)) return json.map(turned)
  if (json === null || typeof json !== "object") return json
  return Object.fromEntries(
    Object.entries(json)
      .reverse()
      .map(([key, inner]) => [key, turned(inner)])
  )
}

describe("canonical form", () => {
  it("comes back as the value it was made of", () => {
    fc.assert(
      fc.property(value, (json) => {
        const text = canonical(json)
        const parsed = parseCanonical(text)
        assert.isTrue(Result.isSuccess(parsed))
        if (Result.isSuccess(parsed)) assert.strictEqual(canonical(parsed.success), text)
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(json)))
      })
    )
  })

  it("does not depend on the order of keys", () => {
    fc.assert(
      fc.property(value, (json) => {
        assert.strictEqual(canonical(turned(json)), canonical(json))
      })
    )
  })

  it("is one text for one value: any other spelling is refused", () => {
    fc.assert(
      fc.property(value, (json) => {
        const spaced = JSON.stringify(json, null, 1)
        const parsed = parseCanonical(spaced)
        assert.strictEqual(Result.isSuccess(parsed), spaced === canonical(json))
      })
    )
  })

  const cases: ReadonlyArray<readonly [string, Json, string]> = [
    [
      "sorts keys by UTF-16 units, not by code points (RFC 8785 §3.2.3)",
      { "€": 1, "\r": 2, "\ufb33": 3, "1": 4, "😀": 5, "\u0080": 6, ö: 7 },
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}'
    ],
    [
      "escapes what JSON must escape and nothing else (RFC 8785 §3.2.2.2)",
      '€$\u000f\nA\'B"\\\\"/\u007f\u2028',
      '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u007f\u2028"'
    ],
    ["writes literals as they are", [null, true, false], "[null,true,false]"],
    ["has no negative zero", -0, "0"],
    ["writes the largest whole number in full", 9_007_199_254_740_991, "9007199254740991"],
    [
      "keeps numeric-looking keys as text",
      { "10": 1, "9": 2, "0123": 3 },
      '{"0123":3,"10":1,"9":2}'
    ],
    [
      "keeps a key that prototypes have",
      { __proto__x: 1, constructor: 2 },
      '{"__proto__x":1,"constructor":2}'
    ],
    ["writes empty things", [{}, [], ""], '[{},[],""]']
  ]
  for (const [name, json, text] of cases) {
    it(name, () => {
      assert.strictEqual(canonical(json), text)
      assert.deepStrictEqual(parseCanonical(text), Result.succeed(JSON.parse(text)))
    })
  }

  it("throws for numbers that two programs write differently, and for broken text", () => {
    const forbidden: ReadonlyArray<Json> = [
      0.1,
      1e21,
      9_007_199_254_740_992,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      "\ud800",
      { a: ["\udc00"] },
      { "\ud800": 1 }
    ]
    for (const json of forbidden) assert.throws(() => canonical(json), RangeError)
  })

  it("refuses what parses to a canonical value but was spelt in another way", () => {
    const others = [
      " 1",
      "1.0",
      "1e2",
      "-0",
      '{"b":1,"a":2}',
      '{"a":1,"a":1}',
      '"\\u0041"',
      '"\\/"'
    ]
    const broken = ["", "{", "01", "'a'", "NaN", "[1,]", '{"a":1}x']
    for (const text of [...others, ...broken]) {
      assert.deepStrictEqual(parseCanonical(text), Result.fail("not canonical"), text)
    }
  })
})
