/**
 * Zips the demo packages from their sources: `node test/support/build-packages.ts`. The same
 * sources give the same bytes: entries are sorted and bear one fixed date.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, sep } from "node:path"
import { buffer } from "node:stream/consumers"
import { ZipArchive } from "archiver"

export const PACKAGES = join(import.meta.dirname, "../../entrypoints/demo/packages")

export const PACKAGE_NAMES = [
  "rivers-qti21",
  "fractions-qti22",
  "fractions-revised-qti22",
  "soundscapes-qti30"
] as const
export type PackageName = (typeof PACKAGE_NAMES)[number]

/** The oldest date that a zip archive can state. */
const DATE = new Date(Date.UTC(1980, 0, 1))

/** The files of a package by their names in it, sorted. */
export const sources = (name: PackageName): ReadonlyMap<string, Buffer> => {
  const folder = join(PACKAGES, "src", name)
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))
    .sort()
  return new Map(
    files.map((file) => [file.slice(folder.length + 1).replaceAll(sep, "/"), readFileSync(file)])
  )
}

/** Zips files in the order given. */
export const zipped = async (files: ReadonlyMap<string, Buffer>): Promise<Buffer> => {
  const archive = new ZipArchive({ zlib: { level: 9 }, forceLocalTime: false })
  archive.on("warning", (problem) => archive.destroy(problem))
  for (const [name, data] of files) archive.append(data, { name, date: DATE, mode: 0o644 })
  const [bytes] = await Promise.all([buffer(archive), archive.finalize()])
  return bytes
}

export const buildPackage = (name: PackageName): Promise<Buffer> => zipped(sources(name))

if (import.meta.main) {
  for (const name of PACKAGE_NAMES) {
    writeFileSync(join(PACKAGES, `${name}.zip`), await buildPackage(name))
  }
}
