/**
 * Sits a test on a device's data directory until it is killed or done; the crash tests run it.
 * `saved N` is printed after save N was acknowledged, `finished` after the end was.
 */
import fs from "node:fs"
import { Effect } from "effect"
import { finish } from "../../application/end-session.ts"
import { save } from "../../application/sit.ts"
import { DEVICE_DEFAULTS } from "../../entrypoints/settings.ts"
import { layerDevice } from "../../entrypoints/wiring.ts"
import { answer, sitting } from "./exam.ts"

const SAVES = 4

const sit = Effect.gen(function* () {
  const { execution, visitor } = yield* sitting("ada")
  for (let seq = 1; seq <= SAVES; seq++) {
    const part = `i${seq % 2}`
    yield* save(visitor, execution, { part, seq, ...answer(part, `answer ${seq}`) })
    fs.writeSync(1, `saved ${seq}\n`)
  }
  yield* finish(visitor, execution)
  fs.writeSync(1, "finished\n")
})

const [directory = ""] = process.argv.slice(2)
await Effect.runPromise(Effect.provide(sit, layerDevice(directory, DEVICE_DEFAULTS)))
