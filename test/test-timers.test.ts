import { assert, describe, it } from "@effect/vitest"
import { ALL_FALSE } from "../domain/advance.ts"
import { next, record, timeout } from "../domain/sequence.ts"
import { isOver } from "../domain/test-state.ts"
import { activeMillis, timers } from "../domain/test-timers.ts"
import { flatPlan, maxTime, planItem, planPart, planSection, testPlan } from "./support/plans.ts"

import {
  answered,
  at,
  begun,
  codeOf,
  items,
  onwards,
  taken,
  went,
  worked
} from "./support/turns.ts"

describe("time", () => {
  it("counts for every scope around the current item, and not for others", () => {
    const plan = testPlan(
      [
        planPart("P", [planSection("S", items("a", "b"), { limits: maxTime(500) })]),
        planPart("Q", [planSection("U", items("c"))])
      ],
      { limits: maxTime(10_000) }
    )
    const second = worked(plan, onwards(plan, worked(plan, begun(plan), 100)), 200)
    assert.deepStrictEqual(second.spent, {
      test: 300,
      "part 0": 300,
      "section 0": 300,
      "item a": 100,
      "item b": 200
    })
    assert.deepStrictEqual(
      timers(plan, second).map(({ maxMillis, scope, spentMillis }) => [
        scope,
        spentMillis,
        maxMillis
      ]),
      [
        ["test", 300, 10_000],
        ["section", 300, 500]
      ]
    )
  })

  it("stands still in pauses, and over the gap of a power cut", () => {
    const from = { mono: 1_000, boot: "b", entry: 4 }
    const to = (mono: number, boot = "b") => ({ mono, boot, entry: 9 })
    const log = (...entries: ReadonlyArray<readonly [string, number, string?]>) =>
      entries.map(([what, mono, boot], index) => ({
        number: index + 5,
        what: what as "paused",
        at: { wall: 0, mono, boot: boot ?? "b" }
      }))
    assert.strictEqual(activeMillis(from, to(3_000), []), 2_000)
    assert.strictEqual(activeMillis(null, to(3_000), []), 0)
    assert.strictEqual(activeMillis(from, to(900), []), 0)
    assert.strictEqual(activeMillis(from, to(3_000, "c"), []), 0)
    assert.strictEqual(
      activeMillis(from, to(9_000), log(["paused", 1_500], ["resumed", 8_000])),
      1_500
    )
    assert.strictEqual(activeMillis(from, to(9_000), log(["opened", 1_500])), 8_000)
    const waited = log(["paused", 1_500], ["authorised", 5_000], ["started", 8_000])
    assert.strictEqual(activeMillis(from, to(9_000), waited), 1_500)
    assert.strictEqual(activeMillis(from, to(9_000), log(["paused", 1_500])), 500)
    assert.strictEqual(activeMillis(from, to(9_000), log(["recovered", 8_800])), 200)
    assert.strictEqual(
      activeMillis(from, to(400, "c"), log(["paused", 1_200], ["started", 100, "c"])),
      500
    )
  })

  it("is up: no answer after the grace, and the test goes on behind what has ended", () => {
    const plan = testPlan([
      planPart("P", [
        planSection("S", items("a", "b"), { limits: maxTime(5_000) }),
        planSection("U", items("c"))
      ])
    ])
    const state = answered(plan, begun(plan), "a")
    assert.strictEqual(codeOf(timeout(plan, state, ALL_FALSE)), "time-is-left")
    const late = worked(plan, state, 5_001)
    assert.strictEqual(codeOf(record(plan, late, "a", { answered: true, valid: true })), "done")
    const later = worked(plan, late, 10_000)
    assert.strictEqual(
      codeOf(record(plan, later, "a", { answered: true, valid: true })),
      "time-is-up"
    )
    const moved = taken(went(timeout(plan, later, ALL_FALSE)))
    assert.strictEqual(at(moved), "c")
    assert.deepStrictEqual(
      moved.route.map(({ attempts, closed }) => [attempts, closed]),
      [
        [1, true],
        [0, true],
        [0, false]
      ]
    )
    assert.strictEqual(at(onwards(plan, later)), "c")
  })

  it("that is up skips what may not be skipped, and ends the test with its own limit", () => {
    const strict = planItem("a", { control: { allowSkipping: false } })
    const plan = testPlan([planPart("P", [planSection("S", [strict, planItem("b")])])], {
      limits: maxTime(1_000)
    })
    assert.isTrue(isOver(onwards(plan, worked(plan, begun(plan), 1_001))))
    const inItem = flatPlan([{ ...strict, limits: maxTime(1_000) }, planItem("b")])
    assert.strictEqual(at(onwards(inItem, worked(inItem, begun(inItem), 1_001))), "b")
  })

  it("that a proctor grants is added to every limit; late answers are taken where that is allowed", () => {
    const plan = flatPlan([planItem("a", { limits: maxTime(1_000) })])
    const late = worked(plan, answered(plan, begun(plan), "a"), 20_000)
    const kept = { answered: true, valid: true }
    assert.strictEqual(codeOf(record(plan, late, "a", kept)), "time-is-up")
    const granted = { ...late, extraMillis: 60_000 }
    assert.strictEqual(codeOf(record(plan, granted, "a", kept)), "done")
    assert.strictEqual(timers(plan, granted)[0]?.maxMillis, 61_000)
    const lenient = flatPlan([planItem("a", { limits: maxTime(1_000, { allowLate: true }) })])
    assert.strictEqual(codeOf(record(lenient, late, "a", kept)), "done")
  })

  it("of an item that ends leaves the others of a free part open", () => {
    const plan = flatPlan([planItem("a", { limits: maxTime(1_000) }), planItem("b")], {
      linear: false
    })
    const state = worked(plan, answered(plan, begun(plan), "a"), 1_001)
    const moved = onwards(plan, state)
    assert.strictEqual(at(moved), "b")
    assert.deepStrictEqual(
      moved.route.map(({ closed }) => closed),
      [true, false]
    )
  })

  it("must be taken: a linear item with a least time is not left before", () => {
    const plan = flatPlan([
      planItem("a", { limits: { minMillis: 500, maxMillis: null, allowLate: false } }),
      planItem("b")
    ])
    const state = begun(plan)
    assert.strictEqual(codeOf(next(plan, worked(plan, state, 400), ALL_FALSE)), "too-early")
    assert.strictEqual(at(onwards(plan, worked(plan, state, 500))), "b")
  })
})
