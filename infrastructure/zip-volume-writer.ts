/**
 * Writes one volume of a bundle to a stick: whole, durable and read back, or not at all (format
 * §2.8).
 *
 * The same entries give the same bytes. `archiver` only makes the archive: it does not tell of a
 * source that fails, starts all sources at once, rewrites names and never ends when its output fails
 * (format §4.5). So names are checked before, each source is drawn from here when its turn has come,
 * and whatever fails ends both sides.
 */
import { createHash } from "node:crypto"
import { constants } from "node:fs"
import { rename, rm, statfs } from "node:fs/promises"
import path from "node:path"
import { PassThrough } from "node:stream"
import * as NodeStream from "@effect/platform-node/NodeStream"
import type { Archiver } from "archiver"
import { Effect, Fiber, Stream } from "effect"
import { NoSpace } from "../application/ports.ts"
import { VOLUME_BYTES_MAX } from "../domain/bundle-manifest.ts"
import type { Digest } from "../domain/id.ts"
import { entryLimit, VOLUME_ENTRIES_MAX, volumeBytes } from "../domain/volume-contents.ts"
import { PARTIAL_SUFFIX, parseEntryName } from "../domain/volume-name.ts"
import { type MediaError, VolumeSourceChanged } from "../domain/volume-refusal.ts"
import { attempt, type MediaFile, openMedia, syncFolder } from "./media-file.ts"
import { makeBlockTags, type ReadBack, readBack } from "./media-read-back.ts"
import { openVolume } from "./zip-volume-reader.ts"

/**
 * An entry to write: what it must be, and where its bytes come from. `size` in bytes. What the source
 * has given it may not use again: it is written later, as it is then.
 */
export interface VolumeSource<E = never, R = never> {
  readonly name: string
  readonly size: number
  readonly sha256: Digest
  readonly bytes: Stream.Stream<Uint8Array, E, R>
}

export interface WrittenVolume {
  /** In bytes. */
  readonly size: number
  /** "cache": the stick could not be read past the system's memory; a person has to check it. */
  readonly readBack: ReadBack
}

/** The oldest date that a zip archive can state. */
const DATE = new Date(Date.UTC(1980, 0, 1))
/** rw-r--r--: what is in a volume is sealed, and whoever carries the stick checks it. */
const MODE = 0o644
/** Bytes between two syncs, so that an interruption waits for seconds of a slow stick, not minutes. */
const SYNC_BYTES = 16 * 1_048_576
/** Bytes that the file system may need beside the volume, for its tables. */
export const RESERVE = 1_048_576

/**
 * Writes the volume with its entries in the order given, taking the place of a file of that name;
 * the folder must exist. `onReadBack` is told bytes as they are read again. Fails with NoSpace, with MediaError when the stick fails or gives back
 * something else, with VolumeSourceChanged, and with whatever a source fails; then nothing new has
 * the name and `<name>.partial` is gone. Entries that can't be in a volume are a defect.
 */
export const writeVolume = Effect.fn("writeVolume")(function* <E, R>(
  file: string,
  sources: ReadonlyArray<VolumeSource<E, R>>,
  onReadBack: (bytes: number) => Effect.Effect<void> = () => Effect.void
) {
  const size = checkedSize(sources)
  const partial = `${file}${PARTIAL_SUFFIX}`
  const remove = attempt(partial, 0, () => rm(partial, { force: true }))
  // A crash may have left one.
  yield* remove
  yield* requireSpace(path.dirname(file), size)
  const source = yield* Effect.gen(function* () {
    const tags = yield* Effect.scoped(writeArchive(partial, size, sources))
    const read = yield* readBack(partial, tags, onReadBack)
    yield* checkEntries(partial, sources)
    yield* attempt(file, 0, () => rename(partial, file))
    return read
  }).pipe(Effect.onError(() => Effect.ignore(remove)))
  yield* syncFolder(path.dirname(file))
  const written: WrittenVolume = { size, readBack: source }
  return written
})

/** The bytes of the volume to be. Throws a RangeError when no reader would accept it. */
const checkedSize = (sources: ReadonlyArray<VolumeSource<unknown, unknown>>): number => {
  const names = new Set(sources.map(({ name }) => name))
  if (names.size !== sources.length) throw new RangeError("an entry is there twice")
  for (const { name, size } of sources) {
    if (parseEntryName(name) === undefined) throw new RangeError(`not an entry name: ${name}`)
    const limit = entryLimit(name)
    if (!Number.isSafeInteger(size) || size < 0 || (limit && size > limit.bytes)) {
      throw new RangeError(`${name} can't have ${size} bytes`)
    }
  }
  const size = volumeBytes(sources)
  if (size > VOLUME_BYTES_MAX || sources.length > VOLUME_ENTRIES_MAX) {
    throw new RangeError(`${sources.length} entries, ${size} bytes: too much for a volume`)
  }
  return size
}

const requireSpace = Effect.fnUntraced(function* (folder: string, size: number) {
  const { bavail, bsize } = yield* attempt(folder, 0, () => statfs(folder))
  const free = bavail * bsize
  if (free < size + RESERVE) return yield* new NoSpace({ needed: size + RESERVE, free })
})

const WRITE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/** Writes and syncs the archive; gives the tags of its blocks. */
const writeArchive = Effect.fnUntraced(function* <E, R>(
  partial: string,
  size: number,
  sources: ReadonlyArray<VolumeSource<E, R>>
) {
  const file = yield* openMedia(partial, WRITE_FLAGS, MODE).pipe(fullIsNoSpace(size))
  const archive = yield* Effect.acquireRelease(Effect.promise(makeArchive), (archive) =>
    Effect.sync(() => archive.destroy())
  )
  const [tags] = yield* Effect.all(
    [writeAll(file, archive, size), append(archive, sources)] as const,
    { concurrency: 2 }
  )
  return tags
})

const makeArchive = async (): Promise<Archiver> => {
  // Loaded here: with what it brings along it would make every start of the program slower.
  const { ZipArchive } = await import("archiver")
  const archive = new ZipArchive({ store: true, forceLocalTime: false })
  archive.on("warning", (problem) => archive.destroy(problem))
  // Read with the archive; this keeps one that comes when nobody reads any more from ending us.
  archive.on("error", () => {})
  return archive
}

/** Draws the sources one after the other. */
const append = Effect.fnUntraced(function* <E, R>(
  archive: Archiver,
  sources: ReadonlyArray<VolumeSource<E, R>>
) {
  for (const source of sources) {
    const pipe = new PassThrough()
    const appended = new Promise((resolve) => archive.once("entry", resolve))
    archive.append(pipe, { name: source.name, date: DATE, mode: MODE })
    yield* draw(source, pipe)
    pipe.end()
    yield* Effect.promise(() => appended)
  }
  // Its promise may never settle; the end of the archive is seen where it is written.
  archive.finalize().catch(() => {})
})

const draw = Effect.fnUntraced(function* <E, R>(
  { name, size, sha256, bytes }: VolumeSource<E, R>,
  pipe: PassThrough
) {
  const hash = createHash("sha256")
  let drawn = 0
  yield* Stream.runForEach(bytes, (chunk) =>
    Effect.suspend(() => {
      drawn += chunk.length
      if (drawn > size) return new VolumeSourceChanged({ name, reason: "long" })
      hash.update(chunk)
      return push(pipe, chunk)
    })
  )
  if (drawn < size) return yield* new VolumeSourceChanged({ name, reason: "short" })
  if (hash.digest("hex") !== sha256) {
    return yield* new VolumeSourceChanged({ name, reason: "changed" })
  }
})

const push = (pipe: PassThrough, bytes: Uint8Array) =>
  Effect.callback<void>((resume) => {
    if (pipe.write(bytes)) resume(Effect.void)
    else pipe.once("drain", () => resume(Effect.void))
  })

const writeAll = Effect.fnUntraced(function* (file: MediaFile, archive: Archiver, size: number) {
  const tags = makeBlockTags()
  let at = 0
  let synced = 0
  const sync = Effect.suspend(() => attempt(file.path, synced, () => file.handle.sync()))
  let syncing: Fiber.Fiber<void, MediaError> | undefined
  const write = Effect.fnUntraced(function* (bytes: Uint8Array) {
    tags.push(bytes)
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = yield* attempt(file.path, at, () =>
        file.handle.write(bytes, done, bytes.length - done, at)
      )
      done += bytesWritten
      at += bytesWritten
    }
    if (at - synced < SYNC_BYTES) return
    // The medium works on these bytes while the next are made; it is never two syncs behind.
    if (syncing !== undefined) yield* Fiber.join(syncing)
    syncing = yield* Effect.forkScoped(sync, { startImmediately: true })
    synced = at
  })
  const chunks = NodeStream.fromReadable<Uint8Array, unknown>({
    evaluate: () => archive,
    onError: (cause) => cause
  })
  yield* chunks.pipe(Stream.orDie, Stream.runForEach(write), fullIsNoSpace(size))
  if (at !== size) return yield* Effect.die(new Error(`${file.path}: ${at} bytes, not ${size}`))
  if (syncing !== undefined) yield* Fiber.join(syncing).pipe(fullIsNoSpace(size))
  yield* sync.pipe(fullIsNoSpace(size))
  return tags.end()
})

/** A full stick is for a person to mend, and has its own words. */
const fullIsNoSpace =
  (needed: number) =>
  <A, R>(effect: Effect.Effect<A, MediaError, R>): Effect.Effect<A, MediaError | NoSpace, R> =>
    Effect.mapError(effect, (error) =>
      error.code === "ENOSPC" || error.code === "EDQUOT" ? new NoSpace({ needed, free: 0 }) : error
    )

/** Sees that a reader finds what was to be written: what `archiver` made of it is not trusted. */
const checkEntries = (partial: string, sources: ReadonlyArray<VolumeSource<unknown, unknown>>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { entries } = yield* openVolume(partial).pipe(
        Effect.catchTag("ZipVolumeRefused", Effect.die)
      )
      const found = [...entries.values()].map(({ name, size }) => `${name} ${size}`)
      const expected = sources.map(({ name, size }) => `${name} ${size}`)
      if (found.join() !== expected.join()) {
        return yield* Effect.die(new Error(`${partial} has other entries than were given`))
      }
    })
  )
