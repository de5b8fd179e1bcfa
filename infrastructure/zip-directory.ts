/**
 * Reads the directory of an untrusted zip archive and refuses whatever two programs could read in
 * two ways (format §4.4 lists how archives and `unzipper` go wrong).
 *
 * The end record and the shape of the directory are checked here, on bytes in memory, before
 * `unzipper` parses them: a 98-byte file that claims four billion entries hangs it, and an I/O error
 * on a stream of its own ends the process. It never sees the source.
 */
import { Readable } from "node:stream"
import { type PackageRefused, refused } from "../domain/package-refusal.ts"

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

const END_BYTES = 22
const COMMENT_BYTES_MAX = 0xffff
const END_SIGNATURE = 0x06054b50
const HEADER_BYTES = 46
const HEADER_SIGNATURE = 0x02014b50
/** `unzipper` looks for the end record in the last 80 bytes, and takes the first match. */
const UNZIPPER_TAIL = 80

/** One entry as the directory states it. Sizes in bytes. */
export interface DirectoryEntry {
  readonly nameBytes: Uint8Array
  readonly size: number
  readonly compressedSize: number
  readonly crc32: number
  readonly flags: number
  readonly method: number
  readonly unixMode: number
  readonly headerOffset: number
}

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
  const count = end.readUInt16LE(10)
  const size = end.readUInt32LE(12)
  const offset = end.readUInt32LE(16)
  if (count === 0xffff || size === 0xffffffff || offset === 0xffffffff) throw zip64()
  if (end.readUInt16LE(4) !== 0 || end.readUInt16LE(6) !== 0) {
    throw refused(
      "zip-multi-disk",
      "",
      "The archive is one part of several. Make one zip file of the whole package."
    )
  }
  if (count !== end.readUInt16LE(8)) throw countMismatch()
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

/** Walks the headers by their lengths: exactly `count` of them must fill the directory. */
const checkHeaders = (bytes: Buffer, count: number): void => {
  let at = 0
  let seen = 0
  while (at < bytes.length) {
    if (at + HEADER_BYTES > bytes.length || bytes.readUInt32LE(at) !== HEADER_SIGNATURE) {
      throw seen < count ? damaged("its directory is cut off") : countMismatch()
    }
    const [size, stored, offset] = [24, 20, 42].map((field) => bytes.readUInt32LE(at + field))
    if ([size, stored, offset].includes(0xffffffff)) throw zip64()
    if (bytes.readUInt16LE(at + 34) !== 0) throw damaged("a file lies on another disk")
    const variable = [28, 30, 32].map((field) => bytes.readUInt16LE(at + field))
    at += variable.reduce((sum, length) => sum + length, HEADER_BYTES)
    seen++
  }
  if (at !== bytes.length) throw damaged("its directory is cut off")
  if (seen !== count) throw countMismatch()
}

const parse = async (bytes: Buffer, count: number): Promise<ReadonlyArray<DirectoryEntry>> => {
  const end = Buffer.alloc(UNZIPPER_TAIL)
  const record = end.subarray(UNZIPPER_TAIL - END_BYTES)
  record.writeUInt32LE(END_SIGNATURE, 0)
  record.writeUInt16LE(count, 8)
  record.writeUInt16LE(count, 10)
  record.writeUInt32LE(bytes.length, 12)
  const archive = Buffer.concat([bytes, end])
  // Loaded here: with what it brings along it would make every start of the program slower.
  const { Open } = await import("unzipper")
  const { files } = await Open.custom({
    size: async () => archive.length,
    stream: (offset) => Readable.from([archive.subarray(offset)], { objectMode: false })
  }).catch((cause: unknown) => {
    throw damaged(`its directory can't be read (${cause})`)
  })
  if (files.length !== count) throw countMismatch()
  return files.map((file) => ({
    nameBytes: file.pathBuffer,
    size: file.uncompressedSize,
    compressedSize: file.compressedSize,
    crc32: file.crc32,
    flags: file.flags,
    method: file.compressionMethod,
    unixMode: file.externalFileAttributes >>> 16,
    headerOffset: file.offsetToLocalFileHeader
  }))
}
