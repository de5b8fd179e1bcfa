/**
 * Sits a test on a device's data directory until it is killed or done; the crash tests run it.
 * `saved N` is printed after save N was acknowledged, `finished` after the end was.
 */
import fs from "node:fs"
import { Effect } from "effect"
import { finish } from "../../application/end-session.ts"
import { logIn } from "../../application/log-in.ts"
import { begin, enter, save } from "../../application/sit.ts"
import { EntityId } from "../../domain/id.ts"
import { DEVICE_DEFAULTS } from "../../entrypoints/settings.ts"
import { layerDevice } from "../../entrypoints/wiring.ts"

const SAVES = 4

const sit = Effect.gen(function* () {
  const { visitor } = yield* logIn("ada", "password of ada", ["test-taker"])
  const { execution } = yield* begin(visitor, {
    delivery: EntityId.make("dlv_maths"),
    eligibility: undefined
  })
  yield* enter(visitor, execution)
  for (let seq = 1; seq <= SAVES; seq++) {
    const part = `i${seq % 2}`
    yield* save(visitor, execution, { part, seq, state: "", variables: [answered(part, seq)] })
    fs.writeSync(1, `saved ${seq}\n`)
  }
  yield* finish(visitor, execution)
  fs.writeSync(1, "finished\n")
})

const answered = (item: string, seq: number) => ({
  item,
  position: 1,
  attempt: 1,
  variables: [
    {
      kind: "response" as const,
      identifier: "RESPONSE",
      cardinality: "single" as const,
      baseType: "string" as const,
      values: [{ value: `answer ${seq}` }],
      at: 0
    }
  ]
})

const [directory = ""] = process.argv.slice(2)
await Effect.runPromise(Effect.provide(sit, layerDevice(directory, DEVICE_DEFAULTS)))
