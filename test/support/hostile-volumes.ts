/** Archives that are no volumes of ours, each in one way, and what they must be refused with. */
import { crc32 } from "node:zlib"
import type { BundleCode } from "../../domain/bundle-refusal.ts"
import { VOLUME_DIRECTORY_BYTES_MAX } from "../../domain/volume-contents.ts"
import { zip64Bomb } from "./hostile-zips.ts"
import { descriptor, type RawEnd, type RawEntry, rawZip } from "./raw-zip.ts"

const PART = "p/000001.age"
const data = "sealed bytes of a part"
const DESCRIPTOR = 0x808

const stored = (entries: ReadonlyArray<RawEntry>, end?: RawEnd) =>
  rawZip(
    entries.map((entry) => ({ method: 0, ...entry })),
    end
  )
const good = (end?: RawEnd) =>
  stored(
    [
      { name: "manifest.json", data: "{}" },
      { name: PART, data }
    ],
    end
  )
/** A good volume in which one part is different. */
const odd = (entry: Partial<RawEntry>) =>
  stored([
    { name: "manifest.json", data: "{}" },
    { name: PART, data, ...entry },
    { name: "p/000002.age", data: "the next one" }
  ])
const later = (behind: Uint8Array) => odd({ flags: DESCRIPTOR, behind })
const crc = crc32(data)

type Case = readonly [claim: string, code: BundleCode, make: () => Uint8Array]

const ends: ReadonlyArray<Case> = [
  ["is empty", "E_ZIP_EOCD", () => Buffer.alloc(0)],
  ["is no archive", "E_ZIP_EOCD", () => Buffer.from("<html>404</html>".repeat(10))],
  ["lacks its last byte", "E_ZIP_EOCD", () => good().subarray(0, -1)],
  ["lacks its second half", "E_ZIP_EOCD", () => good().subarray(0, good().length >> 1)],
  ["goes on after its end", "E_ZIP_EOCD", () => Buffer.concat([good(), Buffer.from("x")])],
  ["is two archives in one file", "E_ZIP_LAYOUT", () => Buffer.concat([good(), good()])],
  ["has bytes before it", "E_ZIP_LAYOUT", () => Buffer.concat([Buffer.from("MZ"), good()])],
  ["has a comment", "E_ZIP_EOCD", () => good({ comment: Buffer.from("hello") })],
  ["hides an archive in its comment", "E_ZIP_LAYOUT", () => good({ comment: stored([]) })],
  ["claims four billion entries by ZIP64", "E_ZIP64", zip64Bomb],
  ["has ZIP64 records before its end", "E_ZIP_LAYOUT", () => withZip64Records(good())],
  ["says that it has 65,535 entries", "E_ZIP64", () => good({ count: 0xffff })],
  ["has 4,097 entries", "E_ZIP_LIMITS", () => parts(4_097)],
  [
    "has a directory of more than a MiB",
    "E_ZIP_LIMITS",
    () => good({ directorySize: VOLUME_DIRECTORY_BYTES_MAX + 1 })
  ],
  ["is one disk of several", "E_ZIP_MULTIDISK", () => good({ disk: 1 })],
  ["has a file on another disk", "E_ZIP_MULTIDISK", () => odd({ disk: 1 })],
  ["lists fewer entries than it says", "E_ZIP_LAYOUT", () => good({ count: 3 })],
  ["lists more entries than it says", "E_ZIP_LAYOUT", () => good({ count: 1 })],
  ["counts its entries in two ways", "E_ZIP_EOCD", () => good({ countHere: 1 })],
  ["has its directory elsewhere", "E_ZIP_LAYOUT", () => good({ directoryOffset: 0 })]
]

const parts = (count: number) =>
  stored(Array.from({ length: count }, (_, i) => ({ name: `p/${String(i).padStart(6, "0")}.age` })))

/** Puts a ZIP64 end record and its locator before the end, which itself does not mention them. */
const withZip64Records = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, -22), zip64Bomb().subarray(0, 76), bytes.subarray(-22)])

const layout: ReadonlyArray<Case> = [
  [
    "has one name twice",
    "E_ENTRY_DUP",
    () =>
      stored([
        { name: PART, data },
        { name: PART, data }
      ])
  ],
  [
    "names an entry otherwise in its header",
    "E_ZIP_MISMATCH",
    () => odd({ localName: "p/000009.age" })
  ],
  ["has a longer name in its header", "E_ZIP_MISMATCH", () => odd({ localName: `${PART}.001` })],
  [
    "has sizes of 0 in its directory",
    "E_ZIP_MISMATCH",
    () => odd({ size: 0, compressedSize: 0, localSize: data.length })
  ],
  [
    "has sizes that are 10 too large",
    "E_ZIP_MISMATCH",
    () => odd({ size: data.length + 10, compressedSize: data.length + 10, localSize: data.length })
  ],
  ["has other flags in a header", "E_ZIP_MISMATCH", () => odd({ localFlags: 0 })],
  ["has another method in a header", "E_ZIP_MISMATCH", () => odd({ localMethod: 8 })],
  ["has another checksum in a header", "E_ZIP_MISMATCH", () => odd({ localCrc: 1 })],
  [
    "has another checksum behind the data",
    "E_ZIP_MISMATCH",
    () => later(descriptor(1, data.length, data.length))
  ],
  [
    "has another size behind the data",
    "E_ZIP_MISMATCH",
    () => later(descriptor(crc, data.length, 1))
  ],
  [
    "has another packed size behind the data",
    "E_ZIP_MISMATCH",
    () => later(descriptor(crc, 1, data.length))
  ],
  ["has nothing behind the data", "E_ZIP_MISMATCH", () => later(Buffer.alloc(0))],
  [
    "has eight-byte sizes behind the data",
    "E_ZIP_MISMATCH",
    () => later(Buffer.concat([descriptor(crc, data.length, 0), Buffer.alloc(8)]))
  ],
  ["has two sizes for an entry", "E_ZIP_SIZES", () => odd({ size: 1_000 })],
  ["overlaps entries", "E_ZIP_LAYOUT", () => odd({ offset: 0 })],
  ["has 1,000 entries on one header", "E_ZIP_LAYOUT", onOneHeader],
  ["has an entry behind its end", "E_ZIP_LAYOUT", beyond],
  ["has an entry within another", "E_ZIP_LAYOUT", nested],
  ["hides bytes between entries", "E_ZIP_LAYOUT", () => odd({ behind: Buffer.from("hidden") })],
  [
    "hides bytes before the directory",
    "E_ZIP_LAYOUT",
    () => stored([{ name: PART, data, behind: Buffer.from("hidden") }])
  ],
  [
    "has an entry that reaches into the directory",
    "E_ZIP_LAYOUT",
    () => stored([{ name: PART, data, size: 40, compressedSize: 40 }])
  ]
]

/** The second entry begins behind the end of the file, where the first one is said to end. */
function beyond(): Buffer {
  const size = 100_000
  return stored([
    { name: PART, data, size, compressedSize: size },
    { name: "p/000002.age", data, offset: 30 + PART.length + size }
  ])
}

function onOneHeader(): Buffer {
  return stored(
    Array.from({ length: 1_000 }, (_, i) => ({
      name: `p/${String(i).padStart(6, "0")}.age`,
      offset: 0
    }))
  )
}

/** The second entry's header is within the first one's data, and says nothing wrong (Fifield). */
function nested(): Buffer {
  const inner = stored([{ name: PART, data }])
  const header = inner.subarray(0, 30 + PART.length + data.length)
  const name = "p/000000.age"
  return stored([
    { name, data: header },
    { name: PART, data, offset: 30 + name.length }
  ])
}

const entries: ReadonlyArray<Case> = [
  ["is packed", "E_ZIP_METHOD", () => odd({ method: 8 })],
  ["has AES encryption", "E_ZIP_METHOD", () => odd({ method: 99 })],
  ["has a password", "E_ZIP_FLAGS", () => odd({ flags: 0x801 })],
  ["has strong encryption", "E_ZIP_FLAGS", () => odd({ flags: 0x840 })],
  ["has patched data", "E_ZIP_FLAGS", () => odd({ flags: 0x820 })],
  ["has a symbolic link", "E_ZIP_TYPE", () => odd({ mode: 0o120777 })],
  ["has a directory", "E_ZIP_TYPE", () => odd({ mode: 0o40755 })],
  ["has a device", "E_ZIP_TYPE", () => odd({ mode: 0o20666 })],
  ["has an extra field in its directory", "E_ZIP_EXTRA", () => odd({ extra: Buffer.alloc(4) })],
  ["has an extra field in a header", "E_ZIP_EXTRA", () => odd({ localExtra: Buffer.alloc(4) })],
  ["has a comment on an entry", "E_ZIP_EXTRA", () => odd({ comment: "hello" })],
  ["has an entry in the ZIP64 format", "E_ZIP64", () => odd({ size: 0xffffffff })],
  [
    "has a manifest of 17 MiB",
    "E_MANIFEST_LIMIT",
    () => stored([{ name: "manifest.json", data: Buffer.alloc(17 * 1_048_576) }])
  ],
  [
    "has a signature of 1 MiB",
    "E_SIG_FORMAT",
    () => stored([{ name: "manifest.json.sig", data: Buffer.alloc(1_048_576) }])
  ],
  [
    "has a README.txt of 2 MiB",
    "E_ZIP_LIMITS",
    () => stored([{ name: "README.txt", data: Buffer.alloc(2 * 1_048_576) }])
  ]
]

/** Names that are no entry names; those that could fool a person or a file system. */
export const badNames: ReadonlyArray<string | Uint8Array> = [
  "",
  "../x",
  "/x",
  "C:\\x",
  "p\\000001.age",
  "p/000001.age\0",
  "p/000001.age\n",
  "CON",
  "P/000001.AGE",
  "p/\uff10\uff10\uff10\uff10\uff10\uff11.age",
  "manife\u0301st.json",
  Buffer.from([0x70, 0x2f, 0xe9]),
  "p/000001.age.",
  "p/000001.age ",
  "p/",
  "p/1.age",
  "p/0000001.age",
  "p/000001.age.1",
  "p/../manifest.json",
  "manifest.json.sig.1",
  "manifest.json.sig.10",
  "root/1.json",
  "root/000001.json.sig",
  "root/000001.json.sig.0",
  "readme.txt",
  "README.txt/"
]

export const hostileVolumes: ReadonlyArray<Case> = [
  ...ends,
  ...layout,
  ...entries,
  ...badNames.map(
    (name): Case => [
      `names an entry ${JSON.stringify(Buffer.from(name).toString("latin1"))}`,
      "E_ENTRY_NAME",
      () => odd({ name })
    ]
  )
]
