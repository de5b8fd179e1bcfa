/**
 * What a device and central say to each other about entities (protocol §4).
 *
 * Central numbers every change that concerns an organisation with a dense version. A device asks
 * for what came after its cursor and follows the feed to its live end; since a changed entity only
 * ever moves forward in the feed, what it then holds is exactly the state at that end, whatever
 * changed meanwhile.
 */
import { Schema } from "effect"
import { BODY_MAX, Kind } from "./entity.ts"
import { Digest, EntityId, OrganisationId } from "./id.ts"
import { SetDigest } from "./set-digest.ts"

/** One change: `digest` and `body` are null when the entity is gone (a tombstone). */
export const Change = Schema.Struct({
  version: Schema.Int,
  kind: Kind,
  id: EntityId,
  digest: Schema.NullOr(Digest),
  body: Schema.NullOr(Schema.String.check(Schema.isMaxLength(BODY_MAX)))
})
export type Change = typeof Change.Type

/** Changes per page: large enough that round trips do not count, small enough to hold in memory. */
export const PAGE_CHANGES = 2_000
/** A page also ends at so many characters of bodies. */
export const PAGE_CHARACTERS = 8 * 1_048_576

/**
 * The newest root document, list of revocations, and certificate of whoever asks; 0 for none.
 * `records`: how many of a device's records central has, so that the device sees when some got lost.
 */
export const Newest = Schema.Struct({
  root: Schema.Int,
  revocations: Schema.Int,
  certificate: Schema.Int,
  records: Schema.optionalKey(Schema.Int)
})
export type Newest = typeof Newest.Type

/**
 * A page of an organisation's feed. `head` is the version of the feed's end when the page was cut,
 * `set` the digest of the whole set at `head`; `more` says that the page does not reach it. `epoch`
 * changes when central was restored from a backup: then every cursor is void.
 */
export const FeedPage = Schema.Struct({
  organisation: OrganisationId,
  epoch: Schema.String,
  head: Schema.Int,
  more: Schema.Boolean,
  set: SetDigest,
  changes: Schema.Array(Change),
  /** Versions of what central signs beside the feed: a device that has older ones asks for them. */
  newest: Schema.optionalKey(Newest)
})
export type FeedPage = typeof FeedPage.Type

/** The digests of the 256 buckets of an organisation's set at `head`, in order. */
export const Buckets = Schema.Struct({
  epoch: Schema.String,
  head: Schema.Int,
  buckets: Schema.Array(SetDigest)
})
export type Buckets = typeof Buckets.Type

/** Where a device stands in an organisation's feed. Version 0 is before everything. */
export interface Cursor {
  readonly epoch: string
  readonly version: number
}

/**
 * Names a life of central's feeds, so that of two names the later one is greater as text. `dice`
 * tells lives apart that began in the same millisecond on two copies of one database.
 */
export const lifeName = (millis: number, dice: string): string =>
  `e${String(millis).padStart(16, "0")}-${dice}`

/** When a life began, in milliseconds since 1970; undefined for names from before they had an order. */
export const lifeBegan = (epoch: string): number | undefined => {
  const [, millis] = LIFE.exec(epoch) ?? []
  return millis === undefined ? undefined : Number(millis)
}

/** Whether a life of central began after another. A name without an order is older than any with one. */
export const isLaterLife = (epoch: string, held: string): boolean =>
  LIFE.test(epoch) && (!LIFE.test(held) || epoch > held)

const LIFE = /^e(\d{16})-[0-9a-z]{1,40}$/u

export const START: Cursor = { epoch: "", version: 0 }
