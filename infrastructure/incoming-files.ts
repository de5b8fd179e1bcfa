/**
 * Keeps the files of an incoming bundle until all are there, as
 * `<directory>/<digest of the manifest>/<name of the file>`.
 *
 * There is no journal that could lie: what is here is what the bytes say when they are digested
 * again, so an import goes on after a kill, a power loss or a change of the stick (format §2.7).
 */
import fs from "node:fs"
import path from "node:path"
import { Effect, Layer, Stream } from "effect"
import { Incoming } from "../application/bundle-ports.ts"
import { BlobDamaged } from "../application/ports.ts"
import type { Digest } from "../domain/id.ts"
import { adopt, blobFile } from "./file-blobs.ts"
import {
  digestOf,
  freeAt,
  RESERVE,
  readFile,
  readHandle,
  syncDirectory,
  writeHandle
} from "./file-bytes.ts"

/** Stages below `directory`; `blobs` is the directory of the blob store, on the same file system. */
export const layer = (options: { readonly directory: string; readonly blobs: string }) =>
  Layer.effect(Incoming, make(options))

const make = Effect.fnUntraced(function* (options: {
  readonly directory: string
  readonly blobs: string
}) {
  const { blobs, directory } = options
  const folder = (bundle: Digest) => path.join(directory, checked(bundle, BUNDLE))
  const place = (bundle: Digest, file: string) =>
    path.join(folder(bundle), checked(file, FILE).replaceAll("/", "_"))
  yield* Effect.sync(() => {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    syncDirectory(path.dirname(directory))
  })

  const toBlob = Effect.fnUntraced(function* (bundle: Digest, file: string, blob: Digest) {
    const staged = place(bundle, file)
    // Also after a kill between giving the blob its name and noting that.
    if (!fs.existsSync(blobFile(blobs, blob))) {
      if ((yield* digestOf(readFile(staged))) === blob) return yield* adopt(blobs, staged, blob)
      yield* remove(staged)
      return yield* new BlobDamaged({ blob })
    }
    yield* remove(staged)
  })

  return Incoming.of({
    free: Effect.sync(() => Math.max(0, freeAt(directory) - RESERVE)),
    has: (bundle, file, { length, offset, sha256 }) =>
      Effect.scoped(
        Effect.gen(function* () {
          const staged = place(bundle, file)
          if (!fs.existsSync(staged)) return false
          const handle = yield* opened(staged, fs.constants.O_RDONLY)
          const { size } = yield* Effect.promise(() => handle.stat())
          if (size < offset + length) return false
          return (yield* digestOf(readHandle(handle, { offset, length }))) === sha256
        })
      ),
    write: (bundle, file, offset, bytes) =>
      Effect.scoped(
        Effect.gen(function* () {
          yield* Effect.promise(() => fs.promises.mkdir(folder(bundle), FOLDER))
          const handle = yield* opened(place(bundle, file), CREATE)
          yield* writeHandle(handle, bytes, offset)
        })
      ),
    settle: (bundle, file, size) =>
      Effect.scoped(
        Effect.gen(function* () {
          const handle = yield* opened(place(bundle, file), fs.constants.O_RDWR)
          yield* Effect.promise(async () => {
            const here = (await handle.stat()).size
            if (here < size) throw new RangeError(`${file} has ${here} bytes of ${size}`)
            await handle.truncate(size)
            await handle.sync()
          })
          yield* Effect.sync(() => {
            syncDirectory(folder(bundle))
            syncDirectory(directory)
          })
        })
      ),
    read: (bundle, file) => Stream.suspend(() => readFile(place(bundle, file))),
    toBlob,
    drop: (bundle) => Effect.suspend(() => remove(folder(bundle))),
    sweep: (except) =>
      Effect.gen(function* () {
        const names = yield* Effect.promise(() => fs.promises.readdir(directory))
        const old = names.filter((name) => BUNDLE.test(name) && name !== except)
        yield* Effect.forEach(old, (name) => remove(path.join(directory, name)), { discard: true })
      })
  })
})

const BUNDLE = /^[0-9a-f]{64}$/u
/** Wider than the names of a manifest, and still no way out of the folder or to a hidden file. */
const FILE = /^(?=.{1,100}$)[a-z0-9]+(?:[./][a-z0-9]+)*$/u
const FOLDER = { recursive: true, mode: 0o700 } as const
const CREATE = fs.constants.O_RDWR | fs.constants.O_CREAT

/** The name, where it has the form that its schema demanded long ago. */
const checked = (name: string, form: RegExp): string => {
  if (form.test(name)) return name
  throw new RangeError(`${JSON.stringify(name.slice(0, 100))} is no name in a bundle`)
}

const opened = (file: string, flags: number) =>
  Effect.acquireRelease(
    Effect.promise(() => fs.promises.open(file, flags, 0o600)),
    (handle) => Effect.promise(() => handle.close())
  )

const remove = (at: string) =>
  Effect.promise(() => fs.promises.rm(at, { recursive: true, force: true }))
