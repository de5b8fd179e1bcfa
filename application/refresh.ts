/**
 * Brings the feeds of organisations up to date with the catalogue, inside the transaction that
 * changed the catalogue.
 *
 * What an organisation must be offered follows from the graph alone; it is compared with what is
 * offered, and only the difference is made and appended. So the feed cannot drift from the scope:
 * there is no second path by which an entity could get into it or stay in it.
 */
import { Effect } from "effect"
import type { EntityKey } from "../domain/entity.ts"
import { keyFromText, keyText } from "../domain/entity.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { organisationNode } from "../domain/id.ts"
import type { Made } from "../domain/offer.ts"
import { stamps } from "../domain/offer.ts"
import { plan } from "../domain/plan.ts"
import { keyNeeds } from "../domain/scope.ts"
import { makeOffers } from "./offer.ts"
import { Catalogue, Feeds, SealedStore } from "./ports.ts"
import { report } from "./progress.ts"

/** Offers made at a time: bounds memory, and is enough for a database statement to pay off. */
const BATCH = 500

/** Refreshes the feeds of every organisation that any of these entities concerns. */
export const refreshConcerned = Effect.fn("refreshConcerned")(function* (
  before: ReadonlySet<OrganisationId>,
  ids: ReadonlyArray<EntityId>
) {
  const catalogue = yield* Catalogue
  const after = yield* catalogue.concerned(ids)
  return yield* refresh(new Set([...before, ...after]))
})

/** Returns how many changes were appended, over all these organisations. */
export const refresh = Effect.fn("refresh")(function* (organisations: ReadonlySet<OrganisationId>) {
  let appended = 0
  const withdrawn = new Set<string>()
  // In one order everywhere, so that two refreshes never wait for each other in a circle.
  for (const organisation of [...organisations].sort()) {
    appended += yield* refreshOne(organisation, withdrawn)
  }
  yield* forgetSealed([...withdrawn].map(keyFromText))
  return appended
})

/** Forgets what was sealed of these, where no organisation is offered it any more. */
const forgetSealed = Effect.fnUntraced(function* (keys: ReadonlyArray<EntityKey>) {
  const feeds = yield* Feeds
  const sealed = yield* SealedStore
  const offered = yield* feeds.offeredAnywhere(keys)
  yield* sealed.forget(keys.map(keyText).filter((key) => !offered.has(key)))
})

const refreshOne = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  withdrawn: Set<string>
) {
  const feeds = yield* Feeds
  yield* feeds.lock(organisation)
  const reach = yield* reachOf(organisation)
  const todo = plan(yield* feeds.stamps(organisation), reach.wanted, new Set())
  for (const key of todo.remove) withdrawn.add(key)
  let appended = yield* feeds.append(
    organisation,
    todo.remove.map((key) => ({ key: keyFromText(key), stamp: "", digest: null, body: null }))
  )
  const making = [...todo.create, ...todo.update].map(keyFromText)
  for (const [at, batch] of batches(making).entries()) {
    const offers = yield* makeOffers(organisation, batch, reach, (key) =>
      stampOf(reach.wanted, key)
    )
    appended += yield* feeds.append(organisation, offers)
    const done = Math.min((at + 1) * BATCH, making.length)
    yield* report({
      kind: "offers",
      label: `Preparing what ${organisation} receives`,
      phase: done === making.length ? "finished" : "running",
      done,
      total: making.length
    })
  }
  return appended
})

/** What an organisation reaches, and what makers of offers need to know about it. */
const reachOf = Effect.fnUntraced(function* (organisation: OrganisationId) {
  const catalogue = yield* Catalogue
  const links = yield* catalogue.linksWithin(organisation)
  const reached: ReadonlyArray<Made> = yield* catalogue.revisionsWithin(organisation)
  const showing = yield* catalogue.centersShowing(organisation)
  const offered = reached.some((one) => one.key.id === organisationNode(organisation))
  return {
    wanted: offered ? stamps(reached, showing, keyNeeds(links)) : new Map<string, string>(),
    reached: new Map(reached.map((one) => [one.key.id, one])),
    centers: reached.filter((one) => one.key.kind === "test-center"),
    showing
  }
})

const stampOf = (wanted: ReadonlyMap<string, string>, key: EntityKey): string =>
  wanted.get(`${key.kind}/${key.id}`) ?? ""

const batches = (keys: ReadonlyArray<EntityKey>): ReadonlyArray<ReadonlyArray<EntityKey>> =>
  Array.from({ length: Math.ceil(keys.length / BATCH) }, (_, at) =>
    keys.slice(at * BATCH, (at + 1) * BATCH)
  )
