/**
 * Keeps large contents as files named by the SHA-256 of their bytes.
 *
 * A blob is written aside, digested while it streams, made durable, and only then renamed to its
 * name; whoever finds the name finds the whole blob, after whatever happened. An interrupted write
 * stays as `partial/<digest>` and is continued, after its bytes were digested again.
 */
import { createHash, randomUUID } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { Effect, Layer, Option, Stream } from "effect"
import { BlobDamaged, Blobs, NoSpace } from "../application/ports.ts"
import { SEGMENT_BYTES } from "../domain/bundle-manifest.ts"
import { Digest } from "../domain/id.ts"
import { freeAt, isFull, RESERVE, readFile, syncDirectory } from "./file-bytes.ts"
import { makeNoted } from "./file-digests.ts"

/** Bytes digested at a time. */
const CHUNK = 256 * 1024

/** Where a blob lies, if it is here. */
export const blobFile = (directory: string, blob: Digest): string =>
  path.join(directory, blob.slice(0, 2), blob)

/** Gives whole and durable bytes their name. Whoever calls has digested them. */
export const adopt = (directory: string, aside: string, blob: Digest): Effect.Effect<void> =>
  Effect.sync(() => {
    const file = blobFile(directory, blob)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.renameSync(aside, file)
    syncDirectory(path.dirname(file))
    syncDirectory(directory)
  })

const make = Effect.fnUntraced(function* (directory: string, notes: string | undefined) {
  const finished = (blob: Digest) => blobFile(directory, blob)
  const partial = (blob: Digest) => path.join(directory, "partial", blob)
  const sizeOf = (file: string) =>
    Effect.sync(() => Option.fromUndefinedOr(fs.statSync(file, { throwIfNoEntry: false })?.size))
  yield* Effect.sync(() => fs.mkdirSync(path.join(directory, "partial"), { recursive: true }))

  const write = Effect.fnUntraced(function* <E, R>(
    blob: Digest,
    size: number,
    rest: Stream.Stream<Uint8Array, E, R>,
    onBytes: (bytes: number) => Effect.Effect<void>
  ) {
    if (fs.existsSync(finished(blob))) return
    const here = fs.statSync(partial(blob), { throwIfNoEntry: false })?.size ?? 0
    yield* requireSpace(directory, Math.max(0, size - here))
    yield* Effect.scoped(
      Effect.gen(function* () {
        const fd = yield* Effect.acquireRelease(
          Effect.sync(() => fs.openSync(partial(blob), "a+", 0o600)),
          (fd) => Effect.sync(() => fs.closeSync(fd))
        )
        const hash = createHash("sha256")
        let bytes = digestFile(fd, hash)
        yield* Stream.runForEach(rest, (chunk) =>
          Effect.gen(function* () {
            bytes += chunk.byteLength
            if (bytes > size) return yield* new BlobDamaged({ blob })
            yield* writeAll(fd, chunk, size - bytes)
            hash.update(chunk)
            yield* onBytes(chunk.byteLength)
          })
        )
        if (bytes !== size || hash.digest("hex") !== blob) return yield* new BlobDamaged({ blob })
        yield* Effect.sync(() => fs.fsyncSync(fd))
      })
    ).pipe(
      Effect.tapErrorTag("BlobDamaged", () =>
        Effect.sync(() => fs.rmSync(partial(blob), { force: true }))
      )
    )
    yield* adopt(directory, partial(blob), blob)
  })

  const add = Effect.fnUntraced(function* <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) {
    const aside = path.join(directory, "partial", `new-${randomUUID()}`)
    const hash = createHash("sha256")
    const noted = notes === undefined ? undefined : makeNoted(notes, SEGMENT_BYTES)
    let size = 0
    yield* Effect.scoped(
      Effect.gen(function* () {
        const fd = yield* Effect.acquireRelease(
          Effect.sync(() => fs.openSync(aside, "wx", 0o600)),
          (fd) => Effect.sync(() => fs.closeSync(fd))
        )
        yield* Stream.runForEach(bytes, (chunk) =>
          Effect.suspend(() => {
            hash.update(chunk)
            noted?.push(chunk)
            size += chunk.byteLength
            return writeAll(fd, chunk, chunk.byteLength)
          })
        )
        yield* Effect.sync(() => fs.fsyncSync(fd))
      })
    ).pipe(Effect.onError(() => Effect.sync(() => fs.rmSync(aside, { force: true }))))
    const blob = Digest.make(hash.digest("hex"))
    yield* adopt(directory, aside, blob)
    if (noted !== undefined) yield* noted.remember(blob, size)
    return { blob, size }
  })

  return Blobs.of({
    add,
    has: (blob) => Effect.sync(() => fs.existsSync(finished(blob))),
    size: (blob) => sizeOf(finished(blob)),
    partial: (blob) =>
      Effect.map(
        sizeOf(partial(blob)),
        Option.getOrElse(() => 0)
      ),
    read: (blob, range) => readFile(finished(blob), range),
    write,
    sweep: (wanted) =>
      Effect.sync(() => {
        let swept = 0
        const names = new Set<string>(wanted)
        for (const folder of fs.readdirSync(directory).filter(isOurs)) {
          for (const name of fs.readdirSync(path.join(directory, folder))) {
            if (names.has(name)) continue
            fs.rmSync(path.join(directory, folder, name), { force: true })
            swept += 1
          }
        }
        return swept
      })
  })
})

/** Whatever else lies there (`lost+found`, somebody's notes) is not for us to read or remove. */
const isOurs = (folder: string): boolean => /^(?:partial|[0-9a-f]{2})$/u.test(folder)

const requireSpace = Effect.fnUntraced(function* (directory: string, size: number) {
  const free = yield* Effect.sync(() => freeAt(directory))
  if (free < size + RESERVE) return yield* new NoSpace({ needed: size + RESERVE, free })
})

const writeAll = (fd: number, chunk: Uint8Array, needed: number) =>
  Effect.suspend(() => {
    try {
      for (let at = 0; at < chunk.byteLength; ) at += fs.writeSync(fd, chunk, at)
      return Effect.void
    } catch (cause) {
      // A full disk is for a person to mend; whatever was written is continued later.
      return isFull(cause) ? Effect.fail(new NoSpace({ needed, free: 0 })) : Effect.die(cause)
    }
  })

/** Digests what a file holds already and answers how many bytes that is. */
const digestFile = (fd: number, hash: ReturnType<typeof createHash>): number => {
  const buffer = Buffer.allocUnsafe(CHUNK)
  for (let at = 0; ; ) {
    const got = fs.readSync(fd, buffer, 0, CHUNK, at)
    if (got === 0) return at
    hash.update(buffer.subarray(0, got))
    at += got
  }
}

/**
 * Keeps blobs in `directory`. What is added is digested for bundles as well, where `digests` says in
 * which directory those are remembered (file-digests.ts).
 */
export const layer = (directory: string, digests?: string) =>
  Layer.effect(Blobs, make(directory, digests))
