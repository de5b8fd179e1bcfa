/**
 * Keeps what a device holds in SQL, and beside it what was fetched but not yet applied.
 *
 * A row is the entity's canonical body under its digest, never written again in other words. Rows
 * with `held = 1` are gone at central and stay only for a session or a result; they are not part of
 * the set that is compared with central.
 */
import { Effect, Layer, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import type { Checked } from "../application/ports.ts"
import { Holdings } from "../application/ports.ts"
import { type Kind, keyFromText, keyText, lookups } from "../domain/entity.ts"
import { START } from "../domain/feed.ts"
import type { OrganisationId } from "../domain/id.ts"
import { type Digest, EntityId } from "../domain/id.ts"
import type { Manifest, Plan } from "../domain/plan.ts"
import { BUCKETS, bucketOf, EMPTY, marks, SetDigest } from "../domain/set-digest.ts"
import { insertRows } from "./sql-bulk.ts"
import { inChunks } from "./sql-chunks.ts"
import { heldEntities } from "./sql-held-entities.ts"
import { sums } from "./sql-holding-sums.ts"
import { soundness } from "./sql-soundness.ts"

/**
 * Taken as it is: each was checked when it was staged, and checking them again on the way to every
 * plan took as long as reading them.
 */
interface DigestRow {
  readonly kind: Kind
  readonly id: EntityId
  readonly digest: Digest | null
}
const CursorRow = Schema.Struct({
  epoch: Schema.String,
  version: Schema.Int,
  staged_epoch: Schema.String,
  staged_version: Schema.Int
})
const BucketRow = Schema.Struct({ bucket: Schema.Int, ...SetDigest.fields })

/**
 * Where ids or kinds are asked for, `held` stands behind a plus: without statistics SQLite would
 * rather read a whole organisation by the index that begins with `held`.
 */
const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  const cursorRow = SqlSchema.findAll({
    Request: Schema.String,
    Result: CursorRow,
    execute: (organisation) => sql`
      SELECT epoch, version, staged_epoch, staged_version
      FROM cursors
      WHERE organisation = ${organisation}`
  })
  const stagedRows = (organisation: OrganisationId) => sql<DigestRow>`
    SELECT kind, id, digest FROM staged WHERE organisation = ${organisation}`
  const heldRows = (organisation: OrganisationId) => sql<DigestRow>`
    SELECT kind, id, digest FROM holdings WHERE organisation = ${organisation} AND held = 0`
  const bucketKeyRows = (organisation: OrganisationId, bucket: number) => sql<DigestRow>`
    SELECT kind, id, digest FROM holdings
    WHERE organisation = ${organisation} AND held = 0 AND bucket = ${bucket}`
  const rowsOf = (organisation: OrganisationId, ids: ReadonlyArray<EntityId>) => sql<DigestRow>`
    SELECT kind, id, digest FROM holdings
    WHERE organisation = ${organisation} AND +held = 0 AND ${sql.in("id", ids)}`
  const keptRows = (organisation: OrganisationId) => sql<DigestRow>`
    SELECT kind, id, digest FROM holdings WHERE organisation = ${organisation} AND held = 1`
  const bucketRows = SqlSchema.findAll({
    Request: Schema.String,
    Result: BucketRow,
    execute: (organisation) => sql`
      SELECT bucket, COUNT(*) AS count, SUM(a) AS a, SUM(b) AS b
      FROM holdings
      WHERE organisation = ${organisation} AND held = 0
      GROUP BY bucket`
  })
  const byKey = (rows: ReadonlyArray<DigestRow>) =>
    new Map(rows.map((row) => [keyText(row), row.digest]))

  const manifest = Effect.fn("Holdings.manifest")(function* (
    organisation: OrganisationId,
    keys: ReadonlyArray<string> | "all"
  ) {
    const held = new Map<string, string>()
    const keep = (rows: ReadonlyArray<DigestRow>) => {
      for (const row of rows) if (row.digest !== null) held.set(keyText(row), row.digest)
    }
    if (keys === "all") keep(yield* heldRows(organisation))
    else {
      yield* inChunks(keys, (chunk) => Effect.map(rowsOf(organisation, chunk.map(idOf)), keep))
    }
    return held satisfies Manifest
  }, Effect.orDie)

  /** Which of these ids are in a column. */
  const idsAmong = Effect.fn("Holdings.idsAmong")(function* (
    column: "id" | "reader",
    organisation: OrganisationId,
    ids: ReadonlyArray<EntityId>
  ) {
    const found = new Set<EntityId>()
    yield* inChunks(ids, (chunk) =>
      Effect.map(
        sql<{ id: EntityId }>`
          SELECT DISTINCT ${sql(column)} AS id FROM holdings
          WHERE organisation = ${organisation} AND ${sql.in(column, chunk)}`,
        (rows) => {
          for (const { id } of rows) found.add(id)
        }
      )
    )
    return found
  }, Effect.orDie)

  const setCursor = (organisation: OrganisationId, cursor: typeof START) => sql`
    INSERT INTO cursors (organisation, epoch, version, staged_epoch, staged_version)
    VALUES (${organisation}, ${cursor.epoch}, ${cursor.version}, '', 0)
    ON CONFLICT (organisation) DO UPDATE SET epoch = excluded.epoch, version = excluded.version,
      staged_epoch = '', staged_version = 0`

  const dropStaged = Effect.fn("Holdings.dropStaged")(function* (organisation: OrganisationId) {
    const [others] = yield* sql<{ found: number }>`
      SELECT EXISTS (SELECT 1 FROM staged WHERE organisation < ${organisation})
        OR EXISTS (SELECT 1 FROM staged WHERE organisation > ${organisation}) AS found`
    // Without a condition SQLite lets go of whole pages, and does not visit every row.
    yield* others?.found === 0
      ? sql`DELETE FROM staged`
      : sql`DELETE FROM staged WHERE organisation = ${organisation}`
    yield* sql`
      UPDATE cursors SET staged_epoch = '', staged_version = 0
      WHERE organisation = ${organisation}`
  })

  const apply = Effect.fn("Holdings.apply")(function* (
    organisation: OrganisationId,
    plan: Plan,
    cursor: typeof START | undefined,
    fresh: ReadonlyArray<Checked> = []
  ) {
    yield* inChunks(
      plan.remove,
      (chunk) => sql`
      DELETE FROM holdings
      WHERE organisation = ${organisation} AND ${sql.in("id", chunk.map(idOf))}`
    )
    yield* inChunks(
      plan.held,
      (chunk) => sql`
      UPDATE holdings SET held = 1
      WHERE organisation = ${organisation} AND ${sql.in("id", chunk.map(idOf))}`
    )
    // After the removals: what stood here under a wrong kind goes, and comes again under its own.
    yield* sql`
      INSERT INTO holdings
        (organisation, id, kind, version, digest, a, b, bucket, held, tag, reader, body)
      SELECT organisation, id, kind, version, digest, a, b, bucket, 0, tag, reader, body
      FROM staged
      WHERE organisation = ${organisation} AND digest IS NOT NULL
      ON CONFLICT (organisation, id) ${sql.literal(TAKE_OVER)}`
    // The last change of an entity counts, as it does for what is staged.
    const last = new Map(fresh.map((checked) => [checked.change.id, checked]))
    const offered = [...last.values()].filter(({ change }) => change.digest !== null)
    yield* insertRows(sql, {
      table: "holdings",
      columns: HELD_COLUMNS,
      rows: offered.map((checked) => ({ ...stagedRow(organisation, checked), held: 0 })),
      onConflict: { key: ["organisation", "id"], action: TAKE_OVER }
    })
    if (cursor !== undefined) yield* setCursor(organisation, cursor)
    yield* dropStaged(organisation)
  })

  return Holdings.of({
    cursor: Effect.fn("Holdings.cursor")(function* (organisation) {
      const [row] = yield* cursorRow(organisation)
      return row === undefined ? START : { epoch: row.epoch, version: row.version }
    }, Effect.orDie),

    stagedCursor: Effect.fn("Holdings.stagedCursor")(function* (organisation) {
      const [row] = yield* cursorRow(organisation)
      if (row === undefined) return START
      return row.staged_version > 0
        ? { epoch: row.staged_epoch, version: row.staged_version }
        : { epoch: row.epoch, version: row.version }
    }, Effect.orDie),

    stage: Effect.fn("Holdings.stage")(
      function* (organisation, changes, reached) {
        yield* insertRows(sql, {
          table: "staged",
          columns: STAGED_COLUMNS,
          rows: changes.map((checked) => stagedRow(organisation, checked)),
          onConflict: {
            key: ["organisation", "id"],
            action:
              "DO UPDATE SET version = excluded.version, digest = excluded.digest, a = excluded.a," +
              " b = excluded.b, tag = excluded.tag, reader = excluded.reader, body = excluded.body"
          }
        })
        yield* sql`
        INSERT INTO cursors (organisation, epoch, version, staged_epoch, staged_version)
        VALUES (${organisation}, '', 0, ${reached.epoch}, ${reached.version})
        ON CONFLICT (organisation) DO UPDATE SET staged_epoch = excluded.staged_epoch,
          staged_version = excluded.staged_version`
      },
      sql.withTransaction,
      Effect.orDie
    ),

    staged: (organisation) => Effect.orDie(Effect.map(stagedRows(organisation), byKey)),

    dropStaged: (organisation) => Effect.orDie(sql.withTransaction(dropStaged(organisation))),

    restart: Effect.fn("Holdings.restart")(
      function* (organisation) {
        yield* setCursor(organisation, START)
        yield* dropStaged(organisation)
      },
      sql.withTransaction,
      Effect.orDie
    ),

    manifest,

    apply: (organisation, plan, cursor, fresh) =>
      Effect.orDie(apply(organisation, plan, cursor, fresh)),

    keptBack: (organisation) =>
      Effect.orDie(Effect.map(keptRows(organisation), (rows) => rows.map(keyText))),

    release: Effect.fn("Holdings.release")(function* (organisation, keys) {
      yield* inChunks(
        keys,
        (chunk) => sql`
        DELETE FROM holdings
        WHERE organisation = ${organisation} AND held = 1 AND ${sql.in("id", chunk.map(idOf))}`
      )
    }, Effect.orDie),

    present: (organisation, ids) => idsAmong("id", organisation, ids),

    readers: (organisation, ids) => idsAmong("reader", organisation, ids),

    idsOf: (organisation, kind) =>
      sql<{ id: string }>`
        SELECT id FROM holdings WHERE organisation = ${organisation} AND kind = ${kind}`.pipe(
        Effect.map((rows) => rows.map(({ id }) => EntityId.make(id))),
        Effect.orDie
      ),

    bucketSets: Effect.fn("Holdings.bucketSets")(function* (organisation) {
      const sets = Array.from({ length: BUCKETS }, () => EMPTY)
      for (const { bucket, count, a, b } of yield* bucketRows(organisation)) {
        sets[bucket] = { count, a, b }
      }
      return sets
    }, Effect.orDie),

    bucketManifest: Effect.fn("Holdings.bucketManifest")(function* (organisation, bucket) {
      const rows = yield* bucketKeyRows(organisation, bucket)
      return new Map(rows.map((row) => [keyText(row), row.digest ?? ""]))
    }, Effect.orDie),

    ...heldEntities(sql),
    ...sums(sql),
    ...soundness(sql)
  })
})

const idOf = (key: string): EntityId => keyFromText(key).id

const STAGED_COLUMNS = {
  organisation: "text",
  id: "text",
  kind: "text",
  version: "integer",
  digest: "text",
  a: "integer",
  b: "integer",
  bucket: "integer",
  tag: "text",
  reader: "text",
  body: "document"
} as const

const HELD_COLUMNS = { ...STAGED_COLUMNS, held: "integer" } as const

/** What replaces a row that is here. It is offered: nothing keeps it back any more. */
const TAKE_OVER =
  "DO UPDATE SET kind = excluded.kind, version = excluded.version, digest = excluded.digest," +
  " a = excluded.a, b = excluded.b, bucket = excluded.bucket, held = 0, tag = excluded.tag," +
  " reader = excluded.reader, body = excluded.body"

const stagedRow = (organisation: OrganisationId, { change, entity }: Checked) => {
  const { version, kind, id, digest, body } = change
  const { a, b } = digest === null ? EMPTY : marks(digest)
  const { reader, tag } = lookups(entity)
  const bucket = bucketOf(id)
  return { organisation, id, kind, version, digest, a, b, bucket, tag, reader, body }
}

export const layer = Layer.effect(Holdings, make)
