/** Keeps opened results in SQL, and lets one process at a time open the same ones. */
import { Effect, Layer, Option, Schema, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { Claims, type OpenedResult, OpenedResults } from "../application/record-ports.ts"
import { canonical } from "../domain/canonical.ts"
import { DeviceId, Digest } from "../domain/id.ts"
import { ResultDocument } from "../domain/result.ts"

/** Rows of one page: each holds a whole document, and a document may have megabytes. */
const PAGE_ROWS = 32

const Row = Schema.Struct({
  device: DeviceId,
  sha256: Digest,
  opened_ms: Schema.Int,
  conflict: Schema.Int,
  document: Schema.fromJsonString(ResultDocument)
})

export const layerOpened = Layer.effect(
  OpenedResults,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))

    const put = Effect.fnUntraced(function* ({ device, document, openedAt, sha256 }: New) {
      const { delivery, execution, organisation, revision } = document
      const added = yield* sql`
        INSERT INTO opened_results
          (device, sha256, execution, revision, delivery, organisation, opened_ms, document)
        VALUES (${device}, ${sha256}, ${execution}, ${revision}, ${delivery}, ${organisation},
          ${openedAt}, ${canonical({ ...document })})
        ON CONFLICT (device, sha256) DO NOTHING
        RETURNING sha256`
      if (added.length === 0) return "same" as const
      const others = yield* sql`
        SELECT sha256 FROM opened_results
        WHERE execution = ${execution} AND revision = ${revision}
          AND (device, sha256) <> (${device}, ${sha256})
        LIMIT 1`
      return others.length > 0 ? ("duplicate" as const) : ("new" as const)
    })

    const page = Effect.fnUntraced(function* (filter: Filter, after: Key | undefined) {
      const { delivery, organisation } = filter
      const conditions = [
        sql`o.opened_ms >= 0`,
        ...(delivery === undefined ? [] : [sql`o.delivery = ${delivery}`]),
        ...(organisation === undefined ? [] : [sql`o.organisation = ${organisation}`]),
        ...(after === undefined
          ? []
          : [
              sql`(o.opened_ms, o.sha256, o.device)
                > (${after.openedAt}, ${after.sha256}, ${after.device})`
            ])
      ]
      const rows = yield* sql`
        SELECT o.device, o.sha256, o.opened_ms, o.document,
          CASE WHEN EXISTS (
            SELECT 1 FROM opened_results p
            WHERE p.execution = o.execution AND p.revision = o.revision
              AND (p.device, p.sha256) <> (o.device, o.sha256)
          ) THEN 1 ELSE 0 END AS conflict
        FROM opened_results o
        WHERE ${sql.and(conditions)}
        ORDER BY o.opened_ms, o.sha256, o.device
        LIMIT ${PAGE_ROWS}`
      const found = (yield* decodeRows(rows)).map(opened)
      const last: Key | undefined = found.length < PAGE_ROWS ? undefined : found.at(-1)
      return [found, Option.fromUndefinedOr(last)] as const
    }, Effect.orDie)

    return OpenedResults.of({
      put: (results) => Effect.orDie(Effect.forEach(results, put)),
      list: (filter) =>
        Stream.paginate(undefined as Key | undefined, (after) => page(filter, after))
    })
  })
)

type New = Omit<OpenedResult, "conflict">
type Filter = Parameters<OpenedResults["Service"]["list"]>[0]
type Key = Pick<OpenedResult, "device" | "sha256" | "openedAt">

const opened = ({ conflict, opened_ms, ...rest }: typeof Row.Type): OpenedResult => ({
  ...rest,
  openedAt: opened_ms,
  conflict: conflict === 1
})

/**
 * Locks that PostgreSQL keeps for a transaction and forgets with it, also when its process is
 * killed. The embedded database has one process, so everything is its own.
 */
export const layerClaims = Layer.effect(
  Claims,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    return Claims.of({
      claim: (names) =>
        sql.onDialectOrElse({
          pg: () =>
            Effect.orDie(
              Effect.map(
                sql<{ ours: boolean }>`
                  SELECT pg_try_advisory_xact_lock(hashtextextended(name, ${CLAIM_SEED})) AS ours
                  FROM unnest(${names}::text[]) WITH ORDINALITY AS claimed (name, number)
                  ORDER BY number`,
                (rows) => rows.map(({ ours }) => ours)
              )
            ),
          orElse: () => Effect.succeed(names.map(() => true))
        })
    })
  })
)

/** Keeps these locks apart from others that are made of texts. */
const CLAIM_SEED = 7_310
