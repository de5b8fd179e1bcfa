/**
 * Finds and mends silent differences between what a device holds and what central offers.
 *
 * After a pull both sets must have the same digest. If they don't, the 256 buckets tell where they
 * differ; the entities of those buckets are compared one by one, and what is wrong here is fetched
 * anew or removed, in one transaction. Nothing of this is silent: it is reported and remembered.
 *
 * The sums are of the digests beside the bodies; `recheck.ts` sees to it that these tell the truth.
 */
import { Effect } from "effect"
import { keyFromText, keyText } from "../domain/entity.ts"
import type { OrganisationId } from "../domain/id.ts"
import { plan } from "../domain/plan.ts"
import { BUCKETS, bucketOf, changed, EMPTY, type SetDigest, sameSet } from "../domain/set-digest.ts"
import { checkChanges } from "./check.ts"
import { neededKeys } from "./needed.ts"
import { Atomic, Central, CentralInconsistent, Holdings } from "./ports.ts"
import { guardRemovals, type PullOptions } from "./pull.ts"

export interface Audited {
  /** Entities that were fetched anew. */
  readonly mended: number
  /** Entities that should not have been here. */
  readonly removed: number
  /** The digests differ although every entity agrees: central's own count is wrong. */
  readonly centralMiscounts: boolean
}

/**
 * To be run when the cursor is at central's head; fails when central moved on meanwhile, and with
 * RemovalNeedsConfirmation as a pull does.
 */
export const audit = Effect.fn("audit")(function* (
  organisation: OrganisationId,
  head: number,
  options: PullOptions
) {
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
    for (const [key, digest] of yield* localBucket(organisation, bucket, own[bucket])) {
      local.set(key, digest)
    }
    for (const { digest, id, kind } of yield* central.bucket(organisation, bucket)) {
      if (digest !== null) remote.set(keyText({ kind, id }), digest)
    }
  }
  const { create, update } = plan(local, remote, new Set())
  const wanted = [...create, ...update]
  const fetched = yield* central.entities(organisation, wanted.map(keyFromText))
  const changes = yield* checkChanges(fetched)
  const promised = changes.every(({ change }) => remote.get(keyText(change)) === change.digest)
  if (!promised || changes.length !== wanted.length) {
    return yield* new CentralInconsistent({ what: "the catalogue changed during the audit" })
  }
  const removed = yield* atomic.run(
    Effect.gen(function* () {
      // Asked inside the transaction, so that no session begins in between.
      const todo = plan(local, remote, yield* neededKeys(organisation))
      yield* guardRemovals(organisation, todo.remove, options)
      const cursor = yield* holdings.cursor(organisation)
      yield* holdings.dropStaged(organisation)
      yield* holdings.stage(organisation, changes, cursor)
      yield* holdings.apply(organisation, todo, cursor)
      return todo.remove.length
    })
  )
  return {
    mended: wanted.length,
    removed,
    centralMiscounts: different.length === 0
  } satisfies Audited
})

/**
 * The digests of one bucket here; empty where a row's own sums or bucket contradict its digest, for
 * then the row is to be written anew.
 */
const localBucket = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  bucket: number,
  set: SetDigest = EMPTY
) {
  const holdings = yield* Holdings
  const held = yield* holdings.bucketManifest(organisation, bucket)
  const summed = sameSet(changed(EMPTY, [], [...held.values()]), set)
  return new Map(
    [...held].map(([key, digest]) => {
      const sound = summed && bucketOf(keyFromText(key).id) === bucket
      return [key, sound ? digest : ""] as const
    })
  )
})
