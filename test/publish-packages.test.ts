import { readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { openFile } from "../infrastructure/file-source.ts"
import { inspectPackage } from "../infrastructure/qti-reader.ts"
import { openPackage } from "../infrastructure/zip-package.ts"
import { buildPackage, PACKAGE_NAMES, PACKAGES, sources } from "./support/build-packages.ts"

/** Packages of other people, which can't be given away with the project. */
const others = process.env.TESTFERRY_QTI_PACKAGES

const packages = [PACKAGES, ...(others === undefined ? [] : [others])].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".zip"))
    .map((name) => join(folder, name))
)

describe("the publisher", () => {
  for (const file of packages) {
    const name = basename(file)
    if (name.startsWith("invalid-")) {
      it.effect(`refuses ${name}, and says why in plain words`, () =>
        Effect.gen(function* () {
          const refused = yield* Effect.flip(Effect.flatMap(openFile(file), inspectPackage))
          for (const { detail } of refused.reasons) assert.match(detail, /^.{40,600}[.]$/su)
        })
      )
    } else {
      it.effect(`accepts ${name}, with a title and items to play`, () =>
        Effect.gen(function* () {
          const report = yield* Effect.flatMap(openFile(file), inspectPackage)
          assert.isNotEmpty(report.title)
          assert.isNotEmpty(report.items)
          assert.include(["2.1", "2.2", "2.2.1", "3.0"], report.version)
        })
      )
    }
  }

  it.effect("reads versions, titles and items of the demo packages", () =>
    Effect.gen(function* () {
      const facts = yield* Effect.forEach(PACKAGE_NAMES, (name) =>
        openFile(join(PACKAGES, `${name}.zip`)).pipe(
          Effect.flatMap(inspectPackage),
          Effect.map(({ version, title, identifier, items, warnings }) => [
            version,
            title,
            identifier,
            items.length,
            warnings.length
          ])
        )
      )
      assert.deepStrictEqual(facts, [
        ["2.1", "Rivers of the world", "rivers", 4, 0],
        ["2.2", "Les fractions", "fractions", 4, 0],
        ["2.2", "Les fractions", "fractions", 4, 0],
        ["3.0", "Soundscapes", "soundscapes", 5, 0]
      ])
    })
  )
})

describe("the demo packages", () => {
  for (const name of PACKAGE_NAMES) {
    it.effect(`${name}.zip holds exactly its sources`, () =>
      Effect.gen(function* () {
        const opened = yield* Effect.flatMap(openFile(join(PACKAGES, `${name}.zip`)), openPackage)
        const files = sources(name)
        assert.deepStrictEqual([...opened.entries.keys()], [...files.keys()])
        for (const [path, data] of files) {
          assert.isTrue(data.equals(yield* opened.read(path)), path)
        }
      })
    )

    it(`${name}.zip is built the same, byte by byte`, async () => {
      const built = await buildPackage(name)
      assert.isTrue(built.equals(await buildPackage(name)))
      assert.isTrue(built.equals(readFileSync(join(PACKAGES, `${name}.zip`))))
    })
  }
})
