/**
 * A delivery execution on a device, as far as synchronising must know it: while it runs, or while
 * its result is not acknowledged, what it needs is held (invariant 4).
 */
import { Schema } from "effect"
import type { EntityKey } from "./entity.ts"
import { Digest, EntityId, Millis, OrganisationId } from "./id.ts"

/** `running`: a session is open. `pending`: finished, not acknowledged. `settled`: nothing is owed. */
export const ExecutionState = Schema.Literals(["running", "pending", "settled"])
export type ExecutionState = typeof ExecutionState.Type

export const Execution = Schema.Struct({
  id: Schema.String,
  organisation: OrganisationId,
  delivery: EntityId,
  contentVersion: Schema.Int,
  blob: Digest,
  testTaker: EntityId,
  testCenter: EntityId,
  eligibility: EntityId,
  wrap: EntityId,
  state: ExecutionState,
  startedAt: Millis
})
export type Execution = typeof Execution.Type

/**
 * What must stay on the device while this execution is not settled. The eligibility may go: what the
 * execution took from it, it keeps itself. Whoever holds these also holds what they refer to.
 */
export const needs = (execution: Execution): ReadonlyArray<EntityKey> =>
  execution.state === "settled"
    ? []
    : [
        { kind: "delivery", id: execution.delivery },
        { kind: "test-taker", id: execution.testTaker },
        { kind: "test-center", id: execution.testCenter },
        { kind: "key-wrap", id: execution.wrap }
      ]
