/** Tells what fits into a volume, and writes the list of checksums that lies in it (format §2.2). */
import type { Digest } from "./id.ts"
import { parseEntryName } from "./volume-name.ts"
import type { ZipVolumeCode } from "./volume-refusal.ts"

/** Bytes of one volume: below 2^31 for every 32-bit tool, far below the limit of FAT32. */
export const VOLUME_BYTES_MAX = 2_000_000_000

/** Entries of one volume. With the longest names their directory takes a quarter of a MiB. */
export const VOLUME_ENTRIES_MAX = 4_096

/** Bytes of the directory of one volume: it is read into memory. */
export const VOLUME_DIRECTORY_BYTES_MAX = 1_048_576

/** Bytes of one entry that is read into memory whole, and what it is when it is longer. */
export interface EntryLimit {
  readonly bytes: number
  readonly code: ZipVolumeCode
}

/** A hundred times the manifest of a bundle of 20 GB (format §2.3). */
const MANIFEST: EntryLimit = { bytes: 16 * 1_048_576, code: "E_MANIFEST_LIMIT" }
/** Ten times a signature of ours (format §2.4). */
const SIGNATURE: EntryLimit = { bytes: 4_096, code: "E_SIG_FORMAT" }
/** README.txt, the checksums of 4,096 entries, a root document with every key it could list. */
const SMALL: EntryLimit = { bytes: 1_048_576, code: "E_ZIP_LIMITS" }

/** The limit of a small entry; undefined for a part, which is read piece by piece. */
export const entryLimit = (name: string): EntryLimit | undefined => {
  switch (parseEntryName(name)?.kind) {
    case "part":
      return undefined
    case "manifest":
      return MANIFEST
    case "manifest-signature":
    case "root-signature":
      return SIGNATURE
    default:
      return SMALL
  }
}

/** An entry to be: its name and its length in bytes. */
export interface SizedEntry {
  readonly name: string
  readonly size: number
}

/** Local header, data descriptor and directory record of one entry, without the name in two of them. */
const ENTRY_OVERHEAD_BYTES = 30 + 16 + 46
const END_BYTES = 22

/** Bytes of the volume with these entries, exactly as it will be written. */
export const volumeBytes = (entries: ReadonlyArray<SizedEntry>): number =>
  entries.reduce(
    (sum, { name, size }) => sum + ENTRY_OVERHEAD_BYTES + 2 * name.length + size,
    END_BYTES
  )

/** The text of SHA256SUMS for the other entries of a volume, as `sha256sum -c` reads it. */
export const checksums = (
  entries: ReadonlyArray<{ readonly name: string; readonly sha256: Digest }>
): string => entries.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join("")
