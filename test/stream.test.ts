import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import { type BundleManifest, streamOf } from "../domain/bundle-manifest.ts"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import { isLaterLife, lifeBegan, lifeName } from "../domain/feed.ts"
import { judgeFeed } from "../domain/feed-ground.ts"
import { DeviceId, Digest, OrganisationId } from "../domain/id.ts"
import { EMPTY } from "../domain/set-digest.ts"
import {
  applied,
  type Ground,
  judge,
  newStream,
  nextPlace,
  REMEMBERED,
  SEQ_JUMP_MAX,
  type StreamState
} from "../domain/stream.ts"

const ME = DeviceId.make("dev_abcdef")
const STREAM = streamOf("c2d", ME)
const digest = (at: number, branch = 0) =>
  Digest.make((at * 10 + branch).toString(16).padStart(64, "0"))

const bundle = (seq: number, changes: Partial<BundleManifest> = {}): BundleManifest => ({
  schema: "testferry/manifest/1",
  bundle: "0".repeat(36),
  stream: STREAM,
  epoch: 1,
  seq,
  prev: seq === 1 ? null : digest(seq - 1),
  mode: "full",
  base: 0,
  from: "central",
  to: ME,
  createdAt: 1_000,
  expires: 2_000,
  root: 1,
  revocations: 0,
  ack: null,
  ledger: null,
  segment: 4_096,
  volumes: 1,
  parts: [],
  ...changes
})

/** The state after these bundles, in their order. */
const after = (...seqs: ReadonlyArray<number>): StreamState =>
  seqs.reduce((state, seq) => applied(bundle(seq), digest(seq), state), newStream(STREAM, 1))

const ground = (state: StreamState, changes: Partial<Ground> = {}): Ground => ({
  me: ME,
  state,
  rootEpoch: 1,
  revocations: 0,
  now: 1_500,
  floor: 0,
  expiredAllowed: false,
  ...changes
})

const codeOf = (result: ReturnType<typeof judge>) =>
  Result.isSuccess(result) ? result.success : result.failure.code

const seqs = fc.uniqueArray(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 150 })

describe("a stream", () => {
  const cases: ReadonlyArray<
    readonly [string, BundleManifest, Partial<Ground>, BundleCode | "apply" | "already applied"]
  > = [
    ["the next", bundle(4), {}, "apply"],
    ["one later, when one was lost", bundle(9), {}, "apply"],
    ["the newest again", bundle(3), {}, "already applied"],
    ["an older one again", bundle(2), {}, "E_ROLLBACK"],
    ["for somebody else", bundle(4, { to: DeviceId.make("dev_another") }), {}, "E_WRONG_DEVICE"],
    ["of another stream", bundle(4, { stream: streamOf("d2c", ME) }), {}, "E_WRONG_STREAM"],
    ["of an old epoch", bundle(4), { rootEpoch: 2 }, "E_EPOCH"],
    ["that follows another", bundle(4, { prev: digest(3, 1) }), {}, "E_STREAM_FORK"],
    ["on a base that is not here", bundle(9, { base: 4, mode: "delta" }), {}, "E_GAP"],
    ["on the base that is here", bundle(9, { base: 3, mode: "delta" }), {}, "apply"],
    ["as far as may be", bundle(3 + SEQ_JUMP_MAX), {}, "apply"],
    ["further", bundle(4 + SEQ_JUMP_MAX), {}, "E_SEQ_JUMP"],
    ["with an old list", bundle(4), { revocations: 1 }, "E_REV_ROLLBACK"],
    ["too old", bundle(4), { now: 2_001 }, "E_EXPIRED"],
    ["too old for what was signed since", bundle(4), { floor: 2_001, now: 0 }, "E_EXPIRED"],
    ["too old, on somebody's word", bundle(4), { now: 2_001, expiredAllowed: true }, "apply"],
    ["too old, but applied before", bundle(3), { now: 2_001 }, "already applied"]
  ]
  for (const [what, manifest, changes, expected] of cases) {
    it(`judges a bundle ${what}: ${expected}`, () => {
      const found = judge(manifest, digest(manifest.seq), ground(after(1, 2, 3), changes))
      assert.strictEqual(codeOf(found), expected)
    })
  }

  it("refuses other bytes under a number that it knows", () => {
    const found = judge(bundle(2), digest(2, 1), ground(after(1, 2, 3)))
    assert.strictEqual(codeOf(found), "E_STREAM_FORK")
  })

  it("applies each bundle at most once, in whatever order they come, and never goes back", () => {
    fc.assert(
      fc.property(seqs, fc.array(fc.nat(149), { maxLength: 50 }), (order, again) => {
        const coming = [...order, ...again.map((at) => order[at % order.length] ?? 1)]
        let state = newStream(STREAM, 1)
        const taken: Array<number> = []
        for (const seq of coming) {
          const found = judge(bundle(seq), digest(seq), ground(state))
          if (codeOf(found) !== "apply") continue
          taken.push(seq)
          state = applied(bundle(seq), digest(seq), state)
        }
        assert.deepStrictEqual(
          taken,
          [...new Set(taken)].sort((a, b) => a - b)
        )
        assert.strictEqual(state.seq, Math.max(...order))
        assert.isAtMost(state.recent.length, REMEMBERED)
      })
    )
  })

  it("begins anew with a new epoch, and only with that", () => {
    const state = after(1, 2, 3)
    const fresh = bundle(1, { epoch: 2, prev: null })
    assert.strictEqual(codeOf(judge(fresh, digest(1, 7), ground(state, { rootEpoch: 2 }))), "apply")
    assert.strictEqual(applied(fresh, digest(1, 7), state).seq, 1)
    assert.strictEqual(codeOf(judge(fresh, digest(1, 7), ground(state))), "E_EPOCH")
  })

  it("is written on without using a number twice, wherever the other side is", () => {
    const known = fc.option(
      fc.nat(50).map((seq) => seq + 1),
      { nil: undefined }
    )
    fc.assert(
      fc.property(known, known, (sent, seen) => {
        const place = nextPlace(
          sent === undefined ? undefined : { seq: sent, manifest: digest(sent) },
          seen === undefined ? undefined : { seq: seen, head: digest(seen, 1) }
        )
        assert.strictEqual(place.seq, Math.max(sent ?? 0, seen ?? 0) + 1)
        // Where the receiver is as far, its word counts: the sender may have been restored.
        const follows = (seen ?? 0) >= (sent ?? 0) ? seen : sent
        const branch = follows === seen ? 1 : 0
        assert.strictEqual(place.prev, follows === undefined ? null : digest(follows, branch))
      })
    )
  })
})

describe("a feed in a bundle", () => {
  const [first, second] = [lifeName(1_000, "aa"), lifeName(1_001, "00")]
  const feed = {
    organisation: OrganisationId.make("0123"),
    epoch: second,
    set: EMPTY,
    lines: null
  }
  const judged = (base: number, head: number, epoch: string, version: number) => {
    const found = judgeFeed({ ...feed, base, head }, { epoch, version })
    return Result.isSuccess(found) ? found.success : found.failure.code
  }

  it("is taken where nothing is missing in between, and passed over where it is late", () => {
    fc.assert(
      fc.property(fc.nat(20), fc.nat(20), fc.integer({ min: 1, max: 40 }), (base, more, at) => {
        const expected = at < base ? "E_GAP" : at > base + more ? "ahead" : "pull"
        assert.strictEqual(judged(base, base + more, second, at), expected)
      })
    )
  })

  it("needs everything where nothing is here, or only what an earlier life left", () => {
    assert.strictEqual(judged(0, 9, "", 0), "pull")
    assert.strictEqual(judged(1, 9, "", 0), "E_GAP")
    assert.strictEqual(judged(0, 9, first, 100), "pull")
    assert.strictEqual(judged(0, 9, "0c0ffee0-1111", 100), "pull")
    assert.strictEqual(judged(1, 9, first, 100), "E_GAP")
    assert.strictEqual(judged(0, 9, lifeName(2_000, "aa"), 1), "E_EPOCH")
  })

  it("knows by its name which life of central is later", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (a, b) => {
        const later = isLaterLife(lifeName(a, "x"), lifeName(b, "x"))
        assert.strictEqual(later, a > b)
        assert.strictEqual(lifeBegan(lifeName(a, "x")), a)
      })
    )
    assert.isFalse(isLaterLife(crypto.randomUUID(), crypto.randomUUID()))
  })
})
