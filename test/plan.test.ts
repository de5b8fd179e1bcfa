import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { isIdle, type Manifest, needsConfirmation, type Plan, plan } from "../domain/plan.ts"
import { keys, manifest } from "./support/arbitrary.ts"

/** What a device holds after a plan: created and updated as offered, removed gone, the rest kept. */
const apply = (todo: Plan, local: Manifest, remote: Manifest): Manifest => {
  const after = new Map(local)
  for (const key of [...todo.create, ...todo.update]) after.set(key, remote.get(key) ?? "")
  for (const key of todo.remove) after.delete(key)
  return after
}

const without = (held: Manifest, keys: Iterable<string>): Manifest => {
  const rest = new Map(held)
  for (const key of keys) rest.delete(key)
  return rest
}

const sorted = (held: Manifest) => [...held].sort()

/** Cases that once failed, or that a rewrite would get wrong first. */
const CASES: ReadonlyArray<readonly [string, Manifest, Manifest, ReadonlySet<string>]> = [
  ["nothing on either side", new Map(), new Map(), new Set()],
  ["a needed key that nobody has", new Map(), new Map(), new Set(["delivery/123"])],
  [
    "a needed key that changed",
    new Map([["delivery/123", "a"]]),
    new Map([["delivery/123", "b"]]),
    new Set(["delivery/123"])
  ],
  [
    "ids that look like one number",
    new Map([
      ["delivery/0123", "a"],
      ["delivery/123", "a"]
    ]),
    new Map([["delivery/123", "a"]]),
    new Set()
  ]
]

const property = (
  name: string,
  holds: (a: Manifest, b: Manifest, n: ReadonlySet<string>) => void
) =>
  it(name, () => {
    for (const [, local, remote, needed] of CASES) holds(local, remote, needed)
    fc.assert(fc.property(manifest, manifest, keys, holds), { numRuns: 500 })
  })

describe("a plan", () => {
  property("1. yields what is offered when it is applied, but for what is held", (a, b, n) => {
    const todo = plan(a, b, n)
    assert.deepStrictEqual(sorted(without(apply(todo, a, b), todo.held)), sorted(b))
  })

  property("2. has every key of either side in exactly one of its lists", (a, b, n) => {
    const { create, held, keep, remove, update } = plan(a, b, n)
    const listed = [...create, ...update, ...remove, ...keep, ...held]
    assert.deepStrictEqual(listed.sort(), [...new Set([...a.keys(), ...b.keys()])].sort())
  })

  property("3. leaves nothing to do after it was applied", (a, b, n) => {
    const todo = plan(a, b, n)
    // What is held is marked, and no longer counts as local.
    const again = plan(without(apply(todo, a, b), todo.held), b, n)
    assert.isTrue(isIdle(again))
    assert.deepStrictEqual([...again.keep].sort(), [...b.keys()].sort())
  })

  property("4. removes nothing that is needed", (a, b, n) => {
    const { held, remove } = plan(a, b, n)
    assert.deepStrictEqual(
      remove.filter((key) => n.has(key)),
      []
    )
    for (const key of held) assert.isTrue(n.has(key) && a.has(key) && !b.has(key))
  })

  property(
    "5. is the whole plan without its keep when it is restricted to what changed",
    (a, b, n) => {
      const whole = plan(a, b, n)
      const changed = [...new Set([...a.keys(), ...b.keys()])].filter(
        (key) => a.get(key) !== b.get(key)
      )
      const only = (held: Manifest) => new Map([...held].filter(([key]) => changed.includes(key)))
      assert.deepStrictEqual(plan(only(a), only(b), n), { ...whole, keep: [] })
    }
  )

  it("is idle only when it does nothing at all, and holding something back is doing something", () => {
    const none: Plan = { create: [], update: [], remove: [], keep: ["x"], held: [] }
    assert.isTrue(isIdle(none))
    for (const list of ["create", "update", "remove", "held"]) {
      assert.isFalse(isIdle({ ...none, [list]: ["y"] }), list)
    }
  })
})

describe("removals that need a person's word", () => {
  const borders = [
    [0, 0, false],
    [10, 10, false],
    [10, 0, false],
    [11, 11, true],
    [11, 109, true],
    [11, 110, false],
    [11, 111, false],
    [12, 110, true],
    [1_000, 10_000, false],
    [1_001, 10_000, true],
    [11, 0, true]
  ] as const
  for (const [removing, holding, asks] of borders) {
    it(`are ${asks ? "" : "not "}${removing} of ${holding}`, () => {
      assert.strictEqual(needsConfirmation(removing, holding), asks)
    })
  }

  it("never become fewer when more is removed or less is held", () => {
    const count = fc.integer({ min: 0, max: 300 })
    fc.assert(
      fc.property(count, count, (removing, holding) => {
        if (!needsConfirmation(removing, holding)) return
        assert.isTrue(needsConfirmation(removing + 1, holding))
        assert.isTrue(needsConfirmation(removing, Math.max(0, holding - 1)))
      })
    )
  })
})
