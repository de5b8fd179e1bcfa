/**
 * Loaded before a program by `--import`: on SIGUSR2 it gives back the memory that nothing names any
 * more, and says so on standard error.
 */
import { writeSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc")
const TIMES = 5

process.on("SIGUSR2", () => {
  let left = TIMES
  const again = () => {
    collect({ type: "major", execution: "sync", flavor: "last-resort" })
    left -= 1
    if (left > 0) return setTimeout(again, 20)
    writeSync(2, "collected\n")
  }
  again()
})
