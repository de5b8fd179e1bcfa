/** Tells what fits into a volume, and writes the list of checksums that lies in it (format §2.2). */

import { MANIFEST_BYTES_MAX } from "./bundle-manifest.ts"
import type { BundleCode } from "./bundle-refusal.ts"
import { SIGNATURE_CHARACTERS_MAX } from "./enrolment.ts"
import type { Digest } from "./id.ts"
import { parseEntryName } from "./volume-name.ts"

/** Entries of one volume. With the longest names their directory takes a quarter of a MiB. */
export const VOLUME_ENTRIES_MAX = 4_096

/** Root documents in one volume: a new one is made when a key is lost, or after years. */
export const ROOTS_MAX = 64

/** Signatures of one document: as many as names have room for. */
export const SIGNATURES_MAX = 9

/** Bytes of README.txt: a page in each of a few languages. */
export const README_BYTES_MAX = 8_192

/** Bytes of the directory of one volume: it is read into memory. */
export const VOLUME_DIRECTORY_BYTES_MAX = 1_048_576

/** Bytes of one entry that is read into memory whole, and what it is when it is longer. */
export interface EntryLimit {
  readonly bytes: number
  readonly code: BundleCode
}

const MANIFEST: EntryLimit = { bytes: MANIFEST_BYTES_MAX, code: "E_MANIFEST_LIMIT" }
const SIGNATURE: EntryLimit = { bytes: SIGNATURE_CHARACTERS_MAX, code: "E_SIG_FORMAT" }
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
  entries.reduce((sum, entry) => sum + entryBytes(entry), END_BYTES)

/** What one entry adds to a volume, in bytes. */
const entryBytes = ({ name, size }: SizedEntry): number =>
  ENTRY_OVERHEAD_BYTES + 2 * name.length + size

/** What one entry adds to a volume, with its line in SHA256SUMS. In bytes. */
export const listedBytes = (entry: SizedEntry): number =>
  entryBytes(entry) + DIGEST_CHARACTERS + "  \n".length + entry.name.length

const DIGEST_CHARACTERS = 64

/** The text of SHA256SUMS for the other entries of a volume, as `sha256sum -c` reads it. */
export const checksums = (
  entries: ReadonlyArray<{ readonly name: string; readonly sha256: Digest }>
): string => entries.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join("")
