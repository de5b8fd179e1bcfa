/** Bundles of format 1 that were made once: they are taken in for ever. */
import fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Option, Result, Schema } from "effect"
import { Devices } from "../application/bundle-ports.ts"
import { importBundle } from "../application/import-bundle.ts"
import { Clients, DeviceIdentity } from "../application/ports.ts"
import { receiveBundles } from "../application/receive-bundle.ts"
import { DeviceId } from "../domain/id.ts"
import { carry, openLine } from "./support/carrier.ts"
import { GIVEN } from "./support/courier.ts"
import { handClock } from "./support/dice.ts"
import { Expected, GOLDEN, held, MADE_MILLIS } from "./support/golden.ts"
import * as Observe from "./support/observe.ts"
import { openCentral, openDevice, scratch } from "./support/site.ts"

const expected = Schema.decodeUnknownSync(Schema.fromJsonString(Expected))(
  fs.readFileSync(join(GOLDEN, "expected.json"), "utf8")
)
const DAY = 24 * 3_600_000

/** A data directory with the keys of then, and copies of the sticks. */
const prepared = Effect.fnUntraced(function* (keys: string) {
  const root = yield* scratch(tmpdir())
  const folder = join(root, "keys")
  fs.cpSync(join(GOLDEN, keys), folder, { recursive: true })
  fs.chmodSync(folder, 0o700)
  for (const name of fs.readdirSync(folder)) fs.chmodSync(join(folder, name), 0o600)
  const stick = (name: string) => {
    fs.cpSync(join(GOLDEN, name), join(root, name), { recursive: true })
    return join(root, name)
  }
  return { root, stick }
})

const then = Effect.provideService(Clock.Clock, handClock(MADE_MILLIS + DAY))

describe("golden bundles of format 1", () => {
  it.live("are imported: everything, and then the changes", () =>
    Effect.gen(function* () {
      const { root, stick } = yield* prepared("test-only-device-keys")
      const nobody = yield* openCentral(yield* scratch(tmpdir()))
      const device = yield* openDevice(root, carry(nobody, openLine()))
      yield* device.run(
        Effect.flatMap(DeviceIdentity, (identity) => identity.accept(expected.enrolment))
      )
      const full = yield* device.run(importBundle(stick("full"), GIVEN))
      assert.deepInclude(full, { applied: true, receiptWritten: true })
      assert.deepStrictEqual(yield* device.run(held), expected.full)
      const delta = yield* device.run(importBundle(stick("delta"), GIVEN))
      assert.deepInclude(delta, { applied: true, receiptWritten: true })
      assert.strictEqual(delta.bundle?.manifest.mode, "delta")
      assert.deepStrictEqual(yield* device.run(held), expected.delta)
      Observe.assertResolves(yield* device.run(Observe.heldRows))
    }).pipe(then)
  )

  it.live("are received: a device's report", () =>
    Effect.gen(function* () {
      const { root, stick } = yield* prepared("test-only-central-keys")
      const central = yield* openCentral(root)
      yield* central.run(Effect.flatMap(Clients, (clients) => clients.put(expected.client)))
      const { bundles } = yield* central.run(receiveBundles(stick("homeward")))
      assert.deepStrictEqual(
        bundles.map(({ result }) => result),
        [Result.succeed({ status: "received" as const })]
      )
      const report = yield* central.run(
        Effect.flatMap(Devices, (devices) => devices.report(DeviceId.make(expected.client.id)))
      )
      assert.deepStrictEqual(
        Option.getOrThrow(report).cursors.map((one) => `${one.organisation} ${one.version}`),
        expected.report
      )
    }).pipe(then)
  )
})
