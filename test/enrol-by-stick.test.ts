/** Enrolment without a network: two trips of a stick, and whoever may have had it meanwhile (row 73). */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Result } from "effect"
import { importBundle } from "../application/import-bundle.ts"
import { makeReport } from "../application/make-report.ts"
import { blockDevice } from "../application/manage-clients.ts"
import { Clients, DeviceIdentity, Holdings } from "../application/ports.ts"
import type { Refused } from "../application/refused.ts"
import { approveWaiting, bringRequests, refuseWaiting } from "../application/waiting-devices.ts"
import { NAMESPACE, type Signed } from "../domain/enrolment.ts"
import { Digest, OrganisationId } from "../domain/id.ts"
import {
  devicesApprove,
  devicesApproveWaiting,
  devicesRequests,
  devicesWaiting
} from "../entrypoints/approve-commands.ts"
import { rootShow } from "../entrypoints/root-commands.ts"
import { enrolAccept, enrolAnswer, enrolRequest } from "../entrypoints/stick-enrol-commands.ts"
import type { CentralPorts, DevicePorts } from "../entrypoints/wiring.ts"
import { sign } from "../infrastructure/sshsig.ts"
import { freshFolder } from "./support/database.ts"
import * as Real from "./support/real-central.ts"
import { holder } from "./support/roots.ts"
import { freshCentral, freshDevice } from "./support/wired.ts"

const SCHOOL = OrganisationId.make("0123")

/** One side as it is wired; both sides of a test have adapters of their own. */
const side = <Ports>(layer: Layer.Layer<Ports, Refused>) =>
  Effect.map(Layer.build(Layer.fresh(layer)), (ports) => ({
    run: <A, E>(effect: Effect.Effect<A, E, Ports>) => Effect.provideContext(effect, ports)
  }))

const aDevice = side<DevicePorts>(freshDevice("node"))

const anOffice = Effect.gen(function* () {
  const office = yield* side<CentralPorts>(freshCentral("node"))
  yield* office.run(Real.importCenters([["School", SCHOOL]]))
  return office
})

type Side<Ports> = {
  readonly run: <A, E>(effect: Effect.Effect<A, E, Ports>) => Effect.Effect<A, E>
}

const ask = (device: Side<DevicePorts>, stick: string, name = "Room 7") =>
  device.run(enrolRequest.run({ name, to: stick }))

const requests = (office: Side<CentralPorts>, stick: string) =>
  Effect.map(office.run(devicesRequests.run({ from: stick })), (report) => report.requests)

/** Approves every request on the stick. */
const approveAll = Effect.fnUntraced(function* (
  office: Side<CentralPorts>,
  stick: string,
  organisation: OrganisationId | null = null
) {
  return yield* Effect.forEach(yield* requests(office, stick), ({ path, text }) =>
    office.run(devicesApprove.run({ from: stick, path, text, organisation }))
  )
})

const accept = Effect.fnUntraced(function* (device: Side<DevicePorts>, stick: string) {
  const { firstRoot } = yield* device.run(enrolAnswer.run({ from: stick }))
  return yield* device.run(enrolAccept.run({ from: stick, firstRoot }))
})

const bringOne = (note: Signed) =>
  Effect.map(bringRequests([note], "root"), ([outcome]) => ({ outcome }))

const codeOf = <A>(effect: Effect.Effect<A, Refused>) =>
  Effect.map(Effect.flip(effect), ({ code }) => code)

const notesOn = (stick: string) => fs.readdirSync(join(stick, "TESTFERRY/enrol")).sort()

describe("enrolment by stick", () => {
  it.live("takes two trips and no typing, and brings the first bundle along", () =>
    Effect.gen(function* () {
      const stick = yield* freshFolder()
      const office = yield* anOffice
      const device = yield* aDevice
      const asked = yield* ask(device, stick)
      const [request] = yield* requests(office, stick)
      assert.deepInclude(request, { name: "Room 7", words: asked.words, answered: false })
      assert.strictEqual(asked.words.split(" ").length, 8)

      const [approved] = yield* approveAll(office, stick)
      assert.deepInclude(approved, { organisations: [SCHOOL], bundle: null })
      const answer = yield* device.run(enrolAnswer.run({ from: stick }))
      const { words } = yield* office.run(rootShow.run({}))
      assert.deepInclude(answer, { words, isKnown: false })
      const membership = yield* accept(device, stick)
      assert.strictEqual(membership.device, approved?.device)
      assert.isTrue((yield* device.run(enrolAnswer.run({ from: stick }))).isKnown)

      const said = yield* device.run(
        Effect.flatMap(
          Effect.flatMap(DeviceIdentity, (identity) => identity.membership),
          (mine) => makeReport(Option.getOrThrow(mine))
        )
      )
      const alarms = ["fetched", "results-key"]
      assert.deepStrictEqual(said.own, { ledger: 0, open: 0, alarms }, "its own word on itself")

      const options = { dryRun: false, confirmRemovals: false, expiredAllowed: false }
      const imported = yield* device.run(importBundle(stick, options))
      assert.deepInclude(imported, { judgement: "apply", applied: true })
      const held = yield* device.run(Effect.flatMap(Holdings, (holdings) => holdings.count(SCHOOL)))
      assert.strictEqual(held.get("test-center"), 1)
      assert.deepStrictEqual(
        (yield* requests(office, stick)).map(({ answered }) => answered),
        [true]
      )
    }).pipe(Effect.scoped)
  )

  it.live("refuses a request that somebody changed, or signed with another key", () =>
    Effect.gen(function* () {
      const stick = yield* freshFolder()
      const office = yield* anOffice
      yield* ask(yield* aDevice, stick)
      const [request] = yield* requests(office, stick)
      const file = join(stick, "TESTFERRY", request?.path ?? "")
      const args = { from: stick, path: request?.path ?? "", organisation: null }
      const text = fs.readFileSync(file, "utf8")

      const swapped = text.replace("Room 7", "Room 8")
      fs.writeFileSync(file, swapped)
      assert.isNull((yield* requests(office, stick))[0]?.name)
      const approved = devicesApprove.run({ ...args, text: swapped })
      assert.strictEqual(yield* codeOf(office.run(approved)), "E_ENROL_POP")

      const other = sign(holder().key, NAMESPACE.enrolment, Buffer.from(text))
      fs.writeFileSync(file, text)
      fs.writeFileSync(`${file}.sig`, other)
      assert.strictEqual(
        yield* codeOf(office.run(devicesApprove.run({ ...args, text }))),
        "E_ENROL_POP"
      )
      assert.strictEqual(notesOn(stick).length, 2, "nothing was answered")
      const clients = yield* office.run(Effect.flatMap(Clients, (all) => all.list("device")))
      assert.deepStrictEqual(clients, [])
    }).pipe(Effect.scoped)
  )

  it.live("approves what was compared, and not what took its place meanwhile", () =>
    Effect.gen(function* () {
      const stick = yield* freshFolder()
      const office = yield* anOffice
      yield* ask(yield* aDevice, stick)
      const [compared] = yield* requests(office, stick)
      const impostor = yield* freshFolder()
      yield* ask(yield* aDevice, impostor)
      const [name] = notesOn(impostor)
      const from = join(impostor, "TESTFERRY/enrol", name ?? "")
      const to = join(stick, "TESTFERRY", compared?.path ?? "")
      for (const suffix of ["", ".sig"]) fs.copyFileSync(from + suffix, to + suffix)
      const { path = "", text = "" } = compared ?? {}
      const approved = devicesApprove.run({ from: stick, path, text, organisation: null })
      assert.strictEqual(yield* codeOf(office.run(approved)), "E_ENROL_POP")
    }).pipe(Effect.scoped)
  )

  it.live("does no harm a second time: the same key is the same device", () =>
    Effect.gen(function* () {
      const stick = yield* freshFolder()
      const office = yield* anOffice
      const device = yield* aDevice
      yield* ask(device, stick)
      const [first] = yield* approveAll(office, stick)
      yield* accept(device, stick)
      const [again] = yield* approveAll(office, stick)
      assert.strictEqual(again?.device, first?.device)
      yield* accept(device, stick)
      const clients = yield* office.run(Effect.flatMap(Clients, (all) => all.list("device")))
      assert.deepStrictEqual(
        clients.map(({ id, serial }) => `${id} ${serial}`),
        [`${first?.device} 2`]
      )
      yield* office.run(blockDevice(first?.device ?? "", "operator"))
      assert.strictEqual(yield* codeOf(approveAll(office, stick)), "E_DEVICE_BLOCKED")
    }).pipe(Effect.scoped)
  )

  it.live("gives each device on one stick its own answer", () =>
    Effect.gen(function* () {
      const stick = yield* freshFolder()
      const office = yield* anOffice
      const [one, two, stranger] = yield* Effect.all([aDevice, aDevice, aDevice])
      yield* ask(one, stick, "One")
      yield* ask(two, stick, "Two")
      yield* approveAll(office, stick)
      const first = yield* accept(one, stick)
      const second = yield* accept(two, stick)
      assert.notStrictEqual(first.device, second.device)
      assert.strictEqual(yield* codeOf(accept(stranger, stick)), "E_NO_ANSWER")
    }).pipe(Effect.scoped)
  )

  it.live("does not hand a device over to another central", () =>
    Effect.gen(function* () {
      const stick = yield* freshFolder()
      const device = yield* aDevice
      yield* ask(device, stick)
      yield* approveAll(yield* anOffice, stick)
      const { firstRoot } = yield* device.run(enrolAnswer.run({ from: stick }))
      const before = yield* accept(device, stick)

      const elsewhere = yield* freshFolder()
      yield* ask(device, elsewhere)
      yield* approveAll(yield* anOffice, elsewhere)
      const other = yield* device.run(enrolAnswer.run({ from: elsewhere }))
      assert.isFalse(other.isKnown)
      assert.strictEqual(yield* codeOf(accept(device, elsewhere)), "E_CENTRAL_INCONSISTENT")
      const swapped = enrolAccept.run({ from: elsewhere, firstRoot })
      assert.strictEqual(yield* codeOf(device.run(swapped)), "E_CENTRAL_INCONSISTENT")
      const own = yield* device.run(
        Effect.flatMap(DeviceIdentity, (identity) => identity.membership)
      )
      assert.strictEqual(Option.getOrThrow(own).device, before.device)
    }).pipe(Effect.scoped)
  )

  it.live(
    "approves what waits at central onto any stick, and has it wait on where that fails",
    () =>
      Effect.gen(function* () {
        const stick = yield* freshFolder()
        const office = yield* anOffice
        const device = yield* aDevice
        const asked = yield* ask(device, yield* freshFolder())
        const note = yield* device.run(
          Effect.flatMap(DeviceIdentity, (identity) => identity.request("Room 7", 1_000))
        )
        const { outcome } = yield* office.run(bringOne(note))
        assert.strictEqual(outcome, "waiting")
        const [one] = (yield* office.run(devicesWaiting.run({}))).waiting
        assert.deepInclude(one, { name: "Room 7", by: "root", createdAt: 1_000 })
        assert.notStrictEqual(one?.words, asked.words, "another request of the same device")
        const id = one?.id ?? Digest.make("0".repeat(64))
        const approveTo = (to: string) =>
          office.run(devicesApproveWaiting.run({ id, to, organisation: null }))
        const full = join(stick, "a file, no folder")
        fs.writeFileSync(full, "")
        assert.strictEqual(yield* codeOf(approveTo(full)), "E_MEDIA_IO")
        assert.strictEqual((yield* office.run(devicesWaiting.run({}))).waiting.length, 1)
        const approved = yield* approveTo(stick)
        assert.deepInclude(approved, { organisations: [SCHOOL], bundle: null })
        assert.strictEqual((yield* accept(device, stick)).device, approved.device)
        assert.strictEqual(yield* codeOf(approveTo(stick)), "E_NO_REQUEST")
        assert.deepStrictEqual((yield* office.run(devicesWaiting.run({}))).waiting, [])
      }).pipe(Effect.scoped)
  )

  it.live("lets administrators who are equally fast decide once, on a database of several", () =>
    Effect.gen(function* () {
      const office = yield* side<CentralPorts>(freshCentral("PostgreSQL"))
      yield* office.run(Real.importCenters([["School", SCHOOL]]))
      const device = yield* aDevice
      const note = yield* device.run(
        Effect.flatMap(DeviceIdentity, (identity) => identity.request("Room 7", 1_000))
      )
      yield* office.run(bringOne(note))
      const [one] = (yield* office.run(devicesWaiting.run({}))).waiting
      const id = one?.id ?? Digest.make("0".repeat(64))
      const approve = (who: string) =>
        approveWaiting(id, { organisation: SCHOOL, who, deliver: () => Effect.void })
      const refuse = refuseWaiting(id, { reason: "no", who: "rudi" })
      const ends = yield* Effect.all(
        [approve("root"), approve("riva"), refuse, approve("rosa")].map((decision) =>
          office.run(Effect.result<{ readonly state: string }, unknown, CentralPorts>(decision))
        ),
        { concurrency: 4 }
      )
      assert.strictEqual(ends.filter((end) => Result.isSuccess(end)).length, 1)
    }).pipe(Effect.scoped)
  )

  it.live("asks which organisation is meant, where there is none or more than one", () =>
    Effect.gen(function* () {
      const stick = yield* freshFolder()
      const office = yield* side<CentralPorts>(freshCentral("node"))
      yield* ask(yield* aDevice, stick)
      assert.strictEqual(yield* codeOf(approveAll(office, stick)), "E_ORGANISATION")
      yield* office.run(
        Real.importCenters([
          ["School", SCHOOL],
          ["Other", OrganisationId.make("123")]
        ])
      )
      const unclear = yield* Effect.flip(approveAll(office, stick))
      assert.include(unclear.todo, "0123, 123")
      const typo = approveAll(office, stick, OrganisationId.make("01234"))
      assert.strictEqual(yield* codeOf(typo), "E_ORGANISATION")
      const [approved] = yield* approveAll(office, stick, SCHOOL)
      assert.deepStrictEqual(approved?.organisations, [SCHOOL])
    }).pipe(Effect.scoped)
  )
})
