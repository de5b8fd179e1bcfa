/**
 * Runs the benchmark: `node bench/run.ts [w1|w2|w3|w4]...` measures Testferry and its peers in one
 * session and prints each figure with its ratio to every peer. See README.md beside this file.
 */
import { existsSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { parseArgs } from "node:util"
import { bodies, catalogueOf, onePercent, TEST_TAKERS, TEST_TAKERS_MAX } from "./bodies.ts"
import {
  type Contender,
  machine,
  medianOf,
  RUNS_MAX,
  repeat,
  type Sample,
  WORKLOADS,
  type Workload
} from "./harness.ts"
import { installPeers } from "./peers/install.ts"
import { line, table } from "./table.ts"

// Results come home by another road and are counted otherwise: a program of its own.
if (process.argv.includes("w4")) {
  await import("./results.ts")
  process.exit()
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "5" },
    size: { type: "string", default: String(TEST_TAKERS) },
    seed: { type: "string", default: "1" },
    only: { type: "string", multiple: true, default: [] },
    json: { type: "string" },
    bytes: { type: "string", default: "2GiB" },
    single: { type: "string" }
  }
})

// A workload of its own kind: bundles, in files, beside other programs.
if (positionals.includes("w6")) {
  const { readBytes, runW6 } = await import("./w6.ts")
  const { bytes, single } = values
  await runW6({ bytes: readBytes(single ?? bytes), single: single !== undefined })
  process.exit()
}

/** Testferry's own contender comes first; the run says so when it is not there. */
const contenders = async (): Promise<ReadonlyArray<Contender>> => {
  const found: Array<Contender> = []
  const testferry = new URL("contenders/testferry.ts", import.meta.url)
  if (existsSync(testferry)) found.push(...(await import(testferry.href)).contenders)
  else console.log("bench/contenders/testferry.ts is not there: the peers run alone.")
  if (installPeers()) found.push(...(await import("./peers/pouchdb.ts")).contenders)
  found.push((await import("./peers/bare-pull.ts")).contender)
  if (values.only.length === 0) return found
  const unknown = values.only.filter((name) => !found.some((each) => each.name === name))
  if (unknown.length > 0) throw new Error(`no contender is called ${unknown.join(", ")}`)
  return found.filter(({ name }) => values.only.includes(name))
}

const workloads = (): ReadonlyArray<Workload> => {
  const chosen = WORKLOADS.filter((each) => positionals.includes(each))
  const unknown = positionals.filter((each) => !WORKLOADS.some((known) => known === each))
  if (unknown.length > 0)
    throw new Error(`unknown workload ${unknown.join(", ")}; there are ${WORKLOADS.join(", ")}`)
  return chosen.length === 0 ? WORKLOADS : chosen
}

const whole = (option: "runs" | "size" | "seed", max: number): number => {
  const value = Number(values[option])
  if (!Number.isSafeInteger(value) || value < 1 || value > max)
    throw new Error(`--${option} takes a whole number from 1 to ${max}`)
  return value
}

const runs = whole("runs", RUNS_MAX)
const size = whole("size", TEST_TAKERS_MAX)
const seed = whole("seed", Number.MAX_SAFE_INTEGER)
const chosen = workloads()
const facts = machine()
const entrants = await contenders()
const of = catalogueOf(size)
const catalogue = { bodies: () => bodies(seed, of), changes: onePercent(seed, of) }
const samples = await repeat(entrants, runs, chosen, catalogue, (sample: Sample) =>
  console.log(line(sample))
)
const medians = chosen.map((workload) => ({
  workload,
  rows: entrants.flatMap(({ name }) => {
    const measure = medianOf(samples, name, workload)
    return measure === undefined ? [] : [{ name, measure }]
  })
}))
for (const { workload, rows } of medians) console.log(table(workload, rows))
const loads = samples.map(({ load }) => load)
console.log(
  `\n${facts.cores} cores (${facts.processor}), ${facts.memoryGiB} GiB, Linux ${facts.kernel}, ` +
    `Node ${facts.node}, ${facts.date}\n` +
    `${size} test-takers, seed ${seed}, medians of ${runs} runs, 1-minute load at the start ` +
    `${facts.loadAtStart[0]}, before the runs ${Math.min(...loads).toFixed(2)} to ${Math.max(...loads).toFixed(2)}`
)
if (values.json !== undefined)
  await writeFile(
    values.json,
    `${JSON.stringify({ machine: facts, size, seed, runs, medians, samples }, null, 2)}\n`
  )
