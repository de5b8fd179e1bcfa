/**
 * Keeps the change feed of each organisation in SQL.
 *
 * Versions come from the organisation's own row, in the transaction that appends (a sequence would
 * let a reader miss rows that commit late). Only the latest offer of an entity is kept; a newer one
 * takes the next version. Every answer is one statement, hence one snapshot.
 */
import { Clock, Effect, Layer, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import type { Offer } from "../application/ports.ts"
import { FeedReset, Feeds } from "../application/ports.ts"
import { type EntityKey, Kind, keyText } from "../domain/entity.ts"
import type { Change } from "../domain/feed.ts"
import { lifeBegan, lifeName, PAGE_CHANGES, PAGE_CHARACTERS } from "../domain/feed.ts"
import type { OrganisationId } from "../domain/id.ts"
import { Digest, EntityId } from "../domain/id.ts"
import { BUCKETS, bucketOf, changed, EMPTY, marks } from "../domain/set-digest.ts"
import { insertRows } from "./sql-bulk.ts"
import { inChunks } from "./sql-chunks.ts"
import { changeSetting, setting } from "./sql-settings.ts"

const HeadRow = Schema.Struct({
  head: Schema.Int,
  count: Schema.Int,
  a: Schema.Int,
  b: Schema.Int
})
const PageRow = Schema.Struct({
  head: Schema.Int,
  count: Schema.Int,
  a: Schema.Int,
  b: Schema.Int,
  version: Schema.NullOr(Schema.Int),
  kind: Schema.NullOr(Kind),
  id: Schema.NullOr(EntityId),
  digest: Schema.NullOr(Digest),
  body: Schema.NullOr(Schema.String)
})
const ItemRow = Schema.Struct({
  version: Schema.Int,
  kind: Kind,
  id: EntityId,
  digest: Schema.NullOr(Digest),
  body: Schema.NullOr(Schema.String)
})
const BucketRow = Schema.Struct({
  head: Schema.Int,
  bucket: Schema.NullOr(Schema.Int),
  count: Schema.Int,
  a: Schema.Int,
  b: Schema.Int
})
/** Taken as it is: central wrote it, and reads all of them before every change of a feed. */
interface StampRow {
  readonly kind: Kind
  readonly id: EntityId
  readonly stamp: string
}
const BlobOf = Schema.Struct({ content: Schema.Struct({ blob: Digest }) })

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const epochOf = Effect.orDie(Effect.map(setting(sql, "epoch"), (epoch) => epoch ?? ""))

  const heads = SqlSchema.findAll({
    Request: Schema.String,
    Result: HeadRow,
    execute: (organisation) => sql`
      SELECT head, count, a, b FROM feeds WHERE organisation = ${organisation}`
  })
  const items = SqlSchema.findAll({
    Request: Schema.Struct({ organisation: Schema.String, ids: Schema.Array(Schema.String) }),
    Result: ItemRow,
    execute: ({ organisation, ids }) => sql`
      SELECT version, kind, id, digest, body
      FROM offers
      WHERE organisation = ${organisation} AND digest IS NOT NULL AND ${sql.in("id", ids)}
      ORDER BY version`
  })
  const known = SqlSchema.findAll({
    Request: Schema.Struct({ organisation: Schema.String, ids: Schema.Array(Schema.String) }),
    Result: Schema.Struct({ kind: Kind, id: EntityId, digest: Schema.NullOr(Digest) }),
    execute: ({ organisation, ids }) => sql`
      SELECT kind, id, digest FROM offers
      WHERE organisation = ${organisation} AND ${sql.in("id", ids)}`
  })
  const bucketItems = SqlSchema.findAll({
    Request: Schema.Struct({ organisation: Schema.String, bucket: Schema.Int }),
    Result: ItemRow,
    execute: ({ organisation, bucket }) => sql`
      SELECT version, kind, id, digest, NULL AS body
      FROM offers
      WHERE organisation = ${organisation} AND bucket = ${bucket} AND digest IS NOT NULL
      ORDER BY version`
  })
  const bucketRows = SqlSchema.findAll({
    Request: Schema.String,
    Result: BucketRow,
    execute: (organisation) => sql`
      SELECT feeds.head, bucket, CAST(COUNT(bucket) AS ${wide(sql)}) AS count,
        CAST(COALESCE(SUM(offers.a), 0) AS ${wide(sql)}) AS a,
        CAST(COALESCE(SUM(offers.b), 0) AS ${wide(sql)}) AS b
      FROM feeds
      LEFT JOIN offers ON offers.organisation = feeds.organisation AND digest IS NOT NULL
      WHERE feeds.organisation = ${organisation}
      GROUP BY feeds.head, bucket`
  })
  const countRows = SqlSchema.findAll({
    Request: Schema.Struct({ organisation: Schema.String, after: Schema.Int }),
    Result: Schema.Struct({ head: Schema.Int, changes: Schema.Int }),
    execute: ({ after, organisation }) => sql`
      SELECT feeds.head, CAST(COUNT(offers.version) AS ${wide(sql)}) AS changes
      FROM feeds
      LEFT JOIN offers
        ON offers.organisation = feeds.organisation AND offers.version > ${after}
      WHERE feeds.organisation = ${organisation}
      GROUP BY feeds.head`
  })
  const liveRows = (ids: ReadonlyArray<EntityId>) => sql<EntityKey>`
    SELECT DISTINCT kind, id FROM offers WHERE digest IS NOT NULL AND ${sql.in("id", ids)}`
  // In the order of the index that has everything: bodies are not read on the way.
  const stampRows = (organisation: OrganisationId) => sql<StampRow>`
    SELECT kind, id, stamp FROM offers
    WHERE organisation = ${organisation} AND digest IS NOT NULL
    ORDER BY kind, id`
  const decodePage = Schema.decodeUnknownEffect(Schema.Array(PageRow))

  const lock = Effect.fn("Feeds.lock")(
    (organisation: OrganisationId) => sql`
      INSERT INTO feeds (organisation, head, count, a, b)
      VALUES (${organisation}, 0, 0, 0, 0)
      ON CONFLICT (organisation) DO UPDATE SET head = feeds.head`
  )

  const append = Effect.fn("Feeds.append")(function* (
    organisation: OrganisationId,
    given: ReadonlyArray<Offer>
  ) {
    // What is read here must still hold when it is written, whether or not the caller locked.
    yield* lock(organisation)
    // Of two offers of one entity the later counts; counting both would falsify the set's digest.
    const offers = [...new Map(given.map((offer) => [keyText(offer.key), offer])).values()]
    const before = new Map<string, Digest | null>()
    yield* inChunks(offers, (chunk) =>
      Effect.map(known({ organisation, ids: chunk.map((offer) => offer.key.id) }), (rows) => {
        for (const row of rows) before.set(keyText(row), row.digest)
      })
    )
    const was = (offer: Offer) => before.get(keyText(offer.key)) ?? null
    const same = offers.filter((offer) => offer.digest !== null && was(offer) === offer.digest)
    const fresh = offers.filter((offer) => was(offer) !== offer.digest)
    yield* Effect.forEach(
      same,
      ({ key, stamp }) => sql`
      UPDATE offers SET stamp = ${stamp}
      WHERE organisation = ${organisation} AND kind = ${key.kind} AND id = ${key.id}`
    )
    if (fresh.length === 0) return 0

    const [head] = yield* heads(organisation)
    const set = changed(
      head ?? EMPTY,
      fresh.flatMap((offer) => was(offer) ?? []),
      fresh.flatMap((offer) => offer.digest ?? [])
    )
    const first = (head?.head ?? 0) + 1
    yield* insertRows(sql, {
      table: "offers",
      columns: OFFER_COLUMNS,
      rows: fresh.map((offer, at) => offerRow(organisation, offer, first + at)),
      onConflict: {
        key: ["organisation", "kind", "id"],
        action:
          "DO UPDATE SET version = excluded.version, stamp = excluded.stamp," +
          " digest = excluded.digest, a = excluded.a, b = excluded.b, blob = excluded.blob," +
          " body = excluded.body"
      }
    })
    yield* sql`
      UPDATE feeds
      SET head = ${first + fresh.length - 1}, count = ${set.count}, a = ${set.a}, b = ${set.b}
      WHERE organisation = ${organisation}`
    return fresh.length
  })

  return Feeds.of({
    lock: (organisation) => Effect.orDie(Effect.asVoid(lock(organisation))),

    stamps: Effect.fn("Feeds.stamps")(function* (organisation) {
      const rows = yield* stampRows(organisation)
      return new Map(rows.map((row) => [keyText(row), row.stamp]))
    }, Effect.orDie),

    offeredAnywhere: Effect.fn("Feeds.offeredAnywhere")(function* (keys) {
      const asked = new Set(keys.map(keyText))
      const found = new Set<string>()
      yield* inChunks([...new Set(keys.map(({ id }) => id))], (chunk) =>
        Effect.map(liveRows(chunk), (rows) => {
          for (const row of rows) if (asked.has(keyText(row))) found.add(keyText(row))
        })
      )
      return found
    }, Effect.orDie),

    append: (organisation, offers) =>
      Effect.orDie(sql.withTransaction(append(organisation, offers))),

    page: Effect.fn("Feeds.page")(function* (organisation, since) {
      const epoch = yield* epochOf
      if (since.version > 0 && since.epoch !== epoch) return yield* new FeedReset({ epoch })
      const rows = yield* sql`
        SELECT feeds.head, feeds.count, feeds.a, feeds.b, version, kind, id, digest, body
        FROM feeds
        LEFT JOIN offers
          ON offers.organisation = feeds.organisation AND offers.version > ${since.version}
        WHERE feeds.organisation = ${organisation}
        ORDER BY version
        LIMIT ${PAGE_CHANGES}`.pipe(Effect.flatMap(decodePage), Effect.orDie)
      const [feed] = rows
      const head = feed?.head ?? 0
      if (since.version > head) return yield* new FeedReset({ epoch })
      const changes = cut(rows)
      const last = changes.at(-1)?.version ?? head
      const set = feed === undefined ? EMPTY : { count: feed.count, a: feed.a, b: feed.b }
      return { organisation, epoch, head, more: last < head, set, changes }
    }),

    countAfter: Effect.fn("Feeds.countAfter")(function* (organisation, since) {
      const epoch = yield* epochOf
      const [row] = yield* Effect.orDie(countRows({ organisation, after: since.version }))
      const isVoid = since.version > 0 && since.epoch !== epoch
      if (isVoid || since.version > (row?.head ?? 0)) return yield* new FeedReset({ epoch })
      return row?.changes ?? 0
    }),

    newEpoch: Effect.fn("Feeds.newEpoch")(function* (after) {
      // Later than the last life, whatever the clock says now.
      const before = Math.max(after, lifeBegan(yield* epochOf) ?? 0)
      const epoch = newLife(Math.max(yield* Clock.currentTimeMillis, before + 1))
      yield* changeSetting(sql, "epoch", epoch)
      return epoch
    }, Effect.orDie),

    buckets: Effect.fn("Feeds.buckets")(function* (organisation) {
      const rows = yield* bucketRows(organisation)
      const buckets = Array.from({ length: BUCKETS }, () => EMPTY)
      for (const { bucket, count, a, b } of rows)
        if (bucket !== null) buckets[bucket] = { count, a, b }
      return { epoch: yield* epochOf, head: rows[0]?.head ?? 0, buckets }
    }, Effect.orDie),

    bucket: (organisation, bucket) => Effect.orDie(bucketItems({ organisation, bucket })),

    entities: Effect.fn("Feeds.entities")(function* (organisation, keys) {
      const found: Array<Change> = []
      const wanted = new Set(keys.map(keyText))
      yield* inChunks(keys, (chunk) =>
        Effect.map(items({ organisation, ids: chunk.map((key) => key.id) }), (rows) => {
          for (const row of rows) if (wanted.has(keyText(row))) found.push(row)
        })
      )
      return found
    }, Effect.orDie),

    offersBlob: Effect.fn("Feeds.offersBlob")(function* (organisations, blob) {
      const rows = yield* sql`
        SELECT 1 FROM offers
        WHERE blob = ${blob} AND digest IS NOT NULL AND ${sql.in("organisation", organisations)}
        LIMIT 1`
      return rows.length > 0
    }, Effect.orDie),

    blobs: Effect.fn("Feeds.blobs")(function* (organisations) {
      if (organisations.length === 0) return []
      const rows = yield* sql<{ blob: Digest }>`
        SELECT DISTINCT blob FROM offers
        WHERE blob IS NOT NULL AND digest IS NOT NULL AND ${sql.in("organisation", organisations)}
        ORDER BY blob`
      return rows.map(({ blob }) => blob)
    }, Effect.orDie)
  })
})

/** The name of a life of central that begins now. */
export const newLife = (now: number): string => lifeName(now, crypto.randomUUID().slice(0, 8))

const wide = (sql: SqlClient.SqlClient) =>
  sql.literal(sql.onDialectOrElse({ pg: () => "BIGINT", orElse: () => "INTEGER" }))

const OFFER_COLUMNS = {
  organisation: "text",
  kind: "text",
  id: "text",
  version: "integer",
  stamp: "text",
  digest: "text",
  a: "integer",
  b: "integer",
  bucket: "integer",
  blob: "text",
  body: "document"
} as const

const offerRow = (organisation: OrganisationId, offer: Offer, version: number) => {
  const { a, b } = offer.digest === null ? EMPTY : marks(offer.digest)
  const { kind, id } = offer.key
  const blob = kind === "delivery" && offer.body !== null ? blobOf(offer.body) : null
  const { stamp, digest, body } = offer
  const bucket = bucketOf(id)
  return { organisation, kind, id, version, stamp, digest, a, b, bucket, blob, body }
}

const blobOf = (body: string): Digest =>
  Schema.decodeUnknownSync(Schema.fromJsonString(BlobOf))(body).content.blob

/** The changes among page rows, cut where their bodies pass the size of a page. */
const cut = (rows: ReadonlyArray<typeof PageRow.Type>): ReadonlyArray<Change> => {
  const changes: Array<Change> = []
  let characters = 0
  for (const { version, kind, id, digest, body } of rows) {
    if (version === null || kind === null || id === null) continue
    characters += body?.length ?? 0
    if (characters > PAGE_CHARACTERS && changes.length > 0) break
    changes.push({ version, kind, id, digest, body })
  }
  return changes
}

export const layer = Layer.effect(Feeds, make)
