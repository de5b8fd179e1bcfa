/**
 * Reads a file that was just written from its medium, not from the system's memory of it, and
 * compares (format §2.8). Sticks acknowledge what they did not keep; the cache would never tell.
 */
import { createCipheriv, randomBytes, timingSafeEqual } from "node:crypto"
import { constants } from "node:fs"
import { Effect } from "effect"
import { MediaError } from "../domain/volume-refusal.ts"
import { attempt, type MediaFile, openMedia } from "./media-file.ts"

/** Bytes that are read and compared at a time: a multiple of every block size. */
export const BLOCK_BYTES = 4 * 1_048_576

const WASM_PAGE_BYTES = 65_536

/** Where the bytes came from when they were read again. "cache" proves nothing about the medium. */
export type ReadBack = "medium" | "cache"

/**
 * A tag for each block of a file. It is a code under a key that nobody else ever has: no medium gives
 * back other bytes with the same tag, and where a processor has no instructions for SHA-256 it is
 * made ten times as fast.
 */
export interface BlockTags {
  readonly key: Uint8Array
  readonly tags: ReadonlyArray<Uint8Array>
}

const CIPHER = "aes-256-gcm"
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** GMAC (NIST SP 800-38D): bytes that are authenticated and none that are sealed. */
const tagger = (key: Uint8Array, index: number) => {
  const nonce = Buffer.alloc(NONCE_BYTES)
  nonce.writeUInt32BE(index)
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  return {
    push: (bytes: Uint8Array) => void cipher.setAAD(bytes),
    end: (): Uint8Array => {
      cipher.final()
      return cipher.getAuthTag()
    }
  }
}

/** Tags a stream of bytes by blocks of BLOCK_BYTES; the last one may be shorter. */
export const makeBlockTags = () => {
  const key = randomBytes(KEY_BYTES)
  const tags: Array<Uint8Array> = []
  let current = tagger(key, 0)
  let room = BLOCK_BYTES
  const push = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + room)
      current.push(piece)
      at += piece.length
      room -= piece.length
      if (room === 0) next()
    }
  }
  const next = () => {
    tags.push(current.end())
    current = tagger(key, tags.length)
    room = BLOCK_BYTES
  }
  const end = (): BlockTags => {
    if (room < BLOCK_BYTES) next()
    return { key, tags }
  }
  return { push, end }
}

const hasTag = (key: Uint8Array, index: number, bytes: Uint8Array, tag: Uint8Array): boolean => {
  const made = tagger(key, index)
  made.push(bytes)
  return timingSafeEqual(made.end(), tag)
}

/**
 * Compares a synced file with the tags of its blocks; `onBytes` is told of each. Fails with
 * MediaError, E_READ_BACK at the first block that differs. Where direct reading is not to be had it reads as anybody does, and says
 * so.
 */
export const readBack = (
  path: string,
  tags: BlockTags,
  onBytes: (bytes: number) => Effect.Effect<void>
): Effect.Effect<ReadBack, MediaError> => {
  const cached = Effect.as(compare(path, tags, 0, onBytes), "cache" as const)
  if (!("O_DIRECT" in constants)) return cached
  return compare(path, tags, constants.O_DIRECT, onBytes).pipe(
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
  { key, tags }: BlockTags,
  how: number,
  onBytes: (bytes: number) => Effect.Effect<void>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* openMedia(path, constants.O_RDONLY | constants.O_NOFOLLOW | how)
      const buffer = pageAligned()
      for (const [index, tag] of tags.entries()) {
        const at = index * BLOCK_BYTES
        const bytes = yield* readBlock(file, buffer, at)
        if (!hasTag(key, index, bytes, tag)) {
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
