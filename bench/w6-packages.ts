/**
 * Makes QTI packages that are heavy with media: the demonstration's rivers with films that do not
 * compress. The same seed gives the same bytes.
 */
import { createCipheriv, createHash } from "node:crypto"
import { createWriteStream } from "node:fs"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { ZipArchive } from "archiver"
import { sources } from "../test/support/build-packages.ts"

/** Larger files are cut: a zip archive without ZIP64 states sizes below 4 GiB. */
const FILM_BYTES = 512 * 1_048_576
const CHUNK = Buffer.alloc(1_048_576)
const DATE = new Date(Date.UTC(1980, 0, 1))

/** Writes a package with about so many bytes of media. */
export const makePackage = async (file: string, bytes: number, seed: string): Promise<void> => {
  const films = Array.from({ length: Math.ceil(bytes / FILM_BYTES) }, (_, at) => ({
    name: `media/film-${at + 1}.mp4`,
    bytes: Math.min(FILM_BYTES, bytes - at * FILM_BYTES)
  }))
  const archive = new ZipArchive({ store: true, forceLocalTime: false })
  archive.on("warning", (problem) => archive.destroy(problem))
  for (const [name, data] of sources("rivers-qti21")) {
    const own = name === "imsmanifest.xml" ? listing(data.toString(), films) : data
    archive.append(own, { name, date: DATE, mode: 0o644 })
  }
  const written = pipeline(archive, createWriteStream(file))
  for (const film of films) {
    const entry = new Promise((resolve) => archive.once("entry", resolve))
    const noise = Readable.from(noiseOf(`${seed}/${film.name}`, film.bytes), { objectMode: false })
    archive.append(noise, { name: film.name, date: DATE, mode: 0o644 })
    await entry
  }
  await Promise.all([archive.finalize(), written])
}

const listing = (manifest: string, films: ReadonlyArray<{ readonly name: string }>): string =>
  manifest.replace(
    '<file href="items/nile.xml"/>',
    (line) => line + films.map(({ name }) => `<file href="${name}"/>`).join("")
  )

function* noiseOf(seed: string, bytes: number) {
  const key = createHash("sha256").update(seed).digest()
  const cipher = createCipheriv("aes-256-ctr", key, Buffer.alloc(16))
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    yield cipher.update(CHUNK.subarray(0, Math.min(left, CHUNK.length)))
  }
}
