/**
 * Says what a test-taker may do next, and what becomes of it: open an item, answer, end an attempt,
 * move. Every function takes a state and gives a new one, or says why not. Time must have been counted
 * before (`tick`); answers to expressions are given.
 *
 * Whatever happens here, an answer is never taken back: an item that was answered stays answered until
 * the test-taker empties it.
 */
import { Result } from "effect"
import {
  type Answers,
  advance,
  closed,
  EARLY_MILLIS,
  insideOf,
  isLinear,
  type Step,
  samePart
} from "./advance.ts"
import type { Control, NumberedPlan } from "./test-plan.ts"
import { changed, current, type ItemState, isOver, placeOf, type TestState } from "./test-state.ts"
import { expired, GRACE_MILLIS, type Timer, tooEarlyMillis } from "./test-timers.ts"

export const REFUSALS = [
  /** The test-taker is at another item. */
  "wrong-item",
  /** It can't be opened, or was not. */
  "not-open",
  "no-attempts-left",
  "skipping-not-allowed",
  "response-required",
  "linear-no-way-back",
  "time-is-up",
  "time-is-left",
  "too-early",
  /** Answers of this part are submitted when it is left. */
  "submitted-together",
  "not-over",
  "over"
] as const
export type RefusalCode = (typeof REFUSALS)[number]

export interface Refusal {
  readonly code: RefusalCode
  /** The item that it is about. */
  readonly item: string | null
}

type Outcome<A> = Result.Result<A, Refusal>

const refuse = (code: RefusalCode, item: ItemState | string | undefined) =>
  Result.fail<Refusal>({ code, item: typeof item === "string" ? item : (item?.key ?? null) })

const controlOf = (numbered: NumberedPlan, item: ItemState): Control =>
  placeOf(numbered, item).item.control

const isIndividual = (numbered: NumberedPlan, item: ItemState): boolean =>
  numbered.plan.parts[placeOf(numbered, item).part]?.individual ?? true

/** Attempts that are left, the one that runs included; null: any number. */
export const attemptsLeft = (numbered: NumberedPlan, item: ItemState): number | null => {
  // What is submitted together is submitted once (QTI 3.0 ASI §2.4).
  const max = isIndividual(numbered, item) ? controlOf(numbered, item).maxAttempts : 1
  return max === 0 ? null : Math.max(0, max - item.attempts)
}

/** Opens the item at which the test-taker is, and begins an attempt if it has one left. */
export const present = (
  numbered: NumberedPlan,
  state: TestState,
  key: string
): Outcome<TestState> => {
  const item = current(state)
  if (item === undefined) return refuse(isOver(state) ? "over" : "not-open", key)
  if (item.key !== key) return refuse("wrong-item", key)
  const isDone = item.closed || attemptsLeft(numbered, item) === 0
  // A page that is loaded anew shows again what it showed.
  if (isDone || item.open) return Result.succeed(state)
  if (expired(numbered, state) !== undefined) return refuse("time-is-up", key)
  return Result.succeed(changed(state, state.position, { open: true, presented: true }))
}

/** Takes what an item now holds: whether that is an answer, and whether the player calls it valid. */
export const record = (
  numbered: NumberedPlan,
  state: TestState,
  key: string,
  { answered, valid }: { readonly answered: boolean; readonly valid: boolean }
): Outcome<TestState> =>
  Result.map(writable(numbered, state, key), () =>
    changed(state, state.position, {
      answered,
      valid,
      skipped: false
    })
  )

/** Ends the attempt that runs, and closes the item after its last. */
export const endAttempt = (
  numbered: NumberedPlan,
  state: TestState,
  key: string
): Outcome<TestState> =>
  Result.flatMap(writable(numbered, state, key), (item): Outcome<TestState> => {
    if (!isIndividual(numbered, item)) return refuse("submitted-together", key)
    const held = heldBack(numbered, item, "next")
    if (held !== undefined && expired(numbered, state) === undefined) return refuse(held, key)
    const ended = { ...item, attempts: item.attempts + 1, open: false, skipped: !item.answered }
    const isLast = attemptsLeft(numbered, ended) === 0
    return Result.succeed(changed(state, state.position, { ...ended, closed: isLast }))
  })

/** The current item, if an attempt at it runs and there is time. */
const writable = (numbered: NumberedPlan, state: TestState, key: string): Outcome<ItemState> => {
  const item = current(state)
  if (item === undefined) return refuse(isOver(state) ? "over" : "not-open", key)
  if (item.key !== key) return refuse("wrong-item", key)
  if (item.closed || attemptsLeft(numbered, item) === 0) return refuse("no-attempts-left", key)
  if (!item.open) return refuse("not-open", key)
  if (expired(numbered, state, GRACE_MILLIS) !== undefined) return refuse("time-is-up", key)
  return Result.succeed(item)
}

/** Marks an item to come back to, or takes the mark away. */
export const flag = (
  numbered: NumberedPlan,
  state: TestState,
  key: string,
  flagged: boolean
): Outcome<TestState> => {
  const at = state.route.findIndex((item) => item.key === key)
  const item = state.route[at]
  const here = current(state)
  if (item === undefined || here === undefined) return refuse("not-open", key)
  if (!samePart(numbered, here, item)) return refuse("not-open", key)
  if (isLinear(numbered, here) && at !== state.position) return refuse("wrong-item", key)
  return Result.succeed(changed(state, at, { flagged }))
}

/** Goes to the first item. */
export const begin = (numbered: NumberedPlan, state: TestState, answers: Answers): Step =>
  state.position >= 0 ? { _tag: "Moved", state } : advance(numbered, state, "item", answers)

/** Goes on. `skip` says that an item without an answer is meant to have none. */
export const next = (
  numbered: NumberedPlan,
  state: TestState,
  answers: Answers,
  reason: "next" | "skip" = "next"
): Outcome<Step> => {
  const item = current(state)
  if (item === undefined) return refuse("over", item)
  if (expired(numbered, state) !== undefined) return timeout(numbered, state, answers)
  if (!isLinear(numbered, item)) {
    if (samePart(numbered, item, state.route[state.position + 1])) {
      const skipped = item.presented && !item.answered
      const left = changed(state, state.position, { skipped })
      return Result.succeed({ _tag: "Moved", state: { ...left, position: state.position + 1 } })
    }
    const all = state.route.filter((other) => samePart(numbered, item, other))
    for (const other of all) {
      const held = heldBack(numbered, other, reason)
      if (held !== undefined) return refuse(held, other)
    }
    return Result.succeed(advance(numbered, state, "part", answers))
  }
  const held = heldBack(numbered, item, reason)
  if (held !== undefined) return refuse(held, item)
  if (isIndividual(numbered, item) && tooEarlyMillis(numbered, state) > 0) {
    return refuse("too-early", item)
  }
  return Result.succeed(advance(numbered, state, "item", answers))
}

/** What keeps an item from being submitted as it is. */
const heldBack = (
  numbered: NumberedPlan,
  item: ItemState,
  reason: "next" | "skip"
): RefusalCode | undefined => {
  if (item.closed || item.attempts > 0 || !isIndividual(numbered, item)) return undefined
  const { control, responds } = placeOf(numbered, item).item
  if (!control.allowSkipping && responds && !item.answered) return "skipping-not-allowed"
  const isMeant = reason === "skip" && !item.answered
  return control.validateResponses && !item.valid && !isMeant ? "response-required" : undefined
}

/** Goes back by one. */
export const previous = (numbered: NumberedPlan, state: TestState): Outcome<TestState> => {
  const before = state.route[state.position - 1]
  const item = current(state)
  if (item === undefined) return refuse(isOver(state) ? "over" : "not-open", item)
  if (isLinear(numbered, item)) return refuse("linear-no-way-back", item)
  return before === undefined ? refuse("not-open", item) : goTo(numbered, state, before.key)
}

/** Goes to any item of a part in which that is free. */
export const goTo = (numbered: NumberedPlan, state: TestState, key: string): Outcome<TestState> => {
  const at = state.route.findIndex((item) => item.key === key)
  const item = state.route[at]
  const here = current(state)
  if (here === undefined) return refuse(isOver(state) ? "over" : "not-open", key)
  if (item === undefined) return refuse("wrong-item", key)
  if (at === state.position) return Result.succeed(state)
  const isBehind = at < state.position
  if (isLinear(numbered, here)) return refuse(isBehind ? "linear-no-way-back" : "not-open", key)
  if (!canOpen(numbered, state, at)) {
    const there = { ...state, position: at }
    const isTime = samePart(numbered, here, item) && expired(numbered, there) !== undefined
    return refuse(isTime ? "time-is-up" : "not-open", key)
  }
  const skipped = here.presented && !here.answered
  return Result.succeed({ ...changed(state, state.position, { skipped }), position: at })
}

/** Whether the item at an index can be shown now. */
export const canOpen = (numbered: NumberedPlan, state: TestState, at: number): boolean => {
  const here = current(state)
  const item = state.route[at]
  if (here === undefined || item === undefined || !samePart(numbered, here, item)) return false
  if (isLinear(numbered, here) && at !== state.position) return false
  if (item.closed && at !== state.position) return controlOf(numbered, item).allowReview
  return item.closed || expired(numbered, { ...state, position: at }) === undefined
}

/** Leaves what has no time left, whatever was answered there. */
export const timeout = (
  numbered: NumberedPlan,
  state: TestState,
  answers: Answers
): Outcome<Step> => {
  const item = current(state)
  if (item === undefined) return refuse("over", item)
  const scope = expired(numbered, state, -EARLY_MILLIS)
  if (scope === undefined) return refuse("time-is-left", item)
  if (isLinear(numbered, item) || scope === "part" || scope === "test") {
    return Result.succeed(advance(numbered, state, scope, answers))
  }
  const left = endScope(numbered, state, scope)
  const open = left.route.flatMap((other, at) =>
    !other.closed && canOpen(numbered, left, at) ? [at] : []
  )
  const to = open.find((at) => at > state.position) ?? open[0]
  return Result.succeed(
    to === undefined
      ? advance(numbered, left, "part", answers)
      : { _tag: "Moved", state: { ...left, position: to } }
  )
}

const endScope = (numbered: NumberedPlan, state: TestState, scope: Timer["scope"]): TestState => {
  const isInside = insideOf(numbered, state, scope)
  return { ...state, route: state.route.map((item) => (isInside(item) ? closed(item) : item)) }
}

/**
 * Hands everything in. `early` says that it is meant though more would come. Fails when the test goes
 * on, or when something of the last part may not be left as it is.
 */
export const complete = (
  numbered: NumberedPlan,
  state: TestState,
  early: boolean
): Outcome<TestState> => {
  const item = current(state)
  const over = () => {
    const last = closeAll(state)
    return Result.succeed({ ...last, position: state.route.length })
  }
  if (isOver(state) || early || expired(numbered, state) !== undefined) return over()
  if (item === undefined) return refuse("not-over", item)
  const last = state.route.at(-1)
  const isLastPart = samePart(numbered, item, last)
  if (!isLastPart) return refuse("not-over", item)
  if (isLinear(numbered, item)) {
    if (state.position < state.route.length - 1) return refuse("not-over", item)
    if (isIndividual(numbered, item) && tooEarlyMillis(numbered, state) > 0) {
      return refuse("too-early", item)
    }
  }
  for (const other of state.route.filter((one) => samePart(numbered, item, one))) {
    const isPassed = isLinear(numbered, item) && other.key !== item.key
    const held = isPassed ? undefined : heldBack(numbered, other, "next")
    if (held !== undefined) return refuse(held, other)
  }
  return over()
}

const closeAll = (state: TestState): TestState => ({ ...state, route: state.route.map(closed) })
