/**
 * Answers what an admitted client asks of its organisations, and nothing else: the scope comes from
 * the client, never from the request (invariant 1). Somebody else's organisation, bucket or blob
 * fails exactly like one that does not exist.
 */
import { Clock, Effect, Option, Schema, type Stream } from "effect"
import type { EntityKey } from "../domain/entity.ts"
import { type Change, type Cursor, PAGE_CHARACTERS } from "../domain/feed.ts"
import type { Digest, OrganisationId } from "../domain/id.ts"
import { BUCKETS } from "../domain/set-digest.ts"
import { Standing } from "./bundle-ports.ts"
import { happened } from "./happened.ts"
import { Blobs, type Client, Clients, Feeds } from "./ports.ts"
import { Records } from "./record-ports.ts"

/** There is no such thing, as far as this client is concerned. */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {}) {}

/** Keys per request: one bucket of the largest organisation seldom holds more. */
export const ENTITY_KEYS_MAX = 1_000
/** Keys looked up at once, so that large bodies cannot pile up before the answer is cut. */
const ENTITY_KEYS_AT_ONCE = 50
/** How often "seen" is written for a client that asks the same thing all the time. */
const SEEN_EVERY_MILLIS = 60_000

/**
 * The page of an organisation's feed after a cursor. Fails with FeedReset when it is void. The page
 * that brings a device to the end of the feed is remembered: from then on it can hold that state.
 */
export const page = Effect.fn("page")(function* (
  client: Client,
  organisation: OrganisationId,
  since: Cursor
) {
  const feeds = yield* Feeds
  yield* within(client, organisation)
  const answered = yield* feeds.page(organisation, since)
  if (!answered.more && answered.changes.length > 0) {
    yield* remember(client, organisation, `version ${since.version} to ${answered.head}`)
  }
  const standing = yield* Standing
  const newest = { ...(yield* standing.versions), certificate: client.serial }
  if (client.kind !== "device") return { ...answered, newest }
  const records = yield* (yield* Records).countNumbers(client.id)
  return { ...answered, newest: { ...newest, records } }
})

const remember = Effect.fnUntraced(function* (
  client: Client,
  organisation: OrganisationId,
  reason: string
) {
  yield* happened({
    verb: "sync",
    who: client.kind,
    device: client.id,
    organisation,
    reason
  })
})

/** The digests of the 256 buckets of an organisation's set. */
export const buckets = Effect.fn("buckets")(function* (
  client: Client,
  organisation: OrganisationId
) {
  const feeds = yield* Feeds
  yield* within(client, organisation)
  return yield* feeds.buckets(organisation)
})

/** The live entities of one bucket, without their bodies. */
export const bucket = Effect.fn("bucket")(function* (
  client: Client,
  organisation: OrganisationId,
  number: number
) {
  const feeds = yield* Feeds
  yield* within(client, organisation)
  if (!Number.isInteger(number) || number < 0 || number >= BUCKETS) return yield* new NotFound()
  return yield* feeds.bucket(organisation, number)
})

/**
 * Live entities by key, with bodies. The answer ends when it grows as large as a page; `asked` says
 * how many of the keys, from the first, it speaks of. Keys of those without a change are not offered.
 */
export const entities = Effect.fn("entities")(function* (
  client: Client,
  organisation: OrganisationId,
  keys: ReadonlyArray<EntityKey>
) {
  const feeds = yield* Feeds
  yield* within(client, organisation)
  const changes: Array<Change> = []
  let asked = 0
  let characters = 0
  while (asked < keys.length && characters < PAGE_CHARACTERS) {
    const next = keys.slice(asked, asked + ENTITY_KEYS_AT_ONCE)
    for (const change of yield* feeds.entities(organisation, next)) {
      changes.push(change)
      characters += change.body?.length ?? 0
    }
    asked += next.length
  }
  return { asked, changes }
})

/** A blob that a delivery of the client's organisations names: its size, and how to read it. */
export const blob = Effect.fn("blob")(function* (client: Client, digest: Digest) {
  const blobs = yield* Blobs
  const feeds = yield* Feeds
  if (!(yield* feeds.offersBlob(client.organisations, digest))) return yield* new NotFound()
  const size = yield* blobs.size(digest)
  // Offered but not stored is central's own fault: an operator must see it.
  if (Option.isNone(size)) return yield* Effect.die(new Error("an offered blob is not stored"))
  const read = (range: {
    readonly offset: number
    readonly length: number
  }): Stream.Stream<Uint8Array> => blobs.read(digest, range)
  return { size: size.value, read }
})

/** Remembers when a client was last here and with which program; at most once a minute. */
export const seen = Effect.fn("seen")(function* (client: Client, program: string) {
  const clients = yield* Clients
  const now = yield* Clock.currentTimeMillis
  const recent = client.lastSeenAt !== null && now - client.lastSeenAt < SEEN_EVERY_MILLIS
  if (!recent || client.program !== program) yield* clients.seen(client.id, now, program)
})

const within = (client: Client, organisation: OrganisationId): Effect.Effect<void, NotFound> =>
  client.organisations.includes(organisation) ? Effect.void : Effect.fail(new NotFound())
