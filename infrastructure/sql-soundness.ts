/** Reads rows of a device for a look at their bytes, and marks those that are no longer sound. */
import { Effect, Schema, Stream } from "effect"
import type { SqlClient } from "effect/sql"
import type { Held, Holdings } from "../application/ports.ts"
import { KINDS, type Kind } from "../domain/entity.ts"
import { Digest, EntityId } from "../domain/id.ts"
import { marks } from "../domain/set-digest.ts"
import { inChunks } from "./sql-chunks.ts"
import { changeSetting, setting } from "./sql-settings.ts"

/**
 * Stands in the place of the digest of a row that was condemned. Nothing has it, so the row differs
 * from whatever is offered, in the sums too, until it is written anew; also after a crash.
 */
export const CONDEMNED = Digest.make("0".repeat(64))

interface Row {
  readonly version: number
  readonly kind: Kind
  readonly id: EntityId
  readonly digest: Digest
  readonly body: string
  readonly tag: string | null
  readonly reader: string | null
}

type Soundness = Pick<
  Holdings["Service"],
  "rows" | "condemn" | "condemned" | "recheckedAt" | "rechecked"
>

export const soundness = (sql: SqlClient.SqlClient): Soundness => ({
  rows: (organisation) =>
    sql<Row>`
      SELECT version, kind, id, digest, body, tag, reader FROM holdings
      WHERE organisation = ${organisation} AND digest <> ${CONDEMNED}`.stream.pipe(
      Stream.map(({ reader, tag, ...change }): Held => ({ change, tag, reader })),
      Stream.orDie
    ),

  condemn: Effect.fn("Holdings.condemn")(function* (organisation, ids) {
    const { a, b } = marks(CONDEMNED)
    yield* inChunks(
      ids,
      (chunk) => sql`
        UPDATE holdings SET digest = ${CONDEMNED}, a = ${a}, b = ${b}
        WHERE organisation = ${organisation} AND ${sql.in("id", chunk)}`
    )
    const nameless = ids.filter((id) => !isEntityId(id))
    yield* sql`
      DELETE FROM holdings
      WHERE organisation = ${organisation}
        AND (NOT ${sql.in("kind", KINDS)} OR ${sql.in("id", nameless)})`
  }, Effect.orDie),

  // Its digest as a literal: only then SQLite sees that the index of the condemned has them all.
  condemned: (organisation) =>
    sql`
      SELECT 1 FROM holdings
      WHERE organisation = ${organisation} AND digest = ${sql.literal(`'${CONDEMNED}'`)}
      LIMIT 1`.pipe(
      Effect.map((rows) => rows.length > 0),
      Effect.orDie
    ),

  recheckedAt: (organisation) =>
    setting(sql, recheckOf(organisation)).pipe(
      Effect.map((at) => Number(at ?? 0)),
      Effect.orDie
    ),

  rechecked: (organisation, at) =>
    Effect.orDie(changeSetting(sql, recheckOf(organisation), String(at)))
})

const isEntityId = Schema.is(EntityId)

const recheckOf = (organisation: string) => `rechecked ${organisation}`
