/** Opens a file as a source of bytes that can be read anywhere. */
import { open } from "node:fs/promises"
import { Effect } from "effect"
import type { ByteSource } from "./zip-directory.ts"

/** Opens the file until the scope closes. A file that can't be opened or read is a defect. */
export const openFile = Effect.fn("openFile")(function* (path: string) {
  const file = yield* Effect.acquireRelease(
    Effect.promise(() => open(path, "r")),
    (file) => Effect.promise(() => file.close())
  )
  const stat = yield* Effect.promise(() => file.stat())
  if (!stat.isFile()) return yield* Effect.die(new Error(`not a file: ${path}`))
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const bytes = Buffer.alloc(length)
    let done = 0
    while (done < length) {
      const { bytesRead } = await file.read(bytes, done, length - done, offset + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return bytes.subarray(0, done)
  }
  const source: ByteSource = { size: stat.size, read }
  return source
})
