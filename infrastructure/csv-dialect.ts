/**
 * Looks at the bytes of a CSV file before any row is taken from it: whether they are UTF-8, where
 * the text begins, and which character separates the columns.
 *
 * Excel's plain "CSV" is Windows-1252, where "é" is one byte. Read as UTF-8 that byte would turn
 * into a mark of loss inside somebody's name, so one such byte refuses the file and says where.
 */
import { isUtf8 } from "node:buffer"
import type { FileHandle } from "node:fs/promises"

/** One read: large enough to keep a disk busy, small enough not to matter in memory. */
export const CHUNK_BYTES = 64 * 1024

/** How a file is written: the bytes to skip at its beginning, and its column separator. */
export interface Dialect {
  readonly start: number
  readonly delimiter: "," | ";" | "\t"
}

/** What is wrong with the bytes of a file, and on which line. */
export interface NotText {
  readonly line: number
  readonly reason: string
}

/** Reads up to `CHUNK_BYTES` at `position`; fewer, or none, only at the end of the file. */
export const readChunk = async (handle: FileHandle, position: number): Promise<Buffer> => {
  // A fresh buffer each time: the parser keeps views of the last bytes it was given.
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  let length = 0
  while (length < CHUNK_BYTES) {
    const { bytesRead } = await handle.read(buffer, length, CHUNK_BYTES - length, position + length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

/** Answers how the file is written, from its first line that has a character in it. */
export const sniffDialect = async (handle: FileHandle): Promise<Dialect> => {
  const head = await readChunk(handle, 0)
  const start = head.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? 3 : 0
  return { start, delimiter: commonestDelimiter(head.subarray(start).toString("utf8")) }
}

const commonestDelimiter = (text: string): Dialect["delimiter"] => {
  const counts = { ",": 0, ";": 0, "\t": 0 }
  let quoted = false
  for (const character of text.trimStart()) {
    if (character === '"') quoted = !quoted
    else if (!quoted && (character === "\n" || character === "\r")) break
    else if (!quoted && (character === "," || character === ";" || character === "\t")) {
      counts[character]++
    }
  }
  if (counts["\t"] > Math.max(counts[","], counts[";"])) return "\t"
  return counts[";"] > counts[","] ? ";" : ","
}

/** Reads the whole file and answers the first thing in it that is not UTF-8 text, if any. */
export const findNotText = async (handle: FileHandle): Promise<NotText | undefined> => {
  const magic = await readChunk(handle, 0)
  const other = otherFormat(magic)
  if (other !== undefined) return { line: 1, reason: other }

  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  for (let position = 0; ; position += CHUNK_BYTES) {
    const chunk = await readChunk(handle, position)
    const ended = chunk.length < CHUNK_BYTES
    try {
      decoder.decode(chunk, { stream: !ended })
    } catch {
      return await locateInvalidByte(handle, position, chunk)
    }
    if (ended) return undefined
  }
}

const otherFormat = (head: Buffer): string | undefined => {
  const begins = (...bytes: ReadonlyArray<number>) => bytes.every((byte, at) => head[at] === byte)
  if (begins(0x50, 0x4b, 0x03, 0x04) || begins(0xd0, 0xcf, 0x11, 0xe0)) {
    return 'is a workbook or another binary file: save it as "CSV UTF-8"'
  }
  if (begins(0xff, 0xfe) || begins(0xfe, 0xff) || head.subarray(0, 4).includes(0)) {
    return 'is UTF-16: save it as "CSV UTF-8"'
  }
  return undefined
}

/** Finds the invalid byte in `chunk`, or in a character begun up to three bytes before it. */
const locateInvalidByte = async (
  handle: FileHandle,
  position: number,
  chunk: Buffer
): Promise<NotText> => {
  const before = Math.min(3, position)
  const overlap = before === 0 ? Buffer.alloc(0) : await readChunk(handle, position - before)
  const window = Buffer.concat([overlap.subarray(0, before), chunk])
  // The window may begin inside a character that is whole in the file.
  let from = 0
  while (from < before && ((window[from] ?? 0) & 0xc0) === 0x80) from++
  for (let to = from; to < window.length; to++) {
    const atEnd = to === window.length - 1
    if (!atEnd && window[to] !== 0x0a && window[to] !== 0x0d) continue
    const piece = window.subarray(from, to + 1)
    if (atEnd || !isUtf8(piece)) {
      const at = from + firstDifference(piece, Buffer.from(piece.toString("utf8"), "utf8"))
      const line = (await countLineEnds(handle, position - before + at)) + 1
      return { line, reason: invalidByteReason(window[at] ?? 0) }
    }
    from = to + 1
  }
  return { line: 1, reason: 'is not UTF-8: save it as "CSV UTF-8"' }
}

const firstDifference = (left: Buffer, right: Buffer): number => {
  let at = 0
  while (at < left.length - 1 && left[at] === right[at]) at++
  return at
}

const invalidByteReason = (byte: number): string => {
  const hex = byte.toString(16).toUpperCase()
  const character = new TextDecoder("windows-1252").decode(Buffer.from([byte]))
  const guess = /\p{L}|\p{P}|\p{S}/u.test(character)
    ? `; in Windows-1252 it would be "${character}"`
    : ""
  return `is not UTF-8 (byte 0x${hex}${guess}): save the file as "CSV UTF-8"`
}

/** Counts the line ends (LF, CR or CRLF) before the byte at `end`. */
const countLineEnds = async (handle: FileHandle, end: number): Promise<number> => {
  let count = 0
  let previous = 0
  for (let position = 0; position < end; position += CHUNK_BYTES) {
    const chunk = await readChunk(handle, position)
    for (const byte of chunk.subarray(0, end - position)) {
      if (byte === 0x0d || (byte === 0x0a && previous !== 0x0d)) count++
      previous = byte
    }
  }
  return count
}
