/**
 * What a receiver says of a bundle, signed, so that a courier can carry it back at once (format §2.10).
 * It names no person.
 */
import { Schema } from "effect"
import { StreamId } from "./bundle-manifest.ts"
import { BundleCode } from "./bundle-refusal.ts"
import { Digest, Millis } from "./id.ts"

export const Receipt = Schema.Struct({
  schema: Schema.Literal("testferry/receipt/1"),
  stream: StreamId,
  epoch: Schema.Int,
  seq: Schema.Int,
  manifest: Digest,
  status: Schema.Literals(["applied", "already", "quarantined"]),
  /** Why it was put aside. */
  error: Schema.NullOr(BundleCode),
  at: Millis
})
export type Receipt = typeof Receipt.Type
