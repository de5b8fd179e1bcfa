/** Makes a data directory once per test run, whichever test file needs it first, and copies it. */
import fs from "node:fs"
import { basename, join } from "node:path"
import { Effect, Schedule } from "effect"
import { inject } from "vitest"
import { lock } from "../../infrastructure/process-lock.ts"
import { freshFolder } from "./database.ts"

/** A copy of the directory `name`, which goes with the scope; `make` fills the original. */
export const copyOf = Effect.fnUntraced(function* <E, R>(
  name: string,
  make: (directory: string) => Effect.Effect<unknown, E, R>
) {
  const original = join(inject("runFolder"), name)
  yield* Effect.scoped(once(original, make))
  const copy = join(yield* freshFolder(), name)
  yield* Effect.sync(() => {
    fs.cpSync(original, copy, { recursive: true })
    // A copied folder is open to others, which a folder of keys must not be.
    for (const folder of fs.readdirSync(copy, { recursive: true, encoding: "utf8" })) {
      if (basename(folder) === "keys") fs.chmodSync(join(copy, folder), 0o700)
    }
  })
  return copy
})

const once = Effect.fnUntraced(function* <E, R>(
  original: string,
  make: (directory: string) => Effect.Effect<unknown, E, R>
) {
  yield* lock(`${original}.lock`).pipe(Effect.retry(Schedule.spaced("50 millis")), Effect.orDie)
  if (fs.existsSync(original)) return
  const aside = `${original}.partial`
  fs.rmSync(aside, { recursive: true, force: true })
  fs.mkdirSync(aside, { mode: 0o700 })
  yield* make(aside)
  fs.renameSync(aside, original)
})
