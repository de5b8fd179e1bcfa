/** Makes plans of tests, by hand and by chance. */
import fc from "fast-check"
import { diceOf } from "../../domain/draw-route.ts"
import {
  CONTROL,
  type Control,
  type NumberedPlan,
  numbered,
  type PlanItem,
  type PlanPart,
  type PlanSection,
  type TestPlan,
  type TimeLimits
} from "../../domain/test-plan.ts"
import { newState, type TestState } from "../../domain/test-state.ts"
import { sha256 } from "./offers.ts"

const NODE = { preConditions: [], branches: [], limits: null, required: false, fixed: false }

export const planItem = (
  identifier: string,
  { control, ...more }: Partial<Omit<PlanItem, "control">> & { control?: Partial<Control> } = {}
): PlanItem => ({
  ...NODE,
  kind: "item",
  identifier,
  path: `${identifier}.xml`,
  title: identifier,
  responds: true,
  external: false,
  categories: [],
  weights: {},
  control: { ...CONTROL, ...control },
  ...more
})

export const planSection = (
  identifier: string,
  children: PlanSection["children"],
  more: Partial<PlanSection> = {}
): PlanSection => ({
  ...NODE,
  kind: "section",
  identifier,
  title: identifier,
  visible: true,
  keepTogether: true,
  shuffle: false,
  selection: null,
  rubrics: [],
  children,
  ...more
})

export const planPart = (
  identifier: string,
  children: PlanPart["children"],
  more: Partial<PlanPart> = {}
): PlanPart => ({
  identifier,
  preConditions: [],
  branches: [],
  limits: null,
  linear: true,
  individual: true,
  rubrics: [],
  children,
  ...more
})

export const testPlan = (
  parts: ReadonlyArray<PlanPart>,
  more: Partial<TestPlan> = {}
): NumberedPlan =>
  numbered({
    identifier: "T",
    title: "A test",
    limits: null,
    rubrics: [],
    parts,
    xml: "<qti-assessment-test/>",
    concludes: false,
    ...more
  })

/** One part, one section. */
export const flatPlan = (items: ReadonlyArray<PlanItem>, part: Partial<PlanPart> = {}) =>
  testPlan([planPart("P", [planSection("S", items)], part)])

export const maxTime = (maxMillis: number, more: Partial<TimeLimits> = {}): TimeLimits => ({
  minMillis: 0,
  maxMillis,
  allowLate: false,
  ...more
})

export const startOf = (plan: NumberedPlan, seed = 1): TestState =>
  newState(plan, diceOf(sha256(String(seed))))

const flag = fc.boolean()
const seldom = fc.integer({ min: 0, max: 4 }).map((thrown) => thrown === 0)
const limits = fc.option(
  fc.record({
    minMillis: fc.constantFrom(0, 0, 0, 200),
    maxMillis: fc.constantFrom(null, 500, 2_000),
    allowLate: seldom
  }),
  { nil: null, freq: 3 }
)
const conditions = fc.subarray(["c1", "c2"], { maxLength: 1 })
const branches = fc.array(
  fc.record({
    target: fc.constantFrom(
      "i1",
      "i4",
      "s1",
      "p1",
      "nowhere",
      "EXIT_SECTION",
      "EXIT_TESTPART",
      "EXIT_TEST"
    ),
    expression: fc.constantFrom("b1", "b2")
  }),
  { maxLength: 1 }
)
const selectable = { required: seldom, fixed: seldom, preConditions: conditions, branches, limits }

const itemLike = fc.record({
  ...selectable,
  control: fc.record({
    ...Object.fromEntries(
      (["showFeedback", "allowReview", "showSolution", "allowComment"] as const).map((name) => [
        name,
        flag
      ])
    ),
    maxAttempts: fc.constantFrom(0, 1, 1, 2),
    allowSkipping: fc.integer({ min: 0, max: 3 }).map((thrown) => thrown > 0),
    validateResponses: seldom
  }),
  responds: flag,
  external: seldom
})

const sectionLike = fc.record({
  ...selectable,
  visible: flag,
  keepTogether: flag,
  shuffle: flag,
  selection: fc.option(
    fc.record({ count: fc.integer({ min: 0, max: 4 }), withReplacement: seldom }),
    { nil: null }
  ),
  items: fc.array(itemLike, { minLength: 1, maxLength: 4 }),
  inner: fc.array(fc.array(itemLike, { maxLength: 3 }), { maxLength: 1 })
})

const partLike = fc.record({
  preConditions: conditions,
  branches,
  limits,
  linear: flag,
  individual: flag,
  sections: fc.array(sectionLike, { minLength: 1, maxLength: 2 })
})

/** Small plans in which everything may happen. */
export const anyPlan = fc
  .record({ parts: fc.array(partLike, { minLength: 1, maxLength: 2 }), limits })
  .map(({ limits: whole, parts }) => {
    let items = 0
    let sections = 0
    const item = (like: (typeof parts)[number]["sections"][number]["items"][number]) => {
      items += 1
      return planItem(`i${items}`, like)
    }
    const made = parts.map(({ sections: inside, ...part }, at) =>
      planPart(
        `p${at}`,
        inside.map(({ inner, items: own, ...section }) => {
          sections += 1
          const nested = inner.map((list, number) =>
            planSection(`s${sections}-${number}`, list.map(item), {
              visible: section.visible,
              keepTogether: section.keepTogether,
              shuffle: section.shuffle
            })
          )
          return planSection(`s${sections}`, [...own.map(item), ...nested], section)
        }),
        part
      )
    )
    return testPlan(made, { limits: whole })
  })
