/**
 * Reads bundles from a stick: finds them by the names of their volumes, and opens all volumes of one
 * together (format §2.1, §2.2). Nothing is verified here but the form of the volumes.
 */
import { lstat } from "node:fs/promises"
import path from "node:path"
import { Effect, Layer, Result } from "effect"
import {
  BundleRefused,
  type FoundBundle,
  Medium,
  type OpenBundle
} from "../application/bundle-ports.ts"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import type { Signed } from "../domain/enrolment.ts"
import { ROOTS_MAX, SIGNATURES_MAX } from "../domain/volume-contents.ts"
import { parseEntryName, parseVolumeName, printEntryName } from "../domain/volume-name.ts"
import type { MediaError, ZipVolumeRefused } from "../domain/volume-refusal.ts"
import { attempt } from "./media-file.ts"
import {
  isAbsent,
  locate,
  namesIn,
  type Place,
  type StreamFolder,
  streamFolders
} from "./stick-folders.ts"
import { mediaFailed, readNotes, writeNote } from "./stick-notes.ts"
import { type OpenedVolume, openVolume } from "./zip-volume-reader.ts"

/** Two whole bundles of 99 volumes, or half a year of small ones: of a crowd the newest are read. */
export const VOLUME_FILES_MAX = 200
/** Times that a volume is opened before it counts as unreadable: a worn stick often gives in. */
const OPEN_TRIES = 3

const find = Effect.fn("Medium.find")(
  function* (from: string) {
    const place = yield* locate(from)
    if (place === undefined) return yield* nothing(from)
    const found: Array<FoundBundle> = []
    for (const folder of yield* streamFolders(place)) {
      const meant = (yield* bundlesIn(folder)).filter((bundle) => isMeant(bundle, place))
      found.push(...(yield* newestOf(meant)))
    }
    return found.length === 0 ? yield* nothing(from) : found.sort(byPlace)
  },
  (effect, from) =>
    Effect.catchTag(effect, "MediaError", (error) =>
      isAbsent(error) ? nothing(from) : refuse("E_MEDIA_IO", error.message)
    )
)

const nothing = (from: string) => refuse("E_NOT_FOUND", from)

const refuse = (code: BundleCode, detail: string) =>
  Effect.fail(new BundleRefused({ code, detail, damages: [], missing: [] }))

/** Who points at one volume means its bundle. */
const isMeant = ({ of, seq }: FoundBundle, { volume }: Place): boolean => {
  const named = parseVolumeName(volume ?? "")
  return named === undefined || (named.seq === seq && named.volumes === of)
}

const byPlace = (a: FoundBundle, b: FoundBundle): number =>
  a.stream === b.stream ? a.seq - b.seq || a.of - b.of : a.stream < b.stream ? -1 : 1

/** Whatever has the name of a volume counts: that it is none is said when it is opened. */
const bundlesIn = Effect.fnUntraced(function* ({ folder, stream }: StreamFolder) {
  const bundles = new Map<string, FoundBundle & { readonly volumes: Map<number, string> }>()
  for (const { name } of yield* namesIn(folder)) {
    const volume = parseVolumeName(name)
    if (volume === undefined) continue
    const { seq, volumes: of } = volume
    const key = `${seq} ${of}`
    const bundle = bundles.get(key) ?? { stream, seq, of, volumes: new Map(), left: 0 }
    bundle.volumes.set(volume.volume, path.join(folder, name))
    bundles.set(key, bundle)
  }
  return [...bundles.values()]
})

/**
 * As many of the newest bundles as may be read. Names do not tell their age for sure, since numbers
 * begin anew with each epoch, and dates neither, since sticks are copied: so by turns the highest
 * number and the latest date are taken.
 */
const newestOf = Effect.fnUntraced(function* (bundles: ReadonlyArray<FoundBundle>) {
  const filesOf = (some: ReadonlyArray<FoundBundle>) =>
    some.reduce((sum, { volumes }) => sum + volumes.size, 0)
  if (filesOf(bundles) <= VOLUME_FILES_MAX) return bundles
  const dated = yield* Effect.forEach(bundles, (bundle) =>
    Effect.map(dateOf(bundle), (date) => ({ bundle, date }))
  )
  const byNumber = bundles.toSorted((a, b) => b.seq - a.seq)
  const byDate = dated.sort((a, b) => b.date - a.date).map(({ bundle }) => bundle)
  const taken = new Set<FoundBundle>()
  for (const one of byNumber.flatMap((bundle, at) => [bundle, byDate[at] ?? bundle])) {
    if (filesOf([...taken.add(one)]) <= VOLUME_FILES_MAX) continue
    taken.delete(one)
    break
  }
  return [...taken].map((bundle) => ({ ...bundle, left: bundles.length - taken.size }))
})

/** When its first volume that is here was written; long ago where that can't be read. */
const dateOf = ({ volumes }: FoundBundle) => {
  const [file = ""] = volumes.values()
  return attempt(file, 0, () => lstat(file)).pipe(
    Effect.map(({ mtimeMs }) => mtimeMs),
    Effect.orElseSucceed(() => 0)
  )
}

const open = Effect.fn("Medium.open")(function* ({ volumes }: FoundBundle) {
  const paths = [...volumes].sort(([a], [b]) => a - b).map(([, file]) => file)
  const opened = yield* openAll(paths)
  const parts = yield* partsOf(opened)
  const bundle: OpenBundle = {
    ...(yield* documentsOf(opened)),
    sizes: new Map([...parts].map(([name, { size }]) => [name, size])),
    read: (part, offset, length, into) => {
      const holder = parts.get(part)
      return holder === undefined
        ? Effect.die(new RangeError(`no such part: ${part}`))
        : Effect.mapError(holder.volume.read(part, { offset, length, into }), mediaFailed)
    }
  }
  return bundle
})

/** Opens every volume, and names all that can't be: one pass tells what has to be copied again. */
const openAll = Effect.fnUntraced(function* (paths: ReadonlyArray<string>) {
  const opened: Array<OpenedVolume> = []
  const refusals: Array<{ readonly code: BundleCode; readonly detail: string }> = []
  for (const file of paths) {
    const volume = yield* openVolume(file).pipe(
      Effect.retry({ times: OPEN_TRIES - 1, while: ({ _tag }) => _tag === "MediaError" }),
      Effect.result
    )
    if (Result.isSuccess(volume)) opened.push(volume.success)
    else refusals.push(refusalOf(file, volume.failure))
  }
  const [first] = refusals
  if (first === undefined) return opened
  return yield* refuse(first.code, refusals.map(({ detail }) => detail).join("; "))
})

const refusalOf = (file: string, failure: ZipVolumeRefused | MediaError) =>
  failure._tag === "MediaError"
    ? { code: "E_MEDIA_IO" as const, detail: failure.message }
    : { code: failure.code, detail: `${path.basename(file)}: ${failure.detail}` }

/** Where each part lies. A part in two volumes would leave open which of them is meant. */
const partsOf = Effect.fnUntraced(function* (opened: ReadonlyArray<OpenedVolume>) {
  const parts = new Map<string, { readonly volume: OpenedVolume; readonly size: number }>()
  for (const volume of opened) {
    for (const { name, size } of volume.entries.values()) {
      if (parseEntryName(name)?.kind !== "part") continue
      if (parts.has(name)) return yield* mixed(volume, `${name} is in another volume too`)
      parts.set(name, { volume, size })
    }
  }
  return parts
})

const mixed = ({ path: file }: OpenedVolume, detail: string) =>
  refuse("E_VOLUME_MIX", `${path.basename(file)}: ${detail}`)

/** The manifest and the root documents, which every volume carries. */
const documentsOf = Effect.fnUntraced(
  function* (opened: ReadonlyArray<OpenedVolume>) {
    const [first, ...others] = opened
    if (first === undefined) return yield* Effect.die(new RangeError("a bundle has a volume"))
    const manifest = yield* readManifest(first)
    for (const volume of others) {
      const other = yield* readManifest(volume)
      const isSame =
        other.length === manifest.length &&
        other.every((bytes, at) => manifest[at]?.equals(bytes) === true)
      if (!isSame) return yield* mixed(volume, `another manifest than ${path.basename(first.path)}`)
    }
    const [text = Buffer.of(), ...signatures] = manifest
    const decoded = decodeStrictly(text)
    if (decoded === undefined) {
      return yield* refuse("E_MANIFEST_CANONICAL", "the manifest is not in UTF-8")
    }
    const roots = yield* readRoots(first)
    return { manifest: { text: decoded, signatures: signatures.map(armor) }, roots }
  },
  Effect.catchTag("MediaError", ({ message }) => refuse("E_MEDIA_IO", message))
)

/** The bytes of the manifest and its signatures, in the order of their numbers. */
const readManifest = Effect.fnUntraced(function* (volume: OpenedVolume) {
  if (!volume.entries.has("manifest.json")) return yield* mixed(volume, "it has no manifest.json")
  return yield* readPresent(volume, [
    "manifest.json",
    ...NUMBERS.map((number) => printEntryName({ kind: "manifest-signature", number }))
  ])
})

const readRoots = Effect.fnUntraced(function* (volume: OpenedVolume) {
  const versions = [...volume.entries.keys()]
    .map(parseEntryName)
    .flatMap((entry) => (entry?.kind === "root" ? [entry.version] : []))
    .sort((a, b) => a - b)
  if (versions.length > ROOTS_MAX) {
    return yield* refuse("E_ZIP_LIMITS", `${versions.length} root documents`)
  }
  const roots: Array<Signed> = []
  for (const version of versions) {
    const [text = Buffer.of(), ...signatures] = yield* readPresent(volume, [
      printEntryName({ kind: "root", version }),
      ...NUMBERS.map((number) => printEntryName({ kind: "root-signature", version, number }))
    ])
    // What is not UTF-8 was not signed by anybody: that is told where it is verified.
    roots.push({ text: text.toString("utf8"), signatures: signatures.map(armor) })
  }
  return roots
})

/** The numbers of signatures that names have room for. */
const NUMBERS = Array.from({ length: SIGNATURES_MAX }, (_, at) => at + 1)

const readPresent = Effect.fnUntraced(function* (
  volume: OpenedVolume,
  names: ReadonlyArray<string>
) {
  return yield* Effect.forEach(
    names.filter((name) => volume.entries.has(name)),
    (name) => Effect.map(volume.readSmall(name), (bytes) => Buffer.from(bytes))
  )
})

const armor = (bytes: Buffer): string => bytes.toString("latin1")

/** Undefined for what is not UTF-8; a byte order mark stays, and is not canonical. */
const decodeStrictly = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Bundles and notes on sticks, and wherever else their folders were copied to. */
export const layer = Layer.succeed(Medium, { find, open, notes: readNotes, putNote: writeNote })
