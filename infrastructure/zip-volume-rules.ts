/**
 * Judges the records of a volume by the rules of format §2.2, so that all programs read the same
 * entries in it, or none. Each function gives the first problem it finds, or undefined.
 */

import type { BundleCode } from "../domain/bundle-refusal.ts"
import {
  entryLimit,
  VOLUME_DIRECTORY_BYTES_MAX,
  VOLUME_ENTRIES_MAX
} from "../domain/volume-contents.ts"
import { parseEntryName } from "../domain/volume-name.ts"
import {
  type DirectoryEntry,
  END_BYTES,
  END_SIGNATURE,
  type EndRecord,
  LOCAL_HEADER_BYTES,
  LOCAL_HEADER_SIGNATURE,
  type walkHeaders
} from "./zip-records.ts"

export interface Problem {
  readonly code: BundleCode
  readonly detail: string
}

const problem = (code: BundleCode, detail: string): Problem => ({ code, detail })

/** Bit 3: checksum and sizes follow the data. */
const DESCRIPTOR_FLAG = 0x0008
/** Bit 3 and bit 11 (names are UTF-8): neither changes how we read. */
const KNOWN_FLAGS = 0x0808
const TYPE_MASK = 0xf000
const REGULAR_FILE = 0x8000
const DESCRIPTOR_SIGNATURE = 0x08074b50

export const DESCRIPTOR_BYTES = 16

export const hasDescriptor = ({ flags }: DirectoryEntry): boolean => (flags & DESCRIPTOR_FLAG) !== 0

/** Judges the last END_BYTES of a file of that size, in bytes. */
export const endProblem = (bytes: Buffer, end: EndRecord, fileSize: number) => {
  if (bytes.readUInt32LE(0) !== END_SIGNATURE || end.commentLength !== 0) {
    return problem("E_ZIP_EOCD", "the end record is not at the end: cut off, or something follows")
  }
  if (end.isZip64) return problem("E_ZIP64", "it is in the ZIP64 format")
  if (!end.isOneDisk) return problem("E_ZIP_MULTIDISK", "it is one disk of several")
  if (end.count !== end.countHere) {
    return problem("E_ZIP_EOCD", "the end record counts the entries in two ways")
  }
  if (end.count > VOLUME_ENTRIES_MAX || end.size > VOLUME_DIRECTORY_BYTES_MAX) {
    return problem("E_ZIP_LIMITS", `${end.count} entries, ${end.size} bytes of directory`)
  }
  if (end.offset + end.size !== fileSize - END_BYTES) {
    return problem("E_ZIP_LAYOUT", "the directory is not directly before the end record")
  }
  return undefined
}

/** Judges the shape of the directory, before it is parsed. */
export const directoryProblem = (
  { headers, end }: ReturnType<typeof walkHeaders>,
  expected: EndRecord
) => {
  if (headers.some(({ isZip64 }) => isZip64)) {
    return problem("E_ZIP64", "an entry is in the ZIP64 format")
  }
  if (headers.some(({ isFirstDisk }) => !isFirstDisk)) {
    return problem("E_ZIP_MULTIDISK", "an entry lies on another disk")
  }
  if (end !== expected.size || headers.length !== expected.count) {
    return problem("E_ZIP_LAYOUT", "the directory does not list as many entries as the end says")
  }
  if (headers.some((header) => header.extraLength !== 0 || header.commentLength !== 0)) {
    return problem("E_ZIP_EXTRA", "an entry has extra fields or a comment")
  }
  return undefined
}

/** Judges what the directory says of one entry; `name` is its bytes as Latin-1. */
export const entryProblem = (entry: DirectoryEntry, name: string) => {
  const shown = printable(name)
  if (parseEntryName(name) === undefined) {
    return problem("E_ENTRY_NAME", `"${shown}" is no name of an entry`)
  }
  if (entry.method !== 0) return problem("E_ZIP_METHOD", `${shown} is packed (${entry.method})`)
  if ((entry.flags & ~KNOWN_FLAGS) !== 0) {
    return problem("E_ZIP_FLAGS", `${shown} has flags 0x${entry.flags.toString(16)}`)
  }
  if (entry.size !== entry.compressedSize) return problem("E_ZIP_SIZES", `${shown} has two sizes`)
  if ((entry.unixMode & TYPE_MASK) !== REGULAR_FILE) {
    return problem("E_ZIP_TYPE", `${shown} is no regular file`)
  }
  const limit = entryLimit(name)
  if (limit !== undefined && entry.size > limit.bytes) {
    return problem(limit.code, `${shown} has ${entry.size} bytes; the limit is ${limit.bytes}`)
  }
  return undefined
}

/** What a hostile name may show on a terminal. */
const printable = (name: string): string => name.slice(0, 100).replace(/[^\x20-\x7e]/gu, "?")

/** Judges an entry's own header, with as many bytes of its name as the directory has. */
export const localProblem = (header: Buffer, entry: DirectoryEntry) => {
  const name = Buffer.from(entry.nameBytes)
  const isLater = hasDescriptor(entry)
  const agrees =
    header.readUInt32LE(0) === LOCAL_HEADER_SIGNATURE &&
    header.readUInt16LE(6) === entry.flags &&
    header.readUInt16LE(8) === entry.method &&
    header.readUInt32LE(14) === (isLater ? 0 : entry.crc32) &&
    header.readUInt32LE(18) === (isLater ? 0 : entry.compressedSize) &&
    header.readUInt32LE(22) === (isLater ? 0 : entry.size) &&
    header.readUInt16LE(26) === name.length &&
    header.subarray(LOCAL_HEADER_BYTES).equals(name)
  if (!agrees) {
    return problem("E_ZIP_MISMATCH", `the directory and the header of ${name} differ`)
  }
  if (header.readUInt16LE(28) !== 0) return problem("E_ZIP_EXTRA", `${name} has extra fields`)
  return undefined
}

/** Judges the data descriptor behind an entry's data. */
export const descriptorProblem = (descriptor: Buffer, entry: DirectoryEntry) => {
  const stated = [0, 4, 8, 12].map((at) => descriptor.readUInt32LE(at))
  const expected = [DESCRIPTOR_SIGNATURE, entry.crc32, entry.compressedSize, entry.size]
  return stated.every((value, index) => value === expected[index])
    ? undefined
    : problem(
        "E_ZIP_MISMATCH",
        `the directory and the end of ${Buffer.from(entry.nameBytes)} differ`
      )
}
