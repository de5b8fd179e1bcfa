/** The lock by which one process owns a data directory; crash-database.test.ts kills its holder. */

import fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { own } from "../infrastructure/process-lock.ts"
import { freshFolder } from "./support/database.ts"

describe("the lock on a data directory", () => {
  it.live("lets one owner in at a time, and the next when that is gone", () =>
    Effect.gen(function* () {
      const directory = yield* freshFolder()
      for (let i = 0; i < 2; i++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* own(directory)
            const refused = yield* Effect.flip(Effect.scoped(own(directory)))
            assert.deepInclude(refused, { _tag: "DataDirectoryOwned", directory })
          })
        )
      }
    })
  )

  it.live("is won by exactly one of many that come together", () =>
    Effect.gen(function* () {
      const directory = yield* freshFolder()
      const tries = yield* Effect.forEach(
        Array.from({ length: 5 }),
        () => Effect.exit(own(directory)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(tries.filter(Exit.isSuccess).length, 1)
    })
  )

  it.live("leaves only its file in the directory, and needs the directory", () =>
    Effect.gen(function* () {
      const directory = yield* freshFolder()
      yield* Effect.scoped(own(directory))
      assert.deepStrictEqual(fs.readdirSync(directory), ["lock"])
      const missing = yield* Effect.exit(Effect.scoped(own(`${directory}/missing`)))
      assert.isTrue(Exit.hasDies(missing))
    })
  )
})
