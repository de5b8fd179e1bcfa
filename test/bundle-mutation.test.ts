/**
 * Any change of any volume, anywhere: never taken for another bundle, never a crash or a hang.
 * `node bench/mutate.ts` makes any number of changes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mutateAge, mutateHome, mutateThere, prepare } from "./support/mutations.ts"

const RUNS = 150
const AGE_RUNS = 500

const runs = (count: number) => Array.from({ length: count }, (_, at) => at)

describe("a volume that was changed on its way", () => {
  it.live("is refused with a code, or taken with the bytes that were signed", () =>
    Effect.gen(function* () {
      const prepared = yield* prepare
      const there = yield* Effect.forEach(runs(RUNS), (run) => mutateThere(prepared, run))
      const home = yield* Effect.forEach(runs(RUNS), (run) => mutateHome(prepared, run))
      // Neither side refuses everything, nor always for the same reason.
      for (const said of [there, home]) {
        assert.include(said, "taken as it was")
        assert.isAbove(new Set(said).size, 6)
      }
    })
  )
})

describe("an age file that was changed on its way", () => {
  it.live("opens to the same or not at all, at once and piece by piece", () =>
    Effect.gen(function* () {
      const said = yield* Effect.forEach(runs(AGE_RUNS), mutateAge)
      assert.include(said, "refused")
    })
  )
})
