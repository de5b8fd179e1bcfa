/**
 * What the port Central promises, whatever carries it: HTTPS or a bundle. An adapter is given what
 * central offers, and must tell a device exactly that.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Stream } from "effect"
import { Central, type Offer } from "../../application/ports.ts"
import type { EntityKey } from "../../domain/entity.ts"
import { type Change, type Cursor, START } from "../../domain/feed.ts"
import { Digest, EntityId, OrganisationId } from "../../domain/id.ts"
import { PROTOCOL_VERSION } from "../../domain/release.ts"
import { BUCKETS, bucketOf, changed, EMPTY } from "../../domain/set-digest.ts"
import { offer, sha256 } from "../support/offers.ts"

/** What central has for a device, and what it must not tell it. */
export interface CentralData {
  readonly organisation: OrganisationId
  /** Appended in this order; the later of two with one key is what counts. */
  readonly offers: ReadonlyArray<Offer>
  readonly contents: ReadonlyArray<Uint8Array>
  readonly otherOrganisation: OrganisationId
  readonly otherOffers: ReadonlyArray<Offer>
}

const content = new Uint8Array(200_000).map((_, at) => (at * 7) % 256)
const blob = sha256(content)
const center = (at: number): EntityKey => ({
  kind: "test-center",
  id: EntityId.make(`tc:${String(at).padStart(5, "0")}`)
})
const delivery: EntityKey = { kind: "delivery", id: EntityId.make("dl:é%/1") }
const gone = center(0)

/** More than a page holds, with a change and a removal after everything else. */
const data: CentralData = {
  organisation: OrganisationId.make("school 7/é %2F"),
  offers: [
    ...Array.from({ length: 2_300 }, (_, at) =>
      offer(center(at), `{"label":"Center ${at} \u2028"}`)
    ),
    offer(delivery, `{"kind":"delivery","content":{"blob":"${blob}"}}`),
    offer(center(1), '{"label":"renamed"}'),
    offer(gone, null)
  ],
  contents: [content],
  otherOrganisation: OrganisationId.make("another"),
  otherOffers: [offer(center(9_999), '{"label":"not yours"}')]
}

/** The entities as they should be in the end. */
const expected = new Map(data.offers.map((each) => [`${each.key.kind}/${each.key.id}`, each]))
const live = [...expected.values()].filter(({ digest }) => digest !== null)
const digests = live.flatMap(({ digest }) => (digest === null ? [] : [digest]))

/** Follows the feed to its end, as `pull` does. */
const follow = Effect.fnUntraced(function* (from: Cursor) {
  const central = yield* Central
  const changes: Array<Change> = []
  let cursor = from
  while (true) {
    const page = yield* central.page(data.organisation, cursor)
    changes.push(...page.changes)
    const last = page.changes.at(-1)?.version ?? page.head
    cursor = { epoch: page.epoch, version: page.more ? last : page.head }
    if (!page.more) return { page, changes, cursor }
  }
})

/**
 * `carrier`: a line asks central as it is now; a bundle says what was, and its contents are moved to
 * their place as files, past this port.
 */
export const centralContract = <E>(
  name: string,
  open: (data: CentralData) => Layer.Layer<Central, E>,
  carrier: "line" | "bundle" = "line"
) =>
  layer(open(data), { excludeTestServices: true })(`the port Central, ${name}`, (it) => {
    const claim = <F>(what: string, effect: Effect.Effect<void, F, Central>) =>
      it.effect(what, () => effect)

    claim(
      "says which protocol it speaks",
      Effect.gen(function* () {
        const central = yield* Central
        assert.include((yield* central.capabilities).protocols, PROTOCOL_VERSION)
      })
    )

    claim(
      "tells every entity, page by page, with the bytes that its digest names",
      Effect.gen(function* () {
        const { page, changes } = yield* follow(START)
        const held = new Map(changes.map((each) => [`${each.kind}/${each.id}`, each]))
        for (const { key, digest, body } of live) {
          const change = held.get(`${key.kind}/${key.id}`)
          assert.deepStrictEqual([change?.digest, change?.body], [digest, body])
        }
        assert.strictEqual(changes.filter(({ digest }) => digest !== null).length, live.length)
        assert.deepStrictEqual(page.set, changed(EMPTY, [], digests))
        const versions = changes.map(({ version }) => version)
        assert.deepStrictEqual(
          versions,
          [...new Set(versions)].sort((a, b) => a - b)
        )
      })
    )

    claim(
      "has nothing to tell after the end, and tells what is gone to whoever had it",
      Effect.gen(function* () {
        const central = yield* Central
        const { cursor, page } = yield* follow(START)
        const after = yield* central.page(data.organisation, cursor)
        assert.deepStrictEqual(after, { ...page, changes: [], more: false })
        const late = { epoch: cursor.epoch, version: cursor.version - 1 }
        const { changes } = yield* central.page(data.organisation, late)
        assert.deepStrictEqual(
          changes.map(({ id, digest, body }) => [id, digest, body]),
          [[gone.id, null, null]]
        )
      })
    )

    claim(
      "resets a cursor of another life of central, and takes none back that is ahead of it",
      Effect.gen(function* () {
        const central = yield* Central
        const { cursor } = yield* follow(START)
        const another = { epoch: "another", version: 5 }
        const reset = { _tag: "FeedReset" as const, epoch: cursor.epoch }
        assert.deepInclude(yield* Effect.flip(central.page(data.organisation, another)), reset)
        const ahead = { epoch: cursor.epoch, version: cursor.version + 1 }
        const failure = yield* Effect.flip(central.page(data.organisation, ahead))
        if (carrier === "line") assert.deepInclude(failure, reset)
        else assert.strictEqual(failure._tag, "CentralInconsistent")
      })
    )

    claim(
      "sums up its set in buckets that agree with what they list",
      Effect.gen(function* () {
        const central = yield* Central
        const { buckets } = yield* central.buckets(data.organisation)
        assert.strictEqual(buckets.length, BUCKETS)
        for (const bucket of [0, 17, bucketOf(delivery.id), 255]) {
          const listed = yield* central.bucket(data.organisation, bucket)
          assert.isTrue(listed.every(({ id, body }) => bucketOf(id) === bucket && body === null))
          const within = listed.flatMap(({ digest }) => (digest === null ? [] : [digest]))
          assert.deepStrictEqual(changed(EMPTY, [], within), buckets[bucket])
        }
      })
    )

    claim(
      "tells entities by key, however many, and leaves out what is not offered",
      Effect.gen(function* () {
        const central = yield* Central
        const keys = [
          delivery,
          gone,
          center(9_999),
          ...Array.from({ length: 1_500 }, (_, at) => center(at + 1))
        ]
        const found = yield* central.entities(data.organisation, keys)
        const ids = found.map(({ id }) => id)
        assert.sameMembers(ids, [delivery.id, ...keys.slice(3).map(({ id }) => id)])
        assert.isTrue(found.every(({ body, digest }) => body !== null && sha256(body) === digest))
      })
    )

    claim(
      "gives a content whole, from any byte on, and nothing after its end",
      Effect.gen(function* () {
        const central = yield* Central
        if (carrier === "bundle") return
        for (const offset of [0, 1, 65_536, content.byteLength - 1, content.byteLength]) {
          const parts = yield* Stream.runCollect(central.blob(blob, offset))
          assert.isTrue(Buffer.concat(parts).equals(content.subarray(offset)), `from ${offset}`)
        }
      })
    )

    claim(
      "refuses another's organisation and a content that nothing names",
      Effect.gen(function* () {
        const central = yield* Central
        const failures = yield* Effect.all([
          Effect.flip(central.page(data.otherOrganisation, START)),
          Effect.flip(central.buckets(data.otherOrganisation))
        ])
        for (const failure of failures) assert.strictEqual(failure._tag, "CentralRefused")
        const none = central.blob(Digest.make("0".repeat(64)), 0)
        const tag = carrier === "line" ? "CentralRefused" : "CentralInconsistent"
        assert.strictEqual((yield* Effect.flip(Stream.runDrain(none)))._tag, tag)
      })
    )
  })
