/** What both sides remember of each synchronisation, for people and for support. */
import { Schema } from "effect"
import { Millis, OrganisationId } from "./id.ts"

export const KindCounts = Schema.Struct({
  created: Schema.Int,
  updated: Schema.Int,
  deleted: Schema.Int,
  kept: Schema.Int,
  held: Schema.Int,
  /** Of kinds that go home: kept by central, and tried without that. */
  uploaded: Schema.optionalKey(Schema.Int),
  failed: Schema.optionalKey(Schema.Int)
})
export type KindCounts = typeof KindCounts.Type

export const NO_COUNTS = {
  created: 0,
  updated: 0,
  deleted: 0,
  kept: 0,
  held: 0
} satisfies KindCounts

/** How a synchronisation ended. `incomplete`: the data is right, but some content is still missing. */
export const Outcome = Schema.Literals([
  "done",
  "unchanged",
  "incomplete",
  "refused",
  "failed",
  "cancelled"
])
export type Outcome = typeof Outcome.Type

export const HistoryEntry = Schema.Struct({
  at: Millis,
  /** `export` and `receive` are of bundles; a device's `import` is of one, central's of a roster. */
  verb: Schema.Literals([
    "enrol",
    "sync",
    "import",
    "export",
    "receive",
    "publish",
    "audit",
    "device",
    "credential",
    "root",
    "revocation",
    "decrypt"
  ]),
  who: Schema.String,
  device: Schema.NullOr(Schema.String),
  organisation: Schema.NullOr(OrganisationId),
  outcome: Outcome,
  /** By kind of entity; kinds of which nothing is to say are left out. */
  counts: Schema.Record(Schema.String, KindCounts),
  bytes: Schema.Int,
  millis: Schema.Int,
  reason: Schema.String
})
export type HistoryEntry = typeof HistoryEntry.Type
