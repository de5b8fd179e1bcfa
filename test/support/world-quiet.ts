/**
 * How the simulated world comes to rest: faults stop, everybody goes home by stick and then by network,
 * and what was answered must be at central, and central must know what is not.
 */
import assert from "node:assert/strict"
import fs from "node:fs"
import path from "node:path"
import { Effect, Option, Stream } from "effect"
import { deliveriesComplete, devicesComplete } from "../../application/completeness.ts"
import { exportReport } from "../../application/export-report.ts"
import { DeviceIdentity } from "../../application/ports.ts"
import { OpenedResults } from "../../application/record-ports.ts"
import { keyText } from "../../domain/entity.ts"
import type { Digest } from "../../domain/id.ts"
import { SENT_BY_DEFAULT } from "../../domain/lifecycle.ts"
import { NO_OUTCOMES } from "../../domain/opening.ts"
import type { ResultDocument } from "../../domain/result.ts"
import { CUT } from "./courier.ts"
import { assertUnreadable, heldRows, offerRows } from "./observe.ts"
import { enrol, type Machine, type Rules, SECRET, type World } from "./world.ts"
import { HOUR, synchronise } from "./world-device.ts"
import { decrypt, releaseAll } from "./world-home.ts"
import { unblockAll } from "./world-office.ts"
import { assertLogins, assertMachine } from "./world-rules.ts"
import { endAll } from "./world-sittings.ts"
import { importFrom, receiveFrom, renewRoot, write } from "./world-sticks.ts"
import { assertTruth, note, outboxRows, recordRows } from "./world-truth.ts"

/** Faults stop: everybody synchronises twice, and then there is nothing left to do. */
export const quiet: Rules["quiet"] = Effect.fnUntraced(function* (world) {
  // Clocks are set right, and no moment that anybody saw is still to come.
  world.clock.move(world.latest - world.clock.currentTimeMillisUnsafe() + HOUR / 2)
  for (const { clock } of world.machines) {
    clock.move(world.clock.currentTimeMillisUnsafe() - clock.currentTimeMillisUnsafe())
  }
  yield* unblockAll(world)
  const machines = world.machines.filter(({ revoked }) => !revoked)
  for (const machine of machines) {
    const { line } = machine
    // A restored central may have forgotten that the device joined an organisation.
    for (const manager of new Set(machine.managers)) yield* enrol(world, machine, manager)
    line.trouble = undefined
    line.pageChanges = Number.POSITIVE_INFINITY
  }
  yield* quietBySticks(world)
  for (const machine of machines) {
    const { site } = machine
    // What only the results held that the first one sent home is let go by the second.
    for (const wanted of [["done", "unchanged"], ["done", "unchanged"], ["unchanged"]]) {
      const outcome = yield* synchronise(world, machine, { dryRun: false, confirmRemovals: true })
      const [first = ""] = outcome.split(" ")
      if (!wanted.includes(first))
        throw new Error(`${machine.name}, when all was quiet: ${outcome}`)
    }
    yield* assertLogins(world, machine)
    machine.rules.statusExecutionsToSync = SENT_BY_DEFAULT
    const locked = yield* endAll(world, machine)
    for (const wanted of ["done", "unchanged"]) {
      const last = yield* synchronise(world, machine, { dryRun: false, confirmRemovals: true })
      if (/^(failed|incomplete)/u.test(last)) throw new Error(`${machine.name}, ${wanted}: ${last}`)
    }
    if (locked > 0) continue
    const left = (yield* site.run(heldRows)).filter(({ held }) => held === 1)
    if (left.length > 0) throw new Error(`${machine.name} keeps back what nothing needs`)
  }
  yield* assertTruth(world)
  yield* assertHome(world)
})

/** Times that a stick goes there and back until a device is where central is, at most. */
const ROUNDS = 3

/** Without a network at all: sticks go back and forth, and then each device holds what is offered. */
const quietBySticks = Effect.fnUntraced(function* (world: World) {
  yield* renewRoot(world)
  const offers = yield* world.central.run(offerRows)
  for (const machine of world.machines.filter(({ revoked }) => !revoked)) {
    const stick = path.join(world.root, `${machine.name}-last`)
    fs.mkdirSync(stick)
    const said: Array<string> = []
    for (let round = 0; round < ROUNDS && !said.at(-1)?.includes("applied ("); round++) {
      yield* Effect.orDie(machine.site.run(exportReport({ ...CUT, to: stick })))
      said.push(yield* receiveFrom(world, stick))
      said.push(yield* write(world, machine, { to: stick }))
      const options = { dryRun: false, confirmRemovals: true, expiredAllowed: false }
      said.push(yield* importFrom(world, machine, stick, options))
      if (said.at(-1)?.includes(" not applied")) said.push("again")
    }
    assert.match(said.at(-1) ?? "", / applied \(/u, `${machine.name}: ${said.join(" | ")}`)
    yield* assertMachine(world, machine)
    yield* assertOffered(machine, offers)
  }
})

/** What is held is what is offered to the device's organisations. */
const assertOffered = Effect.fnUntraced(function* (
  { name, site }: Machine,
  offers: Effect.Success<typeof offerRows>
) {
  const membership = yield* site.run(Effect.flatMap(DeviceIdentity, (own) => own.membership))
  const mine = Option.getOrThrow(membership).organisations
  const held = (yield* site.run(heldRows)).filter((row) => row.held === 0)
  const wanted = offers.filter(
    ({ digest, organisation }) => digest !== null && mine.includes(organisation)
  )
  const text = (
    one: { organisation: string; digest: string | null } & Parameters<typeof keyText>[0]
  ) => `${one.organisation} ${keyText(one)} ${one.digest}`
  assert.deepEqual(held.map(text).sort(), wanted.map(text).sort(), name)
})

/** What was answered on a device that nothing befell is opened at central, once, as it was answered. */
const assertHome = Effect.fnUntraced(function* (world: World) {
  const { truth } = world
  if (!truth.happened.has("decrypted early"))
    assertUnreadable(world.central.directory, /zq\d+answer/)
  for (const stick of world.sticks) assertUnreadable(stick, SECRET)
  for (const site of [world.central, ...world.machines.map((one) => one.site)]) {
    assertNoKey(world, site.directory)
  }
  yield* releaseAll(world)
  // What the newest key does not open, those before it do.
  const first = yield* decrypt(world, truth.keys.slice(-1))
  note(world, "sealed to a retired key", first.counts["wrong-key"])
  const { counts } = yield* decrypt(world, truth.keys)
  assert.deepEqual({ ...counts, decrypted: 0, altered: 0, duplicate: 0 }, NO_OUTCOMES)
  const opened = yield* world.central.run(everyOpened)
  const found = opened.map(({ document, sha256 }) => `${sha256} ${answersOf(document).join()}`)
  const expected: Array<string> = []
  for (const [sha256, { answers, kind, machine }] of truth.made) {
    const isHere = truth.here.has(sha256)
    if (!isHere) assertMayBeMissing(world, sha256)
    if (isHere && kind === "result" && answers !== undefined) {
      expected.push(`${sha256} ${answers.join()}`)
      note(world, machine.revoked ? "opened of a revoked device" : "opened")
    }
  }
  assert.deepEqual(found.sort(), expected.sort())
  yield* assertComplete(world)
})

const everyOpened = Effect.flatMap(OpenedResults, (results) =>
  Effect.map(
    Stream.runCollect(results.list({ delivery: undefined, organisation: undefined })),
    (found) => [...found]
  )
)

const answersOf = ({ variables }: ResultDocument): ReadonlyArray<string> =>
  variables
    .flatMap((set) =>
      set.variables.flatMap(({ values }) => values?.map(({ value }) => value) ?? [])
    )
    .sort()

/** Lost with a disk, or on a device that may not speak any more. */
const assertMayBeMissing = (world: World, sha256: Digest) => {
  const { truth } = world
  const made = truth.made.get(sha256)
  const said = `the ${made?.kind} ${made?.id} of ${made?.machine.name} did not come home`
  assert.ok(truth.lost.has(sha256) || made?.machine.revoked, said)
}

/** Invariant 9: whoever reads results is not here. */
const assertNoKey = ({ truth }: World, folder: string) => {
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = path.join(folder, name)
    if (!fs.statSync(file).isFile()) continue
    const bytes = fs.readFileSync(file)
    for (const { id, identity } of truth.keys)
      assert.ok(!bytes.includes(identity), `${id} in ${name}`)
  }
}

/** Central says of each device exactly which numbers it lacks, and of each delivery what came. */
const assertComplete = Effect.fnUntraced(function* (world: World) {
  const records = (yield* world.central.run(recordRows)).filter(({ altered }) => altered === 0)
  const devices = yield* world.central.run(devicesComplete(undefined))
  for (const { line, name, revoked, site } of world.machines) {
    if (revoked) continue
    const mine = records.filter(({ device }) => device === line.client)
    const numbers = new Set(mine.map(({ number }) => number))
    const count = Math.max(0, ...(yield* site.run(outboxRows)).map(({ number }) => number))
    const said = devices.find(({ device }) => device === line.client)
    const missing = said?.missing.flatMap(({ from, to }) =>
      Array.from({ length: to - from + 1 }, (_, at) => from + at)
    )
    const lacking = Array.from({ length: count }, (_, at) => at + 1).filter((n) => !numbers.has(n))
    assert.deepEqual(
      missing?.filter((number) => number <= count),
      lacking,
      `missing of ${name}`
    )
    assert.equal(said?.received, numbers.size)
    assert.equal(said?.conflicts, mine.filter(({ conflict }) => conflict === 1).length)
    assert.equal(said?.quarantined, 0)
  }
  const sessions = new Set(
    records.filter(({ kind }) => kind === "test-session").map(({ id }) => id)
  )
  const deliveries = yield* world.central.run(deliveriesComplete(undefined))
  const sum = (count: (one: (typeof deliveries)[number]) => number) =>
    deliveries.reduce((total, one) => total + count(one), 0)
  assert.equal(
    sum((one) => one.here + one.missing.length + one.without),
    sessions.size
  )
})
