/**
 * Makes the files of an outgoing bundle: seals what is written for it, and measures that and the
 * contents that were sealed long ago (format §2.8).
 *
 * A sealed file loses its name as soon as it is open and lives as long as its scope: after a kill
 * nothing is left that another process would have to tell from a file in use.
 */
import { createHash, randomUUID } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { Effect, Layer, Stream } from "effect"
import { Outgoing, type StagedFile } from "../application/bundle-ports.ts"
import type { NoSpace } from "../application/ports.ts"
import { Digest, type Recipient } from "../domain/id.ts"
import { sealStream } from "./age-stream.ts"
import { blobFile } from "./file-blobs.ts"
import { readFile, readHandle, writeHandle } from "./file-bytes.ts"
import { makeDigests } from "./file-digests.ts"

/** Bytes read at a time: large, because contents of gigabytes are read for their digests. */
const STEP = 1_048_576

/** Where the digests of contents are remembered. */
export const digestsIn = (directory: string): string => path.join(directory, "digests")

/** Seals below `directory`; `blobs` is the directory of the blob store. */
export const layer = (options: { readonly directory: string; readonly blobs: string }) =>
  Layer.effect(Outgoing, make(options))

const make = Effect.fnUntraced(function* (options: {
  readonly directory: string
  readonly blobs: string
}) {
  const { blobs, directory } = options
  yield* Effect.sync(() => {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    // A kill just after a file was made; the names of files in use are gone already.
    for (const name of fs.readdirSync(directory).filter((name) => SEALED.test(name))) {
      fs.rmSync(path.join(directory, name), { force: true })
    }
  })

  const digests = yield* makeDigests({
    directory: digestsIn(directory),
    isHere: (content) => fs.existsSync(blobFile(blobs, content))
  })
  const contents = new WeakMap<StagedFile, Digest>()

  const sealed = Effect.fnUntraced(function* <E, R>(
    recipient: Recipient,
    plain: Stream.Stream<Uint8Array, E, R>
  ) {
    const handle = yield* nameless(directory)
    let size = 0
    const writing: Effect.Effect<void, E | NoSpace, R> = sealStream([recipient])(plain).pipe(
      // Recipients were proven when their device was enrolled.
      Stream.catchTag("AgeInputRefused", Stream.die),
      Stream.runForEach((chunk) =>
        Effect.map(writeHandle(handle, chunk, size), () => {
          size += chunk.byteLength
        })
      )
    )
    yield* writing
    const staged: StagedFile = {
      size,
      read: (offset, length) => readHandle(handle, { offset, length, step: STEP })
    }
    return staged
  })

  return Outgoing.of({
    lines: Effect.fnUntraced(function* (recipient, lines) {
      const hash = createHash("sha256")
      let count = 0
      let plainSize = 0
      const plain = Stream.map(lines, (line) => {
        const bytes = Buffer.from(`${line}\n`)
        hash.update(bytes)
        count += 1
        plainSize += bytes.byteLength
        return bytes
      })
      const staged = yield* sealed(recipient, plain)
      return { staged, count, plainSize, plainSha256: Digest.make(hash.digest("hex")) }
    }),
    text: (recipient, text) => sealed(recipient, Stream.make(Buffer.from(text))),
    blob: (blob) =>
      Effect.promise(async () => {
        const file = blobFile(blobs, blob)
        const { size } = await fs.promises.stat(file)
        const staged: StagedFile = {
          size,
          read: (offset, length) => readFile(file, { offset, length, step: STEP })
        }
        contents.set(staged, blob)
        return staged
      }),
    digests: (staged, stretch) => digests(staged, stretch, contents.get(staged))
  })
})

const SEALED = /^[0-9a-f-]{36}\.age$/u

/** A file that nobody else can find, open until the scope ends. */
const nameless = (directory: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const file = path.join(directory, `${randomUUID()}.age`)
      const handle = await fs.promises.open(file, "wx+", 0o600)
      await fs.promises.rm(file, { force: true })
      return handle
    }),
    (handle) => Effect.promise(() => handle.close())
  )
