/**
 * Processes that are killed while they work with a stick, before they make something durable or
 * visible: an export, an import, a receipt of what came home. What is left is looked at by the
 * program itself and by node:sqlite, and the next run must come to the same end as one that was
 * never killed.
 *
 * `EVERY_SYNC_POINT=1 vitest run test/crash-bundle.test.ts` kills at every point instead of a spread.
 */
import fs from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { inject } from "vitest"
import { Devices, Streams } from "../application/bundle-ports.ts"
import { exportToDevice } from "../application/export-bundle.ts"
import { exportReport } from "../application/export-report.ts"
import { importBundle } from "../application/import-bundle.ts"
import { receiveBundles } from "../application/receive-bundle.ts"
import { verifyBundles } from "../application/verify-bundle.ts"
import { streamOf } from "../domain/bundle-manifest.ts"
import { DeviceId } from "../domain/id.ts"
import { carry, openLine } from "./support/carrier.ts"
import { startCli } from "./support/cli.ts"
import { CUT, GIVEN } from "./support/courier.ts"
import { VOLUME_BYTES } from "./support/crash-bundle-child.ts"
import { assertContents } from "./support/device-files.ts"
import * as Observe from "./support/observe.ts"
import * as Office from "./support/office.ts"
import { soundFile } from "./support/on-database.ts"
import { openCentral, openDevice, scratch } from "./support/site.ts"
import { dump } from "./support/tables.ts"
import * as Town from "./support/town.ts"
import { HALL, TAKERS } from "./support/town.ts"
import { sha256 } from "./support/volumes.ts"

/** Processes of a busy machine take their time. */
const LONG = process.env.EVERY_SYNC_POINT ? 3_600_000 : 240_000
const POINTS_TRIED = 5

const PRELOAD = pathToFileURL(join(import.meta.dirname, "support/kill-at-sync.mjs")).href
const CHILD = join(import.meta.dirname, "support/crash-bundle-child.ts")

type Verb = "export" | "import" | "receive"

/** A town as it lies on the disk: central, its device, and a stick between them. */
interface Place {
  readonly central: string
  readonly device: string
  readonly stick: string
  readonly id: DeviceId
}

/** Makes a town, lets it do something, and closes it. */
const place = Effect.fnUntraced(function* <E>(
  before: (town: Town.Town, stick: string) => Effect.Effect<unknown, E>
) {
  const root = yield* scratch(tmpdir())
  const stick = join(root, "stick")
  fs.mkdirSync(stick)
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* town.office(town.published("art", "x".repeat(60_000)))
      yield* town.office(Office.eligible(HALL, "art", TAKERS))
      const id = DeviceId.make(town.line.client)
      yield* town.office(exportToDevice(id, { ...CUT, to: stick, volumeBytes: VOLUME_BYTES }))
      yield* before(town, stick)
      // No statement runs: a copy is what a process leaves that ends here.
      for (const name of ["central", "device"]) copyFolder(join(town.root, name), join(root, name))
      return { central: join(root, "central"), device: join(root, "device"), stick, id }
    })
  ).pipe(Effect.orDie)
})

const copyFolder = (from: string, to: string) => {
  fs.cpSync(from, to, { recursive: true })
  if (fs.existsSync(join(to, "keys"))) fs.chmodSync(join(to, "keys"), 0o700)
}

const copyOf = (original: Place, root: string, name: string): Place => {
  const to = (part: string) => join(root, `${part}-${name}`)
  copyFolder(original.central, to("central"))
  copyFolder(original.device, to("device"))
  copyFolder(original.stick, to("stick"))
  return { ...original, central: to("central"), device: to("device"), stick: to("stick") }
}

const child = (verb: Verb, { central, device, id, stick }: Place, env: Record<string, string>) =>
  startCli(CHILD, [verb, verb === "import" ? device : central, stick, id], {
    env: {
      NODE_COMPILE_CACHE: join(inject("runFolder"), "compiled"),
      NODE_OPTIONS: `--import ${PRELOAD}`,
      ...env
    }
  }).pipe(
    Effect.flatMap((started) => started.ended),
    Effect.scoped
  )

/** Kills copies of a place at sync points from the first to the last, and lets each be looked at. */
const killedEverywhere = Effect.fnUntraced(function* <E>(
  verb: Verb,
  original: Place,
  look: (killed: Place) => Effect.Effect<void, E>
) {
  const root = yield* scratch(tmpdir())
  const whole = copyOf(original, root, "whole")
  const counted = yield* child(verb, whole, { COUNT_SYNCS: "1" })
  assert.strictEqual(counted.status, 0, counted.stderr)
  const points = Number(/syncs (\d+)/u.exec(counted.stderr)?.[1])
  assert.isAbove(points, POINTS_TRIED)
  const tried = process.env.EVERY_SYNC_POINT
    ? Array.from({ length: points }, (_, at) => at + 1)
    : Array.from({ length: POINTS_TRIED }, (_, at) =>
        Math.round(1 + (at * (points - 1)) / (POINTS_TRIED - 1))
      )
  const at = Effect.fnUntraced(function* (n: number) {
    const killed = copyOf(original, root, String(n))
    const { status, stderr } = yield* child(verb, killed, { KILL_AT_SYNC: String(n) })
    assert.strictEqual(status, "SIGKILL", `point ${n}: ${stderr}`)
    for (const file of [join(killed.central, "central.db"), join(killed.device, "device.db")]) {
      yield* soundCopy(file)
    }
    yield* look(killed).pipe(Effect.mapError((error) => ({ n, error })))
    for (const file of [killed.central, killed.device, killed.stick]) {
      fs.rmSync(file, { recursive: true })
    }
  })
  yield* Effect.forEach(tried, at, { concurrency: availableParallelism(), discard: true })
}, Effect.orDie)

/** Looks at a copy, so that the journal stays for the engine itself. */
const soundCopy = Effect.fnUntraced(function* (file: string) {
  const folder = yield* scratch(tmpdir())
  for (const end of ["", "-wal"]) {
    if (fs.existsSync(file + end)) fs.copyFileSync(file + end, join(folder, `copy${end}`))
  }
  const journal = join(folder, "copy-wal")
  // Opened for writing once: what is in the journal counts too.
  if (fs.existsSync(journal)) yield* recover(join(folder, "copy"))
  yield* soundFile(join(folder, "copy"))
}, Effect.scoped)

const recover = (file: string) =>
  Effect.promise(async () => {
    const { DatabaseSync } = await import("node:sqlite")
    const database = new DatabaseSync(file)
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
  })

const atCentral = ({ central }: Place) => openCentral(central)
const onDevice = ({ central, device }: Place) =>
  Effect.gen(function* () {
    const there = yield* openCentral(central)
    return yield* openDevice(device, carry(there, openLine()))
  })

/** The manifests on a stick by number; each volume there must be whole. */
const manifestsOn = Effect.fnUntraced(function* (
  site: Effect.Success<ReturnType<typeof atCentral>>,
  stick: string
) {
  const verified = yield* site.run(verifyBundles(stick, () => Effect.succeed(undefined)))
  for (const { damages, found, refused } of verified) {
    assert.isNull(refused, `volumes of bundle ${found.seq}`)
    assert.deepStrictEqual([...damages], [])
  }
  return verified
})

const digestsOf = (verified: Effect.Success<ReturnType<typeof manifestsOn>>) =>
  verified.map(
    ({ found, manifest }) => [found.seq, sha256(Buffer.from(JSON.stringify(manifest)))] as const
  )

const held = Effect.map(Observe.heldRows, (rows) => rows.map(({ digest, id }) => `${id} ${digest}`))

describe("a process that is killed", () => {
  it.live(
    "while it writes a bundle leaves whole volumes only, and never uses a number twice",
    () =>
      Effect.gen(function* () {
        const original = yield* place((town) =>
          town.office(Office.people("test-taker", [{ login: "dora" }]))
        )
        yield* killedEverywhere("export", original, (killed) =>
          Effect.gen(function* () {
            const central = yield* atCentral(killed)
            const before = yield* manifestsOn(central, killed.stick)
            assert.isTrue(
              before.some(({ missing }) => missing.length === 0),
              "a whole bundle is there at every moment"
            )
            const options = { ...CUT, to: killed.stick, volumeBytes: VOLUME_BYTES }
            const next = yield* central.run(exportToDevice(killed.id, options))
            const after = yield* manifestsOn(central, killed.stick)
            assert.deepStrictEqual(
              after.map(({ found, missing }) => [found.seq, missing.length]),
              [[next.seq, 0]]
            )
            assert.isAbove(next.seq, Math.max(...before.map(({ found }) => found.seq)))
            const bytes = new Map(digestsOf(before))
            for (const [seq, digest] of digestsOf(after)) {
              assert.strictEqual(bytes.get(seq) ?? digest, digest)
            }
            const names = fs.readdirSync(killed.stick, { recursive: true, encoding: "utf8" })
            assert.isFalse(names.some((name) => name.endsWith(".partial")))
            const device = yield* openDevice(killed.device, carry(central, openLine()))
            assert.isTrue((yield* device.run(importBundle(killed.stick, GIVEN))).applied)
          }).pipe(Effect.scoped)
        )
      }),
    LONG
  )

  it.live(
    "while it takes a bundle in leaves the device before or after, and the next run finishes",
    () =>
      Effect.gen(function* () {
        const original = yield* place(() => Effect.void)
        const root = yield* scratch(tmpdir())
        const [before, after] = yield* Effect.scoped(
          Effect.gen(function* () {
            const unharmed = copyOf(original, root, "unharmed")
            const site = yield* onDevice(unharmed)
            const empty = yield* site.run(held)
            yield* site.run(importBundle(unharmed.stick, GIVEN))
            return [empty, yield* site.run(held)] as const
          })
        )
        yield* killedEverywhere("import", original, (killed) =>
          Effect.gen(function* () {
            const site = yield* onDevice(killed)
            const now = yield* site.run(held)
            const stream = streamOf("c2d", killed.id)
            const state = yield* site.run(
              Effect.flatMap(Streams, ({ received }) => received(stream))
            )
            if (Option.isSome(state)) assert.deepStrictEqual(now, after)
            else assert.include([before.join(), after.join()], now.join())
            assertContents(killed.device)
            const { applied, judgement } = yield* site.run(importBundle(killed.stick, GIVEN))
            assert.isTrue(applied)
            assert.strictEqual(judgement === "already applied", Option.isSome(state))
            assert.deepStrictEqual(yield* site.run(held), after)
            assertContents(killed.device)
            assert.deepStrictEqual(fs.readdirSync(join(killed.device, "incoming")), [])
          }).pipe(Effect.scoped)
        )
      }),
    LONG
  )

  it.live(
    "while it takes a report home leaves central before or after, and the next run finishes",
    () =>
      Effect.gen(function* () {
        const original = yield* place((town, stick) =>
          town
            .on(importBundle(stick, GIVEN))
            .pipe(Effect.andThen(town.on(exportReport({ ...CUT, to: stick }))))
        )
        yield* killedEverywhere("receive", original, (killed) =>
          Effect.gen(function* () {
            const central = yield* atCentral(killed)
            const known = Effect.gen(function* () {
              const devices = yield* Devices
              const streams = yield* Streams
              return [
                Option.isSome(yield* devices.report(killed.id)),
                Option.isSome(yield* streams.received(streamOf("d2c", killed.id))),
                Option.isSome(yield* streams.acknowledged(streamOf("c2d", killed.id)))
              ]
            })
            const [reported, received, acknowledged] = yield* central.run(known)
            assert.deepStrictEqual([received, acknowledged], [reported, reported])
            const { bundles } = yield* central.run(receiveBundles(killed.stick))
            assert.deepStrictEqual(
              bundles.map(({ result }) => Result.map(result, ({ status }) => status)),
              [Result.succeed(reported ? ("already" as const) : ("received" as const))]
            )
            assert.deepStrictEqual(yield* central.run(known), [true, true, true])
            assert.deepStrictEqual((yield* central.run(dump())).quarantine ?? [], [])
            assert.deepStrictEqual(fs.readdirSync(join(killed.central, "incoming")), [])
            const options = { ...CUT, to: killed.stick }
            const next = yield* central.run(exportToDevice(killed.id, options))
            assert.deepInclude(next, { mode: "delta", base: 1, seq: 2 })
          }).pipe(Effect.scoped)
        )
      }),
    LONG
  )
})
