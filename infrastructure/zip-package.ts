/**
 * Opens an untrusted zip archive for reading single files from it, safely and without unpacking.
 *
 * Everything the directory says is checked before the first file is read; every file is checked
 * against the directory (length, CRC-32) while it is read, and no more bytes come out than it
 * declares. Nothing is ever written. The source may be a file or a decrypted view of one.
 */
import { pipeline, Readable } from "node:stream"
import { crc32, createInflateRaw } from "node:zlib"
import { Effect, Stream } from "effect"
import { PackageRefused, refused } from "../domain/package-refusal.ts"
import {
  type ByteSource,
  type Directory,
  damaged,
  readDirectory,
  readExactly
} from "./zip-directory.ts"
import { checkEntries, isFile, nameOf, STORED } from "./zip-entries.ts"
import { type DirectoryEntry, LOCAL_HEADER_BYTES, LOCAL_HEADER_SIGNATURE } from "./zip-records.ts"

const CHUNK_BYTES = 256 * 1024

/** A file in the archive. Sizes in bytes; `offset` is where its packed bytes begin. */
export interface PackageEntry {
  readonly name: string
  readonly size: number
  readonly compressedSize: number
  readonly crc32: number
  readonly method: number
  readonly offset: number
}

export interface OpenedPackage {
  /** Files by name (Unicode NFC, `/` between folders). Folders and rubbish of desktops are left out. */
  readonly entries: ReadonlyMap<string, PackageEntry>
  /** Reads one file into memory; look at its size first. Dies for a name that isn't in `entries`. */
  readonly read: (name: string) => Effect.Effect<Uint8Array, PackageRefused>
  /** Reads one file piece by piece; trust the pieces only after the last one. */
  readonly stream: (name: string) => Stream.Stream<Uint8Array, PackageRefused>
}

/**
 * Opens the archive. Fails with PackageRefused for anything damaged, oversized or ambiguous; a
 * failing source is a defect. The source must stay open while the package is read.
 */
export const openPackage = Effect.fn("openPackage")(function* (source: ByteSource) {
  const entries = yield* Effect.promise(() => readEntries(source)).pipe(
    Effect.catchDefect(refusedOrDie)
  )
  const stream = (name: string) =>
    Stream.suspend(() =>
      Stream.fromAsyncIterable(unpack(source, entry(name)), (cause) => cause)
    ).pipe(Stream.catch((cause) => Stream.fromEffect(refusedOrDie(cause))))
  const entry = (name: string): PackageEntry => {
    const found = entries.get(name)
    if (found === undefined) throw new Error(`no such file in the package: ${name}`)
    return found
  }
  const read = Effect.fnUntraced(function* (name: string) {
    const chunks = yield* Stream.runCollect(stream(name))
    return new Uint8Array(Buffer.concat(chunks))
  })
  const opened: OpenedPackage = { entries, read, stream }
  return opened
})

const refusedOrDie = (cause: unknown): Effect.Effect<never, PackageRefused> =>
  cause instanceof PackageRefused ? Effect.fail(cause) : Effect.die(cause)

const readEntries = async (source: ByteSource): Promise<ReadonlyMap<string, PackageEntry>> => {
  const directory = await readDirectory(source)
  const names = directory.entries.map(nameOf)
  checkEntries(directory.entries, names)
  const offsets = await checkPlaces(source, directory, names)
  const entries = directory.entries.map(({ size, compressedSize, crc32, method }, index) => {
    const name = names[index] ?? ""
    return { name, size, compressedSize, crc32, method, offset: offsets[index] ?? 0 }
  })
  return new Map(entries.filter(({ name }) => isFile(name)).map((entry) => [entry.name, entry]))
}

/** Compares each file's own header with the directory, and sees that no two files overlap. */
const checkPlaces = async (
  source: ByteSource,
  { entries, offset: end }: Directory,
  names: ReadonlyArray<string>
): Promise<ReadonlyArray<number>> => {
  const offsets = new Array<number>(entries.length)
  const order = entries
    .map((entry, index) => ({ entry, index }))
    .sort((a, b) => a.entry.headerOffset - b.entry.headerOffset)
  let free = 0
  for (const { entry, index } of order) {
    const name = names[index] ?? ""
    if (entry.headerOffset < free) throw overlap(name)
    const data = await dataOffset(source, entry, name)
    free = data + entry.compressedSize
    if (free > end) throw overlap(name)
    offsets[index] = data
  }
  return offsets
}

const overlap = (name: string) =>
  refused(
    "zip-overlap",
    name,
    "Files in the archive share the same bytes, as in archives made to fill a disk. Zip the package again."
  )

const dataOffset = async (
  source: ByteSource,
  { headerOffset, nameBytes, flags, method, ...entry }: DirectoryEntry,
  name: string
): Promise<number> => {
  const length = LOCAL_HEADER_BYTES + nameBytes.length
  const header = Buffer.from(await readExactly(source, headerOffset, length))
  const later = (flags & 8) !== 0
  const same = (at: number, value: number) => {
    const stated = header.readUInt32LE(at)
    // 0xffffffff: the size stands in a ZIP64 field that some tools add to small files too.
    return stated === value || (later && stated === 0) || (at !== 14 && stated === 0xffffffff)
  }
  const agrees =
    header.readUInt32LE(0) === LOCAL_HEADER_SIGNATURE &&
    header.readUInt16LE(6) === flags &&
    header.readUInt16LE(8) === method &&
    header.readUInt16LE(26) === nameBytes.length &&
    header.subarray(LOCAL_HEADER_BYTES).equals(nameBytes) &&
    same(14, entry.crc32) &&
    same(18, entry.compressedSize) &&
    same(22, entry.size)
  if (!agrees) throw damaged("the directory and the file's own header differ", name)
  return headerOffset + length + header.readUInt16LE(28)
}

/** Gives the file's bytes, never more than declared; throws when they are not what was declared. */
async function* unpack(source: ByteSource, entry: PackageEntry): AsyncGenerator<Uint8Array> {
  let size = 0
  let sum = 0
  for await (const chunk of entry.method === STORED
    ? packedBytes(source, entry)
    : inflated(source, entry)) {
    size += chunk.length
    if (size > entry.size) throw damaged("it is longer than it says", entry.name)
    sum = crc32(chunk, sum)
    yield chunk
  }
  if (size !== entry.size) throw damaged("it is shorter than it says", entry.name)
  if (sum !== entry.crc32) throw damaged("its checksum is wrong", entry.name)
}

/** Gives the bytes of a file as they lie in the archive. */
export async function* packedBytes(
  source: ByteSource,
  entry: PackageEntry
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < entry.compressedSize; at += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, entry.compressedSize - at)
    yield await readExactly(source, entry.offset + at, length)
  }
}

async function* inflated(source: ByteSource, entry: PackageEntry): AsyncGenerator<Uint8Array> {
  const inflate = createInflateRaw()
  // The error comes out of the loop below; the callback only keeps it from being thrown twice.
  pipeline(Readable.from(packedBytes(source, entry)), inflate, () => {})
  try {
    for await (const chunk of inflate) yield chunk
  } catch (cause) {
    throw isZlibError(cause) ? damaged("it can't be unpacked", entry.name) : cause
  }
  if (inflate.bytesWritten !== entry.compressedSize) {
    throw damaged("data is hidden behind it", entry.name)
  }
}

const isZlibError = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && /^Z_/u.test(String(cause.code))
