/**
 * Keeps sessions in SQL while they are sat: who sits what in clear, the key and every save sealed.
 * When a session has ended, only its first row stays, so that the attempt counts.
 */
import { Effect, Layer, Option, Schema, Semaphore } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import { Sessions } from "../application/session-ports.ts"
import { canonical } from "../domain/canonical.ts"
import { LogEntry } from "../domain/result.ts"
import { Save, Session } from "../domain/session.ts"

export const layer = Layer.effect(
  Sessions,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const oneEnd = yield* Semaphore.make(1)
    const rows = (where: ReturnType<typeof sql.in>) =>
      SqlSchema.findAll({
        Request: Schema.Void,
        Result: Schema.Struct({ body: Schema.fromJsonString(Session) }),
        execute: () => sql`SELECT body FROM sessions WHERE ${where} ORDER BY number`
      })(undefined).pipe(
        Effect.map((found) => found.map(({ body }) => body)),
        Effect.orDie
      )
    const boxes = SqlSchema.findAll({
      Request: Schema.String,
      Result: Schema.Struct({ key_box: Schema.String }),
      execute: (execution) => sql`
        SELECT key_box FROM sessions WHERE execution = ${execution} AND key_box IS NOT NULL`
    })
    const saves = SqlSchema.findAll({
      Request: Schema.Struct({ execution: Schema.String, part: Schema.NullOr(Schema.String) }),
      Result: Save,
      execute: ({ execution, part }) => sql`
        SELECT part, seq, box, bytes FROM session_saves
        WHERE execution = ${execution} AND ${part === null ? sql`1 = 1` : sql`part = ${part}`}
        ORDER BY part`
    })
    const measures = SqlSchema.findOne({
      Request: Schema.String,
      Result: Schema.Struct({ parts: Schema.Int, bytes: Schema.Int }),
      execute: (execution) => sql`
        SELECT COUNT(*) AS parts, COALESCE(SUM(bytes), 0) AS bytes
        FROM session_saves WHERE execution = ${execution}`
    })
    const entries = SqlSchema.findAll({
      Request: Schema.Struct({ execution: Schema.String, last: Schema.Boolean }),
      Result: Schema.Struct({ entry: Schema.fromJsonString(LogEntry) }),
      execute: ({ execution, last }) => sql`
        SELECT entry FROM session_log WHERE execution = ${execution}
        ORDER BY number ${last ? sql`DESC LIMIT 1` : sql`ASC`}`
    })
    const run = (statement: Effect.Effect<unknown, unknown>) =>
      Effect.asVoid(Effect.orDie(statement))

    return Sessions.of({
      find: (execution) =>
        Effect.map(rows(sql`execution = ${execution}`), ([row]) => Option.fromUndefinedOr(row)),
      list: (of) => {
        if (of === "open") return rows(sql`open = 1`)
        return "testTaker" in of
          ? rows(sql`test_taker = ${of.testTaker}`)
          : rows(sql.in("test_center", of.testCenters))
      },
      add: (session, keyBox) =>
        run(sql`
          INSERT INTO sessions (execution, test_taker, test_center, open, body, key_box)
          VALUES (${session.execution}, ${session.testTaker}, ${session.testCenter}, 1,
            ${textOf(session)}, ${keyBox})`),
      put: (session) =>
        run(sql`
          UPDATE sessions SET body = ${textOf(session)}, open = ${session.finishedAt === null ? 1 : 0}
          WHERE execution = ${session.execution}`),
      keyBox: (execution) =>
        Effect.orDie(Effect.map(boxes(execution), ([row]) => Option.fromUndefinedOr(row?.key_box))),
      saves: (execution, part) => Effect.orDie(saves({ execution, part: part ?? null })),
      keep: (execution, { box, bytes, part, seq }) =>
        run(sql`
          INSERT INTO session_saves (execution, part, seq, box, bytes)
          VALUES (${execution}, ${part}, ${seq}, ${box}, ${bytes})
          ON CONFLICT (execution, part) DO UPDATE SET seq = excluded.seq, box = excluded.box,
            bytes = excluded.bytes`),
      measure: (execution) => Effect.orDie(measures(execution)),
      log: (execution) =>
        Effect.orDie(
          Effect.map(entries({ execution, last: false }), (all) => all.map(({ entry }) => entry))
        ),
      lastEntry: (execution) =>
        Effect.orDie(Effect.map(entries({ execution, last: true }), ([row]) => row?.entry)),
      addEntry: (execution, entry) =>
        run(sql`
          INSERT INTO session_log (execution, number, entry)
          VALUES (${execution}, ${entry.number}, ${canonical({ ...entry })})`),
      // What is deleted is overwritten in its pages; older copies of these are in the journal.
      strip: Effect.fn("Sessions.strip")(function* (execution) {
        yield* sql`PRAGMA secure_delete = ON`
        yield* sql`UPDATE sessions SET key_box = NULL WHERE execution = ${execution}`
        yield* sql`DELETE FROM session_saves WHERE execution = ${execution}`
        yield* sql`DELETE FROM session_log WHERE execution = ${execution}`
      }, Effect.orDie),
      scrub: run(sql`PRAGMA wal_checkpoint(TRUNCATE)`),
      alone: (effect) => oneEnd.withPermits(1)(effect)
    })
  })
)

const textOf = (session: Session): string => canonical({ ...session })
