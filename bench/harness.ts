/**
 * Measures contenders side by side: every repetition runs each of them once from nothing, in
 * rotated order, so that a noisy neighbour or a warm disk hits all of them alike. What a device
 * holds afterwards is compared with what central has: a contender that loses or invents an entity
 * stops the run.
 */
import { createHash } from "node:crypto"
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os"
import type { Body, Changes } from "./bodies.ts"

/**
 * One synchronisation. `entities` counts what it changed on the device; `bytes` what crossed the
 * socket in both directions, headers and TLS included; `peakRss` is the high-water mark in bytes of
 * the device's process since its start: after the first synchronisation it includes reading
 * everything for the comparison, and says nothing more.
 */
export interface Measure {
  readonly seconds: number
  readonly entities: number
  readonly bytes: number
  readonly requests: number
  readonly peakRss: number
}

/** What a device holds: how many entities, and `digestOf` them. */
export interface Holding {
  readonly entities: number
  readonly digest: string
}

/**
 * A way to bring a catalogue from central to a device. The harness calls `prepare`, `first`,
 * `noChange`, `delta` in this order, `holds` in between and `close` at the end, also after a
 * failure; then it may start again with `prepare`, from nothing. Only the device's own work from
 * asking to durably stored belongs into `seconds`; starting processes does not.
 */
export interface Contender {
  readonly name: string
  /** Starts central with the entities, and an empty device. */
  prepare(bodies: Iterable<Body>): Promise<void>
  /** The first synchronisation of the device. */
  first(): Promise<Measure>
  /** A synchronisation with nothing to do. */
  noChange(): Promise<Measure>
  /** Changes central, untimed, then synchronises. */
  delta(changes: Changes): Promise<Measure>
  holds(): Promise<Holding>
  /** What central offers, where that is not what it was given (it seals some of it); else null. */
  offers(): Promise<Holding | null>
  close(): Promise<void>
}

export const WORKLOADS = ["w1", "w2", "w3"] as const
export type Workload = (typeof WORKLOADS)[number]

/** One repetition of one contender. `load` is the machine's load average (1 minute) before it. */
export interface Sample {
  readonly contender: string
  readonly run: number
  readonly load: number
  readonly measures: Readonly<Partial<Record<Workload, Measure>>>
}

/** More would not make the median steadier on a shared machine. */
export const RUNS_MAX = 50

/** Runs every contender `runs` times as far as the last of the workloads asks for. */
export const repeat = async (
  contenders: ReadonlyArray<Contender>,
  runs: number,
  workloads: ReadonlyArray<Workload>,
  catalogue: { readonly bodies: () => Iterable<Body>; readonly changes: Changes },
  report: (sample: Sample) => void
): Promise<ReadonlyArray<Sample>> => {
  const expected = expectation(catalogue.bodies(), catalogue.changes)
  const samples: Array<Sample> = []
  for (let run = 0; run < runs; run++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(run + turn) % contenders.length]!
      const load = loadavg()[0] ?? 0
      try {
        await contender.prepare(catalogue.bodies())
        const measures = await measure(contender, workloads, catalogue.changes, expected)
        const sample = { contender: contender.name, run, load, measures }
        samples.push(sample)
        report(sample)
      } finally {
        await contender.close()
      }
    }
  }
  return samples
}

interface Expectation {
  readonly first: Holding
  readonly delta: Holding
}

const measure = async (
  contender: Contender,
  workloads: ReadonlyArray<Workload>,
  changes: Changes,
  expected: Expectation
): Promise<Sample["measures"]> => {
  const measures: Partial<Record<Workload, Measure>> = {}
  const first = await contender.first()
  await verify(contender, first.entities, expected.first.entities, expected.first)
  if (workloads.includes("w1")) measures.w1 = first
  if (workloads.includes("w2")) {
    measures.w2 = await contender.noChange()
    await verify(contender, measures.w2.entities, 0, expected.first)
  }
  if (workloads.includes("w3")) {
    measures.w3 = await contender.delta(changes)
    const changed = changes.put.length + changes.remove.length
    await verify(contender, measures.w3.entities, changed, expected.delta)
  }
  return measures
}

const verify = async (contender: Contender, moved: number, due: number, expected: Holding) => {
  if (moved !== due) throw new Error(`${contender.name} moved ${moved} entities instead of ${due}`)
  const held = await contender.holds()
  const { digest } = (await contender.offers()) ?? expected
  if (held.digest !== digest || held.entities !== expected.entities)
    throw new Error(
      `${contender.name} holds other entities than central: ${held.entities}, expected ${expected.entities}`
    )
}

const expectation = (bodies: Iterable<Body>, changes: Changes): Expectation => {
  const entities = new Map(Array.from(bodies, ({ id, body }) => [id, body]))
  const first = holdingOf(entities)
  for (const { id, body } of changes.put) entities.set(id, body)
  for (const id of changes.remove) entities.delete(id)
  return { first, delta: holdingOf(entities) }
}

/** What a device with these entities holds: SHA-256 over ids and bodies in order of id. */
export const holdingOf = (bodyById: ReadonlyMap<string, string>): Holding => {
  const hash = createHash("sha256")
  for (const id of [...bodyById.keys()].sort()) hash.update(`${id}\n${bodyById.get(id)}\n`)
  return { entities: bodyById.size, digest: hash.digest("hex") }
}

/** The median of each figure of a contender's samples, or undefined when it has none. */
export const medianOf = (
  samples: ReadonlyArray<Sample>,
  contender: string,
  workload: Workload
): Measure | undefined => {
  const measures = samples
    .filter((sample) => sample.contender === contender)
    .flatMap((sample) => sample.measures[workload] ?? [])
  if (measures.length === 0) return undefined
  const middle = (key: keyof Measure) => median(measures.map((each) => each[key]))
  return {
    seconds: middle("seconds"),
    entities: middle("entities"),
    bytes: middle("bytes"),
    requests: middle("requests"),
    peakRss: middle("peakRss")
  }
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Facts without which no figure can be compared with another day's. */
export const machine = () => ({
  cores: availableParallelism(),
  processor: cpus()[0]?.model.trim() ?? "unknown",
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
  date: new Date().toISOString(),
  loadAtStart: loadavg().map((load) => Math.round(load * 100) / 100)
})
