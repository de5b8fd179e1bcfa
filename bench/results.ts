/**
 * Measures results coming home (W4): `npm run bench -- w4` lets 200 devices hand over sealed results
 * of 40 KB over TLS while answers get lost and central is killed and started again, then counts in
 * its database what is lost and what is doubled: both must be 0. On both databases unless one is
 * named with --database.
 */
import { type ChildProcess, fork } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Effect, Schema, Stream } from "effect"
import { Records } from "../application/record-ports.ts"
import type { Digest } from "../domain/id.ts"
import { readCentral } from "../entrypoints/settings.ts"
import { layerCentral } from "../entrypoints/wiring.ts"
import { machine } from "./harness.ts"
import { type Handed, handOver } from "./results-devices.ts"

/** Central starts in a second; a loaded machine takes longer. */
const READY_MILLIS = 60_000
const Ready = Schema.Struct({
  kind: Schema.Literal("ready"),
  certificate: Schema.String,
  tokens: Schema.Array(Schema.String)
})
type Ready = typeof Ready.Type
const Took = Schema.Struct({ kind: Schema.Literal("cpu"), micros: Schema.Int, rss: Schema.Int })
const decodeSaid = Schema.decodeUnknownSync(Schema.Union([Ready, Took]))

interface Sizes {
  readonly records: number
  readonly devices: number
  readonly size: number
  readonly batch: number
  readonly lost: number
  readonly kills: number
}

/** Runs W4 once on one database and prints its line. */
const measure = async (database: "embedded" | "PostgreSQL", sizes: Sizes) => {
  const directory = await mkdtemp(join(tmpdir(), "testferry-results-"))
  const cluster = database === "PostgreSQL" ? await startCluster() : undefined
  const port = await freePort()
  const central = centralProcess([
    join(directory, "central"),
    String(port),
    String(sizes.devices),
    ...(cluster === undefined ? [] : [cluster.url])
  ])
  try {
    const { certificate, tokens } = await central.start()
    const share = Math.ceil(sizes.records / sizes.devices)
    const total = share * sizes.devices
    let kept = 0
    let kills = 0
    let again: Promise<unknown> = Promise.resolve()
    const atStart = central.took().micros
    const mine = process.cpuUsage()
    const onKept = (more: number) => {
      kept += more
      if (kills >= sizes.kills || kept < (total * (kills + 1)) / (sizes.kills + 1)) return
      kills += 1
      // One after the other: a central that is killed before it is ready would never be.
      again = again.then(central.kill).then(central.start)
    }
    const began = performance.now()
    const handed = await Effect.runPromise(
      handOver(
        {
          ...sizes,
          baseUrl: `https://127.0.0.1:${port}`,
          fingerprint: certificate,
          tokens,
          each: share
        },
        onKept
      )
    )
    const seconds = (performance.now() - began) / 1_000
    const devices = process.cpuUsage(mine)
    await again
    await central.end()
    const took = central.took()
    const { doubled, lost } = await Effect.runPromise(countAt(join(directory, "central"), handed))
    console.log(
      `W4 ${database}: ${total} results of ${sizes.size} bytes from ${sizes.devices} devices in ` +
        `${seconds.toFixed(1)} s, ${(total / seconds).toFixed(0)} results/s, lost ${lost}, ` +
        `doubled ${doubled} (${handed.again} batches sent again, central killed ${kills} times)`
    )
    const each = (took.micros - atStart) / total
    const byDevices = (devices.user + devices.system) / total
    console.log(
      `  central: ${each.toFixed(0)} microseconds of processor time each (${(1e6 / each).toFixed(0)} ` +
        `results/s per core of central, PostgreSQL not counted), at most ${mebibytes(took.rss)} MiB; ` +
        `the devices, all in one process: ${byDevices.toFixed(0)} microseconds each`
    )
    if (lost + doubled > 0) process.exitCode = 1
  } finally {
    await central.kill()
    await cluster?.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

/** Central as a process: one life at a time, and what all of them together took. */
const centralProcess = (args: ReadonlyArray<string>) => {
  const program = join(import.meta.dirname, "results-central.ts")
  let child: ChildProcess | undefined
  let before = 0
  let micros = 0
  let rss = 0
  const stop = async (how: (running: ChildProcess) => void) => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const { promise, resolve } = Promise.withResolvers<void>()
    running.once("exit", () => resolve())
    how(running)
    await promise
  }
  const kill = () => stop((running) => void running.kill("SIGKILL"))
  const end = () => stop((running) => void running.disconnect())
  const start = async () => {
    const { promise, resolve, reject } = Promise.withResolvers<Ready>()
    const timer = setTimeout(() => reject(new Error("central does not start")), READY_MILLIS)
    before += micros
    micros = 0
    const running = fork(program, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] })
    child = running
    running.on("message", (message) => {
      const said = decodeSaid(message)
      if (said.kind === "ready") return resolve(said)
      micros = said.micros
      rss = Math.max(rss, said.rss)
    })
    running.once("error", reject)
    running.once("exit", () => reject(new Error("central ended before it was ready")))
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }
  return { start, kill, end, took: () => ({ micros: before + micros, rss }) }
}

/** Compares what the devices handed over with what central's database has. */
const countAt = (directory: string, { digests }: Handed) =>
  Effect.gen(function* () {
    const settings = yield* readCentral(directory)
    const here = new Set<string>()
    let rows = 0
    yield* Effect.gen(function* () {
      const records = yield* Records
      const filter = {
        kind: "result",
        stages: ["stored"],
        delivery: undefined,
        organisation: undefined,
        device: undefined
      } as const
      yield* Stream.runForEach(records.list(filter), ({ device, entry }) =>
        Effect.sync(() => {
          rows += 1
          here.add(`${device} ${entry.sha256}`)
        })
      )
    }).pipe(Effect.provide(layerCentral(directory, settings)))
    const sent = [...digests].flatMap(([device, all]) =>
      [...all].map((digest: Digest) => `${device} ${digest}`)
    )
    const lost = sent.filter((one) => !here.has(one)).length
    return { lost, doubled: rows - (sent.length - lost) }
  })

const freePort = async (): Promise<number> => {
  const server = createServer()
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, "127.0.0.1", resolve)
  await promise
  const address = server.address()
  server.close()
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)

const startCluster = async () => {
  const { startPostgres } = await import("../test/support/postgres-cluster.ts")
  return startPostgres()
}

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    records: { type: "string", default: "20000" },
    devices: { type: "string", default: "200" },
    size: { type: "string", default: "40000" },
    batch: { type: "string", default: "10" },
    lost: { type: "string", default: "5" },
    kills: { type: "string", default: "2" },
    database: { type: "string" }
  }
})
const whole = (name: Exclude<keyof typeof values, "database">): number => {
  const value = Number(values[name])
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} takes a whole number`)
  return value
}
const sizes: Sizes = {
  records: whole("records"),
  devices: whole("devices"),
  size: whole("size"),
  batch: whole("batch"),
  lost: whole("lost"),
  kills: whole("kills")
}
const facts = machine()
console.log(
  `${facts.cores} cores (${facts.processor}), Node ${facts.node}, load ${facts.loadAtStart[0]}`
)
for (const database of ["PostgreSQL", "embedded"] as const) {
  if (values.database === undefined || values.database === database) await measure(database, sizes)
}
