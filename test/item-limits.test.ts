import { assert, describe, it } from "@effect/vitest"
import type { Known } from "../application/play-ports.ts"
import { isWithinLimits } from "../infrastructure/item-limits.ts"
import { item3 } from "./support/qti-files.ts"

const chosen = (...values: ReadonlyArray<string>): ReadonlyArray<Known> => [
  {
    identifier: "R",
    cardinality: "multiple",
    baseType: "identifier",
    values: values.length === 0 ? null : values.map((value) => ({ value }))
  }
]
const asked = (name: string, limits: string) =>
  item3(`<p><qti-${name}-interaction response-identifier="R" ${limits}/></p>`)

describe("the numbers that an item states", () => {
  it("are kept whatever a page says, and nothing is wanted that it does not state", () => {
    const two = asked("choice", `min-choices="2" max-choices="3"`)
    assert.deepStrictEqual(
      [[], ["a"], ["a", ""], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]].map((values) =>
        isWithinLimits(two, chosen(...values))
      ),
      [false, false, false, true, true, false]
    )
    const pairs = asked("match", `max-associations="1"`)
    assert.isTrue(isWithinLimits(pairs, chosen("a b")))
    assert.isFalse(isWithinLimits(pairs, chosen("a b", "c d")))
    const older = `<assessmentItem><choiceInteraction responseIdentifier="R" minChoices="1"/></assessmentItem>`
    assert.isFalse(isWithinLimits(older, chosen()))
    for (const limits of ["", `max-choices="0"`, `min-choices="-1"`, `min-choices="many"`]) {
      assert.isTrue(isWithinLimits(asked("order", limits), chosen("a", "b", "c")), limits)
    }
    assert.isTrue(isWithinLimits("<no item", chosen("a")))
  })
})
