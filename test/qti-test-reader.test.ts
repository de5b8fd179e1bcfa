import { readdirSync } from "node:fs"
import { basename, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { drawRoute } from "../domain/draw-route.ts"
import { numbered, type PlanSection, type TestPlan } from "../domain/test-plan.ts"
import { openFile } from "../infrastructure/file-source.ts"
import { readPlan } from "../infrastructure/qti-test-files.ts"
import { openPackage } from "../infrastructure/zip-package.ts"
import { PACKAGES } from "./support/build-packages.ts"
import { type Files, minimal, QTI_21, test } from "./support/qti-files.ts"

/** Packages of other people, which can't be given away with the project. */
const others = process.env.TESTFERRY_QTI_PACKAGES

const planOfZip = (file: string) =>
  Effect.gen(function* () {
    const opened = yield* openPackage(yield* openFile(file))
    return yield* readPlan({ names: opened.entries.keys(), read: opened.read })
  }).pipe(Effect.scoped)

const planOfFiles = (files: Files) =>
  readPlan({
    names: Object.keys(files),
    read: (path) => Effect.succeed(Buffer.from(files[path] ?? ""))
  })

const planOfTest = (xml: string, more: Files = {}) =>
  planOfFiles({ ...minimal, "test.xml": xml, ...more })

/** The first section of the first part. */
const sectionOf = (plan: TestPlan): PlanSection => {
  const found = plan.parts[0]?.children[0]
  assert.strictEqual(found?.kind, "section")
  return found as PlanSection
}

const itemsOf = (plan: TestPlan) => numbered(plan).places.map(({ item }) => item)

describe("the plan of a test", () => {
  it.effect("of QTI 3.0 says parts, modes, sections and items with their titles", () =>
    Effect.gen(function* () {
      const plan = yield* planOfZip(join(PACKAGES, "soundscapes-qti30.zip"))
      assert.strictEqual(plan.title, "Soundscapes")
      assert.isTrue(plan.concludes)
      assert.include(plan.xml, `<qti-test-variables variable-identifier="SCORE"/>`)
      assert.deepStrictEqual(
        plan.parts.map(({ identifier, individual, linear }) => [identifier, linear, individual]),
        [
          ["listening", true, true],
          ["thinking", false, true]
        ]
      )
      assert.deepStrictEqual(
        itemsOf(plan).map(({ external, identifier, path, responds }) => [
          identifier,
          path,
          responds,
          external
        ]),
        ["melody", "beats", "waves", "families", "morning"].map((name) => [
          name,
          `items/${name}.xml`,
          true,
          name === "morning"
        ])
      )
      assert.include(sectionOf(plan).rubrics[0]?.xml ?? "", "<p>Put on your headphones.")
      assert.isAbove(itemsOf(plan)[0]?.title.length ?? 0, 3)
    })
  )

  it.effect("of QTI 2.x has the names of 3.0 in its expressions, and HTML stays HTML", () =>
    Effect.gen(function* () {
      const ref = (identifier: string, inner: string) =>
        `<assessmentItemRef identifier="${identifier}" href="items/i1.xml">${inner}</assessmentItemRef>`
      const plan = yield* planOfTest(
        test(
          `<rubricBlock view="candidate"><p class="a">1 &lt; 2 <b>now</b></p></rubricBlock>` +
            `<rubricBlock view="scorer"><p>key</p></rubricBlock>` +
            ref(
              "r1",
              `<branchRule target="EXIT_TEST"><baseValue baseType="boolean">true</baseValue></branchRule>`
            ) +
            ref(
              "r2",
              `<preCondition><equalRounded roundingMode="decimalPlaces" figures="1"><variable identifier="r1.SCORE"/><baseValue baseType="float">1.0</baseValue></equalRounded></preCondition>`
            )
        )
      )
      const [first, second] = itemsOf(plan)
      assert.deepStrictEqual(first?.branches, [
        {
          target: "EXIT_TEST",
          expression: `<qti-base-value base-type="boolean">true</qti-base-value>`
        }
      ])
      assert.deepStrictEqual(second?.preConditions, [
        `<qti-equal-rounded rounding-mode="decimalPlaces" figures="1"><qti-variable identifier="r1.SCORE"/><qti-base-value base-type="float">1.0</qti-base-value></qti-equal-rounded>`
      ])
      assert.deepStrictEqual(sectionOf(plan).rubrics, [
        {
          path: "test.xml",
          xml: `<qti-rubric-block view="candidate" xml:base="test.xml"><p class="a">1 &lt; 2 <b>now</b></p></qti-rubric-block>`
        }
      ])
    })
  )

  it.effect("inherits session control from part to section to item, word by word", () =>
    Effect.gen(function* () {
      const plan = yield* planOfTest(
        test(
          `<itemSessionControl allowSkipping="false"/>` +
            `<assessmentItemRef identifier="a" href="items/i1.xml"/>` +
            `<assessmentItemRef identifier="b" href="items/i1.xml"><itemSessionControl maxAttempts="2"/></assessmentItemRef>`
        ).replace("<assessmentSection", `<itemSessionControl maxAttempts="3"/><assessmentSection`)
      )
      assert.deepStrictEqual(
        itemsOf(plan).map(({ control, responds }) => [
          control.maxAttempts,
          control.allowSkipping,
          control.allowReview,
          responds
        ]),
        [
          [3, false, true, false],
          [2, false, true, false]
        ]
      )
    })
  )

  it.effect("includes sections of other files, with paths from where they are", () =>
    Effect.gen(function* () {
      const section = `<assessmentSection xmlns="${QTI_21}" identifier="s" title="" visible="false" keepTogether="false"><selection select="1"/><ordering shuffle="true"/><assessmentItemRef identifier="x" href="i1.xml" fixed="true" required="true"/></assessmentSection>`
      const plan = yield* planOfTest(
        test(`<assessmentSectionRef identifier="s" href="items/s.xml"/>`),
        {
          "items/s.xml": section
        }
      )
      assert.strictEqual(itemsOf(plan)[0]?.path, "items/i1.xml")
      assert.notInclude(plan.xml, "section-ref")
      const loop = yield* Effect.flip(
        planOfTest(test(`<assessmentSectionRef identifier="s" href="items/s.xml"/>`), {
          "items/s.xml": section.replace(
            /<assessmentItemRef.*?\/>/u,
            `<assessmentSectionRef identifier="s" href="s.xml"/>`
          )
        })
      )
      assert.strictEqual(loop._tag, "PackageRefused")
    })
  )

  it.effect("of a package with items only lets them be answered in any order", () =>
    Effect.gen(function* () {
      const plan = yield* planOfFiles({
        ...minimal,
        "imsmanifest.xml": String(minimal["imsmanifest.xml"]).replace(
          /<resource identifier="T".*?<\/resource>/u,
          ""
        )
      })
      assert.deepStrictEqual(
        [plan.parts.map(({ linear }) => linear), itemsOf(plan).map(({ identifier }) => identifier)],
        [[false], ["I"]]
      )
    })
  )

  for (const file of [PACKAGES, ...(others === undefined ? [] : [others])].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".zip") && !name.startsWith("invalid-"))
      .map((name) => join(folder, name))
  )) {
    it.effect(`can be read of ${basename(file)}, and a route drawn`, () =>
      Effect.gen(function* () {
        const all = numbered(yield* planOfZip(file))
        assert.isNotEmpty(drawRoute(all, () => 0))
        for (const { item } of all.places) {
          assert.isNotEmpty(item.identifier)
          for (const one of item.preConditions) assert.match(one, /^<qti-/u)
        }
        if (basename(file) === "tao-qti21-selection-pool.zip") {
          assert.lengthOf(
            drawRoute(all, () => 0),
            5
          )
        }
        if (basename(file) === "tao-qti21-time-limits.zip") {
          assert.deepStrictEqual(
            [all.plan.limits, all.sections[0]?.limits, all.places[0]?.item.limits].map(
              (limits) => limits?.maxMillis
            ),
            [400_000, 100_000, 50_000]
          )
        }
      })
    )
  }
})
