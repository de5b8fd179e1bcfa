/** Chooses the contents that a bundle brings: those that are offered and not held already. */
import { Effect } from "effect"
import type { Digest } from "../domain/id.ts"
import { Outgoing } from "./bundle-ports.ts"
import { fileName } from "./send-bundle.ts"

/** `at` is the number of the first file that is free. */
export const stageContents = Effect.fn("stageContents")(function* (
  offered: ReadonlySet<Digest>,
  held: ReadonlySet<Digest>,
  at: number
) {
  const outgoing = yield* Outgoing
  const wanted = [...offered].filter((blob) => !held.has(blob)).sort()
  const brought = yield* Effect.forEach(wanted, (blob, nth) =>
    Effect.map(outgoing.blob(blob), (staged) => ({ blob, staged, file: fileName(at + nth) }))
  )
  return { brought, held: [...offered].filter((blob) => held.has(blob)).sort() }
})
