/**
 * Takes steps that depend on what was answered: asks the scorer for the expressions that a step needs,
 * over the variables of all items, until it can be taken.
 */
import { Effect, Schema } from "effect"
import type { Answers, Step } from "../domain/advance.ts"
import type { Known } from "../domain/item-save.ts"
import type { ExecutionId } from "../domain/result.ts"
import { REFUSALS, type Refusal } from "../domain/sequence.ts"
import type { TestState } from "../domain/test-state.ts"
import type { VariableSet } from "../domain/variable.ts"
import { Scorer } from "./play-ports.ts"
import { Atomic } from "./ports.ts"
import { openSaves, PLAY_PART } from "./session-saves.ts"

/** The rules of the test don't allow it now. */
export class PlayRefused extends Schema.TaggedError<PlayRefused>()("PlayRefused", {
  code: Schema.Literals(REFUSALS),
  item: Schema.NullOr(Schema.String)
}) {}

export const refusedBy = (refusal: Refusal) => new PlayRefused(refusal)

/**
 * Repeats a step with ever more answers until it is taken. What nobody can evaluate is counted in the
 * state, and taken as if the author had said nothing. `newer`: sets that are not on the disk yet.
 */
export const settle = Effect.fnUntraced(function* (
  execution: ExecutionId,
  state: TestState,
  step: (answers: Answers) => Step,
  newer: ReadonlyArray<VariableSet> = []
) {
  const answers = new Map<string, boolean>()
  let undecided = state.undecided
  let variables: ReadonlyArray<Known> | undefined
  // Each round answers an expression that was not known: a test has so many and no more.
  for (;;) {
    const taken = step(answers)
    if (taken._tag === "Moved") {
      return undecided === state.undecided ? taken.state : { ...taken.state, undecided }
    }
    variables ??= yield* variablesOf(execution, newer)
    for (const expression of taken.expressions) {
      const answer = yield* decide(expression, variables)
      undecided += answer === undefined ? 1 : 0
      answers.set(expression, answer ?? taken.otherwise)
    }
  }
})

const decide = Effect.fnUntraced(function* (expression: string, variables: ReadonlyArray<Known>) {
  const scorer = yield* Scorer
  return yield* scorer.decide({ expressions: [expression], variables }).pipe(
    Effect.map(([answer]) => answer),
    Effect.catchTag("Unprocessed", () => Effect.succeed(undefined))
  )
})

/** The newest attempt of every item, by `REF.IDENTIFIER`. */
export const variablesOf = Effect.fnUntraced(function* (
  execution: ExecutionId,
  newer: ReadonlyArray<VariableSet>
) {
  const atomic = yield* Atomic
  const parts = yield* atomic.run(openSaves(execution))
  const kept = parts.filter(({ part }) => part !== PLAY_PART).flatMap(({ variables }) => variables)
  const newest = new Map<string, VariableSet>()
  for (const set of [...kept, ...newer]) {
    const before = newest.get(set.item ?? "")
    if (before === undefined || before.attempt <= set.attempt) newest.set(set.item ?? "", set)
  }
  return [...newest].flatMap(([item, { variables }]) =>
    variables
      .filter(({ kind }) => kind !== "trace")
      .map(
        ({ baseType, cardinality, identifier, values }): Known => ({
          identifier: `${item}.${identifier}`,
          cardinality,
          baseType,
          values
        })
      )
  )
})
