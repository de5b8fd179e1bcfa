/**
 * Makes a contender of a module with two sides: central and the device each run in a child process,
 * as they would in life, and talk over loopback. The harness only hands out work and reads counters.
 */
import { type ChildProcess, fork } from "node:child_process"
import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Schema } from "effect"
import type { Body } from "./bodies.ts"
import { Answer, type Call, Holds, Offers, Opened, Synced, Traffic } from "./calls.ts"
import type { Contender, Measure } from "./harness.ts"
import { between } from "./traffic.ts"

/** A call that takes longer is stuck: the slowest peer needs some 20 s for its slowest one. */
const CALL_MILLIS = 600_000
/** How long a child may take to end by itself. */
const STOP_MILLIS = 10_000
/** Entities in one message, about a megabyte. */
const PUT_BATCH = 1_000
/** A synchronisation without changes takes milliseconds: so many, and their median. */
const NO_CHANGE_TIMES = 20

/** A contender whose module, at `module`, exports the `Sides` of `calls.ts`. */
export const twoProcesses = (name: string, module: URL): Contender => {
  let running: Running | undefined
  const now = () => {
    if (running === undefined) throw new Error(`${name} is not prepared`)
    return running
  }
  return {
    name,
    prepare: async (bodies) => {
      running = await start(module)
      await open(running)
      await putAll(running.central, bodies)
    },
    first: () => sync(now(), 1),
    noChange: () => sync(now(), NO_CHANGE_TIMES),
    delta: async ({ put, remove }) => {
      await putAll(now().central, put)
      await now().central.call({ verb: "remove", ids: remove })
      return sync(now(), 1)
    },
    holds: async () => decodeHolds(await now().device.call({ verb: "holds" })),
    offers: async () => decodeOffers(await now().central.call({ verb: "offers" })),
    close: async () => {
      if (running === undefined) return
      const { central, device, directory } = running
      running = undefined
      await device.stop()
      await central.stop()
      await rm(directory, { recursive: true, force: true })
    }
  }
}

interface Running {
  readonly directory: string
  readonly central: Child
  readonly device: Child
}

const start = async (module: URL): Promise<Running> => {
  const directory = await mkdtemp(join(tmpdir(), "testferry-bench-"))
  await mkdir(join(directory, "central"))
  await mkdir(join(directory, "device"))
  return { directory, central: child("central", module), device: child("device", module) }
}

const open = async ({ directory, central, device }: Running) => {
  const url = await openCentral(central, join(directory, "central"), null)
  const place = { directory: join(directory, "device"), url, postgres: null, organisation: "bench" }
  await device.call({ verb: "open", place })
}

const sync = async ({ central, device }: Running, times: number): Promise<Measure> => {
  const before = await traffic(central)
  const synced = decodeSynced(await device.call({ verb: "sync", times }))
  const after = await traffic(central)
  const { bytes, requests } = between(before, after)
  return { ...synced, bytes: bytes / times, requests: requests / times }
}

/** What a central has served so far. */
export const traffic = async (central: Child) =>
  decodeTraffic(await central.call({ verb: "traffic" }))

/** Opens the central side in a child; answers where it can be reached. */
export const openCentral = async (central: Child, directory: string, postgres: string | null) =>
  decodeOpened(
    await central.call({
      verb: "open",
      place: { directory, url: "", postgres, organisation: "bench" }
    })
  ).url

/** Hands central the entities in messages of a bounded size. */
export const putAll = async (central: Child, bodies: Iterable<Body>) => {
  let entities: Array<Body> = []
  for (const body of bodies) {
    entities.push(body)
    if (entities.length < PUT_BATCH) continue
    await central.call({ verb: "put", entities })
    entities = []
  }
  await central.call({ verb: "put", entities })
}

/** A child process that answers one call at a time. */
export interface Child {
  call(call: Call): Promise<unknown>
  stop(): Promise<void>
}

export const child = (side: "central" | "device" | "crowd", module: URL): Child => {
  const process = fork(new URL("child.ts", import.meta.url), [side, module.href], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", "ignore", "inherit", "ipc"]
  })
  return {
    call: (call) => ask(process, side, call),
    stop: async () => {
      if (process.exitCode !== null || process.signalCode !== null) return
      const ended = new Promise<void>((resolve) => process.once("exit", () => resolve()))
      const late = setTimeout(() => process.kill("SIGKILL"), STOP_MILLIS)
      await ask(process, side, { verb: "close" }).catch(() => undefined)
      if (process.connected) process.disconnect()
      await ended
      clearTimeout(late)
    }
  }
}

const ask = (process: ChildProcess, side: string, call: Call): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      end()
      process.kill("SIGKILL")
      reject(new Error(`${side} gave no answer to "${call.verb}" for ${CALL_MILLIS / 1_000} s`))
    }, CALL_MILLIS)
    const answered = (message: unknown) => {
      end()
      const answer = decodeAnswer(message)
      if ("failure" in answer) reject(new Error(`${side}, ${call.verb}: ${answer.failure}`))
      else resolve(answer.value)
    }
    const exited = (code: number | null) => {
      end()
      reject(new Error(`${side} ended during "${call.verb}", exit code ${code}`))
    }
    const end = () => {
      clearTimeout(late)
      process.off("message", answered)
      process.off("exit", exited)
    }
    process.on("message", answered)
    process.on("exit", exited)
    process.send(call, (error) => {
      if (error === null) return
      end()
      reject(error)
    })
  })

const decodeAnswer = Schema.decodeUnknownSync(Answer)
const decodeOpened = Schema.decodeUnknownSync(Opened)
const decodeTraffic = Schema.decodeUnknownSync(Traffic)
const decodeSynced = Schema.decodeUnknownSync(Synced)
const decodeOffers = Schema.decodeUnknownSync(Offers)
const decodeHolds = Schema.decodeUnknownSync(Holds)
