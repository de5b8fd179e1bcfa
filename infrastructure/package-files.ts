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
import type { Content } from "../domain/entity.ts"
import { Digest } from "../domain/id.ts"
import type { PackageRefused } from "../domain/package-refusal.ts"
import { openRandom, READ_BYTES_MAX } from "./age-stream.ts"
import { openFile } from "./file-source.ts"
import { inspectPackage } from "./qti-reader.ts"
import { openPackage } from "./zip-package.ts"

/** Larger files are not read whole to prove that a package opens; a part of it says as much. */
const PROOF_BYTES_MAX = 4 * 1024 * 1024

export const layerPackages = Layer.succeed(Packages, {
  inspect: (file) =>
    openFile(file).pipe(
      Effect.flatMap(inspectPackage),
      Effect.map(({ items, title, version, warnings }) => ({
        qti: version,
        title,
        items: items.length,
        warnings: warnings.map(({ detail, file: name }) => `${name}: ${detail}`)
      })),
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

/**
 * Opens a sealed package at its end, lists it, and reads its first file: decrypting in memory the
 * chunks that are asked for, writing none of them anywhere (format §3.6).
 */
const prove = Effect.fnUntraced(function* (
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
    const entry = [...opened.entries.values()].find((one) => one.size <= PROOF_BYTES_MAX)
    if (entry === undefined) return { files: opened.entries.size, name: "", bytes: 0 }
    const bytes = yield* opened.read(entry.name)
    return { files: opened.entries.size, name: entry.name, bytes: bytes.byteLength }
  }).pipe(Effect.mapError(() => new Unopenable()))
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
