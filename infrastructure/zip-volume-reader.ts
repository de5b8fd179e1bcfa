/**
 * Opens one volume of a bundle on a stick and reads its entries, never more than 8 MiB at a time
 * (format §2.2, §2.7).
 *
 * All rules about the archive are checked when it is opened; nothing is ever unpacked. Checksums of
 * the archive are not: the signed manifest has better ones. What a volume says must not be trusted
 * before those were checked, and a volume may change on its stick between two reads.
 */
import { Effect } from "effect"
import { VOLUME_BYTES_MAX } from "../domain/bundle-manifest.ts"
import { entryLimit } from "../domain/volume-contents.ts"
import { type MediaError, ZipVolumeRefused } from "../domain/volume-refusal.ts"
import { attempt, type MediaFile, openMedia, READ_FLAGS, readExactly } from "./media-file.ts"
import {
  type DirectoryEntry,
  END_BYTES,
  endRecord,
  LOCAL_HEADER_BYTES,
  parseDirectory,
  walkHeaders
} from "./zip-records.ts"
import {
  DESCRIPTOR_BYTES,
  descriptorProblem,
  directoryProblem,
  endProblem,
  entryProblem,
  hasDescriptor,
  localProblem,
  type Problem
} from "./zip-volume-rules.ts"

/** Bytes of one read: one segment of a part (format §2.3). */
export const READ_BYTES_MAX = 8 * 1_048_576

/** An entry; `offset` is where its bytes begin in the volume. In bytes. */
export interface VolumeEntry {
  readonly name: string
  readonly offset: number
  readonly size: number
}

export interface OpenedVolume {
  readonly path: string
  readonly size: number
  /** By name, in the order of the volume. */
  readonly entries: ReadonlyMap<string, VolumeEntry>
  /**
   * Reads `length` bytes of an entry, from `offset` of the entry on. Fails with MediaError, whose
   * offset is one of the volume; the same read may be tried again. Asking for a name that is not in
   * `entries`, beyond the entry's size, or for more than READ_BYTES_MAX is a defect.
   */
  readonly read: (
    name: string,
    range: {
      readonly offset: number
      readonly length: number
      readonly into?: Uint8Array | undefined
    }
  ) => Effect.Effect<Uint8Array, MediaError>
  /** Reads a whole entry that is not a part: no larger than its `entryLimit`. */
  readonly readSmall: (name: string) => Effect.Effect<Uint8Array, MediaError>
}

/**
 * Opens the volume until the scope closes. Fails with ZipVolumeRefused for what is no volume of
 * ours, and with MediaError when the medium does not give it. Never waits for a pipe's writer.
 */
export const openVolume = Effect.fn("openVolume")(function* (path: string) {
  const { file, size } = yield* openRegular(path)
  if (size > VOLUME_BYTES_MAX) {
    const detail = `it has ${size} bytes; the limit is ${VOLUME_BYTES_MAX}`
    return yield* refused(path, { code: "E_VOL_TOO_BIG", detail })
  }
  if (size < END_BYTES) {
    return yield* refused(path, { code: "E_ZIP_EOCD", detail: "it is cut off" })
  }
  const entries = yield* readEntries(file, size)

  const entry = (name: string, isAllowed: (entry: VolumeEntry) => boolean) => {
    const found = entries.get(name)
    return found !== undefined && isAllowed(found)
      ? Effect.succeed(found)
      : Effect.die(new RangeError(`no such bytes in ${path}: ${name}`))
  }
  const read: OpenedVolume["read"] = Effect.fnUntraced(function* (name, { into, length, offset }) {
    const isInside = (found: VolumeEntry) =>
      offset >= 0 && length >= 0 && length <= READ_BYTES_MAX && offset + length <= found.size
    const found = yield* entry(name, isInside)
    return yield* readExactly(file, found.offset + offset, length, into)
  })
  const readSmall: OpenedVolume["readSmall"] = Effect.fnUntraced(function* (name) {
    const found = yield* entry(name, () => entryLimit(name) !== undefined)
    return yield* readExactly(file, found.offset, found.size)
  })
  const opened: OpenedVolume = { path, size, entries, read, readSmall }
  return opened
})

const openRegular = Effect.fnUntraced(function* (path: string) {
  const file = yield* openMedia(path, READ_FLAGS).pipe(
    Effect.mapError((error) => {
      if (error.code === "ELOOP") return refused(path, LINK)
      // A socket, or a device that nobody serves.
      return error.code === "ENXIO" ? refused(path, NOT_A_FILE) : error
    })
  )
  const stat = yield* attempt(path, 0, () => file.handle.stat())
  if (!stat.isFile()) return yield* refused(path, NOT_A_FILE)
  return { file, size: stat.size }
})

const LINK: Problem = { code: "E_NOT_FILE", detail: "it is a symbolic link" }
const NOT_A_FILE: Problem = { code: "E_NOT_FILE", detail: "it is no regular file" }

const refused = (volume: string, { code, detail }: Problem) =>
  new ZipVolumeRefused({ code, volume, detail })

const accept = (volume: string, problem: Problem | undefined) =>
  problem === undefined ? Effect.void : Effect.fail(refused(volume, problem))

const readEntries = Effect.fnUntraced(function* (file: MediaFile, size: number) {
  const last = yield* readExactly(file, size - END_BYTES, END_BYTES)
  const end = endRecord(last)
  yield* accept(file.path, endProblem(last, end, size))
  const directory = yield* readExactly(file, end.offset, end.size)
  yield* accept(file.path, directoryProblem(walkHeaders(directory), end))
  const listed = yield* Effect.tryPromise({
    try: () => parseDirectory(directory, end.count),
    catch: (cause) => refused(file.path, layout(`the directory can't be read (${cause})`))
  })
  return yield* checkPlaces(file, listed, end.offset)
})

const layout = (detail: string): Problem => ({ code: "E_ZIP_LAYOUT", detail })

/** Sees that the entries follow each other from the first byte to the directory, and nothing else. */
const checkPlaces = Effect.fnUntraced(function* (
  file: MediaFile,
  listed: ReadonlyArray<DirectoryEntry>,
  directoryOffset: number
) {
  const entries = new Map<string, VolumeEntry>()
  let at = 0
  for (const entry of listed) {
    const name = Buffer.from(entry.nameBytes).toString("latin1")
    yield* accept(file.path, entryProblem(entry, name))
    if (entries.has(name)) {
      return yield* refused(file.path, { code: "E_ENTRY_DUP", detail: `${name} is there twice` })
    }
    const offset = at + LOCAL_HEADER_BYTES + name.length
    if (entry.headerOffset !== at || offset > directoryOffset) {
      return yield* refused(
        file.path,
        layout(`${name} does not begin where the entry before it ends`)
      )
    }
    const header = yield* readExactly(file, at, offset - at)
    yield* accept(file.path, localProblem(header, entry))
    entries.set(name, { name, offset, size: entry.size })
    at = offset + entry.size
    if (hasDescriptor(entry)) {
      // One that would not fit in before the directory is read anyway, and is none.
      const descriptor = yield* readExactly(file, Math.min(at, directoryOffset), DESCRIPTOR_BYTES)
      yield* accept(file.path, descriptorProblem(descriptor, entry))
      at += DESCRIPTOR_BYTES
    }
  }
  if (at !== directoryOffset) {
    return yield* refused(
      file.path,
      layout("there are bytes between the entries and the directory")
    )
  }
  return entries
})
