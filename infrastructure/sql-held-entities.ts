/** Reads the entities that a device holds out of their rows; what can't be read any more is damaged. */
import { Effect, Option, Result, Schema, Stream } from "effect"
import { type SqlClient, SqlSchema } from "effect/sql"
import { readEntity } from "../application/check.ts"
import { HoldingDamaged, type Holdings } from "../application/ports.ts"
import { type Entity, KeyWrap, Person } from "../domain/entity.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { inChunks } from "./sql-chunks.ts"
import { CONDEMNED } from "./sql-soundness.ts"

interface BodyRow {
  readonly body: string
}

type HeldEntities = Pick<
  Holdings["Service"],
  "mentioning" | "entities" | "deliveries" | "byIds" | "personByTag" | "wrapsFor"
>

export const heldEntities = (sql: SqlClient.SqlClient): HeldEntities => {
  const people = SqlSchema.findAll({
    Request: Schema.Struct({ organisation: Schema.String, tag: Schema.String }),
    Result: Schema.Struct({ digest: Schema.String, body: Schema.fromJsonString(Person) }),
    execute: ({ organisation, tag }) => sql`
      SELECT digest, body FROM holdings WHERE organisation = ${organisation} AND tag = ${tag}`
  })
  const wraps = SqlSchema.findAll({
    Request: Schema.Struct({ organisation: Schema.String, reader: Schema.String }),
    Result: Schema.Struct({ body: Schema.fromJsonString(KeyWrap) }),
    execute: ({ organisation, reader }) => sql`
      SELECT body FROM holdings
      WHERE organisation = ${organisation} AND reader = ${reader} AND digest <> ${CONDEMNED}
      ORDER BY id`
  })
  /** What fails to decode was decoded once, when it was staged: it has changed here since. */
  const damaged = (organisation: OrganisationId) => (error: { readonly _tag: string }) =>
    error._tag === "SchemaError"
      ? Effect.fail(new HoldingDamaged({ organisation }))
      : Effect.die(error)

  const entitiesOf = (organisation: OrganisationId, rows: ReadonlyArray<BodyRow>) =>
    Effect.suspend(() => {
      const found: Array<Entity> = []
      for (const { body } of rows) {
        const entity = readEntity(body)
        if (Result.isFailure(entity)) return Effect.fail(new HoldingDamaged({ organisation }))
        found.push(entity.success)
      }
      return Effect.succeed(found)
    })

  return {
    mentioning: (organisation, kinds, ids) => {
      const texts = new Set(ids.map((id) => JSON.stringify(id)))
      return sql<{ id: EntityId; body: string }>`
        SELECT id, body FROM holdings
        WHERE organisation = ${organisation} AND ${sql.in("kind", kinds)}`.stream.pipe(
        Stream.filter(({ body }) => body.match(TEXTS)?.some((text) => texts.has(text)) ?? false),
        Stream.map(({ id }) => id),
        Stream.runCollect,
        Effect.orDie
      )
    },

    entities: (organisation, kinds) =>
      sql<BodyRow>`
        SELECT body FROM holdings
        WHERE organisation = ${organisation} AND ${sql.in("kind", kinds)}
          AND digest <> ${CONDEMNED}
        ORDER BY kind, held, id`.stream.pipe(
        Stream.orDie,
        Stream.chunks,
        Stream.mapEffect((rows) => entitiesOf(organisation, rows)),
        Stream.flattenIterable
      ),

    deliveries: (organisation) =>
      sql<BodyRow>`
        SELECT body FROM holdings
        WHERE organisation = ${organisation} AND kind = 'delivery' AND digest <> ${CONDEMNED}
        ORDER BY held, id`.pipe(
        Effect.orDie,
        Effect.flatMap((rows) => entitiesOf(organisation, rows)),
        Effect.map((entities) => entities.filter((entity) => entity.kind === "delivery"))
      ),

    byIds: Effect.fn("Holdings.byIds")(function* (organisation, ids) {
      const found: Array<Entity> = []
      yield* inChunks(ids, (chunk) =>
        sql<BodyRow>`
          SELECT body FROM holdings
          WHERE organisation = ${organisation} AND ${sql.in("id", chunk)}
            AND digest <> ${CONDEMNED}`.pipe(
          Effect.orDie,
          Effect.flatMap((rows) => entitiesOf(organisation, rows)),
          Effect.map((entities) => found.push(...entities))
        )
      )
      return found
    }),

    personByTag: Effect.fn("Holdings.personByTag")(function* (organisation, tag) {
      const [row] = yield* Effect.catch(people({ organisation, tag }), damaged(organisation))
      if (row?.digest === CONDEMNED) return yield* new HoldingDamaged({ organisation })
      return Option.fromUndefinedOr(row?.body)
    }),

    wrapsFor: Effect.fn("Holdings.wrapsFor")(function* (organisation, reader) {
      const rows = yield* Effect.catch(wraps({ organisation, reader }), damaged(organisation))
      return rows.map((row) => row.body)
    })
  }
}

/** The texts in a body. Reading them so takes a tenth of the time of decoding or SQLite's json_tree. */
const TEXTS = /"(?:[^"\\]|\\.)*"/gu
