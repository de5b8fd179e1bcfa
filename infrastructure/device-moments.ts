/** Reads both clocks of a machine: the wall, which people set, and the one since it was started. */
import { randomUUID } from "node:crypto"
import fs from "node:fs"
import { Clock, Effect, Layer } from "effect"
import { Moments } from "../application/session-ports.ts"

const BOOT_ID = "/proc/sys/kernel/random/boot_id"
const NANOS_PER_MILLI = 1_000_000n

export const layer = Layer.sync(Moments, () => {
  const boot = bootId()
  return Moments.of({
    now: Effect.map(Clock.currentTimeMillis, (wall) => ({
      wall,
      mono: Number(process.hrtime.bigint() / NANOS_PER_MILLI),
      boot
    }))
  })
})

/** Where the system does not tell its boots apart, each process is its own. */
const bootId = (): string => {
  try {
    return fs.readFileSync(BOOT_ID, "utf8").trim()
  } catch {
    return randomUUID()
  }
}
