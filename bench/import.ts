/**
 * Measures imports as an operator meets them: `node bench/import.ts [rows] [--postgres]` writes a
 * roster of so many test-takers (100,000 unless told), lets the command line create, update and
 * leave them alone, each as a process of its own, and prints rows/s and the peak memory of each.
 *
 * Passwords are wrapped at the least cost that an operator may choose. The wraps of all rows would
 * take an hour, so they are measured on the first `--wraps` of them (2,000 unless told) and
 * extrapolated in words; the other people are put into the catalogue beforehand by this script, all
 * with a wrap of one password, and the imports that update them leave passwords out. With
 * `--offers` all of them then get a seat in one organisation, and are updated in its feed.
 */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Effect } from "effect"
import { Atomic, Catalogue, Secrets } from "../application/ports.ts"
import { PersonRecord } from "../domain/record.ts"
import { CENTRAL_DEFAULTS, write } from "../entrypoints/settings.ts"
import { layerCentral } from "../entrypoints/wiring.ts"
import { machine } from "./harness.ts"

const ROOT = join(import.meta.dirname, "..")
/** What a roster can have (`csv-records.ts`). */
const ROWS_MAX = 1_000_000
/** The least that `central init` takes, by memory and passes. */
const COST = { memoryKiB: 19_456, passes: 2 }
const SAMPLE_MILLIS = 50
/** People put into the catalogue at a time. */
const BATCH = 2_000
const MIB = 2 ** 20

/** What one command did: how fast, and the high-water mark of its memory. */
interface Ran {
  readonly seconds: number
  readonly peakRss: number
  readonly stdout: string
}

/** Runs a command of Testferry to its end. Throws unless it succeeds. */
const run = (data: string, args: ReadonlyArray<string>): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const began = performance.now()
    const child = spawn(join(ROOT, "testferry"), ["--data", data, ...args], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let [stdout, stderr, peakRss] = ["", "", 0]
    child.stdout.on("data", (chunk) => (stdout += chunk))
    child.stderr.on("data", (chunk) => (stderr += chunk))
    const sampling = setInterval(() => {
      peakRss = Math.max(peakRss, highWater(child.pid))
    }, SAMPLE_MILLIS)
    child.once("close", (code) => {
      clearInterval(sampling)
      const seconds = (performance.now() - began) / 1_000
      if (code === 0) resolve({ seconds, peakRss, stdout })
      else reject(new Error(`${args.join(" ")}: exit ${code}\n${stderr}${stdout}`))
    })
  })

/** The high-water mark of a process in bytes, as far as it has come; 0 when it is gone. */
const highWater = (pid: number | undefined): number => {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8")
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024
  } catch {
    return 0
  }
}

const loginOf = (at: number) => `taker${String(at).padStart(7, "0")}`

/** A roster of the people from 0 to below `rows`; passwords are theirs alone. */
const roster = (rows: number, label: string, passwords: boolean): string => {
  const lines = Array.from({ length: rows }, (_, at) => {
    const password = passwords ? `the password of number ${at}` : ""
    return `${loginOf(at)},${label} number ${at},First${at},Last${at},en-GB,${password}\n`
  })
  return `login,label,first name,last name,interface language,password\n${lines.join("")}`
}

/** Puts the people from `from` to below `to` into the catalogue, all with the wrap of one password. */
const stock = (from: number, to: number) =>
  Effect.gen(function* () {
    const catalogue = yield* Catalogue
    const secrets = yield* Secrets
    const atomic = yield* Atomic
    const { identity, recipient } = yield* secrets.newIdentity
    const user = yield* secrets.newId("usr")
    const password = "the password of all of them"
    const wrap = yield* secrets.wrap({ user, ver: 1, password, identity, recipient })
    for (let at = from; at < to; at += BATCH) {
      const people = yield* Effect.forEach(
        Array.from({ length: Math.min(BATCH, to - at) }, (_, n) => at + n),
        Effect.fnUntraced(function* (n) {
          const id = yield* secrets.newId("usr")
          const login = loginOf(n)
          const interfaceLanguage = "en-GB"
          return PersonRecord.make({
            kind: "test-taker",
            id,
            login,
            label: login,
            interfaceLanguage,
            wrap
          })
        })
      )
      yield* atomic.run(catalogue.put(people))
    }
  })

/** As many as a row of a roster may name (`roster-cells.ts`). */
const SEATS = 10_000

/** Centers of one organisation, and in each of them ten thousand people who may sit one delivery. */
const seats = (rows: number) => {
  const centers = Array.from({ length: Math.ceil(rows / SEATS) }, (_, at) => `hall${at}`)
  const takers = (at: number) =>
    Array.from({ length: Math.min(SEATS, rows - at * SEATS) }, (_, n) => loginOf(at * SEATS + n))
  return {
    centers: `label,organisation id\n${centers.map((name) => `${name},bench\n`).join("")}`,
    eligibilities: `test center,delivery,test takers\n${centers
      .map((name, at) => `${name},dlv_bench,${takers(at).join("|")}\n`)
      .join("")}`
  }
}

const main = async () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      postgres: { type: "boolean", default: false },
      wraps: { type: "string", default: "2000" },
      offers: { type: "boolean", default: false }
    }
  })
  const rows = bounded("rows", positionals[0] ?? "100000")
  const wraps = Math.min(rows, bounded("--wraps", values.wraps))
  const directory = await mkdtemp(join(tmpdir(), "testferry-import-"))
  const cluster = values.postgres ? await startCluster() : undefined
  try {
    await measure(directory, { rows, wraps, offers: values.offers, postgres: cluster?.url })
  } finally {
    await cluster?.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

interface Sizes {
  readonly rows: number
  readonly wraps: number
  readonly offers: boolean
  readonly postgres: string | undefined
}

const measure = async (directory: string, { offers, postgres, rows, wraps }: Sizes) => {
  const data = join(directory, "central")
  const settings = {
    ...CENTRAL_DEFAULTS,
    passwordCost: COST,
    ...(postgres === undefined ? {} : { database: postgres })
  }
  await Effect.runPromise(write(data, settings))
  const { cores, loadAtStart, node } = machine()
  const database = postgres === undefined ? "embedded database" : "PostgreSQL"
  console.log(`${rows} rows, ${database}, ${cores} cores, Node ${node}, load ${loadAtStart[0]}`)
  const idle = (await run(data, ["central", "list", "organisation"])).peakRss
  console.log(`idle process: ${(idle / MIB).toFixed(0)} MiB`)
  const say = (what: string, count: number, { peakRss, seconds, stdout }: Ran) =>
    console.log(
      `${what}: ${seconds.toFixed(1)} s, ${(count / seconds).toFixed(0)} rows/s, ` +
        `peak RSS ${(peakRss / MIB).toFixed(0)} MiB ` +
        `(${((peakRss - idle) / MIB).toFixed(0)} above idle); ${stdout.trim()}`
    )
  const imported = async (what: string, count: number, kind: string, text: string) => {
    const file = join(directory, "roster.csv")
    await writeFile(file, text)
    const type = kind === "users" ? ["--type", "test-taker"] : []
    const ran = await run(data, ["central", "import", kind, file, ...type])
    say(what, count, ran)
    return ran.seconds
  }

  const seconds = await imported("create, with wraps", wraps, "users", roster(wraps, "Old", true))
  const hours = (seconds / wraps / 3_600) * rows
  console.log(
    `  Argon2id ${COST.memoryKiB} KiB, ${COST.passes} passes, ${availableParallelism()} cores: ` +
      `${rows} wraps would take ${hours.toFixed(2)} h (extrapolated from ${wraps})`
  )
  const layer = layerCentral(data, settings)
  await Effect.runPromise(Effect.provide(stock(wraps, rows), layer))
  await imported("update, no passwords", rows, "users", roster(rows, "New", false))
  await imported("the same file again", rows, "users", roster(rows, "New", false))
  if (!offers) return
  const { centers, eligibilities } = seats(rows)
  await imported("test centers", Math.ceil(rows / SEATS), "test-centers", centers)
  const demo = join(ROOT, "entrypoints/demo/packages/rivers-qti21.zip")
  await run(data, ["central", "publish", demo, "--id", "bench"])
  await imported("eligibilities, all into one feed", rows, "eligibilities", eligibilities)
  await imported("update, all in that feed", rows, "users", roster(rows, "Newer", false))
  await imported("the same file again", rows, "users", roster(rows, "Newer", false))
}

/** Only a run that wants PostgreSQL needs its test support. */
const startCluster = async () => {
  const support: { startPostgres(): Promise<{ url: string; stop(): Promise<void> }> } =
    await import(new URL("../test/support/postgres-cluster.ts", import.meta.url).href)
  return support.startPostgres()
}

const bounded = (what: string, text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1 || value > ROWS_MAX) {
    throw new Error(`${what} takes a whole number from 1 to ${ROWS_MAX}`)
  }
  return value
}

if (import.meta.main) await main()
