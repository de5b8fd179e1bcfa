import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { Atomic, Blobs, Executions, Holdings } from "../application/ports.ts"
import { remove } from "../application/remove.ts"
import { keyText } from "../domain/entity.ts"
import { needs } from "../domain/execution.ts"
import * as Observe from "./support/observe.ts"
import * as Office from "./support/office.ts"
import * as Town from "./support/town.ts"
import { HALL, ORGANISATION } from "./support/town.ts"

/** A town whose device has everything, and on it a session of ada's. */
const sittingTown = Effect.gen(function* () {
  const town = yield* Town.town
  yield* town.on(Town.synced())
  const ids = yield* town.office(
    Effect.all({
      delivery: Office.idOfDelivery("math"),
      testTaker: Office.idOfPerson("ada"),
      eligibility: Office.idOfEligibility(ORGANISATION, HALL, "math"),
      testCenter: Office.idOfCenter(ORGANISATION, HALL),
      administrator: Office.idOfPerson("adam"),
      proctor: Office.idOfPerson("pia")
    })
  )
  const sitting = yield* town.on(Town.execution(ids, "running"))
  return { ...town, ids, sitting }
})

const keptHere = Effect.gen(function* () {
  const executions = yield* Executions
  const rows = yield* Observe.heldRows
  Observe.assertKept(rows, yield* executions.unsettled)
  Observe.assertResolves(rows)
})

describe("what a session or an unacknowledged result needs", () => {
  it.live("is held when central removes all of it, with what it refers to", () =>
    Effect.gen(function* () {
      const { ids, office, on, sitting } = yield* sittingTown
      yield* office(remove([ids.eligibility, ids.delivery, ids.testCenter]))
      const told = yield* on(Town.pulled())
      yield* on(keptHere)
      const kept = [
        ...needs(sitting).map(keyText),
        `administrator/${ids.administrator}`,
        `proctor/${ids.proctor}`
      ].sort()
      assert.deepStrictEqual([...told.plan.held].sort(), kept)
      assert.deepStrictEqual(yield* on(Town.keys(1)), kept)
      assert.deepStrictEqual(yield* on(Town.keys(0)), yield* office(Town.offered))
      assert.strictEqual(told.same, true)
    })
  )

  it.live("stays while the result is not acknowledged, and goes when it is settled", () =>
    Effect.gen(function* () {
      const { ids, office, on, sitting } = yield* sittingTown
      const held = Effect.flatMap(Blobs, (blobs) => blobs.has(sitting.blob))
      yield* office(remove([ids.eligibility, ids.delivery, ids.testCenter]))
      yield* on(Town.synced())
      yield* on(Town.moved(sitting, "pending"))
      yield* on(Town.synced())
      yield* on(keptHere)
      assert.isTrue(yield* on(held))

      yield* on(Town.moved(sitting, "settled"))
      const told = yield* on(Town.pulled())
      assert.lengthOf(told.plan.remove, 6)
      assert.deepStrictEqual(yield* on(Town.keys(1)), [])
      assert.deepStrictEqual(yield* on(Town.keys(0)), yield* office(Town.offered))
      yield* office(Office.center("0123", "Annexe"))
      yield* on(Town.synced())
    })
  )

  it.live("survives a full snapshot of a central that has forgotten it", () =>
    Effect.gen(function* () {
      const { ids, office, on, sitting } = yield* sittingTown
      yield* office(remove([ids.eligibility, ids.delivery, ids.testCenter]))
      yield* on(Effect.flatMap(Holdings, (holdings) => holdings.restart(ORGANISATION)))
      const told = yield* on(Town.pulled())
      assert.lengthOf(told.plan.held, needs(sitting).length + 2)
      yield* on(keptHere)
    })
  )

  it.live("is let go and taken up again in one pull, when it is settled and offered anew", () =>
    Effect.gen(function* () {
      const { ids, office, on, sitting } = yield* sittingTown
      yield* office(Office.eligible(HALL, "math", ["ben"]))
      yield* on(Town.pulled())
      assert.include(yield* on(Town.keys(1)), `test-taker/${ids.testTaker}`)

      yield* on(Town.moved(sitting, "settled"))
      yield* office(Office.eligible(HALL, "math", ["ada", "ben"]))
      const told = yield* on(Town.pulled())
      assert.strictEqual(told.same, true)
      assert.notInclude(told.plan.remove, `test-taker/${ids.testTaker}`)
      assert.deepStrictEqual(yield* on(Town.keys(0)), yield* office(Town.offered))
      assert.deepStrictEqual(yield* on(Town.keys(1)), [])
    })
  )

  it.live("keeps the content that a session began with when a next version is published", () =>
    Effect.gen(function* () {
      const { office, on, published, sitting } = yield* sittingTown
      yield* office(published("math", "two and two"))
      yield* on(Town.synced())
      yield* on(keptHere)
      assert.deepStrictEqual(yield* on(Town.keys(1)), [`key-wrap/${sitting.wrap}`])
      const has = Effect.flatMap(Blobs, (blobs) => blobs.has(sitting.blob))
      assert.isTrue(yield* on(has))
      yield* on(Town.moved(sitting, "settled"))
      yield* on(Town.synced())
      assert.isFalse(yield* on(has))
    })
  )

  it.live("is not the next content of a delivery that is gone before it arrived", () =>
    Effect.gen(function* () {
      const { ids, line, office, on, published } = yield* sittingTown
      yield* office(published("math", "two and two"))
      line.calls = 0
      line.trouble = { at: 2, what: "cut" }
      assert.strictEqual((yield* on(Town.synced())).outcome, "incomplete")
      line.trouble = undefined
      yield* office(remove([ids.eligibility, ids.delivery]))
      assert.strictEqual((yield* on(Town.synced())).outcome, "done")
      assert.strictEqual((yield* on(Town.synced())).outcome, "unchanged")
      yield* on(keptHere)
    })
  )

  it.live("is no more than what it refers to after the pull", () =>
    Effect.gen(function* () {
      const { ids, office, on } = yield* sittingTown
      yield* office(Office.center(ORGANISATION, HALL, { proctors: ["pia"] }))
      const tried = yield* on(Town.pulled({ dryRun: true }))
      const told = yield* on(Town.pulled())
      assert.include(told.plan.remove, `administrator/${ids.administrator}`)
      assert.deepStrictEqual(yield* on(Town.keys(1)), [])
      assert.deepStrictEqual(tried.plan, told.plan)
      assert.strictEqual((yield* on(Town.synced())).outcome, "unchanged")
    })
  )

  it.live("is held although the session began while the pull was deciding", () =>
    Effect.gen(function* () {
      const { ids, office, on, sitting } = yield* sittingTown
      yield* on(Town.moved(sitting, "settled"))
      yield* office(remove([ids.eligibility, ids.delivery, ids.testCenter]))

      /** A session begins in one transaction: it finds what it needs, or does not begin. */
      const begin = Effect.gen(function* () {
        const atomic = yield* Atomic
        const holdings = yield* Holdings
        yield* atomic.run(
          Effect.gen(function* () {
            const [delivery] = yield* holdings.byIds(ORGANISATION, [ids.delivery])
            if (delivery !== undefined) yield* Town.moved(sitting, "running")
          })
        )
      })
      const deciding = yield* Deferred.make<void>()
      const began = yield* Effect.forkChild(Effect.andThen(Deferred.await(deciding), on(begin)))
      const executions = yield* on(Executions)
      yield* Town.pulled().pipe(
        Effect.provideService(Executions, {
          ...executions,
          // Long enough to begin, if anything but the pull's own transaction lets it.
          unsettled: Effect.tap(executions.unsettled, () =>
            Effect.andThen(Deferred.succeed(deciding, undefined), Effect.sleep("30 millis"))
          )
        }),
        on
      )
      yield* Fiber.join(began)
      yield* on(keptHere)
    })
  )
})
