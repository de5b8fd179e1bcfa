/**
 * Runs one side of a contender in a process of its own and answers the harness's calls, one at a
 * time. It ends when the harness closes it or goes away.
 */
import { Schema } from "effect"
import { Call, type Central, type Device, type Sides } from "./calls.ts"
import { closeCrowd, openCrowd, syncCrowd } from "./crowd.ts"
import { holdingOf, median } from "./harness.ts"
import { peakRss } from "./memory.ts"
import { countTraffic } from "./traffic.ts"

const traffic = countTraffic()
const decode = Schema.decodeUnknownSync(Call)

const [side, module] = process.argv.slice(2)
if (module === undefined) throw new Error("usage: child.ts central|device|crowd MODULE")
const sides: Sides = await import(module)

let central: Central | undefined
let device: Device | undefined

const answer = async (call: Call): Promise<unknown> => {
  switch (call.verb) {
    case "open":
      if (side === "central") central = await sides.openCentral(call.place)
      else device = await sides.openDevice(call.place)
      return { url: central?.url ?? "" }
    case "put":
      return central?.put(call.entities)
    case "remove":
      return central?.remove(call.ids)
    case "traffic":
      return { ...traffic(), peakRss: peakRss() }
    case "offers":
      return central?.entities === undefined ? null : holdingOf(await central.entities())
    case "sync":
      return sync(opened(device), call.times)
    case "holds":
      return holdingOf(await opened(device).entities())
    case "openMany":
      return openCrowd(sides, call)
    case "syncMany":
      return { outcomes: await syncCrowd(call.seconds), peakRss: peakRss() }
    case "close":
      await closeCrowd()
      await device?.close()
      await central?.close()
      return null
  }
}

/** Synchronises so many times; answers the median time, and the entities of all together. */
const sync = async (device: Device, times: number) => {
  const seconds: Array<number> = []
  let entities = 0
  for (let time = 0; time < times; time++) {
    const start = performance.now()
    entities += await device.sync()
    seconds.push((performance.now() - start) / 1_000)
  }
  return { seconds: median(seconds), entities, peakRss: peakRss() }
}

const opened = (device: Device | undefined): Device => {
  if (device === undefined) throw new Error("the device is not open")
  return device
}

process.on("disconnect", () => process.exit(0))
process.on("message", (message) => {
  const call = decode(message)
  answer(call).then(
    (value) => process.send?.({ value: value ?? null }),
    (error: unknown) => process.send?.({ failure: String(error) })
  )
})
