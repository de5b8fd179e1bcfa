/**
 * A device whose synchronisation is killed before it makes something durable or visible. Each kill
 * hits a copy of one device in a process of its own; what it leaves is looked at from outside by
 * node:sqlite, and the next synchronisation must come to the same end as one that was never killed.
 *
 * `EVERY_SYNC_POINT=1 vitest run test/crash-pull.test.ts` kills at every point instead of a spread.
 */
import fs from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { syncCommand } from "../entrypoints/device-commands.ts"
import { readDevice } from "../entrypoints/settings.ts"
import { layerDevice, reachByHttps } from "../entrypoints/wiring.ts"
import { freshFolder } from "./support/database.ts"
import { assertContents, filesIn, stateOf } from "./support/device-files.ts"
import { run, school, serve } from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = process.env.EVERY_SYNC_POINT ? 3_600_000 : 240_000
const POINTS_TRIED = 12

const PRELOAD = pathToFileURL(join(import.meta.dirname, "support/kill-at-sync.mjs")).href

const syncKilled = (device: string, env: Readonly<Record<string, string>>) =>
  run(device, ["sync"], { env: { ...env, NODE_OPTIONS: `--import ${PRELOAD}` } })

/** Opens what the killed process left by the program's own wiring, and synchronises. */
const syncHere = Effect.fnUntraced(function* (device: string) {
  const command = syncCommand(reachByHttps(device))
  return yield* command
    .run({ kinds: null, dryRun: false, confirmRemovals: false })
    .pipe(Effect.provide(layerDevice(device, yield* readDevice(device)), { local: true }))
})

describe("a device's synchronisation", () => {
  it.live(
    `killed at ${process.env.EVERY_SYNC_POINT ? "every sync point" : `${POINTS_TRIED} sync points from the first to the last`} leaves the state before or after, and the next ends like central`,
    () =>
      Effect.gen(function* () {
        const central = yield* school()
        yield* serve(central)
        const folder = yield* freshFolder()
        const copyTo = (name: string) => {
          const device = join(folder, name)
          fs.cpSync(central.device, device, { recursive: true })
          fs.chmodSync(join(device, "keys"), 0o700)
          return device
        }
        const before = stateOf(central.device)
        const whole = copyTo("whole")
        const counted = yield* syncKilled(whole, { COUNT_SYNCS: "1" })
        assert.strictEqual(counted.status, 0, counted.stderr)
        const points = Number(/syncs (\d+)/u.exec(counted.stderr)?.[1])
        assert.isAbove(points, POINTS_TRIED)
        const after = stateOf(whole)
        assert.strictEqual(after.staged, '[{"n":0}]')
        assertContents(whole)

        const killedAt = Effect.fnUntraced(function* (n: number) {
          const device = copyTo(String(n))
          const killed = yield* syncKilled(device, { KILL_AT_SYNC: String(n) })
          const state = stateOf(device)
          const isBefore = state.held === before.held && state.cursor === before.cursor
          const isAfter = state.held === after.held && state.cursor === after.cursor
          assert.isTrue(isBefore || isAfter, `killed at ${n}`)
          assertContents(device)
          const next = yield* syncHere(device)
          assert.include(["done", "unchanged"], next.outcome, `killed at ${n}`)
          assert.deepStrictEqual(stateOf(device), after, `killed at ${n}`)
          assert.deepStrictEqual(filesIn(device), filesIn(whole), `killed at ${n}`)
          assertContents(device)
          return killed.status
        })
        const tried = process.env.EVERY_SYNC_POINT
          ? Array.from({ length: points }, (_, i) => i + 1)
          : Array.from({ length: POINTS_TRIED }, (_, i) =>
              Math.round(1 + (i * (points - 1)) / (POINTS_TRIED - 1))
            )
        const ends = yield* Effect.forEach(tried, killedAt, {
          concurrency: availableParallelism()
        })
        assert.deepStrictEqual(
          ends.filter((status) => status !== "SIGKILL"),
          []
        )
        assert.strictEqual(yield* killedAt(points + 10), 0)
      }),
    LONG
  )
})
