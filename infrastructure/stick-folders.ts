/**
 * Finds the folders of a stick from whatever place on it an operator names, and lists what lies in
 * them (format §2.1). Only names are looked at. Below the place that was named no symbolic link is
 * followed.
 */
import type { Dirent } from "node:fs"
import { lstat, mkdir, opendir, realpath } from "node:fs/promises"
import path from "node:path"
import { Effect, Schema } from "effect"
import { BundleRefused } from "../application/bundle-ports.ts"
import { type Direction, type StreamId, streamOf } from "../domain/bundle-manifest.ts"
import { DeviceId } from "../domain/id.ts"
import { parseVolumeName } from "../domain/volume-name.ts"
import { MediaError } from "../domain/volume-refusal.ts"
import { attempt } from "./media-file.ts"

/** In the root of a stick; everything of ours lies below it. */
export const STICK_FOLDER = "TESTFERRY"
const DIRECTIONS = [
  ["c2d", "to-device"],
  ["d2c", "to-central"]
] as const
/** Names in one folder: a thousand devices, or the notes of a year, and whatever else lies there. */
const NAMES_MAX = 10_000

/** A place on a stick: its folder TESTFERRY, and what below it was pointed at. */
export interface Place {
  readonly root: string
  /** Its path from the root: none, `to-device`, `to-device/dev_…`. */
  readonly below: ReadonlyArray<string>
  /** The name of the volume that was pointed at. */
  readonly volume: string | undefined
}

/** The folder of one stream. */
export interface StreamFolder {
  readonly stream: StreamId
  readonly folder: string
}

/**
 * Locates a place that exists: a stick, its folder TESTFERRY or a copy of that, a folder in it, or a
 * volume. Undefined when it is none of these. Fails with MediaError, ENOENT when nothing is there.
 */
export const locate = Effect.fnUntraced(function* (from: string) {
  const given = path.resolve(from)
  yield* attempt(given, 0, () => lstat(given))
  const isVolume = parseVolumeName(path.basename(given)) !== undefined
  const named = isVolume ? path.dirname(given) : given
  // The place itself may be a link: the operator named it, not the stick.
  const folder = yield* attempt(named, 0, () => realpath(named))
  const root = yield* rootOf(folder)
  if (root === undefined) return undefined
  const inside = path.relative(root, folder)
  // A stick's own root lies above its folder.
  const below = inside === "" || inside === ".." ? [] : inside.split(path.sep)
  const place: Place = { root, below, volume: isVolume ? path.basename(given) : undefined }
  return isVolume && below.length !== 2 ? undefined : place
})

const rootOf = Effect.fnUntraced(function* (folder: string) {
  const up = path.dirname(folder)
  if (directionOf(path.basename(folder)) !== undefined) return up
  if (directionOf(path.basename(up)) !== undefined && isDevice(path.basename(folder))) {
    return path.dirname(up)
  }
  const below = path.join(folder, STICK_FOLDER)
  if (yield* isFolder(below)) return below
  if (path.basename(folder) === STICK_FOLDER) return folder
  // A copy of it under another name. Others too may have a folder that is called "receipts".
  for (const [, name] of DIRECTIONS) {
    if (yield* isFolder(path.join(folder, name))) return folder
  }
  return undefined
})

/** The folders of streams at a place: one, those of a direction, or all. */
export const streamFolders = Effect.fnUntraced(function* ({ below, root }: Place) {
  const [wanted, device] = below
  const folders: Array<StreamFolder> = []
  for (const [direction, name] of DIRECTIONS) {
    if (wanted !== undefined && wanted !== name) continue
    if (!(yield* isFolder(path.join(root, name)))) continue
    for (const entry of yield* namesIn(path.join(root, name))) {
      if (!entry.isDirectory() || !isDevice(entry.name)) continue
      if (device !== undefined && device !== entry.name) continue
      folders.push(streamFolder(root, direction, entry.name))
    }
  }
  return folders
})

export const streamFolder = (
  root: string,
  direction: Direction,
  device: DeviceId
): StreamFolder => ({
  stream: streamOf(direction, device),
  folder: path.join(root, direction === "c2d" ? "to-device" : "to-central", device)
})

/**
 * Lists a folder; an empty list when it is not there. Refuses with E_ZIP_LIMITS where more names
 * lie than ever should. Fails with MediaError.
 */
export const namesIn = Effect.fnUntraced(function* (folder: string) {
  const names = yield* attempt(folder, 0, async () => {
    const found: Array<Dirent> = []
    // Leaving the loop closes the folder.
    for await (const entry of await opendir(folder)) {
      if (found.push(entry) > NAMES_MAX) break
    }
    return found
  }).pipe(Effect.catchIf(isAbsent, () => Effect.succeed([])))
  return names.length > NAMES_MAX ? yield* tooMany(folder) : names
})

const tooMany = (folder: string) =>
  new BundleRefused({
    code: "E_ZIP_LIMITS",
    detail: `${folder} holds more than ${NAMES_MAX} files; remove what is old`,
    damages: [],
    missing: []
  })

/** The folder TESTFERRY to write to: where there is none yet, that of a stick mounted there. */
export const rootFor = Effect.fnUntraced(function* (to: string) {
  const place = yield* locate(to).pipe(Effect.catchIf(isAbsent, () => Effect.succeed(undefined)))
  return place?.root ?? path.join(path.resolve(to), STICK_FOLDER)
})

/** Makes folders below one another. Fails with MediaError, ENOTDIR where a link or file is one. */
export const makeFolders = Effect.fnUntraced(function* (
  root: string,
  below: ReadonlyArray<string>
) {
  yield* attempt(root, 0, () => mkdir(path.dirname(root), { recursive: true }))
  const folders = [root, ...below.map((_, at) => path.join(root, ...below.slice(0, at + 1)))]
  for (const folder of folders) {
    yield* attempt(folder, 0, () => mkdir(folder)).pipe(
      Effect.catchIf(
        ({ code }) => code === "EEXIST",
        () => Effect.void
      )
    )
    if (!(yield* isFolder(folder))) {
      return yield* new MediaError({ path: folder, offset: 0, code: "ENOTDIR" })
    }
  }
})

/** False for links to folders, and where there is nothing. */
export const isFolder = (folder: string) =>
  attempt(folder, 0, () => lstat(folder)).pipe(
    Effect.map((stat) => stat.isDirectory()),
    Effect.catchIf(isAbsent, () => Effect.succeed(false))
  )

export const isAbsent = ({ code }: MediaError): boolean => code === "ENOENT" || code === "ENOTDIR"

const isDevice = Schema.is(DeviceId)

const directionOf = (name: string) => DIRECTIONS.find(([, folder]) => folder === name)?.[0]
