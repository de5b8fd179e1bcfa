/**
 * Keeps count and sums of what a device holds, by organisation and kind, so that comparing a set with
 * central's reads some ten rows instead of all of them.
 *
 * The database keeps them itself, row by row, whoever writes the holdings: they can't be forgotten.
 * A row that is lost without having been deleted leaves them as they were; therefore they are made
 * anew whenever everything is looked at (`recheck.ts`).
 */
import { Effect, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import type { Holdings } from "../application/ports.ts"
import { Kind } from "../domain/entity.ts"
import type { OrganisationId } from "../domain/id.ts"
import { SetDigest } from "../domain/set-digest.ts"

type Sums = Pick<Holdings["Service"], "set" | "count" | "sumAnew">

export const sums = (sql: SqlClient.SqlClient): Sums => {
  const set = SqlSchema.findOne({
    Request: Schema.String,
    Result: SetDigest,
    execute: (organisation) => sql`
      SELECT COALESCE(SUM(count), 0) AS count, COALESCE(SUM(a), 0) AS a, COALESCE(SUM(b), 0) AS b
      FROM holding_sums
      WHERE organisation = ${organisation}`
  })
  const count = SqlSchema.findAll({
    Request: Schema.String,
    Result: Schema.Struct({ kind: Kind, count: Schema.Int }),
    execute: (organisation) => sql`
      SELECT kind, count FROM holding_sums WHERE organisation = ${organisation} AND count > 0`
  })
  return {
    set: (organisation) => Effect.orDie(set(organisation)),

    count: Effect.fn("Holdings.count")(function* (organisation) {
      return new Map((yield* count(organisation)).map(({ kind, count }) => [kind, count]))
    }, Effect.orDie),

    sumAnew: (organisation) => Effect.orDie(sql.withTransaction(sumAnew(sql, organisation)))
  }
}

const sumAnew = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  organisation: OrganisationId
) {
  yield* sql`DELETE FROM holding_sums WHERE organisation = ${organisation}`
  yield* sql`
    INSERT INTO holding_sums (organisation, kind, count, a, b)
    SELECT organisation, kind, COUNT(*), SUM(a), SUM(b)
    FROM holdings
    WHERE organisation = ${organisation} AND +held = 0
    GROUP BY kind`
})

/** The table, the triggers that keep it, and the sums of what is there already. */
export const holdingSums = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE holding_sums (
      organisation TEXT NOT NULL,
      kind TEXT NOT NULL,
      count INTEGER NOT NULL,
      a INTEGER NOT NULL,
      b INTEGER NOT NULL,
      PRIMARY KEY (organisation, kind)
    ) STRICT, WITHOUT ROWID`
  yield* sql`
    CREATE TRIGGER holdings_came AFTER INSERT ON holdings WHEN NEW.held = 0
    BEGIN
      INSERT INTO holding_sums (organisation, kind, count, a, b)
      VALUES (NEW.organisation, NEW.kind, 1, NEW.a, NEW.b)
      ON CONFLICT (organisation, kind)
        DO UPDATE SET count = count + 1, a = a + excluded.a, b = b + excluded.b;
    END`
  yield* sql`
    CREATE TRIGGER holdings_left AFTER DELETE ON holdings WHEN OLD.held = 0
    BEGIN
      UPDATE holding_sums SET count = count - 1, a = a - OLD.a, b = b - OLD.b
      WHERE organisation = OLD.organisation AND kind = OLD.kind;
    END`
  yield* sql`
    CREATE TRIGGER holdings_changed
    AFTER UPDATE OF organisation, kind, held, a, b ON holdings
    BEGIN
      UPDATE holding_sums SET count = count - 1, a = a - OLD.a, b = b - OLD.b
      WHERE organisation = OLD.organisation AND kind = OLD.kind AND OLD.held = 0;
      INSERT INTO holding_sums (organisation, kind, count, a, b)
      SELECT NEW.organisation, NEW.kind, 1, NEW.a, NEW.b WHERE NEW.held = 0
      ON CONFLICT (organisation, kind)
        DO UPDATE SET count = count + 1, a = a + excluded.a, b = b + excluded.b;
    END`
  yield* sql`
    INSERT INTO holding_sums (organisation, kind, count, a, b)
    SELECT organisation, kind, COUNT(*), SUM(a), SUM(b) FROM holdings WHERE held = 0
    GROUP BY organisation, kind`
})
