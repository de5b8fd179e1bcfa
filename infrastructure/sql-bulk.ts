import type { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
export declare const inChunks: <A, B, E, R>(items: ReadonlyArray<A>, f: (chunk: ReadonlyArray<A>) => Effect.Effect<B, E, R>) => Effect.Effect<void, E, R>
export declare const insertRows: (sql: SqlClient.SqlClient, o: { table: string; columns: Record<string, "text" | "integer">; rows: ReadonlyArray<ReadonlyArray<string | number | null>>; onConflict: string }) => Effect.Effect<void, SqlError.SqlError>
