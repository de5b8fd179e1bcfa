/** Writes down what happened at central that concerns no single client. */
import { Clock, Effect } from "effect"
import type { HistoryEntry } from "../domain/history.ts"
import { History } from "./ports.ts"

export const happened = Effect.fnUntraced(function* (
  verb: HistoryEntry["verb"],
  who: string,
  reason: string
) {
  const history = yield* History
  yield* history.append({
    at: yield* Clock.currentTimeMillis,
    verb,
    who,
    device: null,
    organisation: null,
    outcome: "done",
    counts: {},
    bytes: 0,
    millis: 0,
    reason
  })
})
