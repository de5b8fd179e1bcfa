import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import fc from "fast-check"
import { neededKeys } from "../application/needed.ts"
import { Executions, Holdings } from "../application/ports.ts"
import { canonical } from "../domain/canonical.ts"
import { type Entity, keyText, references } from "../domain/entity.ts"
import { type Execution, needs } from "../domain/execution.ts"
import type { Cursor } from "../domain/feed.ts"
import { Digest, EntityId, OrganisationId, Recipient } from "../domain/id.ts"
import { wrapId } from "../domain/offer.ts"
import type { Plan } from "../domain/plan.ts"
import { BUCKETS, bucketOf, changed, EMPTY } from "../domain/set-digest.ts"
import { deviceMigrations } from "../infrastructure/device-schema.ts"
import * as SqlHoldings from "../infrastructure/sql-holdings.ts"
import * as SqlLedgers from "../infrastructure/sql-ledgers.ts"
import { migrate } from "../infrastructure/sql-migrate.ts"
import * as Sqlite from "../infrastructure/sql-sqlite.ts"
import { sha256 as digestOf } from "./support/arbitrary.ts"
import { freshSqlite } from "./support/database.ts"
import { sha256 } from "./support/offers.ts"

const ONE = OrganisationId.make("0123")
const OTHER = OrganisationId.make("123")
const CURSOR: Cursor = { epoch: "e", version: 1 }
const NOTHING: Plan = { create: [], update: [], remove: [], keep: [], held: [] }

/** Runs a property over the tables of one device, which are emptied before each try. */
const property = <A>(
  values: fc.Arbitrary<A>,
  holds: (value: A) => Effect.Effect<void, unknown, Holdings | Executions>
) =>
  Effect.gen(function* () {
    const file = yield* freshSqlite()
    const ports = Layer.mergeAll(SqlHoldings.layer, SqlLedgers.layerExecutions)
    yield* Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* migrate("migrations", deviceMigrations)
      const context = yield* Layer.build(ports)
      const empty = Effect.forEach(["holdings", "staged", "cursors", "executions"], (table) =>
        sql.unsafe(`DELETE FROM ${table}`)
      )
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(values, (value) =>
            Effect.runPromise(Effect.provideContext(Effect.andThen(empty, holds(value)), context))
          ),
          { numRuns: 60 }
        )
      )
    }).pipe(Effect.provide(Sqlite.layer(file)))
  })

const CENTERS = ["ctr_0123", "ctr_123", "ctr_1e3"].map((id) => EntityId.make(id))
const STAFF = ["usr_a", "usr_b"].map((id) => EntityId.make(id))
const TAKER = EntityId.make("usr_t")
const DELIVERY = EntityId.make("dlv_d")

const person = (kind: "administrator" | "test-taker", id: EntityId): Entity => ({
  kind,
  id,
  loginTag: sha256(id),
  wrap: {
    cost: { memoryKiB: 8, passes: 1 },
    salt: "",
    ver: 1,
    recipient: Recipient.make("age1q"),
    box: ""
  },
  profile: ""
})

const REST: ReadonlyArray<Entity> = [
  ...STAFF.map((id) => person("administrator", id)),
  person("test-taker", TAKER),
  {
    kind: "delivery",
    id: DELIVERY,
    label: "l",
    period: {},
    proctored: false,
    content: {
      version: 1,
      blob: sha256("blob"),
      size: 1,
      plainSize: 1,
      plainSha256: sha256("plain"),
      recipient: Recipient.make("age1q"),
      qti: "2.1"
    }
  },
  {
    kind: "key-wrap",
    id: wrapId(DELIVERY, 1, TAKER),
    subject: DELIVERY,
    version: 1,
    reader: TAKER,
    box: ""
  }
]

/** Centers that name staff and each other, in circles too. */
const centers = fc.tuple(
  ...CENTERS.map((id) =>
    fc.tuple(fc.subarray(STAFF), fc.subarray(CENTERS)).map(
      ([administrators, subCenters]): Entity => ({
        kind: "test-center",
        id,
        label: id,
        organisation: ONE,
        administrators,
        proctors: [],
        subCenters,
        roster: { version: 1, recipient: Recipient.make("age1q") }
      })
    )
  )
)

const hold = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  entities: ReadonlyArray<Entity>
) {
  const holdings = yield* Holdings
  const changes = entities.map((entity) => {
    const body = canonical(entity)
    const { id, kind } = entity
    return { change: { version: 1, kind, id, digest: sha256(body), body }, entity }
  })
  yield* holdings.stage(organisation, changes, CURSOR)
  yield* holdings.apply(organisation, NOTHING, CURSOR)
})

const sitting = (testCenter: EntityId, state: Execution["state"]): Execution => ({
  id: `exe_${testCenter}`,
  organisation: ONE,
  delivery: DELIVERY,
  contentVersion: 1,
  blob: sha256("blob"),
  testTaker: TAKER,
  testCenter,
  eligibility: EntityId.make("elg_gone"),
  wrap: wrapId(DELIVERY, 1, TAKER),
  state,
  startedAt: 0
})

const state = fc.constantFrom<Execution["state"]>("running", "pending", "settled")

describe("what is needed", () => {
  it.live("is what unsettled executions name, closed under reference, and nothing more", () =>
    property(
      fc.tuple(centers, fc.array(fc.tuple(fc.constantFrom(...CENTERS), state))),
      ([all, sat]) =>
        Effect.gen(function* () {
          const executions = yield* Executions
          const entities = [...all, ...REST]
          yield* hold(ONE, entities)
          yield* hold(OTHER, entities)
          const last = new Map(sat.map(([center, how]) => [center, sitting(center, how)]))
          for (const execution of last.values()) yield* executions.put(execution)

          const byId = new Map(entities.map((entity) => [entity.id, entity]))
          const expected = new Set<string>()
          const open = [...last.values()].flatMap(needs).map(({ id }) => id)
          for (let id = open.pop(); id !== undefined; id = open.pop()) {
            const entity = byId.get(id)
            if (entity === undefined || expected.has(keyText(entity))) continue
            expected.add(keyText(entity))
            open.push(...references(entity))
          }
          assert.deepStrictEqual([...(yield* neededKeys(ONE))].sort(), [...expected].sort())
          assert.deepStrictEqual([...(yield* neededKeys(OTHER))], [])
        })
    )
  )
})

const key = fc
  .constantFrom("usr_0123", "usr_123", "usr_1e3", "usr_é")
  .map((id) => EntityId.make(id))
const step = fc.record({
  offered: fc.uniqueArray(fc.tuple(key, digestOf), { selector: ([id]) => id }),
  removed: fc.uniqueArray(key),
  held: fc.uniqueArray(key)
})

describe("what a device holds in SQL", () => {
  it.live("sums, counts and lists like a plain map, after whatever was applied", () =>
    property(fc.array(step, { maxLength: 6 }), (steps) =>
      Effect.gen(function* () {
        const holdings = yield* Holdings
        const live = new Map<string, string>()
        const kept = new Map<string, string>()
        yield* hold(OTHER, REST)
        for (const { held, offered, removed } of steps) {
          const digests = new Map(offered)
          const changes = [...digests].map(([id, digest]) => ({
            change: {
              version: 1,
              kind: "lti-consumer" as const,
              id,
              digest: Digest.make(digest),
              body: "{}"
            },
            entity: null
          }))
          const going = (ids: ReadonlyArray<EntityId>) =>
            ids.filter((id) => live.has(id) && !digests.has(id))
          const holding = going(held)
          const leaving = going(removed).filter((id) => !holding.includes(id))
          const text = (id: EntityId) => `lti-consumer/${id}`
          yield* holdings.stage(ONE, changes, CURSOR)
          yield* holdings.apply(
            ONE,
            { ...NOTHING, remove: leaving.map(text), held: holding.map(text) },
            CURSOR
          )
          for (const id of leaving) live.delete(id)
          for (const id of holding) {
            kept.set(id, live.get(id) ?? "")
            live.delete(id)
          }
          for (const [id, digest] of digests) {
            live.set(id, digest)
            kept.delete(id)
          }
          assert.deepStrictEqual(yield* holdings.set(ONE), changed(EMPTY, [], [...live.values()]))
          const manifest = yield* holdings.manifest(ONE, "all")
          assert.deepStrictEqual(
            manifest,
            new Map([...live].map(([id, digest]) => [`lti-consumer/${id}`, digest]))
          )
          const back = yield* holdings.keptBack(ONE)
          assert.deepStrictEqual(
            [...back].sort(),
            [...kept.keys()].map((id) => `lti-consumer/${id}`).sort()
          )
          assert.strictEqual((yield* holdings.count(ONE)).get("lti-consumer") ?? 0, live.size)
          const buckets = yield* holdings.bucketSets(ONE)
          for (let bucket = 0; bucket < BUCKETS; bucket++) {
            const inside = [...live].filter(([id]) => bucketOf(id) === bucket)
            const digestsInside = inside.map(([, digest]) => digest)
            assert.deepStrictEqual(buckets[bucket], changed(EMPTY, [], digestsInside))
          }
        }
      })
    )
  )
})
