/**
 * Finds sticks: file systems that the system mounted where it mounts what people plug in. Nothing is
 * written to them here.
 */
import fs from "node:fs/promises"
import path from "node:path"

/** Where Linux desktops and servers mount what is plugged in. */
const PLACES = ["/media/", "/run/media/", "/mnt/"]
/** Never a stick, wherever it is mounted. */
const SYSTEMS = new Set(["proc", "sysfs", "tmpfs", "devtmpfs", "cgroup2", "overlay", "squashfs"])
/** A machine with more sticks than this is not in a school. */
const MEDIA_MAX = 16

export interface Medium {
  readonly path: string
  readonly name: string
  /** Bytes that may be written, and bytes in all; null where it does not say. */
  readonly free: number | null
  readonly total: number | null
  readonly writable: boolean
}

/** What is plugged in now, and the folders that stand for sticks; those that are not there are left out. */
export const findMedia = async (
  folders: ReadonlyArray<string>,
  mounts = "/proc/self/mountinfo"
): Promise<ReadonlyArray<Medium>> => {
  const table = await fs.readFile(mounts, "utf8").catch(() => "")
  const found: Array<Medium> = []
  for (const place of [...new Set([...mountPoints(table), ...folders])].slice(0, MEDIA_MAX)) {
    const medium = await lookAt(place)
    if (medium !== undefined) found.push(medium)
  }
  return found
}

/** Mount points of removable file systems in a `mountinfo` table (proc(5)). */
export const mountPoints = (table: string): ReadonlyArray<string> =>
  table.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ")
    const point = unescaped(before.split(" ")[4] ?? "")
    const system = after.split(" ")[0] ?? ""
    return PLACES.some((place) => point.startsWith(place)) && !SYSTEMS.has(system) ? [point] : []
  })

/** Blanks in names are written in octal. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/gu, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8))
  )

const lookAt = async (place: string): Promise<Medium | undefined> => {
  try {
    if (!(await fs.stat(place)).isDirectory()) return undefined
    const { bavail, blocks, bsize } = await fs.statfs(place)
    const writable = await fs.access(place, fs.constants.W_OK).then(
      () => true,
      () => false
    )
    return {
      path: place,
      name: path.basename(place),
      free: bavail * bsize,
      total: blocks * bsize,
      writable
    }
  } catch {
    return undefined
  }
}
