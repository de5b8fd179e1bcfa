import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import type { Known } from "../application/play-ports.ts"
import { preparePackage } from "../application/prepare-package.ts"
import { Outbox } from "../application/record-ports.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { numbered } from "../domain/test-plan.ts"
import type { VariableSet } from "../domain/variable.ts"
import { openFile } from "../infrastructure/file-source.ts"
import * as QtiScorer from "../infrastructure/qti-scorer.ts"
import { readPlan } from "../infrastructure/qti-test-files.ts"
import { openPackage } from "../infrastructure/zip-package.ts"
import { PACKAGES } from "./support/build-packages.ts"
import { exam, openResult, publishFile } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { layerConverting } from "./support/preparing.ts"
import { correctOf } from "./support/qti-items.ts"
import { openDoor } from "./support/runner-client.ts"
import { logInTo, sitWhole } from "./support/tiny-player.ts"
import { HALL, synced } from "./support/town.ts"

/** Packages of other people, which can't be given away with the project. */
const others = process.env.TESTFERRY_QTI_PACKAGES

const packages = [PACKAGES, ...(others === undefined ? [] : [others])].flatMap((folder) =>
  fs
    .readdirSync(folder)
    .filter((name) => name.endsWith(".zip"))
    .map((name) => path.join(folder, name))
)

const KEYS = /correct-?response|response-?processing|mapp(?:ing|ed)/iu

/** What no machine scores, whatever is answered: in what package, which item, and why not. */
const NOT_SCORED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "soundscapes-qti30": { morning: "an essay, for a person to read" },
  "own-qti30-mixed-media-linear": { essay: "an essay, for a person to read" },
  "own-qti30-mixed-media-nonlinear": { essay: "an essay, for a person to read" },
  "tao-qti21-branch-rules": { I01: "says something, asks nothing", I02: "the same" },
  "tao-qti21-skipping-not-allowed": { Q07: "says something, asks nothing" },
  "tao-qti22-associate-slider-upload": { "item-3": "a file that is handed in" }
}

/** What the tests that compute something of their own come to when all is right. */
const TOTALS: Readonly<Record<string, string>> = {
  "fractions-qti22": "4",
  "fractions-qti30": "4",
  "fractions-revised-qti22": "4",
  "fractions-revised-qti30": "4",
  "rivers-qti21": "5",
  "rivers-qti30": "5",
  "soundscapes-qti30": "6",
  "own-qti30-mixed-media-linear": "8",
  "own-qti30-mixed-media-nonlinear": "8",
  "own-qti30-timed-two-parts": "6",
  "qtiworks-qti21-duplicate-identifiers": "12",
  "tao-qti21-sumscore-images": "3",
  "tao-qti30-converted-sumscore-images": "3"
}

const nameOf = (file: string) => path.basename(file, ".zip")

/** The right answers to a package's items, by their names in the test; essays get some text. */
const answersTo = Effect.fnUntraced(function* (file: string) {
  const opened = yield* Effect.flatMap(openFile(file), openPackage)
  const read = (name: string) => opened.read(name)
  const { places } = numbered(yield* readPlan({ names: opened.entries.keys(), read }))
  const answers = new Map<string, ReadonlyArray<Known>>()
  for (const { item } of places) {
    const right = correctOf(Buffer.from(yield* read(item.path)).toString("utf8"))
    answers.set(item.identifier, right.map(orText))
  }
  return answers
})

const orText = (known: Known): Known =>
  known.values === null && known.baseType === "string"
    ? { ...known, values: [{ value: "I heard the birds, and the river." }] }
    : known

const valueOf = (set: VariableSet, names: ReadonlyArray<string>) =>
  set.variables.find(({ identifier, kind }) => kind === "outcome" && names.includes(identifier))
    ?.values?.[0]?.value

describe("a runner that speaks plain HTTP", () => {
  it.live(
    "sits every package with the right answers, and the office reads the full scores",
    () =>
      Effect.gen(function* () {
        const { keys, office, on } = yield* exam
        const known = new Map<string, ReadonlyMap<string, ReadonlyArray<Known>>>()
        const refused: Array<string> = []
        for (const file of packages) {
          const prepared = yield* Effect.result(preparePackage(file))
          if (Result.isSuccess(prepared)) {
            known.set(nameOf(file), yield* answersTo(prepared.success.file))
            yield* office(publishFile(prepared.success.file, nameOf(file)))
            yield* office(Office.eligible(HALL, nameOf(file), ["ada"]))
          } else if (prepared.failure._tag === "PackageFaulty") {
            refused.push(nameOf(file))
            assert.isNotEmpty(prepared.failure.reasons[0]?.detail)
          } else return assert.fail(`${file}: ${prepared.failure._tag}`)
        }
        assert.deepStrictEqual(
          refused,
          packages.map(nameOf).filter((name) => name.startsWith("invalid-"))
        )
        yield* on(synced())
        const base = yield* on(openDoor())
        const call = yield* logInTo(base, "ada", Office.passwordOf("ada"))
        const opened = new Map<string, ReadonlyArray<string>>()
        for (const [name, answers] of known) {
          const sat = yield* sitWhole(call, `dlv_${name}`, (ref) => answers.get(ref) ?? [])
          assert.strictEqual(sat.stage, "finished", name)
          for (const { ref, xml } of sat.opened) assert.notMatch(xml, KEYS, `${name} ${ref}`)
          opened.set(name, sat.opened.map(({ ref }) => ref).sort())
        }
        const results = yield* on(
          Effect.flatMap(Outbox, (outbox) =>
            outbox.owed({ after: 0, limit: 99, kinds: ["result"], ends: SENT_BY_DEFAULT })
          )
        )
        assert.lengthOf(results, known.size)
        for (const { body } of results) {
          const { document } = yield* openResult(keys.active, body ?? "")
          const name = document.delivery.slice("dlv_".length)
          const items = document.variables.filter(({ item }) => item !== null)
          assert.deepStrictEqual(items.map(({ item }) => item ?? "").sort(), opened.get(name), name)
          const scores = new Map(
            items.map((set) => [set.item ?? "", Number(valueOf(set, ["SCORE"]) ?? 0)])
          )
          assert.deepStrictEqual(
            [...scores].flatMap(([ref, score]) => (score > 0 ? [] : [ref])),
            Object.keys(NOT_SCORED[name] ?? {}),
            name
          )
          const test = document.variables.find(({ item }) => item === null)
          const total = test === undefined ? test : valueOf(test, ["TOTAL_SCORE", "SCORE"])
          assert.strictEqual(total, TOTALS[name], name)
          if (total !== undefined) {
            const sum = [...scores.values()].reduce((all, one) => all + one, 0)
            assert.strictEqual(Number(total), sum, name)
          }
        }
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(layerConverting, QtiScorer.layer()))),
    // Thirty packages, half of them converted, one after the other.
    240_000
  )
})
