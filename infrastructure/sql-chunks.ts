/** Asks questions about many ids in pieces, since a statement takes only so many parameters. */
import { Effect } from "effect"

/** Ids per statement: far below SQLite's 32,766 parameters, and one text that stays prepared. */
const CHUNK = 500

/** Runs `ask` for each piece of `items`, one after the other; not at all for no items. */
export const inChunks = <A, B, E, R>(
  items: ReadonlyArray<A>,
  ask: (chunk: ReadonlyArray<A>) => Effect.Effect<B, E, R>
): Effect.Effect<void, E, R> =>
  Effect.forEach(
    Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, at) => at * CHUNK),
    (from) => ask(items.slice(from, from + CHUNK)),
    { discard: true }
  )
