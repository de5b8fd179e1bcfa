/**
 * Reads a file that was just written from its medium, not from the system's memory of it, and
 * compares (format §2.8). Sticks acknowledge what they did not keep; the cache would never tell.
 */
import { createHash, hash } from "node:crypto"
import { constants } from "node:fs"
import { Effect } from "effect"
import { MediaError } from "../domain/volume-refusal.ts"
import { attempt, type MediaFile, openMedia } from "./media-file.ts"

/** Bytes that are read and compared at a time: a multiple of every block size. */
export const BLOCK_BYTES = 4 * 1_048_576

const WASM_PAGE_BYTES = 65_536

/** Where the bytes came from when they were read again. "cache" proves nothing about the medium. */
export type ReadBack = "medium" | "cache"

/** Digests a stream of bytes by blocks of BLOCK_BYTES; the last one may be shorter. */
export const makeBlockDigests = () => {
  const digests: Array<string> = []
  let current = createHash("sha256")
  let room = BLOCK_BYTES
  const push = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + room)
      current.update(piece)
      at += piece.length
      room -= piece.length
      if (room === 0) next()
    }
  }
  const next = () => {
    digests.push(current.digest("hex"))
    current = createHash("sha256")
    room = BLOCK_BYTES
  }
  const end = (): ReadonlyArray<string> => {
    if (room < BLOCK_BYTES) next()
    return digests
  }
  return { push, end }
}

/**
 * Compares a synced file with the digests of its blocks; `onBytes` is told of each. Fails with MediaError, E_READ_BACK at the
 * first block that differs. Where direct reading is not to be had it reads as anybody does, and says
 * so.
 */
export const readBack = (
  path: string,
  digests: ReadonlyArray<string>,
  onBytes: (bytes: number) => Effect.Effect<void>
): Effect.Effect<ReadBack, MediaError> => {
  const cached = Effect.as(compare(path, digests, 0, onBytes), "cache" as const)
  if (!("O_DIRECT" in constants)) return cached
  return compare(path, digests, constants.O_DIRECT, onBytes).pipe(
    Effect.as("medium" as const),
    // Some file systems say so when the file is opened, others when it is read.
    Effect.catchIf(
      ({ code }) => code === "EINVAL",
      () => cached
    )
  )
}

const compare = (
  path: string,
  digests: ReadonlyArray<string>,
  how: number,
  onBytes: (bytes: number) => Effect.Effect<void>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* openMedia(path, constants.O_RDONLY | constants.O_NOFOLLOW | how)
      const buffer = pageAligned()
      for (const [index, digest] of digests.entries()) {
        const at = index * BLOCK_BYTES
        const bytes = yield* readBlock(file, buffer, at)
        if (hash("sha256", bytes, "hex") !== digest) {
          return yield* new MediaError({ path, offset: at, code: "E_READ_BACK" })
        }
        yield* onBytes(bytes.length)
      }
    })
  )

/** The types of Node know the name but not that it can be used. */
declare const WebAssembly: {
  readonly Memory: new (pages: {
    readonly initial: number
    readonly maximum: number
  }) => { readonly buffer: ArrayBuffer }
}

/** The only memory in Node that begins at a page, which direct reads need. */
const pageAligned = (): Uint8Array => {
  const pages = BLOCK_BYTES / WASM_PAGE_BYTES
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer)
}

/** Reads a block; the last one ends where the file does. Offsets and lengths stay aligned. */
const readBlock = Effect.fnUntraced(function* (
  { path, handle }: MediaFile,
  buffer: Uint8Array,
  at: number
) {
  const { bytesRead } = yield* attempt(path, at, () => handle.read(buffer, 0, BLOCK_BYTES, at))
  return buffer.subarray(0, bytesRead)
})
