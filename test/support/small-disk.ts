/**
 * Gives tests a disk that is soon full: a real one in memory where this user may mount, else the
 * calls of `node:fs` answer as a full disk does once so many bytes were written below the folder.
 */
import { spawnSync } from "node:child_process"
import fs from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { freshFolder } from "./database.ts"

/** A folder with room for `size` bytes, gone with its scope. */
export const smallDisk = Effect.fnUntraced(function* (size: number) {
  const folder = join(yield* freshFolder(), "disk")
  fs.mkdirSync(folder)
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder])
  if (mounted.status === 0) {
    yield* Effect.addFinalizer(() => Effect.sync(() => spawnSync("umount", [folder])))
  } else yield* pretend(folder, size)
  return folder
})

const pretend = Effect.fnUntraced(function* (folder: string, size: number) {
  const { statfsSync, writeSync } = fs
  const used = () =>
    fs
      .readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => fs.statSync(join(folder, name)))
      .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0)
  const handles = yield* Effect.promise(handlePrototype)
  const { write } = handles
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      Object.assign(fs, { statfsSync, writeSync })
      Object.assign(handles, { write })
    })
  )
  const full = () => Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" })
  Object.assign(handles, {
    async write(
      this: fs.promises.FileHandle,
      bytes: Uint8Array,
      at = 0,
      length = bytes.byteLength - at,
      position?: number
    ) {
      const { nlink, size: own } = await this.stat()
      const nameless = nlink === 0 ? own : 0
      const room = Math.min(length, size - used() - nameless)
      if (room <= 0) throw full()
      return await Reflect.apply(write, this, [bytes, at, room, position])
    }
  })
  Object.assign(fs, {
    statfsSync: () => ({ bsize: 1, bavail: Math.max(0, size - used()) }),
    writeSync: (fd: number, bytes: Uint8Array, at = 0) => {
      const room = Math.min(bytes.byteLength - at, size - used())
      if (room > 0) return writeSync(fd, bytes, at, room)
      throw full()
    }
  })
})

/** Where `write` of every open file is kept; node:fs does not export it. */
const handlePrototype = async (): Promise<Pick<fs.promises.FileHandle, "write">> => {
  const handle = await fs.promises.open(import.meta.filename, "r")
  try {
    return Object.getPrototypeOf(handle)
  } finally {
    await handle.close()
  }
}
