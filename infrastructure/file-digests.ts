/**
 * Digests stretches of files, as a whole and by segments, in one pass; and remembers that of
 * contents, because the next device's bundle carries the same gigabytes cut at the same places.
 *
 * What is remembered is named by the digest of the content, so it is never stale. It is only a
 * saving: when it can't be read or written, the bytes are digested again.
 */
import { createHash, randomUUID } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { Effect, Option, Schema, Stream } from "effect"
import type { StagedFile } from "../application/bundle-ports.ts"
import { Digest } from "../domain/id.ts"
import { blobFile } from "./file-blobs.ts"

/** Bytes [offset, offset + length), and how many make a segment. */
interface Stretch {
  readonly offset: number
  readonly length: number
  readonly segment: number
}

const Digests = Schema.Struct({ sha256: Digest, segments: Schema.Array(Digest) })
type Digests = typeof Digests.Type

/** The digests of 2 GB are 17 KB; this is 70 MB of them. */
const REMEMBERED_MAX = 4_096

/** Remembers in `directory`; `blobs` is the directory of the blob store. */
export const makeDigests = Effect.fnUntraced(function* (options: {
  readonly directory: string
  readonly blobs: string
}) {
  const { blobs, directory } = options
  yield* Effect.sync(() => forgetOld(directory, blobs))
  return Effect.fnUntraced(function* (
    staged: StagedFile,
    stretch: Stretch,
    content: Digest | undefined
  ) {
    const { length, offset, segment } = stretch
    // What is one segment is read about as fast as it is remembered.
    if (content === undefined || length <= segment) return yield* measure(staged, stretch)
    const file = path.join(directory, `${content}-${offset}-${length}-${segment}.json`)
    const known = yield* recalled(file)
    if (known?.segments.length === Math.ceil(length / segment)) return known
    const found = yield* measure(staged, stretch)
    yield* remember(file, found)
    return found
  })
})

const measure = Effect.fnUntraced(function* (staged: StagedFile, stretch: Stretch) {
  const { length, offset, segment } = stretch
  const isOne = length <= segment
  const whole = createHash("sha256")
  const segments: Array<Digest> = []
  let part = createHash("sha256")
  let at = 0
  yield* Stream.runForEach(staged.read(offset, length), (chunk) =>
    Effect.sync(() => {
      whole.update(chunk)
      if (isOne) {
        at += chunk.byteLength
        return
      }
      for (let from = 0; from < chunk.byteLength; ) {
        const piece = chunk.subarray(from, from + segment - (at % segment))
        part.update(piece)
        from += piece.byteLength
        at += piece.byteLength
        if (at % segment === 0 || at === length) {
          segments.push(Digest.make(part.digest("hex")))
          part = createHash("sha256")
        }
      }
    })
  )
  if (at !== length) return yield* Effect.die(new RangeError(`read ${at} bytes of ${length}`))
  const sha256 = Digest.make(whole.digest("hex"))
  const digests: Digests = { sha256, segments: isOne ? [sha256] : segments }
  return digests
})

const recalled = (file: string): Effect.Effect<Digests | undefined> =>
  Effect.promise(() => fs.promises.readFile(file, "utf8").catch(() => "")).pipe(
    Effect.map((text) => Option.getOrUndefined(decode(text)))
  )
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Digests))

/** Not made durable: what a power loss leaves is either whole or not JSON. */
const remember = (file: string, digests: Digests): Effect.Effect<void> =>
  Effect.promise(async () => {
    const aside = `${file}.${randomUUID()}`
    try {
      await fs.promises.writeFile(aside, JSON.stringify(digests), { mode: 0o600 })
      await fs.promises.rename(aside, file)
    } catch {
      await fs.promises.rm(aside, { force: true })
    }
  })

/** Forgets contents that are not here any more, and all when it has become too much. */
const forgetOld = (directory: string, blobs: string): void => {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  const names = fs.readdirSync(directory)
  for (const name of names) {
    const content = REMEMBERED.exec(name)?.[1]
    const isWanted =
      content !== undefined &&
      names.length <= REMEMBERED_MAX &&
      fs.existsSync(blobFile(blobs, Digest.make(content)))
    if (!isWanted) fs.rmSync(path.join(directory, name), { recursive: true, force: true })
  }
}

const REMEMBERED = /^([0-9a-f]{64})-[0-9]+-[0-9]+-[0-9]+\.json$/u
