/** Reads the tests of sealed packages, and remembers the plans of those that are being sat. */
import { Effect, Layer, Stream } from "effect"
import { TestReader } from "../application/play-ports.ts"
import type { OpenFiles } from "../application/session-ports.ts"
import type { Digest } from "../domain/id.ts"
import { PackageRefused } from "../domain/package-refusal.ts"
import { type NumberedPlan, numbered } from "../domain/test-plan.ts"
import { readPlan } from "./qti-test-files.ts"
import { XML_BYTES_MAX, xmlText } from "./xml-document.ts"

/** A school sits a few tests at a time; a plan takes kilobytes. */
const PLANS_MAX = 32

export const layer = Layer.sync(TestReader, () => {
  const plans = new Map<Digest, NumberedPlan>()
  return TestReader.of({
    plan: (content, opening) =>
      Effect.gen(function* () {
        const known = plans.get(content.plainSha256)
        if (known !== undefined) return known
        const files = yield* opening
        const names = files.sizes.keys()
        const plan = numbered(yield* readPlan({ names, read: (path) => bytesOf(files, path) }))
        const [oldest] = plans.keys()
        if (plans.size >= PLANS_MAX && oldest !== undefined) plans.delete(oldest)
        plans.set(content.plainSha256, plan)
        return plan
      }),
    text: (files, path) =>
      Effect.flatMap(bytesOf(files, path), (bytes) => {
        const text = xmlText(bytes)
        return text === undefined ? refused(path) : Effect.succeed(text)
      })
  })
})

const bytesOf = Effect.fnUntraced(function* (files: OpenFiles, path: string) {
  const size = files.sizes.get(path)
  if (size === undefined || size > XML_BYTES_MAX) return yield* refused(path)
  const chunks = yield* Stream.runCollect(files.read(path))
  return new Uint8Array(Buffer.concat(chunks))
})

const refused = (file: string) =>
  Effect.fail(
    new PackageRefused({
      reasons: [
        { code: "missing-file", file, detail: "it can't be read. Publish the package once more." }
      ]
    })
  )
