/**
 * Seals and opens age files that do not fit in memory: as streams, and at random offsets without
 * plaintext on the disk (format §3.6, appendix A.1).
 *
 * An opened stream gives out chunks before the end is known to be right. Whoever acts on them must
 * wait for the stream to end without failure (format §2.7).
 */
import { Effect, Stream } from "effect"
import {
  type AgeInputRefused,
  checkBytes,
  decrypterWith,
  HEADER_BYTES_MAX,
  headerEnd,
  newFile,
  openHeader,
  Undecryptable
} from "./age-file.ts"
import {
  CHUNK_BYTES,
  cutter,
  openChunk,
  PAYLOAD_NONCE_BYTES,
  SEALED_CHUNK_BYTES,
  sealChunk,
  TAG_BYTES
} from "./age-payload.ts"

/**
 * Seals a stream of bytes, in elements of whatever length, to recipients as `seal` does. Holds two
 * chunks in memory. Each run of the stream makes a new file.
 */
export const sealStream =
  (recipients: ReadonlyArray<string>) =>
  <E, R>(
    plain: Stream.Stream<Uint8Array, E, R>
  ): Stream.Stream<Uint8Array, E | AgeInputRefused, R> =>
    Stream.unwrap(
      Effect.map(newFile(recipients), ({ start, key }) => {
        const cut = cutter(CHUNK_BYTES)
        let index = 0
        const sealed = Stream.mapEffect(plain, (bytes) =>
          Effect.map(checkBytes(bytes), () => {
            const out: Array<Uint8Array> = []
            cut.push(bytes, (chunk) => out.push(sealChunk(key, index++, false, chunk)))
            return out
          })
        )
        const last = Stream.sync(() => [sealChunk(key, index, true, cut.last())])
        return Stream.succeed([start]).pipe(
          Stream.concat(sealed),
          Stream.concat(last),
          Stream.flattenIterable
        )
      })
    )

/**
 * Opens a stream of the bytes of one age file. Fails with Undecryptable, in place of the first
 * chunk that is not authentic or of an end that is not the right one.
 */
export const openStream =
  (identities: ReadonlyArray<string>) =>
  <E, R>(
    sealed: Stream.Stream<Uint8Array, E, R>
  ): Stream.Stream<Uint8Array, E | AgeInputRefused | Undecryptable, R> =>
    Stream.unwrap(
      Effect.map(decrypterWith(identities), () => {
        const opener = makeOpener(identities)
        return sealed.pipe(
          Stream.mapEffect(opener.push),
          Stream.concat(Stream.fromEffect(Effect.suspend(opener.end))),
          Stream.flattenIterable,
          Stream.filter((chunk) => chunk.length > 0)
        )
      })
    )

export interface RandomSource {
  /** Length of the age file in bytes. */
  readonly size: number
  /** Reads from the file. A rejection (the disk failed) is a defect, not a damaged file. */
  readonly read: (offset: number, length: number) => Promise<Uint8Array>
}

export interface RandomPlain {
  readonly plainSize: number
  /**
   * Decrypts the plain bytes [offset, offset + length) and nothing but the chunks they lie in.
   * Asking beyond plainSize or for more than READ_BYTES_MAX is a defect.
   */
  readonly read: (offset: number, length: number) => Effect.Effect<Uint8Array, Undecryptable>
}

/** One read is held in memory twice; a reader of zip entries asks for less. */
export const READ_BYTES_MAX = 16 * 1_048_576

/**
 * Opens an age file for reading at random, and first of all its last chunk: only that proves that
 * the file ends where the disk says it does (C2SP age.md). Never writes plaintext.
 */
export const openRandom = Effect.fnUntraced(function* (
  options: RandomSource & { readonly identities: ReadonlyArray<string> }
) {
  const { identities, read, size } = options
  const head = yield* Effect.promise(() =>
    read(0, Math.min(size, HEADER_BYTES_MAX + PAYLOAD_NONCE_BYTES))
  )
  yield* checkBytes(head)
  const { key, start } = yield* openHeader(identities, head)
  const payload = size - start
  const chunks = Math.max(1, Math.ceil(payload / SEALED_CHUNK_BYTES))

  const openChunks = Effect.fnUntraced(function* (first: number, last: number) {
    const from = start + first * SEALED_CHUNK_BYTES
    const to = Math.min(start + (last + 1) * SEALED_CHUNK_BYTES, size)
    const sealed = yield* Effect.promise(() => read(from, to - from))
    const plain: Array<Uint8Array> = []
    for (let index = first; index <= last; index++) {
      const at = (index - first) * SEALED_CHUNK_BYTES
      const bytes = sealed.subarray(at, at + SEALED_CHUNK_BYTES)
      const chunk = openChunk(key, index, index === chunks - 1, bytes)
      if (chunk === undefined) return yield* new Undecryptable()
      plain.push(chunk)
    }
    return Buffer.concat(plain)
  })

  yield* openChunks(chunks - 1, chunks - 1)
  const plainSize = payload - chunks * TAG_BYTES
  const readPlain = Effect.fnUntraced(function* (offset: number, length: number) {
    const isInside = offset >= 0 && length >= 0 && offset + length <= plainSize
    if (!isInside || length > READ_BYTES_MAX) {
      return yield* Effect.die(new RangeError(`no ${length} bytes at ${offset} of ${plainSize}`))
    }
    if (length === 0) return new Uint8Array()
    const first = Math.floor(offset / CHUNK_BYTES)
    const plain = yield* openChunks(first, Math.floor((offset + length - 1) / CHUNK_BYTES))
    const skip = offset - first * CHUNK_BYTES
    return new Uint8Array(plain.subarray(skip, skip + length))
  })
  const plain: RandomPlain = { plainSize, read: readPlain }
  return plain
})

/** The state of one opened stream: gathers the header, then opens chunk by chunk. */
const makeOpener = (identities: ReadonlyArray<string>) => {
  const cut = cutter(SEALED_CHUNK_BYTES)
  let head = Buffer.alloc(0)
  let key: Uint8Array | undefined
  let index = 0

  const push = Effect.fnUntraced(function* (bytes: Uint8Array) {
    yield* checkBytes(bytes)
    let rest = bytes
    if (key === undefined) {
      head = Buffer.concat([head, bytes])
      const end = headerEnd(head)
      if (end === "refused") return yield* new Undecryptable()
      if (end === "unfinished" || head.length < end + PAYLOAD_NONCE_BYTES) return []
      const opened = yield* openHeader(identities, head)
      key = opened.key
      rest = head.subarray(opened.start)
    }
    const opened: Array<Uint8Array | undefined> = []
    const chunkKey = key
    cut.push(rest, (chunk) => opened.push(openChunk(chunkKey, index++, false, chunk)))
    return yield* authentic(opened)
  })

  const end = () =>
    key === undefined
      ? Effect.fail(new Undecryptable())
      : authentic([openChunk(key, index, true, cut.last())])

  return { push, end }
}

/** All chunks, if every one of them opened. */
const authentic = (
  chunks: ReadonlyArray<Uint8Array | undefined>
): Effect.Effect<ReadonlyArray<Uint8Array>, Undecryptable> => {
  const opened = chunks.filter((chunk) => chunk !== undefined)
  return opened.length === chunks.length ? Effect.succeed(opened) : Effect.fail(new Undecryptable())
}
