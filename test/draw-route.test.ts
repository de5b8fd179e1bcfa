import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import fc from "fast-check"
import { diceOf, drawRoute } from "../domain/draw-route.ts"
import type { NumberedPlan, PlanItem, PlanSection } from "../domain/test-plan.ts"
import { TestState } from "../domain/test-state.ts"
import { sha256 } from "./support/offers.ts"
import {
  anyPlan,
  flatPlan,
  planItem,
  planPart,
  planSection,
  startOf,
  testPlan
} from "./support/plans.ts"

const namesOf = (plan: NumberedPlan, seed: string | number = 1) =>
  drawRoute(plan, diceOf(sha256(String(seed)))).map((at) => plan.places[at]?.item.identifier ?? "")

const leavesOf = (node: PlanSection | PlanItem): ReadonlyArray<PlanItem> =>
  node.kind === "item" ? [node] : node.children.flatMap(leavesOf)

/** How many items a drawn section may have, at least and at most; nested ones are all kept whole. */
const sizeOf = (section: PlanSection): number | undefined => {
  const { children, selection } = section
  if (children.some(({ kind }) => kind === "section")) return undefined
  if (selection === null) return children.length
  const required = children.filter((one) => one.required).length
  const most = selection.withReplacement
    ? selection.count
    : Math.min(selection.count, children.length)
  return Math.max(required, most)
}

describe("a drawn route", () => {
  it("has as many of each section as are selected, all that are required, and none twice", () => {
    fc.assert(
      fc.property(anyPlan, fc.integer(), (plan, seed) => {
        const route = drawRoute(plan, diceOf(sha256(String(seed))))
        for (const [number, section] of plan.sections.entries()) {
          const isTop = plan.plan.parts.some(({ children }) => children.includes(section))
          if (!isTop) continue
          const drawn = route.filter((at) => plan.places[at]?.sections[0] === number)
          const size = sizeOf(section)
          if (size !== undefined) assert.strictEqual(drawn.length, size)
          for (const child of section.children) {
            if (child.kind === "section" || !child.required) continue
            assert.include(drawn, plan.numbers.get(child) ?? -1)
          }
          if (section.selection?.withReplacement !== true) {
            assert.strictEqual(new Set(drawn).size, drawn.length)
          }
          if (section.selection === null) {
            assert.deepStrictEqual(
              drawn.map((at) => plan.places[at]?.item.identifier).sort(),
              leavesOf(section)
                .map(({ identifier }) => identifier)
                .sort()
            )
          }
        }
      })
    )
  })

  it("keeps what is fixed where it is, and parts in their order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }),
        fc.integer(),
        (fixed, seed) => {
          const items = fixed.map((one, at) => planItem(`i${at}`, { fixed: one }))
          const plan = testPlan([
            planPart("P", [planSection("S", items, { shuffle: true })]),
            planPart("Q", [planSection("U", [planItem("last")])])
          ])
          const names = namesOf(plan, seed)
          assert.strictEqual(names.at(-1), "last")
          for (const [at, one] of fixed.entries()) if (one) assert.strictEqual(names[at], `i${at}`)
          assert.lengthOf(new Set(names), fixed.length + 1)
        }
      )
    )
  })

  it("is the same for the same seed, and after any save", () => {
    const codec = Schema.fromJsonString(TestState)
    fc.assert(
      fc.property(anyPlan, fc.integer(), (plan, seed) => {
        const state = startOf(plan, seed)
        assert.deepStrictEqual(startOf(plan, seed), state)
        const restored = Schema.decodeUnknownSync(codec)(Schema.encodeSync(codec)(state))
        assert.deepStrictEqual(restored, state)
        assert.strictEqual(new Set(state.route.map(({ key }) => key)).size, state.route.length)
      })
    )
  })

  it("is drawn evenly: each of 24 orders of four items comes", () => {
    const items = ["a", "b", "c", "d"].map((name) => planItem(name))
    const plan = testPlan([planPart("P", [planSection("S", items, { shuffle: true })])])
    const times = new Map<string, number>()
    for (let seed = 0; seed < 2_400; seed += 1) {
      const order = namesOf(plan, seed).join("")
      times.set(order, (times.get(order) ?? 0) + 1)
    }
    assert.strictEqual(times.size, 24)
    for (const count of times.values()) {
      assert.isAbove(count, 55)
      assert.isBelow(count, 155)
    }
  })

  it("mixes the items of an invisible section that need not stay together, and no others", () => {
    const pair = (name: string) => [planItem(`${name}1`), planItem(`${name}2`)]
    const apart = (keepTogether: boolean, visible: boolean) =>
      [...Array(60).keys()].some((seed) => {
        const inner = planSection("inner", pair("a"), { keepTogether, visible })
        const names = namesOf(
          testPlan([planPart("P", [planSection("S", [inner, ...pair("b")], { shuffle: true })])]),
          seed
        )
        return names.indexOf("a2") - names.indexOf("a1") !== 1
      })
    assert.deepStrictEqual(
      [apart(false, false), apart(true, false), apart(false, true)],
      [true, false, false]
    )
  })

  it("names an item that comes again by a number", () => {
    const section = planSection("S", [planItem("a")], {
      selection: { count: 3, withReplacement: true }
    })
    const keys = startOf(testPlan([planPart("P", [section])])).route.map(({ key }) => key)
    assert.deepStrictEqual(keys, ["a", "a.2", "a.3"])
    assert.deepStrictEqual(
      startOf(flatPlan([planItem("a"), planItem("a.2"), planItem("a")])).route.map(
        ({ key }) => key
      ),
      ["a", "a.2", "a.3"]
    )
  })
})
