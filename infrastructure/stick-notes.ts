/**
 * Reads and writes the small signed documents that lie beside the bundles on a stick: receipts,
 * enrolment requests and their answers (format §2.1). Each is a `.json` file with its signatures in
 * `.json.sig`, `.json.sig.2`, …
 */
import path from "node:path"
import { Effect, Option } from "effect"
import { MediaFailed, type Medium } from "../application/bundle-ports.ts"
import { SIGNATURE_CHARACTERS_MAX, type Signed } from "../domain/enrolment.ts"
import { SIGNATURES_MAX } from "../domain/volume-contents.ts"
import type { MediaError } from "../domain/volume-refusal.ts"
import { readWhole, writeWhole } from "./media-file.ts"
import { isFolder, locate, makeFolders, namesIn, rootFor } from "./stick-folders.ts"

/** Notes that are read; what else is there has to be fetched with the next stick. */
export const NOTES_MAX = 200
/** Bytes of one note: an enrolment answer with a long chain of root documents has a quarter. */
export const NOTE_BYTES_MAX = 262_144
const PATH =
  /^(?:receipts\/dev_[a-z0-9]{6,32}\/(?:(?:c2d|d2c)\.dev_[a-z0-9]{6,32}-[0-9]{8}|records-[0-9]{8})|enrol\/[0-9a-f-]{16,40})\.json$/u

/** Reads the notes in a folder, in the order of their names. Those that are broken are left out. */
export const readNotes: Medium["Service"]["notes"] = (from, folder) =>
  Effect.gen(function* () {
    const place = yield* locate(from)
    if (place === undefined) return []
    const names = yield* notesBelow(place.root, folder)
    const notes = []
    for (const name of names.slice(0, NOTES_MAX)) {
      const note = yield* Effect.option(readNote(path.join(place.root, name)))
      if (Option.isSome(note) && note.value !== undefined) {
        notes.push({ path: name, note: note.value })
      }
    }
    return notes
  }).pipe(Effect.orElseSucceed(() => []))

/** The paths of notes from the root on. */
const notesBelow = Effect.fnUntraced(function* (root: string, folder: "receipts" | "enrol") {
  if (!(yield* isFolder(path.join(root, folder)))) return []
  const entries = yield* namesIn(path.join(root, folder))
  const found: Array<string> = []
  for (const entry of entries) {
    if (folder === "enrol") found.push(`enrol/${entry.name}`)
    else if (entry.isDirectory()) {
      for (const { name } of yield* namesIn(path.join(root, folder, entry.name))) {
        found.push(`receipts/${entry.name}/${name}`)
      }
    }
  }
  return found.filter((name) => PATH.test(name)).sort()
})

const readNote = Effect.fnUntraced(function* (file: string) {
  const text = decoded(yield* readWhole(file, NOTE_BYTES_MAX))
  if (text === undefined) return undefined
  const signatures: Array<string> = []
  for (const name of signatureNames(file)) {
    const armor = yield* Effect.option(readWhole(name, SIGNATURE_CHARACTERS_MAX))
    if (Option.isNone(armor) || armor.value === undefined) break
    signatures.push(armor.value.toString("latin1"))
  }
  return signatures.length === 0 ? undefined : ({ text, signatures } satisfies Signed)
})

const signatureNames = (file: string): ReadonlyArray<string> =>
  Array.from({ length: SIGNATURES_MAX }, (_, at) => `${file}.sig${at === 0 ? "" : `.${at + 1}`}`)

const decoded = (bytes: Uint8Array | undefined): string | undefined => {
  try {
    return bytes && new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/**
 * Writes a note durably. Its signatures come first, so that one without them is never seen. A path
 * that is no note's is a defect.
 */
export const writeNote: Medium["Service"]["putNote"] = (to, name, note) =>
  Effect.gen(function* () {
    if (!PATH.test(name)) return yield* Effect.die(new RangeError(`not a note: ${name}`))
    const root = yield* rootFor(to)
    const file = path.join(root, name)
    yield* makeFolders(root, name.split("/").slice(0, -1))
    for (const { bytes, name: place } of noteFiles(file, note)) yield* writeWhole(place, bytes)
  }).pipe(Effect.mapError(mediaFailed))

/** The files of a note that is called `name`, in the order in which they are written. */
export const noteFiles = (name: string, { signatures, text }: Signed) => [
  ...signatureNames(name).flatMap((place, at) => {
    const armor = signatures[at]
    return armor === undefined ? [] : [{ name: place, bytes: Buffer.from(armor, "latin1") }]
  }),
  { name, bytes: Buffer.from(text, "utf8") }
]

/** Says a failure of the medium in the words of the ports. */
export const mediaFailed = ({ code, offset, path }: MediaError): MediaFailed =>
  new MediaFailed({ path, detail: `${code} at byte ${offset}` })
