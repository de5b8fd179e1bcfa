import { tmpdir } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { beginAnew } from "../application/begin-anew.ts"
import { Streams } from "../application/bundle-ports.ts"
import { exportToOrganisation } from "../application/export-bundle.ts"
import { Blobs, Feeds, Hashing, Holdings } from "../application/ports.ts"
import { streamOf } from "../domain/bundle-manifest.ts"
import { START } from "../domain/feed.ts"
import { OrganisationId } from "../domain/id.ts"
import {
  CUT,
  comeHome,
  cutFor,
  give,
  history,
  idOf,
  roundTrip,
  sendHome
} from "./support/courier.ts"
import { everything } from "./support/forge.ts"
import * as Observe from "./support/observe.ts"
import * as Office from "./support/office.ts"
import { scratch } from "./support/site.ts"
import { copyOf, newStick, withStick } from "./support/stick.ts"
import * as Town from "./support/town.ts"
import { HALL, ORGANISATION, TAKERS } from "./support/town.ts"

/** What the device holds is what central offers, resolves, and can be read whole. */
const assertEqual = Effect.fnUntraced(function* ({ office, on }: Pick<Town.Town, "office" | "on">) {
  assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
  const rows = yield* on(Observe.heldRows)
  const { sha256 } = yield* on(Hashing)
  Observe.assertSound(rows, sha256)
  Observe.assertResolves(rows)
  const blobs = yield* office(Effect.flatMap(Feeds, (feeds) => feeds.blobs([ORGANISATION])))
  for (const blob of blobs) {
    assert.isTrue(yield* on(Effect.flatMap(Blobs, ({ has }) => has(blob))), `${blob} is here`)
  }
})

const addTaker = (login: string) => (town: Town.Town) =>
  town.office(
    Effect.andThen(
      Office.people("test-taker", [{ login }]),
      Office.eligible(HALL, "math", [...TAKERS, login])
    )
  )

const outcome = ({ synced }: Effect.Success<ReturnType<typeof give>>) =>
  Option.getOrThrow(synced).outcome

const cursorHere = Effect.flatMap(Holdings, ({ cursor }) => cursor(ORGANISATION))

describe("a bundle", () => {
  it.live("brings everything to a device that never saw a network, and only news afterwards", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const first = yield* roundTrip(town)
      assert.strictEqual(first.exported.mode, "full")
      assert.strictEqual(first.exported.seq, 1)
      assert.isTrue(first.imported.applied)
      assert.isTrue(first.imported.receiptWritten)
      yield* assertEqual(town)

      yield* addTaker("dora")(town)
      const second = yield* roundTrip(town)
      assert.strictEqual(second.exported.mode, "delta")
      assert.strictEqual(second.exported.base, 1)
      assert.deepInclude(second.exported.contents, { brought: 0, held: 1 })
      assert.isBelow(second.exported.bytes, first.exported.bytes)
      yield* assertEqual(town)

      const third = yield* roundTrip(town)
      assert.deepStrictEqual(
        third.exported.feeds.map(({ counts }) => counts.size),
        [0]
      )
      assert.strictEqual(outcome(third.imported), "unchanged")
      yield* assertEqual(town)
    })
  )

  it.live("and central itself mix: each goes on where the other stopped", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* roundTrip(town)
      yield* addTaker("dora")(town)
      const late = newStick()
      yield* cutFor(town, late)
      yield* town.office(town.published("math", "two and two"))
      assert.strictEqual((yield* town.on(Town.synced())).outcome, "done")
      yield* assertEqual(town)
      const before = yield* town.on(cursorHere)
      // The stick was overtaken: it counts as applied, and takes nothing back.
      const imported = yield* give(town, late)
      assert.deepStrictEqual(imported.ahead, [ORGANISATION])
      assert.isTrue(imported.applied)
      assert.deepStrictEqual(yield* town.on(cursorHere), before)
      yield* assertEqual(town)
      yield* addTaker("emil")(town)
      const next = newStick()
      yield* sendHome(town, next)
      yield* comeHome(town, next)
      const exported = yield* cutFor(town, next)
      assert.strictEqual(exported.feeds[0]?.base, before.version)
      yield* give(town, next)
      yield* assertEqual(town)
      assert.strictEqual((yield* town.on(Town.synced())).outcome, "unchanged")
    })
  )

  it.live("that is late, doubled or out of order changes nothing", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const first = newStick()
      yield* cutFor(town, first)
      yield* addTaker("dora")(town)
      const second = newStick()
      const exported = yield* cutFor(town, second)
      // Nothing was heard of the first: the second needs it for nothing.
      assert.deepInclude(exported, { mode: "full", seq: 2 })
      assert.isTrue((yield* give(town, second)).applied)
      const before = yield* everything(town.device)
      const refused = yield* Effect.flip(give(town, first))
      assert.deepInclude(refused, { _tag: "BundleRefused", code: "E_ROLLBACK" })
      const again = yield* give(town, copyOf({ ...second, notes: new Map() }))
      assert.deepInclude(again, { judgement: "already applied", receiptWritten: true })
      assert.deepStrictEqual(yield* everything(town.device), before)
      yield* assertEqual(town)
    })
  )

  it.live("comes in pieces: what is here is kept, and what is missing is named", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* town.office(town.published("art", "x".repeat(40_000)))
      yield* town.office(Office.eligible(HALL, "art", TAKERS))
      const whole = newStick()
      const exported = yield* cutFor(town, whole, { volumeBytes: 70_000 })
      assert.isAtLeast(exported.volumes, 2)
      const halves = [1, 2].map((kept) => {
        const half = copyOf(whole)
        for (const volume of [...half.bundles[0]!.volumes.keys()]) {
          if ((volume === 1) !== (kept === 1)) half.bundles[0]?.volumes.delete(volume)
        }
        return half
      })
      const before = yield* everything(town.device)
      const [one, other] = halves
      const refused = yield* Effect.flip(give(town, one!))
      assert.deepInclude(refused, { _tag: "BundleRefused", code: "E_VOLUME_MISSING" })
      if (refused._tag === "BundleRefused") {
        assert.deepStrictEqual([...refused.missing], [...other!.bundles[0]!.volumes.keys()])
      }
      assert.deepStrictEqual(yield* everything(town.device), before)
      assert.isTrue((yield* give(town, other!)).applied)
      yield* assertEqual(town)
    })
  )

  it.live("is read on where a failing stick was left, and all damage is named at once", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const good = newStick()
      yield* cutFor(town, good)
      const bad = copyOf(good)
      const parts = bad.bundles[0]!.volumes.get(1)!
      const damaged = new Uint8Array(parts.get("p/000001.age")!)
      damaged[5_000] = damaged[5_000]! ^ 1
      parts.set("p/000001.age", damaged)
      bad.readFails = (part, offset) => part === "p/000002.age" && offset === 0
      const before = yield* everything(town.device)
      const refused = yield* Effect.flip(give(town, bad))
      assert.strictEqual(refused._tag, "BundleRefused")
      if (refused._tag !== "BundleRefused") return
      assert.deepStrictEqual(refused.damages, [
        {
          code: "E_PART_DIGEST",
          volume: 1,
          part: "p/000001.age",
          segment: 1,
          from: 4_096,
          to: 8_191
        },
        {
          code: "E_MEDIA_IO",
          volume: 1,
          part: "p/000002.age",
          segment: 0,
          from: 0,
          to: Math.min(4_096, parts.get("p/000002.age")!.length) - 1
        }
      ])
      assert.deepStrictEqual(yield* everything(town.device), before)
      assert.isTrue((yield* give(town, good)).applied)
      assert.deepStrictEqual([...good.reads.keys()], ["p/000001.age 4096", "p/000002.age 0"])
      yield* assertEqual(town)
    })
  )

  it.live("brings each of two organisations its own, and stops only where it must", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const other = OrganisationId.make("123")
      yield* town.office(Office.people("sync-manager", [{ login: "otto", organisation: other }]))
      yield* town.office(Office.center(other, "Attic"))
      yield* roundTrip(town)
      // The device joins the second organisation at central; the stick brings the certificate.
      const { device, line } = yield* Town.anotherDevice(town.root, town.central, "second", "mia")
      const pair = { central: town.central, device, line }
      yield* roundTrip(pair)
      yield* Office.enrolDevice(town.central, device, line, {
        login: "otto",
        password: Office.passwordOf("otto")
      })
      const joined = yield* roundTrip(pair)
      assert.deepStrictEqual(
        joined.exported.feeds.map(({ base }) => base > 0),
        [true, false]
      )
      assert.strictEqual(joined.exported.mode, "delta")
      assert.isTrue(joined.imported.applied)
      const rows = yield* device.run(Observe.heldRows)
      assert.isAbove(Observe.keysIn(rows, other, 0).length, 0)
      // One stick for everybody of a school.
      const stick = newStick()
      const all = yield* town.office(exportToOrganisation(ORGANISATION, CUT).pipe(withStick(stick)))
      assert.isTrue(all.every(({ exported }) => Result.isSuccess(exported)))
      assert.lengthOf(stick.bundles, 2)
      assert.isTrue((yield* give(town, stick)).applied)
      assert.isTrue((yield* give(pair, stick)).applied)
    })
  )

  it.live("of changes is refused where something is missing, and the next one is full", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const folder = yield* scratch(tmpdir())
      const first = newStick()
      yield* cutFor(town, first)
      yield* give(town, first)
      town.device.copyTo(folder)
      yield* addTaker("dora")(town)
      yield* sendHome(town, first)
      yield* comeHome(town, first)
      yield* roundTrip(town)
      yield* addTaker("emil")(town)
      const delta = newStick()
      assert.strictEqual((yield* cutFor(town, delta)).mode, "delta")
      // The machine is set back to what it was after the first stick.
      yield* town.device.reopen(town.device.restoreFrom(folder))
      const refused = yield* Effect.flip(give(town, delta))
      assert.deepInclude(refused, { _tag: "BundleRefused", code: "E_GAP" })
      // What it now says of itself contradicts what central has from it: put aside, not believed.
      const home = newStick()
      yield* sendHome(town, home)
      const [received] = (yield* comeHome(town, home)).bundles
      assert.deepStrictEqual(
        received?.result,
        Result.succeed({
          status: "quarantined",
          code: "E_STREAM_FORK"
        })
      )
      const healing = yield* roundTrip(town)
      assert.strictEqual(healing.exported.mode, "full")
      assert.isTrue(healing.imported.applied)
      yield* assertEqual(town)
      // And its own stream goes on where central saw it.
      assert.deepStrictEqual(
        healing.received.bundles.map(({ result }) => result),
        [Result.succeed({ status: "received" as const })]
      )
      assert.strictEqual((yield* roundTrip(town)).exported.mode, "delta")
    })
  )

  it.live("of a new life of central replaces all, and one of an earlier life is refused", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* roundTrip(town)
      const old = newStick()
      yield* cutFor(town, old, { full: true })
      yield* town.office(beginAnew)
      yield* addTaker("dora")(town)
      const anew = newStick()
      assert.strictEqual((yield* cutFor(town, anew)).mode, "full")
      yield* town.on(Town.synced())
      const before = yield* everything(town.device)
      const refused = yield* Effect.flip(give(town, old))
      assert.deepInclude(refused, { _tag: "BundleRefused", code: "E_EPOCH" })
      assert.deepStrictEqual(yield* everything(town.device), before)
      assert.isTrue((yield* give(town, anew)).applied)
      yield* assertEqual(town)
    })
  )

  it.live("takes up what an interrupted fetch left, or drops it where it does not fit", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const stick = newStick()
      yield* cutFor(town, stick)
      yield* addTaker("dora")(town)
      // Cut off after a few pages of a newer state than the stick has.
      town.line.pageChanges = 2
      const { head } = yield* town.office(
        Effect.flatMap(Feeds, ({ page }) => page(ORGANISATION, START))
      )
      town.line.trouble = { at: town.line.calls + Math.floor(head / 2), what: "cut" }
      yield* Effect.exit(town.on(Town.synced()))
      town.line.trouble = undefined
      assert.isTrue((yield* give(town, stick)).applied)
      assert.strictEqual((yield* town.on(Town.synced())).outcome, "done")
      yield* assertEqual(town)
    })
  )

  it.live("shows in a dry run what it would do, and leaves everything as it was", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const stick = newStick()
      const planned = yield* cutFor(town, stick, { dryRun: true })
      assert.isTrue(Option.isNone(planned.written))
      assert.lengthOf(stick.bundles, 0)
      const exported = yield* cutFor(town, stick)
      assert.deepStrictEqual(
        { ...exported, written: null, bytes: 0 },
        { ...planned, written: null, bytes: 0 }
      )
      const before = yield* everything(town.device)
      const rehearsed = yield* give(town, stick, { dryRun: true })
      assert.isFalse(rehearsed.applied)
      assert.deepStrictEqual(yield* everything(town.device), before)
      const imported = yield* give(town, stick)
      const plans = [rehearsed, imported].map(({ synced }) =>
        Option.getOrThrow(synced).organisations.map(({ pulled }) =>
          Result.map(pulled, ({ plan }) => plan)
        )
      )
      assert.deepStrictEqual(plans[0], plans[1])
    })
  )

  it.live("that would remove much waits for a person, and then can be given again", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const many = Array.from({ length: 15 }, (_, at) => `pupil${at}`)
      yield* town.office(
        Office.people(
          "test-taker",
          many.map((login) => ({ login }))
        )
      )
      yield* town.office(Office.eligible(HALL, "math", many))
      yield* roundTrip(town)
      yield* town.office(Office.eligible(HALL, "math", ["ada"]))
      const stick = newStick()
      yield* cutFor(town, stick)
      const asked = yield* give(town, stick)
      assert.isFalse(asked.applied)
      const [failed] = Option.getOrThrow(asked.synced).organisations
      assert.isTrue(Result.isFailure(failed!.pulled))
      assert.strictEqual((yield* give(town, stick, { confirmRemovals: true })).applied, true)
      yield* assertEqual(town)
    })
  )

  it.live("that finds a silent difference mends it when it is full, and else asks for that", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* roundTrip(town)
      yield* town.on(
        Observe.tamper("DELETE FROM holdings WHERE kind = 'key-wrap' AND reader IS NOT NULL")
      )
      const delta = yield* roundTrip(town)
      assert.strictEqual(delta.exported.mode, "delta")
      assert.isFalse(delta.imported.applied)
      const full = yield* roundTrip(town)
      assert.strictEqual(full.exported.mode, "full")
      assert.isTrue(full.imported.applied)
      yield* assertEqual(town)
      yield* town.on(Observe.tamper("DELETE FROM holdings WHERE kind = 'key-wrap'"))
      const stick = newStick()
      yield* cutFor(town, stick, { full: true })
      const [mended] = Option.getOrThrow((yield* give(town, stick)).synced).organisations
      assert.isTrue(Option.isSome(mended!.audited))
      // The content is here already, and is not read again.
      assert.deepStrictEqual(
        [...stick.reads.keys()].filter((read) => read.startsWith("p/000002")),
        []
      )
      yield* assertEqual(town)
    })
  )

  it.live("counts as applied when only its receipt comes back", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const stick = newStick()
      yield* cutFor(town, stick)
      yield* give(town, stick)
      assert.strictEqual((yield* comeHome(town, stick)).receipts, 1)
      yield* addTaker("dora")(town)
      const exported = yield* cutFor(town, stick)
      assert.deepInclude(exported, { mode: "delta", base: 1, seq: 2 })
      assert.deepInclude(exported.contents, { brought: 0, held: 1 })
      yield* give(town, stick)
      yield* assertEqual(town)
    })
  )

  it.live("is taken from a stick that cannot be written; the next one tells central", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const stick = newStick()
      yield* cutFor(town, stick)
      stick.writable = false
      const imported = yield* give(town, stick)
      assert.deepInclude(imported, { applied: true, receiptWritten: false })
      const [entry] = yield* town.on(history(1))
      assert.deepInclude(entry, { verb: "import", outcome: "done" })
      const state = yield* town.on(
        Effect.flatMap(Streams, ({ received }) => received(streamOf("c2d", idOf(town))))
      )
      assert.strictEqual(Option.getOrThrow(state).seq, 1)
    })
  )
})
