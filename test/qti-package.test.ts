import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileNames } from "../domain/package-href.ts"
import { FINDINGS_MAX } from "../domain/package-refusal.ts"
import type { PackageModel } from "../domain/qti-document.ts"
import { judge } from "../domain/qti-package.ts"
import { MAIN, refusals, warnings, withItem } from "./support/qti-cases.ts"
import {
  type Files,
  inspect,
  item,
  manifest,
  minimal,
  QTI_21,
  test,
  verdict
} from "./support/qti-files.ts"

describe("publishing", () => {
  for (const [claim, files, expected] of refusals) {
    it.effect(`refuses a package ${claim}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* verdict(files), expected)
      })
    )
  }
  for (const [claim, files, expected] of warnings) {
    it.effect(`accepts a package ${claim}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* verdict(files), expected)
      })
    )
  }

  it.effect("tells all reasons at once, but not more than a person can read", () =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(inspect(withItem(`<img src="no.png"/>`.repeat(500))))
      assert.strictEqual(refused.reasons.length, FINDINGS_MAX)
      assert.match(
        refused.message,
        /line 1, <img> needs items\/no\.png, which is not in the package/
      )
    })
  )

  it.effect("refuses a package whose sections multiply without end", () =>
    Effect.gen(function* () {
      const section = (refs: string) =>
        `<assessmentSection xmlns="${QTI_21}">${refs}</assessmentSection>`
      const next = (n: number) =>
        `<assessmentSectionRef identifier="s" href="s${n}.xml"/>`.repeat(2)
      const files: Files = { ...minimal, "test.xml": test(next(1)) }
      for (let n = 1; n < 16; n++) files[`s${n}.xml`] = section(next(n + 1))
      files["s16.xml"] = section(`<assessmentItemRef identifier="r" href="items/i1.xml"/>`)
      assert.include(yield* verdict(files), "reference-loop test.xml")
    })
  )

  it.effect("tells when only capital letters differ", () =>
    Effect.gen(function* () {
      const files = withItem(`<img src="../Img/A.png"/>`, { "img/a.png": "" })
      const refused = yield* Effect.flip(inspect(files))
      assert.match(refused.message, /the package has img\/a\.png: capital letters count/)
    })
  )

  it.effect("gives the items in the order of the test, through sections in other files", () =>
    Effect.gen(function* () {
      const ref = (name: string) => `<assessmentItemRef identifier="r-${name}" href="${name}.xml"/>`
      const report = yield* inspect({
        "imsmanifest.xml": manifest(MAIN),
        "test.xml": test(
          `${ref("c")}<assessmentSectionRef identifier="s" href="sub/s.xml"/>${ref("a")}`
        ),
        "sub/s.xml": `<assessmentSection xmlns="http://www.imsglobal.org/xsd/imsqti_v2p1" identifier="s">${ref("../b")}</assessmentSection>`,
        "a.xml": item("", "a"),
        "b.xml": item("<choiceInteraction/>", "b"),
        "c.xml": item("", "c")
      })
      assert.deepStrictEqual(
        report.items.map(({ identifier }) => identifier),
        ["c", "b", "a"]
      )
      assert.strictEqual(report.items[1]?.ref, "r-../b")
      assert.deepStrictEqual(report.items[1]?.interactions, ["choiceInteraction"])
    })
  )

  it("refuses a package that could not be read at all", () => {
    const model: PackageModel = {
      files: fileNames([]),
      manifest: undefined,
      documents: new Map(),
      findings: []
    }
    assert.strictEqual(judge(model)._tag, "Failure")
  })
})
