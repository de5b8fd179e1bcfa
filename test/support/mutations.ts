/**
 * Changes bytes of volumes and of age files at random, and gives them to their readers: what is
 * changed must never be taken for something else, and no reader may die of it or read on for ever.
 * Which bytes are changed follows from the number of the run.
 */
import assert from "node:assert/strict"
import fs from "node:fs"
import path from "node:path"
import { Cause, Effect, Exit, Option, Result, Stream } from "effect"
import { Incoming, Streams } from "../../application/bundle-ports.ts"
import { exportToDevice } from "../../application/export-bundle.ts"
import { exportReport } from "../../application/export-report.ts"
import { importBundle } from "../../application/import-bundle.ts"
import { Atomic } from "../../application/ports.ts"
import { receiveBundles } from "../../application/receive-bundle.ts"
import { filesOf, streamOf } from "../../domain/bundle-manifest.ts"
import type { Digest } from "../../domain/id.ts"
import { open as openAge } from "../../infrastructure/age-file.ts"
import { openStream } from "../../infrastructure/age-stream.ts"
import vectors from "../vectors/age.json" with { type: "json" }
import { CUT, GIVEN, idOf } from "./courier.ts"
import { type Dice, dice } from "./dice.ts"
import { fastFolder, scratch } from "./site.ts"
import * as Town from "./town.ts"
import { sha256 } from "./volumes.ts"

/** So small that the bundle has two volumes. */
const VOLUME_BYTES = 34_000

/** A hanging reader is told from a slow machine by this, which is thousands of times too long. */
const HANG = "60 seconds"

/** A town with a bundle for its device and one from it, as their volumes lie on two sticks. */
export const prepare = Effect.gen(function* () {
  const root = yield* scratch(fastFolder())
  const town = yield* Town.town
  yield* town.office(town.published("math", "words ".repeat(1_000)))
  const there = path.join(root, "there")
  const home = path.join(root, "home")
  for (const stick of [there, home]) fs.mkdirSync(stick)
  const options = { ...CUT, to: there, volumeBytes: VOLUME_BYTES }
  yield* town.office(exportToDevice(idOf(town), options))
  yield* town.on(exportReport({ ...CUT, to: home }))
  const untouched = yield* importIt(town, there)
  assert.ok(Exit.isSuccess(untouched), "the bundle is good before it is changed")
  assert.ok(untouched.value.bundle !== null)
  const { digest, manifest } = untouched.value.bundle
  const parts = new Map<string, string>()
  for (const { name } of filesOf(manifest)) parts.set(name, yield* waiting(town, digest, name))
  const received = yield* receiveIt(town, home)
  assert.equal(received.said, "received")
  return { town, there, home, digest, manifest, parts, received: received.head }
})

type Prepared = Effect.Success<typeof prepare>

const waiting = (town: Town.Town, digest: Digest, name: string) =>
  town.on(
    Effect.flatMap(Incoming, ({ read }) =>
      Effect.map(Stream.runCollect(read(digest, name)), (pieces) => sha256(Buffer.concat(pieces)))
    )
  )

/** As far as the device would go, in a transaction that is rolled back. */
const importIt = (town: Town.Town, stick: string) =>
  town
    .on(
      Effect.andThen(
        Effect.flatMap(Incoming, ({ sweep }) => sweep(undefined)),
        importBundle(stick, { ...GIVEN, dryRun: true })
      )
    )
    .pipe(Effect.timeout(HANG), Effect.exit)

/** All that central does, rolled back; and which bundle it then took for the device's newest. */
const receiveIt = (town: Town.Town, stick: string) =>
  town
    .office(
      Effect.gen(function* () {
        const atomic = yield* Atomic
        const streams = yield* Streams
        return yield* Effect.flip(
          atomic.run(
            Effect.gen(function* () {
              const { bundles } = yield* receiveBundles(stick)
              const state = yield* streams.received(streamOf("d2c", idOf(town)))
              const [only] = bundles
              const said =
                only === undefined
                  ? "nothing"
                  : Result.match(only.result, {
                      onFailure: ({ code }) => code,
                      onSuccess: (one) =>
                        one.status === "quarantined" ? `put aside ${one.code}` : one.status
                    })
              const head = Option.getOrUndefined(state)?.recent[0]?.digest
              return yield* Effect.fail({ said, head })
            })
          )
        )
      })
    )
    .pipe(
      Effect.timeout(HANG),
      Effect.map((found) => ("said" in found ? found : { said: found.code, head: undefined }))
    )

/** Changes one volume on the way to the device. Answers what the device said. */
export const mutateThere = Effect.fnUntraced(function* (prepared: Prepared, run: number) {
  const { digest, manifest, parts, there, town } = prepared
  const exit = yield* changed(there, run, importIt(town, there))
  if (Exit.isSuccess(exit)) {
    assert.equal(exit.value.bundle?.digest, digest, `run ${run}: another bundle was taken`)
    assert.ok(Option.isSome(exit.value.synced))
    for (const { name } of filesOf(manifest)) {
      const here = yield* waiting(town, digest, name)
      assert.equal(here, parts.get(name), `run ${run}: other bytes of ${name} were taken`)
    }
    return "taken as it was"
  }
  const failure = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  assert.equal(failure?._tag, "BundleRefused", `run ${run}: ${Cause.pretty(exit.cause)}`)
  return failure?._tag === "BundleRefused" ? failure.code : ""
})

/** Changes the volume on the way home. Answers what central said. */
export const mutateHome = Effect.fnUntraced(function* (prepared: Prepared, run: number) {
  const { home, received, town } = prepared
  const exit = yield* Effect.exit(changed(home, run, receiveIt(town, home)))
  assert.ok(Exit.isSuccess(exit), Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
  const { head, said } = exit.value
  if (said === "received") assert.equal(head, received, `run ${run}: another bundle was taken`)
  else assert.equal(head, undefined, `run ${run}: ${said}, and taken all the same`)
  return said === "received" ? "taken as it was" : said
})

/** Runs something while one volume on a stick is changed. */
const changed = <A, E, R>(stick: string, run: number, effect: Effect.Effect<A, E, R>) => {
  const volumes = fs
    .readdirSync(stick, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".zip"))
    .sort()
    .map((name) => path.join(stick, name))
  const thrown = dice("mutation", run)
  const file = thrown.pick(volumes) ?? ""
  return Effect.acquireUseRelease(
    Effect.sync(() => {
      const bytes = fs.readFileSync(file)
      fs.writeFileSync(file, mutated(bytes, thrown))
      return bytes
    }),
    () => effect,
    (bytes) => Effect.sync(() => fs.writeFileSync(file, bytes))
  )
}

/** Changes an age file that others made: it must open to the same, or not at all. */
export const mutateAge = Effect.fnUntraced(function* (run: number) {
  const thrown = dice("age", run)
  const whole = Object.values(vectors).filter(
    (one) => one.expect === "success" && !("compressed" in one)
  )
  const vector = thrown.pick(whole)
  if (vector === undefined || !("payload" in vector)) return "no vector"
  const file = mutated(Buffer.from(vector.file, "base64"), thrown)
  const identities = [vector.identity]
  const atOnce = yield* Effect.exit(openAge(identities, file).pipe(Effect.timeout(HANG)))
  const pieces = pieced(file, 1 + thrown.below(200))
  const streamed = yield* Stream.fromIterable(pieces).pipe(
    openStream(identities),
    Stream.runCollect,
    Effect.timeout(HANG),
    Effect.exit
  )
  const plain = Exit.isSuccess(atOnce) ? sha256(atOnce.value) : undefined
  const flowed = Exit.isSuccess(streamed) ? sha256(Buffer.concat(streamed.value)) : undefined
  assert.equal(flowed, plain, `run ${run}: the two readers do not agree`)
  if (plain !== undefined) assert.equal(plain, vector.payload, `run ${run}: another plaintext`)
  for (const exit of [Exit.asVoid(atOnce), Exit.asVoid(streamed)]) {
    if (Exit.isSuccess(exit)) continue
    const failure = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    assert.match(failure?._tag ?? "", /^Undecryptable$|^AgeInputRefused$/u, `run ${run}`)
  }
  return plain === undefined ? "refused" : "opened as it was"
})

const pieced = (bytes: Buffer, length: number): ReadonlyArray<Buffer> =>
  Array.from({ length: Math.ceil(bytes.length / length) }, (_, at) =>
    bytes.subarray(at * length, (at + 1) * length)
  )

/** Numbers that are read as lengths, offsets and counts. */
const EXTREMES = [0, 1, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff]

/** One to three changes, half of them where the structure is. */
const mutated = (original: Buffer, thrown: Dice): Buffer => {
  let bytes: Buffer = Buffer.from(original)
  for (let times = 1 + Math.floor(thrown.below(9) / 3) * thrown.below(2); times > 0; times--) {
    bytes = mutatedOnce(bytes, thrown, placeIn(bytes, thrown))
  }
  return bytes
}

/** Where a change goes: anywhere, or near one of the marks of zip, of age and of a manifest. */
const placeIn = (bytes: Buffer, thrown: Dice): number => {
  const mark = Buffer.from(thrown.pick(MARKS) ?? "", "latin1")
  const from = thrown.chance(1, 2) ? bytes.indexOf(mark, thrown.below(bytes.length)) : -1
  const near = from < 0 ? thrown.below(bytes.length) : from + thrown.below(60)
  return Math.min(Math.max(0, near), Math.max(0, bytes.length - 1))
}

const MARKS = [
  ...["PK\u0001\u0002", "PK\u0003\u0004", "PK\u0005\u0006", "PK\u0007\u0008"],
  ...["age-encryption", "-> X25519", "\n---", '"parts"', '"seq"', "BEGIN SSH", "manifest.json"]
]

const mutatedOnce = (bytes: Buffer, thrown: Dice, at: number): Buffer => {
  switch (thrown.below(10)) {
    case 0: {
      const extreme = thrown.pick(EXTREMES) ?? 0
      if (at + 4 <= bytes.length) bytes.writeUInt32LE(extreme, at)
      return bytes
    }
    case 1:
      if (at + 2 <= bytes.length) bytes.writeUInt16LE((thrown.pick(EXTREMES) ?? 0) & 0xffff, at)
      return bytes
    case 2:
      return bytes.subarray(0, at)
    case 3:
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.of(thrown.below(256)),
        bytes.subarray(at)
      ])
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + thrown.below(40))])
    case 5: {
      const from = thrown.below(bytes.length || 1)
      bytes.copy(bytes, at, from, from + thrown.below(200))
      return bytes
    }
    default:
      bytes[at] = (bytes[at] ?? 0) ^ (1 + thrown.below(255))
      return bytes
  }
}
