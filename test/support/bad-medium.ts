/**
 * Gives tests a medium that fails. A stick that does so on command is not to be had: the calls of
 * open files answer as the system does when one fails, and reach the real file otherwise.
 */
import fs from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { Effect } from "effect"

/** A call on an open file. `offset` and `length` in bytes, 0 for a sync. */
export interface Call {
  readonly method: "read" | "write" | "sync"
  readonly path: string
  readonly offset: number
  readonly length: number
}

/** The code that a call fails with, the bytes it gets done, or undefined: all of it. */
export type Trouble = (call: Call) => string | number | undefined

/** Lets calls on files below `folder` fail until the scope closes. */
export const badMedium = Effect.fnUntraced(function* (folder: string, trouble: Trouble) {
  const handle = yield* Effect.promise(() => open(folder))
  const shared: FileHandle = Object.getPrototypeOf(handle)
  yield* Effect.promise(() => handle.close())
  const { read, write, sync } = shared
  yield* Effect.addFinalizer(() => Effect.sync(() => Object.assign(shared, { read, write, sync })))
  const failing = (method: Call["method"], real: typeof read | typeof write | typeof sync) =>
    new Proxy(real, {
      apply: async (target, self: FileHandle, given: ReadonlyArray<unknown>) => {
        const path = fs.readlinkSync(`/proc/self/fd/${self.fd}`)
        if (!path.startsWith(folder)) return Reflect.apply(target, self, given)
        const [bytes, start, length, offset] = given
        const answer = trouble({
          method,
          path,
          offset: Number(offset ?? 0),
          length: Number(length ?? 0)
        })
        if (typeof answer === "string") throw failure(answer, method)
        return Reflect.apply(target, self, [bytes, start, answer ?? length, offset])
      }
    })
  Object.assign(shared, {
    read: failing("read", read),
    write: failing("write", write),
    sync: failing("sync", sync)
  })
})

/** Lets the system say that so many bytes are free, until the scope closes. */
export const freeSpace = Effect.fnUntraced(function* (bytes: number) {
  const { statfs } = fs.promises
  const restore = () => {
    Object.assign(fs.promises, { statfs })
    syncBuiltinESMExports()
  }
  yield* Effect.addFinalizer(() => Effect.sync(restore))
  Object.assign(fs.promises, { statfs: async () => ({ bsize: 1, bavail: bytes }) })
  syncBuiltinESMExports()
})

export const failure = (code: string, syscall: string) =>
  Object.assign(new Error(`${code}: as if the medium failed, ${syscall}`), { code, syscall })
