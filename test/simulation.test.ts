import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { runSeed, shorten } from "./support/simulation.ts"

/** Seeds of every run of the tests; `node bench/soak.ts` runs any number. */
const SEEDS = Array.from({ length: 6 }, (_, at) => at + 1)

/** Seeds that once failed, and what they found. */
const PINNED: ReadonlyArray<readonly [seed: number, found: string]> = []

describe("the world that follows from a seed", () => {
  for (const [seed, found] of [...SEEDS.map((one) => [one, ""] as const), ...PINNED]) {
    it.live(
      `keeps its invariants for seed ${seed}${found}`,
      () =>
        Effect.gen(function* () {
          const run = yield* runSeed(seed)
          if (run.failure === undefined) return
          const shortest = yield* shorten(seed, run)
          const { step, why } = shortest.failure ?? run.failure
          assert.fail(`seed ${seed}, step ${step}: ${why}\n${shortest.trace.join("\n")}`)
        }),
      600_000
    )
  }

  it.live(
    "is the same world for the same seed, and another for another",
    () =>
      Effect.gen(function* () {
        const [first, second, other] = yield* Effect.forEach([101, 101, 102], (seed) =>
          runSeed(seed)
        )
        assert.deepStrictEqual(second?.trace, first?.trace)
        assert.strictEqual(second?.hash, first?.hash)
        assert.notStrictEqual(other?.hash, first?.hash)
      }),
    600_000
  )
})
