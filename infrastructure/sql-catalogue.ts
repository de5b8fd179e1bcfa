/** Keeps the catalogue in SQL: records by id and by natural name, and the graph of their links. */
import { Effect, Layer, Schema, Stream } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import type { Revision } from "../application/ports.ts"
import { Catalogue } from "../application/ports.ts"
import { canonical } from "../domain/canonical.ts"
import { Kind, PERSON_KINDS } from "../domain/entity.ts"
import type { OrganisationId } from "../domain/id.ts"
import { EntityId, organisationNode, organisationOfNode } from "../domain/id.ts"
import { linksOf } from "../domain/links.ts"
import { CatalogueRecord, keyVersion, labelOf, naturalName } from "../domain/record.ts"
import type { Relation } from "../domain/scope.ts"
import { insertRows } from "./sql-bulk.ts"
import { inChunks } from "./sql-chunks.ts"

const Body = Schema.Struct({ body: Schema.fromJsonString(CatalogueRecord) })
const MemberRow = Schema.Struct({ from_id: EntityId, to_id: EntityId })
/**
 * Rows of the graph are taken as they are: central wrote them from checked records, and reads all of
 * an organisation's before every change of its feed.
 */
interface RevisionRow {
  readonly id: EntityId
  readonly kind: Kind
  readonly revision: number
  readonly key_version: number
}
interface LinkRow {
  readonly from_id: EntityId
  readonly relation: Relation
  readonly to_id: EntityId
}
interface ShownRow {
  readonly person: EntityId
  readonly center: EntityId
  readonly key_version: number
}
const Id = Schema.Struct({ id: Schema.String })

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  /** The ids reachable from one node, as a common table expression named `reach`. */
  const reach = (node: string) => sql`
    RECURSIVE reach (id) AS (
      SELECT CAST(${node} AS TEXT)
      UNION
      SELECT links.to_id FROM links JOIN reach ON links.from_id = reach.id
    )`

  const bodies = (column: "id" | "name") =>
    SqlSchema.findAll({
      Request: Schema.Array(Schema.String),
      Result: Body,
      execute: (wanted) => sql`SELECT body FROM entities WHERE ${sql.in(column, wanted)}`
    })
  const bodiesById = bodies("id")
  const bodiesByName = bodies("name")
  const bodiesByLabel = SqlSchema.findAll({
    Request: Schema.Struct({ kind: Kind, labels: Schema.Array(Schema.String) }),
    Result: Body,
    execute: ({ kind, labels }) => sql`
      SELECT body FROM entities WHERE kind = ${kind} AND ${sql.in("label", labels)}`
  })
  const memberRows = SqlSchema.findAll({
    Request: Schema.Array(Schema.String),
    Result: MemberRow,
    execute: (nodes) => sql`
      SELECT from_id, to_id FROM links
      WHERE relation = 'member' AND ${sql.in("from_id", nodes)}
      ORDER BY to_id`
  })
  const namingRows = SqlSchema.findAll({
    Request: Schema.Array(Schema.String),
    Result: Schema.Struct({ owner_id: EntityId, to_id: EntityId }),
    execute: (ids) => sql`
      SELECT owner_id, to_id FROM links WHERE ${sql.in("to_id", ids)} AND owner_id <> to_id
      UNION
      SELECT owner_id, from_id FROM links WHERE ${sql.in("from_id", ids)} AND owner_id <> from_id`
  })
  // CROSS JOIN: SQLite keeps the order, and so begins with what is reached, not with all there is.
  const revisionRows = (node: EntityId) => sql<RevisionRow>`
    WITH ${reach(node)}
    SELECT entities.id, kind, revision, key_version
    FROM reach CROSS JOIN entities
    WHERE entities.id = reach.id`
  const linkRows = (node: EntityId) => sql<LinkRow>`
    WITH ${reach(node)}
    SELECT DISTINCT from_id, relation, to_id
    FROM reach CROSS JOIN links
    WHERE links.from_id = reach.id`
  const shownRows = (node: EntityId) => sql<ShownRow>`
    WITH ${reach(node)},
    people (id) AS (
      SELECT entities.id
      FROM reach CROSS JOIN entities
      WHERE entities.id = reach.id AND ${sql.in("kind", PERSON_KINDS)}
    )
    SELECT people.id AS person, centers.id AS center, centers.key_version
    FROM people CROSS JOIN links AS seats CROSS JOIN links AS rooms CROSS JOIN entities AS centers
    WHERE seats.to_id = people.id AND seats.relation = 'test-taker'
      AND rooms.to_id = seats.from_id AND rooms.relation = 'eligibility'
      AND centers.id = rooms.from_id
    UNION
    SELECT people.id, centers.id, centers.key_version
    FROM people CROSS JOIN links AS posts CROSS JOIN entities AS centers
    WHERE posts.to_id = people.id AND posts.relation IN ('administrator', 'proctor')
      AND centers.id = posts.from_id`
  const concernedRows = SqlSchema.findAll({
    Request: Schema.Array(Schema.String),
    Result: Id,
    execute: (ids) => sql`
      WITH RECURSIVE shown (id) AS (
        SELECT id FROM entities WHERE ${sql.in("id", ids)}
        UNION
        SELECT links.to_id FROM links JOIN shown ON links.from_id = shown.id
        WHERE links.relation IN ('eligibility', 'administrator', 'proctor', 'test-taker')
      ),
      up (id) AS (
        SELECT id FROM shown
        UNION
        SELECT links.from_id FROM links JOIN up ON links.to_id = up.id
      )
      SELECT id FROM up WHERE substr(id, 1, 4) = 'org:'`
  })

  const put = Effect.fn("Catalogue.put")(function* (given: ReadonlyArray<CatalogueRecord>) {
    // Of two of one record the later counts; the earlier must not leave its links behind.
    const records = [...new Map(given.map((record) => [record.id, record])).values()]
    yield* inChunks(
      records,
      (chunk) =>
        sql`DELETE FROM links WHERE ${sql.in(
          "owner_id",
          chunk.map((record) => record.id)
        )}`
    )
    yield* insertRows(sql, {
      table: "entities",
      columns: {
        id: "text",
        kind: "text",
        name: "text",
        label: "text",
        revision: "integer",
        key_version: "integer",
        body: "document"
      },
      rows: records.map((record) => ({
        id: record.id,
        kind: record.kind,
        name: naturalName(record),
        label: labelOf(record),
        revision: 1,
        key_version: keyVersion(record),
        body: canonical(record)
      })),
      onConflict: {
        key: ["id"],
        action:
          "DO UPDATE SET name = excluded.name, label = excluded.label," +
          " revision = entities.revision + 1, key_version = excluded.key_version," +
          " body = excluded.body"
      }
    })
    yield* insertRows(sql, {
      table: "links",
      columns: { owner_id: "text", from_id: "text", relation: "text", to_id: "text" },
      rows: records.flatMap((record) =>
        linksOf(record).map(({ from, relation, to }) => ({
          owner_id: record.id,
          from_id: from,
          relation,
          to_id: to
        }))
      ),
      onConflict: { key: ["owner_id", "from_id", "relation", "to_id"], action: "DO NOTHING" }
    })
  })

  return Catalogue.of({
    byNames: Effect.fn("Catalogue.byNames")(function* (names) {
      const found = new Map<string, CatalogueRecord>()
      yield* inChunks(names, (chunk) =>
        Effect.map(bodiesByName(chunk), (rows) => {
          for (const { body } of rows) found.set(naturalName(body), body)
        })
      )
      return found
    }, Effect.orDie),

    byIds: Effect.fn("Catalogue.byIds")(function* (ids) {
      const found = new Map<EntityId, CatalogueRecord>()
      yield* inChunks(ids, (chunk) =>
        Effect.map(bodiesById(chunk), (rows) => {
          for (const { body } of rows) found.set(body.id, body)
        })
      )
      return found
    }, Effect.orDie),

    byLabels: Effect.fn("Catalogue.byLabels")(function* (kind, labels) {
      const found: Array<CatalogueRecord> = []
      yield* inChunks(labels, (chunk) =>
        Effect.map(bodiesByLabel({ kind, labels: chunk }), (rows) =>
          found.push(...rows.map((row) => row.body))
        )
      )
      return found
    }, Effect.orDie),

    centersOf: Effect.fn("Catalogue.centersOf")(function* (organisations) {
      const found = new Map<OrganisationId, Array<EntityId>>()
      yield* inChunks(organisations, (chunk) =>
        Effect.map(memberRows(chunk.map(organisationNode)), (rows) => {
          for (const { from_id, to_id } of rows) {
            const organisation = organisationOfNode(from_id)
            if (organisation === undefined) continue
            const centers = found.get(organisation)
            if (centers === undefined) found.set(organisation, [to_id])
            else centers.push(to_id)
          }
        })
      )
      return found
    }, Effect.orDie),

    list: (kind) =>
      sql<{
        body: string
      }>`SELECT body FROM entities WHERE kind = ${kind} ORDER BY name`.stream.pipe(
        Stream.mapEffect((row) => decodeBody(row)),
        Stream.map((row) => row.body),
        Stream.orDie
      ),

    put: (records) => Effect.orDie(sql.withTransaction(put(records))),

    remove: Effect.fn("Catalogue.remove")(
      function* (ids) {
        yield* inChunks(ids, (chunk) =>
          Effect.all([
            sql`INSERT INTO retired (id, key_version)
              SELECT id, key_version FROM entities
              WHERE kind = 'delivery' AND ${sql.in("id", chunk)}
              ON CONFLICT (id) DO UPDATE SET key_version = excluded.key_version`,
            sql`DELETE FROM links WHERE ${sql.or([
              sql.in("owner_id", chunk),
              sql.in("from_id", chunk),
              sql.in("to_id", chunk)
            ])}`,
            sql`DELETE FROM entities WHERE ${sql.in("id", chunk)}`
          ])
        )
      },
      sql.withTransaction,
      Effect.orDie
    ),

    retiredVersion: (id) =>
      sql<{ key_version: number }>`SELECT key_version FROM retired WHERE id = ${id}`.pipe(
        Effect.map(([row]) => row?.key_version ?? 0),
        Effect.orDie
      ),

    naming: Effect.fn("Catalogue.naming")(function* (ids) {
      const found: Array<{ id: EntityId; by: EntityId }> = []
      yield* inChunks(ids, (chunk) =>
        Effect.map(namingRows(chunk), (rows) => {
          for (const { owner_id, to_id } of rows) found.push({ id: to_id, by: owner_id })
        })
      )
      return found
    }, Effect.orDie),

    concerned: Effect.fn("Catalogue.concerned")(function* (ids) {
      const found = new Set<OrganisationId>()
      yield* inChunks(ids, (chunk) =>
        Effect.map(concernedRows(chunk), (rows) => {
          for (const { id } of rows) {
            const organisation = organisationOfNode(id)
            if (organisation !== undefined) found.add(organisation)
          }
        })
      )
      return found
    }, Effect.orDie),

    linksWithin: Effect.fn("Catalogue.linksWithin")(function* (organisation) {
      const rows = yield* linkRows(organisationNode(organisation))
      return rows.map(({ from_id, relation, to_id }) => ({ from: from_id, relation, to: to_id }))
    }, Effect.orDie),

    revisionsWithin: Effect.fn("Catalogue.revisionsWithin")(function* (organisation) {
      const rows = yield* revisionRows(organisationNode(organisation))
      return rows.map(({ id, kind, revision, key_version }) => ({
        key: { kind, id },
        revision,
        keyVersion: key_version
      }))
    }, Effect.orDie),

    centersShowing: Effect.fn("Catalogue.centersShowing")(function* (organisation) {
      const shown = new Map<EntityId, Array<Revision>>()
      for (const { person, center, key_version } of yield* shownRows(
        organisationNode(organisation)
      )) {
        const made: Revision = {
          key: { kind: "test-center", id: center },
          revision: 0,
          keyVersion: key_version
        }
        const centers = shown.get(person)
        if (centers === undefined) shown.set(person, [made])
        else centers.push(made)
      }
      return shown
    }, Effect.orDie)
  })
})

const decodeBody = Schema.decodeUnknownEffect(Body)

export const layer = Layer.effect(Catalogue, make)
