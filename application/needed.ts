/**
 * Finds what may not be removed from a device yet: what running sessions and unacknowledged results
 * need, and everything that these refer to (invariants 2 and 4).
 */
import { Effect } from "effect"
import { keyText, references } from "../domain/entity.ts"
import { needs } from "../domain/execution.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { Executions, Holdings } from "./ports.ts"

/** The keys needed, closed under reference; empty when nothing runs and nothing is owed. */
export const neededKeys = Effect.fn("neededKeys")(function* (organisation: OrganisationId) {
  const executions = yield* Executions
  const holdings = yield* Holdings
  const owing = (yield* executions.unsettled).filter((one) => one.organisation === organisation)
  // Also of what can't be read here any more: nothing but central could bring it back.
  const keys = new Set(owing.flatMap(needs).map(keyText))
  let open: ReadonlyArray<EntityId> = [...new Set(owing.flatMap(needs).map((key) => key.id))]
  const seen = new Set<EntityId>()
  while (open.length > 0) {
    for (const id of open) seen.add(id)
    const found = yield* holdings.byIds(organisation, open)
    for (const entity of found) keys.add(keyText(entity))
    open = [...new Set(found.flatMap(references))].filter((id) => !seen.has(id))
  }
  return keys
})
