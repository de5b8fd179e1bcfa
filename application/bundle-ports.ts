/**
 * The edge of the hexagon where bundles cross it: media, the space aside where they are put together,
 * signatures, and what both sides remember of their streams (format §2).
 *
 * As in ports.ts: storage failures are defects, typed errors are those on which a caller acts.
 */
import {
  Context,
  type Effect,
  type Option,
  type Result,
  Schema,
  type Scope,
  type Stream
} from "effect"
import type { Lines, OutwardIndex } from "../domain/bundle-index.ts"
import type { Acknowledgement, BundleManifest, Part, StreamId } from "../domain/bundle-manifest.ts"
import { BundleCode, type Refusal } from "../domain/bundle-refusal.ts"
import type { DeviceReport } from "../domain/device-report.ts"
import type { Purpose, Signed } from "../domain/enrolment.ts"
import type { DeviceId, Digest, Recipient } from "../domain/id.ts"
import type { Revocations } from "../domain/revocations.ts"
import type { RootDocument } from "../domain/root.ts"
import type { StreamState } from "../domain/stream.ts"
import type { BlobDamaged, Central, NoSpace } from "./ports.ts"

/** A stretch of a part that could not be read, or is not what was signed; bytes are of the part. */
export const Damage = Schema.Struct({
  code: BundleCode,
  volume: Schema.Int,
  part: Schema.String,
  segment: Schema.Int,
  from: Schema.Int,
  to: Schema.Int
})
export type Damage = typeof Damage.Type

/**
 * A bundle is not taken. Nothing was changed but the history. `damages` lists everything that is
 * wrong with the bytes, found in one pass; `missing` the volumes that are still to come.
 */
export class BundleRefused extends Schema.TaggedError<BundleRefused>()("BundleRefused", {
  code: BundleCode,
  detail: Schema.String,
  damages: Schema.Array(Damage),
  missing: Schema.Array(Schema.Int)
}) {}

// ---------------------------------------------------------------- media

/** A bundle as the names of its volumes tell it; nothing was opened yet. */
export interface FoundBundle {
  readonly stream: StreamId
  readonly seq: number
  /** How many volumes it has by their names, and the paths of those that are here, by number. */
  readonly of: number
  readonly volumes: ReadonlyMap<number, string>
  /** Bundles of this stream that lie there as well and were left out: nobody cleans that stick. */
  readonly left: number
}

/** The medium did not give the bytes: it was pulled, or it is failing. */
export class MediaFailed extends Schema.TaggedError<MediaFailed>()("MediaFailed", {
  path: Schema.String,
  detail: Schema.String
}) {}

/** The volumes of a bundle that are here, with every rule of their form checked (format §2.2). */
export interface OpenBundle {
  /** The same bytes in every volume; nothing is verified yet. */
  readonly manifest: Signed
  readonly roots: ReadonlyArray<Signed>
  /** Parts by name, with their sizes in the volumes that are here. */
  readonly sizes: ReadonlyMap<string, number>
  /**
   * Reads `length` bytes; into the room that is given, if any: whoever reads gigabytes need not wait
   * for what is done with to be given back.
   */
  readonly read: (
    part: string,
    offset: number,
    length: number,
    into?: Uint8Array
  ) => Effect.Effect<Uint8Array, MediaFailed>
}

/** Reads bundles from where an operator points: a stick's root, a folder, one volume. */
export class Medium extends Context.Service<
  Medium,
  {
    /** All bundles there, by stream and sequence; `.partial` files are no bundles. */
    readonly find: (from: string) => Effect.Effect<ReadonlyArray<FoundBundle>, BundleRefused>
    readonly open: (found: FoundBundle) => Effect.Effect<OpenBundle, BundleRefused, Scope.Scope>
    /** Signed notes beside the bundles: receipts, enrolment requests and answers (format §2.1). */
    readonly notes: (
      from: string,
      folder: "receipts" | "enrol"
    ) => Effect.Effect<ReadonlyArray<{ readonly path: string; readonly note: Signed }>>
    /** Writes such a note durably; a medium that cannot be written is not the operator's fault. */
    readonly putNote: (to: string, path: string, note: Signed) => Effect.Effect<void, MediaFailed>
  }
>()("testferry/Medium") {}

/** A part to be written: where it is cut from a file of this side. */
export interface PartSource {
  readonly part: Part
  readonly bytes: Stream.Stream<Uint8Array>
}

/** What was written, and whether it was read back from the medium itself or only from its cache. */
export interface WrittenBundle {
  readonly paths: ReadonlyArray<string>
  readonly bytes: number
  readonly readBack: "medium" | "cache"
}

/** Writes bundles onto media: whole and verified, or not at all (format §2.8). */
export class Stick extends Context.Service<
  Stick,
  {
    /** Room there, in bytes. Fails with MediaFailed where nothing can be written. */
    readonly free: (to: string) => Effect.Effect<number, MediaFailed>
    /**
     * Writes the volumes of a bundle, one after the other, and then removes older bundles of the
     * same stream. `onBytes` is told bytes as they are written and as they are read back.
     */
    readonly write: (options: {
      readonly to: string
      readonly manifest: BundleManifest
      readonly signed: Signed
      readonly roots: ReadonlyArray<Signed>
      readonly parts: ReadonlyArray<PartSource>
      readonly onBytes: (bytes: number) => Effect.Effect<void>
    }) => Effect.Effect<WrittenBundle, NoSpace | MediaFailed>
  }
>()("testferry/Stick") {}

// ---------------------------------------------------------------- aside

/** Where the parts of an incoming bundle wait until all are there, by the digest of its manifest. */
export class Incoming extends Context.Service<
  Incoming,
  {
    readonly free: Effect.Effect<number>
    /** Whether these bytes of a file are here already; they are read and digested again. */
    readonly has: (
      bundle: Digest,
      file: string,
      segment: { readonly offset: number; readonly length: number; readonly sha256: Digest }
    ) => Effect.Effect<boolean>
    readonly write: (
      bundle: Digest,
      file: string,
      offset: number,
      bytes: Uint8Array
    ) => Effect.Effect<void, NoSpace>
    /** Makes a file durable; its length is cut to `size`. */
    readonly settle: (bundle: Digest, file: string, size: number) => Effect.Effect<void>
    readonly read: (bundle: Digest, file: string) => Stream.Stream<Uint8Array>
    /** Makes a settled file the content of its digest, without copying it. */
    readonly toBlob: (
      bundle: Digest,
      file: string,
      blob: Digest
    ) => Effect.Effect<void, BlobDamaged>
    readonly drop: (bundle: Digest) => Effect.Effect<void>
    /** Drops everything that waits, but for one bundle. */
    readonly sweep: (except: Digest | undefined) => Effect.Effect<void>
  }
>()("testferry/Incoming") {}

/** A file of a bundle to be: sealed, on the disk of this side, measured. */
export interface StagedFile {
  readonly size: number
  readonly read: (offset: number, length: number) => Stream.Stream<Uint8Array>
}

/** Makes the files of an outgoing bundle. They go with the scope. */
export class Outgoing extends Context.Service<
  Outgoing,
  {
    /** Seals lines of text, each ended by a line feed, and measures what was sealed. */
    readonly lines: <E, R>(
      recipient: Recipient,
      lines: Stream.Stream<string, E, R>
    ) => Effect.Effect<
      { readonly staged: StagedFile } & Omit<Lines, "file">,
      E | NoSpace,
      R | Scope.Scope
    >
    readonly text: (
      recipient: Recipient,
      text: string
    ) => Effect.Effect<StagedFile, NoSpace, Scope.Scope>
    /** A content of this side, sealed long ago. Dies when it is not here. */
    readonly blob: (blob: Digest) => Effect.Effect<StagedFile>
    /** Digests of a stretch of a file: of the whole, and of each segment. */
    readonly digests: (
      staged: StagedFile,
      stretch: { readonly offset: number; readonly length: number; readonly segment: number }
    ) => Effect.Effect<{ readonly sha256: Digest; readonly segments: ReadonlyArray<Digest> }>
  }
>()("testferry/Outgoing") {}

/** Reads what came in a bundle as if central said it. */
export class BundleReader extends Context.Service<
  BundleReader,
  {
    /**
     * Checks every line of a bundle whose files are here, and then answers the port `Central` with
     * what they say. Keeps files open as long as the scope. Contents are not given out here: they
     * are moved to their place as files (`Incoming.toBlob`).
     */
    readonly open: (
      bundle: Digest,
      index: OutwardIndex
    ) => Effect.Effect<Central["Service"], BundleRefused, Scope.Scope>
  }
>()("testferry/BundleReader") {}

// ---------------------------------------------------------------- keys

/** Which keys count, by their fingerprints, and how many of them must have signed. */
export interface Trust {
  readonly keys: ReadonlyMap<string, string>
  readonly threshold: number
}

export class Signatures extends Context.Service<
  Signatures,
  {
    /** The fingerprints of the distinct trusted keys that signed, or why they are too few. */
    readonly check: (
      purpose: Purpose,
      signed: Signed,
      trust: Trust
    ) => Result.Result<ReadonlyArray<string>, Refusal>
    /** The fingerprint of a raw public key in base64. */
    readonly keyId: (raw: string) => string
  }
>()("testferry/Signatures") {}

/** This side's hand and eyes for bundles: signs as itself, opens what is sealed to it. */
export class BundleKeys extends Context.Service<
  BundleKeys,
  {
    readonly sign: (purpose: Purpose, text: string) => Effect.Effect<Signed>
    /** Opens a file sealed to this side; E_AGE_NO_MATCH or E_AGE_AUTH in place of its end. */
    readonly open: (sealed: Stream.Stream<Uint8Array>) => Stream.Stream<Uint8Array, BundleRefused>
  }
>()("testferry/BundleKeys") {}

// ---------------------------------------------------------------- what is remembered

/** A bundle that this side sent: what it can be asked for again, and what it may build on. */
export interface SentBundle {
  readonly stream: StreamId
  readonly epoch: number
  readonly seq: number
  readonly manifest: Digest
  readonly at: number
  /** What the receiver holds once it has applied this bundle. Null on a device. */
  readonly brings: Pick<DeviceReport, "cursors" | "blobs" | "root" | "revocations"> | null
}

/** The streams of this side: what was received in each, and what was sent. */
export class Streams extends Context.Service<
  Streams,
  {
    readonly received: (stream: StreamId) => Effect.Effect<Option.Option<StreamState>>
    readonly receive: (state: StreamState) => Effect.Effect<void>
    readonly lastSent: (stream: StreamId, epoch: number) => Effect.Effect<Option.Option<SentBundle>>
    readonly sent: (
      stream: StreamId,
      epoch: number,
      seq: number
    ) => Effect.Effect<Option.Option<SentBundle>>
    /** Remembers a bundle as sent, before it is written: its number is never used again. */
    readonly send: (bundle: SentBundle) => Effect.Effect<void>
    /** The newest bundle of an own stream that the other side says it has applied. */
    readonly acknowledged: (stream: StreamId) => Effect.Effect<Option.Option<Acknowledgement>>
    /** Keeps an acknowledgement, unless a newer one is known. */
    readonly acknowledge: (ack: Acknowledgement) => Effect.Effect<void>
    /** Forgets all acknowledgements of an own stream: the other side may have been restored. */
    readonly unacknowledge: (stream: StreamId) => Effect.Effect<void>
    /** The latest moment that is known to have passed. Only ever grows. */
    readonly floor: Effect.Effect<number>
    readonly raiseFloor: (at: number) => Effect.Effect<void>
  }
>()("testferry/Streams") {}

/** The newest root document, the chain that leads to it, and the revocations that this side knows. */
export class Standing extends Context.Service<
  Standing,
  {
    /** Dies where nothing is trusted yet: before enrolment, or before root holders signed. */
    readonly root: Effect.Effect<{
      readonly document: RootDocument
      readonly chain: ReadonlyArray<Signed>
    }>
    /** Every root from the first to the newest; empty where nothing is trusted yet. */
    readonly chain: Effect.Effect<ReadonlyArray<Signed>>
    /** Versions of the newest root and revocation list; 0 where there is none. Cheap. */
    readonly versions: Effect.Effect<{ readonly root: number; readonly revocations: number }>
    /** Adds the next documents of the chain, in their order. */
    readonly putRoots: (fresh: ReadonlyArray<Signed>) => Effect.Effect<void>
    readonly revocations: Effect.Effect<{
      readonly list: Revocations
      readonly signed: Signed | null
    }>
    readonly putRevocations: (signed: Signed) => Effect.Effect<void>
  }
>()("testferry/Standing") {}

/** What central last heard of each device, and what of theirs it had to put aside. */
export class Devices extends Context.Service<
  Devices,
  {
    readonly report: (device: DeviceId) => Effect.Effect<Option.Option<DeviceReport>>
    readonly putReport: (report: DeviceReport) => Effect.Effect<void>
    /** The next bundle must be whole: what the device was thought to hold it may have lost. */
    readonly forgetReport: (device: DeviceId) => Effect.Effect<void>
    readonly quarantine: (item: Omit<Quarantined, "released">) => Effect.Effect<void>
    /** Oldest first; those that were released are among them, with all their bytes. */
    readonly quarantined: Effect.Effect<ReadonlyArray<Quarantined>>
    /** Notes that a person let the records of one in; a second time only the moment and the word. */
    readonly noteReleased: (manifest: Digest, at: number, reason: string) => Effect.Effect<void>
  }
>()("testferry/Devices") {}

/** A bundle that central keeps although it can't accept it (invariant 12). */
export interface Quarantined {
  readonly device: string
  readonly manifest: Digest
  readonly at: number
  readonly code: BundleCode
  readonly detail: string
  /** Contents under which its files are kept, by name. */
  readonly files: ReadonlyMap<string, Digest>
  /** When a person last let its records in, and why; null when nobody did. */
  readonly released: { readonly at: number; readonly reason: string } | null
}

/** What a device tells of itself that no other port knows. */
export class DeviceFacts extends Context.Service<
  DeviceFacts,
  {
    readonly disk: Effect.Effect<{ readonly free: number; readonly total: number }>
    /**
     * A number for the next report, greater than all before: at least `now`, so that a device which
     * was restored from an older copy does not repeat numbers that central has heard.
     */
    readonly nextSerial: (now: number) => Effect.Effect<number>
  }
>()("testferry/DeviceFacts") {}
