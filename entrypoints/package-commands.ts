/** What an operator can do with content packages besides publishing: convert one, and list contents. */
import fs from "node:fs"
import path from "node:path"
import { Effect, Schema, Stream } from "effect"
import { Catalogue } from "../application/ports.ts"
import { preparePackage } from "../application/prepare-package.ts"
import { Origins } from "../application/prepare-ports.ts"
import { Refused } from "../application/refused.ts"
import { Digest, EntityId } from "../domain/id.ts"
import { defineCommand } from "./command.ts"
import { fromConverterMissing, fromNoSpace, fromPackage } from "./refusals.ts"
import { layerPreparing } from "./wiring.ts"

const Converted = Schema.Struct({
  to: Schema.String,
  title: Schema.String,
  was: Schema.String,
  qti: Schema.String,
  items: Schema.Int,
  warnings: Schema.Array(Schema.String),
  isChanged: Schema.Boolean
})
export type Converted = typeof Converted.Type

export const encodeConverted = (report: Converted) =>
  Effect.orDie(Schema.encodeEffect(Schema.toCodecJson(Converted))(report))

/** Writes the form of a package that devices play to a new file. Needs no data directory. */
export const convertPackage = Effect.fn("convertPackage")(
  function* (file: string, to: string) {
    // Said before the work, and once more should the file come up meanwhile.
    if (fs.existsSync(to)) return yield* isThere(to)
    const prepared = yield* preparePackage(file)
    yield* Effect.try({
      try: () => fs.copyFileSync(prepared.file, to, fs.constants.COPYFILE_EXCL),
      catch: (cause) => notWritten(to, cause)
    })
    const { isChanged, items, qti, title, warnings, was } = prepared
    return { to: path.resolve(to), title, was, qti, items, warnings, isChanged } satisfies Converted
  },
  (run, file) =>
    run.pipe(
      Effect.catchTags({
        PackageFaulty: (error) => Effect.fail(fromPackage(file, error, "converted")),
        ConverterMissing: () => Effect.fail(fromConverterMissing(file, "converted")),
        NoSpace: (error) => Effect.fail(fromNoSpace(error))
      }),
      Effect.scoped,
      Effect.provide(layerPreparing)
    )
)

const notWritten = (to: string, cause: unknown): Refused => {
  if (!(cause instanceof Error)) return fileRefused(`${to} can't be written.`)
  if ("code" in cause && cause.code === "EEXIST") return isThere(to)
  return fileRefused(`${to} can't be written: ${cause.message}.`)
}

const isThere = (to: string): Refused => fileRefused(`${to} is there already.`)

const fileRefused = (why: string): Refused =>
  new Refused({
    code: "E_FILE",
    what: "The package was not converted.",
    why,
    todo: "Name a new file with --to, in a folder that is there."
  })

const Listed = Schema.Struct({
  delivery: EntityId,
  label: Schema.String,
  version: Schema.Int,
  qti: Schema.String,
  sha256: Digest,
  /** The package that it was made from; null when devices play it as its author made it. */
  original: Schema.NullOr(Schema.Struct({ qti: Schema.String, sha256: Digest }))
})

export const listContents = defineCommand({
  name: "central contents",
  side: "central",
  args: Schema.Struct({}),
  report: Schema.Struct({ contents: Schema.Array(Listed) }),
  run: Effect.fn("listContents")(function* () {
    const catalogue = yield* Catalogue
    const origins = yield* (yield* Origins).list
    const records = yield* Stream.runCollect(catalogue.list("delivery"))
    const contents = records.flatMap((record) => {
      if (record.kind !== "delivery") return []
      const { content, id, label } = record
      const { plainSha256: sha256, qti, version } = content
      const origin = origins.find((one) => one.delivery === id && one.version === version)
      const original = origin ? { qti: origin.qti, sha256: origin.originalSha256 } : null
      return [{ delivery: id, label, version, qti, sha256, original }]
    })
    return { contents }
  })
})
