/**
 * Reads the high-water mark of this process's memory in bytes. Not by `process.resourceUsage()`
 * where it can be helped: on Linux a child's `maxRSS` begins with what its parent occupied when it
 * was forked, so that a fat harness would be booked to a thin device.
 */
import { readFileSync } from "node:fs"
import { platform, resourceUsage } from "node:process"

export const peakRss = (): number => {
  if (platform !== "linux") return resourceUsage().maxRSS * 1_024
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]
  if (kibibytes === undefined) throw new Error("/proc/self/status does not tell VmHWM")
  return Number(kibibytes) * 1_024
}
