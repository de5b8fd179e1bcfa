import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { Known } from "../application/play-ports.ts"
import { Outbox } from "../application/record-ports.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { exam, openResult, publishFile } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { type Files, manifest, QTI_30, resource, zipOf } from "./support/qti-files.ts"
import { condition, item, known, outcome, response, set } from "./support/qti-items.ts"
import { openDoor } from "./support/runner-client.ts"
import { logInTo, sitWhole } from "./support/tiny-player.ts"
import { HALL, synced } from "./support/town.ts"

const ENTRY = `<p><qti-text-entry-interaction response-identifier="R"/></p>`
const SECRET = "the-right-answer"
const variable = (name: string) => `<qti-variable identifier="${name}"/>`
const whole = (text: string) => `<qti-base-value base-type="integer">${text}</qti-base-value>`
const isRight = `<qti-match>${variable("R")}<qti-correct identifier="R"/></qti-match>`

/** Right is what was set once, by the publisher. */
const plainItem = item(
  response("R", "string", "single", SECRET) + outcome("SCORE"),
  condition(isRight, "SCORE", "1"),
  "",
  ENTRY
)

/** Right is one more than a number that is drawn for each test-taker. */
const drawnItem = item(
  response("R", "integer") + outcome("SCORE"),
  condition(isRight, "SCORE", "1"),
  `<qti-template-declaration identifier="N" cardinality="single" base-type="integer"/><qti-template-processing><qti-set-template-value identifier="N"><qti-random-integer min="1000" max="900000"/></qti-set-template-value><qti-set-correct-response identifier="R"><qti-sum>${variable("N")}${whole("1")}</qti-sum></qti-set-correct-response></qti-template-processing>`,
  ENTRY
)

const ref = (name: string, file: string, more: string, inside = "") =>
  `<qti-assessment-item-ref identifier="${name}" href="${file}" ${more}>${inside}</qti-assessment-item-ref>`
const weight = (value: string) => `<qti-weight identifier="W" value="${value}"/>`
const sum = (name: string, more = "") =>
  set(name, `<qti-sum><qti-test-variables variable-identifier="SCORE" ${more}/></qti-sum>`)
const section = (name: string, refs: string, more = "") =>
  `<qti-assessment-section ${more} identifier="${name}" title="${name}" visible="true">${refs}</qti-assessment-section>`

/** Weights, categories, a section in a file of its own, and white space before an item. */
const PACKAGE: Files = {
  "imsmanifest.xml": manifest(
    resource("T", "imsqti_test_xmlv3p0", "test.xml", `<file href="more/section.xml"/>`) +
      resource("A", "imsqti_item_xmlv3p0", "items/plain.xml") +
      resource("B", "imsqti_item_xmlv3p0", "items/drawn.xml") +
      resource("C", "imsqti_item_xmlv3p0", "items/late.xml")
  ).replace("imscp_v1p1", "qti/qtiv3p0/imscp_v1p1"),
  "test.xml": `<qti-assessment-test xmlns="${QTI_30}" identifier="T" title="Weights">${["TOTAL", "WEIGHTED", "HARD"].map(outcome).join("")}<qti-test-part identifier="P" navigation-mode="linear" submission-mode="individual">${section("S", ref("a", "items/plain.xml", `category="hard"`, weight("2.5")))}<qti-assessment-section-ref identifier="M" href="more/section.xml"/></qti-test-part><qti-outcome-processing>${sum("TOTAL")}${sum("WEIGHTED", `weight-identifier="W"`)}${sum("HARD", `include-category="hard"`)}</qti-outcome-processing></qti-assessment-test>`,
  "more/section.xml": section(
    "M",
    ref("b", "../items/drawn.xml", `category="hard"`, weight("4")) +
      ref("c", "../items/late.xml", ""),
    `xmlns="${QTI_30}"`
  ),
  "items/plain.xml": plainItem,
  "items/drawn.xml": drawnItem,
  "left-over.txt": `<old><assessmentItem><correctResponse>${SECRET}</correctResponse></assessmentItem></old>`,
  "items/late.xml": " ".repeat(1_500) + plainItem.replace(/<\?xml[^>]*\?>/u, "")
}

const KEYS = /correct-?response|response-?processing|template-?processing|the-right-answer/iu

const school = Effect.gen(function* () {
  const world = yield* exam
  const file = path.join(world.root, "seams.zip")
  fs.writeFileSync(file, zipOf(PACKAGE))
  yield* world.office(publishFile(file, "seams"))
  yield* world.office(Office.eligible(HALL, "seams", ["ada", "ben"]))
  yield* world.on(synced())
  const base = yield* world.on(openDoor())
  const callAs = (login: string) => logInTo(base, login, Office.passwordOf(login))
  return { ...world, callAs }
})

/** Right but for the item `wrong`. */
const answers =
  (wrong = "") =>
  (name: string, drawn: ReadonlyArray<Known>): ReadonlyArray<Known> => {
    const number = Number(drawn.find(({ identifier }) => identifier === "N")?.values?.[0]?.value)
    const right = name === "b" ? String(number + 1) : SECRET
    return [known("R", name === wrong ? "0" : right, "single", name === "b" ? "integer" : "string")]
  }

describe("a test with weights, drawn numbers and a section elsewhere", () => {
  it.live("is scored by what it says itself", () =>
    Effect.gen(function* () {
      const { callAs, keys, on } = yield* school
      for (const [login, wrong] of [["ada"], ["ben", "a"]] as const) {
        const sat = yield* sitWhole(yield* callAs(login), "dlv_seams", answers(wrong))
        assert.deepStrictEqual(
          sat.opened.map((one) => one.ref),
          ["a", "b", "c"]
        )
        for (const { xml } of sat.opened) assert.notMatch(xml, KEYS)
      }
      const results = yield* on(
        Effect.flatMap(Outbox, (outbox) =>
          outbox.owed({ after: 0, limit: 9, kinds: ["result"], ends: SENT_BY_DEFAULT })
        )
      )
      const told = yield* Effect.forEach(results, ({ body }) =>
        Effect.map(openResult(keys.active, body ?? ""), ({ document }) =>
          Object.fromEntries(
            document.variables.flatMap((one) =>
              one.variables
                .filter(({ identifier }) => /^[A-Z]{2,}$/u.test(identifier))
                .map(({ identifier, values }) => [
                  `${one.item ?? ""}.${identifier}`,
                  values?.[0]?.value
                ])
            )
          )
        )
      )
      assert.deepStrictEqual(told, [
        {
          ".TOTAL": "3",
          ".WEIGHTED": "7.5",
          ".HARD": "2",
          "a.SCORE": "1",
          "b.SCORE": "1",
          "c.SCORE": "1"
        },
        {
          ".TOTAL": "2",
          ".WEIGHTED": "5",
          ".HARD": "1",
          "a.SCORE": "0",
          "b.SCORE": "1",
          "c.SCORE": "1"
        }
      ])
    })
  )

  it.live("gives its keys to nobody, whatever of it is asked for and when", () =>
    Effect.gen(function* () {
      const { callAs } = yield* school
      const call = yield* callAs("ada")
      const { execution } = (yield* call("POST", "/executions", { delivery: "dlv_seams" })).json
      const at = `/executions/${execution}`
      yield* call("POST", `${at}/start`)
      const files = (yield* call("GET", `${at}/package`)).json.files ?? []
      assert.lengthOf(files, Object.keys(PACKAGE).length)
      for (const { path: name } of files) {
        const got = yield* Effect.exit(call("GET", `${at}/files/${name}`))
        assert.strictEqual(Exit.isSuccess(got), name !== "left-over.txt", name)
        if (Exit.isSuccess(got)) assert.notMatch(got.value.text, KEYS, name)
      }
      yield* call("GET", `${at}/play`)
      for (const name of Object.keys(PACKAGE)) {
        assert.isTrue(Exit.isFailure(yield* Effect.exit(call("GET", `${at}/files/${name}`))), name)
      }
    })
  )
})
