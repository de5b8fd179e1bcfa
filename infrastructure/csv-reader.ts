/**
 * Reads roster files (users, test centers, eligibilities) of any size as a stream of batches.
 *
 * Whatever is wrong with the file as a whole (missing, empty, not UTF-8, a header with an unknown
 * or missing column) refuses it before the first batch, so nothing has been applied. Whatever is
 * wrong with a line is an item of a batch, and reading goes on.
 *
 *     readRoster("takers.csv", users("test-taker", passwordRule)).pipe(
 *       Stream.runForEach((batch) => apply(batch.items)))
 */
import { createHash } from "node:crypto"
import { type FileHandle, open } from "node:fs/promises"
import { Effect, Option, Result, Schema, Stream } from "effect"
import {
  isBlank,
  type Roster,
  type RosterItem,
  type RosterRecord,
  refusedRecord,
  rosterReader
} from "../domain/roster.ts"
import { RowProblem } from "../domain/roster-cells.ts"
import { CHUNK_BYTES, findNotText, readChunk, sniffDialect } from "./csv-dialect.ts"
import { type FileRecord, pages } from "./csv-records.ts"

/** The file can't be opened: absent, a folder, or not ours to read. */
export class CsvUnreadable extends Schema.TaggedError<CsvUnreadable>()("CsvUnreadable", {
  file: Schema.String,
  reason: Schema.Literals(["missing", "not a file", "forbidden"])
}) {}

/** The file as a whole is not a roster of this kind; none of it was used. */
export class CsvRefused extends Schema.TaggedError<CsvRefused>()("CsvRefused", {
  file: Schema.String,
  problems: Schema.NonEmptyArray(RowProblem)
}) {}

/** About a thousand lines of a roster, in order, and how far into the file they reach. */
export interface RosterBatch<Row> {
  readonly items: ReadonlyArray<RosterItem<Row>>
  readonly bytesRead: number
  readonly bytesTotal: number
}

/**
 * Streams the rows and problems of `file` in batches. Reads the file twice, the first time to be
 * sure that all of it is UTF-8. Memory does not grow with the file but for one key per row.
 */
export const readRoster = <Row>(
  file: string,
  roster: Roster<Row>
): Stream.Stream<RosterBatch<Row>, CsvUnreadable | CsvRefused> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const handle = yield* openFile(file)
      const bytesTotal = (yield* Effect.promise(() => handle.stat())).size
      const notText = yield* Effect.promise(() => findNotText(handle))
      if (notText !== undefined) return yield* refused(file, [notText])
      const dialect = yield* Effect.promise(() => sniffDialect(handle))

      const header = yield* firstRecord(pages(handle, dialect))
      if (header === undefined) {
        return yield* refused(file, [{ line: 1, reason: "the file is empty" }])
      }
      if (header.malformed !== undefined) {
        return yield* refused(file, [{ line: header.line, reason: header.malformed }])
      }
      const reader = rosterReader(roster, header)
      if (Result.isFailure(reader)) return yield* refused(file, reader.failure)

      const batches = pages(handle, dialect).pipe(
        Stream.map((page) => ({
          items: page
            .filter((record) => record.line > header.line)
            .flatMap((record) => rosterItem(reader.success, record)),
          bytesRead: page.at(-1)?.end ?? bytesTotal,
          bytesTotal
        })),
        Stream.filter((batch) => batch.items.length > 0)
      )
      const empty = { line: header.line, reason: "there is no row below the header" }
      return batches.pipe(Stream.orElseIfEmpty(() => Stream.fromEffect(refused(file, [empty]))))
    })
  )

/** Answers the SHA-256 of the file in hexadecimal, by which an import knows where to go on. */
export const checksumOfFile = Effect.fn("checksumOfFile")(function* (file: string) {
  const handle = yield* openFile(file)
  return yield* Effect.promise(() => sha256(handle))
}, Effect.scoped)

const openFile = (file: string) =>
  Effect.acquireRelease(
    Effect.promise(() => openRegularFile(file)).pipe(
      Effect.flatMap((opened) =>
        opened instanceof CsvUnreadable ? Effect.fail(opened) : Effect.succeed(opened)
      )
    ),
    (handle) => Effect.promise(() => handle.close())
  )

/** Types what a person can mend; any other failure of the disk stays a defect. */
const openRegularFile = async (file: string): Promise<FileHandle | CsvUnreadable> => {
  try {
    const handle = await open(file, "r")
    if ((await handle.stat()).isFile()) return handle
    await handle.close()
    return new CsvUnreadable({ file, reason: "not a file" })
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined
    if (code === "ENOENT" || code === "ENOTDIR") {
      return new CsvUnreadable({ file, reason: "missing" })
    }
    if (code === "EACCES" || code === "EPERM") {
      return new CsvUnreadable({ file, reason: "forbidden" })
    }
    throw cause
  }
}

const refused = (file: string, problems: ReadonlyArray<RowProblem>) => {
  const [first = { line: 1, reason: "is refused" }, ...rest] = problems
  return Effect.fail(new CsvRefused({ file, problems: [first, ...rest] }))
}

const firstRecord = (source: Stream.Stream<ReadonlyArray<FileRecord>>) =>
  source.pipe(
    Stream.map((page) => page.find((record) => record.malformed !== undefined || !isBlank(record))),
    Stream.filter((record) => record !== undefined),
    Stream.runHead,
    Effect.map(Option.getOrUndefined)
  )

const rosterItem = <Row>(
  read: (record: RosterRecord) => RosterItem<Row> | undefined,
  record: FileRecord
): ReadonlyArray<RosterItem<Row>> => {
  const item =
    record.malformed === undefined ? read(record) : refusedRecord(record, record.malformed)
  return item === undefined ? [] : [item]
}

const sha256 = async (handle: FileHandle): Promise<string> => {
  const hash = createHash("sha256")
  for (let position = 0; ; position += CHUNK_BYTES) {
    const chunk = await readChunk(handle, position)
    hash.update(chunk)
    if (chunk.length < CHUNK_BYTES) return hash.digest("hex")
  }
}
