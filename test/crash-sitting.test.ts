/**
 * A device that is killed while a test-taker sits. Each kill hits a copy of one device in a process
 * of its own; then the device is opened again, and the test-taker goes on: nothing that was
 * acknowledged is missing, and a session is either open with its key or sealed without.
 *
 * `EVERY_SYNC_POINT=1 vitest run test/crash-sitting.test.ts` kills at every point instead of a spread.
 */
import fs from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schedule } from "effect"
import { inject } from "vitest"
import { finish } from "../application/end-session.ts"
import { Outbox } from "../application/record-ports.ts"
import { Sessions } from "../application/session-ports.ts"
import { enter, saved } from "../application/sit.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { DEVICE_DEFAULTS } from "../entrypoints/settings.ts"
import { layerDevice } from "../entrypoints/wiring.ts"
import { runCli } from "./support/cli.ts"
import { exam, openResult, type ResultsKeys, visitorOf } from "./support/exam.ts"
import * as Observe from "./support/observe.ts"

/** Processes of a busy machine take their time. */
const LONG = process.env.EVERY_SYNC_POINT ? 3_600_000 : 240_000
const POINTS_TRIED = 6
const PRELOAD = pathToFileURL(join(import.meta.dirname, "support/kill-at-sync.mjs")).href
const CHILD = join(import.meta.dirname, "support/crash-sitting-child.ts")

const sitKilled = (device: string, env: Readonly<Record<string, string>>) =>
  runCli(CHILD, [device], {
    env: {
      ...env,
      NODE_OPTIONS: `--import ${PRELOAD}`,
      NODE_COMPILE_CACHE: join(inject("runFolder"), "compiled")
    }
  })

/** What the killed process left, by the program's own wiring; then the test-taker comes back. */
const goOn = Effect.fnUntraced(function* (keys: ResultsKeys, stdout: string) {
  const sessions = yield* Sessions
  const outbox = yield* Outbox
  assert.deepStrictEqual(yield* Observe.integrity, [])
  const acknowledged = stdout.match(/saved \d/gu)?.length ?? 0
  // A login counts as a wrong one until it is known to be right: killed between, it costs a second.
  const ada = yield* Effect.retry(visitorOf("ada"), {
    while: (error) => error._tag === "TooManyTries",
    schedule: Schedule.spaced("300 millis")
  })
  const [session, ...more] = yield* sessions.list({ testTaker: ada.person })
  assert.lengthOf(more, 0)
  const records = outbox.owed({ after: 0, limit: 9, kinds: undefined, ends: SENT_BY_DEFAULT })
  if (session === undefined) {
    assert.deepStrictEqual([acknowledged, yield* records], [0, []])
    return "not begun"
  }
  const { execution } = session
  const wasEnded = session.stage === "finished"
  assert.isTrue(wasEnded || !stdout.includes("finished"))
  if (!wasEnded) {
    assert.deepStrictEqual(yield* records, [])
    assert.isTrue(Option.isSome(yield* sessions.keyBox(execution)))
    yield* enter(ada, execution)
    const seqs = (yield* saved(ada, execution)).map(({ seq }) => seq)
    assert.isAtLeast(Math.max(0, ...seqs), acknowledged)
    yield* finish(ada, execution)
  }
  assert.isTrue(Option.isNone(yield* sessions.keyBox(execution)))
  assert.deepStrictEqual(yield* sessions.saves(execution), [])
  assert.deepStrictEqual(
    (yield* records).map(({ entry }) => entry.kind),
    ["result", "test-session", "result-log"]
  )
  const { document } = yield* openResult(keys.active, (yield* records)[0]?.body ?? "")
  const answers = document.variables.map(({ variables }) => variables[0]?.values?.[0]?.value ?? "")
  const last = Math.max(0, ...answers.map((text) => Number(text.slice(-1))))
  assert.isAtLeast(last, acknowledged)
  return wasEnded ? "ended" : "open"
})

describe("a device on which somebody sits", () => {
  it.live(
    `killed at ${process.env.EVERY_SYNC_POINT ? "every sync point" : `${POINTS_TRIED} sync points`} loses nothing that it acknowledged, and seals it all the same`,
    () =>
      Effect.gen(function* () {
        const { device, keys, root } = yield* exam
        const copyTo = (name: string) => {
          const copy = join(root, name)
          fs.cpSync(join(root, "closed"), copy, { recursive: true })
          fs.chmodSync(join(copy, "keys"), 0o700)
          return copy
        }
        yield* device.reopen(
          Effect.sync(() => fs.cpSync(device.directory, join(root, "closed"), { recursive: true }))
        )
        const counted = yield* sitKilled(copyTo("whole"), { COUNT_SYNCS: "1" })
        assert.strictEqual(counted.status, 0, counted.stderr)
        assert.include(counted.stdout, "finished")
        const points = Number(/syncs (\d+)/u.exec(counted.stderr)?.[1])
        const tried = process.env.EVERY_SYNC_POINT
          ? Array.from({ length: points }, (_, i) => i + 1)
          : Array.from(
              { length: POINTS_TRIED },
              (_, i) => points - i * Math.floor(points / POINTS_TRIED)
            )
        const ends = yield* Effect.forEach(
          tried,
          Effect.fnUntraced(function* (n) {
            const copy = copyTo(String(n))
            const killed = yield* sitKilled(copy, { KILL_AT_SYNC: String(n) })
            assert.strictEqual(killed.status, "SIGKILL", killed.stderr)
            return yield* goOn(keys, killed.stdout).pipe(
              Effect.provide(layerDevice(copy, DEVICE_DEFAULTS), { local: true })
            )
          }),
          { concurrency: 2 }
        )
        assert.include(ends, "open")
      }),
    LONG
  )
})
