/**
 * Opens sealed results with the keys that a person has unlocked, batch after batch; each is kept
 * before its lane begins the next, so that a run that was killed goes on where it was (format §3.7).
 */
import { Clock, Effect, Exit, Result } from "effect"
import {
  agrees,
  NO_OUTCOMES,
  type OpeningCounts,
  type OpeningOutcome,
  type OpeningRun,
  type ResultsFilter,
  type SealedResult,
  type Tried
} from "../domain/opening.ts"
import { report } from "./progress.ts"
import { ResultsOpener, SealedResults } from "./record-ports.ts"

/** Counts what would be tried; opens and changes nothing. */
export const countWaiting = Effect.fn("countWaiting")((filter: ResultsFilter) =>
  Effect.flatMap(SealedResults, (sealed) => sealed.waiting(filter))
)

/**
 * Tries every sealed result that is meant, also those that could not be opened before. Answers how
 * many came to which end. Fails with Refused when their keeper can't go on; what was opened stays.
 */
export const decryptResults = Effect.fn("decryptResults")(function* (filter: ResultsFilter) {
  const opener = yield* ResultsOpener
  const sealed = yield* SealedResults
  const began = yield* Clock.currentTimeMillis
  let counts: OpeningCounts = NO_OUTCOMES
  const total = yield* sealed.waiting(filter)
  const tell = (phase: "started" | "running" | "finished") =>
    report({ kind: "result", label: "Opening results", done: sum(counts), total, phase })

  const work = Effect.gen(function* () {
    yield* tell("started")
    yield* sealed.retry(filter)
    const lane = Effect.gen(function* () {
      while (true) {
        const outcomes = yield* sealed.step(filter, openBatch(opener))
        if (outcomes === undefined) break
        counts = added(counts, outcomes)
        yield* tell("running")
      }
    })
    // While one batch is opened the one before is written: else half of the machine would wait.
    const lanes = Array.from({ length: sealed.lanes }, () => lane)
    yield* Effect.all(lanes, { concurrency: "unbounded", discard: true })
    yield* tell("finished")
  })
  const remember = (ended: boolean) =>
    Effect.gen(function* () {
      const millis = (yield* Clock.currentTimeMillis) - began
      const run: OpeningRun = { keys: opener.keys, filter, counts, millis, ended }
      yield* sealed.ended(run)
      return run
    })
  yield* Effect.onExit(work, (exit) =>
    Exit.isSuccess(exit) ? Effect.void : Effect.ignore(remember(false))
  )
  return yield* remember(true)
})

/** Opens a batch: what nobody can have signed is not even tried. */
const openBatch =
  (opener: ResultsOpener["Service"]) =>
  (batch: ReadonlyArray<SealedResult>): Effect.Effect<ReadonlyArray<Tried>> =>
    Effect.gen(function* () {
      const known = batch.filter(({ signers }) => signers.length > 0)
      const opened = yield* opener.open(known)
      const results = new Map(known.map((one, at) => [one, opened[at]]))
      return batch.map((one): Tried => {
        const { device, sha256 } = one
        const result = results.get(one)
        if (result === undefined) return { device, sha256, why: "unknown-device" }
        if (Result.isFailure(result)) return { device, sha256, why: result.failure }
        return agrees(one, result.success.facts)
          ? { device, sha256, ...result.success }
          : { device, sha256, why: "bad-signature" }
      })
    })

const sum = (counts: OpeningCounts): number =>
  Object.values(counts).reduce((all, one) => all + one, 0)

const added = (counts: OpeningCounts, outcomes: ReadonlyArray<OpeningOutcome>): OpeningCounts => {
  const next = { ...counts }
  for (const outcome of outcomes) next[outcome] += 1
  return next
}
