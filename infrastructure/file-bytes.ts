/**
 * Reads, writes and digests stretches of files without blocking the process: a file of any size
 * takes the memory of one step.
 */
import { createHash } from "node:crypto"
import fs from "node:fs"
import { Effect, Stream } from "effect"
import { NoSpace } from "../application/ports.ts"
import { Digest } from "../domain/id.ts"

/** Bytes read at a time. */
const STEP = 256 * 1024
/** Left free on the disk, so that the database beside it can still write. */
export const RESERVE = 64 * 1024 * 1024

/** Reads a file, or `length` bytes of it from `offset`; ends early where the file ends. */
export const readFile = (
  file: string,
  options: {
    readonly offset?: number | undefined
    readonly length?: number | undefined
    readonly step?: number
  } = {}
): Stream.Stream<Uint8Array> =>
  Stream.unwrap(
    Effect.map(
      Effect.acquireRelease(
        Effect.promise(() => fs.promises.open(file, "r")),
        (opened) => Effect.promise(() => opened.close())
      ),
      (handle) => readHandle(handle, options)
    )
  )

/** The same of a file that is open already, and stays open. */
export const readHandle = (
  handle: fs.promises.FileHandle,
  options: {
    readonly offset?: number | undefined
    readonly length?: number | undefined
    readonly step?: number
  }
): Stream.Stream<Uint8Array> => {
  const { length, offset = 0, step = STEP } = options
  const end = length === undefined ? Number.POSITIVE_INFINITY : offset + length
  return Stream.unfold(offset, (at) =>
    Effect.promise(async () => {
      const want = Math.min(step, end - at)
      if (want <= 0) return undefined
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(want), 0, want, at)
      if (bytesRead === 0) return undefined
      return [new Uint8Array(buffer.buffer, buffer.byteOffset, bytesRead), at + bytesRead] as const
    })
  )
}

/** Writes all bytes at `at`. Fails with NoSpace when the disk, or what the user may use of it, is full. */
export const writeHandle = (
  handle: fs.promises.FileHandle,
  bytes: Uint8Array,
  at: number
): Effect.Effect<void, NoSpace> =>
  Effect.promise(async () => {
    for (let done = 0; done < bytes.byteLength; ) {
      done += (await handle.write(bytes, done, bytes.byteLength - done, at + done)).bytesWritten
    }
  }).pipe(
    // What is being written must not go on behind the back of whoever removes the file next.
    Effect.uninterruptible,
    Effect.catchDefect((cause) =>
      isFull(cause)
        ? Effect.fail(new NoSpace({ needed: bytes.byteLength, free: 0 }))
        : Effect.die(cause)
    )
  )

/** SHA-256 of all bytes of a stream. */
export const digestOf = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) =>
  Effect.map(
    Stream.runFold(
      bytes,
      () => createHash("sha256"),
      (hash, chunk) => hash.update(chunk)
    ),
    (hash) => Digest.make(hash.digest("hex"))
  )

/** Room on the disk of a directory, in bytes. */
export const freeAt = (directory: string): number => {
  const { bavail, bsize } = fs.statfsSync(directory)
  return bavail * bsize
}

export const isFull = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT")

/** Makes durable which names a directory holds. */
export const syncDirectory = (directory: string) => {
  const fd = fs.openSync(directory, "r")
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}
