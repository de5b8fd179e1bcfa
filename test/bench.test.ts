/** Proves that the benchmark measures work that was really done, on entities that are real. */

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Packages } from "../application/ports.ts"
import { bodies, catalogueOf, count, onePercent } from "../bench/bodies.ts"
import {
  openCentral as openTestferry,
  contenders as testferry
} from "../bench/contenders/testferry.ts"
import { type Contender, repeat, type Sample, WORKLOADS } from "../bench/harness.ts"
import { contender as barePull } from "../bench/peers/bare-pull.ts"
import { child, openCentral, putAll } from "../bench/processes.ts"
import { drive, percentile } from "../bench/scale.ts"
import { readBytes } from "../bench/w6.ts"
import { makePackage } from "../bench/w6-packages.ts"
import { Entity, references } from "../domain/entity.ts"
import { layerPackages } from "../infrastructure/package-files.ts"
import { compiled } from "./support/cli.ts"
import { freshFolder } from "./support/database.ts"

const SMALL = catalogueOf(300)
const catalogue = { bodies: () => bodies(1, SMALL), changes: onePercent(1, SMALL) }

// The processes that are measured are many and small, and inherit this.
Object.assign(process.env, compiled())

const rejection = (promise: Promise<unknown>): Promise<string> =>
  promise.then(() => "succeeded", String)

describe("bench: bundles", () => {
  it.live("carry packages that central accepts without a warning, as heavy as asked for", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      const [once, again] = [join(folder, "once.zip"), join(folder, "again.zip")]
      yield* Effect.promise(() => makePackage(once, 3_000_000, "a seed"))
      yield* Effect.promise(() => makePackage(again, 3_000_000, "a seed"))
      const packages = yield* Packages
      const { items, warnings } = yield* packages.inspect(once)
      assert.deepStrictEqual({ items, warnings }, { items: 4, warnings: [] })
      const { sha256, size } = yield* packages.measure(once)
      assert.isTrue(size > 3_000_000 && size < 3_300_000)
      assert.strictEqual((yield* packages.measure(again)).sha256, sha256)
    }).pipe(Effect.provide(layerPackages))
  )

  it("are asked for in sizes as people write them", () => {
    assert.deepStrictEqual(["2GiB", "1.5MiB", "64KiB", "1000"].map(readBytes), [
      2 ** 31,
      1.5 * 2 ** 20,
      65_536,
      1_000
    ])
    assert.throws(() => readBytes("2 gigs"), /is no size/u)
  })
})

describe("bench: bodies", () => {
  it("are valid entities with ids of their own", () => {
    const decode = Schema.decodeUnknownSync(Entity)
    const all = [...catalogue.bodies(), ...catalogue.changes.put.slice(0, 3)]
    for (const { id, body } of all) assert.strictEqual(decode(JSON.parse(body)).id, id)
    const ids = new Set(Array.from(catalogue.bodies(), ({ id }) => id))
    assert.strictEqual(ids.size, count(SMALL))
    assert.strictEqual(count(catalogueOf()), 1 + 200 + 50 + 10_000 + 10_000 + 500)
  })

  it("are the same for the same seed and others for another", () => {
    const five = catalogueOf(5)
    assert.deepStrictEqual([...bodies(7, five)], [...bodies(7, five)])
    assert.notDeepEqual([...bodies(7, five)], [...bodies(8, five)])
  })

  it("name only what came before them", () => {
    const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Entity))
    const seen = new Set<string>()
    for (const { id, body } of catalogue.bodies()) {
      for (const named of references(decode(body))) assert.isTrue(seen.has(named), named)
      seen.add(id)
    }
    for (const { id } of catalogue.changes.put) seen.add(id)
    for (const { body } of catalogue.changes.put)
      for (const named of references(decode(body))) assert.isTrue(seen.has(named), named)
  })

  it("change by one percent: as many test-takers new as edited as removed", () => {
    const bodyById = new Map(Array.from(bodies(1), ({ id, body }) => [id, body]))
    const { put, remove } = onePercent(1)
    const takers = put.filter(({ id }) => id.startsWith("tt_"))
    const edited = takers.filter(({ id, body }) => bodyById.has(id) && bodyById.get(id) !== body)
    const added = takers.filter(({ id }) => !bodyById.has(id))
    assert.deepStrictEqual([added.length, edited.length, remove.length], [34, 34, 2 * 34])
    for (const id of remove) assert.isTrue(bodyById.has(id))
    assert.strictEqual(new Set([...put.map(({ id }) => id), ...remove]).size, 6 * 34)
  })

  it("leave nothing that names what was removed", () => {
    const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Entity))
    const bodyById = new Map(Array.from(catalogue.bodies(), ({ id, body }) => [id, body]))
    for (const { id, body } of catalogue.changes.put) bodyById.set(id, body)
    for (const id of catalogue.changes.remove) bodyById.delete(id)
    for (const body of bodyById.values())
      for (const named of references(decode(body))) assert.isTrue(bodyById.has(named), named)
  })
})

describe("bench: harness", () => {
  it("measures a bare pull through all workloads", async () => {
    const samples: Array<Sample> = []
    await repeat([barePull], 1, WORKLOADS, catalogue, (sample) => samples.push(sample))
    const { w1, w2, w3 } = samples[0]!.measures
    const sent = Array.from(catalogue.bodies()).reduce((sum, { body }) => sum + body.length, 0)
    assert.deepStrictEqual([w1?.entities, w1?.requests], [count(SMALL), 2])
    assert.isTrue(w1!.bytes > sent && w1!.bytes < 1.5 * sent)
    assert.deepStrictEqual([w2?.entities, w2?.requests], [0, 1])
    assert.isTrue(w2!.bytes < 500)
    assert.deepStrictEqual([w3?.entities, w3?.requests], [6, 1])
  })

  it("does not book its own memory to the device", async () => {
    const ballast = Buffer.alloc(400_000_000, 1)
    const samples: Array<Sample> = []
    await repeat([barePull], 1, ["w1"], catalogue, (sample) => samples.push(sample))
    const { peakRss } = samples[0]!.measures.w1!
    assert.isTrue(peakRss > 20_000_000 && peakRss < ballast.length)
  })

  it("refuses a contender that loses an entity", async () => {
    const losing: Contender = {
      ...barePull,
      prepare: (all) => barePull.prepare(Array.from(all).slice(1))
    }
    const run = repeat([losing], 1, ["w1"], catalogue, () => undefined)
    assert.match(await rejection(run), /moved 830 entities instead of 831/)
  })

  it("refuses a contender that brings another body", async () => {
    const bending: Contender = {
      ...barePull,
      delta: ({ put, remove }) =>
        barePull.delta({ remove, put: put.map(({ id, body }) => ({ id, body: `${body} ` })) })
    }
    const run = repeat([bending], 1, ["w3"], catalogue, () => undefined)
    assert.match(await rejection(run), /holds other entities than central/)
  })
})

describe("bench: Testferry", () => {
  it("moves what it is measured for, through all workloads", async () => {
    const samples: Array<Sample> = []
    await repeat(testferry, 1, WORKLOADS, catalogue, (sample) => samples.push(sample))
    assert.deepStrictEqual(
      samples.map(({ contender }) => contender),
      ["Testferry", "Testferry anew"]
    )
    for (const { measures } of samples) {
      const { w1, w2, w3 } = measures
      assert.deepStrictEqual([w1?.entities, w2?.entities, w3?.entities], [count(SMALL), 0, 6])
      // After a change the device also tells where it stands now.
      assert.deepStrictEqual([w2?.requests, w3?.requests], [1, 2])
    }
    assert.isAtMost(samples[0]!.measures.w2!.bytes, 1_024)
  })

  it("carries as many bytes as its peers", async () => {
    const directory = await mkdtemp(join(tmpdir(), "testferry-test-"))
    const place = { directory, url: "", postgres: null, organisation: "bench" }
    const central = await openTestferry(place)
    try {
      const given = [...catalogue.bodies()]
      await central.put(given)
      const offered = await central.entities!()
      assert.sameMembers(
        given.map(({ id }) => id),
        [...offered.keys()]
      )
      const bytes = (texts: Iterable<string>) => [...texts].join("").length
      const ratio = bytes(offered.values()) / bytes(given.map(({ body }) => body))
      assert.closeTo(ratio, 1, 0.02)
    } finally {
      await central.close()
      await rm(directory, { recursive: true, force: true })
    }
  })
})

describe("bench: crowd", () => {
  it("brings every device everything, and counts those that cannot reach central", async () => {
    const module = new URL("../bench/peers/bare-pull.ts", import.meta.url)
    const directory = await mkdtemp(join(tmpdir(), "testferry-test-"))
    const central = child("central", module)
    try {
      const url = await openCentral(central, directory, null)
      await putAll(central, catalogue.bodies())
      const organisations = ["bench"]
      const crowd = { module, url, clients: 5, processes: 2, organisations, patience: 60 }
      const [first, second] = await drive(crowd, ["first", "nothing changed"])
      assert.deepStrictEqual([first?.succeeded, first?.entities], [5, 5 * count(SMALL)])
      assert.deepStrictEqual([second?.succeeded, second?.entities], [5, 0])
      await central.stop()
      const [alone] = await drive(crowd, ["first"])
      assert.deepStrictEqual([alone?.succeeded, alone?.failed, alone?.failures.length], [0, 5, 3])
    } finally {
      await central.stop()
      await rm(directory, { recursive: true, force: true })
    }
  })

  it("reports the percentile by nearest rank", () => {
    const hundred = Array.from({ length: 100 }, (_, n) => n + 1)
    assert.deepStrictEqual(
      [50, 99, 100].map((percent) => percentile(hundred, percent)),
      [50, 99, 100]
    )
    assert.strictEqual(percentile([3], 1), 3)
  })
})
