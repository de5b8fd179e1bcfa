/** Removes records from the catalogue, and what was offered of them from the feeds. */
import { Effect, Schema } from "effect"
import type { EntityId } from "../domain/id.ts"
import { personName } from "../domain/record.ts"
import { happened } from "./happened.ts"
import { Atomic, Catalogue, ImportWork } from "./ports.ts"
import { refresh } from "./refresh.ts"

/** Something that stays names what was to go. Nothing was removed. */
export class StillNamed extends Schema.TaggedError<StillNamed>()("StillNamed", {
  id: Schema.String,
  by: Schema.String
}) {}

/** Fails with StillNamed rather than leave a name that leads nowhere. Unknown ids count as gone. */
export const remove = Effect.fn("remove")(function* (ids: ReadonlyArray<EntityId>) {
  const atomic = yield* Atomic
  const catalogue = yield* Catalogue
  const work = yield* ImportWork
  return yield* atomic.run(
    Effect.gen(function* () {
      const going = new Set(ids)
      const known = yield* catalogue.byIds(ids)
      for (const { by, id } of yield* catalogue.naming(ids)) {
        if (!going.has(by)) return yield* new StillNamed({ id, by })
      }
      const concerned = yield* catalogue.concerned(ids)
      yield* catalogue.remove([...known.keys()])
      yield* work.forgetLogins(
        [...known.values()].flatMap((one) => ("login" in one ? [personName(one.login)] : []))
      )
      const offered = yield* refresh(concerned)
      yield* happened({
        verb: "import",
        who: "operator",
        reason: `removed ${known.size}`
      })
      return { removed: known.size, offered }
    })
  )
})
