/** Throws dice that fall alike for the same seed, and keeps a clock that only tests move. */
import { createHash } from "node:crypto"
import { type Clock, Effect } from "effect"

/** A stream of numbers that follows from its seed alone. */
export interface Dice {
  /** A whole number from 0 to below `sides`. */
  readonly below: (sides: number) => number
  /** True in `of` of `outOf` throws. */
  readonly chance: (of: number, outOf: number) => boolean
  readonly pick: <A>(items: ReadonlyArray<A>) => A | undefined
  /** Each item with an even chance, in order. */
  readonly some: <A>(items: ReadonlyArray<A>) => ReadonlyArray<A>
}

/** Mulberry32, started from a digest of the words: neighbouring seeds have nothing in common. */
export const dice = (...words: ReadonlyArray<string | number>): Dice => {
  let state = createHash("sha256").update(JSON.stringify(words)).digest().readUInt32LE(0)
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (sides: number) => Math.floor(next() * sides)
  return {
    below,
    chance: (of, outOf) => below(outOf) < of,
    pick: (items) => (items.length === 0 ? undefined : items[below(items.length)]),
    some: (items) => items.filter(() => below(2) === 0)
  }
}

/** A clock that stands still until it is moved, forth or back. Whoever sleeps by it never wakes. */
export interface HandClock extends Clock.Clock {
  move: (millis: number) => void
}

export const handClock = (start: number): HandClock => {
  let now = start
  const nanos = () => BigInt(now) * 1_000_000n
  return {
    move: (millis) => {
      now += millis
    },
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: () => Effect.never
  }
}

/** The clock of somebody whose own is wrong: it goes with another, and is moved apart from it. */
export const wrongClock = (right: HandClock): HandClock => {
  let wrong = 0
  const millis = () => right.currentTimeMillisUnsafe() + wrong
  const nanos = () => BigInt(millis()) * 1_000_000n
  return {
    ...right,
    move: (more) => {
      wrong += more
    },
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos)
  }
}
