import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Option } from "effect"
import { report } from "../application/progress.ts"
import { Refused } from "../application/refused.ts"
import * as ManagerRuns from "../entrypoints/manager-runs.ts"
import { freshFolder } from "./support/database.ts"

const REFUSED = new Refused({
  code: "E_CENTRAL_UNREACHABLE",
  what: "Nothing was fetched.",
  why: "Central can't be reached.",
  todo: "Try again."
})
const OPTIONS = { dryRun: false }

/** Does something with runs of their own, which end with it. */
const withRuns = <A, E, R>(
  use: (runs: (typeof ManagerRuns.Runs)["Service"], directory: string) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const directory = yield* freshFolder()
    const built = yield* Layer.build(ManagerRuns.layer(directory, "1.2.3"))
    const runs = yield* Effect.provideContext(ManagerRuns.Runs, built)
    return yield* use(runs, directory)
  })

const viewOf = (runs: (typeof ManagerRuns.Runs)["Service"]) =>
  Effect.map(runs.now, Option.getOrThrow)

describe("runs that a page starts", () => {
  it.live("let nobody start a second one, and show the first to whoever looks", () =>
    withRuns((runs) =>
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        const work = Deferred.await(go).pipe(Effect.as({ fetched: 3 }))
        const started = yield* runs.start("sync", OPTIONS, work)
        assert.strictEqual(started.state, "running")
        const second = yield* Effect.flip(runs.start("save", OPTIONS, Effect.succeed(null)))
        assert.strictEqual(second._tag, "RunBusy")
        assert.strictEqual((yield* viewOf(runs)).id, started.id)
        yield* Deferred.succeed(go, undefined)
        yield* runs.idle
        const ended = yield* viewOf(runs)
        assert.deepInclude(ended, { id: started.id, state: "done", refused: null })
        assert.deepStrictEqual(ended.report, { fetched: 3 })
        assert.strictEqual(ended.support, `${started.id}-DONE`)
        yield* runs.start("save", OPTIONS, Effect.succeed(null))
        yield* runs.idle
        assert.strictEqual((yield* viewOf(runs)).kind, "save")
      })
    )
  )

  it.live(
    "are stopped only where they let themselves be, and have stopped when cancel is over",
    () =>
      withRuns((runs) =>
        Effect.gen(function* () {
          const begun = yield* Deferred.make<void>()
          let undone = 0
          const work = Deferred.succeed(begun, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() =>
              Effect.andThen(
                Effect.sleep("20 millis"),
                Effect.sync(() => {
                  undone += 1
                })
              )
            ),
            Effect.as(null)
          )
          yield* runs.start("sync", OPTIONS, work)
          yield* Deferred.await(begun)
          yield* runs.cancel
          assert.strictEqual(undone, 1)
          assert.deepInclude(yield* viewOf(runs), { state: "cancelled", refused: null })
          yield* runs.cancel
          yield* runs.start("sync", OPTIONS, Effect.succeed(null))
          yield* runs.idle
          assert.strictEqual((yield* viewOf(runs)).state, "done")
        })
      )
  )

  it.live("tell a refusal with its code, and a crash as a refusal whose trace is in the log", () =>
    withRuns((runs, directory) =>
      Effect.gen(function* () {
        yield* runs.start("sync", OPTIONS, Effect.fail(REFUSED))
        yield* runs.idle
        const refused = yield* viewOf(runs)
        assert.deepInclude(refused, { state: "refused", report: null })
        assert.strictEqual(refused.refused?.code, REFUSED.code)
        assert.strictEqual(refused.support, `${refused.id}-${REFUSED.code}`)
        yield* runs.start("load", OPTIONS, Effect.die(new Error("a hole in the program")))
        yield* runs.idle
        const crashed = yield* viewOf(runs)
        assert.deepInclude(crashed, { state: "refused", kind: "load" })
        assert.strictEqual(crashed.refused?.code, "E_UNEXPECTED")
        assert.notInclude(JSON.stringify(crashed), "a hole in the program")
        const log = fs.readFileSync(path.join(directory, "crash.log"), "utf8")
        assert.include(log, "a hole in the program")
      })
    )
  )

  it.live("keep one bar per kind of work, in the order in which they began", () =>
    withRuns((runs) =>
      Effect.gen(function* () {
        const event = { phase: "running" as const, done: 1, total: 4 }
        const work = Effect.as(
          Effect.andThen(
            report({ ...event, kind: "entities", label: "Fetching people" }),
            report({ ...event, kind: "contents", label: "Fetching tests", done: 4 })
          ),
          null
        )
        yield* runs.start("sync", OPTIONS, work)
        yield* runs.idle
        const { bars } = yield* viewOf(runs)
        assert.deepStrictEqual(
          bars.map(({ done, kind, total }) => [kind, done, total]),
          [
            ["entities", 1, 4],
            ["contents", 4, 4]
          ]
        )
      })
    )
  )

  it.live("end with the server", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      let stopped = false
      const work = Deferred.succeed(begun, undefined).pipe(
        Effect.andThen(Effect.never),
        Effect.onInterrupt(() =>
          Effect.sync(() => {
            stopped = true
          })
        )
      )
      yield* Effect.scoped(
        withRuns((runs) => Effect.andThen(runs.start("sync", OPTIONS, work), Deferred.await(begun)))
      )
      assert.isTrue(stopped)
    })
  )
})
