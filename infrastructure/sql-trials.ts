/** Remembers in SQL which contents were opened on this device. */
import { Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { Trials } from "../application/session-ports.ts"
import type { Digest } from "../domain/id.ts"
import { setting, settleSetting } from "./sql-settings.ts"

export const layer = Layer.effect(
  Trials,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const openedAt = (blob: Digest) =>
      Effect.orDie(
        Effect.map(setting(sql, nameOf(blob)), (at) =>
          at === undefined ? Option.none<number>() : Option.some(Number(at))
        )
      )
    return Trials.of({
      openedAt,
      // Looked for first: a write would make whoever logs in wait for the disk each time.
      note: (blob, at) =>
        Effect.flatMap(openedAt(blob), (known) =>
          Option.isSome(known)
            ? Effect.void
            : Effect.orDie(Effect.asVoid(settleSetting(sql, nameOf(blob), String(at))))
        )
    })
  })
)

/** A device sees hundreds of contents in its life: no table of their own. */
const nameOf = (blob: Digest) => `opened.${blob}`
