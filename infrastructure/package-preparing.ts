/** Makes the playable form of a package in a file of its own, and reads it like a stranger's. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { NoSpace, PackageFaulty } from "../application/ports.ts"
import {
  Converter,
  type ConverterMissing,
  NotConverted,
  Preparing
} from "../application/prepare-ports.ts"
import { PackageRefused, refused } from "../domain/package-refusal.ts"
import type { ItemInTest } from "../domain/qti-route.ts"
import { openFile } from "./file-source.ts"
import { inspectedOf } from "./package-files.ts"
import { type Convert, needsConversion, playableFiles } from "./playable-package.ts"
import { type ReadPackage, readPackage } from "./qti-reader.ts"
import { type PackedFile, writeZip } from "./zip-writer.ts"

export const layer = Layer.effect(
  Preparing,
  Effect.map(Converter, (converter) =>
    Preparing.of({
      prepare: (file) =>
        Effect.catchTag(prepare(file, converter), "PackageRefused", ({ reasons }) =>
          Effect.fail(new PackageFaulty({ reasons }))
        )
    })
  )
)

const prepare = Effect.fn("Preparing.prepare")(function* (
  file: string,
  converter: Converter["Service"]
) {
  const source = yield* openFile(file)
  const before = yield* readPackage(source)
  const convert: Convert<ConverterMissing | PackageRefused> = needsConversion(before)
    ? yield* opened(converter)
    : unneeded
  const files = yield* playableFiles(source, before, convert)
  if (files === undefined) return preparedOf(file, before, before)
  const made = yield* written(files)
  const after = yield* Effect.flatMap(openFile(made), readPackage)
  yield* playable(after)
  yield* sameItems(before.report.items, after.report.items)
  return preparedOf(made, before, after)
})

const unneeded: Convert<never> = () => Effect.die(new Error("nothing of QTI 2.x was found"))

/** Starts the converter; what it can't read is a reason to refuse. */
const opened = Effect.fnUntraced(function* (converter: Converter["Service"]) {
  const convert = yield* Effect.mapError(converter.open, (error) => fromConverter(error, ""))
  return (xml: string, file: string) =>
    Effect.mapError(convert(xml), (error) => fromConverter(error, file))
})

const fromConverter = (
  error: ConverterMissing | NotConverted,
  file: string
): ConverterMissing | PackageRefused => {
  if (!(error instanceof NotConverted)) return error
  const detail = `it can't be converted to QTI 3.0 (${error.why}). Export the package as QTI 3.0 from the program that made it.`
  return refused("conversion", file, detail)
}

/** Writes the package to a new file, in a folder that nobody else may read. */
const written = Effect.fnUntraced(function* (files: ReadonlyArray<PackedFile>) {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "testferry-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )
  const file = join(folder, "package.zip")
  const needed = files.reduce((sum, { compressedSize }) => sum + compressedSize, 0)
  yield* Effect.promise(() => writeZip(file, files)).pipe(
    Effect.catchDefect((cause) => writeFailure(cause, needed))
  )
  return file
})

const writeFailure = (
  cause: unknown,
  needed: number
): Effect.Effect<never, PackageRefused | NoSpace> => {
  if (cause instanceof PackageRefused) return Effect.fail(cause)
  const isFull = cause instanceof Error && "code" in cause && cause.code === "ENOSPC"
  return isFull ? Effect.fail(new NoSpace({ needed, free: 0 })) : Effect.die(cause)
}

/** Nothing may be left that devices would not play, or would show without a part of it. */
const playable = (after: ReadPackage) => {
  if (needsConversion(after)) {
    return Effect.fail(refused("conversion", "", lostText("some of it was not converted")))
  }
  const leftover = [...after.model.documents.values()].find(
    ({ references, root }) =>
      root === "assessmentItem" &&
      references.some(({ kind }) => kind === "include" || kind === "stimulus")
  )
  if (leftover === undefined) return Effect.void
  const detail = "a shared text could not be put into this item. Write the text into the item."
  return Effect.fail(refused("unresolved-include", leftover.path, detail))
}

/** Results bear the names of the references: they must be what the author wrote. */
const sameItems = (before: ReadonlyArray<ItemInTest>, after: ReadonlyArray<ItemInTest>) => {
  const differs = before.findIndex(
    ({ identifier, ref }, at) => after[at]?.ref !== ref || after[at].identifier !== identifier
  )
  if (differs < 0 && before.length === after.length) return Effect.void
  const detail = lostText("this item is gone, or is called by another name")
  return Effect.fail(refused("conversion", before[differs]?.path ?? "", detail))
}

const lostText = (what: string): string =>
  `converting the package to QTI 3.0 went wrong: ${what}. Export the package as QTI 3.0 from the program that made it.`

const preparedOf = (file: string, before: ReadPackage, after: ReadPackage) => ({
  ...inspectedOf(after.report),
  warnings: [
    ...new Set([...inspectedOf(before.report).warnings, ...inspectedOf(after.report).warnings])
  ],
  file,
  isChanged: before !== after,
  was: before.report.version,
  itemFiles: [...new Set(after.report.items.map(({ path }) => path))],
  item: (path: string) =>
    Effect.map(Effect.orDie(after.opened.read(path)), (bytes) =>
      Buffer.from(bytes).toString("utf8")
    )
})
