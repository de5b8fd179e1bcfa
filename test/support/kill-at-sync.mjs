/**
 * Kills the process at its n-th sync point: `KILL_AT_SYNC=n node --import kill-at-sync.mjs program`.
 *
 * Sync points are the calls that make file changes durable or visible: fsync, rename, unlink, rm
 * and truncate, in all their forms in `node:fs`. The process dies before the n-th one takes place, as by
 * `kill -9`: no handler runs. With COUNT_SYNCS set, `syncs N` is printed on stderr at the exit.
 */
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const target = Number(process.env.KILL_AT_SYNC ?? 0)
let count = 0

const point = () => {
  count++
  if (count !== target) return
  process.kill(process.pid, "SIGKILL")
  // the signal needs a moment; nothing may happen in it
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

const before = (holder, name) => {
  const real = holder[name]
  holder[name] = function (...arguments_) {
    point()
    return real.apply(this, arguments_)
  }
}

const NAMES = ["fsync", "fdatasync", "rename", "unlink", "rm", "ftruncate", "truncate"]
for (const name of NAMES) {
  before(fs, name)
  before(fs, `${name}Sync`)
}
for (const name of ["rename", "unlink", "rm", "truncate"]) before(fs.promises, name)

const handle = await fs.promises.open(process.execPath)
for (const name of ["sync", "datasync", "truncate"]) before(Object.getPrototypeOf(handle), name)
await handle.close()
syncBuiltinESMExports()

if (process.env.COUNT_SYNCS) {
  process.on("exit", () => fs.writeSync(2, `syncs ${count}\n`))
}
