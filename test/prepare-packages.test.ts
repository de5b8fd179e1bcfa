import { createHash } from "node:crypto"
import fs from "node:fs"
import { basename, join } from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Blobs, Catalogue } from "../application/ports.ts"
import { Origins } from "../application/prepare-ports.ts"
import { deliveryId } from "../application/publish.ts"
import { Digest } from "../domain/id.ts"
import { convertPackage, listContents } from "../entrypoints/package-commands.ts"
import { openFile } from "../infrastructure/file-source.ts"
import { readPackage } from "../infrastructure/qti-reader.ts"
import { PACKAGES } from "./support/build-packages.ts"
import { freshFolder } from "./support/database.ts"
import { layerConverting, prepared, preparedFile } from "./support/preparing.ts"
import { item, manifest, minimal, QTI_21, resource } from "./support/qti-files.ts"
import * as Real from "./support/real-central.ts"

/** Packages of other people, which can't be given away with the project. */
const others = process.env.TESTFERRY_QTI_PACKAGES

const packages = [PACKAGES, ...(others === undefined ? [] : [others])].flatMap((folder) =>
  fs
    .readdirSync(folder)
    .filter((name) => name.endsWith(".zip"))
    .map((name) => join(folder, name))
)

layer(layerConverting)("preparing", (it) => {
  for (const file of packages) {
    const name = basename(file)
    if (name.startsWith("invalid-")) {
      it.effect(`refuses ${name}, and says why in plain words`, () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(preparedFile(file))
          assert.strictEqual(error._tag, "PackageFaulty")
          if (error._tag !== "PackageFaulty") return
          for (const { detail } of error.reasons) assert.match(detail, /^.{40,600}[.]$/su)
        })
      )
    } else {
      it.effect(`makes of ${name} what devices play: QTI 3.0 with the same items`, () =>
        Effect.gen(function* () {
          const before = yield* Effect.flatMap(openFile(file), readPackage)
          const made = yield* preparedFile(file)
          const after = yield* Effect.flatMap(openFile(made.file), readPackage)
          assert.strictEqual(made.qti, "3.0")
          assert.strictEqual(made.isChanged, !before.report.version.startsWith("3"))
          assert.deepStrictEqual(
            after.report.items.map(({ interactions, ref, title }) => [ref, title, interactions]),
            before.report.items.map(({ interactions, ref, title }) => [ref, title, interactions])
          )
          for (const [path, text] of made.texts) {
            if (path.endsWith(".xml")) assert.notMatch(text, /<!DOCTYPE|<[\w:]*include[\s/>]/u)
          }
        })
      )
    }
  }

  for (const [original, shipped] of [
    ["rivers-qti21", "rivers-qti30"],
    ["fractions-qti22", "fractions-qti30"],
    ["fractions-revised-qti22", "fractions-revised-qti30"]
  ]) {
    it.effect(`makes of ${original}.zip exactly ${shipped}.zip, which the demo publishes`, () =>
      Effect.gen(function* () {
        const { bytes } = yield* preparedFile(join(PACKAGES, `${original}.zip`))
        assert.isTrue(bytes.equals(fs.readFileSync(join(PACKAGES, `${shipped}.zip`))))
      })
    )
  }

  it.effect("keeps an answer optional that was, and the feedback of a test", () =>
    Effect.gen(function* () {
      const choice = `<choiceInteraction responseIdentifier="R" shuffle="false" maxChoices="1"><simpleChoice identifier="A">Yes &#233;</simpleChoice></choiceInteraction>`
      const declared = `<responseDeclaration identifier="R" cardinality="single" baseType="identifier"/>`
      const feedback = `<testFeedback access="atEnd" outcomeIdentifier="O" showHide="show" identifier="F"><p>Done</p></testFeedback>`
      const made = yield* prepared({
        ...minimal,
        "items/i1.xml": item(choice).replace("<itemBody>", `${declared}<itemBody>`),
        "test.xml": `${minimal["test.xml"]}`.replace(
          "</assessmentTest>",
          `${feedback}</assessmentTest>`
        )
      })
      const text = made.texts.get("items/i1.xml") ?? ""
      assert.match(text, /<qti-choice-interaction [^>]*max-choices="1"/u)
      assert.notInclude(text, "min-choices")
      assert.include(text, "Yes é")
      assert.match(made.texts.get("test.xml") ?? "", /<qti-test-feedback [^>]*show-hide="show"/u)
    })
  )

  it.effect("converts what is UTF-16, badly named and shared", () =>
    Effect.gen(function* () {
      const shared = `<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="../shared text.xml"/>`
      const made = yield* prepared({
        ...minimal,
        "imsmanifest.xml": manifest(
          resource("T", "imsqti_test_xmlv2p1", "test.xml") +
            resource("I", "imsqti_item_xmlv2p1", "items/i%201.xml")
        ),
        "test.xml": `${minimal["test.xml"]}`.replace("items/i1.xml", "items/i%201.xml"),
        "items/i 1.xml": Buffer.from(`\ufeff${item(`${shared}<p>日本</p>`)}`, "utf16le"),
        "shared text.xml": `<div xmlns="${QTI_21}"><img src="a#b.png" alt=""/></div>`,
        "a#b.png": "picture"
      })
      const text = made.texts.get("items/i_1.xml") ?? ""
      assert.match(text, /<img src="\.\.\/a_b\.png" alt=""\/>/u)
      assert.include(text, "<p>日本</p>")
      assert.include(made.texts.get("test.xml"), `href="items/i_1.xml"`)
      assert.deepStrictEqual(made.itemFiles, ["items/i_1.xml"])
    })
  )
})

const FRACTIONS = join(PACKAGES, "fractions-qti22.zip")
const digest = (bytes: Uint8Array) => Digest.make(createHash("sha256").update(bytes).digest("hex"))

describe("central", () => {
  it.effect("keeps the original beside what devices play, and both digests", () =>
    Effect.gen(function* () {
      const bytes = fs.readFileSync(FRACTIONS)
      const first = yield* Real.publish("fractions", bytes)
      assert.deepStrictEqual([first.was, first.qti, first.version], ["2.2", "3.0", 1])
      const { contents } = yield* listContents.run({})
      const record = yield* Effect.map(
        (yield* Catalogue).byIds([deliveryId("fractions")]),
        (found) => found.get(deliveryId("fractions"))
      )
      assert.strictEqual(record?.kind, "delivery")
      if (record?.kind !== "delivery") return
      assert.notStrictEqual(record.content.plainSha256, digest(bytes))
      assert.deepStrictEqual(contents, [
        {
          delivery: record.id,
          label: record.label,
          version: 1,
          qti: "3.0",
          sha256: record.content.plainSha256,
          original: { qti: "2.2", sha256: digest(bytes) }
        }
      ])
      const [origin] = yield* (yield* Origins).list
      if (origin === undefined) return assert.fail("no origin was kept")
      assert.isTrue(yield* (yield* Blobs).has(origin.blob))
      assert.notStrictEqual(origin.blob, record.content.blob)

      const again = yield* Real.publish("fractions", bytes)
      assert.deepStrictEqual([again.content, again.version], ["same", 1])
      assert.lengthOf(yield* (yield* Origins).list, 1)
    }).pipe(Effect.provide(Real.layerEmbedded))
  )

  it.effect("converts a package to a file, but never over another one", () =>
    Effect.gen(function* () {
      const to = join(yield* freshFolder(), "out.zip")
      const report = yield* convertPackage(FRACTIONS, to)
      assert.deepStrictEqual([report.was, report.qti, report.items], ["2.2", "3.0", 4])
      const { report: made } = yield* Effect.flatMap(openFile(to), readPackage)
      assert.strictEqual(made.version, "3.0")
      const refused = yield* Effect.flip(convertPackage(FRACTIONS, to))
      assert.strictEqual(refused.code, "E_FILE")
    })
  )
})
