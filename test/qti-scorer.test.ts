import fs from "node:fs"
import path from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type Known, Scorer } from "../application/play-ports.ts"
import { openFile } from "../infrastructure/file-source.ts"
import { rootOf } from "../infrastructure/item-for-page.ts"
import * as QtiScorer from "../infrastructure/qti-scorer.ts"
import { openPackage } from "../infrastructure/zip-package.ts"
import { condition, correctOf, item, known, outcome, response, set } from "./support/qti-items.ts"
import { DEMO } from "./support/testferry.ts"

const SOUNDS = path.join(DEMO, "packages/src/soundscapes-qti30")
const read = (name: string) => fs.readFileSync(path.join(SOUNDS, name), "utf8")

const score = (
  xml: string,
  responses: ReadonlyArray<Known>,
  templates: ReadonlyArray<Known> = []
) => Effect.flatMap(Scorer, (scorer) => scorer.score({ xml, responses, templates, outcomes: [] }))
const textOf = (all: ReadonlyArray<Known>, name: string) => {
  const found = all.find(({ identifier }) => identifier === name)?.values
  return found === null || found === undefined ? null : found.map(({ value }) => value).join(" ")
}
const whyNot = <A, R>(effect: Effect.Effect<A, { readonly why: string }, R>) =>
  Effect.map(Effect.flip(effect), ({ why }) => why)

layer(QtiScorer.layer())("the scorer", (it) => {
  it.effect("gives correct answers the full score, wrong and missing ones none", () =>
    Effect.gen(function* () {
      const scores: Record<string, ReadonlyArray<string | null>> = {}
      for (const name of ["melody", "beats", "waves", "families", "morning"]) {
        const xml = read(`items/${name}.xml`)
        const correct = correctOf(xml)
        const asked = [correct, correct.map((one) => ({ ...one, values: null }))]
        scores[name] = yield* Effect.forEach(asked, (responses) =>
          Effect.map(score(xml, responses), (outcomes) => textOf(outcomes, "SCORE"))
        )
      }
      assert.deepStrictEqual(scores, {
        melody: ["1", "0"],
        beats: ["1", "0"],
        waves: ["1", "0"],
        families: ["3", "0"],
        // A person scores it: until then there is no score, and not 0.
        morning: [null, null]
      })
      const wrong = [known("RESPONSE", "5 strings", "multiple", "directedPair")]
      const outcomes = yield* score(read("items/families.xml"), wrong)
      assert.deepStrictEqual(outcomes, [
        known("SCORE", "0", "single", "float"),
        known("MAXSCORE", "3", "single", "float")
      ])
    })
  )

  it.effect("scores the correct answers of whole packages, and fails at none of them", () =>
    Effect.gen(function* () {
      const folder = process.env.TESTFERRY_QTI_PACKAGES ?? path.join(DEMO, "packages")
      const names = fs.readdirSync(folder).filter((name) => /qti30.*\.zip$/u.test(name))
      const unscored: Array<string> = []
      let scored = 0
      for (const name of names) {
        const opened = yield* openPackage(yield* openFile(path.join(folder, name)))
        for (const file of opened.entries.keys()) {
          if (!file.endsWith(".xml")) continue
          const bytes = yield* opened.read(file)
          if (rootOf(bytes, file) !== "assessmentitem") continue
          const xml = Buffer.from(bytes).toString("utf8")
          const correct = correctOf(xml)
          if (correct.every(({ values }) => values === null)) continue
          const outcomes = yield* Effect.result(score(xml, correct))
          const points =
            outcomes._tag === "Success" ? textOf(outcomes.success, "SCORE") : outcomes.failure.why
          scored += 1
          if (!(Number(points) > 0)) unscored.push(`${name} ${file}: ${points}`)
        }
      }
      assert.deepStrictEqual(unscored, [])
      assert.isAbove(scored, 0)
    })
  )

  it.effect("writes numbers as QTI does, not as this machine's language does", () =>
    Effect.gen(function* () {
      const third = set("SCORE", `<qti-divide>${value("1")}${value("3")}</qti-divide>`)
      const thousands = set("SUM", `<qti-sum>${value("1234")}${value("0.5")}</qti-sum>`)
      const xml = item(outcome("SCORE") + outcome("SUM"), third + thousands)
      const outcomes = yield* score(xml, [])
      assert.strictEqual(textOf(outcomes, "SCORE"), String(1 / 3))
      assert.strictEqual(textOf(outcomes, "SUM"), "1234.5")
    })
  )

  it.effect("holds nothing for true of an answer that is missing", () =>
    Effect.gen(function* () {
      for (const operator of ["gt", "gte", "lt", "lte"]) {
        const test = `<qti-${operator}>${variable("N")}${value("0")}</qti-${operator}>`
        const xml = item(response("N", "float") + outcome("SCORE"), condition(test, "SCORE", "1"))
        const said = yield* Effect.forEach([null, "-1", "0", "1"], (one) =>
          Effect.map(score(xml, [known("N", one, "single", "float")]), (all) =>
            textOf(all, "SCORE")
          )
        )
        const truth = { gt: "0 0 0 1", gte: "0 0 1 1", lt: "0 1 0 0", lte: "0 1 1 0" }[operator]
        assert.strictEqual(said.join(" "), truth)
      }
    })
  )

  it.effect("compares booleans, and pairs in their direction", () =>
    Effect.gen(function* () {
      const matching = (type: string, right: string) =>
        item(
          response("R", type, "single", right) + outcome("SCORE"),
          condition(
            `<qti-match>${variable("R")}<qti-correct identifier="R"/></qti-match>`,
            "SCORE",
            "1"
          )
        )
      for (const [type, right, wrong] of [
        ["boolean", "true", "false"],
        ["directedPair", "A B", "B A"],
        ["pair", "A B", "A C"],
        ["integer", "7", "8"]
      ] as const) {
        for (const [answer, expected] of [
          [right, "1"],
          [wrong, "0"]
        ] as const) {
          const all = yield* score(matching(type, right), [known("R", answer, "single", type)])
          assert.strictEqual(textOf(all, "SCORE"), expected, `${type} ${answer}`)
        }
      }
    })
  )

  it.effect("minds upper and lower case in a mapping unless it is told not to", () =>
    Effect.gen(function* () {
      const mapped = (more: string) =>
        item(
          `<qti-response-declaration identifier="R" cardinality="single" base-type="string"><qti-mapping default-value="0"><qti-map-entry map-key="Rhine" mapped-value="2" ${more}/></qti-mapping></qti-response-declaration>${outcome("SCORE")}`,
          set("SCORE", `<qti-map-response identifier="R"/>`)
        )
      const scored = (more: string, answer: string) =>
        Effect.map(score(mapped(more), [known("R", answer, "single", "string")]), (all) =>
          textOf(all, "SCORE")
        )
      assert.strictEqual(yield* scored("", "Rhine"), "2")
      assert.strictEqual(yield* scored("", "rhine"), "0")
      assert.strictEqual(yield* scored(`case-sensitive="false"`, "rhine"), "2")
    })
  )

  it.effect("leaves to a person what can't be processed, and goes on", () =>
    Effect.gen(function* () {
      const word = response("R", "string") + outcome("SCORE")
      const lower = `<qti-string-match case-sensitive="false">${variable("R")}<qti-base-value base-type="string">a</qti-base-value></qti-string-match>`
      const cases: ReadonlyArray<readonly [xml: string, why: RegExp]> = [
        ["<qti-assessment-item", /not well-formed/u],
        ["<assessmentItem/>", /no item of QTI 3.0/u],
        [item(word, condition(lower, "SCORE", "1")), /library failed/u],
        [item(word, set("SCORE", `<qti-custom-operator class="js.org"/>`)), /custom-operator/u],
        [item(word, set("SCORE", `<qti-fancy/>`)), /qti-fancy/u],
        [item(word, "<script>1</script>"), /script/u],
        [
          item(
            word,
            condition(
              `<qti-equal tolerance-mode="absolute" tolerance="1">${value("1")}${value("2")}</qti-equal>`,
              "SCORE",
              "1"
            )
          ),
          /tolerance/u
        ],
        [
          item(word, "").replace(
            "<qti-response-processing>",
            `<qti-response-processing template="https://example.org/own.xml">`
          ),
          /template/u
        ]
      ]
      for (const [xml, why] of cases) {
        assert.match(yield* whyNot(score(xml, [known("R", null, "single", "string")])), why)
      }
      const alive = yield* score(read("items/beats.xml"), correctOf(read("items/beats.xml")))
      assert.strictEqual(textOf(alive, "SCORE"), "1")
    })
  )

  it.effect("draws template values once, and scores by what was drawn", () =>
    Effect.gen(function* () {
      const xml = item(
        `<qti-template-declaration identifier="N" cardinality="single" base-type="integer"/>${response("R", "integer")}${outcome("SCORE")}`,
        condition(
          `<qti-match>${variable("R")}<qti-correct identifier="R"/></qti-match>`,
          "SCORE",
          "1"
        ),
        `<qti-template-processing><qti-set-template-value identifier="N"><qti-random-integer min="10" max="99999"/></qti-set-template-value><qti-set-correct-response identifier="R"><qti-sum>${variable("N")}${value("1")}</qti-sum></qti-set-correct-response></qti-template-processing>`
      )
      const scorer = yield* Scorer
      const drawn = yield* scorer.prepare({ xml })
      const n = Number(textOf(drawn, "N"))
      assert.isAtLeast(n, 10)
      for (const [answer, expected] of [
        [n + 1, "1"],
        [n, "0"]
      ] as const) {
        const responses = [known("R", String(answer), "single", "integer")]
        assert.strictEqual(textOf(yield* score(xml, responses, drawn), "SCORE"), expected)
      }
      assert.match(yield* whyNot(score(xml, [])), /not drawn/u)
      assert.deepStrictEqual(yield* scorer.prepare({ xml: read("items/beats.xml") }), [])
    })
  )

  it.effect("decides pre-conditions and branch rules, false while nothing is known", () =>
    Effect.gen(function* () {
      const scorer = yield* Scorer
      const first = `<qti-gte xmlns="http://www.imsglobal.org/xsd/imsqtiasi_v3p0">${variable("Q01.SCORE")}${value("1")}</qti-gte>`
      const second = `<qti-and><qti-match>${variable("Q02.RESPONSE")}<qti-base-value base-type="identifier">yes</qti-base-value></qti-match><qti-not>${first}</qti-not></qti-and>`
      const decide = (score: string | null, answer: string | null) =>
        scorer.decide({
          expressions: [first, second],
          variables: [
            known("Q01.SCORE", score, "single", "float"),
            known("Q02.RESPONSE", answer, "single", "identifier")
          ]
        })
      assert.deepStrictEqual(yield* decide("1", "yes"), [true, false])
      assert.deepStrictEqual(yield* decide("0.5", "yes"), [false, true])
      assert.deepStrictEqual(yield* decide("0", "no"), [false, false])
      assert.deepStrictEqual(yield* decide(null, null), [false, false])
      assert.deepStrictEqual(yield* scorer.decide({ expressions: [first], variables: [] }), [false])
      assert.match(
        yield* whyNot(scorer.decide({ expressions: ["<qti-number-correct/>"], variables: [] })),
        /number-correct/u
      )
    })
  )

  it.effect("concludes a test: sums, weights, categories, sections, and conditions", () =>
    Effect.gen(function* () {
      const scorer = yield* Scorer
      const sum = (name: string, more = "") =>
        set(name, `<qti-sum><qti-test-variables variable-identifier="SCORE" ${more}/></qti-sum>`)
      const names = ["ALL", "WEIGHTED", "MATHS", "REST", "PART", "NONE", "PASSED"]
      const xml = `<qti-assessment-test xmlns="http://www.imsglobal.org/xsd/imsqtiasi_v3p0" identifier="t" title="t">${names.map((name) => outcome(name)).join("")}<qti-test-part identifier="p"><qti-assessment-section identifier="one"><qti-assessment-item-ref identifier="a" href="a" category="maths hard"><qti-weight identifier="W" value="2.5"/></qti-assessment-item-ref><qti-assessment-item-ref identifier="b" href="b" category="words"/></qti-assessment-section><qti-assessment-section identifier="two"><qti-assessment-item-ref identifier="c" href="c" category="maths"/><qti-assessment-item-ref identifier="d" href="d"/></qti-assessment-section></qti-test-part><qti-outcome-processing>${sum("ALL")}${sum("WEIGHTED", `weight-identifier="W"`)}${sum("MATHS", `include-category="maths"`)}${sum("REST", `exclude-category="maths words"`)}${sum("PART", `section-identifier="two"`)}${sum("NONE", `include-category="music"`)}<qti-outcome-condition><qti-outcome-if><qti-gt>${variable("ALL")}${value("5")}</qti-gt>${set("PASSED", value("1"))}</qti-outcome-if><qti-outcome-else>${set("PASSED", value("2"))}</qti-outcome-else></qti-outcome-condition></qti-outcome-processing></qti-assessment-test>`
      const variables = Object.entries({ a: "2", b: "1", c: "4", d: null }).map(([ref, one]) =>
        known(`${ref}.SCORE`, one, "single", "float")
      )
      const outcomes = yield* scorer.conclude({ xml, variables })
      assert.deepStrictEqual(
        outcomes.map(({ identifier }) => textOf(outcomes, identifier)),
        ["7", "10", "6", null, "4", null, "1"]
      )
      const total = yield* scorer.conclude({
        xml: read("test.xml"),
        variables: ["melody", "beats", "waves", "families"].map((ref) =>
          known(`${ref}.SCORE`, "1", "single", "float")
        )
      })
      assert.deepStrictEqual(total, [known("TOTAL_SCORE", "4", "single", "float")])
    })
  )
})

const value = (text: string) => `<qti-base-value base-type="float">${text}</qti-base-value>`
const variable = (name: string) => `<qti-variable identifier="${name}"/>`

describe("a package whose processing is hostile", () => {
  const small = { jobMillis: 1_500, memoryMegabytes: 96, waiting: 3 }
  const endless = item(
    response("R", "string") + outcome("SCORE"),
    condition(
      `<qti-pattern-match pattern="(a+)+b">${variable("R")}</qti-pattern-match>`,
      "SCORE",
      "1"
    )
  )
  const aaa = [known("R", "a".repeat(60), "single", "string")]

  it.live("is stopped when it does not end, and the next job is answered", () =>
    Effect.gen(function* () {
      const xml = read("items/beats.xml")
      const all = yield* Effect.all(
        [
          whyNot(score(endless, aaa)),
          Effect.map(score(xml, correctOf(xml)), (one) => textOf(one, "SCORE")),
          Effect.map(score(xml, correctOf(xml)), (one) => textOf(one, "SCORE")),
          whyNot(score(xml, []))
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(all, [
        "Processing did not come to an end.",
        "1",
        "1",
        "Too many answers wait to be scored."
      ])
    }).pipe(Effect.provide(QtiScorer.layer(small)))
  )

  it.live(
    "is stopped when it takes all memory, and the next job is answered",
    () =>
      Effect.gen(function* () {
        const greedy = item(
          outcome("SCORE"),
          set(
            "SCORE",
            `<qti-container-size><qti-repeat number-repeats="400000000">${value("1")}</qti-repeat></qti-container-size>`
          )
        )
        assert.match(yield* whyNot(score(greedy, [])), /too much memory/u)
        const xml = read("items/beats.xml")
        assert.strictEqual(textOf(yield* score(xml, correctOf(xml)), "SCORE"), "1")
      }).pipe(Effect.provide(QtiScorer.layer({ ...small, jobMillis: 50_000 }))),
    // Most of it is spent filling memory, on machines that have other things to do.
    120_000
  )
})
