/**
 * Measures one central under a crowd: `node bench/scale.ts` opens 200 devices in a few processes,
 * lets all of them make their first synchronisation at once, then all of them one with nothing to
 * do, and prints how long each took, in percentiles. What a device does is the module's
 * `openDevice`; which central it meets is the module's `openCentral`, or `--url`.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { Schema } from "effect"
import { bodies, catalogueOf, TEST_TAKERS_MAX } from "./bodies.ts"
import { type Outcome, Outcomes } from "./calls.ts"
import { machine } from "./harness.ts"
import { type Child, child, openCentral, putAll, traffic } from "./processes.ts"

/** Each device is a database and a connection; beyond this the driver measures itself. */
const CLIENTS_MAX = 1_000
const PROCESSES_MAX = 16
const ORGANISATIONS_MAX = 1_000
/** A device that waited longer has been let down, whatever it gets in the end. */
const DEVICE_SECONDS_MAX = 500
/** Messages of failures that are printed; all are counted. */
const FAILURES_SHOWN = 3

export interface Crowd {
  /** Exports `openDevice` (and all of `Sides`). A file, since a function cannot enter a process. */
  readonly module: URL
  readonly url: string
  readonly clients: number
  readonly processes: number
  /** To which the devices belong by turns. */
  readonly organisations: ReadonlyArray<string>
  /** The patience of a device in seconds. */
  readonly patience: number
}

/** One round of the whole crowd; times in seconds, over the devices that succeeded. */
export interface Round {
  readonly name: string
  readonly seconds: number
  readonly entities: number
  readonly succeeded: number
  readonly failed: number
  readonly failures: ReadonlyArray<string>
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
  /** Of the processes that play the devices, together, in bytes. */
  readonly peakRss: number
}

/** Lets a crowd synchronise in the named rounds, each started at once and ended by all. */
export const drive = async (
  crowd: Crowd,
  rounds: ReadonlyArray<string>
): Promise<ReadonlyArray<Round>> => {
  const directory = await mkdtemp(join(tmpdir(), "testferry-crowd-"))
  const drivers = Array.from({ length: crowd.processes }, () => child("crowd", crowd.module))
  try {
    const share = Math.ceil(crowd.clients / crowd.processes)
    const [organisation = "", ...others] = crowd.organisations
    const organisations = [organisation, ...others] as const
    const place = { directory, url: crowd.url, postgres: null, organisation }
    await Promise.all(
      drivers.map((driver, n) => {
        const from = Math.min(n * share, crowd.clients)
        const count = Math.min(share, crowd.clients - from)
        return driver.call({ verb: "openMany", place, organisations, from, count })
      })
    )
    const reports: Array<Round> = []
    for (const name of rounds) reports.push(await round(name, drivers, crowd.patience))
    return reports
  } finally {
    await Promise.all(drivers.map((driver) => driver.stop()))
    await rm(directory, { recursive: true, force: true })
  }
}

const round = async (
  name: string,
  drivers: ReadonlyArray<Child>,
  patience: number
): Promise<Round> => {
  const start = performance.now()
  const answers = await Promise.all(
    drivers.map((driver) => driver.call({ verb: "syncMany", seconds: patience }))
  )
  const seconds = (performance.now() - start) / 1_000
  const reports = answers.map((answer) => decodeOutcomes(answer))
  const outcomes = reports.flatMap((report) => report.outcomes)
  const peakRss = reports.reduce((sum, report) => sum + report.peakRss, 0)
  return { name, seconds, peakRss, ...summary(outcomes) }
}

const decodeOutcomes = Schema.decodeUnknownSync(Outcomes)

const summary = (outcomes: ReadonlyArray<Outcome>) => {
  const failures = outcomes.flatMap(({ device, failure }) =>
    failure === null ? [] : [`device ${device}: ${failure}`]
  )
  const succeeded = outcomes.filter(({ failure }) => failure === null)
  const seconds = succeeded.map((outcome) => outcome.seconds).toSorted((a, b) => a - b)
  return {
    entities: succeeded.reduce((sum, { entities }) => sum + entities, 0),
    succeeded: succeeded.length,
    failed: failures.length,
    failures: failures.slice(0, FAILURES_SHOWN),
    p50: percentile(seconds, 50),
    p90: percentile(seconds, 90),
    p99: percentile(seconds, 99),
    max: percentile(seconds, 100)
  }
}

/** The smallest of the sorted values that so many percent do not exceed; NaN when there is none. */
export const percentile = (sorted: ReadonlyArray<number>, percent: number): number =>
  sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN

const ROUNDS = ["first", "nothing changed"]

const main = async () => {
  const { values } = parseArgs({
    options: {
      module: { type: "string", default: join(import.meta.dirname, "peers/bare-pull.ts") },
      url: { type: "string" },
      postgres: { type: "boolean", default: false },
      clients: { type: "string", default: "200" },
      processes: { type: "string", default: "2" },
      organisations: { type: "string", default: "1" },
      size: { type: "string", default: "1000" },
      patience: { type: "string", default: "300" },
      json: { type: "string" }
    }
  })
  const module = pathToFileURL(resolve(values.module))
  const settings = {
    clients: bounded("clients", values.clients, CLIENTS_MAX),
    processes: bounded("processes", values.processes, PROCESSES_MAX),
    patience: bounded("patience", values.patience, DEVICE_SECONDS_MAX)
  }
  const size = bounded("size", values.size, TEST_TAKERS_MAX)
  const organisations = Array.from(
    { length: bounded("organisations", values.organisations, ORGANISATIONS_MAX) },
    (_, n) => `bench${n}`
  )
  const facts = machine()
  const central =
    values.url === undefined
      ? await startCentral(module, size, organisations, values.postgres)
      : { url: values.url, peakRss: async () => Number.NaN, stop: async () => undefined }
  try {
    const rounds = await drive({ ...settings, organisations, module, url: central.url }, ROUNDS)
    const centralRss = await central.peakRss()
    const report = {
      machine: facts,
      ...settings,
      organisations: organisations.length,
      size,
      rounds
    }
    if (values.json !== undefined)
      await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`)
    for (const round of rounds) console.log(sentence(round))
    console.log(
      `${settings.clients} devices of ${organisations.length} organisations in ` +
        `${settings.processes} processes, central's peak RSS ${(centralRss / 2 ** 20).toFixed(0)} MiB, ` +
        `${facts.cores} cores, ` +
        `Node ${facts.node}, ${facts.date}, load at the start ${facts.loadAtStart[0]}`
    )
    if (rounds.some(({ failed }) => failed > 0)) process.exitCode = 1
  } finally {
    await central.stop()
  }
}

/** Starts the module's central in a process of its own, on a PostgreSQL if asked to, and fills it. */
const startCentral = async (
  module: URL,
  size: number,
  organisations: ReadonlyArray<string>,
  postgres: boolean
) => {
  const directory = await mkdtemp(join(tmpdir(), "testferry-scale-"))
  await mkdir(join(directory, "central"))
  const cluster = postgres ? await startCluster() : undefined
  const central = child("central", module)
  const stop = async () => {
    await central.stop()
    await cluster?.stop()
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const url = await openCentral(central, join(directory, "central"), cluster?.url ?? null)
    for (const organisation of organisations)
      await putAll(central, bodies(1, catalogueOf(size, organisation)))
    return { url, stop, peakRss: async () => (await traffic(central)).peakRss }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Only a run that wants PostgreSQL needs its test support. */
const startCluster = async () => {
  const support: { startPostgres(): Promise<{ url: string; stop(): Promise<void> }> } =
    await import(new URL("../test/support/postgres-cluster.ts", import.meta.url).href)
  return support.startPostgres()
}

const bounded = (option: string, text: string, max: number): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1 || value > max)
    throw new Error(`--${option} takes a whole number from 1 to ${max}`)
  return value
}

const sentence = (round: Round): string =>
  [
    `${round.name}: ${round.succeeded} succeeded, ${round.failed} failed, ` +
      `${round.seconds.toFixed(2)} s in all, ${(round.entities / round.seconds).toFixed(0)} entities/s, ` +
      `p50 ${round.p50.toFixed(3)} s, p90 ${round.p90.toFixed(3)} s, p99 ${round.p99.toFixed(3)} s, ` +
      `max ${round.max.toFixed(3)} s, peak RSS ${(round.peakRss / 2 ** 20).toFixed(0)} MiB`,
    ...round.failures
  ].join("\n  ")

if (import.meta.main) await main()
