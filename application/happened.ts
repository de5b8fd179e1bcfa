/** Writes what happened into the history of this side. */
import { Clock, Effect } from "effect"
import type { HistoryEntry } from "../domain/history.ts"
import { History } from "./ports.ts"

type Happened = Pick<HistoryEntry, "verb" | "who" | "reason"> & Partial<HistoryEntry>

/** Without a word of anything else it is done now, concerns nobody in particular, and moved nothing. */
export const happened = Effect.fnUntraced(function* (entry: Happened) {
  const history = yield* History
  yield* history.append({
    at: yield* Clock.currentTimeMillis,
    device: null,
    organisation: null,
    outcome: "done",
    counts: {},
    bytes: 0,
    millis: 0,
    ...entry
  })
})
