/** The whole way with real volumes in a folder, as a stick has them. */
import fs from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { exportToDevice } from "../application/export-bundle.ts"
import { exportReport } from "../application/export-report.ts"
import { importBundle } from "../application/import-bundle.ts"
import { receiveBundles } from "../application/receive-bundle.ts"
import { CUT, GIVEN, idOf } from "./support/courier.ts"
import * as Office from "./support/office.ts"
import { scratch } from "./support/site.ts"
import { sit } from "./support/sittings.ts"
import * as Town from "./support/town.ts"
import { HALL, TAKERS } from "./support/town.ts"

const files = (folder: string) =>
  fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => fs.statSync(path.join(folder, name)).isFile())
    .sort()

describe("a stick", () => {
  it.live("carries data there, in volumes, and the report home", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* town.office(town.published("art", "x".repeat(60_000)))
      yield* town.office(Office.eligible(HALL, "art", TAKERS))
      const to = yield* scratch(tmpdir())
      const options = { ...CUT, to, volumeBytes: 70_000 }
      const device = idOf(town)

      const exported = yield* town.office(exportToDevice(device, options))
      assert.isAtLeast(exported.volumes, 2)
      const written = Option.getOrThrow(exported.written)
      assert.lengthOf(written.paths, exported.volumes)
      for (const file of written.paths) assert.isAtMost(fs.statSync(file).size, 70_000)

      // One of the volumes is on a stick that comes later.
      const [last] = written.paths.slice(-1)
      const aside = path.join(yield* scratch(tmpdir()), "later")
      fs.renameSync(last!, aside)
      const half = yield* Effect.flip(town.on(importBundle(to, GIVEN)))
      assert.deepInclude(half, { _tag: "BundleRefused", code: "E_VOLUME_MISSING" })
      fs.copyFileSync(aside, last!)
      const imported = yield* town.on(importBundle(to, GIVEN))
      assert.deepInclude(imported, { applied: true, receiptWritten: true })
      assert.deepStrictEqual(yield* town.on(Town.keys()), yield* town.office(Town.offered))

      yield* town.on(sit({ size: 200_000 }))
      yield* town.on(exportReport({ ...CUT, to, volumeBytes: 70_000 }))
      const received = yield* town.office(receiveBundles(to))
      assert.deepStrictEqual(
        received.bundles.map(({ receiptWritten, result }) => [receiptWritten, result]),
        [[true, Result.succeed({ status: "received" as const })]]
      )
      assert.deepInclude(received.bundles[0]?.carried, { records: 2, results: 1, putAside: 0 })
      // The same stick goes straight back: its bundle is known, its receipts are not.
      const back = yield* town.on(importBundle(to, GIVEN))
      assert.strictEqual(back.judgement, "already applied")
      assert.deepInclude(back.receipts, { heard: 1, acknowledged: 2, results: 1 })
      const next = yield* town.office(exportToDevice(device, options))
      assert.deepInclude(next, { mode: "delta", base: 1, seq: 2 })
      // The older bundle made room for the newer.
      const there = files(path.join(to, "TESTFERRY", "to-device", device))
      assert.deepStrictEqual(there, ["00000002-v01of01.zip"])
      assert.isTrue((yield* town.on(importBundle(to, GIVEN))).applied)
      const again = yield* town.on(importBundle(to, GIVEN))
      assert.strictEqual(again.judgement, "already applied")
    })
  )
})
