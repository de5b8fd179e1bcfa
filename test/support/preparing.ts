/** Prepares packages for tests as central does, and reads what came of them. */
import fs from "node:fs"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { Converter, Preparing } from "../../application/prepare-ports.ts"
import { openFile } from "../../infrastructure/file-source.ts"
import * as PackagePreparing from "../../infrastructure/package-preparing.ts"
import * as QtiConvertProcess from "../../infrastructure/qti-convert-process.ts"
import { openPackage } from "../../infrastructure/zip-package.ts"
import { freshFolder } from "./database.ts"
import { type Files, zipOf } from "./qti-files.ts"

/** With the converter that is installed, started once for all packages. */
export const layerConverting = Layer.provide(
  PackagePreparing.layer,
  Layer.effect(
    Converter,
    Effect.gen(function* () {
      const convert = yield* (yield* Converter).open
      return Converter.of({ open: Effect.succeed(convert) })
    })
  ).pipe(Layer.provide(QtiConvertProcess.layer()), Layer.orDie)
)

/** Where nobody installed the converter. */
export const layerBare = Layer.unwrap(
  Effect.map(freshFolder(), (folder) =>
    Layer.provide(PackagePreparing.layer, QtiConvertProcess.layer([`${folder}/`]))
  )
)

/** With a converter that gives back what `change` makes of a document. */
export const layerWith = (change: (xml: string) => string) =>
  Layer.provide(
    PackagePreparing.layer,
    Layer.succeed(Converter, {
      open: Effect.succeed((xml: string) => Effect.sync(() => change(xml)))
    })
  )

/** Writes the files as a package and prepares it. */
export const prepared = Effect.fnUntraced(function* (files: Files) {
  const file = join(yield* freshFolder(), "package.zip")
  yield* Effect.sync(() => fs.writeFileSync(file, zipOf(files)))
  return yield* preparedFile(file)
})

/** Prepares a package; `texts` are its files afterwards, by name. */
export const preparedFile = Effect.fnUntraced(function* (file: string) {
  const preparing = yield* Preparing
  const made = yield* preparing.prepare(file)
  const bytes = yield* Effect.sync(() => fs.readFileSync(made.file))
  const opened = yield* Effect.flatMap(openFile(made.file), openPackage)
  const texts = new Map<string, string>()
  for (const name of opened.entries.keys()) {
    texts.set(name, Buffer.from(yield* opened.read(name)).toString("utf8"))
  }
  return { ...made, bytes, texts }
})

/** Why files are not prepared: codes with their files. */
export const whyNot = (files: Files) =>
  Effect.map(Effect.flip(prepared(files)), (error) =>
    error._tag === "PackageFaulty"
      ? error.reasons.map(({ code, file }) => `${code} ${file}`.trim())
      : [error._tag]
  )
