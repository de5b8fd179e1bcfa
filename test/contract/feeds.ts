/** Says what every adapter of the port Feeds keeps. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Ref } from "effect"
import { Atomic, Feeds, type Offer } from "../../application/ports.ts"
import { type EntityKey, keyText } from "../../domain/entity.ts"
import {
  type Change,
  type Cursor,
  lifeBegan,
  PAGE_CHANGES,
  PAGE_CHARACTERS,
  START
} from "../../domain/feed.ts"
import { Digest, type OrganisationId } from "../../domain/id.ts"
import { BUCKETS, bucketOf, changed, EMPTY } from "../../domain/set-digest.ts"
import { offer, sha256 } from "../support/offers.ts"
import { id, MANY, many, ORGANISATIONS, PLAIN, STRANGE, ZERO } from "../support/records.ts"

type Ports = Feeds | Atomic
type Claim = <F>(what: string, effect: Effect.Effect<void, F, Ports>) => void

export const suite = <E>(name: string, layer: Layer.Layer<Ports, E>) => {
  const claim: Claim = (what, effect) => it.live(what, () => Effect.provide(effect, layer))
  describe(`the port Feeds, ${name}`, () => {
    appending(claim)
    paging(claim)
    counting(claim)
    concurrency(claim)
  })
}

const key = (name: string | number): EntityKey => ({ kind: "test-center", id: id(`ctr_${name}`) })
const put = (name: string | number, body = `{"of":"${name}"}`): Offer => offer(key(name), body)
const gone = (name: string | number): Offer => offer(key(name), null)
const numbered = (count: number, from = 0) =>
  Array.from({ length: count }, (_, at) => put(String(from + at).padStart(5, "0")))

const append = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  ...offers: ReadonlyArray<Offer>
) {
  const atomic = yield* Atomic
  const feeds = yield* Feeds
  return yield* atomic.run(
    Effect.andThen(feeds.lock(organisation), feeds.append(organisation, offers))
  )
})

/** Reads from a cursor to the feed's live end. */
const follow = Effect.fnUntraced(function* (organisation: OrganisationId, from: Cursor = START) {
  const feeds = yield* Feeds
  const changes: Array<Change> = []
  const pages: Array<number> = []
  for (let since = from; ; ) {
    const page = yield* feeds.page(organisation, since)
    changes.push(...page.changes)
    pages.push(page.changes.length)
    const last = page.changes.at(-1)?.version ?? page.head
    since = { epoch: page.epoch, version: page.more ? last : page.head }
    if (!page.more) return { page, changes, pages, cursor: since }
  }
})

/** Demands that the feed's sum, its buckets and their lists agree with its live entities. */
const addsUp = Effect.fnUntraced(function* (organisation: OrganisationId) {
  const feeds = yield* Feeds
  const { changes, page } = yield* follow(organisation)
  const live = changes.filter((change) => change.digest !== null)
  const sumOf = (some: ReadonlyArray<Change>) =>
    changed(
      EMPTY,
      [],
      some.flatMap(({ digest }) => digest ?? [])
    )
  assert.deepStrictEqual(page.set, sumOf(live))
  const { buckets, epoch, head } = yield* feeds.buckets(organisation)
  assert.deepStrictEqual([epoch, head], [page.epoch, page.head])
  const byBucket = Map.groupBy(live, (change) => bucketOf(change.id))
  assert.deepStrictEqual(
    buckets,
    Array.from({ length: BUCKETS }, (_, at) => sumOf(byBucket.get(at) ?? []))
  )
  for (const bucket of [...byBucket.keys()].slice(0, 5)) {
    const listed = yield* feeds.bucket(organisation, bucket)
    const expected = (byBucket.get(bucket) ?? []).map((change) => ({ ...change, body: null }))
    assert.deepStrictEqual([...listed], expected)
  }
  return live
})

const seen = ({ digest, id, version }: Change) => [version, id, digest === null ? "gone" : "here"]

const appending = (claim: Claim) => {
  claim(
    "numbers changes without gaps, and moves what changes to the end",
    Effect.gen(function* () {
      assert.strictEqual(yield* append(ZERO, put("a"), put("b")), 2)
      assert.strictEqual(yield* append(ZERO, put("c"), put("a", "{}")), 2)
      const { changes, page } = yield* follow(ZERO)
      assert.deepStrictEqual(changes.map(seen), [
        [2, "ctr_b", "here"],
        [3, "ctr_c", "here"],
        [4, "ctr_a", "here"]
      ])
      assert.strictEqual(page.head, 4)
      assert.strictEqual(changes.at(-1)?.body, "{}")
      yield* addsUp(ZERO)
    })
  )

  claim(
    "tells what is gone by a tombstone, and nothing of what never was",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      yield* append(ZERO, put("a"), put("b"))
      assert.strictEqual(yield* append(ZERO, gone("a"), gone("never")), 1)
      assert.strictEqual(yield* append(ZERO, gone("a")), 0)
      const { changes } = yield* follow(ZERO)
      assert.deepStrictEqual(changes.map(seen), [
        [2, "ctr_b", "here"],
        [3, "ctr_a", "gone"]
      ])
      assert.strictEqual(changes[1]?.body, null)
      assert.deepStrictEqual([...(yield* feeds.stamps(ZERO)).keys()], [keyText(key("b"))])
      assert.deepStrictEqual(yield* feeds.entities(ZERO, [key("a")]), [])
      yield* addsUp(ZERO)
      assert.strictEqual(yield* append(ZERO, put("a")), 1)
      assert.strictEqual((yield* addsUp(ZERO)).length, 2)
    })
  )

  claim(
    "says what is offered to some organisation still",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      yield* append(ZERO, put("a"), put("b"), put("c"))
      yield* append(PLAIN, put("a"))
      yield* append(ZERO, gone("a"), gone("b"))
      const asked = [...["a", "b", "c"].map((name) => key(name)), key("never")]
      const other = { ...key("c"), kind: "proctor" as const }
      const offered = yield* feeds.offeredAnywhere([...asked, other])
      assert.deepStrictEqual(offered, new Set([keyText(key("a")), keyText(key("c"))]))
      assert.strictEqual((yield* feeds.offeredAnywhere([])).size, 0)
      const all = many((name) => put(name))
      yield* append(STRANGE, ...all)
      const found = yield* feeds.offeredAnywhere(all.map((one) => one.key))
      assert.strictEqual(found.size, all.length)
    })
  )

  claim(
    "makes no version of what did not change, but remembers what it was made from",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      yield* append(ZERO, { ...put("a"), stamp: "1" }, { ...put("b"), stamp: "1" })
      assert.strictEqual(yield* append(ZERO, { ...put("a"), stamp: "2" }), 0)
      assert.deepStrictEqual(
        yield* feeds.stamps(ZERO),
        new Map([
          [keyText(key("a")), "2"],
          [keyText(key("b")), "1"]
        ])
      )
      assert.strictEqual((yield* follow(ZERO)).page.head, 2)
    })
  )

  claim(
    "lets the later of two offers of one entity in a list count",
    Effect.gen(function* () {
      yield* append(ZERO, put("a"))
      yield* append(
        ZERO,
        put("b", "1"),
        put("c"),
        put("b", "2"),
        gone("c"),
        put("a", "{}"),
        put("a")
      )
      const live = yield* addsUp(ZERO)
      assert.deepStrictEqual(
        live.map(({ body, id }) => [id, body]),
        [
          ["ctr_a", put("a").body],
          ["ctr_b", "2"]
        ]
      )
    })
  )

  claim(
    "takes nothing of a transaction that fails, and leaves no gap",
    Effect.gen(function* () {
      const atomic = yield* Atomic
      yield* append(ZERO, put("a"))
      yield* Effect.flip(
        atomic.run(Effect.andThen(append(ZERO, put("b"), gone("a")), Effect.fail("no")))
      )
      assert.deepStrictEqual((yield* follow(ZERO)).changes.map(seen), [[1, "ctr_a", "here"]])
      yield* append(ZERO, put("c"))
      assert.deepStrictEqual((yield* follow(ZERO)).changes.map(seen), [
        [1, "ctr_a", "here"],
        [2, "ctr_c", "here"]
      ])
      yield* addsUp(ZERO)
    })
  )

  claim(
    "keeps the feeds of organisations apart that only look alike",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      for (const [at, one] of ORGANISATIONS.entries()) yield* append(one, put(at), put("all", one))
      for (const [at, one] of ORGANISATIONS.entries()) {
        const { changes, page } = yield* follow(one)
        assert.deepStrictEqual(
          changes.map(({ body }) => body),
          [put(at).body, one]
        )
        assert.strictEqual(page.organisation, one)
        const keys = [key("all"), key((at + 1) % ORGANISATIONS.length)]
        assert.strictEqual((yield* feeds.entities(one, keys)).length, 1)
        yield* addsUp(one)
      }
    })
  )
}

const paging = (claim: Claim) => {
  claim(
    "cuts pages at their limit of changes, and says truly whether more follows",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      yield* append(ZERO, ...numbered(PAGE_CHANGES))
      assert.deepStrictEqual((yield* follow(ZERO)).pages, [PAGE_CHANGES])
      yield* append(ZERO, put("one more"))
      const { changes, pages } = yield* follow(ZERO)
      assert.deepStrictEqual(pages, [PAGE_CHANGES, 1])
      assert.deepStrictEqual(
        changes.map(({ version }) => version),
        Array.from({ length: PAGE_CHANGES + 1 }, (_, at) => at + 1)
      )
      const first = yield* feeds.page(ZERO, START)
      assert.deepStrictEqual([first.head, first.more], [PAGE_CHANGES + 1, true])
      assert.strictEqual(first.set.count, PAGE_CHANGES + 1)
    })
  )

  claim(
    "cuts pages at their limit of characters",
    Effect.gen(function* () {
      const eighth = PAGE_CHARACTERS / 8
      const large = (name: number, length = eighth) => put(name, "e".repeat(length))
      yield* append(ZERO, ...Array.from({ length: 9 }, (_, at) => large(at)))
      assert.deepStrictEqual((yield* follow(ZERO)).pages, [8, 1])
      yield* append(ZERO, large(0, eighth + 1))
      assert.deepStrictEqual((yield* follow(ZERO)).pages, [8, 1])
      yield* append(ZERO, put("small"))
      assert.deepStrictEqual((yield* follow(ZERO)).pages, [8, 2])
    })
  )

  claim(
    "has nothing for an organisation that it does not know, nor after the end",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      const nothing = yield* feeds.page(STRANGE, START)
      assert.deepInclude(nothing, { head: 0, more: false, set: EMPTY, changes: [] })
      assert.deepStrictEqual((yield* feeds.buckets(STRANGE)).head, 0)
      assert.deepStrictEqual(yield* feeds.bucket(STRANGE, 0), [])
      yield* append(ZERO, put("a"))
      const { cursor, page } = yield* follow(ZERO)
      assert.deepStrictEqual(yield* feeds.page(ZERO, cursor), { ...page, changes: [] })
    })
  )

  claim(
    "resets a cursor of another life of central, and one that is ahead of it",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      yield* append(ZERO, put("a"), put("b"))
      const { epoch } = yield* feeds.page(ZERO, { epoch: "whatever", version: 0 })
      assert.isAbove(epoch.length, 10)
      for (const since of [
        { epoch: "another", version: 1 },
        { epoch: "", version: 2 },
        { epoch, version: 3 }
      ]) {
        const reset = yield* Effect.flip(feeds.page(ZERO, since))
        assert.deepInclude(reset, { _tag: "FeedReset", epoch })
      }
      const unknown = yield* Effect.flip(feeds.page(PLAIN, { epoch, version: 1 }))
      assert.strictEqual(unknown._tag, "FeedReset")
      assert.strictEqual((yield* feeds.page(ZERO, { epoch, version: 2 })).changes.length, 0)
    })
  )

  claim(
    "voids every cursor when a new life begins, and goes on counting",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      yield* append(ZERO, put("a"))
      const { cursor } = yield* follow(ZERO)
      const epoch = yield* feeds.newEpoch(0)
      assert.notStrictEqual(epoch, cursor.epoch)
      const reset = yield* Effect.flip(feeds.page(ZERO, cursor))
      assert.deepInclude(reset, { _tag: "FeedReset", epoch })
      yield* append(ZERO, put("b"))
      const again = yield* follow(ZERO)
      assert.deepStrictEqual(again.cursor, { epoch, version: 2 })
      assert.strictEqual((yield* feeds.buckets(ZERO)).epoch, epoch)
      const began = lifeBegan(epoch) ?? 0
      assert.isAbove(lifeBegan(yield* feeds.newEpoch(began + 86_400_000)) ?? 0, began + 86_400_000)
    })
  )
}

const blob = (digit: string) => Digest.make(digit.repeat(64))
const content = (name: string, of: Digest): Offer =>
  offer({ kind: "delivery", id: id(`dlv_${name}`) }, `{"content":{"blob":"${of}"}}`)

/** The stamp of somebody whom 500 centers show; bytes that no database can make shorter. */
const LONG_STAMP = Array.from({ length: 500 }, (_, at) => sha256(`center ${at}`)).join(" ")

const counting = (claim: Claim) => {
  claim(
    "counts the changes after a cursor as a page would bring them",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      assert.strictEqual(yield* feeds.countAfter(ZERO, START), 0)
      yield* append(ZERO, ...numbered(MANY))
      yield* append(ORGANISATIONS[1] ?? ZERO, put("elsewhere"))
      const { cursor } = yield* follow(ZERO)
      assert.strictEqual(yield* feeds.countAfter(ZERO, START), MANY)
      assert.strictEqual(yield* feeds.countAfter(ZERO, cursor), 0)
      yield* append(ZERO, gone("00001"), put("00002", "changed"), put("new"))
      assert.strictEqual(yield* feeds.countAfter(ZERO, cursor), 3)
      const { changes } = yield* follow(ZERO, cursor)
      assert.strictEqual(changes.length, 3)
      // What is gone counts: who begins hears of it as well.
      const all = (yield* follow(ZERO)).changes.length
      assert.strictEqual(yield* feeds.countAfter(ZERO, START), all)
      for (const since of [
        { ...cursor, epoch: "another life" },
        { ...cursor, version: cursor.version + 1_000_000 }
      ]) {
        const reset = yield* Effect.flip(feeds.countAfter(ZERO, since))
        assert.deepInclude(reset, { _tag: "FeedReset", epoch: cursor.epoch })
      }
      const before = { epoch: "another life", version: 0 }
      assert.strictEqual(yield* feeds.countAfter(ZERO, before), all)
    })
  )
  claim(
    "remembers a stamp of any length",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      const long = { ...put("long"), stamp: LONG_STAMP }
      yield* append(ZERO, long)
      assert.strictEqual((yield* feeds.stamps(ZERO)).get(keyText(long.key)), LONG_STAMP)
      yield* append(ZERO, gone("long"))
    })
  )
  claim(
    "answers about 1,500 entities at once, by kind and id",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      const offers = numbered(MANY)
      yield* append(ZERO, ...offers)
      const found = yield* feeds.entities(
        ZERO,
        offers.map((one) => one.key)
      )
      assert.strictEqual(found.length, MANY)
      for (const { body, digest } of found) assert.strictEqual(sha256(body ?? ""), digest)
      const first = offers[0]
      if (first === undefined) return
      const wrong: EntityKey = { kind: "delivery", id: first.key.id }
      assert.deepStrictEqual(yield* feeds.entities(ZERO, [wrong, key("unknown")]), [])
      assert.deepStrictEqual(yield* feeds.entities(ZERO, []), [])
      assert.strictEqual(yield* append(ZERO, ...offers.map(({ key }) => offer(key, null))), MANY)
      assert.deepStrictEqual((yield* follow(ZERO)).page.set, EMPTY)
      yield* addsUp(ZERO)
    })
  )

  claim(
    "offers a content to those whose delivery names it, for as long as it does",
    Effect.gen(function* () {
      const feeds = yield* Feeds
      yield* append(ZERO, content("d", blob("a")))
      yield* append(PLAIN, put("no delivery", `{"content":{"blob":"${blob("b")}"}}`))
      assert.isTrue(yield* feeds.offersBlob([PLAIN, ZERO], blob("a")))
      assert.deepStrictEqual(yield* feeds.blobs([PLAIN, ZERO, STRANGE]), [blob("a")])
      assert.deepStrictEqual(yield* feeds.blobs([]), [])
      assert.isFalse(yield* feeds.offersBlob([PLAIN, STRANGE], blob("a")))
      assert.isFalse(yield* feeds.offersBlob([], blob("a")))
      assert.isFalse(yield* feeds.offersBlob([PLAIN], blob("b")))
      yield* append(ZERO, content("d", blob("c")))
      assert.isFalse(yield* feeds.offersBlob([ZERO], blob("a")))
      assert.isTrue(yield* feeds.offersBlob([ZERO], blob("c")))
      yield* append(ZERO, offer({ kind: "delivery", id: id("dlv_d") }, null))
      assert.isFalse(yield* feeds.offersBlob([ZERO], blob("c")))
      assert.deepStrictEqual(yield* feeds.blobs([ZERO]), [])
    })
  )
}

const WRITERS = 6
const ROUNDS = 10

/** Appends a few entities of its own and one that all writers fight for, round after round. */
const writer = (append: (...offers: ReadonlyArray<Offer>) => Effect.Effect<number, never, Ports>) =>
  Effect.fnUntraced(function* (number: number) {
    for (let round = 0; round < ROUNDS; round++) {
      const own = [put(`${number}.${round}`), put(`${number}.latest`, String(round))]
      yield* append(...own, put("shared", `${number}.${round}`))
      yield* Effect.yieldNow
    }
  })

/** Follows the feed while others write, and once more when they have finished. */
const followUntil = Effect.fnUntraced(function* (finished: Ref.Ref<boolean>) {
  const versions: Array<number> = []
  const held = new Map<string, Change>()
  for (let since = START; ; ) {
    const last = yield* Ref.get(finished)
    const { changes, cursor } = yield* follow(ZERO, since)
    for (const change of changes) {
      versions.push(change.version)
      held.set(keyText(change), change)
    }
    since = cursor
    if (last) return { versions, held }
    yield* Effect.yieldNow
  }
})

const concurrency = (claim: Claim) => {
  const race = (append: (...offers: ReadonlyArray<Offer>) => Effect.Effect<number, never, Ports>) =>
    Effect.gen(function* () {
      const finished = yield* Ref.make(false)
      const writers = Effect.forEach(
        Array.from({ length: WRITERS }, (_, at) => at),
        writer(append),
        { concurrency: "unbounded" }
      )
      const [{ held, versions }] = yield* Effect.all(
        [followUntil(finished), Effect.andThen(writers, Ref.set(finished, true))],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        versions,
        [...new Set(versions)].sort((a, b) => a - b)
      )
      const live = yield* addsUp(ZERO)
      assert.deepStrictEqual(new Map(live.map((change) => [keyText(change), change])), held)
      assert.strictEqual(live.length, WRITERS * (ROUNDS + 1) + 1)
      assert.strictEqual((yield* follow(ZERO)).page.head, WRITERS * ROUNDS * 3)
    })

  claim(
    "loses and doubles no version when six write at once, and one who follows misses nothing",
    race((...offers) => append(ZERO, ...offers))
  )

  claim(
    "does so too for writers that did not ask for the lock",
    race((...offers) => Feeds.use((feeds) => feeds.append(ZERO, offers)))
  )
}
