import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { SqlClient } from "effect/sql"
import fc from "fast-check"
import { Catalogue, Feeds, type Offer } from "../application/ports.ts"
import { type EntityKey, keyText } from "../domain/entity.ts"
import type { Cursor } from "../domain/feed.ts"
import { Digest, EntityId, OrganisationId } from "../domain/id.ts"
import type { CatalogueRecord } from "../domain/record.ts"
import { BUCKETS, bucketOf, changed, EMPTY, type SetDigest } from "../domain/set-digest.ts"
import { centralMigrations } from "../infrastructure/central-schema.ts"
import * as SqlCatalogue from "../infrastructure/sql-catalogue.ts"
import * as SqlFeeds from "../infrastructure/sql-feeds.ts"
import { migrate } from "../infrastructure/sql-migrate.ts"
import * as Postgres from "../infrastructure/sql-postgres.ts"
import * as Sqlite from "../infrastructure/sql-sqlite.ts"
import * as some from "./support/arbitrary.ts"
import { freshPostgres, freshSqlite } from "./support/database.ts"
import { assertGraph, reaching } from "./support/observe-central.ts"

type Open = Effect.Effect<
  Layer.Layer<SqlClient.SqlClient, unknown>,
  never,
  Effect.Services<ReturnType<typeof freshSqlite>>
>

const DATABASES: ReadonlyArray<readonly [string, Open]> = [
  ["SQLite", Effect.map(freshSqlite(), Sqlite.layer)],
  ["PostgreSQL", Effect.map(freshPostgres(), (url) => Postgres.layer(url))]
]

/** Runs a property over one database, which is emptied before each try. */
const property = <A>(
  open: Open,
  values: fc.Arbitrary<A>,
  holds: (value: A) => Effect.Effect<void, unknown, Catalogue | Feeds>
) =>
  Effect.gen(function* () {
    const layer = yield* open
    yield* Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* migrate("migrations", centralMigrations)
      const empty = Effect.forEach(["links", "entities", "offers", "feeds"], (table) =>
        sql.unsafe(`DELETE FROM ${table}`)
      )
      const catalogue = yield* Effect.provide(Catalogue, SqlCatalogue.layer)
      const feeds = yield* Effect.provide(Feeds, SqlFeeds.layer)
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(values, (value) =>
            Effect.runPromise(
              Effect.andThen(empty, holds(value)).pipe(
                Effect.provideService(Catalogue, catalogue),
                Effect.provideService(Feeds, feeds)
              )
            )
          ),
          { numRuns: 60 }
        )
      )
    }).pipe(Effect.provide(layer))
  })

const SINCE_START: Cursor = { epoch: "", version: 0 }
const ONE = OrganisationId.make("0123")
const OTHER = OrganisationId.make("123")

const offer = (kind: EntityKey["kind"]) =>
  fc
    .tuple(
      fc.constantFrom("ctr_0123", "ctr_123", "ctr_1e3", "ctr_é").map((id) => EntityId.make(id)),
      fc.option(some.sha256, { nil: null })
    )
    .map(
      ([id, digest]): Offer => ({
        key: { kind, id },
        stamp: digest ?? "",
        digest: digest === null ? null : Digest.make(digest),
        body: digest
      })
    )

/** Offers of one append name each entity once, as a refresh does. */
const append = fc.uniqueArray(offer("test-center"), { selector: ({ key }) => keyText(key) })

const sums = (digests: Iterable<string>): SetDigest => changed(EMPTY, [], [...digests])

for (const [name, open] of DATABASES) {
  describe(`the graph in ${name}`, () => {
    it.live("says what the pure graph says, of every catalogue", () =>
      property(open, some.catalogue, (records) =>
        Effect.gen(function* () {
          const catalogue = yield* Catalogue
          yield* catalogue.put(records)
          for (const organisation of some.ORGANISATIONS) {
            yield* assertGraph(records, organisation)
          }
        })
      )
    )

    it.live("says so after records were replaced and removed", () =>
      property(open, fc.tuple(some.catalogue, some.catalogue, fc.nat()), ([before, after, at]) =>
        Effect.gen(function* () {
          const catalogue = yield* Catalogue
          yield* catalogue.put(before)
          yield* catalogue.put(after)
          const merged = new Map(
            [...before, ...after].map((one): readonly [EntityId, CatalogueRecord] => [one.id, one])
          )
          const going = [...merged.keys()][at % Math.max(1, merged.size)]
          if (going !== undefined) {
            // As the verb does: nothing that stays may name what goes.
            const named = yield* catalogue.naming([going])
            if (named.length === 0) {
              yield* catalogue.remove([going])
              merged.delete(going)
            }
          }
          for (const organisation of some.ORGANISATIONS) {
            yield* assertGraph([...merged.values()], organisation)
          }
        })
      )
    )

    it.live("knows whom a change concerns, and whom it shows", () =>
      property(
        open,
        some.catalogue.chain((records) =>
          fc.tuple(fc.constant(records), fc.subarray([...records]))
        ),
        ([records, chosen]) =>
          Effect.gen(function* () {
            const catalogue = yield* Catalogue
            yield* catalogue.put(records)
            const ids = chosen.map(({ id }): EntityId => id)
            const expected = reaching(records, [...ids, ...shownBy(records, ids)])
            assert.deepStrictEqual([...(yield* catalogue.concerned(ids))].sort(), expected.sort())
          })
      )
    )
  })

  describe(`a feed in ${name}`, () => {
    it.live("sums, numbers and answers what was appended, whatever the order", () =>
      property(open, fc.array(append, { maxLength: 5 }), (appends) =>
        Effect.gen(function* () {
          const feeds = yield* Feeds
          const live = new Map<string, string>()
          yield* feeds.lock(ONE)
          yield* feeds.lock(OTHER)
          let head = 0
          for (const offers of appends) {
            let different = 0
            for (const { digest, key } of offers) {
              if ((live.get(keyText(key)) ?? null) !== digest) different += 1
              if (digest === null) live.delete(keyText(key))
              else live.set(keyText(key), digest)
            }
            assert.strictEqual(yield* feeds.append(ONE, offers), different)
            head += different
          }
          const page = yield* feeds.page(ONE, SINCE_START)
          assert.deepStrictEqual(page.set, sums(live.values()))
          assert.strictEqual(page.head, head)
          const told = page.changes.flatMap(({ digest, id, kind }) =>
            digest === null ? [] : [[keyText({ id, kind }), `${digest}`] as const]
          )
          assert.deepStrictEqual(new Map(told), live)
          const { buckets } = yield* feeds.buckets(ONE)
          for (let bucket = 0; bucket < BUCKETS; bucket++) {
            const inside = told.filter(
              ([key]) => bucketOf(key.slice("test-center/".length)) === bucket
            )
            assert.deepStrictEqual(buckets[bucket], sums(inside.map(([, digest]) => digest)))
          }
          assert.deepStrictEqual((yield* feeds.page(OTHER, SINCE_START)).set, EMPTY)
        })
      )
    )

    it.live("answers from any cursor what is left to know", () =>
      property(open, fc.array(append, { minLength: 1, maxLength: 5 }), (appends) =>
        Effect.gen(function* () {
          const feeds = yield* Feeds
          yield* feeds.lock(ONE)
          for (const offers of appends) yield* feeds.append(ONE, offers)
          const whole = yield* feeds.page(ONE, SINCE_START)
          for (let version = 1; version <= whole.head; version++) {
            const rest = yield* feeds.page(ONE, { epoch: whole.epoch, version })
            assert.deepStrictEqual(
              rest.changes,
              whole.changes.filter((change) => change.version > version)
            )
          }
          const beyond = { epoch: whole.epoch, version: whole.head + 1 }
          assert.strictEqual((yield* Effect.flip(feeds.page(ONE, beyond)))._tag, "FeedReset")
          const foreign = { epoch: "another life", version: whole.head }
          if (whole.head > 0) {
            assert.strictEqual((yield* Effect.flip(feeds.page(ONE, foreign)))._tag, "FeedReset")
          }
        })
      )
    )
  })
}

/** The people whom these records show on a roster. */
const shownBy = (records: ReadonlyArray<CatalogueRecord>, ids: ReadonlyArray<EntityId>) => {
  const known = new Set(ids)
  return records.flatMap((record) => {
    if (record.kind === "test-center" && known.has(record.id)) {
      return [...record.administrators, ...record.proctors]
    }
    const shows =
      record.kind === "eligibility" && (known.has(record.id) || known.has(record.testCenter))
    return shows ? record.testTakers : []
  })
}
