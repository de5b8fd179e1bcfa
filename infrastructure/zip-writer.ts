/**
 * Writes a zip archive of a package whose sizes are all known before: the same entries give the same
 * bytes. Files that did not change are copied as they were packed.
 */
import { open } from "node:fs/promises"
import { crc32, deflateRawSync } from "node:zlib"
import { refused } from "../domain/package-refusal.ts"
import { STORED } from "./zip-entries.ts"
import { END_BYTES, END_SIGNATURE, LOCAL_HEADER_SIGNATURE } from "./zip-records.ts"

/** A file as it lies in the archive. Sizes in bytes; `bytes` are the packed ones. */
export interface PackedFile {
  readonly name: string
  readonly size: number
  readonly compressedSize: number
  readonly crc32: number
  readonly method: number
  readonly bytes: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/** The largest archive without ZIP64, which our reader refuses. */
const ARCHIVE_BYTES_MAX = 0xffffffff - 1

const DEFLATED = 8
const LEVEL = 9

/** Far from what our reader takes for an archive made to fill a disk. */
const RATIO_MAX = 100

/** Packs a document; what does not become smaller, or becomes suspiciously small, is stored. */
export const packed = (name: string, data: Uint8Array): PackedFile => {
  const deflated = deflateRawSync(data, { level: LEVEL })
  const isWorth = deflated.length < data.length && data.length < deflated.length * RATIO_MAX
  const bytes = isWorth ? deflated : data
  return {
    name,
    size: data.length,
    compressedSize: bytes.length,
    crc32: crc32(data),
    method: isWorth ? DEFLATED : STORED,
    bytes: () => [bytes]
  }
}

/** Writes the archive to a new file. Rejects with PackageRefused when it would be too large. */
export const writeZip = async (path: string, files: ReadonlyArray<PackedFile>): Promise<void> => {
  const total = files.reduce((sum, one) => sum + archiveBytes(one), END_BYTES)
  if (total > ARCHIVE_BYTES_MAX) {
    const detail =
      "The prepared package is larger than 4 GiB. Make videos smaller or split the package."
    throw refused("zip-too-big", "", detail)
  }
  const file = await open(path, "wx", 0o600)
  try {
    for await (const bytes of zipPieces(files)) await file.appendFile(bytes)
  } finally {
    await file.close()
  }
}

/** The bytes of the archive, in their order; nobody has looked at how many there are. */
export async function* zipPieces(files: ReadonlyArray<PackedFile>): AsyncGenerator<Uint8Array> {
  const directory: Array<Buffer> = []
  let at = 0
  const counted = (bytes: Uint8Array) => {
    at += bytes.length
    return bytes
  }
  for (const one of files) {
    directory.push(directoryHeader(one, at))
    yield counted(localHeader(one))
    for await (const bytes of one.bytes()) yield counted(bytes)
  }
  const start = at
  for (const header of directory) yield counted(header)
  yield endRecord(files.length, at - start, start)
}

const LOCAL_BYTES = 30
const HEADER_BYTES = 46
const HEADER_SIGNATURE = 0x02014b50
/** 2.0: what deflate needs. */
const VERSION = 20
/** Bit 11: names are UTF-8. */
const FLAGS = 0x0800
/** 1980-01-01, the oldest date that an archive can state. */
const DATE = 0x0021
const UNIX = 3 << 8
/** A file that its owner may write and everybody may read. */
const MODE = 0o100644

const archiveBytes = ({ compressedSize, name }: PackedFile): number =>
  LOCAL_BYTES + HEADER_BYTES + 2 * Buffer.byteLength(name) + compressedSize

/** The fields that both headers of a file share, from `at` on. */
const writeFacts = (header: Buffer, at: number, file: PackedFile): void => {
  header.writeUInt16LE(VERSION, at)
  header.writeUInt16LE(FLAGS, at + 2)
  header.writeUInt16LE(file.method, at + 4)
  header.writeUInt16LE(DATE, at + 8)
  header.writeUInt32LE(file.crc32, at + 10)
  header.writeUInt32LE(file.compressedSize, at + 14)
  header.writeUInt32LE(file.size, at + 18)
  header.writeUInt16LE(Buffer.byteLength(file.name), at + 22)
}

const localHeader = (file: PackedFile): Buffer => {
  const header = Buffer.alloc(LOCAL_BYTES)
  header.writeUInt32LE(LOCAL_HEADER_SIGNATURE, 0)
  writeFacts(header, 4, file)
  return Buffer.concat([header, Buffer.from(file.name)])
}

const directoryHeader = (file: PackedFile, offset: number): Buffer => {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(HEADER_SIGNATURE, 0)
  header.writeUInt16LE(UNIX | VERSION, 4)
  writeFacts(header, 6, file)
  header.writeUInt32LE(MODE * 0x10000, 38)
  header.writeUInt32LE(offset, 42)
  return Buffer.concat([header, Buffer.from(file.name)])
}

const endRecord = (count: number, size: number, offset: number): Buffer => {
  const end = Buffer.alloc(END_BYTES)
  end.writeUInt32LE(END_SIGNATURE, 0)
  end.writeUInt16LE(count, 8)
  end.writeUInt16LE(count, 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(offset, 16)
  return end
}
