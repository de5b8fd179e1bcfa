/** Says what every adapter of the port WaitingDevices keeps. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { Atomic } from "../../application/ports.ts"
import { type Decision, type KeptRequest, WaitingDevices } from "../../application/waiting-ports.ts"
import { DeviceId, Digest } from "../../domain/id.ts"
import { ORGANISATIONS } from "../support/records.ts"

type Ports = WaitingDevices | Atomic

export const suite = <E>(name: string, layer: Layer.Layer<Ports, E>) => {
  const claim = <F>(what: string, effect: Effect.Effect<void, F, Ports>) =>
    it.live(what, () => Effect.provide(effect, layer))
  describe(`the port WaitingDevices, ${name}`, () => {
    claim(
      "keeps a request once, and lists those that wait by age",
      Effect.gen(function* () {
        const waiting = yield* WaitingDevices
        yield* waiting.add(asked("b", 2_000))
        yield* waiting.add(asked("a", 1_000))
        yield* waiting.add({ ...asked("a", 9_000), by: "somebody else" })
        assert.deepStrictEqual(yield* waiting.waiting, [kept("a", 1_000), kept("b", 2_000)])
        assert.deepStrictEqual(
          yield* waiting.find(idOf("a")),
          Option.some<KeptRequest>(kept("a", 1_000))
        )
        assert.isTrue(Option.isNone(yield* waiting.find(idOf("c"))))
      })
    )

    claim(
      "takes what is decided from those that wait, and keeps what was decided",
      Effect.gen(function* () {
        const atomic = yield* Atomic
        const waiting = yield* WaitingDevices
        for (const name of ["a", "b", "c"]) yield* waiting.add(asked(name, 1_000))
        yield* waiting.decide(idOf("a"), APPROVED)
        yield* waiting.decide(idOf("b"), REFUSED)
        assert.deepStrictEqual(yield* waiting.waiting, [kept("c", 1_000)])
        assert.deepStrictEqual(yield* waiting.decided(10), [
          { ...kept("b", 1_000), decision: REFUSED },
          { ...kept("a", 1_000), decision: APPROVED }
        ])
        assert.strictEqual((yield* waiting.decided(1)).length, 1)
        yield* waiting.add(asked("a", 5_000))
        const claimed = (name: string) => atomic.run(waiting.claim(idOf(name)))
        assert.deepStrictEqual(yield* Effect.forEach(["a", "b", "c", "d"], claimed), [
          ...[false, false, true, false]
        ])
      })
    )

    claim(
      "lets one of many decide",
      Effect.gen(function* () {
        const atomic = yield* Atomic
        const waiting = yield* WaitingDevices
        yield* waiting.add(asked("a", 1_000))
        const decideOnce = atomic.run(
          Effect.gen(function* () {
            if (!(yield* waiting.claim(idOf("a")))) return 0
            yield* Effect.sleep(5)
            yield* waiting.decide(idOf("a"), REFUSED)
            return 1
          })
        )
        const all = yield* Effect.all([decideOnce, decideOnce, decideOnce], { concurrency: 3 })
        assert.deepStrictEqual(all.sort(), [0, 0, 1])
      })
    )

    claim(
      "forgets what is too old, and what a wrong clock wrote",
      Effect.gen(function* () {
        const waiting = yield* WaitingDevices
        yield* waiting.add(asked("a", 1_000))
        yield* waiting.add(asked("b", 2_000))
        yield* waiting.add(asked("c", 9_000))
        yield* waiting.decide(idOf("a"), APPROVED)
        yield* waiting.forgetOutside(2_000, 8_000)
        assert.deepStrictEqual(yield* waiting.waiting, [kept("b", 2_000)])
        assert.deepStrictEqual(yield* waiting.decided(10), [])
      })
    )
  })
}

const idOf = (name: string) => Digest.make(name.repeat(64))
const NOTE = { text: '{"a":"é"}', signatures: ["one\n", "two\n"] }
const asked = (name: string, cameAt: number) => ({
  id: idOf(name),
  note: NOTE,
  cameAt,
  by: "Amélie"
})
const kept = (name: string, cameAt: number) => ({ ...asked(name, cameAt), decision: null })

const APPROVED: Decision = {
  state: "approved",
  at: 3_000,
  by: "root",
  device: DeviceId.make("dev_abcdef"),
  organisations: ORGANISATIONS,
  answer: { path: "enrol/x-a.json", note: NOTE }
}
const REFUSED: Decision = { state: "refused", at: 4_000, by: "root", reason: "Nobody answers" }
