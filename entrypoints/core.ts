/**
 * The reconciliation core as a library: the pure decisions of Testferry, importable without
 * starting anything (`import { scope, plan } from "testferry/core"`).
 *
 * - `scope`: which entities an organisation reaches in a catalogue's graph
 * - `plan`: what a device must do to hold what it is offered; what it must hold back
 * - `needsConfirmation`: whether so many removals need a person's word
 * - set digests: whether two sides hold the same, in three numbers, and where they differ
 * - `stamps`, `keyNeeds`, `rosters`: what is offered to whom, and which keys it takes
 * - `canonical`: the one byte form of a value
 *
 *     const remote = new Map([["test-center/ctr_1", "9f…"], ["delivery/dlv_2", "c4…"]])
 *     const local = new Map([["delivery/dlv_2", "00…"], ["delivery/dlv_3", "7a…"]])
 *     plan(local, remote, new Set(["delivery/dlv_3"]))
 *     // { create: ["test-center/ctr_1"], update: ["delivery/dlv_2"], remove: [], keep: [],
 *     //   held: ["delivery/dlv_3"] }
 *
 * The only file that re-exports.
 */
export { canonical, type Json, parseCanonical } from "../domain/canonical.ts"
export { type Sitting, sitting } from "../domain/eligible.ts"
export {
  type Entity,
  type EntityKey,
  keyFromText,
  keyText,
  references,
  withReferred
} from "../domain/entity.ts"
export { type Execution, needs } from "../domain/execution.ts"
export { linksOf } from "../domain/links.ts"
export { type Made, sealedStamp, stamps, wrapId, wrapParts } from "../domain/offer.ts"
export { isIdle, type Manifest, needsConfirmation, type Plan, plan } from "../domain/plan.ts"
export { support } from "../domain/release.ts"
export { type KeyNeed, keyNeeds, type Link, rosters, scope } from "../domain/scope.ts"
export {
  bucketOf,
  changed,
  EMPTY,
  marks,
  type SetDigest,
  sameSet
} from "../domain/set-digest.ts"
