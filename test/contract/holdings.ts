/** Says what every adapter of the port Holdings keeps. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Option, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { Atomic, type Checked, Holdings } from "../../application/ports.ts"
import { canonical } from "../../domain/canonical.ts"
import {
  type Entity,
  type EntityKey,
  type Kind,
  keyText,
  type TestCenter
} from "../../domain/entity.ts"
import { type Cursor, START } from "../../domain/feed.ts"
import type { Digest, EntityId, OrganisationId } from "../../domain/id.ts"
import { wrapId } from "../../domain/offer.ts"
import type { Plan } from "../../domain/plan.ts"
import { BUCKETS, bucketOf, changed, EMPTY } from "../../domain/set-digest.ts"
import { sha256 } from "../support/offers.ts"
import * as Records from "../support/records.ts"
import { id, many, ORGANISATIONS, PLAIN, STRANGE, ZERO } from "../support/records.ts"

type Ports = Holdings | Atomic | SqlClient.SqlClient
type Claim = <F>(what: string, effect: Effect.Effect<void, F, Ports>) => void

export const suite = <E>(name: string, layer: Layer.Layer<Ports, E>) => {
  const claim: Claim = (what, effect) => it.live(what, () => Effect.provide(effect, layer))
  describe(`the port Holdings, ${name}`, () => {
    staging(claim)
    applying(claim)
    keepingBack(claim)
    finding(claim)
    condemning(claim)
  })
}

const center = (name: string, label = name): TestCenter => {
  const { roster, ...record } = Records.center(name, ZERO, { label })
  return { ...record, roster: { version: roster.version, recipient: roster.recipient } }
}
const tagOf = (login: string): Digest => sha256(`tag of ${login}`)
const person = (login: string, tag = tagOf(login)): Entity => ({
  kind: "test-taker",
  id: id(`usr_${login}`),
  loginTag: tag,
  wrap: Records.wrap(),
  profile: "aaaa"
})
const keyWrap = (subject: EntityId, reader: EntityId, version = 1): Entity => ({
  kind: "key-wrap",
  id: wrapId(subject, version, reader),
  subject,
  version,
  reader,
  box: "aaaa"
})

const here = (entity: Entity, version = 1): Checked => {
  const body = canonical(entity)
  const { id, kind } = entity
  return { change: { version, kind, id, digest: sha256(body), body }, entity }
}
const gone = ({ id, kind }: EntityKey, version = 2): Checked => ({
  change: { version, kind, id, digest: null, body: null },
  entity: null
})

const at = (version: number): Cursor => ({ epoch: "e", version })
const NO_PLAN: Plan = { create: [], update: [], remove: [], keep: [], held: [] }
const plan = (some: Partial<Plan>): Plan => ({ ...NO_PLAN, ...some })

/** Stages and applies, as a pull does. */
const bring = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  entities: ReadonlyArray<Entity>,
  todo: Partial<Plan> = {},
  cursor: Cursor = at(1)
) {
  const atomic = yield* Atomic
  const holdings = yield* Holdings
  yield* holdings.stage(
    organisation,
    entities.map((entity) => here(entity)),
    at(1)
  )
  yield* atomic.run(holdings.apply(organisation, plan(todo), cursor))
})

const digests = (...entities: ReadonlyArray<Entity>) =>
  new Map(entities.map((entity) => [keyText(entity), sha256(canonical(entity))]))

/** Demands that exactly these entities are held, in every way in which that can be asked. */
const holds = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  ...entities: ReadonlyArray<Entity>
) {
  const holdings = yield* Holdings
  const all = yield* holdings.manifest(organisation, "all")
  assert.deepStrictEqual(new Map(all), digests(...entities))
  const sumOf = (some: ReadonlyArray<Entity>) => changed(EMPTY, [], [...digests(...some).values()])
  assert.deepStrictEqual(yield* holdings.set(organisation), sumOf(entities))
  const byBucket = Map.groupBy(entities, (entity) => bucketOf(entity.id))
  assert.deepStrictEqual(
    yield* holdings.bucketSets(organisation),
    Array.from({ length: BUCKETS }, (_, bucket) => sumOf(byBucket.get(bucket) ?? []))
  )
  for (const [bucket, some] of [...byBucket].slice(0, 5)) {
    const listed = yield* holdings.bucketManifest(organisation, bucket)
    assert.deepStrictEqual(new Map(listed), digests(...some))
  }
  const byKind = Map.groupBy(entities, (entity) => entity.kind)
  assert.deepStrictEqual(
    yield* holdings.count(organisation),
    new Map([...byKind].map(([kind, some]) => [kind, some.length]))
  )
})

const staging = (claim: Claim) => {
  claim(
    "holds nothing at first",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      assert.deepStrictEqual(yield* holdings.cursor(ZERO), START)
      assert.deepStrictEqual(yield* holdings.stagedCursor(ZERO), START)
      assert.strictEqual((yield* holdings.staged(ZERO)).size, 0)
      assert.deepStrictEqual(yield* holdings.keptBack(ZERO), [])
      yield* holdings.dropStaged(ZERO)
      yield* holdings.restart(ZERO)
      yield* holds(ZERO)
    })
  )

  claim(
    "keeps what was fetched aside, and remembers where the fetch stopped",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      yield* bring(ZERO, [center("old")])
      yield* holdings.stage(ZERO, [here(center("a"), 2), here(center("b"), 3)], at(3))
      yield* holdings.stage(ZERO, [here(center("a", "new"), 4), gone(center("b"), 5)], at(5))
      assert.deepStrictEqual(
        yield* holdings.staged(ZERO),
        new Map<string, Digest | null>([
          ...digests(center("a", "new")),
          [keyText(center("b")), null]
        ])
      )
      assert.deepStrictEqual(yield* holdings.stagedCursor(ZERO), at(5))
      assert.deepStrictEqual(yield* holdings.cursor(ZERO), at(1))
      yield* holds(ZERO, center("old"))
      yield* holdings.stage(ZERO, [], at(6))
      assert.deepStrictEqual(yield* holdings.stagedCursor(ZERO), at(6))
      yield* holdings.dropStaged(ZERO)
      assert.strictEqual((yield* holdings.staged(ZERO)).size, 0)
      assert.deepStrictEqual(yield* holdings.stagedCursor(ZERO), at(1))
    })
  )

  claim(
    "goes on from its own cursor after a fetch that nothing may build on",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      yield* bring(ZERO, [center("old")])
      yield* holdings.stage(ZERO, [here(center("a"), 7)], START)
      assert.deepStrictEqual(yield* holdings.stagedCursor(ZERO), at(1))
      assert.strictEqual((yield* holdings.staged(ZERO)).size, 1)
    })
  )

  claim(
    "forgets its cursor and what it fetched when it starts again, not what it holds",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      yield* bring(ZERO, [center("a")])
      yield* holdings.stage(ZERO, [here(center("b"), 2)], at(2))
      yield* holdings.restart(ZERO)
      assert.deepStrictEqual(yield* holdings.cursor(ZERO), START)
      assert.deepStrictEqual(yield* holdings.stagedCursor(ZERO), START)
      assert.strictEqual((yield* holdings.staged(ZERO)).size, 0)
      yield* holds(ZERO, center("a"))
    })
  )
}

const applying = (claim: Claim) => {
  claim(
    "takes over what is staged, removes what the plan removes, and moves the cursor",
    Effect.gen(function* () {
      const atomic = yield* Atomic
      const holdings = yield* Holdings
      yield* bring(ZERO, [center("a"), center("b"), center("c")])
      const news = [here(center("a", "new"), 2), gone(center("b"), 3), here(center("d"), 4)]
      yield* holdings.stage(ZERO, news, at(4))
      const todo = plan({ remove: [keyText(center("b"))] })
      yield* atomic.run(holdings.apply(ZERO, todo, at(4)))
      yield* holds(ZERO, center("a", "new"), center("c"), center("d"))
      assert.deepStrictEqual(yield* holdings.cursor(ZERO), at(4))
      assert.deepStrictEqual(yield* holdings.stagedCursor(ZERO), at(4))
      assert.strictEqual((yield* holdings.staged(ZERO)).size, 0)
      assert.deepStrictEqual(yield* holdings.present(ZERO, [center("b").id]), new Set())
    })
  )

  claim(
    "takes over what is given straight, where the last change of an entity counts",
    Effect.gen(function* () {
      const atomic = yield* Atomic
      const holdings = yield* Holdings
      yield* bring(ZERO, [center("a"), center("b"), center("c"), center("kept")])
      yield* atomic.run(holdings.apply(ZERO, plan({ held: [keyText(center("kept"))] }), at(1)))
      const fresh = [
        here(center("a", "newer"), 2),
        gone(center("b"), 3),
        here(center("d"), 4),
        here(center("e"), 5),
        gone(center("e"), 6),
        here(center("a", "newest"), 7),
        here(center("kept", "offered again"), 8)
      ]
      const todo = plan({ remove: [keyText(center("b"))] })
      yield* atomic.run(holdings.apply(ZERO, todo, at(8), fresh))
      const back = center("kept", "offered again")
      yield* holds(ZERO, center("a", "newest"), center("c"), center("d"), back)
      assert.deepStrictEqual(yield* holdings.cursor(ZERO), at(8))
      assert.strictEqual((yield* holdings.staged(ZERO)).size, 0)
    })
  )

  claim(
    "adds up what is held anew where the sums kept beside it are wrong",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      const sql = yield* SqlClient.SqlClient
      yield* bring(ZERO, [center("a"), center("b"), person("ann")])
      yield* Effect.orDie(sql`UPDATE holding_sums SET a = a + 1 WHERE kind = 'test-center'`)
      yield* Effect.orDie(sql`INSERT INTO holding_sums VALUES (${ZERO}, 'proctor', 3, 4, 5)`)
      assert.strictEqual((yield* holdings.set(ZERO)).count, 6)
      yield* holdings.sumAnew(ZERO)
      yield* holds(ZERO, center("a"), center("b"), person("ann"))
    })
  )

  claim(
    "leaves the cursor where it is when none is given",
    Effect.gen(function* () {
      const atomic = yield* Atomic
      const holdings = yield* Holdings
      yield* holdings.stage(ZERO, [here(center("a"))], at(1))
      yield* atomic.run(holdings.apply(ZERO, NO_PLAN, undefined))
      assert.deepStrictEqual(yield* holdings.cursor(ZERO), { epoch: "", version: 0 })
      assert.deepStrictEqual(yield* holdings.stagedCursor(ZERO), { epoch: "", version: 0 })
      yield* holds(ZERO, center("a"))
    })
  )

  claim(
    "applies all or nothing: a transaction that fails leaves held, staged and cursor",
    Effect.gen(function* () {
      const atomic = yield* Atomic
      const holdings = yield* Holdings
      yield* bring(ZERO, [center("a"), center("b")])
      yield* holdings.stage(ZERO, [here(center("a", "new"), 2)], at(2))
      const todo = plan({ remove: [keyText(center("b"))], held: [keyText(center("a"))] })
      const failing = Effect.andThen(holdings.apply(ZERO, todo, at(2)), Effect.fail("no"))
      assert.strictEqual(yield* Effect.flip(atomic.run(failing)), "no")
      yield* holds(ZERO, center("a"), center("b"))
      assert.deepStrictEqual(yield* holdings.cursor(ZERO), at(1))
      assert.deepStrictEqual(yield* holdings.stagedCursor(ZERO), at(2))
      assert.strictEqual((yield* holdings.staged(ZERO)).size, 1)
    })
  )

  claim(
    "keeps organisations apart that hold the same entities",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      for (const one of ORGANISATIONS) yield* bring(one, [center("all"), center("same", one)])
      yield* holdings.stage(PLAIN, [here(center("more"), 2)], at(2))
      yield* bring(ZERO, [], { remove: [keyText(center("all"))] }, at(9))
      yield* holds(ZERO, center("same", ZERO))
      for (const one of ORGANISATIONS.slice(1)) {
        yield* holds(one, center("all"), center("same", one))
        assert.deepStrictEqual(yield* holdings.cursor(one), at(1))
      }
      assert.strictEqual((yield* holdings.staged(PLAIN)).size, 1)
    })
  )

  claim(
    "answers about 1,500 entities at once",
    Effect.gen(function* () {
      const atomic = yield* Atomic
      const holdings = yield* Holdings
      const all = many((name) => center(name))
      const keys = all.map(keyText)
      const ids = all.map((entity) => entity.id)
      yield* bring(ZERO, all)
      yield* holds(ZERO, ...all)
      const manifest = yield* holdings.manifest(ZERO, [...keys, "test-center/ctr_unknown"])
      assert.deepStrictEqual(new Map(manifest), digests(...all))
      assert.deepStrictEqual(yield* holdings.present(ZERO, [...ids, id("ctr_x")]), new Set(ids))
      assert.strictEqual((yield* holdings.byIds(ZERO, ids)).length, ids.length)
      yield* atomic.run(holdings.apply(ZERO, plan({ held: keys }), undefined))
      assert.deepStrictEqual([...(yield* holdings.keptBack(ZERO))].sort(), keys)
      yield* holdings.release(ZERO, keys.slice(0, 700))
      yield* atomic.run(holdings.apply(ZERO, plan({ remove: keys }), undefined))
      assert.deepStrictEqual(yield* holdings.present(ZERO, ids), new Set())
    })
  )
}

/** What is here of these kinds, in the order of the ids. */
const listed = (kinds: ReadonlyArray<Kind>) =>
  Holdings.use((holdings) => Stream.runCollect(holdings.entities(ZERO, kinds))).pipe(
    Effect.map((entities) => entities.sort((a, b) => (a.id < b.id ? -1 : 1)))
  )

const keepingBack = (claim: Claim) =>
  claim(
    "keeps back what the plan holds: here, but not counted, until it is released or offered anew",
    Effect.gen(function* () {
      const atomic = yield* Atomic
      const holdings = yield* Holdings
      yield* bring(ZERO, [center("a"), center("b"), person("ann")])
      const held = [keyText(center("a")), keyText(person("ann"))]
      yield* atomic.run(holdings.apply(ZERO, plan({ held }), at(2)))
      yield* holds(ZERO, center("b"))
      assert.deepStrictEqual([...(yield* holdings.keptBack(ZERO))].sort(), [...held].sort())
      const ids = [center("a").id, center("b").id, person("ann").id]
      assert.deepStrictEqual(yield* holdings.present(ZERO, ids), new Set(ids))
      assert.strictEqual((yield* holdings.byIds(ZERO, ids)).length, 3)
      assert.deepStrictEqual(yield* listed(["test-center"]), [center("a"), center("b")])
      assert.isTrue(Option.isSome(yield* holdings.personByTag(ZERO, tagOf("ann"))))
      assert.strictEqual((yield* holdings.manifest(ZERO, held)).size, 0)
      yield* holdings.release(ZERO, [keyText(center("b")), keyText(person("ann"))])
      assert.deepStrictEqual(yield* holdings.keptBack(ZERO), [keyText(center("a"))])
      yield* bring(ZERO, [center("a", "back")])
      assert.deepStrictEqual(yield* holdings.keptBack(ZERO), [])
      yield* holds(ZERO, center("a", "back"), center("b"))
    })
  )

const finding = (claim: Claim) => {
  claim(
    "asks nothing for nothing",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      yield* bring(ZERO, [center("a")])
      assert.strictEqual((yield* holdings.manifest(ZERO, [])).size, 0)
      assert.strictEqual((yield* holdings.present(ZERO, [])).size, 0)
      assert.strictEqual((yield* holdings.readers(ZERO, [])).size, 0)
      assert.deepStrictEqual(yield* holdings.byIds(ZERO, []), [])
      assert.deepStrictEqual(yield* Stream.runCollect(holdings.entities(ZERO, [])), [])
      yield* holdings.release(ZERO, [])
      yield* bring(ZERO, [])
      yield* holds(ZERO, center("a"))
    })
  )

  claim(
    "finds a person by the tag of the login, the newest one only",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      yield* bring(ZERO, [person("ann"), person("bob")])
      assert.deepStrictEqual(
        yield* holdings.personByTag(ZERO, tagOf("ann")),
        Option.some(person("ann"))
      )
      assert.isTrue(Option.isNone(yield* holdings.personByTag(PLAIN, tagOf("ann"))))
      yield* bring(ZERO, [person("ann", tagOf("anna"))])
      assert.isTrue(Option.isNone(yield* holdings.personByTag(ZERO, tagOf("ann"))))
      assert.isTrue(Option.isSome(yield* holdings.personByTag(ZERO, tagOf("anna"))))
    })
  )

  claim(
    "finds who names an id: of the kinds asked for, and by the whole id, whatever is in it",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      const odd = id('usr_o"\\ä')
      const naming = (name: string, ...proctors: ReadonlyArray<EntityId>) =>
        ({ ...center(name), proctors }) satisfies Entity
      const [a, b, c] = [naming("a", id("usr_ann")), naming("b", id("usr_anna")), naming("c", odd)]
      yield* bring(ZERO, [a, b, c, person("ann")])
      const found = (...ids: ReadonlyArray<EntityId>) =>
        Effect.map(holdings.mentioning(ZERO, ["test-center"], ids), (those) => [...those].sort())
      assert.deepStrictEqual(yield* found(id("usr_ann")), [a.id])
      assert.deepStrictEqual(yield* found(id("usr_anna"), odd), [b.id, c.id])
      assert.deepStrictEqual(yield* found(id("usr_an"), id("usr_o")), [])
      assert.deepStrictEqual(yield* found(), [])
      const elsewhere = holdings.mentioning(PLAIN, ["test-center"], [id("usr_ann")])
      assert.deepStrictEqual(yield* elsewhere, [])
    })
  )

  claim(
    "finds the keys that are wrapped for a reader, and lists ids and entities by kind",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      const [ann, bob] = [id("usr_ann"), id("usr_bob")]
      const mine = [keyWrap(id("dlv_a"), ann), keyWrap(id("dlv_b"), ann, 2)]
      const theirs = keyWrap(id("dlv_a"), bob)
      yield* bring(ZERO, [...mine, theirs, center("a"), person("ann")])
      const found = yield* holdings.wrapsFor(ZERO, ann)
      assert.deepStrictEqual<ReadonlyArray<Entity>>(found, mine)
      assert.deepStrictEqual(yield* holdings.wrapsFor(PLAIN, ann), [])
      const ids = yield* holdings.idsOf(ZERO, "key-wrap")
      assert.deepStrictEqual([...ids].sort(), [...mine, theirs].map((one) => one.id).sort())
      const kinds = ["test-taker", "test-center"] as const
      assert.deepStrictEqual(yield* listed(kinds), [center("a"), person("ann")])
      const asked = [ann, id("usr_carl"), id("dlv_a"), bob]
      assert.deepStrictEqual(yield* holdings.readers(ZERO, asked), new Set([ann, bob]))
      assert.deepStrictEqual(yield* holdings.readers(PLAIN, asked), new Set())
      const all = many((name) => id(`usr_${name}`))
      assert.deepStrictEqual(yield* holdings.readers(ZERO, [...all, ann]), new Set([ann]))
    })
  )
}

const condemning = (claim: Claim) => {
  const sick = center("sick")
  const ann = person("ann")
  const wrapped = keyWrap(id("dlv_a"), ann.id)

  claim(
    "shows every row as it stands, and what is condemned no more until it is written anew",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      yield* bring(ZERO, [sick, center("well"), ann, wrapped])
      yield* bring(PLAIN, [sick])
      const rows = Effect.map(Stream.runCollect(holdings.rows(ZERO)), (all) =>
        all.map(({ change, reader, tag }) => [change.id, change.digest, tag, reader]).sort()
      )
      const row = (entity: Entity, tag: string | null = null, reader: string | null = null) => [
        entity.id,
        sha256(canonical(entity)),
        tag,
        reader
      ]
      const well = row(center("well"))
      const all = [row(sick), well, row(ann, tagOf("ann")), row(wrapped, null, ann.id)]
      assert.deepStrictEqual(yield* rows, all.sort())
      assert.isFalse(yield* holdings.condemned(ZERO))

      yield* holdings.condemn(ZERO, [sick.id, ann.id, wrapped.id])
      assert.deepStrictEqual(yield* rows, [well])
      assert.isTrue(yield* holdings.condemned(ZERO))
      assert.isFalse(yield* holdings.condemned(PLAIN))
      assert.deepStrictEqual(yield* holdings.byIds(ZERO, [sick.id, ann.id]), [])
      assert.deepStrictEqual(yield* listed(["test-center"]), [center("well")])
      assert.deepStrictEqual(yield* holdings.wrapsFor(ZERO, ann.id), [])
      const told = yield* Effect.flip(holdings.personByTag(ZERO, tagOf("ann")))
      assert.strictEqual(told._tag, "HoldingDamaged")
      const sound = digests(center("well"))
      const { a, b } = changed(EMPTY, [], [...sound.values()])
      assert.deepStrictEqual(yield* holdings.set(ZERO), { count: 4, a, b })
      assert.strictEqual((yield* holdings.manifest(ZERO, "all")).size, 4)
      assert.strictEqual((yield* holdings.present(ZERO, [sick.id])).size, 1)

      yield* bring(ZERO, [sick, ann, wrapped])
      yield* holds(ZERO, sick, center("well"), ann, wrapped)
      assert.isFalse(yield* holdings.condemned(ZERO))
      yield* holds(PLAIN, sick)
    })
  )

  claim(
    "says what it can't read, and that alone",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      const sql = yield* SqlClient.SqlClient
      yield* bring(ZERO, [sick, ann, wrapped])
      yield* bring(PLAIN, [sick])
      yield* Effect.orDie(sql`UPDATE holdings SET body = '{' WHERE organisation = ${ZERO}`)
      for (const told of [
        yield* Effect.flip(holdings.byIds(ZERO, [sick.id])),
        yield* Effect.flip(Stream.runDrain(holdings.entities(ZERO, ["test-center"]))),
        yield* Effect.flip(holdings.personByTag(ZERO, tagOf("ann"))),
        yield* Effect.flip(holdings.wrapsFor(ZERO, ann.id))
      ]) {
        assert.strictEqual(told._tag, "HoldingDamaged")
        assert.strictEqual(told.organisation, ZERO)
      }
      assert.lengthOf(yield* holdings.byIds(PLAIN, [sick.id]), 1)
    })
  )

  claim(
    "remembers for each organisation when all was looked at",
    Effect.gen(function* () {
      const holdings = yield* Holdings
      yield* holdings.rechecked(ZERO, 7)
      yield* holdings.rechecked(ZERO, 1_795_000_000_000)
      yield* holdings.rechecked(PLAIN, 9)
      assert.strictEqual(yield* holdings.recheckedAt(ZERO), 1_795_000_000_000)
      assert.strictEqual(yield* holdings.recheckedAt(PLAIN), 9)
      assert.strictEqual(yield* holdings.recheckedAt(STRANGE), 0)
    })
  )
}
