/**
 * Finds where a test goes on, by preconditions and branch rules (QTI 3.0 ASI §2.5 and §2.6), and
 * closes what is left behind. Nothing is evaluated here: the step first names the expressions that it
 * needs, and is taken once their answers are given.
 *
 * 1. A part that was left is not entered again.
 * 2. In a linear part an item that was left is closed, and the route is never gone back.
 * 3. Conditions of items and sections count in linear parts only, those of parts everywhere.
 * 4. Branches lead forwards; one whose target is behind, or nowhere, does not count.
 */
import type { Branch, NumberedPlan } from "./test-plan.ts"
import { current, type ItemState, placeOf, type TestState } from "./test-state.ts"
import type { Timer } from "./test-timers.ts"

/** Expressions with their values, as they are now. */
export type Answers = Pick<ReadonlyMap<string, boolean>, "get" | "has">

/** To see what a step would end: that does not depend on where it leads. */
export const ALL_FALSE: Answers = { has: () => true, get: () => false }

/** Taken, or to be taken again with the answers to these expressions besides. */
export type Step =
  | { readonly _tag: "Moved"; readonly state: TestState }
  | {
      readonly _tag: "Asks"
      readonly expressions: ReadonlyArray<string>
      /** What to take where one can't be evaluated: nobody is to lose a question by that. */
      readonly otherwise: boolean
    }

/** Leaves the item, or the scope around it that has ended, and goes on to what comes next. */
export const advance = (
  numbered: NumberedPlan,
  state: TestState,
  leaving: Timer["scope"],
  answers: Answers
): Step => {
  const asked = new Asked(answers)
  const exit = exitOf(numbered, state, leaving, asked)
  const to = exit === undefined ? undefined : entryFrom(numbered, state, exit, asked)
  return to === undefined
    ? { _tag: "Asks", expressions: [...asked.missing], otherwise: exit !== undefined }
    : { _tag: "Moved", state: leave(numbered, state, leaving, to) }
}

/** Whether two items of the route are in the same part. */
export const samePart = (numbered: NumberedPlan, a: ItemState, b: ItemState | undefined): boolean =>
  b !== undefined && placeOf(numbered, a).part === placeOf(numbered, b).part

export const isLinear = (numbered: NumberedPlan, item: ItemState): boolean =>
  numbered.plan.parts[placeOf(numbered, item).part]?.linear ?? true

/** Ends what runs there. An attempt that ran has been used. */
export const closed = (item: ItemState): ItemState =>
  item.closed
    ? item
    : {
        ...item,
        closed: true,
        open: false,
        attempts: item.open ? item.attempts + 1 : item.attempts,
        skipped: item.presented && !item.answered
      }

class Asked {
  readonly missing = new Set<string>()
  readonly #answers: Answers

  constructor(answers: Answers) {
    this.#answers = answers
  }

  /** Whether all are true; undefined while some are not known. */
  all(expressions: ReadonlyArray<string>): boolean | undefined {
    return this.#known(expressions)
      ? expressions.every((one) => this.#answers.get(one) === true)
      : undefined
  }

  /** The first that is true, null for none; undefined while some are not known. */
  first(branches: ReadonlyArray<Branch>): Branch | null | undefined {
    return this.#known(branches.map(({ expression }) => expression))
      ? (branches.find(({ expression }) => this.#answers.get(expression) === true) ?? null)
      : undefined
  }

  #known(expressions: ReadonlyArray<string>): boolean {
    for (const one of expressions) if (!this.#answers.has(one)) this.missing.add(one)
    return expressions.every((one) => this.#answers.has(one))
  }
}

/** The index to go on from, by the branches of all that is left; undefined while some are asked. */
const exitOf = (
  numbered: NumberedPlan,
  state: TestState,
  leaving: Timer["scope"],
  asked: Asked
): number | undefined => {
  const item = current(state)
  if (item === undefined) return state.position + 1
  const { plan, sections } = numbered
  const place = placeOf(numbered, item)
  const part = plan.parts[place.part]
  let to = after(numbered, state, leaving)
  if (part?.linear === true) {
    const inner = leaving === "item" ? [place.item.branches] : []
    const first = asked.first(inner.flat())
    if (first === undefined) return undefined
    const jump = first === null ? undefined : targetOf(numbered, state, first.target)
    if (first !== null && jump !== undefined) {
      to = jump
      if (!/^EXIT_(?:SECTION|TESTPART)$/u.test(first.target)) return to
    }
    for (const number of [...place.sections].reverse()) {
      if (inScope(numbered, state, to, (other) => other.sections.includes(number))) continue
      const branch = asked.first(sections[number]?.branches ?? [])
      if (branch === undefined) return undefined
      const target = branch === null ? undefined : targetOf(numbered, state, branch.target)
      if (target !== undefined) return target
    }
  }
  if (inScope(numbered, state, to, (other) => other.part === place.part)) return to
  if (leaving === "test") return to
  const branch = asked.first(part?.branches ?? [])
  if (branch === undefined) return undefined
  return (branch === null ? undefined : targetOf(numbered, state, branch.target)) ?? to
}

type Around = ReturnType<typeof placeOf>

const inScope = (
  numbered: NumberedPlan,
  { route }: TestState,
  at: number,
  isInside: (place: Around) => boolean
): boolean => {
  const item = route[at]
  return item !== undefined && isInside(placeOf(numbered, item))
}

/** The first index behind the scope that ends. */
const after = (numbered: NumberedPlan, state: TestState, leaving: Timer["scope"]): number => {
  const { position, route } = state
  if (leaving === "test") return route.length
  const isInside = insideOf(numbered, state, leaving)
  const found = route.findIndex((item, at) => at > position && !isInside(item))
  return found < 0 ? route.length : found
}

/** Which items end together with a scope of the item that is current. */
export const insideOf = (
  numbered: NumberedPlan,
  state: TestState,
  scope: Timer["scope"]
): ((item: ItemState) => boolean) => {
  const item = current(state)
  if (item === undefined || scope === "item") return (other) => other.key === item?.key
  const place = placeOf(numbered, item)
  if (scope === "test") return () => true
  if (scope === "part") return (other) => placeOf(numbered, other).part === place.part
  const number = endedSection(numbered, state) ?? place.sections.at(-1)
  return (other) => number !== undefined && placeOf(numbered, other).sections.includes(number)
}

/** The outermost section whose time is up. */
const endedSection = (numbered: NumberedPlan, state: TestState): number | undefined => {
  const item = current(state)
  if (item === undefined) return undefined
  return placeOf(numbered, item).sections.find((number) => {
    const limits = numbered.sections[number]?.limits
    if (!limits || limits.maxMillis === null || limits.allowLate) return false
    const spent = state.spent[`section ${number}`] ?? 0
    return spent + EARLY_MILLIS >= limits.maxMillis + state.extraMillis
  })
}

/** A page's clock may be a little ahead of the device's. */
export const EARLY_MILLIS = 1_000

/** The index that a branch leads to; undefined when it is not ahead. */
const targetOf = (numbered: NumberedPlan, state: TestState, target: string): number | undefined => {
  const { position, route } = state
  const item = current(state)
  if (item === undefined) return undefined
  if (target === "EXIT_TEST") return route.length
  if (target === "EXIT_TESTPART") return after(numbered, state, "part")
  const place = placeOf(numbered, item)
  if (target === "EXIT_SECTION") {
    const inner = place.sections.at(-1)
    const found = route.findIndex(
      (other, at) =>
        at > position && (inner === undefined || !placeOf(numbered, other).sections.includes(inner))
    )
    return found < 0 ? route.length : found
  }
  const found = route.findIndex((other, at) => {
    if (at <= position) return false
    const { item: there, part, sections } = placeOf(numbered, other)
    if (part !== place.part) return numbered.plan.parts[part]?.identifier === target
    const around = sections.map((number) => numbered.sections[number]?.identifier)
    return there.identifier === target || around.includes(target)
  })
  return found < 0 ? undefined : found
}

/** The first item from an index on whose preconditions hold; undefined while some are asked. */
const entryFrom = (
  numbered: NumberedPlan,
  state: TestState,
  from: number,
  asked: Asked
): number | undefined => {
  const before = current(state)
  const left = before === undefined ? undefined : placeOf(numbered, before)
  for (let at = from; at < state.route.length; at += 1) {
    const item = state.route[at]
    if (item === undefined) break
    const place = placeOf(numbered, item)
    const part = numbered.plan.parts[place.part]
    const isNew = left?.part !== place.part
    const entered = isNew
      ? place.sections
      : place.sections.filter((number) => !left.sections.includes(number))
    const conditions = [
      ...(isNew ? (part?.preConditions ?? []) : []),
      ...(part?.linear === true
        ? [
            ...entered.flatMap((number) => numbered.sections[number]?.preConditions ?? []),
            ...place.item.preConditions
          ]
        : [])
    ]
    const holds = asked.all(conditions)
    if (holds === undefined) return undefined
    if (holds) return at
  }
  return state.route.length
}

/** Closes what can't be come back to, and stands at the new index. */
const leave = (
  numbered: NumberedPlan,
  state: TestState,
  leaving: Timer["scope"],
  to: number
): TestState => {
  const item = current(state)
  if (item === undefined) return { ...state, position: to }
  const isInside = insideOf(numbered, state, leaving)
  const isLeft = !samePart(numbered, item, state.route[to])
  return {
    ...state,
    position: to,
    route: state.route.map((other) => {
      const ends = isInside(other) || (isLeft && samePart(numbered, item, other))
      return ends ? closed(other) : other
    })
  }
}
