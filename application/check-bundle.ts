/**
 * Checks a bundle on a medium before a part of it is read (format §2.6): who signed it, and that it is
 * the bundle that its name says. What may be applied, the receiver's stream decides afterwards.
 */
import { Effect, Result, Stream } from "effect"
import {
  type BundleManifest,
  INDEX_FILE,
  readManifest,
  type StreamId
} from "../domain/bundle-manifest.ts"
import type { Refusal } from "../domain/bundle-refusal.ts"
import { canonical } from "../domain/canonical.ts"
import type { Purpose } from "../domain/enrolment.ts"
import type { Digest } from "../domain/id.ts"
import type { Receipt } from "../domain/receipt.ts"
import { newStream } from "../domain/stream.ts"
import {
  BundleKeys,
  type FoundBundle,
  Incoming,
  Medium,
  type OpenBundle,
  Signatures,
  Streams,
  type Trust
} from "./bundle-ports.ts"
import { refuse, settled } from "./bundle-trust.ts"
import { Hashing } from "./ports.ts"

/** An index of twenty thousand contents and a thousand organisations has a quarter of this. */
export const INDEX_BYTES_MAX = 16 * 1_048_576

export interface CheckedManifest {
  readonly manifest: BundleManifest
  /** Of the signed bytes: the name of the bundle. */
  readonly digest: Digest
}

/** Checks signatures, form and name of a bundle's manifest. */
export const checkManifest = Effect.fn("checkManifest")(function* (
  found: FoundBundle,
  opened: OpenBundle,
  purpose: Purpose,
  trust: Trust
) {
  const hashing = yield* Hashing
  const signatures = yield* Signatures
  yield* settled(signatures.check(purpose, opened.manifest, trust))
  const manifest = yield* settled(readManifest(opened.manifest.text))
  if (!isNamed(found, manifest)) {
    return yield* refuse("E_VOL_NAME", "the volumes are named like another bundle")
  }
  return { manifest, digest: hashing.sha256(opened.manifest.text) } satisfies CheckedManifest
})

const isNamed = (found: FoundBundle, { seq, stream, volumes }: BundleManifest): boolean =>
  found.stream === stream && found.seq === seq && found.of === volumes

/** Opens the index of a bundle whose first file is here, and demands that it belongs to it. */
export const openIndex = Effect.fn("openIndex")(function* <Index>(
  { digest, manifest }: CheckedManifest,
  read: (text: string, manifest: BundleManifest) => Result.Result<Index, Refusal>
) {
  const incoming = yield* Incoming
  const keys = yield* BundleKeys
  let size = 0
  const pieces = yield* keys.open(incoming.read(digest, INDEX_FILE)).pipe(
    Stream.tap((bytes) => {
      size += bytes.length
      return size > INDEX_BYTES_MAX ? refuse("E_PLAIN_LIMIT", "the index is too long") : Effect.void
    }),
    Stream.decodeText,
    Stream.runCollect
  )
  return yield* settled(read(pieces.join(""), manifest))
})

/** What this side has received of a stream so far. */
export const stateOf = Effect.fnUntraced(function* (stream: StreamId, epoch: number) {
  const streams = yield* Streams
  const received = yield* streams.received(stream)
  return received._tag === "Some" ? received.value : newStream(stream, epoch)
})

/**
 * Writes a receipt onto the medium, for the courier to carry back. Answers false where it cannot be
 * written: that is no fault of the bundle, and the next one acknowledges this one too.
 */
export const giveReceipt = Effect.fn("giveReceipt")(function* (to: string, receipt: Receipt) {
  const keys = yield* BundleKeys
  const medium = yield* Medium
  const note = yield* keys.sign("receipt", canonical({ ...receipt }))
  const name = `${receipt.stream}-${String(receipt.seq).padStart(8, "0")}.json`
  const written = yield* Effect.result(
    medium.putNote(to, `receipts/${receipt.stream.slice(4)}/${name}`, note)
  )
  return Result.isSuccess(written)
})

export const receiptOf = (
  { digest, manifest: { epoch, seq, stream } }: CheckedManifest,
  status: Receipt["status"],
  error: Receipt["error"],
  at: number
): Receipt => ({
  schema: "testferry/receipt/1",
  stream,
  epoch,
  seq,
  manifest: digest,
  status,
  error,
  at
})
