import { tmpdir } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result, Stream } from "effect"
import { beginAnew } from "../application/begin-anew.ts"
import { BundleKeys, Devices, Streams } from "../application/bundle-ports.ts"
import { exportReport } from "../application/export-report.ts"
import { hearReport } from "../application/hear-report.ts"
import { Blobs, Clients } from "../application/ports.ts"
import { streamOf } from "../domain/bundle-manifest.ts"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import { START } from "../domain/feed.ts"
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
import { withFields, withIndex, withManifest } from "./support/forge.ts"
import { scratch } from "./support/site.ts"
import { copyOf, type MemoryStick, newStick, withStick } from "./support/stick.ts"
import * as Town from "./support/town.ts"
import { ORGANISATION } from "./support/town.ts"

type Export = ReturnType<typeof exportReport>

/** A bundle of the device's, with something changed on the way. */
const forged = (town: Town.Town, change: (effect: Export) => Export) =>
  Effect.gen(function* () {
    const stick = newStick()
    yield* town.on(change(exportReport(CUT)).pipe(withStick(stick)))
    return stick
  })

const results = (received: Effect.Success<ReturnType<typeof comeHome>>) =>
  received.bundles.map(({ result }) =>
    Result.match(result, {
      onFailure: ({ code }) => code,
      onSuccess: (one) => (one.status === "quarantined" ? `put aside: ${one.code}` : one.status)
    })
  )

const known = (town: Town.Town) =>
  town.office(
    Effect.gen(function* () {
      const devices = yield* Devices
      const streams = yield* Streams
      return {
        report: Option.getOrUndefined(yield* devices.report(idOf(town))),
        acknowledged: Option.getOrUndefined(
          yield* streams.acknowledged(streamOf("c2d", idOf(town)))
        ),
        state: Option.getOrUndefined(yield* streams.received(streamOf("d2c", idOf(town)))),
        quarantined: yield* devices.quarantined
      }
    })
  )

describe("central", () => {
  it.live("hears where a device stands, and tells it so with the next bundle", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const { exported, received, stick } = yield* roundTrip(town)
      assert.deepStrictEqual(results(received), ["received"])
      const { acknowledged, report, state } = yield* known(town)
      assert.strictEqual(acknowledged?.seq, 1)
      assert.strictEqual(report?.cursors[0]?.version, exported.feeds[0]?.head)
      assert.lengthOf(report?.blobs ?? [], 1)
      assert.strictEqual(state?.seq, 1)
      // The same stick again: nothing new.
      assert.deepStrictEqual(results(yield* comeHome(town, stick)), ["already"])
      assert.deepStrictEqual((yield* known(town)).report, report)
      yield* roundTrip(town)
      const told = yield* town.on(
        Effect.flatMap(Streams, ({ acknowledged }) => acknowledged(streamOf("d2c", idOf(town))))
      )
      assert.strictEqual(Option.getOrThrow(told).seq, 1)
    })
  )

  it.live("takes several bundles in their order, and knows an old one that comes back", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const [one, two] = [newStick(), newStick()]
      yield* sendHome(town, one)
      yield* roundTrip(town)
      yield* sendHome(town, two)
      assert.deepStrictEqual(results(yield* comeHome(town, two)), ["received"])
      const late = copyOf(one)
      assert.deepStrictEqual(results(yield* comeHome(town, late)), ["put aside: E_ROLLBACK"])
      assert.deepStrictEqual(results(yield* comeHome(town, late)), ["put aside: E_ROLLBACK"])
      const { quarantined, report } = yield* known(town)
      assert.lengthOf(quarantined, 1)
      // What was put aside says nothing: the newer report stands.
      assert.strictEqual(report?.cursors[0]?.version !== START.version, true)
      const three = newStick()
      yield* sendHome(town, three)
      three.bundles = [...three.bundles, ...two.bundles]
      assert.deepStrictEqual(results(yield* comeHome(town, three)), ["already", "received"])
    })
  )

  const DISBELIEVED: ReadonlyArray<
    readonly [what: string, change: (effect: Export) => Export, code: BundleCode]
  > = [
    [
      "signed for another purpose",
      (e) => e.pipe(withManifest((t) => t, "receipt")),
      "E_SIG_NAMESPACE"
    ],
    ["of another epoch", (e) => e.pipe(withFields((m) => ({ ...m, epoch: 9 }))), "E_EPOCH"],
    [
      "that follows another",
      (e) => e.pipe(withFields((m) => ({ ...m, prev: "d".repeat(64) }))),
      "E_STREAM_FORK"
    ],
    [
      "with another's index",
      (e) => e.pipe(withIndex((i) => ({ ...i, bundle: "0".repeat(36) }))),
      "E_INDEX_MISMATCH"
    ],
    [
      "with the report of another",
      (e) =>
        e.pipe(
          withIndex((i) => ({ ...i, report: { ...(i.report as object), device: "dev_another" } }))
        ),
      "E_INDEX_MISMATCH"
    ]
  ]

  it.live(
    "puts aside what it does not believe, with all its bytes and a receipt that says so",
    () =>
      Effect.gen(function* () {
        const town = yield* Town.town
        for (const [what, change, code] of DISBELIEVED) {
          // One that counts, so that the next can fork from it.
          const good = newStick()
          yield* sendHome(town, good)
          yield* comeHome(town, good)
          const before = yield* known(town)
          const stick = yield* forged(town, change)
          assert.deepStrictEqual(
            results(yield* comeHome(town, stick)),
            [`put aside: ${code}`],
            what
          )
          const after = yield* known(town)
          assert.deepStrictEqual(after.state, before.state, what)
          const seen = new Set(before.quarantined.map(({ manifest }) => manifest))
          const aside = after.quarantined.find(({ manifest }) => !seen.has(manifest))!
          assert.strictEqual(aside.code, code, what)
          assert.include([...aside.files.keys()], "p/000000.age")
          yield* assertKept(town, stick, aside.files.get("p/000000.age")!)
          const receipt = [...stick.notes.values()].find(({ text }) => text.includes("quarantined"))
          assert.match(receipt!.text, new RegExp(code, "u"))
          const [entry] = yield* town.office(history(1))
          assert.deepInclude(entry, { verb: "receive", outcome: "refused" })
          // Put aside again is put aside once.
          yield* comeHome(town, stick)
          assert.lengthOf((yield* known(town)).quarantined, after.quarantined.length)
        }
      })
  )

  const assertKept = Effect.fnUntraced(function* (
    town: Town.Town,
    stick: MemoryStick,
    blob: Parameters<Blobs["Service"]["read"]>[0]
  ) {
    const kept = yield* town.office(
      Effect.flatMap(Blobs, ({ read }) => Stream.runCollect(read(blob)))
    )
    const [bundle] = stick.bundles
    assert.isTrue(Buffer.concat(kept).equals(bundle!.volumes.get(1)!.get("p/000000.age")!))
  })

  it.live("keeps nothing of one that is damaged, and takes it from a better stick", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const good = newStick()
      yield* sendHome(town, good)
      const bad = copyOf(good)
      bad.readFails = () => true
      assert.deepStrictEqual(results(yield* comeHome(town, bad)), ["E_MEDIA_IO"])
      assert.lengthOf([...bad.notes], 0)
      assert.deepInclude(yield* known(town), { state: undefined, quarantined: [] })
      assert.deepStrictEqual(results(yield* comeHome(town, good)), ["received"])
    })
  )

  it.live("puts aside what an unknown or a revoked device sends", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const stick = newStick()
      yield* sendHome(town, stick)
      const clients = yield* town.office(Clients)
      const [client] = yield* town.office(clients.list("device"))
      yield* town.office(clients.put({ ...client!, state: "revoked" }))
      assert.deepStrictEqual(results(yield* comeHome(town, stick)), ["put aside: E_REVOKED"])
      const other = yield* Town.town
      const strange = copyOf(stick)
      assert.deepStrictEqual(results(yield* comeHome(other, strange)), [
        "put aside: E_UNKNOWN_DEVICE"
      ])
    })
  )

  it.live("passes over receipts that are forged, foreign or of another bundle", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const stick = newStick()
      yield* cutFor(town, stick)
      yield* give(town, stick)
      const [path, note] = [...stick.notes][0]!
      const lies = [
        { ...note, text: note.text.replace('"seq":1', '"seq":2') },
        { ...note, signatures: [] },
        yield* town.office(Effect.flatMap(BundleKeys, ({ sign }) => sign("receipt", note.text))),
        yield* town.on(
          Effect.flatMap(BundleKeys, ({ sign }) =>
            sign("receipt", note.text.replace(/"manifest":"[0-9a-f]{4}/u, '"manifest":"0000'))
          )
        ),
        yield* town.on(Effect.flatMap(BundleKeys, ({ sign }) => sign("d2c", note.text)))
      ]
      for (const lie of lies) {
        const forgery = newStick()
        forgery.notes.set(path, lie)
        const nothing = yield* Effect.flip(comeHome(town, forgery))
        assert.strictEqual(nothing.code, "E_NOT_FOUND")
      }
      assert.strictEqual((yield* cutFor(town, newStick())).mode, "full")
      assert.strictEqual((yield* comeHome(town, stick)).receipts, 1)
      assert.strictEqual((yield* cutFor(town, newStick())).mode, "delta")
    })
  )

  it.live("keeps the newest report, by whatever road it came", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* roundTrip(town)
      const { report } = yield* known(town)
      const cursors = [{ organisation: ORGANISATION, ...START }]
      const older = { ...report!, serial: report!.serial - 1, cursors }
      assert.isFalse(yield* town.office(hearReport(older)))
      assert.deepStrictEqual((yield* known(town)).report, report)
      assert.isTrue(yield* town.office(hearReport({ ...older, serial: report!.serial + 1 })))
      assert.strictEqual((yield* cutFor(town, newStick())).mode, "full")
    })
  )

  it.live("takes what a device sends that has not heard of its new life yet", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* roundTrip(town)
      yield* town.office(beginAnew)
      const stick = newStick()
      yield* sendHome(town, stick)
      assert.deepStrictEqual(results(yield* comeHome(town, stick)), ["received"])
      assert.strictEqual((yield* known(town)).state?.epoch, 1)
      const { exported, received } = yield* roundTrip(town)
      assert.deepInclude(exported, { mode: "full", seq: 1 })
      assert.deepStrictEqual(results(received), ["received"])
      assert.deepInclude((yield* known(town)).state, { epoch: 2, seq: 1 })
      const old = copyOf(stick)
      assert.deepStrictEqual(results(yield* comeHome(town, old)), ["put aside: E_EPOCH"])
    })
  )

  it.live("goes on in a stream where the device saw it, when it was restored itself", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const folder = yield* scratch(tmpdir())
      yield* roundTrip(town)
      town.central.copyTo(folder)
      yield* roundTrip(town)
      yield* roundTrip(town)
      yield* town.central.reopen(town.central.restoreFrom(folder))
      const stick = newStick()
      yield* sendHome(town, stick)
      // The device's stream is ahead of what central remembers: it is taken up where it is.
      assert.deepStrictEqual(results(yield* comeHome(town, stick)), ["received"])
      const { exported, imported } = yield* roundTrip(town)
      assert.strictEqual(exported.seq, 4)
      assert.isTrue(imported.applied)
    })
  )
})
