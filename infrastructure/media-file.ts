/**
 * Reads and writes files on media that may fail, be full or be pulled out, and tells such failures
 * from ours.
 *
 * No operation is interrupted half way: a descriptor that is closed while a read of it still waits
 * could be another file's when the read begins. An interruption takes effect after it.
 */
import { constants } from "node:fs"
import { type FileHandle, open, rename, rm } from "node:fs/promises"
import path from "node:path"
import { Effect } from "effect"
import { PARTIAL_SUFFIX } from "../domain/volume-name.ts"
import { MediaError } from "../domain/volume-refusal.ts"

/** A file on a medium; `path` names it in failures. */
export interface MediaFile {
  readonly path: string
  readonly handle: FileHandle
}

/** Opens a file until the scope closes, with the flags of open(2). Fails with MediaError. */
export const openMedia = (file: string, flags: number, mode?: number) =>
  Effect.acquireRelease(
    attempt(file, 0, async () => ({ path: file, handle: await open(file, flags, mode) })),
    // What was to be durable was synced before; a medium that is gone can't be closed better.
    ({ handle }) => Effect.promise(() => handle.close().catch(() => {}))
  )

/** Runs one operation on a file. Fails with MediaError; whatever is no system error is a defect. */
export const attempt = <A>(file: string, offset: number, run: () => Promise<A>) =>
  Effect.promise(run).pipe(
    Effect.catchDefect((cause) => {
      const code = systemCode(cause)
      return code === undefined || OURS.has(code)
        ? Effect.die(cause)
        : Effect.fail(new MediaError({ path: file, offset, code }))
    }),
    Effect.uninterruptible
  )

/** What this process ran out of, or did wrong: no other medium would help. */
const OURS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EBADF"])

const systemCode = (cause: unknown): string | undefined =>
  cause instanceof Error && "syscall" in cause && "code" in cause ? String(cause.code) : undefined

/**
 * Reads exactly `length` bytes, into the room that is given, if any. The offset of a MediaError is where reading stopped: the first byte
 * that the medium did not give.
 */
export const readExactly = Effect.fnUntraced(function* (
  { handle, path: file }: MediaFile,
  offset: number,
  length: number,
  into: Uint8Array = Buffer.allocUnsafeSlow(length)
) {
  const bytes = Buffer.from(into.buffer, into.byteOffset, length)
  for (let done = 0; done < length; ) {
    const at = offset + done
    const { bytesRead } = yield* attempt(file, at, () =>
      handle.read(bytes, done, length - done, at)
    )
    if (bytesRead === 0)
      return yield* new MediaError({ path: file, offset: at, code: "E_SHORT_READ" })
    done += bytesRead
  }
  return bytes
})

/** No symbolic links, and no waiting for whoever might write into a pipe of that name. */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Reads a regular file of at most `max` bytes; undefined for anything else of that name. */
export const readWhole = (file: string, max: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const opened = yield* openMedia(file, READ_FLAGS)
      const stat = yield* attempt(file, 0, () => opened.handle.stat())
      if (!stat.isFile() || stat.size > max) return undefined
      return yield* readExactly(opened, 0, stat.size)
    })
  )

const WRITE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
/** rw-r--r--: nothing on a stick is a secret, and whoever carries it checks it. */
const MODE = 0o644

/** Writes a small file durably, taking the place of one of that name, or leaves that alone. */
export const writeWhole = Effect.fnUntraced(function* (file: string, bytes: Uint8Array) {
  const partial = `${file}${PARTIAL_SUFFIX}`
  const remove = attempt(partial, 0, () => rm(partial, { force: true }))
  yield* remove
  yield* Effect.scoped(
    Effect.gen(function* () {
      const { handle } = yield* openMedia(partial, WRITE_FLAGS, MODE)
      yield* attempt(partial, 0, () => handle.writeFile(bytes))
      yield* attempt(partial, 0, () => handle.sync())
    })
  ).pipe(
    Effect.andThen(attempt(file, 0, () => rename(partial, file))),
    Effect.onError(() => Effect.ignore(remove))
  )
  yield* syncFolder(path.dirname(file))
})

/** Makes new names durable, where the file system can. */
export const syncFolder = (folder: string) =>
  attempt(folder, 0, async () => {
    await using handle = await open(folder, constants.O_RDONLY)
    await handle.sync()
  }).pipe(
    Effect.catchIf(
      ({ code }) => code === "EINVAL" || code === "ENOTSUP" || code === "EPERM",
      () => Effect.void
    )
  )
