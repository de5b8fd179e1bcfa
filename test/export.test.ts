/**
 * What is written out of opened results. The published QTI schemas may not be shipped with this
 * program, and no XSD validator is among its tools: `faults` below checks a document against the
 * rules of imsqti_result_v2p2.xsd and imsqti_resultv3p0_v1p0.xsd, written down by hand.
 */
import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { parse } from "csv-parse/sync"
import { Effect, type Layer, Stream } from "effect"
import fc from "fast-check"
import { exportResults } from "../application/export-results.ts"
import { Atomic, Catalogue } from "../application/ports.ts"
import { Names, OpenedResults } from "../application/record-ports.ts"
import { canonical } from "../domain/canonical.ts"
import {
  type ExportedResult,
  type ExportFormat,
  ncName,
  type QtiVersion
} from "../domain/export.ts"
import { Digest, EntityId } from "../domain/id.ts"
import { ALL_RESULTS, factsOf } from "../domain/opening.ts"
import type { ResultDocument } from "../domain/result.ts"
import type { Variable } from "../domain/variable.ts"
import { csvLine } from "../infrastructure/export-csv.ts"
import * as ExportFiles from "../infrastructure/export-files.ts"
import { qtiXml } from "../infrastructure/export-qti.ts"
import { freshFolder } from "./support/database.ts"
import { faults, valuesOf } from "./support/qti-results.ts"
import { person } from "./support/records.ts"
import { FINISHED, resultDocument, STARTED, testDevice } from "./support/results.ts"
import { freshCentral, shared } from "./support/wired.ts"

const device = testDevice("school")
const central = shared(freshCentral("sqljs"))

const exported = (document: ResultDocument): ExportedResult => ({
  document,
  sha256: "a".repeat(64),
  conflict: false,
  taker: null,
  deliveryLabel: null
})

const variable = (changes: Partial<Variable>): Variable => ({
  kind: "response",
  identifier: "RESPONSE",
  cardinality: "single",
  baseType: "string",
  values: [{ value: "x" }],
  at: FINISHED,
  ...changes
})

/** Everything that a document can hold. */
const RICH = resultDocument(device, 7, {
  testTaker: EntityId.make("usr:7 é"),
  delivery: EntityId.make("dlv_1st & last"),
  startedAt: null,
  end: "terminated",
  variables: [
    {
      item: null,
      position: 0,
      attempt: 1,
      variables: [
        variable({ kind: "outcome", identifier: "SCORE", baseType: "float", values: null })
      ]
    },
    {
      item: "1st item",
      position: 1,
      attempt: 2,
      variables: [
        variable({ values: [{ value: '<a> & "b"\r\n=1+1 \u0007' }] }),
        variable({ identifier: "R2", cardinality: "multiple", baseType: "pair", values: [] }),
        variable({
          identifier: "R3",
          cardinality: "record",
          baseType: null,
          values: [{ value: "1.5", field: "float value", baseType: "float" }]
        }),
        variable({ kind: "trace", identifier: "TRACE" })
      ]
    },
    { item: "empty", position: 2, attempt: 1, variables: [] }
  ]
})

describe.each(["2.2", "3.0"] as const)("QTI Results Reporting %s", (version) => {
  it("is what the schema of that version allows, whatever the document holds", () => {
    for (const document of [resultDocument(device, 1), RICH]) {
      assert.deepStrictEqual(faults(qtiXml(exported(document), version), version), [])
    }
  })

  it("keeps the answers, and the times of the device to the millisecond", () => {
    const xml = qtiXml(exported(resultDocument(device, 1)), version)
    const values = valuesOf(xml)
    assert.deepStrictEqual(values.get("testferry.startedAt"), [new Date(STARTED).toISOString()])
    assert.deepStrictEqual(values.get("testferry.finishedAt"), [new Date(FINISHED).toISOString()])
    assert.deepStrictEqual(values.get("RESPONSE"), ["the-answer-that-nobody-may-read"])
    const rich = valuesOf(qtiXml(exported(RICH), version))
    assert.deepStrictEqual(rich.get("RESPONSE"), ['<a> & "b"\r\n=1+1 \uFFFD'])
    assert.deepStrictEqual(rich.get("R2"), [])
    assert.isFalse(rich.has("TRACE"))
  })

  it("would be seen to be wrong", () => {
    const xml = qtiXml(exported(RICH), version)
    const wrongs = [
      xml.replace('sessionStatus="final"', 'sessionStatus="done"'),
      xml.replace('identifier="R2"', 'identifier="2R"'),
      xml.replace("<candidateResponse>", "<value>x</value><candidateResponse>"),
      xml.replace(/ datestamp="[^"]*"/u, ""),
      xml.replace(/<context .*<\/context>/su, ""),
      xml.replace('cardinality="record"', 'cardinality="many"'),
      xml.replace("</assessmentResult>", "<more/></assessmentResult>")
    ]
    for (const wrong of wrongs) assert.notDeepEqual(faults(wrong, version), [], wrong.slice(0, 80))
  })
})

describe("an item that waits for a person", () => {
  it("is not called final, in the words of each version", () => {
    const waiting = (name: string) =>
      resultDocument(device, 1, {
        variables: [
          {
            item: "essay",
            position: 1,
            attempt: 1,
            variables: [variable({}), variable({ kind: "trace", identifier: name })]
          }
        ]
      })
    const statuses = (name: string) =>
      (["2.2", "3.0"] as const).map((version) => {
        const xml = qtiXml(exported(waiting(name)), version)
        assert.deepStrictEqual(faults(xml, version), [])
        return /sessionStatus="(\w+)"/u.exec(xml)?.[1]
      })
    assert.deepStrictEqual(statuses("pendingExternalScoring"), [
      "pendingResponseProcessing",
      "pendingExternalScoring"
    ])
    assert.deepStrictEqual(statuses("pendingResponseProcessing"), [
      "pendingResponseProcessing",
      "pendingResponseProcessing"
    ])
    assert.deepStrictEqual(statuses("drawn"), ["final", "final"])
  })
})

describe("an XML name", () => {
  it("is one, and different for different ids", () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, unit: "binary" }),
        fc.string({ minLength: 1 }),
        (a, b) => {
          assert.match(ncName(a), /^[A-Za-z_][A-Za-z0-9._-]*$/u)
          if (a !== b) assert.notStrictEqual(ncName(a), ncName(b))
        }
      )
    )
    assert.strictEqual(ncName("ex_0abc"), "ex_0abc")
    assert.notStrictEqual(ncName("a:b"), ncName("a_x003A_b"))
  })
})

describe("a CSV line", () => {
  it("gives every cell back, but for what a spreadsheet would run", () => {
    const harmless = fc.string({ unit: "binary" }).filter((text) => !/^[=+\-@\t\r]/u.test(text))
    fc.assert(
      fc.property(fc.array(harmless, { minLength: 2 }), (cells) => {
        assert.deepStrictEqual(parse(csvLine(cells), { relax_quotes: false }), [cells])
      })
    )
    const risky = ["=1+1", "+x", "-2+3", "@SUM(A1)", "\tx", "-1.5", "+4e3", "-"]
    assert.deepStrictEqual(parse(csvLine(risky)), [
      ["'=1+1", "'+x", "'-2+3", "'@SUM(A1)", "'\tx", "-1.5", "+4e3", "'-"]
    ])
  })
})

describe("results export", () => {
  const put = (documents: ReadonlyArray<ResultDocument>) =>
    Effect.gen(function* () {
      const atomic = yield* Atomic
      const opened = yield* OpenedResults
      yield* atomic.run(
        opened.put(
          documents.map((document, at) => ({
            device: device.id,
            sha256: Digest.make(String(at).repeat(64).slice(0, 64)),
            text: canonical({ ...document }),
            facts: factsOf(document),
            openedAt: at
          }))
        )
      )
    })
  const exporting = (directory: string, format: ExportFormat, qtiVersion: QtiVersion = "2.2") =>
    Effect.provide(
      Effect.provideServiceEffect(exportResults(ALL_RESULTS), Names, Catalogue),
      ExportFiles.layer({ directory, format, qtiVersion })
    )
  const claim = <E>(
    what: string,
    test: (folder: string) => Effect.Effect<void, E, Layer.Success<typeof central>>
  ) =>
    it.live(what, () =>
      Effect.flatMap(freshFolder(), test).pipe(Effect.provide(central), Effect.scoped)
    )

  claim("writes one XML file for each result, readable for its owner only", (folder) =>
    Effect.gen(function* () {
      yield* put([resultDocument(device, 1), resultDocument(device, 2), RICH])
      const directory = path.join(folder, "out")
      const report = yield* exporting(directory, "qti", "3.0")
      assert.strictEqual(report.results, 3)
      const names = fs.readdirSync(directory)
      assert.strictEqual(names.length, 3)
      for (const name of names) {
        const file = path.join(directory, name)
        assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
        assert.deepStrictEqual(faults(fs.readFileSync(file, "utf8"), "3.0"), [])
      }
    })
  )

  claim(
    "writes a row per variable and a row per execution, with names where they are known",
    (folder) =>
      Effect.gen(function* () {
        const ada = person("ada", "test-taker", { firstName: "Ada", lastName: "=cmd" })
        yield* (yield* Catalogue).put([ada])
        const known = resultDocument(device, 1, { testTaker: ada.id })
        yield* put([known, RICH])
        yield* exporting(folder, "csv")
        yield* exporting(folder, "csv-takers")
        const rows = read(path.join(folder, "variables.csv"))
        assert.strictEqual(rows.length, 3 + 5)
        assert.deepInclude(rows[0], {
          Login: "ada",
          "Last Name": "'=cmd",
          "Start Delivery Execution": new Date(STARTED).toISOString(),
          "End Delivery Execution": new Date(FINISHED).toISOString(),
          Variable: "SCORE",
          Value: "1.5"
        })
        const takers = read(path.join(folder, "test-takers.csv"))
        assert.strictEqual(takers.length, 2)
        assert.deepInclude(takers[0], { Login: "ada", "test-SCORE": "1.5", "item-1-SCORE": "1" })
        assert.deepInclude(takers[1], { Login: "", "1st item#2-R3": "float value=1.5" })
      })
  )

  claim("writes JSON lines that hold the document as it was signed", (folder) =>
    Effect.gen(function* () {
      yield* put([resultDocument(device, 1), RICH])
      yield* exporting(folder, "jsonl")
      const lines = fs.readFileSync(path.join(folder, "results.jsonl"), "utf8").trim().split("\n")
      for (const [at, document] of [resultDocument(device, 1), RICH].entries()) {
        assert.deepInclude(JSON.parse(lines[at] ?? ""), JSON.parse(JSON.stringify(document)))
      }
    })
  )

  claim("leaves no half file behind, and says why, when the folder can't be written", (folder) =>
    Effect.gen(function* () {
      yield* put([resultDocument(device, 1)])
      fs.mkdirSync(path.join(folder, "results.jsonl"))
      const refused = yield* Effect.flip(exporting(folder, "jsonl"))
      assert.strictEqual(refused.code, "E_EXPORT_FOLDER")
      assert.deepStrictEqual(fs.readdirSync(folder), ["results.jsonl"])
      fs.writeFileSync(path.join(folder, "file"), "")
      yield* Effect.flip(exporting(path.join(folder, "file"), "csv"))
    })
  )

  claim("lists opened results page by page, each once, with what contradicts flagged", () =>
    Effect.gen(function* () {
      const documents = Array.from({ length: 70 }, (_, at) => resultDocument(device, at % 69))
      const opened = yield* OpenedResults
      const atomic = yield* Atomic
      const results = documents.map((document, at) => ({
        device: device.id,
        sha256: Digest.make(at.toString(16).padStart(64, "0")),
        document,
        openedAt: at >> 3
      }))
      const news = results.map(({ document, ...one }) => ({
        ...one,
        text: canonical({ ...document }),
        facts: factsOf(document)
      }))
      const answers = yield* atomic.run(opened.put(news))
      assert.deepStrictEqual(
        answers.map((answer) => answer !== "new"),
        documents.map((_, at) => at === 69)
      )
      assert.deepStrictEqual(yield* atomic.run(opened.put(news.slice(0, 2))), ["same", "same"])
      const all = { delivery: undefined, organisation: undefined }
      const listed = [...(yield* Stream.runCollect(opened.list(all)))]
      assert.deepStrictEqual(
        listed,
        results.map((one, at) => ({ ...one, conflict: at === 0 || at === 69 }))
      )
    })
  )
})

const read = (file: string): ReadonlyArray<Record<string, string>> =>
  parse(fs.readFileSync(file), { columns: true })
