/**
 * Lets in the records of a bundle that central put aside, once a person has looked at why: of a device
 * that was revoked, of a stream that forked. The same checks as when a stick comes (format §2.6), but
 * for what the person decided: what is forged or damaged is never taken apart, whoever asks.
 *
 * Only records are taken. What the bundle says of its stream and of its device stays unheard, and all
 * its bytes stay where they are.
 */
import { Clock, Effect, Option, Result, Schema, Stream } from "effect"
import { type HomewardIndex, readHomewardIndex } from "../domain/bundle-index.ts"
import { type BundleFile, filesOf, readManifest } from "../domain/bundle-manifest.ts"
import type { DeviceId, Digest } from "../domain/id.ts"
import { Devices, Incoming, type OpenBundle, type Quarantined, Signatures } from "./bundle-ports.ts"
import { refuse, settled, trustInDevice } from "./bundle-trust.ts"
import { RecordLines } from "./carried-ports.ts"
import { type CheckedManifest, openIndex } from "./check-bundle.ts"
import { collectParts, demandWhole } from "./collect-parts.ts"
import { happened } from "./happened.ts"
import { Atomic, Blobs, Clients, Hashing } from "./ports.ts"
import { NOTHING_CARRIED, receiveCarried } from "./receive-carried.ts"

/** No such bundle is put aside, or several are: then their ids are needed. */
export class NotAside extends Schema.TaggedError<NotAside>()("NotAside", {
  /** The digests of the manifests that fit. */
  found: Schema.Array(Schema.String)
}) {}

/** A bundle aside, and its place in its stream; null when its manifest is no more what it was. */
export interface AsideBundle extends Quarantined {
  readonly seq: number | null
}

export interface ReleaseOptions {
  readonly device: DeviceId
  /** The number of the bundle, or the digest of its manifest. */
  readonly bundle: number | Digest
  readonly who: string
  readonly reason: string
  readonly dryRun: boolean
}

/** All that are aside, oldest first. */
export const asideBundles = Effect.gen(function* () {
  const devices = yield* Devices
  return yield* Effect.forEach(yield* devices.quarantined, withSeq)
})

const withSeq = Effect.fnUntraced(function* (aside: Quarantined) {
  const signed = yield* Effect.result(keptManifest(aside))
  const manifest = Result.flatMap(signed, ({ text }) => readManifest(text))
  const seq = Result.isSuccess(manifest) ? manifest.success.seq : null
  return { ...aside, seq } satisfies AsideBundle
})

/**
 * Each record is then stored or quarantined by itself, and one that is known stays what it is: after a
 * kill the same can be asked for again. Fails with NotAside, or with BundleRefused before a record is
 * kept. In a dry run nothing is kept, and `putAside` and `refused` are not known.
 */
export const releaseBundle = Effect.fn("releaseBundle")(function* (options: ReleaseOptions) {
  const incoming = yield* Incoming
  const aside = yield* find(options)
  return yield* Effect.ensuring(release(aside, options), incoming.drop(aside.manifest))
})

const find = Effect.fnUntraced(function* ({ bundle, device }: ReleaseOptions) {
  const all = yield* asideBundles
  const fitting = all.filter(
    (one) => one.device === device && (one.manifest === bundle || one.seq === bundle)
  )
  const [first] = fitting
  return first !== undefined && fitting.length === 1
    ? first
    : yield* new NotAside({ found: fitting.map(({ manifest }) => manifest) })
})

const release = Effect.fnUntraced(function* (aside: AsideBundle, options: ReleaseOptions) {
  const { bundle, client } = yield* believed(aside)
  yield* collect(aside, bundle)
  const index = yield* openIndex(bundle, readHomewardIndex)
  const told = { aside, seq: bundle.manifest.seq }
  if (options.dryRun) return { ...told, carried: yield* counted(bundle.digest, index) }
  // "good": whether the device may speak is what the person has decided.
  const carried = yield* receiveCarried(client, bundle.digest, index, "good")
  yield* remember(aside, bundle, options)
  return { ...told, carried }
})

/** The bundle, where the key with which its device enrolled has signed it: even if revoked since. */
const believed = Effect.fnUntraced(function* (aside: Quarantined) {
  const clients = yield* Clients
  const signatures = yield* Signatures
  const client = Option.getOrUndefined(yield* clients.find(aside.device))
  if (client?.kind !== "device" || client.keys === null) {
    return yield* refuse("E_UNKNOWN_DEVICE", `there is no device ${aside.device}`)
  }
  const signed = yield* keptManifest(aside)
  yield* settled(signatures.check("d2c", signed, yield* trustInDevice(client)))
  const manifest = yield* settled(readManifest(signed.text))
  if (manifest.stream !== `d2c.${aside.device}`) {
    return yield* refuse("E_WRONG_STREAM", `it belongs to the stream ${manifest.stream}`)
  }
  const bundle: CheckedManifest = { manifest, digest: aside.manifest }
  return { bundle, client }
})

/** The manifest and its signatures as they were kept. Fails with E_PART_* when they are damaged. */
const keptManifest = Effect.fnUntraced(function* ({ files, manifest }: Quarantined) {
  const hashing = yield* Hashing
  const blobs = yield* Blobs
  const names = [...files.keys()].filter((name) => name.startsWith("manifest.json")).sort()
  const texts = yield* Effect.forEach(names, (name) => {
    const blob = files.get(name)
    return Effect.gen(function* () {
      if (blob === undefined || !(yield* blobs.has(blob))) {
        return yield* refuse("E_PART_MISSING", `${name} is not kept any more`)
      }
      const text = (yield* Stream.runCollect(Stream.decodeText(blobs.read(blob)))).join("")
      return hashing.sha256(text) === blob
        ? text
        : yield* refuse("E_PART_DIGEST", `the kept ${name} was changed`)
    })
  })
  const [text, ...signatures] = texts
  return text !== undefined && files.get("manifest.json") === manifest
    ? { text, signatures }
    : yield* refuse("E_PART_DIGEST", "the kept manifest is that of another bundle")
})

/** Copies the files to where bundles are read, each segment checked against the signed manifest. */
const collect = Effect.fnUntraced(function* (
  { files }: Quarantined,
  { digest, manifest }: CheckedManifest
) {
  const kept = filesOf(manifest)
  const opened = yield* openKept(kept, files)
  const volumes = new Set(manifest.parts.map(({ volume }) => volume))
  yield* demandWhole(yield* collectParts({ bundle: digest, manifest, opened, volumes }, kept))
})

/** The kept files as a medium that gives them part by part. */
const openKept = Effect.fnUntraced(function* (
  files: ReadonlyArray<BundleFile>,
  kept: ReadonlyMap<string, Digest>
) {
  const blobs = yield* Blobs
  const places = new Map<string, { readonly blob: Digest; readonly offset: number }>()
  const sizes = new Map<string, number>()
  for (const { name, parts, size } of files) {
    const blob = kept.get(name)
    if (blob === undefined || Option.getOrUndefined(yield* blobs.size(blob)) !== size) continue
    for (const { offset, part } of parts) {
      places.set(part.name, { blob, offset })
      sizes.set(part.name, part.size)
    }
  }
  return {
    manifest: { text: "", signatures: [] },
    roots: [],
    sizes,
    read: (part, offset, length) => {
      const place = places.get(part)
      if (place === undefined) return Effect.die(new Error(`${part} has no size and was read`))
      const range = { offset: place.offset + offset, length }
      return Effect.map(Stream.runCollect(blobs.read(place.blob, range)), (pieces) =>
        joined(pieces, length)
      )
    }
  } satisfies OpenBundle
})

/** What is too short keeps zeros at its end, and has another digest. */
const joined = (pieces: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const whole = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece.subarray(0, length - at), at)
    at += Math.min(piece.length, length - at)
  }
  return whole
}

const counted = Effect.fnUntraced(function* (bundle: Digest, { records }: HomewardIndex) {
  const lines = yield* RecordLines
  if (records === null) return NOTHING_CARRIED
  let sum = NOTHING_CARRIED
  yield* Stream.runForEach(lines.read(bundle, records), (batch) =>
    Effect.sync(() => {
      const results = batch.filter(({ ledger }) => ledger.kind === "result").length
      sum = { ...sum, records: sum.records + batch.length, results: sum.results + results }
    })
  )
  return sum
})

const remember = Effect.fnUntraced(function* (
  { code, device, manifest }: AsideBundle,
  { manifest: { seq } }: CheckedManifest,
  { reason, who }: ReleaseOptions
) {
  const atomic = yield* Atomic
  const devices = yield* Devices
  const at = yield* Clock.currentTimeMillis
  yield* atomic.run(
    Effect.gen(function* () {
      yield* devices.noteReleased(manifest, at, reason)
      yield* happened({
        at,
        verb: "receive",
        who,
        device,
        reason: `released bundle ${seq} (${code}): ${reason}`
      })
    })
  )
})
