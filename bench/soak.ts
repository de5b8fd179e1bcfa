/**
 * Runs the simulation for many seeds: `node bench/soak.ts [seeds] [from]`. Prints how far it is, and
 * for a seed that fails the shortest schedule that still does; exits with 1 if there was one.
 */
import { Effect } from "effect"
import { runSeed, shorten } from "../test/support/simulation.ts"

const [seeds = 100, from = 1] = process.argv.slice(2).map(Number)

const program = Effect.gen(function* () {
  const began = process.hrtime.bigint()
  let failed = 0
  for (let seed = from; seed < from + seeds; seed++) {
    const run = yield* runSeed(seed)
    if (run.failure !== undefined) {
      failed += 1
      const shortest = yield* shorten(seed, run)
      console.log(`seed ${seed} failed:\n${shortest.trace.join("\n")}\n${shortest.failure?.why}`)
    }
    const seconds = Number(process.hrtime.bigint() - began) / 1e9
    const done = seed - from + 1
    if (done % 10 === 0 || done === seeds) {
      console.log(
        `${done} of ${seeds} seeds, ${failed} failed, ${(seconds / done).toFixed(2)} s each`
      )
    }
  }
  return failed
})

process.exitCode = (await Effect.runPromise(program)) > 0 ? 1 : 0
