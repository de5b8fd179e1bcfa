/**
 * Describes where a test-taker stands in a test: the route that was drawn for them, what they did at
 * each item, and the time that they used. It is kept as it is here, as JSON, and holds no answer.
 */
import { Schema } from "effect"
import { type Dice, drawRoute, ROUTE_MAX } from "./draw-route.ts"
import type { Moment } from "./result.ts"
import type { NumberedPlan, Place } from "./test-plan.ts"

/** One item on the route. */
export const ItemState = Schema.Struct({
  /** Names it among all on the route: its reference, with a number where it comes again. */
  key: Schema.String,
  /** Number of its place in the plan. */
  place: Schema.Int,
  /** Attempts that have ended. */
  attempts: Schema.Int,
  /** An attempt runs. */
  open: Schema.Boolean,
  presented: Schema.Boolean,
  /** It has a response that is not empty. */
  answered: Schema.Boolean,
  /** What the player says of the responses. */
  valid: Schema.Boolean,
  flagged: Schema.Boolean,
  /** Left without an answer. */
  skipped: Schema.Boolean,
  closed: Schema.Boolean,
  /** Its answers wait for somebody who can score them. */
  pending: Schema.Boolean
})
export type ItemState = typeof ItemState.Type

/** When time was last counted: by the clock since boot, and up to which entry of the session's log. */
export const Reading = Schema.Struct({
  mono: Schema.Int,
  boot: Schema.String,
  entry: Schema.Int
})
export type Reading = typeof Reading.Type

export const TestState = Schema.Struct({
  schema: Schema.Literal("testferry/play/1"),
  route: Schema.Array(ItemState).check(Schema.isMaxLength(ROUTE_MAX)),
  /** Index on the route: -1 before the first item, the length of the route when it is over. */
  position: Schema.Int,
  /** Milliseconds of active time, by scope: `test`, `part N`, `section N`, `item KEY`. */
  spent: Schema.Record(Schema.String, Schema.Int),
  reading: Schema.NullOr(Reading),
  /** What a proctor granted on top of every limit. */
  extraMillis: Schema.Int,
  /** Conditions that nobody could evaluate: the test went on as if there were none. */
  undecided: Schema.Int
})
export type TestState = typeof TestState.Type

/** The state of somebody who has not seen an item yet. */
export const newState = (numbered: NumberedPlan, dice: Dice): TestState => ({
  schema: "testferry/play/1",
  route: keyed(numbered, drawRoute(numbered, dice)),
  position: -1,
  spent: {},
  reading: null,
  extraMillis: 0,
  undecided: 0
})

const keyed = (
  { places }: NumberedPlan,
  route: ReadonlyArray<number>
): ReadonlyArray<ItemState> => {
  const used = new Set<string>()
  return route.map((place) => {
    const name = places[place]?.item.identifier ?? ""
    let key = name
    for (let number = 2; used.has(key); number += 1) key = `${name}.${number}`
    used.add(key)
    return { ...NOTHING_DONE, key, place }
  })
}

const NOTHING_DONE = {
  attempts: 0,
  open: false,
  presented: false,
  answered: false,
  valid: true,
  flagged: false,
  skipped: false,
  closed: false,
  pending: false
}

export const isOver = ({ position, route }: TestState): boolean => position >= route.length

/** The item at which the test-taker is; none before the first and after the last. */
export const current = ({ position, route }: TestState): ItemState | undefined => route[position]

/** Where an item of the route is in the plan. */
export const placeOf = ({ places }: NumberedPlan, { key, place }: ItemState): Place => {
  const found = places[place]
  // The content of a session does not change: a state without its plan is a bug.
  if (found === undefined) throw new RangeError(`no place ${place} for ${key}`)
  return found
}

/** The state with one item changed. */
export const changed = (state: TestState, at: number, changes: Partial<ItemState>): TestState => ({
  ...state,
  route: state.route.map((item, index) => (index === at ? { ...item, ...changes } : item))
})

/** A reading of a clock with the log as it was then. */
export const readingOf = (
  { boot, mono }: Pick<Moment, "boot" | "mono">,
  entry: number
): Reading => ({
  mono,
  boot,
  entry
})
