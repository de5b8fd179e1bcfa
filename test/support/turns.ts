/** Takes steps through a test without a device: what is refused throws. */
import { Result } from "effect"
import { ALL_FALSE, type Answers, type Step } from "../../domain/advance.ts"
import { begin, next, present, type RefusalCode, record } from "../../domain/sequence.ts"
import type { NumberedPlan } from "../../domain/test-plan.ts"
import { current, type TestState } from "../../domain/test-state.ts"
import { tick } from "../../domain/test-timers.ts"
import { planItem, startOf } from "./plans.ts"

export const taken = (step: Step): TestState => {
  if (step._tag === "Asks") throw new Error(`asks ${step.expressions.join(" ")}`)
  return step.state
}
export const begun = (plan: NumberedPlan, answers: Answers = ALL_FALSE) =>
  taken(begin(plan, startOf(plan), answers))
export const went = <A>(outcome: Result.Result<A, { readonly code: RefusalCode }>): A => {
  if (Result.isFailure(outcome)) throw new Error(outcome.failure.code)
  return outcome.success
}
export const onwards = (plan: NumberedPlan, state: TestState, answers: Answers = ALL_FALSE) =>
  taken(went(next(plan, state, answers)))
export const codeOf = (outcome: Result.Result<unknown, { readonly code: RefusalCode }>) =>
  Result.isFailure(outcome) ? outcome.failure.code : "done"
export const at = (state: TestState) => current(state)?.key
export const answered = (plan: NumberedPlan, state: TestState, key: string) =>
  went(record(plan, went(present(plan, state, key)), key, { answered: true, valid: true }))
export const worked = (plan: NumberedPlan, state: TestState, millis: number) => {
  const mono = state.reading?.mono ?? 0
  const started =
    state.reading === null ? tick(plan, state, { mono, boot: "b", entry: 0 }, []) : state
  return tick(plan, started, { mono: mono + millis, boot: "b", entry: 0 }, [])
}

export const items = (...names: ReadonlyArray<string>) => names.map((name) => planItem(name))
