/** Proves that the benchmark measures work that was really done, on entities that are real. */

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { bodies, catalogueOf, count, onePercent } from "../bench/bodies.ts"
import { type Contender, repeat, type Sample, WORKLOADS } from "../bench/harness.ts"
import { contender as barePull } from "../bench/peers/bare-pull.ts"
import { child, openCentral, putAll } from "../bench/processes.ts"
import { drive, percentile } from "../bench/scale.ts"
import { Entity } from "../domain/entity.ts"

const SMALL = catalogueOf(300)
const catalogue = { bodies: () => bodies(1, SMALL), changes: onePercent(1, SMALL) }

const rejection = (promise: Promise<unknown>): Promise<string> =>
  promise.then(() => "succeeded", String)

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

  it("of test-takers have the length of real ones", () => {
    const lengths = Array.from(bodies(1, catalogueOf(50))).filter(({ id }) => id.startsWith("tt_"))
    for (const { body } of lengths) assert.isTrue(body.length > 800 && body.length < 1_000)
  })

  it("change by one percent: a third new, a third edited, a third removed", () => {
    const bodyById = new Map(Array.from(bodies(1), ({ id, body }) => [id, body]))
    const { put, remove } = onePercent(1)
    const edited = put.filter(({ id, body }) => bodyById.has(id) && bodyById.get(id) !== body)
    const added = put.filter(({ id }) => !bodyById.has(id))
    assert.deepStrictEqual([added.length, edited.length, remove.length], [68, 68, 68])
    for (const id of remove) assert.isTrue(bodyById.has(id))
    assert.strictEqual(new Set([...put.map(({ id }) => id), ...remove]).size, 204)
  })
})

describe("bench: harness", () => {
  it("measures a bare pull through all workloads", async () => {
    const samples: Array<Sample> = []
    await repeat([barePull], 1, WORKLOADS, catalogue, (sample) => samples.push(sample))
    const { w1, w2, w3 } = samples[0]!.measures
    const sent = Array.from(catalogue.bodies()).reduce((sum, { body }) => sum + body.length, 0)
    assert.deepStrictEqual([w1?.entities, w1?.requests], [count(SMALL), w1?.requests])
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
    assert.match(
      await rejection(run),
      new RegExp(`moved ${count(SMALL) - 1} entities instead of ${count(SMALL)}`)
    )
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

describe("bench: crowd", () => {
  it("brings every device everything, and counts those that cannot reach central", async () => {
    const module = new URL("../bench/peers/bare-pull.ts", import.meta.url)
    const directory = await mkdtemp(join(tmpdir(), "testferry-test-"))
    const central = child("central", module)
    try {
      const url = await openCentral(central, directory, null)
      await putAll(central, catalogue.bodies())
      const crowd = { module, url, clients: 5, processes: 2, organisations: ["0123"], patience: 60 }
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
