/**
 * Runs many devices in one process, all at once, and says what became of each. A device that fails
 * or comes too late is an outcome, not an end of the run.
 */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import type { Call, Device, Outcome, Sides } from "./calls.ts"

const devices = new Map<number, Device>()

/** Opens devices `from` to `from + count - 1`, each in a directory of its own. */
export const openCrowd = async (
  sides: Sides,
  { place, organisations, from, count }: Extract<Call, { readonly verb: "openMany" }>
) => {
  for (let number = from; number < from + count; number++) {
    const directory = join(place.directory, `device-${number}`)
    const organisation = organisations[number % organisations.length] ?? place.organisation
    await mkdir(directory, { recursive: true })
    devices.set(number, await sides.openDevice({ ...place, directory, organisation }))
  }
}

/** Synchronises all of them at once; none is waited for longer than `seconds`. */
export const syncCrowd = (seconds: number): Promise<ReadonlyArray<Outcome>> =>
  Promise.all(Array.from(devices, ([number, device]) => outcome(number, device, seconds)))

export const closeCrowd = async () => {
  for (const device of devices.values()) await device.close()
  devices.clear()
}

const outcome = async (number: number, device: Device, seconds: number): Promise<Outcome> => {
  const start = performance.now()
  const done = (entities: number, failure: string | null) => ({
    device: number,
    seconds: (performance.now() - start) / 1_000,
    entities,
    failure
  })
  const late = Promise.withResolvers<Outcome>()
  const timer = setTimeout(() => late.resolve(done(0, "too late")), seconds * 1_000)
  const synced = device.sync().then(
    (entities) => done(entities, null),
    (error: unknown) => done(0, String(error))
  )
  try {
    return await Promise.race([synced, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
