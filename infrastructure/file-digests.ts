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

/** Remembers in `directory`, and forgets at its start what is of contents that are gone. */
export const makeDigests = Effect.fnUntraced(function* (options: {
  readonly directory: string
  readonly isHere: (content: Digest) => boolean
}) {
  const { directory, isHere } = options
  yield* Effect.sync(() => forgetOld(directory, isHere))
  return Effect.fnUntraced(function* (
    staged: StagedFile,
    stretch: Stretch,
    content: Digest | undefined
  ) {
    const { length, offset, segment } = stretch
    if (content === undefined) return yield* measure(staged, stretch)
    // The name of a content is its digest.
    const isWhole = offset === 0 && length === staged.size
    if (isWhole && length <= segment) return { sha256: content, segments: [content] }
    // What is one segment is read about as fast as it is remembered.
    if (length <= segment) return yield* measure(staged, stretch)
    const file = fileOf(directory, content, stretch)
    const known = yield* recalled(file)
    if (known?.segments.length === Math.ceil(length / segment)) return known
    const whole = { offset: 0, length: staged.size, segment }
    const all = isWhole ? undefined : yield* recalled(fileOf(directory, content, whole))
    const found = yield* measure(staged, stretch, segmentsIn(all, whole, stretch))
    yield* remember(file, found)
    return found
  })
})

const fileOf = (directory: string, content: Digest, { length, offset, segment }: Stretch) =>
  path.join(directory, `${content}-${offset}-${length}-${segment}.json`)

/** The segments of a stretch, where they are among those of the whole. */
const segmentsIn = (
  known: Digests | undefined,
  { length: size }: Stretch,
  { length, offset, segment }: Stretch
): ReadonlyArray<Digest> | undefined => {
  const end = offset + length
  const isAligned = offset % segment === 0 && (end % segment === 0 || end === size)
  if (!isAligned || known?.segments.length !== Math.ceil(size / segment)) return undefined
  return known.segments.slice(offset / segment, Math.ceil(end / segment))
}

/**
 * Digests a content while it is made, and remembers its segments in `directory` under the name that
 * it gets: so no bundle has to read it for them, not even the first.
 */
export const makeNoted = (directory: string, segment: number) => {
  const cutting = bySegments(segment)
  return {
    push: cutting.push,
    remember: (content: Digest, length: number) =>
      length <= segment
        ? Effect.void
        : remember(fileOf(directory, content, { offset: 0, length, segment }), {
            sha256: content,
            segments: cutting.end()
          })
  }
}

/** Digests each `segment` bytes of what is pushed; the last may be shorter. */
const bySegments = (segment: number) => {
  const segments: Array<Digest> = []
  let part = createHash("sha256")
  let room = segment
  const next = () => {
    segments.push(Digest.make(part.digest("hex")))
    part = createHash("sha256")
    room = segment
  }
  const push = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.byteLength; ) {
      const piece = bytes.subarray(at, at + room)
      part.update(piece)
      at += piece.byteLength
      room -= piece.byteLength
      if (room === 0) next()
    }
  }
  const end = (): ReadonlyArray<Digest> => {
    if (room < segment) next()
    return segments
  }
  return { push, end }
}

/** Digests a stretch; `known` are its segments, where they need not be digested again. */
const measure = Effect.fnUntraced(function* (
  staged: StagedFile,
  { length, offset, segment }: Stretch,
  known?: ReadonlyArray<Digest>
) {
  const isOne = length <= segment
  const whole = createHash("sha256")
  const cutting = isOne || known !== undefined ? undefined : bySegments(segment)
  let at = 0
  yield* Stream.runForEach(staged.read(offset, length), (chunk) =>
    Effect.sync(() => {
      whole.update(chunk)
      cutting?.push(chunk)
      at += chunk.byteLength
    })
  )
  if (at !== length) return yield* Effect.die(new RangeError(`read ${at} bytes of ${length}`))
  const sha256 = Digest.make(whole.digest("hex"))
  const digests: Digests = { sha256, segments: known ?? cutting?.end() ?? [sha256] }
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
const forgetOld = (directory: string, isHere: (content: Digest) => boolean): void => {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  const names = fs.readdirSync(directory)
  for (const name of names) {
    const content = REMEMBERED.exec(name)?.[1]
    const isWanted =
      content !== undefined && names.length <= REMEMBERED_MAX && isHere(Digest.make(content))
    if (!isWanted) fs.rmSync(path.join(directory, name), { recursive: true, force: true })
  }
}

const REMEMBERED = /^([0-9a-f]{64})-[0-9]+-[0-9]+-[0-9]+\.json$/u
