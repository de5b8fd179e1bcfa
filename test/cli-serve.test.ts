/** A device that runs by itself: it owns its directory, and commands work through it. */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { DEMO, done, refused, report, school, serve, start } from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = 240_000

describe("a device that is served", () => {
  it.live(
    "synchronises by itself, does what commands ask it to, and may be killed",
    () =>
      Effect.gen(function* () {
        const central = yield* school()
        const { device } = central
        yield* serve(central)
        const served = yield* start(device, [
          "device",
          "serve",
          "--port",
          "0",
          "--sync-every",
          "1 hour"
        ])
        yield* served.says("Device Room 12 is ready")
        yield* done(device, "status").pipe(
          Effect.repeat({
            until: (status) => status.includes("Test contents: 3 of 3 here"),
            schedule: Schedule.spaced("200 millis")
          })
        )
        yield* refused(device, "E_DATA_BUSY", ["device", "serve"])
        const revised = join(DEMO, "packages", "fractions-revised-qti22.zip")
        yield* done(central.data, "central", "publish", revised, "--id", "fractions")
        const synced = yield* report(device, "sync")
        assert.nestedPropertyVal(synced, "counts.delivery.updated", 1)
        assert.nestedPropertyVal(synced, "contents.fetched", 1)
        const login = "amelie.garnier"
        const open = ["device", "open", "--login", login, "--password-file"]
        const opened = yield* done(device, ...open, central.passwordFile(login))
        assert.match(opened, /^Les fractions.* opened: \d+ files/mu)
        yield* refused(device, "E_LOGIN", [...open, central.passwordFile("hugo.perrin")])

        served.process.kill("SIGKILL")
        yield* served.ended
        const left = join(device, "control.sock")
        assert.isTrue(fs.existsSync(left) || fs.existsSync(join(device, "control.path")))
        assert.include(yield* done(device, "sync"), "Nothing new.")
        const anew = yield* start(device, ["device", "serve", "--port", "0"])
        yield* anew.says("Device Room 12 is ready")
        assert.include(yield* done(device, "sync"), "Nothing new.")
        anew.process.kill("SIGTERM")
        assert.strictEqual((yield* anew.ended).status, 130)
        assert.isFalse(fs.existsSync(left))
        const history = yield* done(device, "history")
        assert.match(
          history,
          /^[^\n]+\n[^\n]+\n.* sync +dev_\w+ +done .*\n.* sync +dev_\w+ +done /u
        )
      }),
    LONG
  )
})
