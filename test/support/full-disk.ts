/**
 * Loaded before a program by `--import`: the disk is full after DISK_BYTES more bytes, and says
 * that DISK_FREE are free. A disk that really is full needs rights that not every machine gives.
 */
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const STDERR = 2
let left = Number(process.env.DISK_BYTES)

const full = () =>
  Object.assign(new Error("ENOSPC: no space left on device, write"), {
    errno: -28,
    code: "ENOSPC",
    syscall: "write"
  })

const writeSync = fs.writeSync
const limited: typeof writeSync = new Proxy(writeSync, {
  apply: (target, self, given: Parameters<typeof writeSync>) => {
    const [fd, data, , length] = given
    // Of a database's memory only a part is written.
    if (fd > STDERR) left -= typeof length === "number" ? length : Buffer.byteLength(data)
    if (left < 0) throw full()
    return Reflect.apply(target, self, given)
  }
})
const statfsSync = fs.statfsSync
const told: typeof statfsSync = new Proxy(statfsSync, {
  apply: (target, self, given) => {
    const found = Reflect.apply(target, self, given)
    return { ...found, bsize: 1, bavail: Number(process.env.DISK_FREE) }
  }
})
Object.assign(fs, { writeSync: limited, statfsSync: told })
syncBuiltinESMExports()
