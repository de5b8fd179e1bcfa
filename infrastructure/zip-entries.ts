/**
 * Judges what a zip directory says about its files, before any of them is read: names that leave the
 * package or mean two files, sizes made to fill a disk, and what only some programs can read.
 */
import { fold } from "../domain/package-href.ts"
import { refused } from "../domain/package-refusal.ts"
import { damaged } from "./zip-directory.ts"
import type { DirectoryEntry } from "./zip-records.ts"

/** Bytes of one file name: what common file systems can hold as a path. */
export const NAME_BYTES_MAX = 1_024

/** Bytes of all files together: a package fills at most a third of a small device's disk. */
export const TOTAL_BYTES_MAX = 8 * 1024 ** 3

/** Unpacked to packed, of each file and of all: text seldom passes 20, bombs pass 1,000. */
export const RATIO_MAX = 200

export const STORED = 0
const DEFLATED = 8
/** Bit 3 (sizes follow the data), bit 11 (UTF-8 names), bits 1 and 2 (how hard it was packed). */
const KNOWN_FLAGS = 0x080e
/** Bits 0, 6, 13: encrypted, strongly encrypted, headers hidden. */
const ENCRYPTED_FLAGS = 0x2041

/** Checks all entries; `names` are theirs. Throws PackageRefused. */
export const checkEntries = (
  entries: ReadonlyArray<DirectoryEntry>,
  names: ReadonlyArray<string>
): void => {
  checkNames(names)
  for (const [index, entry] of entries.entries()) checkEntry(entry, names[index] ?? "")
  checkTotals(entries)
}

/**
 * Gives the name, in Unicode NFC. It is read as UTF-8 whatever the flag says: tools that mean
 * another encoding are old and rare.
 */
export const nameOf = ({ nameBytes }: DirectoryEntry): string => {
  if (nameBytes.length === 0 || nameBytes.length > NAME_BYTES_MAX) throw badName("", "its length")
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(nameBytes)
      .normalize("NFC")
  } catch {
    throw badName(Buffer.from(nameBytes).toString("latin1"), "letters that are not UTF-8")
  }
}

const badName = (name: string, what: string) =>
  refused(
    "zip-name",
    name.slice(0, 200),
    `A file name in the archive can't be used (${what}). Rename the file with plain letters and zip the package again.`
  )

const checkNames = (names: ReadonlyArray<string>): void => {
  const seen = new Map<string, string>()
  for (const name of names) {
    const bad = unsafe(name)
    if (bad !== undefined) throw badName(name, bad)
    const key = fold(name.replace(/\/$/u, ""))
    const other = seen.get(key)
    if (other !== undefined) throw sameName(name, other)
    seen.set(key, name)
  }
  for (const [key, name] of seen) {
    for (let at = key.indexOf("/"); at >= 0; at = key.indexOf("/", at + 1)) {
      const folder = seen.get(key.slice(0, at))
      if (folder !== undefined && !folder.endsWith("/")) throw sameName(name, folder)
    }
  }
}

const unsafe = (name: string): string | undefined => {
  if (name.startsWith("/")) return "an absolute path"
  if (name.includes("\\")) return "a backslash"
  if (/\p{Cc}/u.test(name)) return "a control character"
  if (/^[A-Za-z]:/u.test(name)) return "a drive letter"
  const segments = name.replace(/\/$/u, "").split("/")
  if (segments.includes("..")) return "it points outside the package"
  return segments.some((segment) => segment === "" || segment === ".") ? "an odd path" : undefined
}

const sameName = (name: string, other: string) =>
  refused(
    "zip-duplicate-name",
    name,
    `The archive has this file twice, or only capital letters differ (${other}), so programs disagree on what it holds. Remove one and zip it again.`
  )

const checkEntry = (entry: DirectoryEntry, name: string): void => {
  const { flags, method, size, compressedSize, unixMode } = entry
  if ((flags & ENCRYPTED_FLAGS) !== 0 || method === 99) {
    throw refused("zip-encrypted", name, "The archive has a password. Zip the package without one.")
  }
  if ((method !== STORED && method !== DEFLATED) || (flags & ~KNOWN_FLAGS) !== 0) {
    throw refused(
      "zip-method",
      name,
      `The file is packed in a way that few programs can read (method ${method}). Zip the package again with standard compression (deflate).`
    )
  }
  const type = unixMode & 0xf000
  if (type !== 0 && type !== 0x8000 && !(type === 0x4000 && name.endsWith("/"))) {
    throw refused(
      "zip-link",
      name,
      "The archive holds a link or a device instead of a file. Put the file itself into the package."
    )
  }
  if (name.endsWith("/") && size !== 0) throw damaged("a folder has contents", name)
  if (method === STORED && size !== compressedSize) throw damaged("its sizes differ", name)
  checkRatio(size, compressedSize, name)
}

const checkTotals = (entries: ReadonlyArray<DirectoryEntry>): void => {
  const size = entries.reduce((sum, entry) => sum + entry.size, 0)
  if (size > TOTAL_BYTES_MAX) {
    const gib = (size / 1024 ** 3).toFixed(1)
    throw refused(
      "zip-too-big",
      "",
      `Unpacked, the package has ${gib} GiB; the limit is ${TOTAL_BYTES_MAX / 1024 ** 3} GiB. Make videos smaller or split the package.`
    )
  }
  const packed = entries.reduce((sum, entry) => sum + entry.compressedSize, 0)
  checkRatio(size, packed, "")
}

const checkRatio = (size: number, compressedSize: number, name: string): void => {
  if (size <= compressedSize * RATIO_MAX) return
  throw refused(
    "zip-ratio",
    name,
    `Unpacked it would be more than ${RATIO_MAX} times larger, as in archives made to fill a disk. Store that file uncompressed, or make it smaller.`
  )
}

/** What desktops add and no author means. */
export const isFile = (name: string): boolean =>
  !name.endsWith("/") && !name.startsWith("__MACOSX/") && !/(?:^|\/)\.DS_Store$/u.test(name)
