import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import fc from "fast-check"
import { ALL_FALSE, type Answers, type Step } from "../domain/advance.ts"
import {
  canOpen,
  complete,
  endAttempt,
  flag,
  goTo,
  next,
  present,
  previous,
  record,
  timeout
} from "../domain/sequence.ts"
import type { NumberedPlan } from "../domain/test-plan.ts"
import { current, isOver, placeOf, TestState } from "../domain/test-state.ts"
import { tick } from "../domain/test-timers.ts"
import { anyPlan, flatPlan, planItem, planPart, planSection, testPlan } from "./support/plans.ts"

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

type Call =
  | {
      readonly do:
        | "next"
        | "skip"
        | "previous"
        | "timeout"
        | "complete"
        | "early"
        | "answer"
        | "empty"
        | "end"
        | "open"
        | "pause"
    }
  | { readonly do: "goTo" | "flag" | "present" | "record"; readonly which: number }
  | { readonly do: "work"; readonly millis: number }

const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("next", "open", "answer", "end") }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("skip", "previous", "timeout", "complete", "empty", "pause", "early")
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("goTo", "flag", "present", "record"),
      which: fc.integer({ min: 0, max: 9 })
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("work"), millis: fc.integer({ min: 0, max: 900 }) })
  }
)

const codec = Schema.fromJsonString(TestState)
const restored = (state: TestState) =>
  Schema.decodeUnknownSync(codec)(Schema.encodeSync(codec)(state))

/** Does a call; what is refused changes nothing. */
const done = (plan: NumberedPlan, state: TestState, one: Call, answers: Answers): TestState => {
  const key = at(state) ?? "none"
  const other = "which" in one ? (state.route[one.which]?.key ?? "none") : key
  const moved = (outcome: Result.Result<Step | TestState, unknown>): TestState =>
    Result.isFailure(outcome)
      ? state
      : "_tag" in outcome.success
        ? taken(outcome.success)
        : outcome.success
  switch (one.do) {
    case "next":
    case "skip":
      return moved(next(plan, state, answers, one.do))
    case "previous":
      return moved(previous(plan, state))
    case "timeout":
      return moved(timeout(plan, state, answers))
    case "complete":
    case "early":
      return moved(complete(plan, state, one.do === "early"))
    case "open":
    case "present":
      return moved(present(plan, state, other))
    case "answer":
    case "empty":
    case "record":
      return moved(record(plan, state, other, { answered: one.do !== "empty", valid: true }))
    case "end":
      return moved(endAttempt(plan, state, key))
    case "goTo":
      return moved(goTo(plan, state, other))
    case "flag":
      return moved(flag(plan, state, other, true))
    case "work":
    case "pause":
      return state
  }
}

describe("whatever is asked, in whatever order", () => {
  it("goes never back in a linear part, nor into a part that was left, and drops no answer", () => {
    fc.assert(
      fc.property(
        anyPlan,
        fc.array(call, { maxLength: 60 }),
        fc.record({ c1: fc.boolean(), c2: fc.boolean(), b1: fc.boolean(), b2: fc.boolean() }),
        (plan, calls, truths) => {
          const answers = new Map(Object.entries(truths))
          let state = begun(plan, answers)
          let mono = 0
          let entry = 0
          let working = 0
          const held = new Map<string, boolean>()
          state = tick(plan, state, { mono, boot: "b", entry }, [])
          for (const one of calls) {
            const before = state
            if (one.do === "work" || one.do === "pause") {
              const wasOver = isOver(state)
              mono += one.do === "work" ? one.millis : 0
              const log =
                one.do === "work"
                  ? []
                  : ([
                      { number: entry + 1, what: "paused", at: { wall: 0, mono, boot: "b" } },
                      {
                        number: entry + 2,
                        what: "resumed",
                        at: { wall: 0, mono: mono + 5_000, boot: "b" }
                      }
                    ] as const)
              entry += log.length
              if (one.do === "pause") mono += 5_000
              if (!wasOver && one.do === "work") working += one.millis
              state = tick(plan, state, { mono, boot: "b", entry }, log)
              assert.strictEqual(state.spent.test ?? 0, working)
              continue
            }
            state = restored(done(plan, state, one, answers))
            if (one.do === "empty" && state !== before) held.set(at(before) ?? "", false)
            const [here, there] = [current(before), current(state)]
            if (here !== undefined && there !== undefined) {
              const [old, now] = [placeOf(plan, here).part, placeOf(plan, there).part]
              assert.isAtLeast(now, old)
              if (plan.plan.parts[old]?.linear) {
                assert.isAtLeast(state.position, before.position)
              }
            }
            if (isOver(before)) assert.isTrue(isOver(state))
            for (const [index, item] of state.route.entries()) {
              const was = before.route[index]
              if (was?.answered) {
                assert.isTrue(item.answered || (one.do === "empty" && index === before.position))
              }
              if (was?.closed) assert.isTrue(item.closed)
              assert.isFalse(item.closed && item.open)
              const { control } = placeOf(plan, item).item
              if (control.maxAttempts > 0) {
                assert.isAtMost(item.attempts + Number(item.open), control.maxAttempts)
              }
            }
          }
        }
      ),
      { numRuns: 400 }
    )
  })

  it("comes to an end by going on, whatever the conditions say", () => {
    fc.assert(
      fc.property(anyPlan, fc.boolean(), (plan, truth) => {
        const answers: Answers = { has: () => true, get: () => truth }
        let state = begun(plan, answers)
        for (let left = 2 * state.route.length + 1; left > 0 && !isOver(state); left -= 1) {
          const key = at(state) ?? ""
          const opened = present(plan, state, key)
          if (Result.isSuccess(opened)) state = opened.success
          const kept = record(plan, state, key, { answered: true, valid: true })
          if (Result.isSuccess(kept)) state = kept.success
          if (codeOf(next(plan, state, answers)) === "too-early") state = worked(plan, state, 300)
          state = onwards(plan, state, answers)
        }
        assert.isTrue(isOver(state))
      })
    )
  })
})

describe("a linear part", () => {
  const plan = flatPlan(items("a", "b", "c"))

  it("goes on by one, closes what it leaves, and has no way back", () => {
    const second = onwards(plan, answered(plan, begun(plan), "a"))
    assert.strictEqual(at(second), "b")
    assert.deepInclude(second.route[0], { closed: true, answered: true, attempts: 1, open: false })
    assert.strictEqual(codeOf(previous(plan, second)), "linear-no-way-back")
    assert.strictEqual(codeOf(goTo(plan, second, "a")), "linear-no-way-back")
    assert.strictEqual(codeOf(goTo(plan, second, "c")), "not-open")
    assert.strictEqual(codeOf(present(plan, second, "a")), "wrong-item")
    assert.strictEqual(
      codeOf(record(plan, second, "a", { answered: true, valid: true })),
      "wrong-item"
    )
    assert.deepStrictEqual(
      second.route.map((_, index) => canOpen(plan, second, index)),
      [false, true, false]
    )
  })

  it("takes no answer before the item was opened, nor after its last attempt", () => {
    const state = begun(plan)
    assert.strictEqual(
      codeOf(record(plan, state, "a", { answered: true, valid: true })),
      "not-open"
    )
    const ended = went(endAttempt(plan, answered(plan, state, "a"), "a"))
    assert.isTrue(ended.route[0]?.closed)
    assert.strictEqual(
      codeOf(record(plan, ended, "a", { answered: false, valid: true })),
      "no-attempts-left"
    )
    assert.strictEqual(codeOf(endAttempt(plan, ended, "a")), "no-attempts-left")
    assert.strictEqual(went(present(plan, ended, "a")).route[0]?.open, false)
  })

  it("opens an item again while attempts are left", () => {
    const twice = flatPlan([planItem("a", { control: { maxAttempts: 2 } })])
    const first = went(endAttempt(twice, answered(twice, begun(twice), "a"), "a"))
    assert.deepInclude(first.route[0], { attempts: 1, closed: false, open: false, answered: true })
    const second = went(endAttempt(twice, answered(twice, first, "a"), "a"))
    assert.deepInclude(second.route[0], { attempts: 2, closed: true })
    assert.strictEqual(codeOf(endAttempt(twice, second, "a")), "no-attempts-left")
  })

  it("lets nobody skip where that is not allowed, but for items that ask nothing", () => {
    const control = { allowSkipping: false }
    const strict = flatPlan([
      planItem("info", { control, responds: false }),
      planItem("a", { control }),
      planItem("b")
    ])
    const state = onwards(strict, begun(strict))
    assert.strictEqual(codeOf(next(strict, state, ALL_FALSE)), "skipping-not-allowed")
    assert.strictEqual(codeOf(next(strict, state, ALL_FALSE, "skip")), "skipping-not-allowed")
    const opened = went(present(strict, state, "a"))
    assert.strictEqual(codeOf(endAttempt(strict, opened, "a")), "skipping-not-allowed")
    assert.strictEqual(at(onwards(strict, answered(strict, state, "a"))), "b")
  })

  it("wants valid responses where they are validated, unless the item is skipped", () => {
    const strict = flatPlan([
      planItem("a", { control: { validateResponses: true } }),
      planItem("b")
    ])
    const opened = went(present(strict, begun(strict), "a"))
    const empty = went(record(strict, opened, "a", { answered: false, valid: false }))
    assert.strictEqual(codeOf(next(strict, empty, ALL_FALSE)), "response-required")
    const skipped = taken(went(next(strict, empty, ALL_FALSE, "skip")))
    assert.deepInclude(skipped.route[0], { skipped: true, closed: true })
    const wrong = went(record(strict, opened, "a", { answered: true, valid: false }))
    assert.strictEqual(codeOf(next(strict, wrong, ALL_FALSE, "skip")), "response-required")
  })
})

describe("a part that is not linear", () => {
  const plan = testPlan([
    planPart("P", [planSection("S", items("a", "b", "c"))], { linear: false }),
    planPart("Q", [planSection("U", items("d", "e"))], { linear: false, individual: false })
  ])

  it("may be walked in any order, and is closed when it is left", () => {
    const third = went(goTo(plan, answered(plan, begun(plan), "a"), "c"))
    const back = went(goTo(plan, third, "a"))
    assert.deepInclude(back.route[0], { closed: false, answered: true, open: true })
    assert.strictEqual(at(went(previous(plan, third))), "b")
    assert.strictEqual(codeOf(goTo(plan, back, "d")), "not-open")
    const left = onwards(plan, third)
    assert.strictEqual(at(left), "d")
    assert.deepStrictEqual(
      left.route.map(({ closed }) => closed),
      [true, true, true, false, false]
    )
    assert.deepInclude(left.route[0], { attempts: 1, answered: true })
    assert.strictEqual(codeOf(previous(plan, left)), "not-open")
  })

  it("shows a closed item again only where review is allowed", () => {
    const free = flatPlan([planItem("a"), planItem("b")], { linear: false })
    const strict = flatPlan([planItem("a", { control: { allowReview: false } }), planItem("b")], {
      linear: false
    })
    const after = (one: NumberedPlan) =>
      onwards(one, went(endAttempt(one, answered(one, begun(one), "a"), "a")))
    assert.strictEqual(codeOf(goTo(free, after(free), "a")), "done")
    assert.strictEqual(codeOf(goTo(strict, after(strict), "a")), "not-open")
  })

  it("submits all at its end where answers are submitted together", () => {
    const there = onwards(plan, went(goTo(plan, begun(plan), "c")))
    const state = answered(plan, there, "d")
    assert.strictEqual(codeOf(endAttempt(plan, state, "d")), "submitted-together")
    const over = onwards(plan, onwards(plan, state))
    assert.isTrue(isOver(over))
    assert.deepInclude(over.route[3], { closed: true, attempts: 1, answered: true })
  })

  it("is not left while something in it may not be skipped", () => {
    const strict = flatPlan([planItem("a", { control: { allowSkipping: false } }), planItem("b")], {
      linear: false
    })
    const last = onwards(strict, begun(strict))
    assert.deepStrictEqual(
      next(strict, last, ALL_FALSE),
      Result.fail({ code: "skipping-not-allowed", item: "a" })
    )
    assert.strictEqual(codeOf(complete(strict, last, false)), "skipping-not-allowed")
    assert.strictEqual(codeOf(complete(strict, last, true)), "done")
  })
})

describe("handing in", () => {
  it("is refused while more comes, unless it is meant", () => {
    const plan = flatPlan(items("a", "b"))
    const state = begun(plan)
    assert.strictEqual(codeOf(complete(plan, state, false)), "not-over")
    const early = went(complete(plan, answered(plan, state, "a"), true))
    assert.isTrue(isOver(early))
    assert.deepInclude(early.route[0], { answered: true, attempts: 1 })
    assert.strictEqual(codeOf(complete(plan, onwards(plan, state), false)), "done")
    assert.strictEqual(codeOf(next(plan, early, ALL_FALSE)), "over")
    assert.strictEqual(codeOf(complete(plan, early, false)), "done")
  })
})

describe("conditions", () => {
  const branch = (target: string, expression = "yes") => ({ branches: [{ target, expression }] })
  const answers = (yes: boolean) => new Map([["yes", yes]])

  it("are asked for first, and decide once they are answered", () => {
    const plan = flatPlan([planItem("a"), planItem("b", { preConditions: ["yes"] }), planItem("c")])
    const state = begun(plan)
    assert.deepStrictEqual(
      next(plan, state, new Map()),
      Result.succeed({ _tag: "Asks", expressions: ["yes"], otherwise: true })
    )
    assert.strictEqual(at(onwards(plan, state, answers(true))), "b")
    assert.strictEqual(at(onwards(plan, state, answers(false))), "c")
  })

  it("lead forwards only: a branch to what is behind or nowhere does not count", () => {
    const plan = flatPlan([
      planItem("a"),
      planItem("b", branch("a")),
      planItem("c", branch("x")),
      planItem("d")
    ])
    const second = onwards(plan, begun(plan))
    const third = onwards(plan, second, answers(true))
    assert.strictEqual(at(third), "c")
    assert.strictEqual(at(onwards(plan, third, answers(true))), "d")
  })

  it("leave the section, the part or the test where a branch says so", () => {
    const plan = (target: string) =>
      testPlan([
        planPart("P", [
          planSection("S", [planItem("a", branch(target)), planItem("b")]),
          planSection("U", items("c"))
        ]),
        planPart("Q", [planSection("V", items("d"))])
      ])
    const leadsTo = (target: string) =>
      at(onwards(plan(target), begun(plan(target)), answers(true)))
    assert.deepStrictEqual(
      ["b", "c", "U", "EXIT_SECTION", "EXIT_TESTPART", "Q", "EXIT_TEST"].map(leadsTo),
      ["b", "c", "c", "c", "d", "d", undefined]
    )
  })

  it("of sections and parts hold for all that is in them", () => {
    const plan = testPlan([
      planPart("P", [
        planSection("S", items("a", "b"), { preConditions: ["yes"] }),
        planSection("U", items("c"))
      ]),
      planPart("Q", [planSection("V", items("d", "e"))], { preConditions: ["yes"], linear: false }),
      planPart("R", [planSection("W", items("f"))])
    ])
    const first = begun(plan, answers(false))
    assert.strictEqual(at(first), "c")
    assert.strictEqual(at(onwards(plan, first, answers(false))), "f")
    assert.strictEqual(at(onwards(plan, first, answers(true))), "d")
  })

  it("of items don't count where the order is free", () => {
    const plan = flatPlan(
      [planItem("a", branch("EXIT_TEST")), planItem("b", { preConditions: ["yes"] })],
      {
        linear: false
      }
    )
    assert.strictEqual(at(onwards(plan, begun(plan, new Map()), new Map())), "b")
  })
})
