/**
 * Counts the time that a test-taker uses, as sums of the intervals in which they could work. Pauses
 * don't count, nor does the gap between the last sign of life and the start after a power cut: the
 * session's log tells of both. No clock is read here.
 */
import type { LogEntry } from "./result.ts"
import type { NumberedPlan, TimeLimits } from "./test-plan.ts"
import { current, placeOf, type Reading, type TestState } from "./test-state.ts"

/**
 * Answers on their way when the time ended are still taken: a page saves what was typed last when its
 * own clock runs out, and the device may be busy with a whole class at that moment.
 */
export const GRACE_MILLIS = 10_000

/** A span of time that has limits, and how much of it was used. */
export interface Timer {
  readonly scope: "test" | "part" | "section" | "item"
  readonly identifier: string
  readonly spentMillis: number
  readonly minMillis: number
  /** With what a proctor granted; null: no limit. */
  readonly maxMillis: number | null
  readonly allowLate: boolean
}

type Logged = Pick<LogEntry, "at" | "number" | "what">

/** Milliseconds between two readings in which the session ran. `log`: all its entries, in order. */
export const activeMillis = (
  from: Reading | null,
  to: Reading,
  log: ReadonlyArray<Logged>
): number => {
  let since: Pick<Reading, "boot" | "mono"> | null = from
  let sum = 0
  const until = (end: Pick<Reading, "boot" | "mono">) => {
    if (since !== null && since.boot === end.boot) sum += Math.max(0, end.mono - since.mono)
  }
  for (const { at, number, what } of log) {
    if (from === null || number <= from.entry) continue
    if (STOPS.has(what)) {
      until(at)
      since = null
    }
    // After a power cut nothing before counts: nobody knows when it was cut.
    if (STARTS.has(what)) since = at
  }
  until(to)
  return sum
}

const STOPS: ReadonlySet<string> = new Set(["paused", "awaiting", "authorised", "finished"])
const STARTS: ReadonlySet<string> = new Set(["started", "resumed", "recovered"])

/** Adds the time since the last reading to every scope that the test-taker is in. */
export const tick = (
  numbered: NumberedPlan,
  state: TestState,
  to: Reading,
  log: ReadonlyArray<Logged>
): TestState => {
  const millis = activeMillis(state.reading, to, log)
  const spent = { ...state.spent }
  for (const { key } of scopesOf(numbered, state)) spent[key] = (spent[key] ?? 0) + millis
  return { ...state, spent, reading: to }
}

/** The limits that hold now, outermost first. */
export const timers = (numbered: NumberedPlan, state: TestState): ReadonlyArray<Timer> =>
  scopesOf(numbered, state).flatMap(({ identifier, key, limits, scope }) =>
    limits === null
      ? []
      : [
          {
            scope,
            identifier,
            spentMillis: state.spent[key] ?? 0,
            minMillis: limits.minMillis,
            maxMillis: limits.maxMillis === null ? null : limits.maxMillis + state.extraMillis,
            allowLate: limits.allowLate
          }
        ]
  )

/** The outermost scope that has no time left; after its limit only a grace for answers on the way. */
export const expired = (
  numbered: NumberedPlan,
  state: TestState,
  graceMillis = 0
): Timer["scope"] | undefined =>
  timers(numbered, state).find(
    ({ allowLate, maxMillis, spentMillis }) =>
      maxMillis !== null && !allowLate && spentMillis >= maxMillis + graceMillis
  )?.scope

/** How long the item must still be looked at. */
export const tooEarlyMillis = (numbered: NumberedPlan, state: TestState): number =>
  Math.max(
    0,
    ...timers(numbered, state)
      .filter(({ scope }) => scope === "item")
      .map(({ minMillis, spentMillis }) => minMillis - spentMillis)
  )

/** The active time of one item. */
export const itemMillis = ({ spent }: TestState, key: string): number => spent[`item ${key}`] ?? 0

interface Scope {
  readonly scope: Timer["scope"]
  readonly key: string
  readonly identifier: string
  readonly limits: TimeLimits | null
}

const scopesOf = (numbered: NumberedPlan, state: TestState): ReadonlyArray<Scope> => {
  const item = current(state)
  if (item === undefined) return []
  const { plan, sections } = numbered
  const place = placeOf(numbered, item)
  const part = plan.parts[place.part]
  return [
    { scope: "test", key: "test", identifier: plan.identifier, limits: plan.limits },
    {
      scope: "part",
      key: `part ${place.part}`,
      identifier: part?.identifier ?? "",
      limits: part?.limits ?? null
    },
    ...place.sections.map(
      (number): Scope => ({
        scope: "section",
        key: `section ${number}`,
        identifier: sections[number]?.identifier ?? "",
        limits: sections[number]?.limits ?? null
      })
    ),
    { scope: "item", key: `item ${item.key}`, identifier: item.key, limits: place.item.limits }
  ]
}
