/** Keeps in SQL what package each content version was made from. */
import { Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Origin, Origins } from "../application/prepare-ports.ts"

export const layer = Layer.effect(
  Origins,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Origin))
    return Origins.of({
      put: ({ at, blob, delivery, originalSha256, originalSize, plainSha256, qti, version }) =>
        Effect.orDie(
          Effect.asVoid(sql`
            INSERT INTO package_origins (delivery, version, plain_sha256, original_sha256,
              original_size, blob, qti, at_ms)
            VALUES (${delivery}, ${version}, ${plainSha256}, ${originalSha256}, ${originalSize},
              ${blob}, ${qti}, ${at})`)
        ),
      list: sql`
        SELECT delivery, version, plain_sha256 AS "plainSha256",
          original_sha256 AS "originalSha256", original_size AS "originalSize", blob, qti,
          at_ms AS "at"
        FROM package_origins ORDER BY delivery, version DESC`.pipe(
        Effect.flatMap(decodeRows),
        Effect.orDie
      )
    })
  })
)
