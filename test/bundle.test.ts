import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { Blobs, Feeds, Hashing, Holdings } from "../application/ports.ts"
import * as Courier from "./support/courier.ts"
import { comeHome, cutFor, give, idOf, roundTrip, sendHome } from "./support/courier.ts"
import * as Observe from "./support/observe.ts"
import * as Office from "./support/office.ts"
import { copyOf, newStick } from "./support/stick.ts"
import * as Town from "./support/town.ts"
import { HALL, ORGANISATION } from "./support/town.ts"

/** What the device holds is what central offers, resolves, and can be read whole. */
const assertEqual = Effect.fnUntraced(function* ({ office, on }: Town.Town) {
  assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
  const rows = yield* on(Observe.heldRows)
  const { sha256 } = yield* on(Hashing)
  Observe.assertSound(rows, sha256)
  Observe.assertResolves(rows)
  const blobs = yield* office(Effect.flatMap(Feeds, (feeds) => feeds.blobs([ORGANISATION])))
  for (const blob of blobs) {
    assert.isTrue(yield* on(Effect.flatMap(Blobs, ({ has }) => has(blob))), `${blob} is here`)
  }
})

describe("a bundle", () => {
  it.live("brings everything to a device that never saw a network, and only news afterwards", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const first = yield* roundTrip(town)
      assert.strictEqual(first.exported.mode, "full")
      assert.strictEqual(first.exported.seq, 1)
      assert.isTrue(first.imported.applied)
      assert.isTrue(first.imported.receiptWritten)
      yield* assertEqual(town)

      yield* town.office(Office.people("test-taker", [{ login: "dora" }]))
      yield* town.office(Office.eligible(HALL, "math", ["ada", "ben", "cem", "dora"]))
      const second = yield* roundTrip(town)
      assert.strictEqual(second.exported.mode, "delta")
      assert.strictEqual(second.exported.base, 1)
      assert.deepInclude(second.exported.contents, { brought: 0, held: 1 })
      assert.isBelow(second.exported.bytes, first.exported.bytes)
      yield* assertEqual(town)

      const third = yield* roundTrip(town)
      assert.deepStrictEqual(
        third.exported.feeds.map(({ counts }) => counts.size),
        [0]
      )
      const synced = Option.getOrThrow(third.imported.synced)
      assert.strictEqual(synced.outcome, "unchanged")
      yield* assertEqual(town)
    })
  )
})
