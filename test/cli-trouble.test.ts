/** What commands say when the world does not do its part: lines, clocks, disks, impatient people. */
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { heldLine } from "./support/held-line.ts"
import {
  DEMO,
  done,
  json,
  office,
  refused,
  report,
  school,
  serve,
  start
} from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = 240_000

const DAY_MILLIS = 86_400_000

/** Loads a file before the program. */
const before = (file: string, env: Readonly<Record<string, string>>) => ({
  env: {
    ...env,
    NODE_OPTIONS: `--import ${pathToFileURL(join(import.meta.dirname, "support", file)).href}`
  }
})
const disk = (bytes: number, free: number) =>
  before("full-disk.ts", { DISK_BYTES: String(bytes), DISK_FREE: String(free) })
const PLENTY = 1e12

describe.concurrent("trouble", () => {
  it.live(
    "is told in words, and the next synchronisation goes on where the last one stopped",
    () =>
      Effect.gen(function* () {
        const line = yield* heldLine
        const central = yield* school(line.url)
        const { device } = central
        const server = yield* serve(central)
        line.lead(central.port)

        for (const [shift, way] of [
          [DAY_MILLIS, "fast"],
          [-DAY_MILLIS, "slow"]
        ] as const) {
          const wrong = before("shift-clock.ts", { SHIFT_MILLIS: String(shift) })
          const clock = yield* refused(device, "E_CLOCK_WRONG", ["sync"], wrong)
          assert.include(clock.stderr, `clock is 1440 minutes ${way}`)
          assert.include(clock.stderr, "Set this device's clock")
        }

        // In the middle of the contents: the data is a tenth of it.
        const reached = yield* line.hold(300_000)
        const sync = yield* start(device, ["sync", "--json"])
        yield* reached
        sync.process.kill("SIGINT")
        const stopped = yield* sync.ended
        assert.strictEqual(stopped.status, 130)
        assert.match(stopped.stdout, /^\{"refused":\{"code":"E_INTERRUPTED".*\}\n$/u)
        assert.include(stopped.stderr, "nothing is half done")
        line.release()

        const full = yield* refused(device, "E_DISK_FULL", ["sync"], disk(0, PLENTY))
        assert.include(full.stderr, "Free some space")
        const tight = yield* json(device, ["sync"], disk(PLENTY, 1_000))
        assert.deepStrictEqual([tight.status, tight.json.outcome], [3, "incomplete"])
        assert.include(JSON.stringify(tight.json.contents), '"E_NO_SPACE"')

        assert.include(yield* done(device, "sync"), "Everything is up to date.")
        assert.include(yield* done(device, "status"), "Test contents: 3 of 3 here")

        server.process.kill("SIGKILL")
        yield* server.ended
        const away = yield* refused(device, "E_CENTRAL_INTERRUPTED", ["sync"])
        assert.include(away.stderr, "Try again.")
      }),
    LONG
  )

  it.live(
    "leaves central as it was when its disk is full",
    () =>
      Effect.gen(function* () {
        const { data } = yield* office()
        const publish = ["central", "publish", join(DEMO, "packages", "rivers-qti30.zip")]
        const history = yield* report(data, "history")
        // Enough to open the database, too little for the package.
        const full = yield* refused(data, "E_NO_SPACE", publish, disk(150_000, PLENTY))
        assert.include(full.stderr, "Make room on the disk")
        const after = yield* report(data, "history")
        assert.deepStrictEqual(after.entries, history.entries)
        yield* done(data, ...publish)
      }),
    LONG
  )
})
