/**
 * The sealed table of contents of a bundle (format §2.5): what its files hold. It lies in the first
 * file, readable by the receiver only, and repeats who it is from, for whom and in which place of
 * the stream, because a cipher does not say so.
 */
import { Result, Schema } from "effect"
import { BundleManifest, FileName, filesOf, INDEX_FILE } from "./bundle-manifest.ts"
import type { Refusal } from "./bundle-refusal.ts"
import { parseCanonical } from "./canonical.ts"
import { DeviceReport } from "./device-report.ts"
import { Signed } from "./enrolment.ts"
import { Change } from "./feed.ts"
import { Digest, OrganisationId } from "./id.ts"
import { HomeRecord, RECORD_BYTES_MAX, Submission } from "./result.ts"
import { SetDigest } from "./set-digest.ts"

/** One line holds one change; the largest body is 1 MiB and some quoting. */
export const LINE_CHARACTERS_MAX = 4 * 1_048_576
/** One line holds one record; the largest body is twice RECORD_BYTES_MAX, and some quoting. */
export const RECORD_LINE_BYTES_MAX = 4 * RECORD_BYTES_MAX
/** So many receipts are for 20,000 records, and fill less than half of the largest index. */
export const RECEIPTS_MAX = 100

const { bundle, epoch, from, seq, stream, to } = BundleManifest.fields
/** The fields that index and manifest have in common; they must be equal. */
const place = { bundle, stream, epoch, seq, from, to }

/** Lines of canonical JSON in one file. */
export const Lines = Schema.Struct({
  file: FileName,
  count: Schema.Int,
  plainSize: Schema.Int,
  plainSha256: Digest
})
export type Lines = typeof Lines.Type

/**
 * The changes of an organisation's feed after `base`, up to `head`, where the whole set has the
 * digest `set`; `lines` is null when there are none. Base 0 is everything.
 */
export const FeedPart = Schema.Struct({
  organisation: OrganisationId,
  epoch: Schema.String,
  base: Schema.Int,
  head: Schema.Int,
  set: SetDigest,
  lines: Schema.NullOr(Lines)
})
export type FeedPart = typeof FeedPart.Type

export const BlobPart = Schema.Struct({ blob: Digest, file: FileName, size: Schema.Int })
export type BlobPart = typeof BlobPart.Type

export const OutwardIndex = Schema.Struct({
  schema: Schema.Literal("testferry/index/1"),
  ...place,
  feeds: Schema.Array(FeedPart),
  blobs: Schema.Array(BlobPart),
  /** Contents that the deliveries of this bundle need and that the device should hold already. */
  have: Schema.Array(Digest),
  /** The device's newest certificate, where it has another. */
  certificate: Schema.NullOr(Signed),
  /** The whole revocation list, where the device may have an older one. */
  revocations: Schema.NullOr(Signed),
  /** Central's word on records that came by bundle, which the device may not have heard. */
  receipts: Schema.Array(Signed).check(Schema.isMaxLength(RECEIPTS_MAX))
})
export type OutwardIndex = typeof OutwardIndex.Type

export const HomewardIndex = Schema.Struct({
  schema: Schema.Literal("testferry/index/1"),
  ...place,
  report: DeviceReport,
  /** How long the device's ledger is, and the head of that. */
  ledger: Submission.fields.ledger,
  /** Everything that the device owes, in the order of its ledger; null when it owes nothing. */
  records: Schema.NullOr(Lines)
})
export type HomewardIndex = typeof HomewardIndex.Type

/** One change of a feed as a line of canonical JSON. */
export const ChangeLine = Change
/** One record that comes home, likewise. */
export const RecordLine = HomeRecord

/** Reads the index of a bundle to a device, and demands that it speaks of exactly this bundle. */
export const readOutwardIndex = (
  text: string,
  manifest: BundleManifest
): Result.Result<OutwardIndex, Refusal> =>
  Result.flatMap(read(text, decodeOutward), (index) => {
    const named = [
      ...index.feeds.flatMap(({ lines }) => (lines === null ? [] : [lines.file])),
      ...index.blobs.map(({ file }) => file)
    ]
    const sizes = new Map(filesOf(manifest).map(({ name, size }) => [name, size]))
    const wrongSize = index.blobs.find(({ file, size }) => sizes.get(file) !== size)
    if (wrongSize !== undefined) return mismatch(`${wrongSize.file} has another size`)
    return matching(index, manifest, named)
  })

/** Reads the index of a bundle to central. */
export const readHomewardIndex = (
  text: string,
  manifest: BundleManifest
): Result.Result<HomewardIndex, Refusal> =>
  Result.flatMap(read(text, decodeHomeward), (index) => {
    const { ledger, records, report } = index
    if (report.device !== manifest.from) return mismatch("it reports of another device")
    // Of an empty ledger there is no head to speak of.
    const isSame = ledger.head === (manifest.ledger?.head ?? null)
    if (!isSame || ledger.count !== (manifest.ledger?.count ?? 0)) {
      return mismatch("it speaks of another ledger")
    }
    return matching(index, manifest, records === null ? [] : [records.file])
  })

const decodeOutward = Schema.decodeUnknownResult(OutwardIndex, { onExcessProperty: "error" })
const decodeHomeward = Schema.decodeUnknownResult(HomewardIndex, { onExcessProperty: "error" })

const read = <A, E>(
  text: string,
  decode: (input: unknown) => Result.Result<A, E>
): Result.Result<A, Refusal> => {
  const parsed = parseCanonical(text)
  if (Result.isFailure(parsed)) return mismatch("the index is not written in the one allowed way")
  const decoded = decode(parsed.success)
  return Result.isSuccess(decoded)
    ? Result.succeed(decoded.success)
    : mismatch("the index does not have the form of an index")
}

/** The index and the manifest name the same bundle, and every file but the index exactly once. */
const matching = <Index extends OutwardIndex | HomewardIndex>(
  index: Index,
  manifest: BundleManifest,
  named: ReadonlyArray<string>
): Result.Result<Index, Refusal> => {
  const isSame =
    index.bundle === manifest.bundle &&
    index.stream === manifest.stream &&
    index.epoch === manifest.epoch &&
    index.seq === manifest.seq &&
    index.from === manifest.from &&
    index.to === manifest.to
  if (!isSame) return mismatch("the index belongs to another bundle")
  const there = filesOf(manifest)
    .map(({ name }) => name)
    .filter((name) => name !== INDEX_FILE)
  const wanted = [...named].sort()
  const equal = wanted.length === there.length && wanted.every((name, at) => name === there[at])
  return equal ? Result.succeed(index) : mismatch("the index names other files than the bundle has")
}

const mismatch = (detail: string) => Result.fail({ code: "E_INDEX_MISMATCH", detail } as const)
