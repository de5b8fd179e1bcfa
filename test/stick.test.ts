import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Medium } from "../application/bundle-ports.ts"
import * as StickMedium from "../infrastructure/stick-medium.ts"
import * as StickWriter from "../infrastructure/stick-writer.ts"
import { bundle, put } from "./support/bundles.ts"
import { freshFolder } from "./support/database.ts"

const layer = Layer.merge(StickMedium.layer, StickWriter.layer)
const provided = Effect.provide(layer)

describe("a stick", () => {
  it.effect("gives back the bundle that was written, from wherever it is looked for", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const made = bundle()
      const written = yield* put(to, made)
      const medium = yield* Medium
      const folder = path.join(to, "TESTFERRY", "to-device", "dev_7f3k9q")
      const places = [to, path.join(to, "TESTFERRY"), path.dirname(folder), folder]
      for (const from of [...places, ...written.paths]) {
        const [found, ...others] = yield* medium.find(from)
        assert.deepStrictEqual(others, [], from)
        assert.isDefined(found)
        const { of, seq, stream, volumes } = found
        assert.deepStrictEqual(
          { of, seq, stream },
          { of: 2, seq: 42, stream: made.manifest.stream }
        )
        assert.deepStrictEqual([...volumes.values()].sort(), [...written.paths].sort())
        const opened = yield* medium.open(found)
        assert.deepStrictEqual(opened.manifest, made.signed)
        for (const [name, bytes] of made.contents) {
          assert.strictEqual(opened.sizes.get(name), bytes.length)
          assert.isTrue(bytes.equals(yield* opened.read(name, 0, bytes.length)))
        }
      }
      assert.deepStrictEqual(fs.readdirSync(path.join(to, "TESTFERRY")).sort(), [
        "README.txt",
        "to-device"
      ])
    }).pipe(provided)
  )
})
