/**
 * Keeps in SQL whom this side trusts: every root document from the first on, since whoever was away
 * for long must be walked through all of them, and the newest list of what was taken back.
 */
import { Effect, Layer, Result, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Standing } from "../application/bundle-ports.ts"
import { Signed } from "../domain/enrolment.ts"
import { NONE_REVOKED, Revocations } from "../domain/revocations.ts"
import { readRoot } from "../domain/root.ts"

type Root = Effect.Success<Standing["Service"]["root"]>

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  const signedOf = (kind: "root" | "revocations") => sql<{ signed: string }>`
    SELECT signed FROM documents WHERE kind = ${kind} ORDER BY version`
  const documents = (kind: "root" | "revocations") =>
    Effect.orDie(Effect.flatMap(signedOf(kind), decodeAll))

  /** What the root documents say: read once, as long as they are the same. */
  let known: { readonly texts: string; readonly root: Root } | undefined
  const root = Effect.gen(function* () {
    const rows = yield* Effect.orDie(signedOf("root"))
    const texts = rows.map(({ signed }) => signed).join("\n")
    if (known?.texts === texts) return known.root
    const chain = yield* Effect.orDie(decodeAll(rows))
    const newest = chain.at(-1)
    if (newest === undefined) return yield* Effect.die(new Error("no root document is trusted"))
    const read = { document: Result.getOrThrow(readRoot(newest.text)), chain }
    known = { texts, root: read }
    return read
  })

  /** Whoever was first is right; then it must be said that this was not us. */
  const insert = Effect.fnUntraced(function* (kind: string, version: number, signed: Signed) {
    yield* sql`
      INSERT INTO documents (kind, version, signed)
      VALUES (${kind}, ${version}, ${JSON.stringify(signed)})
      ON CONFLICT (kind, version) DO NOTHING`
    const [row] = yield* sql<{ signed: string }>`
      SELECT signed FROM documents WHERE kind = ${kind} AND version = ${version}`
    const kept = row === undefined ? undefined : yield* decodeSigned(row.signed)
    if (kept?.text !== signed.text)
      return yield* Effect.die(new Error(`another ${kind} ${version} was taken over meanwhile`))
  }, Effect.orDie)

  return Standing.of({
    chain: documents("root"),
    root,
    versions: Effect.gen(function* () {
      const rows = yield* sql<{ kind: string; version: number | string }>`
        SELECT kind, MAX(version) AS version FROM documents GROUP BY kind`
      const of = (kind: string) => Number(rows.find((row) => row.kind === kind)?.version ?? 0)
      return { root: of("root"), revocations: of("revocations") }
    }).pipe(Effect.orDie),
    putRoots: Effect.fn("Standing.putRoots")(function* (chain) {
      for (const signed of chain) {
        yield* insert("root", Result.getOrThrow(readRoot(signed.text)).version, signed)
      }
    }),
    revocations: Effect.gen(function* () {
      const signed = (yield* documents("revocations")).at(-1)
      if (signed === undefined) return { list: NONE_REVOKED, signed: null }
      return { list: yield* Effect.orDie(decodeList(signed.text)), signed }
    }),
    putRevocations: Effect.fn("Standing.putRevocations")(function* (signed) {
      const { version } = yield* decodeList(signed.text)
      yield* insert("revocations", version, signed)
      yield* sql`DELETE FROM documents WHERE kind = 'revocations' AND version < ${version}`
    }, Effect.orDie)
  })
})

const decodeSigned = Schema.decodeUnknownEffect(Schema.fromJsonString(Signed))
const decodeAll = (rows: ReadonlyArray<{ readonly signed: string }>) =>
  Effect.forEach(rows, ({ signed }) => decodeSigned(signed))
const decodeList = Schema.decodeUnknownEffect(Schema.fromJsonString(Revocations))

export const layer = Layer.effect(Standing, make)
