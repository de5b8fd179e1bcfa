/**
 * Writes bundles onto a stick: all volumes, each read back from the medium, or none (format §2.8).
 * An older bundle of the stream is removed only when the new one is there.
 */
import { hash } from "node:crypto"
import { constants } from "node:fs"
import { access, lstat, rm, stat, statfs } from "node:fs/promises"
import path from "node:path"
import { Effect, Layer, Schema, Stream } from "effect"
import { type MediaFailed, type PartSource, Stick } from "../application/bundle-ports.ts"
import { NoSpace } from "../application/ports.ts"
import type { BundleManifest } from "../domain/bundle-manifest.ts"
import type { Signed } from "../domain/enrolment.ts"
import { DeviceId, Digest } from "../domain/id.ts"
import { checksums, volumeBytes } from "../domain/volume-contents.ts"
import {
  PARTIAL_SUFFIX,
  parseVolumeName,
  printEntryName,
  printVolumeName
} from "../domain/volume-name.ts"
import { MediaError } from "../domain/volume-refusal.ts"
import { attempt, readWhole, syncFolder, writeWhole } from "./media-file.ts"
import { isAbsent, makeFolders, namesIn, rootFor, streamFolder } from "./stick-folders.ts"
import { mediaFailed } from "./stick-notes.ts"
import { README } from "./stick-readme.ts"
import { RESERVE, type VolumeSource, writeVolume } from "./zip-volume-writer.ts"

type Options = Parameters<Stick["Service"]["write"]>[0]

const write = Effect.fn("Stick.write")(
  function* (options: Options) {
    const { manifest, onBytes, to } = options
    const volumes = volumesOf(options)
    const root = yield* rootFor(to)
    const { folder } = folderOf(root, manifest)
    yield* makeFolders(root, path.relative(root, folder).split(path.sep))
    yield* requireSpace(folder, volumes)
    yield* writeReadme(root)
    const fresh: Array<string> = []
    const written = yield* Effect.forEach(volumes, ({ name, sources }) =>
      Effect.gen(function* () {
        const file = path.join(folder, name)
        if (!(yield* isThere(file))) fresh.push(file)
        return yield* writeVolume(file, sources, onBytes)
      })
    ).pipe(Effect.onError(() => Effect.suspend(() => removeAll(fresh))))
    const names = volumes.map(({ name }) => name)
    yield* removeOlder(folder, manifest.seq, new Set(names))
    const isCached = written.some(({ readBack }) => readBack === "cache")
    return {
      paths: names.map((name) => path.join(folder, name)),
      bytes: written.reduce((sum, { size }) => sum + size, 0),
      readBack: isCached ? ("cache" as const) : ("medium" as const)
    }
  },
  (effect) =>
    effect.pipe(
      Effect.catchTag("MediaError", (error) => Effect.fail(mediaFailed(error))),
      // What was staged has changed on our own disk: no other stick would help.
      Effect.catchTag("VolumeSourceChanged", Effect.die)
    )
)

interface Volume {
  readonly name: string
  readonly sources: ReadonlyArray<VolumeSource>
}

/** What lies in each volume, in the order of format §2.2. */
const volumesOf = ({ manifest, onBytes, parts, roots, signed }: Options): ReadonlyArray<Volume> => {
  const documents = [
    ...roots.flatMap(rootSources),
    small("manifest.json", signed.text),
    ...signed.signatures.map((armor, at) =>
      small(printEntryName({ kind: "manifest-signature", number: at + 1 }), armor)
    )
  ]
  return Array.from({ length: manifest.volumes }, (_, at) => {
    const here = parts.filter(({ part }) => part.volume === at + 1)
    const rest = [...documents, ...here.map((source) => partSource(source, onBytes))]
    const readme = small("README.txt", README)
    const sums = small("SHA256SUMS", checksums([readme, ...rest]))
    const { seq, volumes } = manifest
    return {
      name: printVolumeName({ seq, volume: at + 1, volumes }),
      sources: [readme, sums, ...rest]
    }
  })
}

const rootSources = ({ signatures, text }: Signed): ReadonlyArray<VolumeSource> => {
  const { version } = readVersion(text)
  return [
    small(printEntryName({ kind: "root", version }), text),
    ...signatures.map((armor, at) =>
      small(printEntryName({ kind: "root-signature", version, number: at + 1 }), armor)
    )
  ]
}

/** Our own documents: one without a version is a defect. */
const readVersion = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Struct({ version: Schema.Int }))
)

const small = (name: string, text: string): VolumeSource => {
  const bytes = Buffer.from(text, "utf8")
  return {
    name,
    size: bytes.length,
    sha256: Digest.make(hash("sha256", bytes, "hex")),
    bytes: Stream.make(bytes)
  }
}

const partSource = ({ bytes, part }: PartSource, onBytes: Options["onBytes"]): VolumeSource => ({
  name: part.name,
  size: part.size,
  sha256: part.sha256,
  bytes: Stream.tap(bytes, (chunk) => onBytes(chunk.length))
})

const folderOf = (root: string, { stream }: BundleManifest) =>
  streamFolder(root, stream.startsWith("c2d.") ? "c2d" : "d2c", DeviceId.make(stream.slice(4)))

/** For all volumes together: none is begun when the last would not fit. */
const requireSpace = Effect.fnUntraced(function* (folder: string, volumes: ReadonlyArray<Volume>) {
  const needed = volumes.reduce((sum, { sources }) => sum + volumeBytes(sources), RESERVE)
  const free = yield* freeIn(folder)
  if (free < needed) return yield* new NoSpace({ needed, free })
})

const freeIn = (folder: string) =>
  attempt(folder, 0, () => statfs(folder)).pipe(Effect.map(({ bavail, bsize }) => bavail * bsize))

const writeReadme = Effect.fnUntraced(function* (root: string) {
  const file = path.join(root, "README.txt")
  const text = Buffer.from(README, "utf8")
  const there = yield* Effect.option(readWhole(file, text.length))
  if (there._tag === "Some" && there.value?.equals(text)) return
  yield* writeWhole(file, text)
})

const isThere = (file: string) =>
  attempt(file, 0, () => lstat(file)).pipe(
    Effect.as(true),
    Effect.catchIf(isAbsent, () => Effect.succeed(false))
  )

/** What can't be removed stays: readers know old bundles by their numbers. */
const removeAll = (files: ReadonlyArray<string>) =>
  Effect.forEach(
    files,
    (file) => Effect.ignore(attempt(file, 0, () => rm(file, { force: true }))),
    {
      discard: true
    }
  )

/** Removes the volumes of earlier bundles, and what a crash left of any. */
const removeOlder = (folder: string, seq: number, ours: ReadonlySet<string>) =>
  Effect.gen(function* () {
    const names = yield* namesIn(folder)
    const old = names
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
      .filter((name) => {
        const isPartial = name.endsWith(PARTIAL_SUFFIX)
        const volume = parseVolumeName(isPartial ? name.slice(0, -PARTIAL_SUFFIX.length) : name)
        return volume !== undefined && !ours.has(name) && (isPartial || volume.seq <= seq)
      })
    yield* removeAll(old.map((name) => path.join(folder, name)))
    if (old.length > 0) yield* syncFolder(folder)
  }).pipe(Effect.ignore)

/** Room at a place, or, where it does not exist yet, at the nearest folder above it. */
const free = (to: string): Effect.Effect<number, MediaFailed> =>
  Effect.gen(function* () {
    const folder = yield* nearest(path.resolve(to))
    yield* attempt(folder, 0, () => access(folder, constants.W_OK))
    return yield* freeIn(folder)
  }).pipe(Effect.mapError(mediaFailed))

const nearest = (folder: string): Effect.Effect<string, MediaError> =>
  attempt(folder, 0, () => stat(folder)).pipe(
    Effect.flatMap((found) =>
      found.isDirectory()
        ? Effect.succeed(folder)
        : Effect.fail(new MediaError({ path: folder, offset: 0, code: "ENOTDIR" }))
    ),
    Effect.catchIf(
      ({ code }) => code === "ENOENT" && folder !== path.dirname(folder),
      () => Effect.suspend(() => nearest(path.dirname(folder)))
    )
  )

/** Bundles written where an operator says: a stick's root, or a folder on a disk. */
export const layer = Layer.succeed(Stick, { free, write })
