/**
 * The keepers of sealed results that the decrypt command may turn to (`SealedResults`): the database
 * that this process has open, or somebody who is asked and answers, by socket or HTTPS.
 */
import { Effect } from "effect"
import { asOpening, type OpeningAsks } from "../domain/opening.ts"
import {
  countSealed,
  giveSealed,
  keepOpened,
  keepTried,
  rememberRun,
  retrySealed
} from "./hand-out-results.ts"
import { Atomic } from "./ports.ts"
import { Records, SealedResults } from "./record-ports.ts"
import type { Refused } from "./refused.ts"

type Here =
  | Effect.Services<ReturnType<typeof giveSealed>>
  | Effect.Services<ReturnType<typeof keepOpened>>
  | Effect.Services<ReturnType<typeof rememberRun>>

/**
 * The database that is open here. What was opened here was checked here. A step is one transaction from giving out to keeping: several
 * processes on one PostgreSQL never open the same result, and what a killed one had begun is free.
 */
export const sealedHere = Effect.fn("sealedHere")(function* (who: string) {
  const context = yield* Effect.context<Here | Atomic>()
  const atomic = yield* Atomic
  const { lanes } = yield* Records
  const here = Effect.provideContext(context)
  return SealedResults.of({
    lanes,
    waiting: (filter) => here(countSealed(filter)),
    retry: (filter) => here(retrySealed(filter)),
    step: (filter, open) =>
      atomic.run(
        Effect.gen(function* () {
          const batch = yield* here(giveSealed(filter))
          if (batch.length === 0) return undefined
          return yield* here(keepTried(yield* open(batch)))
        })
      ),
    ended: (run) => here(rememberRun(run, who))
  })
})

/** How somebody is asked: one question at a time, each answered or refused. */
export type AskKeeper = <Name extends keyof OpeningAsks>(
  name: Name,
  question: OpeningAsks[Name]["ask"]
) => Effect.Effect<OpeningAsks[Name]["answer"], Refused>

/**
 * Somebody who is asked. Nothing is held while the batch is opened: if another process is faster,
 * what it has kept counts as "same".
 */
export const sealedBy = (ask: AskKeeper): SealedResults["Service"] => ({
  // What is given out is not claimed: a second lane would be given the same.
  lanes: 1,
  waiting: (filter) => Effect.map(ask("waiting", filter), ({ count }) => count),
  retry: (filter) => Effect.asVoid(ask("retry", filter)),
  step: (filter, open) =>
    Effect.gen(function* () {
      const { batch } = yield* ask("sealed", filter)
      if (batch.length === 0) return undefined
      const openings = (yield* open(batch)).map(asOpening)
      return (yield* ask("opened", { openings })).outcomes
    }),
  ended: (run) => Effect.asVoid(ask("ran", run))
})

/** Answers what `sealedBy` asks: the other end of the line. */
export const answerOpening = {
  waiting: (filter: OpeningAsks["waiting"]["ask"]) =>
    Effect.map(countSealed(filter), (count) => ({ count })),
  retry: (filter: OpeningAsks["retry"]["ask"]) => Effect.as(retrySealed(filter), {}),
  sealed: (filter: OpeningAsks["sealed"]["ask"]) =>
    Effect.flatMap(Atomic, (atomic) =>
      Effect.map(atomic.run(giveSealed(filter)), (batch) => ({ batch }))
    ),
  opened: ({ openings }: OpeningAsks["opened"]["ask"]) =>
    Effect.map(keepOpened(openings), (outcomes) => ({ outcomes })),
  ran: (run: OpeningAsks["ran"]["ask"], who: string) => Effect.as(rememberRun(run, who), {})
} as const
