/**
 * Searches files, texts and the memory of processes for secrets, in the forms in which they may lie
 * there: as UTF-8 and UTF-16, as hex, and as base64 wherever in a longer text they begin.
 */
import fs from "node:fs"
import { join } from "node:path"

/** A secret under the name by which a test tells it. */
export interface Secret {
  readonly name: string
  readonly bytes: Buffer
}

export const secret = (name: string, value: string | Uint8Array): Secret => {
  const bytes = Buffer.from(value)
  // Anything shorter is found by chance in a process's memory.
  if (bytes.length < 8) throw new RangeError(`${name} is too short to be searched for`)
  return { name, bytes }
}

const needlesOf = ({ bytes, name }: Secret): ReadonlyArray<Secret> => {
  const hex = bytes.toString("hex")
  const texts = [hex, ...[0, 1, 2].map((at) => base64At(bytes, at))]
  const inWide = [...texts, ...(isText(bytes) ? [bytes.toString("utf8")] : [])]
  return [
    { name: `${name} as it is`, bytes },
    ...texts.map((text) => ({ name: `${name} spelt ${text}`, bytes: Buffer.from(text) })),
    ...inWide.map((text) => ({ name: `${name} wide`, bytes: Buffer.from(text, "utf16le") }))
  ]
}

/** The characters of base64 that only these bytes can have made, when `at` bytes stand before them. */
const base64At = (bytes: Buffer, at: number): string => {
  const from = Math.ceil((at * 8) / 6)
  const to = Math.floor(((at + bytes.length) * 8) / 6)
  return Buffer.concat([Buffer.alloc(at), bytes])
    .toString("base64")
    .slice(from, to)
}

const isText = (bytes: Buffer) => Buffer.from(bytes.toString("utf8")).equals(bytes)

/** Searches bytes: which of the secrets lie in them, and in which form. */
export const foundIn = (bytes: Buffer, secrets: ReadonlyArray<Secret>): ReadonlyArray<string> =>
  among(secrets.flatMap(needlesOf), bytes)

const among = (needles: ReadonlyArray<Secret>, bytes: Buffer): ReadonlyArray<string> =>
  needles.filter((needle) => bytes.includes(needle.bytes)).map(({ name }) => name)

/** Searches every file below a folder, whatever it is called, and its name. */
export const foundBelow = (
  folder: string,
  secrets: ReadonlyArray<Secret>
): ReadonlyArray<string> => {
  const needles = secrets.flatMap(needlesOf)
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => fs.lstatSync(join(folder, name)).isFile())
    .flatMap((name) => {
      const bytes = Buffer.concat([Buffer.from(`${name}\n`), fs.readFileSync(join(folder, name))])
      return among(needles, bytes).map((found) => `${name}: ${found}`)
    })
}

/** Whether this system lets a test read the memory of a process that it started. */
export const memoryCanBeRead = fs.existsSync("/proc/self/maps")

const CHUNK = 1_048_576
/** Secrets that lie across the border of two chunks are found too. */
const OVERLAP = 4_096
const NOTHING = Buffer.alloc(CHUNK + OVERLAP)

/** Searches all memory that a process can write to, but for what it never wrote. */
export const foundInMemory = (pid: number, secrets: ReadonlyArray<Secret>) => {
  const needles = secrets.flatMap(needlesOf)
  const memory = fs.openSync(`/proc/${pid}/mem`, "r")
  const found = new Set<string>()
  const room = Buffer.alloc(CHUNK + OVERLAP)
  let searched = 0
  try {
    for (const { from, to } of writableRegions(pid)) {
      for (let at = from; at < to; at += CHUNK) {
        const read = readMemory(memory, room.subarray(0, Math.min(room.length, to - at)), at)
        if (read.equals(NOTHING.subarray(0, read.length))) continue
        searched += read.length
        for (const one of among(needles, read)) found.add(one)
      }
    }
  } finally {
    fs.closeSync(memory)
  }
  return { found: [...found].sort(), searched }
}

const writableRegions = (pid: number) =>
  fs
    .readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/u.exec(line) ?? []
      return from === undefined || to === undefined
        ? []
        : [{ from: Number.parseInt(from, 16), to: Number.parseInt(to, 16) }]
    })

/** What went away meanwhile is not searched. */
const readMemory = (memory: number, into: Buffer, at: number): Buffer => {
  try {
    return into.subarray(0, fs.readSync(memory, into, 0, into.length, at))
  } catch {
    return into.subarray(0, 0)
  }
}
