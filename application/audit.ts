/**
 * Finds and mends silent differences between what a device holds and what central offers.
 *
 * After a pull both sets must have the same digest. If they don't, the 256 buckets tell where they
 * differ; the entities of those buckets are compared one by one, and what is wrong here is fetched
 * anew or removed, in one transaction. Nothing of this is silent: it is reported and remembered.
 */
import { Effect } from "effect"
import { keyFromText, keyText } from "../domain/entity.ts"
import type { OrganisationId } from "../domain/id.ts"
import { plan } from "../domain/plan.ts"
import { BUCKETS, sameSet } from "../domain/set-digest.ts"
import { checkChange } from "./check.ts"
import { neededKeys } from "./needed.ts"
import { Atomic, Central, CentralInconsistent, Holdings } from "./ports.ts"

export interface Audited {
  /** Entities that were fetched anew. */
  readonly mended: number
  /** Entities that should not have been here. */
  readonly removed: number
  /** The digests differ although every entity agrees: central's own count is wrong. */
  readonly centralMiscounts: boolean
}

/** To be run when the cursor is at central's head; fails when central moved on meanwhile. */
export const audit = Effect.fn("audit")(function* (organisation: OrganisationId, head: number) {
  const atomic = yield* Atomic
  const central = yield* Central
  const holdings = yield* Holdings
  const offered = yield* central.buckets(organisation)
  if (offered.head !== head || offered.buckets.length !== BUCKETS) {
    return yield* new CentralInconsistent({ what: "the catalogue changed during the audit" })
  }
  const own = yield* holdings.bucketSets(organisation)
  const different = offered.buckets.flatMap((set, at) => {
    const mine = own[at]
    return mine !== undefined && sameSet(mine, set) ? [] : [at]
  })
  const local = new Map<string, string>()
  const remote = new Map<string, string>()
  for (const bucket of different) {
    for (const [key, digest] of yield* holdings.bucketManifest(organisation, bucket)) {
      local.set(key, digest)
    }
    for (const { digest, id, kind } of yield* central.bucket(organisation, bucket)) {
      if (digest !== null) remote.set(keyText({ kind, id }), digest)
    }
  }
  const todo = plan(local, remote, yield* neededKeys(organisation))
  const wanted = [...todo.create, ...todo.update]
  const fetched = yield* central.entities(organisation, wanted.map(keyFromText))
  const changes = yield* Effect.forEach(fetched, checkChange)
  const promised = changes.every(({ change }) => remote.get(keyText(change)) === change.digest)
  if (!promised || changes.length !== wanted.length) {
    return yield* new CentralInconsistent({ what: "the catalogue changed during the audit" })
  }
  const cursor = yield* holdings.cursor(organisation)
  yield* atomic.run(
    Effect.gen(function* () {
      yield* holdings.dropStaged(organisation)
      yield* holdings.stage(organisation, changes, cursor)
      yield* holdings.apply(organisation, todo, cursor)
    })
  )
  return {
    mended: wanted.length,
    removed: todo.remove.length,
    centralMiscounts: different.length === 0
  } satisfies Audited
})
