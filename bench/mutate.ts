/**
 * Changes volumes and age files at random and gives them to their readers:
 * `node bench/mutate.ts [runs] [from]`. Prints what the readers said and the memory that they took;
 * stops at the first change that is taken for something else, or that kills a reader.
 */
import { Effect } from "effect"
import { mutateAge, mutateHome, mutateThere, prepare } from "../test/support/mutations.ts"

const [runs = 10_000, from = 0] = process.argv.slice(2).map(Number)

/** Far more than a reader needs of small bundles; one that believed a count would take gigabytes. */
const MEMORY_MAX = 1_000_000_000

const program = Effect.gen(function* () {
  const prepared = yield* prepare
  const said = new Map<string, number>()
  for (let run = from; run < from + runs; run++) {
    const all = [
      `there: ${yield* mutateThere(prepared, run)}`,
      `home: ${yield* mutateHome(prepared, run)}`,
      `age: ${yield* mutateAge(run)}`
    ]
    for (const one of all) said.set(one, (said.get(one) ?? 0) + 1)
    const done = run - from + 1
    if (done % 1_000 === 0 || done === runs) {
      const { maxRSS } = process.resourceUsage()
      console.log(`${done} of ${runs} runs, at most ${Math.round(maxRSS / 1024)} MiB`)
      if (maxRSS * 1024 > MEMORY_MAX) throw new Error("the readers take too much memory")
    }
  }
  for (const [one, times] of [...said].sort(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`${String(times).padStart(7)} ${one}`)
  }
})

await Effect.runPromise(Effect.scoped(program))
