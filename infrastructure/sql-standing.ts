/**
 * Keeps the root documents and the revocation list that a side goes by. Central's roots are those
 * that it hands out; a device's came with its enrolment.
 */
import { Effect, Layer, Result, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Standing } from "../application/bundle-ports.ts"
import { Authority } from "../application/ports.ts"
import { parseCanonical } from "../domain/canonical.ts"
import { Enrolment, RootDocument, Signed } from "../domain/enrolment.ts"
import { NONE_REVOKED, Revocations } from "../domain/revocations.ts"
import { changeSetting, setting } from "./sql-settings.ts"

const REVOCATIONS = "revocations"
const ENROLMENT = "enrolment"

export const layerCentral = Layer.effect(
  Standing,
  Effect.gen(function* () {
    const authority = yield* Authority
    const sql = yield* SqlClient.SqlClient
    return Standing.of({
      root: Effect.flatMap(authority.roots, newest),
      putRoots: () => Effect.die(new Error("central's roots are made, not received")),
      ...revocations(sql)
    })
  })
)

export const layerDevice = Layer.effect(
  Standing,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const enrolment = Effect.orDie(Effect.flatMap(setting(sql, ENROLMENT), decodeEnrolment))
    return Standing.of({
      root: Effect.flatMap(enrolment, ({ roots }) => newest(roots)),
      putRoots: (fresh) =>
        Effect.orDie(
          Effect.flatMap(enrolment, ({ certificate, roots }) =>
            changeSetting(
              sql,
              ENROLMENT,
              JSON.stringify({ certificate, roots: [...roots, ...fresh] })
            )
          )
        ),
      ...revocations(sql)
    })
  })
)

const newest = Effect.fnUntraced(function* (chain: ReadonlyArray<Signed>) {
  const parsed = parseCanonical(chain.at(-1)?.text ?? "")
  const document = yield* Effect.orDie(decodeRoot(Result.getOrElse(parsed, () => null)))
  return { document, chain }
})

const revocations = (sql: SqlClient.SqlClient) => ({
  revocations: Effect.gen(function* () {
    const text = yield* setting(sql, REVOCATIONS)
    if (text === undefined) return { list: NONE_REVOKED, signed: null }
    const signed = yield* decodeSigned(text)
    return { list: yield* decodeList(signed.text), signed }
  }).pipe(Effect.orDie),
  putRevocations: (signed: Signed) =>
    Effect.orDie(changeSetting(sql, REVOCATIONS, JSON.stringify(signed)))
})

const decodeEnrolment = Schema.decodeUnknownEffect(Schema.fromJsonString(Enrolment))
const decodeRoot = Schema.decodeUnknownEffect(RootDocument)
const decodeSigned = Schema.decodeUnknownEffect(Schema.fromJsonString(Signed))
const decodeList = Schema.decodeUnknownEffect(Schema.fromJsonString(Revocations))
