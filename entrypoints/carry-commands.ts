/**
 * Carries results by hand to the machine that has the key, and back: packs sealed ones into a folder,
 * and takes opened ones in again.
 */
import { Effect, Schema, Stream } from "effect"
import { countSealed, everySealed, keepOpened } from "../application/hand-out-results.ts"
import { report } from "../application/progress.ts"
import {
  BATCH_RESULTS_MAX,
  leftSealed,
  NO_OUTCOMES,
  OpeningCounts,
  ResultsFilter
} from "../domain/opening.ts"
import { fingerprintWords } from "../infrastructure/fingerprint.ts"
import { keysDigest, openedIn, writeSealed } from "../infrastructure/folder-results.ts"
import { defineCommand, ItemsLeft, type ServedCommand } from "./command.ts"
import type { CentralPorts } from "./wiring.ts"

/** The words by which two people compare the keys of the devices in a folder. */
export const folderWords = (directory: string) =>
  Effect.map(keysDigest(directory), fingerprintWords)

export const resultsPack = defineCommand({
  name: "results pack",
  side: "central",
  args: Schema.Struct({ filter: ResultsFilter, to: Schema.String }),
  report: Schema.Struct({ results: Schema.Int, to: Schema.String, words: Schema.String }),
  run: Effect.fn("resultsPack")(function* ({ filter, to }) {
    const total = yield* countSealed(filter)
    let results = 0
    yield* writeSealed(to, [])
    yield* Stream.runForEach(everySealed(filter), (batch) =>
      Effect.gen(function* () {
        yield* writeSealed(to, batch)
        results += batch.length
        yield* report({
          kind: "result",
          label: "Packing results",
          done: results,
          total,
          phase: "running"
        })
      })
    )
    return { results, to, words: yield* folderWords(to) }
  })
})

export const resultsUnpack = defineCommand({
  name: "results unpack",
  side: "central",
  args: Schema.Struct({ from: Schema.String }),
  report: Schema.Struct({ counts: OpeningCounts, left: Schema.Int, exit: ItemsLeft }),
  run: Effect.fn("resultsUnpack")(function* ({ from }) {
    const counts = { ...NO_OUTCOMES }
    yield* openedIn(from).pipe(
      Stream.rechunk(BATCH_RESULTS_MAX),
      Stream.chunks,
      Stream.mapEffect(keepOpened),
      Stream.flattenIterable,
      Stream.runForEach((outcome) =>
        Effect.sync(() => {
          counts[outcome] += 1
        })
      )
    )
    const left = leftSealed(counts)
    return left > 0 ? { counts, left, exit: 3 as const } : { counts, left }
  })
})

/** All of them, as the control socket serves them. */
export const carryCommands: ReadonlyArray<ServedCommand<CentralPorts>> = [
  resultsPack,
  resultsUnpack
]
