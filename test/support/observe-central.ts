/**
 * Says in the pure words of the domain what central must offer, and compares: each organisation's
 * feed, its sums and its graph in SQL against the same computed from the plain list of records.
 */
import assert from "node:assert/strict"
import { Effect, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { Atomic, Catalogue, Feeds, Hashing } from "../../application/ports.ts"
import { refresh } from "../../application/refresh.ts"
import { KINDS, keyText, PERSON_KINDS } from "../../domain/entity.ts"
import { type EntityId, type OrganisationId, organisationOfNode } from "../../domain/id.ts"
import { linksOf } from "../../domain/links.ts"
import { wrapId } from "../../domain/offer.ts"
import { type CatalogueRecord, keyVersion } from "../../domain/record.ts"
import { keyNeeds, type Link, rosters, scope } from "../../domain/scope.ts"
import { BUCKETS, bucketOf, changed, EMPTY } from "../../domain/set-digest.ts"
import { type OfferRow, offerRows } from "./observe.ts"

/** Every record of the catalogue. */
export const allRecords = Effect.gen(function* () {
  const catalogue = yield* Catalogue
  const found: Array<CatalogueRecord> = []
  for (const kind of KINDS) {
    yield* Stream.runForEach(catalogue.list(kind), (record) =>
      Effect.sync(() => found.push(record))
    )
  }
  return found
})

/** The keys of what was sealed and is kept. */
export const sealedKeys = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.orDie(
    Effect.map(sql<{ key: string }>`SELECT key FROM sealed ORDER BY key`, (rows) =>
      rows.map(({ key }) => key)
    )
  )
)

const isPerson = ({ kind }: CatalogueRecord) => PERSON_KINDS.some((one) => one === kind)

/** The graph of a catalogue, and its records by id. */
const graphOf = (all: ReadonlyArray<CatalogueRecord>) => ({
  links: all.flatMap(linksOf),
  records: new Map(all.map((record): readonly [EntityId, CatalogueRecord] => [record.id, record]))
})

/** The keys that an organisation must be offered, by the pure scope. */
export const expectedKeys = (
  all: ReadonlyArray<CatalogueRecord>,
  organisation: OrganisationId
): ReadonlyArray<string> => {
  const { links, records } = graphOf(all)
  const reached = scope(links, organisation)
  const inside = [...reached].flatMap((id) => records.get(id) ?? [])
  if (!inside.some((record) => record.kind === "organisation")) return []
  const hasCenters = inside.some((record) => record.kind === "test-center")
  const wraps = keyNeeds(within(links, reached)).map(({ reader, subject }) => {
    const record = records.get(subject)
    return `key-wrap/${wrapId(subject, record === undefined ? -1 : keyVersion(record), reader)}`
  })
  return [
    ...inside
      .filter((record) => hasCenters || record.kind !== "lti-consumer")
      .map((record) => keyText(record)),
    ...wraps
  ].sort()
}

const within = (links: ReadonlyArray<Link>, reached: ReadonlySet<EntityId>) =>
  links.filter((link) => reached.has(link.from))

/** Checks all of central, for these organisations. */
export const assertCentral = Effect.fnUntraced(function* (
  organisations: ReadonlyArray<OrganisationId>
) {
  const all = yield* allRecords
  const offers = yield* offerRows
  for (const organisation of organisations) {
    const own = offers.filter((offer) => offer.organisation === organisation)
    const live = own.filter(({ digest }) => digest !== null)
    assert.deepEqual(live.map(keyText).sort(), expectedKeys(all, organisation))
    yield* assertFeed(organisation, own)
    yield* assertGraph(all, organisation)
  }
  const live = new Set(offers.flatMap((one) => (one.digest === null ? [] : [keyText(one)])))
  const stale = (yield* sealedKeys).filter((key) => !live.has(key))
  assert.deepEqual(stale, [], "something sealed is kept that nobody is offered")
  const atomic = yield* Atomic
  assert.equal(yield* atomic.run(refresh(new Set(organisations))), 0, "a feed was out of date")
  return offers
})

/** Versions are dense enough, bodies are what their digests say, sums are those of the digests. */
const assertFeed = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  own: ReadonlyArray<OfferRow>
) {
  const feeds = yield* Feeds
  const { sha256 } = yield* Hashing
  const digests = own.flatMap(({ digest }) => digest ?? [])
  for (const { body, digest, id } of own) {
    assert.equal(body === null ? null : sha256(body), digest, `${id} is not what its digest says`)
  }
  const { buckets, head } = yield* feeds.buckets(organisation)
  assert.ok(own.every(({ version }) => version >= 1 && version <= head))
  assert.equal(new Set(own.map(({ version }) => version)).size, own.length)
  const page = yield* Effect.orDie(feeds.page(organisation, { epoch: "", version: 0 }))
  assert.deepEqual(page.set, changed(EMPTY, [], digests))
  const expected = Array.from({ length: BUCKETS }, () => EMPTY)
  for (const { digest, id } of own) {
    const at = bucketOf(id)
    if (digest !== null) expected[at] = changed(expected[at] ?? EMPTY, [], [digest])
  }
  assert.deepEqual(buckets, expected)
})

/** The graph in SQL says what the graph in the domain says. */
export const assertGraph = Effect.fnUntraced(function* (
  all: ReadonlyArray<CatalogueRecord>,
  organisation: OrganisationId
) {
  const catalogue = yield* Catalogue
  const { links, records } = graphOf(all)
  const reached = scope(links, organisation)
  const inside = [...reached].flatMap((id) => records.get(id) ?? [])
  const asText = ({ from, relation, to }: Link) => `${from} ${relation} ${to}`
  assert.deepEqual(
    (yield* catalogue.linksWithin(organisation)).map(asText).sort(),
    [...new Set(within(links, reached).map(asText))].sort()
  )
  assert.deepEqual(
    (yield* catalogue.revisionsWithin(organisation))
      .map(({ key, keyVersion: version }) => `${keyText(key)} ${version}`)
      .sort(),
    inside.map((record) => `${keyText(record)} ${keyVersion(record)}`).sort()
  )
  const shown = rosters(links)
  const expected = inside.filter(isPerson).flatMap(({ id }) =>
    [...(shown.get(id) ?? [])].flatMap((center) => {
      const record = records.get(center)
      return record === undefined ? [] : [`${id} ${center} ${keyVersion(record)}`]
    })
  )
  const showing = [...(yield* catalogue.centersShowing(organisation))].flatMap(([id, centers]) =>
    centers.map(({ key, keyVersion: version }) => `${id} ${key.id} ${version}`)
  )
  assert.deepEqual(showing.sort(), expected.sort())
})

/** The organisations in all of the catalogue that reach any of these ids, by the pure scope. */
export const reaching = (all: ReadonlyArray<CatalogueRecord>, ids: ReadonlyArray<EntityId>) => {
  const { links } = graphOf(all)
  const nodes = new Set([
    ...links.flatMap(({ from }) => organisationOfNode(from) ?? []),
    ...all.flatMap(({ id }) => organisationOfNode(id) ?? [])
  ])
  return [...nodes].filter((organisation) => {
    const reached = scope(links, organisation)
    return ids.some((id) => reached.has(id))
  })
}
