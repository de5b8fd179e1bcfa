/** Says what every adapter of the ports Streams and Devices keeps. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { Devices, type SentBundle, Streams } from "../../application/bundle-ports.ts"
import { streamOf } from "../../domain/bundle-manifest.ts"
import type { DeviceReport } from "../../domain/device-report.ts"
import { DeviceId, Digest } from "../../domain/id.ts"
import { REMEMBERED } from "../../domain/stream.ts"
import { STRANGE, ZERO } from "../support/records.ts"

type Claim<Ports> = <F>(what: string, effect: Effect.Effect<void, F, Ports>) => void

const DEVICE = DeviceId.make("dev_abcdef")
const STREAM = streamOf("c2d", DEVICE)
const digest = (at: number) => Digest.make(at.toString(16).padStart(64, "0"))

const report = (serial: number): DeviceReport => ({
  schema: "testferry/report/1",
  device: DEVICE,
  serial,
  at: 1_700_000_000_000 + serial,
  program: "0.1.0",
  cursors: [
    { organisation: ZERO, epoch: "e1", version: 7 },
    { organisation: STRANGE, epoch: "", version: 0 }
  ],
  blobs: [digest(1), digest(2)],
  root: 2,
  revocations: 3,
  disk: { free: 5_000_000_000_000, total: 9_000_000_000_000 }
})

const sent = (seq: number, epoch = 1): SentBundle => {
  const { blobs, cursors, revocations, root } = report(seq)
  const brings = { blobs, cursors, revocations, root }
  return { stream: STREAM, epoch, seq, manifest: digest(seq), at: 1_700_000_000_000, brings }
}

export const streamsSuite = <E>(name: string, layer: Layer.Layer<Streams, E>) =>
  describe(`the port Streams, ${name}`, () => {
    const claim: Claim<Streams> = (what, effect) =>
      it.live(what, () => Effect.provide(effect, layer))

    claim(
      "gives back the state of each stream that was received last",
      Effect.gen(function* () {
        const streams = yield* Streams
        const other = streamOf("d2c", DEVICE)
        assert.isTrue(Option.isNone(yield* streams.received(STREAM)))
        for (const seq of [1, 4]) {
          const recent = [{ seq, digest: digest(seq) }]
          yield* streams.receive({ stream: STREAM, epoch: 1, seq, recent })
        }
        assert.strictEqual(Option.getOrThrow(yield* streams.received(STREAM)).seq, 4)
        assert.isTrue(Option.isNone(yield* streams.received(other)))
      })
    )

    claim(
      "knows what was sent, by number and epoch, and forgets only what is long past",
      Effect.gen(function* () {
        const streams = yield* Streams
        for (const seq of [1, 2, 10]) yield* streams.send(sent(seq))
        yield* streams.send({ ...sent(1, 2), brings: null })
        assert.deepStrictEqual(Option.getOrThrow(yield* streams.lastSent(STREAM, 1)), sent(10))
        const [second, none, other] = yield* Effect.all([
          streams.sent(STREAM, 1, 2),
          streams.sent(STREAM, 1, 3),
          streams.sent(STREAM, 2, 1)
        ])
        assert.deepStrictEqual(Option.getOrThrow(second), sent(2))
        assert.isTrue(Option.isNone(none))
        assert.isNull(Option.getOrThrow(other).brings)
        yield* streams.send(sent(REMEMBERED + 2))
        assert.isTrue(Option.isNone(yield* streams.sent(STREAM, 1, 2)))
        assert.isTrue(Option.isSome(yield* streams.sent(STREAM, 1, 10)))
        assert.isTrue(Option.isSome(yield* streams.sent(STREAM, 2, 1)))
        // A number is never used twice.
        assert.strictEqual((yield* Effect.exit(streams.send(sent(10))))._tag, "Failure")
      })
    )

    claim(
      "keeps the newest acknowledgement, whatever comes late",
      Effect.gen(function* () {
        const streams = yield* Streams
        const ack = (epoch: number, seq: number) => ({
          stream: STREAM,
          epoch,
          seq,
          head: digest(seq)
        })
        for (const [epoch, seq, newest] of [
          [1, 3, ack(1, 3)],
          [1, 2, ack(1, 3)],
          [1, 10, ack(1, 10)],
          [2, 1, ack(2, 1)],
          [1, 99, ack(2, 1)]
        ] as const) {
          yield* streams.acknowledge(ack(epoch, seq))
          assert.deepStrictEqual(Option.getOrThrow(yield* streams.acknowledged(STREAM)), newest)
        }
      })
    )

    claim(
      "raises the floor of time, and never lowers it",
      Effect.gen(function* () {
        const streams = yield* Streams
        for (const [at, floor] of [
          [9, 9],
          [10, 10],
          [2, 10],
          [1_700_000_000_000, 1_700_000_000_000],
          [999_999_999_999, 1_700_000_000_000]
        ] as const) {
          yield* streams.raiseFloor(at)
          assert.strictEqual(yield* streams.floor, floor)
        }
      })
    )
  })

export const devicesSuite = <E>(name: string, layer: Layer.Layer<Devices, E>) =>
  describe(`the port Devices, ${name}`, () => {
    const claim: Claim<Devices> = (what, effect) =>
      it.live(what, () => Effect.provide(effect, layer))

    claim(
      "keeps one report of a device, until it is forgotten",
      Effect.gen(function* () {
        const devices = yield* Devices
        assert.isTrue(Option.isNone(yield* devices.report(DEVICE)))
        yield* devices.putReport(report(1))
        yield* devices.putReport(report(2))
        assert.deepStrictEqual(Option.getOrThrow(yield* devices.report(DEVICE)), report(2))
        yield* devices.forgetReport(DEVICE)
        assert.isTrue(Option.isNone(yield* devices.report(DEVICE)))
      })
    )

    claim(
      "keeps what was put aside once, in the order in which it came",
      Effect.gen(function* () {
        const devices = yield* Devices
        const item = (at: number) => ({
          device: "dev_nobody",
          manifest: digest(at),
          at,
          code: "E_UNKNOWN_DEVICE" as const,
          detail: `the ${at}th`,
          files: new Map([["p/000000.age", digest(at + 100)]])
        })
        for (const at of [2, 1, 2]) yield* devices.quarantine(item(at))
        yield* devices.quarantine({ ...item(1), detail: "again" })
        const kept = (at: number) => ({ ...item(at), released: null })
        assert.deepStrictEqual(yield* devices.quarantined, [kept(1), kept(2)])
        for (const at of [8, 9]) yield* devices.noteReleased(item(1).manifest, at, `the ${at}th`)
        assert.deepStrictEqual(yield* devices.quarantined, [
          { ...item(1), released: { at: 9, reason: "the 9th" } },
          kept(2)
        ])
      })
    )
  })
