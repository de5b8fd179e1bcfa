/** Looks at databases from outside the program: plain rows, and what must be true of them. */
import assert from "node:assert/strict"
import fs from "node:fs"
import path from "node:path"
import { Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Entity, Kind, keyText, references } from "../../domain/entity.ts"
import { Execution, needs } from "../../domain/execution.ts"
import { Digest, EntityId, OrganisationId } from "../../domain/id.ts"
import { bucketOf, marks } from "../../domain/set-digest.ts"

const HeldRow = Schema.Struct({
  organisation: OrganisationId,
  id: EntityId,
  kind: Kind,
  version: Schema.Int,
  digest: Digest,
  a: Schema.Int,
  b: Schema.Int,
  bucket: Schema.Int,
  held: Schema.Int,
  body: Schema.String
})
export type HeldRow = typeof HeldRow.Type

const OfferRow = Schema.Struct({
  organisation: OrganisationId,
  kind: Kind,
  id: EntityId,
  version: Schema.Int,
  stamp: Schema.String,
  digest: Schema.NullOr(Digest),
  bucket: Schema.Int,
  body: Schema.NullOr(Schema.String)
})
export type OfferRow = typeof OfferRow.Type

export const read = <A, I>(schema: Schema.Codec<A, I>, text: string) => {
  const decode = Schema.decodeUnknownEffect(Schema.Array(schema))
  return Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.orDie(Effect.flatMap(sql.unsafe(text), (rows) => decode(rows)))
  )
}

/** Every entity on a device, held or kept back. */
export const heldRows = read(HeldRow, "SELECT * FROM holdings ORDER BY organisation, id")

/** Every offer of central, tombstones too. */
export const offerRows = read(OfferRow, "SELECT * FROM offers ORDER BY organisation, version")

const ExecutionRow = Schema.Struct({ body: Schema.fromJsonString(Execution) })
/** Every execution on a device, settled or not. */
export const executions = Effect.map(
  read(ExecutionRow, "SELECT body FROM executions ORDER BY id"),
  (rows) => rows.map(({ body }) => body)
)

const CursorRow = Schema.Struct({
  organisation: OrganisationId,
  version: Schema.Int,
  staged_version: Schema.Int
})
/** Where a device stands in its feeds. */
export const cursorRows = read(
  CursorRow,
  "SELECT organisation, version, staged_version FROM cursors ORDER BY organisation"
)

const Line = Schema.Record(Schema.String, Schema.Unknown)
/** What SQLite says about its own file; nothing is fine. */
export const integrity = Effect.map(read(Line, "PRAGMA integrity_check"), (rows) =>
  rows.map((row) => Object.values(row).join()).filter((line) => line !== "ok")
)

/** Runs one statement, past all the program's rules. */
export const tamper = (text: string, values: ReadonlyArray<unknown> = []) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.orDie(sql.unsafe(text, values)))

/** Keys of what is held, for one organisation; kept back or not. */
export const keysIn = (
  rows: ReadonlyArray<HeldRow>,
  organisation: string,
  held: 0 | 1
): ReadonlyArray<string> =>
  rows
    .filter((row) => row.organisation === organisation && row.held === held)
    .map(keyText)
    .sort()

const decodeEntity = Schema.decodeUnknownSync(Schema.fromJsonString(Entity))
const decoded = new Map<string, Entity>()
/** Bodies are looked at again and again; so many are remembered. */
const DECODED_MAX = 20_000
export const entityOf = ({ body }: { readonly body: string }): Entity => {
  const entity = decoded.get(body) ?? decodeEntity(body)
  if (decoded.size >= DECODED_MAX) decoded.clear()
  decoded.set(body, entity)
  return entity
}

/** Invariant 2: whatever an entity names is on the device, in the same organisation. */
export const assertResolves = (rows: ReadonlyArray<HeldRow>) => {
  const here = new Set(rows.map((row) => `${row.organisation} ${row.id}`))
  for (const row of rows) {
    for (const id of references(entityOf(row))) {
      assert.ok(here.has(`${row.organisation} ${id}`), `${row.id} names ${id}, which is not here`)
    }
  }
}

/** What a row says about its body is true. */
export const assertSound = (rows: ReadonlyArray<HeldRow>, sha256: (text: string) => string) => {
  for (const row of rows) {
    assert.equal(sha256(row.body), row.digest, `${row.id} is not what its digest says`)
    // What is kept back is not summed; its sums are written anew when it is offered again.
    if (row.held === 1) continue
    assert.deepEqual({ a: row.a, b: row.b }, marks(row.digest), `${row.id} has wrong marks`)
    assert.equal(row.bucket, bucketOf(row.id), `${row.id} is in the wrong bucket`)
  }
}

/** What is sealed is an age file, and not just spelt in other letters. */
export const assertSealed = (rows: ReadonlyArray<HeldRow>) => {
  for (const row of rows) {
    const entity = entityOf(row)
    const sealed =
      "profile" in entity
        ? entity.profile
        : entity.kind === "key-wrap"
          ? entity.box
          : entity.kind === "lti-consumer"
            ? entity.secret
            : undefined
    if (sealed === undefined) continue
    const text = Buffer.from(sealed, "base64").toString("latin1")
    assert.ok(text.startsWith("age-encryption.org/v1\n"), `${row.id} is not sealed`)
  }
}

/** Invariant 4: what an unsettled execution needs is on the device. */
export const assertKept = (rows: ReadonlyArray<HeldRow>, unsettled: ReadonlyArray<Execution>) => {
  const here = new Set(rows.map((row) => `${row.organisation} ${keyText(row)}`))
  for (const execution of unsettled) {
    for (const key of needs(execution)) {
      const text = `${execution.organisation} ${keyText(key)}`
      assert.ok(here.has(text), `${text} is gone, but ${execution.id} is ${execution.state}`)
    }
  }
}

/** Invariant 9, as far as it applies now: nothing like a secret can be read in these files. */
export const assertUnreadable = (folder: string, secret: RegExp) => {
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = path.join(folder, name)
    if (name.startsWith("keys") || !fs.statSync(file).isFile()) continue
    const found = secret.exec(fs.readFileSync(file, "latin1"))
    assert.equal(found, null, `${name} says "${found?.[0]}"`)
  }
}
