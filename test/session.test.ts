import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import { mayBegin, mayEnter } from "../domain/admission.ts"
import { sitting } from "../domain/eligible.ts"
import type { Period } from "../domain/entity.ts"
import { EntityId } from "../domain/id.ts"
import { DeviceStage, isOpen, stepOnDevice } from "../domain/lifecycle.ts"
import { LogEntry } from "../domain/result.ts"
import { isChain, nextEntry } from "../domain/session.ts"
import { sha256 } from "./support/offers.ts"

const moment = fc.integer({ min: 0, max: 6 })
const period: fc.Arbitrary<Period> = fc.record({ from: moment, to: moment }, { requiredKeys: [] })
const stage = fc.constantFrom(...DeviceStage.literals)
const AT = { wall: 1, mono: 1, boot: "b" }
const ID = EntityId.make("elg_a")
const before = fc.array(
  fc.record({
    eligibility: fc.constantFrom(ID, EntityId.make("elg_b")),
    stage,
    startedAt: fc.constantFrom(null, AT)
  }),
  { maxLength: 5 }
)
const limit = fc.record({ maxExecutions: fc.integer({ min: 1, max: 4 }) }, { requiredKeys: [] })

describe("beginning", () => {
  it("is possible exactly while both periods are open and an attempt is left", () => {
    fc.assert(
      fc.property(
        fc.record({ now: moment, of: period, own: period, all: limit, here: limit, before }),
        ({ all, before: sat, here, now, of, own }) => {
          const delivery = { period: of, proctored: false, ...all }
          const eligibility = { id: ID, period: own, proctored: false, ...here }
          const used = sat.filter((one) => one.startedAt !== null || isOpen(one.stage))
          const mine = used.filter((one) => one.eligibility === ID)
          const left =
            (all.maxExecutions === undefined || used.length < all.maxExecutions) &&
            (here.maxExecutions === undefined || mine.length < here.maxExecutions)
          const when = sitting(now, delivery, eligibility)
          const found = mayBegin(now, delivery, eligibility, sat)
          assert.strictEqual(Result.isSuccess(found), when === "open" && left)
          if (Result.isFailure(found)) {
            assert.strictEqual(found.failure, when === "open" ? "used-up" : when)
          } else {
            assert.strictEqual(found.success.attempt, sat.length + 1)
          }
        }
      )
    )
  })

  it("needs a proctor when the delivery or the eligibility says so", () => {
    for (const [a, b] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true]
    ] as const) {
      const found = mayBegin(
        0,
        { period: {}, proctored: a },
        { id: ID, period: {}, proctored: b },
        []
      )
      assert.deepStrictEqual(found, Result.succeed({ attempt: 1, proctored: a || b }))
    }
  })
})

describe("entering", () => {
  const open = { delivery: { period: {} }, eligibility: { period: {} } }
  const every = DeviceStage.literals.flatMap((one) =>
    [false, true].flatMap((proctored) =>
      ([null, "test-taker", "proctor", "device"] as const).map((pausedBy) => ({
        stage: one,
        proctored,
        pausedBy
      }))
    )
  )

  it("follows an arrow that there is, and leads to a session that runs", () => {
    for (const session of every) {
      const found = mayEnter(0, open, session)
      if (Result.isFailure(found)) continue
      const next =
        found.success === undefined
          ? Result.succeed(session.stage)
          : stepOnDevice(session.stage, found.success)
      assert.deepStrictEqual(next, Result.succeed("started"))
    }
  })

  it("is refused exactly where a proctor has the word, or where it has ended", () => {
    for (const session of every) {
      const { pausedBy, proctored, stage: at } = session
      const held = at === "paused" && (proctored || pausedBy === "proctor")
      const why = !isOpen(at) ? "ended" : at === "awaiting" ? "awaiting" : held ? "paused" : "none"
      const found = mayEnter(0, open, session)
      assert.strictEqual(Result.isFailure(found) ? found.failure : "none", why)
    }
  })

  it("is possible only while both periods are open", () => {
    fc.assert(
      fc.property(moment, period, period, (now, of, own) => {
        const window = { delivery: { period: of }, eligibility: { period: own } }
        const session = { stage: "started", proctored: false, pausedBy: null } as const
        const found = mayEnter(now, window, session)
        const when = sitting(now, window.delivery, window.eligibility)
        assert.strictEqual(Result.isFailure(found) ? found.failure : "open", when)
      })
    )
  })
})

describe("the log", () => {
  const said = fc.record({
    at: fc.constant(AT),
    what: fc.constantFrom(...LogEntry.fields.what.literals),
    who: fc.constantFrom("usr_a", "device"),
    reason: fc.constantFrom(null, { category: "c", subcategory: null, comment: "why" })
  })
  const logs = fc.array(said, { minLength: 2, maxLength: 6 }).map((all) => {
    const log: Array<LogEntry> = []
    for (const one of all) log.push(nextEntry(log.at(-1), one, sha256))
    return log
  })

  it("is a chain, and is none after an entry before the last was changed, taken or exchanged", () => {
    fc.assert(
      fc.property(logs, fc.nat(), (log, dice) => {
        assert.isTrue(isChain(log, sha256))
        const at = dice % (log.length - 1)
        const changed = log.map((entry, i) => (i === at ? { ...entry, who: "somebody" } : entry))
        assert.isFalse(isChain(changed, sha256))
        assert.isFalse(isChain(log.toSpliced(at, 1), sha256))
        const swapped = [
          ...log.slice(0, at),
          ...log.slice(at, at + 2).reverse(),
          ...log.slice(at + 2)
        ]
        assert.isFalse(isChain(swapped, sha256))
      })
    )
  })
})
