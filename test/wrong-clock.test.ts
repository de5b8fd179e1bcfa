import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber } from "effect"
import { LoginTries } from "../application/ports.ts"
import { Digest } from "../domain/id.ts"
import { WAIT_MAX_MILLIS } from "../domain/tries.ts"
import { handClock } from "./support/dice.ts"
import * as Town from "./support/town.ts"

const YEAR = 366 * 24 * 3_600_000

/** A town in which somebody set the clock of the device. */
const clockTown = Effect.gen(function* () {
  const clock = handClock(1_800_000_000_000)
  const town = yield* Town.town
  const on: typeof town.on = (effect) => Effect.provideService(town.on(effect), Clock.Clock, clock)
  return { ...town, on, clock }
})

/** A synchronisation that was killed: what it held on the disk is still there. */
const killed = Effect.fnUntraced(function* ({
  device,
  line,
  on,
  root
}: Effect.Success<typeof clockTown>) {
  line.trouble = { at: 1, what: "silence" }
  const fiber = yield* Effect.forkChild(on(Town.synced()))
  yield* Deferred.await(line.silent)
  device.copyTo(`${root}/killed`)
  yield* Fiber.interrupt(fiber)
  yield* device.reopen(device.restoreFrom(`${root}/killed`))
  line.trouble = undefined
})

describe("a device whose clock is wrong", () => {
  it.live("does not wait for a synchronisation that was killed, wherever the clock was set", () =>
    Effect.gen(function* () {
      const town = yield* clockTown
      yield* killed(town)
      town.clock.move(-YEAR)
      assert.strictEqual((yield* town.on(Town.synced())).outcome, "done")
    })
  )

  it.live("does not lock a person out for longer than the rule says when the clock goes back", () =>
    Effect.gen(function* () {
      const { clock, on } = yield* clockTown
      const tag = Digest.make("0".repeat(64))
      const tries = yield* on(LoginTries)
      const now = on(Clock.currentTimeMillis)
      for (let times = 0; times < 30; times++) yield* tries.failed(tag, yield* now)
      const refused = yield* Effect.flip(tries.admit(tag, yield* now))
      assert.strictEqual(refused.waitMillis, WAIT_MAX_MILLIS)
      clock.move(-YEAR)
      yield* tries.admit(tag, yield* now)
      yield* tries.failed(tag, yield* now)
      assert.strictEqual(
        (yield* Effect.flip(tries.admit(tag, yield* now))).waitMillis,
        WAIT_MAX_MILLIS
      )
    })
  )
})
