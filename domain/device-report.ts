/**
 * What a device says of itself to central, over HTTPS and in its bundles (format §2.5): how far it
 * has come, what it holds, and how it is. It is how central knows what the next bundle need not
 * carry again. Nothing personal.
 */
import { Schema } from "effect"
import { DeviceId, Digest, Millis, OrganisationId } from "./id.ts"

/** A device belongs to few organisations and holds hundreds of contents. */
const ORGANISATIONS_MAX = 1_000
const BLOBS_MAX = 20_000

/** Where a device stands in the feed of one of its organisations, applied and durable. */
export const HeldCursor = Schema.Struct({
  organisation: OrganisationId,
  epoch: Schema.String.check(Schema.isMaxLength(80)),
  version: Schema.Int
})
export type HeldCursor = typeof HeldCursor.Type

/** More than there are checks; a newer program may have others. */
const ALARMS_MAX = 50
const Alarm = Schema.String.check(Schema.isPattern(/^[a-z][a-z-]{0,39}$/u))

export const DeviceReport = Schema.Struct({
  schema: Schema.Literal("testferry/report/1"),
  device: DeviceId,
  /** Counts up with each report of this device; an older one that arrives late says nothing new. */
  serial: Schema.Int,
  at: Millis,
  program: Schema.String.check(Schema.isMaxLength(40)),
  cursors: Schema.Array(HeldCursor).check(Schema.isMaxLength(ORGANISATIONS_MAX)),
  blobs: Schema.Array(Digest).check(Schema.isMaxLength(BLOBS_MAX)),
  /** The newest root document and revocation list that the device has. */
  root: Schema.Int,
  revocations: Schema.Int,
  disk: Schema.Struct({ free: Schema.Int, total: Schema.Int }),
  /** How it is by its own word; absent where an older program wrote the report. */
  own: Schema.optionalKey(
    Schema.Struct({
      /** Records in its ledger, and sittings that go on. */
      ledger: Schema.Int,
      open: Schema.Int,
      /** What keeps it from holding or sending tests: checks of its readiness. */
      alarms: Schema.Array(Alarm).check(Schema.isMaxLength(ALARMS_MAX))
    })
  )
})
export type DeviceReport = typeof DeviceReport.Type
