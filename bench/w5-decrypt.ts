/**
 * Opens the sealed results of W5's central as the decrypt command does, in a process of its own that
 * may be killed at any moment: `node bench/w5-decrypt.ts DIRECTORY`, with its key from the parent.
 * Tells after each batch how many are done, and the memory and the processor time until then.
 */
import { Effect, Layer, Schema } from "effect"
import { decryptResults } from "../application/decrypt-results.ts"
import { SealedResults } from "../application/record-ports.ts"
import { sealedHere } from "../application/sealed-results.ts"
import { ALL_RESULTS } from "../domain/opening.ts"
import { readCentral } from "../entrypoints/settings.ts"
import { layerCentral } from "../entrypoints/wiring.ts"
import * as Opener from "../infrastructure/results-opener.ts"

const [directory = ""] = process.argv.slice(2)
const decodeKey = Schema.decodeUnknownSync(
  Schema.Struct({ identity: Schema.String, recipient: Schema.String })
)

/** The keeper, counting aloud. */
const counted = Effect.map(sealedHere("bench"), (keeper) => {
  let done = 0
  return SealedResults.of({
    ...keeper,
    step: (filter, open) =>
      Effect.tap(keeper.step(filter, open), (outcomes) =>
        Effect.sync(() => {
          done += outcomes?.length ?? 0
          const { system, user } = process.cpuUsage()
          const rss = process.memoryUsage.rss()
          process.send?.({ kind: "progress", done, rss, cpu: user + system })
        })
      )
  })
})

const decrypt = (key: typeof decodeKey extends (_: unknown) => infer Key ? Key : never) =>
  Effect.gen(function* () {
    const settings = yield* readCentral(directory)
    const run = yield* decryptResults(ALL_RESULTS).pipe(
      Effect.provideServiceEffect(SealedResults, counted),
      Effect.provide(
        Layer.merge(layerCentral(directory, settings), Opener.layer([{ id: "r", ...key }]))
      )
    )
    process.send?.({ kind: "ended", counts: run.counts })
  })

process.once("message", (message) => {
  void Effect.runPromise(decrypt(decodeKey(message))).then(() => process.exit(0))
})
process.send?.({ kind: "ready" })
