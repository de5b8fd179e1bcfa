/**
 * What travels on sticks in the simulated world: bundles there and reports home, on sticks that are
 * new, old, doubled, of somebody else, half or damaged, between clocks that are wrong by years.
 */
import assert from "node:assert/strict"
import fs from "node:fs"
import path from "node:path"
import { Effect, Exit, Option, Result } from "effect"
import { acceptRevocations } from "../../application/accept-revocations.ts"
import { acceptRoots } from "../../application/accept-roots.ts"
import { type BundleRefused, Standing, Streams } from "../../application/bundle-ports.ts"
import { changeRoot, ROTATED } from "../../application/change-root.ts"
import { type ExportOptions, exportToDevice } from "../../application/export-bundle.ts"
import { exportReport } from "../../application/export-report.ts"
import { hearReport } from "../../application/hear-report.ts"
import { type ImportOptions, importBundle } from "../../application/import-bundle.ts"
import { makeReport } from "../../application/make-report.ts"
import { revokeDevice } from "../../application/manage-clients.ts"
import { DeviceIdentity } from "../../application/ports.ts"
import { receiveBundles } from "../../application/receive-bundle.ts"
import { revoke } from "../../application/revoke.ts"
import { streamOf } from "../../domain/bundle-manifest.ts"
import { keyText } from "../../domain/entity.ts"
import { DeviceId } from "../../domain/id.ts"
import { parseVolumeName } from "../../domain/volume-name.ts"
import { CUT } from "./courier.ts"
import type { Dice } from "./dice.ts"
import { everything } from "./forge.ts"
import { heldRows, offerRows } from "./observe.ts"
import type { Machine, Rules, Step, World } from "./world.ts"
import { owes } from "./world-home.ts"
import { afterSync, assertMachine } from "./world-rules.ts"
import { note } from "./world-truth.ts"

/** Sticks in the drawer: few, so that they are written over, and old ones come back. */
const STICKS_MAX = 4
/** Volumes so small that some bundles have several. */
const SMALL_VOLUME = 34_000

const deviceOf = ({ line }: Machine) => DeviceId.make(line.client)

const anyStick = (world: World, dice: Dice): string => {
  const known = world.sticks[dice.below(STICKS_MAX)]
  if (known !== undefined) return known
  const stick = path.join(world.root, `stick${world.sticks.length}`)
  fs.mkdirSync(stick)
  world.sticks.push(stick)
  return stick
}

/** Mostly one with something for somebody, as people do. */
const stickFor = (world: World, dice: Dice, folder: string): string => {
  const some = world.sticks.filter((stick) => fs.existsSync(path.join(stick, "TESTFERRY", folder)))
  const chosen = dice.pick(some)
  return chosen === undefined || dice.chance(1, 6) ? anyStick(world, dice) : chosen
}

const codeOf = (error: BundleRefused | { readonly _tag: string }): string =>
  "code" in error ? error.code : error._tag

/** Central writes a bundle, and it is remembered what was offered then. */
export const write = Effect.fnUntraced(function* (
  world: World,
  machine: Machine,
  options: Partial<ExportOptions>
) {
  const device = deviceOf(machine)
  const result = yield* Effect.result(
    world.central.run(exportToDevice(device, { ...CUT, ...options }))
  )
  if (Result.isFailure(result)) return codeOf(result.failure)
  const offers = yield* world.central.run(offerRows)
  const told = new Map<string, Map<string, string>>()
  for (const { organisation } of result.success.feeds) {
    const live = offers.filter((one) => one.organisation === organisation)
    told.set(
      organisation,
      new Map(live.flatMap((one) => (one.digest === null ? [] : [[keyText(one), one.digest]])))
    )
  }
  const sent = yield* world.central.run(
    Effect.gen(function* () {
      const { document } = yield* Effect.flatMap(Standing, ({ root }) => root)
      const streams = yield* Streams
      return yield* streams.lastSent(streamOf("c2d", device), document.epoch)
    })
  )
  world.bundles.set(Option.getOrThrow(sent).manifest, told)
  const { base, mode, seq } = result.success
  return `${seq} ${mode} ${base}`
})

const exportSome: Step = Effect.fnUntraced(function* (world, dice) {
  const to = anyStick(world, dice)
  const full = dice.chance(1, 6)
  const volumeBytes = dice.chance(1, 3) ? SMALL_VOLUME : CUT.volumeBytes
  const written: Array<string> = []
  const chosen = dice.some(world.machines)
  for (const machine of chosen.length === 0 ? world.machines : chosen) {
    const small = yield* write(world, machine, { to, full, volumeBytes })
    // Many roots with results keys do not fit the smallest.
    const said = small === "E_VOL_TOO_BIG" ? yield* write(world, machine, { to, full }) : small
    if (!machine.revoked) assert.match(said, /^\d|E_REVOKED/u)
    written.push(`${machine.name} ${said}`)
  }
  return `${path.basename(to)}: ${written.join(", ")}`
})

/** What can happen to a stick on its way. Answers false where there is nothing that it can happen to. */
const MISHAPS: ReadonlyArray<readonly [name: string, happen: (volumes: Volumes) => boolean]> = [
  ["half", ([first]) => first !== undefined && remove(first)],
  [
    "swapped",
    ([first, second]) => {
      if (first === undefined || second === undefined) return false
      const aside = `${first}.aside`
      fs.renameSync(first, aside)
      fs.renameSync(second, first)
      fs.renameSync(aside, second)
      return true
    }
  ],
  [
    "doubled",
    ([first, second]) => {
      if (first === undefined || second === undefined) return false
      fs.copyFileSync(first, second)
      return true
    }
  ],
  ["cut off", ([first]) => first !== undefined && cutOff(first)],
  ["flipped", ([first]) => first !== undefined && flip(first)]
]

type Volumes = ReadonlyArray<string>

const remove = (file: string): boolean => {
  fs.rmSync(file)
  return true
}

const cutOff = (file: string): boolean => {
  fs.truncateSync(file, Math.floor(fs.statSync(file).size / 2))
  return true
}

/** Another byte in the index, which is the first of the parts. */
const flip = (file: string): boolean => {
  const bytes = fs.readFileSync(file)
  const at = bytes.indexOf("age-encryption.org/v1") + 100
  bytes[at] = (bytes[at] ?? 0) ^ 1
  fs.writeFileSync(file, bytes)
  return true
}

/** Volumes of one direction, of one device or of all, newest bundle first. */
const volumesOn = (stick: string, direction: string, device?: string): Volumes => {
  const folder = path.join(stick, "TESTFERRY", direction, device ?? "")
  if (!fs.existsSync(folder)) return []
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => parseVolumeName(path.basename(name)) !== undefined)
    .sort((a, b) => seqOf(b) - seqOf(a) || (a < b ? -1 : 1))
    .map((name) => path.join(folder, name))
}
const seqOf = (name: string) => parseVolumeName(path.basename(name))?.seq ?? 0

/** A copy of a stick to which something happened, or the stick itself. */
const onTheWay = (world: World, dice: Dice, stick: string, direction: string, device: string) => {
  const mishap = dice.chance(1, 3) ? dice.pick(MISHAPS) : undefined
  if (mishap === undefined) return { from: stick, mishap: "" }
  const from = path.join(world.root, `mishap${world.next()}`)
  fs.cpSync(stick, from, { recursive: true })
  const [name, happen] = mishap
  return { from, mishap: happen(volumesOn(from, direction, device)) ? ` ${name}` : "" }
}

const withoutRecords = ({ blobs, tables }: Effect.Success<ReturnType<typeof everything>>) => {
  const { executions: _executions, outbox: _outbox, ...rest } = tables
  return { blobs, tables: rest }
}

export const importFrom = Effect.fnUntraced(function* (
  world: World,
  machine: Machine,
  from: string,
  options: ImportOptions
) {
  const { site } = machine
  const before = yield* site.run(heldRows)
  const all = yield* everything(site)
  // A word of central's counts whatever becomes of the bundle beside it; but not in a rehearsal.
  const stays = options.dryRun ? all : withoutRecords(all)
  const is = Effect.map(everything(site), (now) => (options.dryRun ? now : withoutRecords(now)))
  const result = yield* Effect.result(site.run(importBundle(from, options)))
  if (Result.isFailure(result)) {
    assert.equal(result.failure._tag, "BundleRefused")
    assert.deepEqual(yield* is, stays, "a refusal changed something")
    return codeOf(result.failure)
  }
  const { ahead, applied, bundle, receipts, synced } = result.success
  note(world, "receipt by stick", receipts.heard)
  note(world, "settled by stick", receipts.acknowledged)
  if (bundle === null || Option.isNone(synced)) {
    assert.deepEqual(yield* is, stays, "what is applied was applied again")
    return `already, ${receipts.heard} receipts`
  }
  const told = bundle === null ? undefined : world.bundles.get(bundle.digest)
  assert.ok(told !== undefined, "a bundle that central never made")
  for (const [organisation, offers] of told) machine.told.set(organisation, offers)
  const { drifted, limited } = machine
  yield* afterSync(world, machine, {
    before,
    exit: Exit.succeed(synced.value),
    options: { dryRun: options.dryRun, confirmRemovals: options.confirmRemovals },
    mayMend: limited
  })
  const covered = synced.value.organisations.map(({ organisation }) => organisation)
  const mine = new Set((yield* site.run(heldRows)).map(({ organisation }) => organisation))
  // Only what the bundle spoke of was looked at.
  if (![...mine].every((one) => covered.includes(one))) {
    machine.drifted = drifted
    machine.limited = limited
  }
  if (options.dryRun) assert.deepEqual(yield* is, stays, "a rehearsal changed something")
  const each = synced.value.organisations.map(({ pulled }) =>
    Result.isFailure(pulled) ? pulled.failure._tag : `${pulled.success.head}`
  )
  const words = `${bundle?.manifest.seq} ${applied ? "applied" : "not applied"} (${each.join()})`
  return ahead.length === 0 ? words : `${words} ahead of ${ahead.length}`
})

const importSome: Step = Effect.fnUntraced(function* (world, dice) {
  const machine = dice.pick(world.machines)
  if (machine === undefined) return "no machine"
  const stick = stickFor(world, dice, `to-device/${deviceOf(machine)}`)
  const { from, mishap } = onTheWay(world, dice, stick, "to-device", deviceOf(machine))
  const said = yield* importFrom(world, machine, from, {
    dryRun: dice.chance(1, 8),
    confirmRemovals: dice.chance(3, 4),
    expiredAllowed: dice.chance(1, 2)
  })
  yield* assertMachine(world, machine)
  return `${machine.name} ${path.basename(stick)}${mishap}: ${said}`
})

/** A device writes down where it stands. */
const sendHome: Step = Effect.fnUntraced(function* (world, dice) {
  const owing = yield* Effect.filter(world.machines, owes)
  const machine = dice.pick(dice.chance(2, 3) && owing.length > 0 ? owing : world.machines)
  if (machine === undefined) return "no machine"
  const to = anyStick(world, dice)
  const { records, seq } = yield* Effect.orDie(machine.site.run(exportReport({ ...CUT, to })))
  note(world, "records on a stick", records)
  return `${machine.name} ${path.basename(to)}: ${seq} with ${records}`
})

export const receiveFrom = Effect.fnUntraced(function* (world: World, from: string) {
  const result = yield* Effect.result(world.central.run(receiveBundles(from)))
  if (Result.isFailure(result)) return codeOf(result.failure)
  const said = result.success.bundles.map(({ carried, device, result: one, seq }) => {
    note(world, "records by stick", carried.records)
    const name = world.machines.find(({ line }) => line.client === device)?.name ?? "nobody"
    const outcome = Result.isFailure(one)
      ? codeOf(one.failure)
      : "code" in one.success
        ? `put aside ${one.success.code}`
        : one.success.status
    note(world, `bundle home ${outcome}`)
    return `${name} ${seq} ${outcome} ${carried.records}`
  })
  return `${said.sort().join(", ")}; ${result.success.receipts} receipts`
})

const receiveSome: Step = Effect.fnUntraced(function* (world, dice) {
  const machine = dice.pick(world.machines)
  if (machine === undefined) return "no machine"
  const stick = stickFor(world, dice, `to-central/${deviceOf(machine)}`)
  const { from, mishap } = onTheWay(world, dice, stick, "to-central", deviceOf(machine))
  const said = yield* receiveFrom(world, from)
  if (mishap === "") assert.doesNotMatch(said, /\d E_/u, "central lost an intact bundle")
  return `${path.basename(stick)}${mishap}: ${said}`
})

const copyStick: Step = (world, dice) =>
  Effect.sync(() => {
    const from = anyStick(world, dice)
    const to = anyStick(world, dice)
    if (from !== to) fs.cpSync(from, to, { recursive: true })
    return `${path.basename(from)} onto ${path.basename(to)}`
  })

const rotate: Step = Effect.fnUntraced(function* (world, dice) {
  const names = dice.some(ROTATED)
  const newEpoch = dice.chance(1, 5)
  yield* Effect.orDie(
    world.central.run(changeRoot({ rotate: names, newEpoch, holders: undefined }))
  )
  return `${names.join()}${newEpoch ? " of a new epoch" : ""}`
})

/** A device for good, if enough are left, or a bundle by its name. */
const revokeSome: Step = Effect.fnUntraced(function* (world, dice) {
  yield* renewRoot(world)
  const machine = world.machines.at(-1)
  if (machine !== undefined && !machine.revoked && dice.chance(1, 2)) {
    const result = yield* Effect.result(
      world.central.run(revokeDevice(machine.line.client, "operator"))
    )
    machine.revoked = Result.isSuccess(result)
    return `${machine.name} ${machine.revoked}`
  }
  const id = `019ac0de-7d3a-7b11-9c55-${String(world.next()).padStart(12, "0")}`
  const lost = { type: "bundle", id, from: undefined, reason: "Lost." } as const
  const { version } = yield* Effect.orDie(world.central.run(revoke(lost)))
  return `bundle, list ${version}`
})

/** Whoever has a network tells central where they stand, and learns whom to trust. */
const talk: Step = Effect.fnUntraced(function* (world, dice) {
  const machine = dice.pick(world.machines.filter(({ revoked }) => !revoked))
  if (machine === undefined) return "no machine"
  const { chain, signed } = yield* world.central.run(
    Effect.gen(function* () {
      const standing = yield* Standing
      return { chain: yield* standing.chain, ...(yield* standing.revocations) }
    })
  )
  const learned = yield* Effect.result(
    machine.site.run(
      Effect.gen(function* () {
        yield* acceptRoots(chain, 0)
        if (signed !== null) yield* acceptRevocations(signed)
      })
    )
  )
  if (dice.chance(1, 2)) {
    const report = yield* machine.site.run(
      Effect.gen(function* () {
        const { membership } = yield* DeviceIdentity
        return yield* makeReport(Option.getOrThrow(yield* membership))
      })
    )
    yield* world.central.run(hearReport(report))
  }
  return `${machine.name} ${Result.isSuccess(learned) ? "learned" : codeOf(learned.failure)}`
})

const YEAR = 366 * 24 * 3_600_000
const wrongByYears: Step = (world, dice) =>
  Effect.sync(() => {
    const machine = dice.pick(world.machines)
    const years = dice.pick([-2, -1, 1, 2]) ?? 1
    machine?.clock.move(years * YEAR)
    return `${machine?.name} ${years} years`
  })

export const STICKS: Rules["commands"] = [
  [14, "export", exportSome],
  [22, "import", importSome],
  [12, "send home", sendHome],
  [12, "receive", receiveSome],
  [3, "copy stick", copyStick],
  [2, "rotate", rotate],
  [2, "revoke", revokeSome],
  [3, "talk", talk],
  [2, "wrong clock", wrongByYears]
]

/** A root that has run out is replaced by its holders, who are never far. */
export const renewRoot = (world: World) =>
  world.central.run(
    Effect.gen(function* () {
      const { document } = yield* Effect.flatMap(Standing, ({ root }) => root)
      if (document.expires > world.latest) return
      yield* changeRoot({ rotate: [], newEpoch: false, holders: undefined })
    }).pipe(Effect.orDie)
  )
