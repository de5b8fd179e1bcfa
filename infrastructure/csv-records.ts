/**
 * Cuts a CSV file of any size into records with the line each begins on, in bounded memory.
 *
 * csv-parse does the cutting. Around it stand three guards, each for something it does not do:
 *
 * 1. Lines are counted here, from the line breaks inside the cells: its own count takes a CRLF in
 *    quotes for two.
 * 2. A malformed record stops the parser. Reading goes on behind the line that record began on, so
 *    one quote too many costs its own line and not the rest of the file. (`skip_records_with_error`
 *    would do that, but loses the rest of the chunk, silently, for text after a closing quote.)
 * 3. A record may not grow beyond `RECORD_BYTES_MAX`: a quote that is never closed would otherwise
 *    pull the whole file into memory.
 */
import type { FileHandle } from "node:fs/promises"
import { type CsvError, type InfoRecord, Parser } from "csv-parse"
import { Effect, Option, Stream } from "effect"
import { CHUNK_BYTES, type Dialect, readChunk } from "./csv-dialect.ts"

/** Room for a list of 10,000 logins of a hundred letters, twice. */
export const RECORD_BYTES_MAX = 2 * 1024 * 1024
/** As many rows as the largest programme has test-takers; a page's memory of keys fits too. */
export const RECORDS_MAX = 1_000_000
/** With more malformed lines than this, the file is not CSV; each costs a restart of the parser. */
export const MALFORMED_MAX = 1_000
/** Rows handed on at once: enough for one efficient transaction. */
export const PAGE_RECORDS = 1_000

/** A record, or what keeps one from being read; `end` is the byte behind it in the file. */
export interface FileRecord {
  readonly line: number
  readonly lastLine: number
  readonly end: number
  readonly cells: ReadonlyArray<string>
  /** Present when the record is malformed; `cells` is then empty. */
  readonly malformed?: string
}

/** Where reading stands; owned by one run of `pages`. */
interface Reading {
  readonly handle: FileHandle
  readonly dialect: Dialect
  parser: Parser
  /** Records the parser has finished but no page has taken. */
  ready: Array<FileRecord>
  /** The byte at which the parser now in use began, and the next byte to feed to it. */
  base: number
  position: number
  /** The line and the byte at which the next record begins. */
  line: number
  recordStart: number
  records: number
  malformed: number
  ended: boolean
}

/** Reads all records in order, in pages of at most `PAGE_RECORDS`. A failing disk is a defect. */
export const pages = (
  handle: FileHandle,
  dialect: Dialect
): Stream.Stream<ReadonlyArray<FileRecord>> =>
  Stream.suspend(() =>
    Stream.paginate(open(handle, dialect), (reading) =>
      Effect.promise(async () => {
        await fill(reading)
        const page = reading.ready.splice(0, PAGE_RECORDS)
        const done = reading.ended && reading.ready.length === 0
        return [page.length > 0 ? [page] : [], done ? Option.none() : Option.some(reading)]
      })
    )
  )

const open = (handle: FileHandle, dialect: Dialect): Reading => {
  const reading: Reading = {
    handle,
    dialect,
    parser: new Parser({}),
    ready: [],
    base: dialect.start,
    position: dialect.start,
    line: 1,
    recordStart: dialect.start,
    records: 0,
    malformed: 0,
    ended: false
  }
  restart(reading)
  return reading
}

/** Starts a new parser at the beginning of the next record. */
const restart = (reading: Reading): void => {
  reading.base = reading.recordStart
  reading.position = reading.recordStart
  reading.parser = new Parser({
    delimiter: reading.dialect.delimiter,
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_column_count: true,
    // TAO's own example has a space before a quoted header, which PHP accepts.
    trim: true,
    max_record_size: 0,
    on_record: (cells: ReadonlyArray<string>, info: InfoRecord) => {
      take(reading, cells, reading.base + info.bytes)
      // Records are kept in `ready` instead of the parser's own queue, which an error empties.
      return null
    }
  })
  // Errors arrive in the callbacks of `write` and `end`; unheard, they would end the process.
  reading.parser.on("error", () => {})
}

const take = (reading: Reading, cells: ReadonlyArray<string>, end: number): void => {
  const lastLine = cells.reduce((line, cell) => line + lineBreaks(cell), reading.line)
  reading.ready.push({ line: reading.line, lastLine, end, cells })
  reading.line = lastLine + 1
  reading.recordStart = end
  reading.records++
}

const lineBreaks = (cell: string): number => cell.match(/\r\n|\n|\r/g)?.length ?? 0

/** Reads on until a page is full, four chunks' worth of large records wait, or the file ends. */
const fill = async (reading: Reading): Promise<void> => {
  const from = reading.recordStart
  while (
    !reading.ended &&
    reading.ready.length < PAGE_RECORDS &&
    reading.recordStart - from < RECORD_BYTES_MAX
  ) {
    const chunk = await readChunk(reading.handle, reading.position)
    const last = chunk.length < CHUNK_BYTES
    const error = await feed(reading.parser, chunk, last)
    reading.position += chunk.length
    const tooLong = reading.position - reading.recordStart > RECORD_BYTES_MAX
    if (error !== undefined) await skipLine(reading, malformedReason(error))
    else if (tooLong) await skipLine(reading, "is too long; is a closing quote missing?")
    else if (last) reading.ended = true
    if (reading.records > RECORDS_MAX) {
      stop(reading, `the file has more than ${RECORDS_MAX} lines; split it. Reading stopped here`)
    }
  }
}

const feed = (parser: Parser, chunk: Buffer, last: boolean): Promise<CsvError | undefined> =>
  new Promise((resolve) => {
    // The callbacks are typed without the error's class; the parser gives its own.
    const done = (error?: Error | null) => resolve((error ?? undefined) as CsvError | undefined)
    if (last) parser.end(chunk, done)
    else parser.write(chunk, done)
  })

const malformedReason = (error: CsvError): string => {
  switch (error.code) {
    case "CSV_QUOTE_NOT_CLOSED":
      return "opens a quote that is never closed"
    case "INVALID_OPENING_QUOTE":
      return 'has a quote in the middle of a cell; write the cell in quotes and each quote as ""'
    default:
      return 'has text behind a closing quote; inside quotes, write each quote as ""'
  }
}

/** Gives up the line on which the next record begins, and goes on behind it. */
const skipLine = async (reading: Reading, malformed: string): Promise<void> => {
  const end = await behindLine(reading.handle, reading.recordStart)
  const { line } = reading
  reading.ready.push({ line, lastLine: line, end, cells: [], malformed })
  reading.line++
  reading.recordStart = end
  reading.malformed++
  if (reading.malformed >= MALFORMED_MAX) {
    stop(
      reading,
      `${MALFORMED_MAX} lines are malformed: this is not a CSV file. Reading stopped here`
    )
  } else restart(reading)
}

const stop = (reading: Reading, malformed: string): void => {
  const { line, recordStart: end } = reading
  reading.ready.push({ line, lastLine: line, end, cells: [], malformed })
  reading.ended = true
}

/** The byte behind the line break that ends the line around `position`, or the file's end. */
const behindLine = async (handle: FileHandle, position: number): Promise<number> => {
  for (let at = position; ; at += CHUNK_BYTES) {
    const chunk = await readChunk(handle, at)
    const end = chunk.findIndex((byte) => byte === 0x0a || byte === 0x0d)
    if (end >= 0) {
      const next = (await readChunk(handle, at + end + 1))[0]
      return at + end + 1 + (chunk[end] === 0x0d && next === 0x0a ? 1 : 0)
    }
    if (chunk.length < CHUNK_BYTES) return at + chunk.length
  }
}
