import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Office from "./support/office.ts"
import * as Town from "./support/town.ts"
import { HALL, ORGANISATION, TAKERS } from "./support/town.ts"

const ids = Effect.gen(function* () {
  return {
    delivery: yield* Office.idOfDelivery("math"),
    testTaker: yield* Office.idOfPerson("ada"),
    eligibility: yield* Office.idOfEligibility(ORGANISATION, HALL, "math")
  }
})

describe("a pull", () => {
  it.live("brings exactly what central offers, and the second finds nothing to do", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      const first = yield* on(Town.pulled())
      assert.strictEqual(first.same, true)
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
      assert.lengthOf(first.plan.create, 1 + 1 + 1 + 1 + 1 + 3 + 1 + 1 + (3 + 2))
      const second = yield* on(Town.pulled())
      assert.deepStrictEqual(second.plan, { create: [], update: [], remove: [], keep: [], held: [] })
    })
  )
})
