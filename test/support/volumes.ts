/** Gives tests volumes: written as we write them, or byte by byte. */
import { createHash, randomBytes } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { Effect, Stream } from "effect"
import { Digest } from "../../domain/id.ts"
import { checksums } from "../../domain/volume-contents.ts"
import { openVolume } from "../../infrastructure/zip-volume-reader.ts"
import type { VolumeSource } from "../../infrastructure/zip-volume-writer.ts"
import { freshFolder } from "./database.ts"

export const sha256 = (bytes: Uint8Array): Digest =>
  Digest.make(createHash("sha256").update(bytes).digest("hex"))

/** An entry from memory, in pieces of that many bytes. */
export const source = (name: string, data: string | Uint8Array, piece = 65_536): VolumeSource => {
  const bytes = Buffer.from(data)
  const offsets = Array.from({ length: Math.ceil(bytes.length / piece) }, (_, i) => i * piece)
  return {
    name,
    size: bytes.length,
    sha256: sha256(bytes),
    bytes: Stream.fromIterable(offsets.map((at) => bytes.subarray(at, at + piece)))
  }
}

/** What breaks readers of streams: an end of data, and another, within the data. */
const TRAPS = Buffer.concat([
  Buffer.from("PK\x07\x08"),
  Buffer.from("PK\x05\x06"),
  Buffer.alloc(18)
])

export const INDEX = randomBytes(300_000)
export const BLOB = Buffer.concat([randomBytes(1_500_000), TRAPS, randomBytes(77), TRAPS])

/** All kinds of entries, in the order of format §2.2. */
export const wholeVolume = (piece?: number): ReadonlyArray<VolumeSource> => {
  const rest = [
    source("root/000002.json", '{"root":2}'),
    source("root/000002.json.sig.1", "signed"),
    source("manifest.json", '{"manifest":1}'),
    source("manifest.json.sig", "signed"),
    source("p/000000.age", INDEX, piece),
    source("p/000001.age", ""),
    source("p/000007.age.001", BLOB, piece)
  ]
  const readme = source("README.txt", "Check this stick so.\n")
  return [readme, source("SHA256SUMS", checksums([readme, ...rest])), ...rest]
}

/** A file of those bytes, in a folder of its own that goes with the scope. */
export const fileOf = Effect.fnUntraced(function* (bytes: Uint8Array) {
  const file = path.join(yield* freshFolder(), "00000042-v01of01.zip")
  fs.writeFileSync(file, bytes)
  return file
})

/** Opens a volume and reads all of it: the contents by name. */
export const readAll = (file: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const volume = yield* openVolume(file)
      const contents = new Map<string, Uint8Array>()
      for (const { name, size } of volume.entries.values()) {
        contents.set(name, yield* volume.read(name, { offset: 0, length: size }))
      }
      return contents
    })
  )

/** The files below a folder that this process holds open. */
export const openBelow = (folder: string): ReadonlyArray<string> =>
  fs
    .readdirSync("/proc/self/fd")
    .map((fd) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`)
      } catch {
        return ""
      }
    })
    .filter((file) => file.startsWith(folder))
