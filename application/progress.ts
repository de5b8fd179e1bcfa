/** Tells whoever is watching how far a verb has come. */
import { Context, Effect } from "effect"
import type { ProgressEvent } from "../domain/progress.ts"

export interface Reporter {
  /** Takes one event. Never fails and never waits: watching must not slow the work. */
  readonly report: (event: ProgressEvent) => Effect.Effect<void>
}

/** Where verbs report. Nobody watches unless a door provides a reporter. */
export const Progress = Context.Reference<Reporter>("testferry/Progress", {
  defaultValue: () => ({ report: () => Effect.void })
})

/** Reports one event to whoever is watching. */
export const report = (event: ProgressEvent): Effect.Effect<void> =>
  Effect.flatMap(Progress, (progress) => progress.report(event))
