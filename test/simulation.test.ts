import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { runSeed, shorten } from "./support/simulation.ts"
import type { Run } from "./support/world.ts"

/** Seeds of every run of the tests; `node bench/soak.ts` runs any number. */
const SEEDS = Array.from({ length: 6 }, (_, at) => at + 1)

/** Seeds that once failed, and what they found. */
const PINNED: ReadonlyArray<readonly [seed: number, found: string]> = [
  [5014, ": a record that was released is told as put aside when it comes again"]
]

/** What must happen in the seeds together: else they would prove nothing about it. */
const MUST_HAPPEN = [
  "result by https",
  "result by bundle",
  "test-session by https",
  "test-session by bundle",
  "result-log by https",
  "result-log by bundle",
  "lti-user by https",
  "lti-user by bundle",
  "came back",
  "paused",
  "power cut",
  "sending, answer lost",
  "trouble after a batch",
  "killed while sending",
  "late, mixed",
  "late, reordered",
  "forged receipt",
  "receipt of another",
  "late receipt",
  "receipt by stick",
  "settled by stick",
  "records by stick",
  "bundle home already",
  "kept beside another",
  "device restored",
  "central restored",
  "results rekeyed",
  "sealed to a retired key",
  "released",
  "opened"
]

const runs = new Map<number, Promise<Run>>()
/** The run of a seed, once for all tests. */
const run = (seed: number) =>
  Effect.promise(() => {
    const known = runs.get(seed) ?? Effect.runPromise(runSeed(seed))
    runs.set(seed, known)
    return known
  })

describe("the world that follows from a seed", () => {
  for (const [seed, found] of [...SEEDS.map((one) => [one, ""] as const), ...PINNED]) {
    it.live(
      `keeps its invariants for seed ${seed}${found}`,
      () =>
        Effect.gen(function* () {
          const ended = yield* run(seed)
          if (ended.failure === undefined) return
          const shortest = yield* shorten(seed, ended)
          const { step, why } = shortest.failure ?? ended.failure
          assert.fail(`seed ${seed}, step ${step}: ${why}\n${shortest.trace.join("\n")}`)
        }),
      600_000
    )
  }

  it.live(
    "has everything in it that can happen to a record on its way home",
    () =>
      Effect.gen(function* () {
        const all = yield* Effect.forEach(SEEDS, run)
        const happened = new Set(all.flatMap((one) => [...one.happened.keys()]))
        assert.deepStrictEqual(
          MUST_HAPPEN.filter((what) => !happened.has(what)),
          []
        )
      }),
    600_000
  )

  it.live(
    "is the same world for the same seed, and another for another",
    () =>
      Effect.gen(function* () {
        const [first, other] = yield* Effect.forEach([1, 2], run)
        const second = yield* runSeed(1)
        assert.deepStrictEqual(second.trace, first?.trace)
        assert.strictEqual(second.hash, first?.hash)
        assert.notStrictEqual(other?.hash, first?.hash)
      }),
    600_000
  )
})
