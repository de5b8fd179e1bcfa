/**
 * Makes bundles that central would never make: by central's own verbs and keys, with one thing
 * changed on the way. And looks at all that a refused one must leave alone.
 */
import fs from "node:fs"
import path from "node:path"
import { Effect, Schema, Stream } from "effect"
import { BundleKeys, Outgoing, type StagedFile } from "../../application/bundle-ports.ts"
import type { Lines } from "../../domain/bundle-index.ts"
import { canonical, type Json } from "../../domain/canonical.ts"
import type { Purpose } from "../../domain/enrolment.ts"
import type { DeviceSite } from "./site.ts"
import { dump } from "./tables.ts"

type Fields = Readonly<Record<string, Json>>
const parse = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))
)

/** Changes the text that is sealed as the index. */
export const withIndex =
  (change: (index: Fields) => Fields) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Outgoing, (outgoing) =>
      Effect.provideService(effect, Outgoing, {
        ...outgoing,
        text: (recipient, text) => outgoing.text(recipient, canonical(change(parse(text))))
      })
    )

/** Changes the lines that are sealed, and what is said of them. */
export const withLines =
  (
    change: (line: string, at: number) => ReadonlyArray<string>,
    say: (lines: Omit<Lines, "file">) => Partial<Lines> = () => ({})
  ) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Outgoing, (outgoing) =>
      Effect.provideService(effect, Outgoing, {
        ...outgoing,
        lines: (recipient, lines) => {
          let at = 0
          const changed = Stream.flattenIterable(Stream.map(lines, (line) => change(line, at++)))
          return Effect.map(outgoing.lines(recipient, changed), (sealed) => ({
            ...sealed,
            ...say(sealed)
          }))
        }
      })
    )

/** Flips a bit of what is sealed, before it is measured: the manifest will say that it is right. */
export const withSealed =
  (at: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Outgoing, (outgoing) =>
      Effect.provideService(effect, Outgoing, {
        ...outgoing,
        lines: (recipient, lines) =>
          Effect.map(outgoing.lines(recipient, lines), (sealed) => ({
            ...sealed,
            staged: flipped(sealed.staged, at)
          }))
      })
    )

const flipped = (staged: StagedFile, at: number): StagedFile => ({
  size: staged.size,
  read: (offset, length) =>
    Stream.unwrap(
      Effect.map(Stream.runCollect(staged.read(0, staged.size)), (pieces) => {
        const bytes = new Uint8Array(Buffer.concat(pieces))
        bytes[at] = (bytes[at] ?? 0) ^ 1
        return Stream.make(bytes.subarray(offset, offset + length))
      })
    )
})

/** Changes the text of a manifest before it is signed, or what it is signed for. */
export const withManifest =
  (change: (text: string) => string, purpose?: Purpose) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(BundleKeys, (keys) =>
      Effect.provideService(effect, BundleKeys, {
        ...keys,
        sign: (asked, text) => keys.sign(purpose ?? asked, change(text))
      })
    )

/** The same with a manifest that is canonical again. */
export const withFields = (change: (manifest: Fields) => Fields) =>
  withManifest((text) => canonical(change(parse(text))))

/** Everything in a device's database but its history, and the names of its contents. */
export const everything = (device: DeviceSite) =>
  Effect.map(device.run(dump()), ({ history: _, ...tables }) => {
    const blobs = fs.readdirSync(path.join(device.directory, "blobs"), { recursive: true })
    return { tables, blobs: blobs.map(String).sort() }
  })
