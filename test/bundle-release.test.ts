/** Bundles that central put aside: a person can let their records in, and never what is forged. */
import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, type Scope, Stream } from "effect"
import { blockDevice, revokeDevice, unblockDevice } from "../application/manage-clients.ts"
import { Blobs } from "../application/ports.ts"
import { type KeptRecord, Records } from "../application/record-ports.ts"
import { asideBundles, type ReleaseOptions, releaseBundle } from "../application/release-bundle.ts"
import { releaseRecord } from "../application/release-record.ts"
import { submit } from "../application/submit.ts"
import { Digest } from "../domain/id.ts"
import { comeHome, history, idOf, roundTrip, sendHome } from "./support/courier.ts"
import { sit } from "./support/sittings.ts"
import { type MemoryStick, newStick } from "./support/stick.ts"
import { type Town, town } from "./support/town.ts"

const ALL = {
  kind: undefined,
  stages: undefined,
  delivery: undefined,
  organisation: undefined,
  device: undefined
}

const kept = (all: Town): Effect.Effect<ReadonlyArray<KeptRecord>> =>
  all.office(
    Effect.flatMap(Records, (records) =>
      Effect.map(Stream.runCollect(records.list(ALL)), (found) =>
        [...found].sort((a, b) => a.entry.number - b.entry.number)
      )
    )
  )

const stages = (all: Town) =>
  Effect.map(kept(all), (found) => found.map(({ entry, stage }) => [entry.number, stage]))

const aside = (all: Town) => all.office(asideBundles)

const released = (all: Town, changes: Partial<ReleaseOptions> = {}) =>
  all.office(
    releaseBundle({
      device: idOf(all),
      bundle: 2,
      who: "operator",
      reason: "the school has it back",
      dryRun: false,
      ...changes
    })
  )

const refusedWith = (all: Town, changes: Partial<ReleaseOptions> = {}) =>
  Effect.map(Effect.flip(released(all, changes)), (error) =>
    error._tag === "BundleRefused" ? error.code : error.found.length
  )

const scenario = <E>(what: string, test: (all: Town) => Effect.Effect<void, E, Scope.Scope>) =>
  it.live(what, () => Effect.scoped(Effect.flatMap(town, test)))

/** Two records in bundle 2, put aside after `change` was done to the stick. */
const putAside = Effect.fnUntraced(function* (
  all: Town,
  change: (stick: MemoryStick) => void = () => undefined
) {
  yield* roundTrip(all)
  yield* all.office(revokeDevice(idOf(all), "operator"))
  yield* all.on(sit())
  const stick = newStick()
  yield* sendHome(all, stick)
  change(stick)
  const { bundles } = yield* comeHome(all, stick)
  assert.deepStrictEqual(
    bundles.map(({ result }) => Result.isSuccess(result) && result.success.status),
    ["quarantined"]
  )
  assert.deepStrictEqual(yield* kept(all), [])
})

describe("a bundle that central put aside", () => {
  scenario("gives its records when a person lets it in, and keeps its bytes", (all) =>
    Effect.gen(function* () {
      yield* putAside(all)
      const [before] = yield* aside(all)
      assert.deepInclude(before, { code: "E_REVOKED", seq: 2, released: null })
      const rehearsed = yield* released(all, { dryRun: true })
      assert.deepInclude(rehearsed.carried, { records: 2, results: 1 })
      assert.deepStrictEqual(yield* kept(all), [])
      assert.deepStrictEqual(yield* aside(all), [before])

      const { carried } = yield* released(all)
      assert.deepStrictEqual(carried, { records: 2, results: 1, putAside: 0, refused: 0 })
      const stored = [1, 2].map((number) => [number, "stored"])
      assert.deepStrictEqual(yield* stages(all), stored)
      const [line] = yield* all.office(history(1))
      assert.deepInclude(line, {
        who: "operator",
        device: idOf(all),
        reason: "released bundle 2 (E_REVOKED): the school has it back"
      })

      // Again, and by its id: nothing changes but the word.
      const again = yield* released(all, { bundle: before?.manifest ?? 0, reason: "asked again" })
      assert.strictEqual(again.carried.records, 2)
      assert.deepStrictEqual(yield* stages(all), stored)
      const [after] = yield* aside(all)
      assert.strictEqual(after?.released?.reason, "asked again")
      const blobs = yield* all.office(Blobs)
      for (const blob of after?.files.values() ?? []) assert.isTrue(yield* blobs.has(blob))
      assert.deepStrictEqual(fs.readdirSync(path.join(all.central.directory, "incoming")), [])
    })
  )

  scenario("and was forged is never taken apart", (all) =>
    Effect.gen(function* () {
      yield* putAside(all, (stick) => {
        for (const one of stick.bundles) {
          const text = one.signed.text.replace(/"expires":\d/u, '"expires":3')
          one.signed = { ...one.signed, text }
        }
      })
      assert.strictEqual((yield* aside(all))[0]?.code, "E_SIG_BAD")
      for (const dryRun of [true, false]) {
        assert.strictEqual(yield* refusedWith(all, { dryRun }), "E_SIG_BAD")
      }
      assert.deepStrictEqual(yield* kept(all), [])
      assert.isNull((yield* aside(all))[0]?.released)
    })
  )

  scenario("and whose kept bytes were damaged since is never taken apart", (all) =>
    Effect.gen(function* () {
      yield* putAside(all)
      const [one] = yield* aside(all)
      const file = (name: string) => {
        const blob = one?.files.get(name) ?? ""
        const folder = path.join(all.central.directory, "blobs")
        const names = fs.readdirSync(folder, { recursive: true }).map(String)
        return path.join(folder, names.find((each) => each.endsWith(blob)) ?? "")
      }
      const records = file("p/000001.age")
      const bytes = fs.readFileSync(records)
      fs.chmodSync(records, 0o600)
      fs.writeFileSync(
        records,
        bytes.map((byte, at) => (at === 700 ? byte ^ 1 : byte))
      )
      assert.strictEqual(yield* refusedWith(all), "E_PART_DIGEST")
      fs.writeFileSync(records, bytes.subarray(1))
      assert.strictEqual(yield* refusedWith(all), "E_PART_MISSING")
      fs.writeFileSync(records, bytes)

      const manifest = file("manifest.json")
      const text = fs.readFileSync(manifest)
      fs.chmodSync(manifest, 0o600)
      fs.writeFileSync(manifest, `${text} `)
      assert.isNull((yield* aside(all))[0]?.seq)
      assert.strictEqual(yield* refusedWith(all), 0)
      assert.strictEqual(yield* refusedWith(all, { bundle: one?.manifest ?? 0 }), "E_PART_DIGEST")
      assert.deepStrictEqual(yield* kept(all), [])

      fs.writeFileSync(manifest, text)
      assert.strictEqual((yield* released(all)).carried.records, 2)
    })
  )

  scenario("is not found by another number or another device", (all) =>
    Effect.gen(function* () {
      yield* putAside(all)
      for (const bundle of [1, 3, Digest.make("a".repeat(64))]) {
        assert.strictEqual(yield* refusedWith(all, { bundle }), 0)
      }
    })
  )
})

describe("the receipt for a record that is sent again", () => {
  scenario("says that it is in quarantine until a person has released it", (all) =>
    Effect.gen(function* () {
      yield* roundTrip(all)
      yield* all.on(sit())
      const stick = newStick()
      yield* sendHome(all, stick)
      yield* all.office(blockDevice(idOf(all), "operator"))
      yield* comeHome(all, stick)
      assert.deepStrictEqual(
        yield* stages(all),
        [1, 2].map((number) => [number, "quarantined"])
      )
      yield* all.office(unblockDevice(idOf(all), "operator"))
      const sent = yield* all.on(submit())
      assert.deepStrictEqual(
        sent.quarantined.map(({ reason }) => reason),
        ["E_DEVICE_BLOCKED", "E_DEVICE_BLOCKED"]
      )
      assert.deepStrictEqual(
        yield* stages(all),
        [1, 2].map((number) => [number, "quarantined"])
      )
      for (const { entry } of yield* kept(all)) {
        yield* all.office(releaseRecord(idOf(all), entry.sha256, "operator"))
      }
    })
  )
})
