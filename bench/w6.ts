/**
 * W6, bundles: packages full of media are published, cut into a bundle, verified and imported; then
 * one per cent of them changes, and then hardly anything. Each step is a process of its own; other
 * programs do the nearest thing to it on the same packages in the same run.
 */
import { fork } from "node:child_process"
import fs from "node:fs"
import { loadavg, tmpdir } from "node:os"
import path from "node:path"
import { Schema } from "effect"
import { freeAt } from "../infrastructure/file-bytes.ts"
import { makePackage } from "./w6-packages.ts"
import { type Peers, runPeers } from "./w6-peers.ts"
import { type Given, type Step, Took } from "./w6-steps.ts"

export interface W6Options {
  /** Of all packages together. */
  readonly bytes: number
  /** One package in the place of many. */
  readonly single: boolean
}

const PACKAGES = 100
/** Packages, sealed packages at central, the bundle, the device's copy; one more for a peer. */
const SPACE_FACTOR = 5
const TAKERS = Array.from({ length: 10 }, (_, at) => `taker${at + 1}`)
/** The largest that a package without ZIP64 may be; larger ones are published unseen. */
const ZIP_BYTES_MAX = 2 ** 32 - 1

export const runW6 = async ({ bytes, single }: W6Options): Promise<void> => {
  const free = freeAt(tmpdir())
  if (free < bytes * SPACE_FACTOR) {
    throw new Error(`${mib(bytes * SPACE_FACTOR)} are needed in ${tmpdir()}, ${mib(free)} are free`)
  }
  const root = fs.mkdtempSync(path.join(tmpdir(), "testferry-w6-"))
  const before = loadavg()[0] ?? 0
  try {
    const took = new Map<string, Took>()
    const files = await makePackages(root, bytes, single ? 1 : PACKAGES)
    await ferry(root, files, single, took)
    if (!single) {
      for (const [name, one] of await besides(root, files)) took.set(name, one)
    }
    console.log(table(took))
    console.log(
      `1-minute load ${before.toFixed(2)} before, ${(loadavg()[0] ?? 0).toFixed(2)} after`
    )
  } finally {
    fs.rmSync(root, { recursive: true, force: true })
  }
}

type Files = Given["files"]

const makePackages = async (root: string, bytes: number, count: number): Promise<Files> => {
  const folder = path.join(root, "packages")
  fs.mkdirSync(folder)
  const files = Array.from({ length: count }, (_, at) => ({
    id: `films${at + 1}`,
    file: path.join(folder, `films${at + 1}.zip`)
  }))
  for (const { file, id } of files) await makePackage(file, Math.floor(bytes / count), id)
  return files
}

/** The first bundle, one after a change of one per cent, one after a change of one person. */
const ferry = async (root: string, files: Files, single: boolean, took: Map<string, Took>) => {
  const place = {
    central: path.join(root, "central"),
    device: path.join(root, "device"),
    stick: path.join(root, "stick")
  }
  fs.mkdirSync(place.stick)
  const huge = files.some(({ file }) => fs.statSync(file).size > ZIP_BYTES_MAX)
  const given: Given = { ...place, files, takers: TAKERS, huge }
  const timed = async (name: string, step: Step, changes: Partial<Given> = {}) => {
    const one = await inChild(step, { ...given, ...changes })
    took.set(name, one)
    console.log(row(name, one).join("  "))
  }
  await inChild("setup", given)
  await inChild("people", given)
  await timed("publish", "publish")
  await inChild("seats", given)
  await timed("full: build", "export")
  await timed("full: verify", "verify")
  await timed("full: import", "import")
  await home(given)
  const [first] = files
  if (!single && first !== undefined) {
    const other = { ...first, file: path.join(root, "other.zip") }
    await makePackage(other.file, fs.statSync(first.file).size, "another")
    await timed("1 %: publish", "publish", { files: [other] })
    await join(given, files.slice(0, 1), ["extra1", "extra2", "extra3"])
    await timed("1 %: build", "export")
    await timed("1 %: verify", "verify")
    await timed("1 %: import", "import")
    await home(given)
  }
  await join(given, files.slice(0, 1), ["last1"])
  await timed("small: build", "export")
  await timed("small: import", "import")
}

/** The device's answer, without which central would send everything again. */
const home = async (given: Given) => {
  await inChild("report", given)
  await inChild("receive", given)
}

const join = async (given: Given, files: Files, extra: ReadonlyArray<string>) => {
  await inChild("people", { ...given, takers: extra })
  await inChild("seats", { ...given, files, takers: [...TAKERS, ...extra] })
}

const inChild = (step: Step, given: Given): Promise<Took> => {
  const { promise, reject, resolve } = Promise.withResolvers<Took>()
  const child = fork(new URL("w6-steps.ts", import.meta.url), [step, JSON.stringify(given)])
  child.on("message", (message) => resolve(Schema.decodeUnknownSync(Took)(message)))
  child.on("error", reject)
  child.on("exit", (code) => reject(new Error(`${step} ended with ${code}`)))
  return promise
}

const besides = async (root: string, files: Files) => {
  const packages = path.join(root, "packages")
  const joined = path.join(root, "joined")
  for (const { file } of files) await appendTo(joined, file)
  const peers: Peers = { packages, joined, scratch: path.join(root, "peer") }
  const [first] = files
  if (first === undefined) throw new Error("no packages")
  const kept = path.join(root, "kept.zip")
  fs.copyFileSync(first.file, kept)
  return runPeers(peers, {
    change: () => fs.copyFileSync(path.join(root, "other.zip"), first.file),
    restore: () => fs.copyFileSync(kept, first.file)
  })
}

const appendTo = async (target: string, file: string) => {
  const out = fs.createWriteStream(target, { flags: "a" })
  const { promise, reject, resolve } = Promise.withResolvers<void>()
  fs.createReadStream(file, { highWaterMark: 1_048_576 }).on("error", reject).pipe(out)
  out.on("error", reject).on("close", resolve)
  return promise
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 3 : 0)} MiB`

const row = (name: string, { bytes, cpu, note, peakRss, seconds }: Took): ReadonlyArray<string> => [
  name.padEnd(30),
  `${seconds.toFixed(2)} s`.padStart(9),
  `${cpu.toFixed(2)} s`.padStart(9),
  mib(bytes).padStart(11),
  mib(peakRss).padStart(8),
  note
]

const table = (took: ReadonlyMap<string, Took>): string => {
  const age = took.get("age, flush")
  const full = took.get("full: build")
  const ratios = [...took].map(([name, one]) =>
    [
      ...row(name, one).slice(0, 5),
      (age === undefined ? "-" : (one.seconds / age.seconds).toFixed(2)).padStart(7),
      (age === undefined ? "-" : (one.cpu / age.cpu).toFixed(2)).padStart(7),
      (full === undefined ? "-" : `${((100 * one.bytes) / full.bytes).toFixed(3)} %`).padStart(10),
      one.note
    ].join("  ")
  )
  const head = [
    "W6 bundles".padEnd(30),
    ...["time", "processor"].map((name) => name.padStart(9)),
    "bytes".padStart(11),
    "peak RSS".padStart(8),
    ...["x age", "x cpu"].map((name) => name.padStart(7)),
    "of full".padStart(10)
  ]
  return ["", head.join("  "), ...ratios].join("\n")
}

/** Reads a size as people write it: 512MiB, 2GiB, or a number of bytes. */
export const readBytes = (text: string): number => {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(KiB|MiB|GiB)?$/u.exec(text) ?? []
  const factor = { "": 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[unit]
  if (number === "" || factor === undefined) throw new Error(`${text} is no size, as 2GiB is one`)
  return Math.floor(Number(number) * factor)
}
