/**
 * The edge of the hexagon where records cross it on a stick, at central: lines that came in a bundle,
 * and receipts that wait for the way back (format §2.5, §2.10).
 */
import { Context, type Effect, type Stream } from "effect"
import type { Lines } from "../domain/bundle-index.ts"
import type { Signed } from "../domain/enrolment.ts"
import type { DeviceId, Digest } from "../domain/id.ts"
import type { HomeRecord } from "../domain/result.ts"
import type { BundleRefused } from "./bundle-ports.ts"

/** Reads the records of a bundle whose files are here. */
export class RecordLines extends Context.Service<
  RecordLines,
  {
    /**
     * In the order of the file, a few at a time. Fails with E_AGE_*, E_PLAIN_LIMIT or E_RECORD_*;
     * lines come before the end is known to be right, so read to the end once before acting.
     */
    readonly read: (
      bundle: Digest,
      lines: Lines
    ) => Stream.Stream<ReadonlyArray<HomeRecord>, BundleRefused>
  }
>()("testferry/RecordLines") {}

/** A place in central's stream to a device. */
export interface SentPlace {
  readonly epoch: number
  readonly seq: number
}

/** A receipt on its way back: by the bundle that brought the records, and its number among those. */
export interface WaitingReceipt {
  readonly bundle: Digest
  readonly number: number
  readonly signed: Signed
}

/** Receipts for what came by bundle, until their device can have heard them. */
export class WaitingReceipts extends Context.Service<
  WaitingReceipts,
  {
    /** Keeps one in the place of another of this number. */
    readonly keep: (device: DeviceId, receipt: WaitingReceipt) => Effect.Effect<void>
    /**
     * Forgets those of all other bundles. A bundle holds everything that its device owes: of what is
     * not in the newest the device has heard.
     */
    readonly keepOnly: (device: DeviceId, bundle: Digest) => Effect.Effect<void>
    /** In their order, without those that went out up to a place which the device acknowledged. */
    readonly list: (
      device: DeviceId,
      acknowledged: SentPlace | undefined,
      limit: number
    ) => Effect.Effect<ReadonlyArray<WaitingReceipt>>
    /** Remembers the first bundle by which they went out. */
    readonly wentOut: (
      device: DeviceId,
      receipts: ReadonlyArray<WaitingReceipt>,
      by: SentPlace
    ) => Effect.Effect<void>
  }
>()("testferry/WaitingReceipts") {}
