/** Reads content packages: from files that an operator names, and from sealed blobs in memory. */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Layer, Option, Stream } from "effect"
import {
  BlobDamaged,
  Blobs,
  Contents,
  PackageFaulty,
  Packages,
  Unopenable
} from "../application/ports.ts"
import { type OpenFiles, PackageReader } from "../application/session-ports.ts"
import type { Content } from "../domain/entity.ts"
import { Digest } from "../domain/id.ts"
import type { PackageRefused } from "../domain/package-refusal.ts"
import { openRandom, type RandomPlain, READ_BYTES_MAX } from "./age-stream.ts"
import { openFile } from "./file-source.ts"
import { inspectPackage, type PackageReport } from "./qti-reader.ts"
import { STORED } from "./zip-entries.ts"
import { openPackage } from "./zip-package.ts"

/** Larger files are not read whole to prove that a package opens; a part of it says as much. */
const PROOF_BYTES_MAX = 4 * 1024 * 1024

export const layerPackages = Layer.succeed(Packages, {
  inspect: (file) =>
    openFile(file).pipe(
      Effect.flatMap(inspectPackage),
      Effect.map(inspectedOf),
      Effect.scoped,
      Effect.mapError(({ reasons }: PackageRefused) => new PackageFaulty({ reasons }))
    ),
  bytes: (file) => fileBytes(file),
  measure: (file) =>
    Effect.gen(function* () {
      const hash = createHash("sha256")
      let size = 0
      yield* Stream.runForEach(fileBytes(file), (chunk) =>
        Effect.sync(() => {
          hash.update(chunk)
          size += chunk.byteLength
        })
      )
      return { size, sha256: Digest.make(hash.digest("hex")) }
    })
})

/** What is told of a package that can be published. */
export const inspectedOf = ({ items, title, version, warnings }: PackageReport) => ({
  qti: version,
  title,
  items: items.length,
  warnings: warnings.map(({ detail, file }) => (file === "" ? detail : `${file}: ${detail}`))
})

const fileBytes = (file: string): Stream.Stream<Uint8Array> =>
  NodeStream.fromReadable<Uint8Array, unknown>({
    evaluate: () => createReadStream(file, { highWaterMark: 256 * 1024 }),
    onError: (cause) => cause
  }).pipe(Stream.orDie)

export const layerContents = Layer.effect(
  Contents,
  Effect.gen(function* () {
    const blobs = yield* Blobs
    return Contents.of({ prove: (content, identity) => prove(blobs, content, identity) })
  })
)

/** Opens a sealed package at its end, lists it, and reads its first file. */
const prove = Effect.fnUntraced(function* (
  blobs: Blobs["Service"],
  content: Content,
  identity: string
) {
  const { opened } = yield* openSealed(blobs, content, identity)
  const entry = [...opened.entries.values()].find((one) => one.size <= PROOF_BYTES_MAX)
  if (entry === undefined) return { files: opened.entries.size, name: "", bytes: 0 }
  const bytes = yield* Effect.mapError(opened.read(entry.name), () => new Unopenable())
  return { files: opened.entries.size, name: entry.name, bytes: bytes.byteLength }
})

/**
 * Opens a sealed package: what is read of it decrypts in memory the chunks that are asked for, and
 * writes none of them anywhere (format §3.6).
 */
const openSealed = Effect.fnUntraced(function* (
  blobs: Blobs["Service"],
  content: Content,
  identity: string
) {
  const size = yield* blobs.size(content.blob)
  if (Option.isNone(size) || size.value !== content.size) {
    return yield* new BlobDamaged({ blob: content.blob })
  }
  const context = yield* Effect.context<never>()
  const read = (offset: number, length: number) =>
    Effect.runPromiseWith(context)(readAll(blobs.read(content.blob, { offset, length })))
  return yield* Effect.gen(function* () {
    const plain = yield* openRandom({ size: content.size, read, identities: [identity] })
    const opened = yield* openPackage({
      size: plain.plainSize,
      read: (offset, length) => Effect.runPromiseWith(context)(readPlain(plain, offset, length))
    })
    return { plain, opened }
  }).pipe(Effect.mapError(() => new Unopenable()))
})

/** Packages whose directories are kept in memory: more than deliveries that a school sits at once. */
const OPENED_MAX = 64
/** Plain bytes read at a time for an answer. */
const ANSWER_BYTES = 1_048_576

/** Keeps opened packages, so that each file of an item does not read the directory again. */
export const layerReader = Layer.effect(
  PackageReader,
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const opened = new Map<string, OpenFiles>()
    return PackageReader.of({
      open: Effect.fn("PackageReader.open")(function* (content, identity) {
        // Only who has the key finds what the key opened.
        const name = `${content.blob} ${identity}`
        const known = opened.get(name)
        if (known !== undefined) return known
        const files = filesOf(yield* openSealed(blobs, content, identity))
        opened.set(name, files)
        const [oldest] = opened.keys()
        if (opened.size > OPENED_MAX && oldest !== undefined) opened.delete(oldest)
        return files
      })
    })
  })
)

const filesOf = ({ opened, plain }: Effect.Success<ReturnType<typeof openSealed>>): OpenFiles => ({
  sizes: new Map([...opened.entries.values()].map(({ name, size }) => [name, size])),
  read: (name, range) => {
    const entry = opened.entries.get(name)
    const unopenable = Stream.mapError(() => new Unopenable())
    if (range === undefined) return unopenable(opened.stream(name))
    return entry?.method === STORED
      ? unopenable(stretch(plain, entry.offset + range.offset, range.length))
      : unopenable(cutOut(opened.stream(name), range))
  }
})

/** Bytes that lie in the archive as they are: only their chunks are decrypted. */
const stretch = (plain: RandomPlain, offset: number, length: number) =>
  Stream.range(0, Math.ceil(length / ANSWER_BYTES) - 1).pipe(
    Stream.mapEffect((at) => {
      const from = at * ANSWER_BYTES
      return plain.read(offset + from, Math.min(ANSWER_BYTES, length - from))
    })
  )

/** Packed bytes can only be unpacked from the start. */
const cutOut = <E>(
  bytes: Stream.Stream<Uint8Array, E>,
  { length, offset }: { readonly offset: number; readonly length: number }
) =>
  Stream.suspend(() => {
    let at = 0
    return bytes.pipe(
      Stream.map((chunk) => {
        const from = Math.max(0, offset - at)
        const to = Math.max(0, offset + length - at)
        at += chunk.length
        return chunk.subarray(from, to)
      }),
      Stream.takeUntil(() => at >= offset + length),
      Stream.filter((chunk) => chunk.length > 0)
    )
  })

const readPlain = Effect.fnUntraced(function* (
  plain: Effect.Success<ReturnType<typeof openRandom>>,
  offset: number,
  length: number
) {
  const parts: Array<Uint8Array> = []
  for (let at = offset; at < offset + length; at += READ_BYTES_MAX) {
    parts.push(yield* plain.read(at, Math.min(READ_BYTES_MAX, offset + length - at)))
  }
  return new Uint8Array(Buffer.concat(parts))
})

const readAll = (bytes: Stream.Stream<Uint8Array>) =>
  Effect.map(Stream.runCollect(bytes), (parts) => new Uint8Array(Buffer.concat(parts)))
