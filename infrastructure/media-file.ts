/**
 * Reads and writes files on media that may fail, be full or be pulled out, and tells such failures
 * from ours.
 *
 * No operation is interrupted half way: a descriptor that is closed while a read of it still waits
 * could be another file's when the read begins. An interruption takes effect after it.
 */
import { type FileHandle, open } from "node:fs/promises"
import { Effect } from "effect"
import { MediaError } from "../domain/volume-refusal.ts"

/** A file on a medium; `path` names it in failures. */
export interface MediaFile {
  readonly path: string
  readonly handle: FileHandle
}

/** Opens a file until the scope closes, with the flags of open(2). Fails with MediaError. */
export const openMedia = (path: string, flags: number, mode?: number) =>
  Effect.acquireRelease(
    attempt(path, 0, async () => ({ path, handle: await open(path, flags, mode) })),
    // What was to be durable was synced before; a medium that is gone can't be closed better.
    ({ handle }) => Effect.promise(() => handle.close().catch(() => {}))
  )

/** Runs one operation on a file. Fails with MediaError; whatever is no system error is a defect. */
export const attempt = <A>(path: string, offset: number, run: () => Promise<A>) =>
  Effect.promise(run).pipe(
    Effect.catchDefect((cause) => {
      const code = systemCode(cause)
      return code === undefined || OURS.has(code)
        ? Effect.die(cause)
        : Effect.fail(new MediaError({ path, offset, code }))
    }),
    Effect.uninterruptible
  )

/** What this process ran out of, or did wrong: no other medium would help. */
const OURS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EBADF"])

const systemCode = (cause: unknown): string | undefined =>
  cause instanceof Error && "syscall" in cause && "code" in cause ? String(cause.code) : undefined

/**
 * Reads exactly `length` bytes. The offset of a MediaError is where reading stopped: the first byte
 * that the medium did not give.
 */
export const readExactly = Effect.fnUntraced(function* (
  { path, handle }: MediaFile,
  offset: number,
  length: number
) {
  const bytes = Buffer.allocUnsafeSlow(length)
  for (let done = 0; done < length; ) {
    const at = offset + done
    const { bytesRead } = yield* attempt(path, at, () =>
      handle.read(bytes, done, length - done, at)
    )
    if (bytesRead === 0) return yield* new MediaError({ path, offset: at, code: "E_SHORT_READ" })
    done += bytesRead
  }
  return bytes
})
