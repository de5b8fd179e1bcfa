/**
 * The way home of results, with a process killed on it before it makes something durable or visible:
 * the device that sends, the central that receives, the office that opens. Each kill hits copies of
 * one school's data directories, in processes of their own; then all of them start again. Every
 * result must be at central once, with the bytes that were sealed, and be opened once; and at no
 * moment has the device forgotten what central does not have.
 *
 * `EVERY_SYNC_POINT=1 vitest run test/crash-home.test.ts` kills at every point instead of a spread.
 */
import fs from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { syncCommand } from "../entrypoints/device-commands.ts"
import { resultsCompleteness } from "../entrypoints/record-commands.ts"
import { readCentral, readDevice } from "../entrypoints/settings.ts"
import { layerCentral, layerDevice, reachByHttps } from "../entrypoints/wiring.ts"
import type { Ended } from "./support/cli.ts"
import { freshFolder } from "./support/database.ts"
import { copyPlace, type Place, satSchool } from "./support/sat-school.ts"
import { report, run, serve, start } from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = process.env.EVERY_SYNC_POINT ? 3_600_000 : 240_000
const POINTS_TRIED = 3
const TITLE = process.env.EVERY_SYNC_POINT ? "every sync point" : `${POINTS_TRIED} sync points`

const PRELOAD = pathToFileURL(join(import.meta.dirname, "support/kill-at-sync.mjs")).href
const preloaded = (env: Readonly<Record<string, string>>) => ({
  env: { ...env, NODE_OPTIONS: `--import ${PRELOAD}` }
})

/** Points from the first to the last; or all of them. */
const pointsOf = ({ stderr }: Ended): ReadonlyArray<number> => {
  const points = Number(/syncs (\d+)/u.exec(stderr)?.[1])
  assert.isAbove(points, POINTS_TRIED, stderr)
  return process.env.EVERY_SYNC_POINT
    ? Array.from({ length: points }, (_, at) => at + 1)
    : Array.from({ length: POINTS_TRIED }, (_, at) =>
        Math.round(1 + (at * (points - 1)) / (POINTS_TRIED - 1))
      )
}

const atEach = <E>(
  points: ReadonlyArray<number>,
  kill: (point: number) => Effect.Effect<void, E, Scope.Scope>
) =>
  Effect.forEach(
    points,
    (point) =>
      Effect.scoped(kill(point)).pipe(
        Effect.catchCause((cause) => Effect.die(new Error(`point ${point}`, { cause })))
      ),
    { concurrency: availableParallelism(), discard: true }
  )

/** Reads a database from outside; a copy of it, so that the journal stays for the engine itself. */
const rowsOf = Effect.fnUntraced(function* (file: string, text: string) {
  const copy = join(yield* freshFolder(), "copy")
  for (const end of ["", "-wal"]) {
    if (fs.existsSync(file + end)) fs.copyFileSync(file + end, copy + end)
  }
  const database = new DatabaseSync(copy)
  try {
    const [sound] = database.prepare("PRAGMA integrity_check").all()
    assert.deepStrictEqual(Object.values(sound ?? {}), ["ok"])
    return database.prepare(text).all()
  } finally {
    database.close()
  }
}, Effect.scoped)

/** What the device keeps, and of what it thinks that central has it. */
const onDevice = Effect.fnUntraced(function* ({ device }: Place) {
  const text = "SELECT sha256, stage, body FROM outbox ORDER BY number"
  const rows = yield* rowsOf(join(device, "device.db"), text)
  const bodies = rows.flatMap(({ body, sha256 }) =>
    body === null ? [] : [[String(sha256), String(body)] as const]
  )
  const isDone = (stage: unknown) => stage === "acknowledged" || stage === "purged"
  return {
    bodies: new Map(bodies),
    done: rows.filter(({ stage }) => isDone(stage)).map(({ sha256 }) => String(sha256)),
    forgotten: rows.filter(({ body }) => body === null).map(({ sha256 }) => String(sha256)),
    records: rows.length
  }
})

/** The bytes that central keeps and counts, by digest. One digest is one row. */
const atCentral = Effect.fnUntraced(function* ({ central }: Place) {
  const text = "SELECT sha256, body FROM records WHERE stage <> 'quarantined' AND conflict = 0"
  const rows = yield* rowsOf(join(central, "central.db"), text)
  return new Map(rows.map(({ body, sha256 }) => [String(sha256), String(body)] as const))
})

/** At every moment: what the device has forgotten or ticked off, central has, byte for byte. */
const assertNothingLost = Effect.fnUntraced(function* (
  place: Place,
  sealed: ReadonlyMap<string, string>
) {
  const { bodies, done, forgotten } = yield* onDevice(place)
  const kept = yield* atCentral(place)
  for (const sha256 of [...done, ...forgotten]) {
    assert.strictEqual(kept.get(sha256), sealed.get(sha256), "central does not have it")
  }
  for (const [sha256, body] of sealed) {
    assert.include([kept.get(sha256), bodies.get(sha256)], body, "it is nowhere")
  }
})

/** In the end: each once at central, nothing left on the device, and central knows that it has all. */
const assertAllHome = Effect.fnUntraced(function* (
  place: Place,
  sealed: ReadonlyMap<string, string>
) {
  const { bodies, done } = yield* onDevice(place)
  assert.deepStrictEqual([bodies.size, done.length], [0, sealed.size])
  const count = yield* rowsOf(
    join(place.central, "central.db"),
    "SELECT count(*) AS n FROM records"
  )
  assert.strictEqual(count[0]?.n, sealed.size, "more than was sent")
  assert.deepStrictEqual([...(yield* atCentral(place))].sort(), [...sealed].sort())
  const complete = yield* resultsCompleteness.run({ delivery: null, device: null }).pipe(
    Effect.provide(layerCentral(place.central, yield* readCentral(place.central)), {
      local: true
    })
  )
  assert.notProperty(complete, "exit")
  assert.deepInclude(complete.devices[0], { received: sealed.size, missing: [] })
  const [sat] = complete.deliveries.filter((one) => one.sat > 0)
  assert.deepInclude(sat, { sat: sealed.size / 3, here: sealed.size / 3, missing: [], without: 0 })
})

/** Opens what the killed process left by the program's own wiring, and sends what is owed. */
const sendHere = Effect.fnUntraced(function* ({ device }: Place) {
  const command = syncCommand(reachByHttps(device))
  const synced = yield* command
    .run({ kinds: null, dryRun: false, confirmRemovals: false })
    .pipe(Effect.provide(layerDevice(device, yield* readDevice(device)), { local: true }))
  assert.include(["done", "unchanged"], synced.outcome)
})

const served = (place: Place) => serve({ data: place.central, port: place.port })

const stopped = Effect.fnUntraced(function* (server: Effect.Success<ReturnType<typeof serve>>) {
  server.process.kill("SIGTERM")
  return yield* server.ended
})

describe("results on their way home", () => {
  it.live(
    `are at central once, whenever the device that sends them is killed (${TITLE})`,
    () =>
      Effect.gen(function* () {
        const original = yield* satSchool
        const { bodies: sealed, records } = yield* onDevice(original)
        assert.deepStrictEqual([sealed.size, records], [12, 12])
        const counted = yield* Effect.scoped(
          Effect.gen(function* () {
            const place = yield* copyPlace(original)
            const server = yield* served(place)
            const ended = yield* run(place.device, ["sync"], preloaded({ COUNT_SYNCS: "1" }))
            assert.strictEqual(ended.status, 0, ended.stderr)
            yield* stopped(server)
            yield* assertAllHome(place, sealed)
            return ended
          })
        )
        yield* atEach(pointsOf(counted), (point) =>
          Effect.gen(function* () {
            const place = yield* copyPlace(original)
            const server = yield* served(place)
            const kill = preloaded({ KILL_AT_SYNC: String(point) })
            const killed = yield* run(place.device, ["sync"], kill)
            assert.strictEqual(killed.status, "SIGKILL", killed.stderr)
            yield* assertNothingLost(place, sealed)
            yield* sendHere(place)
            yield* stopped(server)
            yield* assertAllHome(place, sealed)
          })
        )
      }).pipe(Effect.scoped),
    LONG
  )

  it.live(
    `are at central once, whenever the central that receives them is killed (${TITLE})`,
    () =>
      Effect.gen(function* () {
        const original = yield* satSchool
        const { bodies: sealed } = yield* onDevice(original)
        /** Serves as long as it lives, and lets the device send when it got that far. */
        const receive = Effect.fnUntraced(function* (
          place: Place,
          env: Readonly<Record<string, string>>
        ) {
          const args = ["central", "serve", "--port", String(place.port)]
          const server = yield* start(place.central, args, preloaded(env))
          const isUp = yield* Effect.race(
            Effect.as(server.says("Certificate SHA-256"), true),
            Effect.as(server.ended, false)
          )
          if (isUp) yield* run(place.device, ["sync"])
          return yield* stopped(server)
        })
        const counted = yield* Effect.scoped(
          Effect.gen(function* () {
            const place = yield* copyPlace(original)
            const ended = yield* receive(place, { COUNT_SYNCS: "1" })
            yield* assertAllHome(place, sealed)
            return ended
          })
        )
        yield* atEach(pointsOf(counted), (point) =>
          Effect.gen(function* () {
            const place = yield* copyPlace(original)
            const killed = yield* receive(place, { KILL_AT_SYNC: String(point) })
            assert.strictEqual(killed.status, "SIGKILL", killed.stderr)
            yield* assertNothingLost(place, sealed)
            const server = yield* served(place)
            yield* sendHere(place)
            yield* stopped(server)
            yield* assertAllHome(place, sealed)
          })
        )
      }).pipe(Effect.scoped),
    LONG
  )

  it.live(
    `are opened once, whenever the office that opens them is killed (${TITLE})`,
    () =>
      Effect.gen(function* () {
        const original = yield* satSchool
        const { bodies: sealed } = yield* onDevice(original)
        const results = sealed.size / 3
        const server = yield* served(original)
        yield* sendHere(original)
        yield* stopped(server)
        const { identity, passphraseFile } = original
        const decrypt = ["results", "decrypt", "--all", "--identity", identity]
        const args = [...decrypt, "--passphrase-file", passphraseFile]
        const opened = Effect.fnUntraced(function* ({ central }: Place) {
          const file = join(central, "central.db")
          const rows = yield* rowsOf(file, "SELECT sha256, document FROM opened_results")
          const marked = yield* rowsOf(file, "SELECT sha256 FROM records WHERE stage = 'decrypted'")
          assert.strictEqual(marked.length, rows.length, "kept and marked are one")
          return rows.map(({ document, sha256 }) => `${sha256} ${document}`).sort()
        })
        const whole = yield* copyPlace(original)
        const counted = yield* run(whole.central, args, preloaded({ COUNT_SYNCS: "1" }))
        assert.strictEqual(counted.status, 0, counted.stderr)
        const all = yield* opened(whole)
        assert.lengthOf(all, results)
        yield* atEach(pointsOf(counted), (point) =>
          Effect.gen(function* () {
            const place = yield* copyPlace(original)
            const kill = preloaded({ KILL_AT_SYNC: String(point) })
            const killed = yield* run(place.central, args, kill)
            assert.strictEqual(killed.status, "SIGKILL", killed.stderr)
            const before = yield* opened(place)
            const again = yield* report(place.central, ...args)
            assert.nestedPropertyVal(again, "counts.decrypted", results - before.length)
            assert.deepStrictEqual(yield* opened(place), all)
            assert.deepStrictEqual([...(yield* atCentral(place))].sort(), [...sealed].sort())
          })
        )
      }).pipe(Effect.scoped),
    LONG
  )
})
