/** Scores the attempts that a step ends. What can't be scored keeps its answers, and waits. */
import { Effect } from "effect"
import { type ItemPart, knownOf, testSet, withSet } from "../domain/item-save.ts"
import { placeOf, type TestState } from "../domain/test-state.ts"
import { itemMillis } from "../domain/test-timers.ts"
import type { VariableSet } from "../domain/variable.ts"
import { variablesOf } from "./play-decide.ts"
import { Scorer } from "./play-ports.ts"
import { itemPart, itemText, type Table } from "./play-turn.ts"

export interface Scored {
  readonly parts: ReadonlyMap<string, ItemPart>
  /** By item: whether its answers wait for somebody who can score them. */
  readonly pending: ReadonlyMap<string, boolean>
}

/** Scores every attempt that runs in the table's state and no more in `after`. */
export const scoreEnded = Effect.fnUntraced(function* (table: Table, after: TestState) {
  const parts = new Map<string, ItemPart>()
  const pending = new Map<string, boolean>()
  for (const [index, item] of table.state.route.entries()) {
    if (!item.open || after.route[index]?.open !== false) continue
    const scored = yield* scoreItem(table, index)
    if (scored === undefined) continue
    parts.set(item.key, scored.part)
    pending.set(item.key, scored.pending)
  }
  return { parts, pending } satisfies Scored
})

/** The state with what waits marked. */
export const marked = (state: TestState, { pending }: Scored): TestState => ({
  ...state,
  route: state.route.map((item) => ({ ...item, pending: pending.get(item.key) ?? item.pending }))
})

const scoreItem = Effect.fnUntraced(function* (table: Table, index: number) {
  const { now, plan, session, state } = table
  const item = state.route[index]
  if (item === undefined) return yield* Effect.die(new RangeError(`no item ${index}`))
  const { item: planned } = placeOf(plan, item)
  const part = yield* itemPart(session.execution, item.key)
  const attempt = item.attempts + 1
  // A further try that was only looked at: what was handed in before stays the last.
  if (part.sets.length > 0 && part.sets.every((set) => set.attempt < attempt)) return undefined
  const responses = knownOf(part)
  const before = part.sets.findLast((set) => set.attempt < attempt)
  const outcomes = before === undefined ? [] : knownOf({ ...part, sets: [before] }, "outcome")
  const templates = part.save.templates ?? []
  const scored = planned.responds
    ? yield* score(table, planned.path, { responses, outcomes, templates })
    : []
  const pending = scored === undefined
  const { external } = planned
  const said = {
    item,
    index,
    attempt,
    responses,
    outcomes: scored ?? [],
    templates,
    completed: true,
    pending,
    external,
    millis: itemMillis(state, item.key),
    at: now.wall
  }
  return { pending: pending || external, part: withSet(part, said) }
})

type Asked = Omit<Parameters<(typeof Scorer)["Service"]["score"]>[0], "xml">

/** The outcomes; undefined where the item can't be processed. */
const score = Effect.fnUntraced(function* (table: Table, path: string, asked: Asked) {
  const scorer = yield* Scorer
  const xml = yield* itemText(table, path)
  return yield* scorer
    .score({ xml, ...asked })
    .pipe(Effect.catchTag("Unprocessed", () => Effect.succeed(undefined)))
})

/** The outcomes of the whole test. `newer`: sets that are not on the disk yet. */
export const conclude = Effect.fnUntraced(function* (
  { now, plan, session, state }: Table,
  newer: ReadonlyArray<VariableSet>
) {
  const scorer = yield* Scorer
  const { concludes, xml } = plan.plan
  const variables = yield* variablesOf(session.execution, newer)
  const outcomes = concludes
    ? yield* scorer
        .conclude({ xml, variables })
        .pipe(Effect.catchTag("Unprocessed", () => Effect.succeed(undefined)))
    : []
  return testSet({
    outcomes: outcomes ?? [],
    pending: outcomes === undefined,
    external: state.route.some(
      (item) => (item.open || item.attempts > 0) && placeOf(plan, item).item.external
    ),
    undecided: state.undecided,
    millis: state.spent.test ?? 0,
    at: now.wall
  })
})
