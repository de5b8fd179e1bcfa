/**
 * Writes results into a folder that a person chose: each file aside, synced, and then renamed, so
 * that a file is whole or not there. Readable for its owner only; nothing is written anywhere else.
 */
import { constants } from "node:fs"
import { mkdir, open, rename, rm } from "node:fs/promises"
import path from "node:path"
import { Effect, Layer, Stream } from "effect"
import { ExportFiles } from "../application/record-ports.ts"
import { Refused } from "../application/refused.ts"
import { canonical } from "../domain/canonical.ts"
import type { ExportedResult, ExportFormat, QtiVersion } from "../domain/export.ts"
import { columnsOf, takerRow, takersHeader, VARIABLES_HEADER, variableRows } from "./export-csv.ts"
import { qtiXml } from "./export-qti.ts"

/** A table with more columns opens in no spreadsheet (Excel: 16,384). */
export const COLUMNS_MAX = 16_000

export interface ExportOptions {
  readonly directory: string
  readonly format: ExportFormat
  readonly qtiVersion: QtiVersion
}

type Results<R> = () => Stream.Stream<ExportedResult, never, R>

export const layer = (options: ExportOptions) =>
  Layer.succeed(
    ExportFiles,
    ExportFiles.of({
      write: (results) =>
        Effect.tryPromise({
          try: () => mkdir(options.directory, { recursive: true, mode: 0o700 }),
          catch: (cause) => unwritable(options.directory, cause)
        }).pipe(Effect.andThen(written(options, results)))
    })
  )

const written = <R>({ directory, format, qtiVersion }: ExportOptions, results: Results<R>) => {
  const table = (name: string, header: string, row: (result: ExportedResult) => string) =>
    oneFile(path.join(directory, name), header, Stream.map(results(), row))
  switch (format) {
    case "csv":
      return table("variables.csv", VARIABLES_HEADER, variableRows)
    case "jsonl":
      return table("results.jsonl", "", jsonLine)
    case "csv-takers":
      return Effect.flatMap(columns(results), (names) =>
        table("test-takers.csv", takersHeader(names), (result) => takerRow(result, names))
      )
    case "qti":
      return manyFiles(directory, results, qtiVersion)
  }
}

/** The document as it was signed, and the names beside it. */
const jsonLine = ({ conflict, deliveryLabel, document, taker }: ExportedResult): string =>
  `${canonical({
    ...document,
    conflict,
    deliveryLabel,
    login: taker?.login ?? null,
    label: taker?.label ?? null,
    startedAtIso: document.startedAt === null ? null : iso(document.startedAt.wall),
    finishedAtIso: iso(document.finishedAt.wall)
  })}\n`

const iso = (millis: number): string => new Date(millis).toISOString()

/** A first pass over all results: which columns there are, in the order of their first appearance. */
const columns = Effect.fnUntraced(function* <R>(results: Results<R>) {
  const names = new Set<string>()
  yield* Stream.runForEach(results(), (result) => {
    for (const name of columnsOf(result)) names.add(name)
    return names.size > COLUMNS_MAX ? Effect.fail(tooWide) : Effect.void
  })
  return [...names]
})

/** Appends rows to one file, with its header first. */
const oneFile = <R>(file: string, header: string, rows: Stream.Stream<string, never, R>) =>
  Effect.gen(function* () {
    const out = yield* begin(file)
    yield* out.append(header)
    let count = 0
    yield* Stream.runForEach(rows, (row) => {
      count += 1
      return out.append(row)
    })
    yield* out.finish
    return { results: count, files: [file] }
  }).pipe(Effect.scoped)

/** Names of files that a report lists; a folder of a million is named by its folder alone. */
const LISTED_MAX = 20

const manyFiles = Effect.fnUntraced(function* <R>(
  directory: string,
  results: Results<R>,
  version: QtiVersion
) {
  const files: Array<string> = []
  let count = 0
  yield* Stream.runForEach(results(), (result) => {
    const { execution, revision } = result.document
    // Two that say they are the same stand beside each other.
    const mark = result.conflict ? `-${result.sha256.slice(0, 12)}` : ""
    const file = path.join(directory, `${execution}-${revision}${mark}.xml`)
    count += 1
    if (files.length < LISTED_MAX) files.push(file)
    return Effect.scoped(
      Effect.flatMap(begin(file), (out) =>
        Effect.andThen(out.append(qtiXml(result, version)), out.finish)
      )
    )
  })
  return { results: count, files: count > LISTED_MAX ? [directory] : files }
})

/** A file that is being written. Gone with the scope unless it was finished. */
const begin = Effect.fnUntraced(function* (file: string) {
  const aside = `${file}.partial`
  const attempt = <A>(work: () => Promise<A>) =>
    Effect.tryPromise({ try: work, catch: (cause) => unwritable(file, cause) })
  const handle = yield* Effect.acquireRelease(
    attempt(() =>
      open(
        aside,
        constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
        0o600
      )
    ),
    (opened) =>
      Effect.promise(async () => {
        await opened.close().catch(() => undefined)
        await rm(aside, { force: true })
      })
  )
  return {
    append: (text: string) => attempt(() => handle.appendFile(text)),
    finish: attempt(async () => {
      await handle.sync()
      await rename(aside, file)
    })
  }
})

const unwritable = (file: string, cause: unknown): Refused =>
  new Refused({
    code: "E_EXPORT_FOLDER",
    what: "The results were not all written.",
    why: `${file} can't be written: ${cause instanceof Error ? cause.message : String(cause)}`,
    todo: "Choose another folder, or make room, and export again. What was written is whole."
  })

const tooWide = new Refused({
  code: "E_EXPORT_COLUMNS",
  what: "The table was not written.",
  why: `It would have more than ${COLUMNS_MAX} columns, which no spreadsheet opens.`,
  todo: "Export one delivery at a time, or use --format csv."
})
