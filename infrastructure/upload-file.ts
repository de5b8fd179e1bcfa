/**
 * Keeps a file that comes over HTTP for as long as the scope: readable for nobody else, measured and
 * digested on the way, and never larger than its limit.
 */
import { createHash } from "node:crypto"
import { mkdtemp, open, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect, Schema, Stream } from "effect"
import { Digest } from "../domain/id.ts"

/** More came than is taken. */
export class UploadTooLarge extends Schema.TaggedError<UploadTooLarge>()("UploadTooLarge", {
  max: Schema.Int
}) {}

/** Fails also as the stream does, when the sender went away. */
export const receiveUpload = Effect.fn("receiveUpload")(function* <E>(
  bytes: Stream.Stream<Uint8Array, E>,
  max: number
) {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(path.join(tmpdir(), "testferry-upload-"))),
    (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
  )
  const file = path.join(folder, "upload.csv")
  const hash = createHash("sha256")
  const handle = yield* Effect.acquireRelease(
    Effect.promise(() => open(file, "wx", 0o600)),
    (opened) => Effect.promise(() => opened.close())
  )
  let size = 0
  yield* Stream.runForEach(bytes, (piece) => {
    size += piece.length
    if (size > max) return Effect.fail(new UploadTooLarge({ max }))
    hash.update(piece)
    return Effect.promise(() => handle.appendFile(piece))
  })
  return { file, size, digest: Digest.make(hash.digest("hex")) }
})
