/** Looks at a device before a run: what is wrong with it by itself, and how central answers. */
import { Clock, Effect } from "effect"
import { judge } from "../domain/readiness.ts"
import { PROGRAM_VERSION, support } from "../domain/release.ts"
import { Central } from "./ports.ts"
import { deviceFacts } from "./readiness.ts"

/** The findings of the device itself, as of now. */
export const lookAtDevice = Effect.fn("lookAtDevice")(function* () {
  return judge(yield* deviceFacts, [], yield* Clock.currentTimeMillis).device
})

/**
 * Asks central how it is: whether it still speaks with this program, how long it took, and by how
 * many milliseconds this device's clock is ahead. Fails as any question to central does.
 */
export const lookAtCentral = Effect.fn("lookAtCentral")(function* () {
  const central = yield* Central
  const before = yield* Clock.currentTimeMillis
  const { devices, program, time } = yield* central.capabilities
  const now = yield* Clock.currentTimeMillis
  return {
    program,
    support: support(PROGRAM_VERSION, devices),
    millis: now - before,
    // Half of the way there and back is as near as one question comes.
    ahead: Math.round((before + now) / 2 - time)
  }
})
