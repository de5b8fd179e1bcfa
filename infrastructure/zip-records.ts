/**
 * Reads the records of a zip archive that tell where its files are: the end record and the headers
 * of the directory, from bytes in memory. Judges nothing; the readers of packages and of volumes do.
 *
 * `unzipper` parses the directory and never sees a source: a 98-byte file that claims four billion
 * entries hangs it, and an I/O error on a stream of its own ends the process (format §4.4). Whoever
 * calls it has walked the headers first.
 */
import { Readable } from "node:stream"

export const END_BYTES = 22
export const END_SIGNATURE = 0x06054b50
export const LOCAL_HEADER_BYTES = 30
export const LOCAL_HEADER_SIGNATURE = 0x04034b50
const HEADER_BYTES = 46
const HEADER_SIGNATURE = 0x02014b50
/** `unzipper` looks for the end record in the last 80 bytes, and takes the first match. */
const UNZIPPER_TAIL = 80

/** The end record as it stands in the file; `size` and `offset` are the directory's, in bytes. */
export interface EndRecord {
  readonly isOneDisk: boolean
  /** Whether a field says that the truth stands in ZIP64 records. */
  readonly isZip64: boolean
  readonly countHere: number
  readonly count: number
  readonly size: number
  readonly offset: number
  readonly commentLength: number
}

/** Reads the END_BYTES of an end record; its signature is the caller's business. */
export const endRecord = (end: Buffer): EndRecord => {
  const count = end.readUInt16LE(10)
  const size = end.readUInt32LE(12)
  const offset = end.readUInt32LE(16)
  return {
    isOneDisk: end.readUInt16LE(4) === 0 && end.readUInt16LE(6) === 0,
    isZip64: count === 0xffff || size === 0xffffffff || offset === 0xffffffff,
    countHere: end.readUInt16LE(8),
    count,
    size,
    offset,
    commentLength: end.readUInt16LE(20)
  }
}

/** What `unzipper` does not tell of a header, or only after it trusted it. Lengths in bytes. */
export interface RawHeader {
  readonly isFirstDisk: boolean
  readonly isZip64: boolean
  readonly extraLength: number
  readonly commentLength: number
}

/**
 * Walks the headers of a directory by their lengths. `end` is the directory's length when they fill
 * it; less where something else than a header begins, more when the last one is cut off.
 */
export const walkHeaders = (bytes: Buffer) => {
  const headers: Array<RawHeader> = []
  let at = 0
  while (at + HEADER_BYTES <= bytes.length && bytes.readUInt32LE(at) === HEADER_SIGNATURE) {
    const [size, stored, offset] = [24, 20, 42].map((field) => bytes.readUInt32LE(at + field))
    const extraLength = bytes.readUInt16LE(at + 30)
    const commentLength = bytes.readUInt16LE(at + 32)
    headers.push({
      isFirstDisk: bytes.readUInt16LE(at + 34) === 0,
      isZip64: [size, stored, offset].includes(0xffffffff),
      extraLength,
      commentLength
    })
    at += HEADER_BYTES + bytes.readUInt16LE(at + 28) + extraLength + commentLength
  }
  return { headers, end: at }
}

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

/** Parses the `count` headers of a directory that were walked. Rejects when `unzipper` does. */
export const parseDirectory = async (
  bytes: Buffer,
  count: number
): Promise<ReadonlyArray<DirectoryEntry>> => {
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
  })
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
