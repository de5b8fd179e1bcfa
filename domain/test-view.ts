/** Tells a test-taker where they stand: what a page shows around the item. */
import { isLinear, samePart } from "./advance.ts"
import { attemptsLeft, canOpen } from "./sequence.ts"
import type { NumberedPlan, Rubric } from "./test-plan.ts"
import { current, type ItemState, isOver, placeOf, type TestState } from "./test-state.ts"
import { type Timer, timers } from "./test-timers.ts"

export interface ItemView {
  readonly ref: string
  /** From 1. */
  readonly position: number
  /** Null while it has not been seen and can't be. */
  readonly title: string | null
  readonly part: string
  readonly sections: ReadonlyArray<string>
  readonly state: "initial" | "interacting" | "suspended" | "closed"
  readonly answered: boolean
  readonly flagged: boolean
  readonly canOpen: boolean
}

export interface TestView {
  readonly title: string
  readonly parts: ReadonlyArray<{
    readonly identifier: string
    readonly navigationMode: "linear" | "nonlinear"
    readonly submissionMode: "individual" | "simultaneous"
  }>
  readonly items: ReadonlyArray<ItemView>
  readonly current: string | null
  /** Nothing is left but to hand in. */
  readonly over: boolean
  readonly isLast: boolean
  readonly isLastOfPart: boolean
  readonly rules: Rules | null
  readonly timers: ReadonlyArray<Timer & { readonly remainingMillis: number | null }>
  readonly progress: TestProgress
}

/** How far somebody is. `position`: from 1. */
export interface TestProgress {
  readonly items: number
  readonly answered: number
  readonly flagged: number
  readonly position: number
}

export interface Rules {
  readonly canMoveBackward: boolean
  readonly allowSkipping: boolean
  readonly validateResponses: boolean
  readonly allowReview: boolean
  readonly showFeedback: boolean
  readonly allowComment: boolean
  readonly maxAttempts: number
  /** Null: any number. */
  readonly remainingAttempts: number | null
}

export const viewOf = (numbered: NumberedPlan, state: TestState): TestView => {
  const item = current(state)
  const following = state.route[state.position + 1]
  return {
    title: numbered.plan.title,
    parts: numbered.plan.parts.map(({ identifier, individual, linear }) => ({
      identifier,
      navigationMode: linear ? "linear" : "nonlinear",
      submissionMode: individual ? "individual" : "simultaneous"
    })),
    items: state.route.map((one, at) => itemView(numbered, state, one, at)),
    current: item?.key ?? null,
    over: isOver(state),
    isLast: following === undefined,
    isLastOfPart: item !== undefined && !samePart(numbered, item, following),
    rules: item === undefined ? null : rulesOf(numbered, state, item),
    timers: timers(numbered, state).map((timer) => ({
      ...timer,
      remainingMillis:
        timer.maxMillis === null ? null : Math.max(0, timer.maxMillis - timer.spentMillis)
    })),
    progress: testProgress(state)
  }
}

export const testProgress = ({ position, route }: TestState): TestProgress => ({
  items: route.length,
  answered: route.filter(({ answered }) => answered).length,
  flagged: route.filter(({ flagged }) => flagged).length,
  position: Math.min(route.length, position + 1)
})

/** What holds for an item now. */
export const rulesOf = (numbered: NumberedPlan, state: TestState, item: ItemState): Rules => {
  const { control } = placeOf(numbered, item).item
  const before = state.route[state.position - 1]
  return {
    canMoveBackward: !isLinear(numbered, item) && samePart(numbered, item, before),
    allowSkipping: control.allowSkipping,
    validateResponses: control.validateResponses,
    allowReview: control.allowReview,
    showFeedback: control.showFeedback,
    allowComment: control.allowComment,
    maxAttempts: control.maxAttempts,
    remainingAttempts: attemptsLeft(numbered, item)
  }
}

const itemView = (
  numbered: NumberedPlan,
  state: TestState,
  item: ItemState,
  at: number
): ItemView => {
  const { item: planned, part, sections } = placeOf(numbered, item)
  const mayOpen = canOpen(numbered, state, at)
  const begun = item.open ? (at === state.position ? "interacting" : "suspended") : "initial"
  return {
    ref: item.key,
    position: at + 1,
    title: mayOpen || item.presented ? planned.title : null,
    part: numbered.plan.parts[part]?.identifier ?? "",
    sections: sections.flatMap((number) => {
      const section = numbered.sections[number]
      return section?.visible === true ? [section.title] : []
    }),
    state: item.closed ? "closed" : begun,
    answered: item.answered,
    flagged: item.flagged,
    canOpen: mayOpen
  }
}

/** What is shown above an item, from the whole test inwards. */
export const rubricsOf = (numbered: NumberedPlan, item: ItemState): ReadonlyArray<Rubric> => {
  const { part, sections } = placeOf(numbered, item)
  const around = [numbered.plan, numbered.plan.parts[part], ...sections.map(sectionAt(numbered))]
  return around.flatMap((one) => one?.rubrics ?? [])
}

const sectionAt = (numbered: NumberedPlan) => (number: number) => numbered.sections[number]
