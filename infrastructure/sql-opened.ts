/** Keeps opened results in SQL, each as its device wrote it. */
import { Effect, Layer, Option, Schema, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { type NewOpened, type OpenedResult, OpenedResults } from "../application/record-ports.ts"
import { DeviceId, Digest } from "../domain/id.ts"
import { ResultDocument } from "../domain/result.ts"
import { insertReturning } from "./sql-bulk.ts"

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

    const put = Effect.fnUntraced(function* (results: ReadonlyArray<NewOpened>) {
      if (results.length === 0) return []
      const added = yield* insertReturning(sql, {
        table: "opened_results",
        columns: COLUMNS,
        rows: results.map(({ device, facts, openedAt, sha256, text }) => {
          const { delivery, execution, organisation, revision } = facts
          const what = { execution, revision, delivery, organisation }
          return { device, sha256, ...what, opened_ms: openedAt, document: text }
        }),
        onConflict: {
          key: ["device", "sha256"],
          action: "DO NOTHING RETURNING device, sha256, execution, revision"
        }
      }).pipe(Effect.flatMap(decodeNames))
      const executions = results.map(({ facts }) => facts.execution)
      const there = yield* sql`
        SELECT device, sha256, execution, revision FROM opened_results
        WHERE ${sql.in("execution", [...new Set(executions)])}`.pipe(Effect.flatMap(decodeNames))
      return answersOf(results, added, there)
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
      put: (results) => Effect.orDie(put(results)),
      list: (filter) =>
        Stream.paginate(undefined as Key | undefined, (after) => page(filter, after))
    })
  })
)

const COLUMNS = {
  device: "text",
  sha256: "text",
  execution: "text",
  revision: "integer",
  delivery: "text",
  organisation: "text",
  opened_ms: "integer",
  document: "document"
} as const

const Known = Schema.Struct({
  device: Schema.String,
  sha256: Schema.String,
  execution: Schema.String,
  revision: Schema.Int
})
const decodeNames = Schema.decodeUnknownEffect(Schema.Array(Known))
type Known = typeof Known.Type

/** Results of one batch count in their order: the second of one execution is the duplicate. */
const answersOf = (
  results: ReadonlyArray<NewOpened>,
  added: ReadonlyArray<Known>,
  there: ReadonlyArray<Known>
): ReadonlyArray<"new" | "same" | "duplicate"> => {
  const nameOf = ({ device, sha256 }: Pick<Known, "device" | "sha256">) => `${device} ${sha256}`
  const ofWhat = ({ execution, revision }: Pick<Known, "execution" | "revision">) =>
    `${revision} ${execution}`
  const fresh = new Set(added.map(nameOf))
  const seen = new Set(there.filter((one) => !fresh.has(nameOf(one))).map(ofWhat))
  return results.map((one) => {
    if (!fresh.delete(nameOf(one))) return "same"
    const what = ofWhat(one.facts)
    if (seen.has(what)) return "duplicate"
    seen.add(what)
    return "new"
  })
}

type Filter = Parameters<OpenedResults["Service"]["list"]>[0]
type Key = Pick<OpenedResult, "device" | "sha256" | "openedAt">

const opened = ({ conflict, opened_ms, ...rest }: typeof Row.Type): OpenedResult => ({
  ...rest,
  openedAt: opened_ms,
  conflict: conflict === 1
})
