/** Archives that lie, each in one way, and an honest one. */
import { deflateRawSync } from "node:zlib"
import { ENTRIES_MAX } from "../../infrastructure/zip-directory.ts"
import { type RawEntry, rawZip } from "./raw-zip.ts"

/** The text of the good archive's first file. */
export const text = "Words of a question, and words again. ".repeat(20)
/** An honest package. */
export const good: ReadonlyArray<RawEntry> = [
  { name: "imsmanifest.xml", data: text },
  { name: "media/", method: 0, mode: 0o40755 },
  { name: "media/a.png", data: "stored", method: 0 }
]

/** 98 bytes that make a program allocate four billion places. */
export const zip64Bomb = (): Buffer => {
  const bytes = Buffer.alloc(98)
  bytes.writeUInt32LE(0x06064b50, 0)
  bytes.writeBigUInt64LE(44n, 4)
  bytes.writeBigUInt64LE(4_000_000_000n, 24)
  bytes.writeBigUInt64LE(4_000_000_000n, 32)
  bytes.writeUInt32LE(0x07064b50, 56)
  bytes.writeUInt32LE(1, 72)
  bytes.writeUInt32LE(0x06054b50, 76)
  bytes.fill(0xff, 80, 96)
  return bytes
}

const endInComment = (): Buffer => rawZip([{ name: "b", data: "b" }], { comment: rawZip([]) })

/** What is wrong, the reason that must be told, and the archive. */
export const hostile: ReadonlyArray<readonly [string, string, () => Uint8Array]> = [
  ["is empty", "zip-not-an-archive", () => Buffer.alloc(0)],
  ["is no archive", "zip-not-an-archive", () => Buffer.from("<html>404</html>".repeat(10))],
  [
    "goes on after its end",
    "zip-trailing-data",
    () => Buffer.concat([rawZip(good), Buffer.from("x")])
  ],
  ["is two archives in one file", "zip-damaged", () => Buffer.concat([rawZip(good), rawZip(good)])],
  ["hides an end in its comment", "zip-trailing-data", endInComment],
  ["is one disk of several", "zip-multi-disk", () => rawZip(good, { disk: 1 })],
  ["claims four billion entries by ZIP64", "zip-too-large-format", zip64Bomb],
  ["lists fewer files than it says", "zip-entry-count", () => rawZip(good, { count: 5 })],
  ["lists more files than it says", "zip-entry-count", () => rawZip(good, { count: 2 })],
  ["counts its files in two ways", "zip-entry-count", () => rawZip(good, { countHere: 2 })],
  ["has its directory elsewhere", "zip-damaged", () => rawZip(good, { directoryOffset: 0 })],
  ["has too many files", "zip-too-many-entries", () => rawZip([], { count: ENTRIES_MAX + 1 })],
  [
    "shares bytes between files",
    "zip-overlap",
    () =>
      rawZip([
        { name: "a", data: text },
        { name: "b", data: text, offset: 0 }
      ])
  ],
  [
    "has a file that reaches into the directory",
    "zip-overlap",
    () => rawZip([{ name: "a", data: text, compressedSize: 5_000 }])
  ],
  ["has a password", "zip-encrypted", () => rawZip([{ name: "a", data: "a", flags: 0x801 }])],
  [
    "has strong encryption",
    "zip-encrypted",
    () => rawZip([{ name: "a", data: "a", flags: 0x841 }])
  ],
  ["has AES encryption", "zip-encrypted", () => rawZip([{ name: "a", data: "a", method: 99 }])],
  ["is packed with LZMA", "zip-method", () => rawZip([{ name: "a", data: "a", method: 14 }])],
  ["has unknown flags", "zip-method", () => rawZip([{ name: "a", data: "a", flags: 0x8800 }])],
  [
    "has a symbolic link",
    "zip-link",
    () => rawZip([{ name: "a", data: "/etc/passwd", mode: 0o120777 }])
  ],
  ["has a device", "zip-link", () => rawZip([{ name: "a", mode: 0o20666 }])],
  ["has a name twice", "zip-duplicate-name", () => rawZip([{ name: "a.xml" }, { name: "a.xml" }])],
  [
    "has names that differ in case only",
    "zip-duplicate-name",
    () => rawZip([{ name: "a/É.png" }, { name: "A/é.PNG" }])
  ],
  [
    "has names that differ in composition only",
    "zip-duplicate-name",
    () => rawZip([{ name: "\u00e9" }, { name: "e\u0301" }])
  ],
  [
    "has a file where it has a folder",
    "zip-duplicate-name",
    () => rawZip([{ name: "a" }, { name: "A/b" }])
  ],
  ["has an absolute name", "zip-name", () => rawZip([{ name: "/etc/passwd" }])],
  ["climbs out by ..", "zip-name", () => rawZip([{ name: "a/../../b" }])],
  ["has a folder that climbs out", "zip-name", () => rawZip([{ name: "../" }])],
  ["has a backslash in a name", "zip-name", () => rawZip([{ name: "a\\..\\b" }])],
  ["has a NUL in a name", "zip-name", () => rawZip([{ name: "a.png\0.xml" }])],
  ["has a drive letter", "zip-name", () => rawZip([{ name: "C:evil.xml" }])],
  ["has a name without letters", "zip-name", () => rawZip([{ name: "" }])],
  ["has a name that is not UTF-8", "zip-name", () => rawZip([{ name: Buffer.from([0x61, 0xe9]) }])],
  ["has a very long name", "zip-name", () => rawZip([{ name: "n".repeat(1_025) }])],
  [
    "has a folder with contents",
    "zip-damaged",
    () => rawZip([{ name: "a/", data: "x", method: 0, mode: 0o40755 }])
  ],
  [
    "is larger unpacked than any disk",
    "zip-too-big",
    () =>
      rawZip(
        [1, 2, 3].map((n) => ({ name: `${n}`, size: 3 * 1024 ** 3, compressedSize: 1024 ** 3 }))
      )
  ],
  [
    "has a file packed 1000 to 1",
    "zip-ratio",
    () => rawZip([{ name: "a", data: Buffer.alloc(1_000_000) }])
  ],
  [
    "delivers more than it declares",
    "zip-damaged",
    () => rawZip([{ name: "a", packed: deflateRawSync(Buffer.alloc(50_000_000)), size: 1_000 }])
  ],
  [
    "delivers less than it declares",
    "zip-damaged",
    () => rawZip([{ name: "a", data: text, size: text.length + 1 }])
  ],
  ["has a wrong checksum", "zip-damaged", () => rawZip([{ name: "a", data: text, crc: 1 }])],
  [
    "has bytes behind the packed data",
    "zip-damaged",
    () =>
      rawZip([
        {
          name: "a",
          data: text,
          packed: Buffer.concat([deflateRawSync(Buffer.from(text)), Buffer.from("hidden")])
        }
      ])
  ],
  [
    "has packed data that ends early",
    "zip-damaged",
    () =>
      rawZip([{ name: "a", data: text, packed: deflateRawSync(Buffer.from(text)).subarray(0, -4) }])
  ],
  [
    "names a file otherwise in its own header",
    "zip-damaged",
    () => rawZip([{ name: "a.xml", localName: "b.xml" }])
  ],
  [
    "points at something that is no file",
    "zip-damaged",
    () => rawZip([{ name: "a", data: text, offset: 3 }])
  ]
]
