/** Remembers how far those are who sit a test, in this process's memory only. */
import { Effect, Layer, Option } from "effect"
import { Whereabouts } from "../application/session-ports.ts"
import type { TestProgress } from "../domain/test-view.ts"

/** Many times the seats of a school; beyond it whoever did nothing for longest is forgotten. */
const SITTINGS_MAX = 5_000

export const layer = Layer.sync(Whereabouts, () => {
  // In the order of what was done last.
  const known = new Map<string, TestProgress>()
  return Whereabouts.of({
    note: (execution, progress) =>
      Effect.sync(() => {
        known.delete(execution)
        known.set(execution, progress)
        const [oldest] = known.keys()
        if (known.size > SITTINGS_MAX && oldest !== undefined) known.delete(oldest)
      }),
    of: (execution) => Effect.sync(() => Option.fromUndefinedOr(known.get(execution)))
  })
})
