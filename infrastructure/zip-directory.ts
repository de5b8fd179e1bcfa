/**
 * Reads the directory of an untrusted zip archive and refuses whatever two programs could read in
 * two ways (format §4.4 lists how archives and `unzipper` go wrong).
 *
 * The end record and the shape of the directory are checked here, on bytes in memory, before
 * `unzipper` parses them.
 */
import { type PackageRefused, refused } from "../domain/package-refusal.ts"
import {
  type DirectoryEntry,
  END_BYTES,
  END_SIGNATURE,
  endRecord,
  parseDirectory,
  walkHeaders
} from "./zip-records.ts"

/** Bytes that can be read anywhere: a file, or the decrypted view of a sealed one. */
export interface ByteSource {
  /** In bytes; doesn't change while the source is in use. */
  readonly size: number
  /** Gives `length` bytes, fewer only at the end. Rejects when the medium fails. */
  readonly read: (offset: number, length: number) => Promise<Uint8Array>
}

/** Files in one package: ten times the largest test bank seen; keeps the directory in memory. */
export const ENTRIES_MAX = 20_000

/** Bytes of the directory: 20,000 entries with long names and extra fields. */
export const DIRECTORY_BYTES_MAX = 16 * 1024 * 1024

const COMMENT_BYTES_MAX = 0xffff

export interface Directory {
  readonly entries: ReadonlyArray<DirectoryEntry>
  /** Where the directory begins: the end of the space for files. */
  readonly offset: number
}

/** Reads the directory. Throws PackageRefused; whatever else it throws is the source's failure. */
export const readDirectory = async (source: ByteSource): Promise<Directory> => {
  const end = await findEnd(source)
  const bytes = Buffer.from(await readExactly(source, end.offset, end.size))
  checkHeaders(bytes, end.count)
  return { entries: await parse(bytes, end.count), offset: end.offset }
}

/** Reads exactly `length` bytes. Throws PackageRefused when the archive ends before. */
export const readExactly = async (
  source: ByteSource,
  offset: number,
  length: number
): Promise<Uint8Array> => {
  const bytes = offset + length <= source.size ? await source.read(offset, length) : undefined
  if (bytes?.length !== length) throw damaged("the archive ends too early")
  return bytes
}

/** The refusal for an archive that contradicts itself. */
export const damaged = (what: string, file = ""): PackageRefused =>
  refused(
    "zip-damaged",
    file,
    `The archive is damaged: ${what}. Copy or download it again, or zip it again.`
  )

interface End {
  readonly offset: number
  readonly size: number
  readonly count: number
}

const findEnd = async (source: ByteSource): Promise<End> => {
  const length = Math.min(source.size, END_BYTES + COMMENT_BYTES_MAX)
  const tail = Buffer.from(await readExactly(source, source.size - length, length))
  const records = endRecords(tail)
  const exact = records.filter((at) => at + END_BYTES + tail.readUInt16LE(at + 20) === length)
  const [at] = exact
  if (records.length === 0) {
    throw refused(
      "zip-not-an-archive",
      "",
      "The file is not a zip archive, or its end is missing. Copy or download it again."
    )
  }
  if (at === undefined || exact.length > 1) {
    throw refused(
      "zip-trailing-data",
      "",
      "The archive has data after its end, so programs disagree on what is in it. Zip it again."
    )
  }
  return checkEnd(tail.subarray(at, at + END_BYTES), source.size - length + at)
}

const endRecords = (tail: Buffer): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (tail.readUInt32LE(at) === END_SIGNATURE) found.push(at)
  }
  return found
}

const checkEnd = (end: Buffer, endOffset: number): End => {
  const { count, size, offset, ...record } = endRecord(end)
  if (record.isZip64) throw zip64()
  if (!record.isOneDisk) {
    throw refused(
      "zip-multi-disk",
      "",
      "The archive is one part of several. Make one zip file of the whole package."
    )
  }
  if (count !== record.countHere) throw countMismatch()
  if (count > ENTRIES_MAX) {
    throw refused(
      "zip-too-many-entries",
      "",
      `The package has ${count} files; the limit is ${ENTRIES_MAX}. Split it into several packages.`
    )
  }
  if (size > DIRECTORY_BYTES_MAX) throw damaged("its directory is larger than any real one")
  if (offset + size !== endOffset) throw damaged("its directory is not where the end record says")
  return { offset, size, count }
}

const zip64 = () =>
  refused(
    "zip-too-large-format",
    "",
    "The archive is in the ZIP64 format for archives over 4 GiB, which is not supported. Make the package smaller or zip it again without ZIP64."
  )

const countMismatch = () =>
  refused(
    "zip-entry-count",
    "",
    "The archive says another number of files than it lists, so some may be hidden. Zip it again."
  )

/** Sees that exactly `count` headers fill the directory. */
const checkHeaders = (bytes: Buffer, count: number): void => {
  const { headers, end } = walkHeaders(bytes)
  for (const header of headers) {
    if (header.isZip64) throw zip64()
    if (!header.isFirstDisk) throw damaged("a file lies on another disk")
  }
  if (end > bytes.length || (end < bytes.length && headers.length < count)) {
    throw damaged("its directory is cut off")
  }
  if (end < bytes.length || headers.length !== count) throw countMismatch()
}

const parse = async (bytes: Buffer, count: number): Promise<ReadonlyArray<DirectoryEntry>> => {
  const entries = await parseDirectory(bytes, count).catch((cause: unknown) => {
    throw damaged(`its directory can't be read (${cause})`)
  })
  if (entries.length !== count) throw countMismatch()
  return entries
}
