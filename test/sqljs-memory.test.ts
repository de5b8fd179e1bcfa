import { join } from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { openFile } from "../infrastructure/sqljs-files.ts"
import { freshFolder } from "./support/database.ts"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/** An instance of sql.js takes 16 MB at once. */
const INSTANCE_BYTES = 16 * 1024 * 1024

describe("a closed database", () => {
  it.live("gives its memory back", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      const outside = Effect.promise(async () => {
        // Finalizers of WebAssembly memories run after the collection that finds them.
        for (let times = 0; times < 3; times++) {
          await new Promise((resolve) => setImmediate(resolve))
          collect()
        }
        return process.memoryUsage().external
      })
      const openAndClose = (name: string) =>
        Effect.promise(async () => {
          const opened = await openFile(join(folder, name))
          opened.database.run("CREATE TABLE t (x)")
          opened.close()
        })
      yield* openAndClose("first.db")
      const before = yield* outside
      for (let at = 0; at < 12; at++) yield* openAndClose(`${at}.db`)
      assert.isBelow((yield* outside) - before, 3 * INSTANCE_BYTES)
    })
  )
})
