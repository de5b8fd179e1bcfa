/**
 * Measures results coming home (W4): `npm run bench -- w4` lets 200 devices hand over sealed results
 * of 40 KB over TLS while answers get lost and central is killed and started again, then counts in
 * its database what is lost and what is doubled: both must be 0. On both databases unless one is
 * named with --database.
 */
import { fork } from "node:child_process"
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
const Ready = Schema.Struct({ certificate: Schema.String, tokens: Schema.Array(Schema.String) })
const decodeReady = Schema.decodeUnknownSync(Ready)

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
    const each = Math.ceil(sizes.records / sizes.devices)
    const total = each * sizes.devices
    let kept = 0
    let kills = 0
    const onKept = (more: number) => {
      kept += more
      if (kills >= sizes.kills || kept < (total * (kills + 1)) / (sizes.kills + 1)) return
      kills += 1
      void central.kill().then(central.start)
    }
    const began = performance.now()
    const handed = await Effect.runPromise(
      handOver(
        { ...sizes, baseUrl: `https://127.0.0.1:${port}`, fingerprint: certificate, tokens, each },
        onKept
      )
    )
    const seconds = (performance.now() - began) / 1_000
    await central.kill()
    const { doubled, lost } = await Effect.runPromise(countAt(join(directory, "central"), handed))
    console.log(
      `W4 ${database}: ${total} results of ${sizes.size} bytes from ${sizes.devices} devices in ` +
        `${seconds.toFixed(1)} s, ${(total / seconds).toFixed(0)} results/s, lost ${lost}, ` +
        `doubled ${doubled} (${handed.again} batches sent again, central killed ${kills} times)`
    )
    if (lost + doubled > 0) process.exitCode = 1
  } finally {
    await central.kill()
    await cluster?.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

const centralProcess = (args: ReadonlyArray<string>) => {
  const program = join(import.meta.dirname, "results-central.ts")
  let child: ReturnType<typeof fork> | undefined
  const kill = async () => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null) return
    const { promise, resolve } = Promise.withResolvers<void>()
    running.once("exit", () => resolve())
    running.kill("SIGKILL")
    await promise
  }
  const start = async () => {
    const { promise, resolve, reject } = Promise.withResolvers<typeof Ready.Type>()
    const timer = setTimeout(() => reject(new Error("central does not start")), READY_MILLIS)
    child = fork(program, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] })
    child.once("message", (message) => resolve(decodeReady(message)))
    child.once("error", reject)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }
  return { start, kill }
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
