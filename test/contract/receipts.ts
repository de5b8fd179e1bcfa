/** Says what every adapter of the port WaitingReceipts keeps. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { WaitingReceipts } from "../../application/carried-ports.ts"
import { DeviceId, Digest } from "../../domain/id.ts"

const ONE = DeviceId.make("dev_waiting1")
const OTHER = DeviceId.make("dev_waiting2")
const bundle = (at: number) => Digest.make(at.toString(16).padStart(64, "0"))
const receipt = (of: number, number: number, text = `receipt ${number} of ${of}`) => ({
  bundle: bundle(of),
  number,
  signed: { text, signatures: ["signature"] }
})

export const suite = <E>(name: string, layer: Layer.Layer<WaitingReceipts, E>) =>
  describe(`the port WaitingReceipts, ${name}`, () => {
    it.live("gives each until a bundle that held it was acknowledged, or a newer one came", () =>
      Effect.gen(function* () {
        const waiting = yield* WaitingReceipts
        const list = (seq?: number, limit = 100) =>
          waiting.list(ONE, seq === undefined ? undefined : { epoch: 1, seq }, limit)
        yield* waiting.keep(OTHER, receipt(1, 0))
        for (const number of [10, 2, 0]) yield* waiting.keep(ONE, receipt(1, number))
        // Done again after a kill: the newer word stands.
        yield* waiting.keep(ONE, receipt(1, 2, "again"))
        const [zero, two, ten] = [receipt(1, 0), receipt(1, 2, "again"), receipt(1, 10)]
        assert.deepStrictEqual(yield* list(), [zero, two, ten])
        assert.deepStrictEqual(yield* list(7, 2), [zero, two])
        yield* waiting.wentOut(ONE, [zero, two], { epoch: 1, seq: 5 })
        yield* waiting.wentOut(ONE, [zero, two, ten], { epoch: 1, seq: 6 })
        assert.deepStrictEqual(yield* list(4), [zero, two, ten])
        assert.deepStrictEqual(yield* list(5), [ten])
        assert.deepStrictEqual(yield* list(6), [])
        assert.deepStrictEqual(yield* waiting.list(ONE, { epoch: 2, seq: 1 }, 100), [])
        yield* waiting.keep(ONE, receipt(2, 0))
        yield* waiting.keepOnly(ONE, bundle(2))
        assert.deepStrictEqual(yield* list(), [receipt(2, 0)])
        assert.deepStrictEqual(yield* waiting.list(OTHER, undefined, 100), [receipt(1, 0)])
      }).pipe(Effect.provide(layer))
    )
  })
