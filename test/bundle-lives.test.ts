/** Bundles across new keys and new epochs of central: what the simulation found. */
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Result } from "effect"
import { beginAnew } from "../application/begin-anew.ts"
import { Standing } from "../application/bundle-ports.ts"
import { adoptRoot, changeRoot } from "../application/change-root.ts"
import { revoke } from "../application/revoke.ts"
import { isLaterLife } from "../domain/feed.ts"
import { comeHome, cutFor, give, roundTrip, sendHome } from "./support/courier.ts"
import { handClock } from "./support/dice.ts"
import { newStick } from "./support/stick.ts"
import * as Town from "./support/town.ts"

const chain = Effect.flatMap(Standing, (standing) => standing.chain)
const LOST = { type: "bundle", id: "019ac0de-7d3a-7b11-9c55-2f6f3f0a9d01", from: 7 } as const

describe("a bundle of a central that changed", () => {
  it.live("brings revocations that were made before the key for them was replaced", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* town.office(revoke({ ...LOST, reason: "Lost." }))
      yield* town.office(
        changeRoot({ rotate: ["revocation"], newEpoch: false, holders: undefined })
      )
      assert.isTrue((yield* roundTrip(town)).imported.applied)
      const { list } = yield* town.on(Effect.flatMap(Standing, ({ revocations }) => revocations))
      assert.deepStrictEqual(
        list.revoked.map(({ id }) => id),
        [LOST.id]
      )
    })
  )

  it.live("is found beside bundles of an earlier epoch with higher numbers", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const old = newStick()
      for (let times = 0; times < 3; times++) yield* cutFor(town, old)
      yield* town.office(beginAnew)
      const stick = newStick()
      assert.strictEqual((yield* cutFor(town, stick)).seq, 1)
      stick.bundles = [...old.bundles, ...stick.bundles]
      const { applied, bundle } = yield* give(town, stick)
      assert.deepInclude({ applied, epoch: bundle?.manifest.epoch }, { applied: true, epoch: 2 })
    })
  )

  it.live(
    "is of a later life of central than any that its roots tell of, whatever the clock says",
    () =>
      Effect.gen(function* () {
        const { central, office, root } = yield* Town.town
        const folder = path.join(root, "copy")
        central.copyTo(folder)
        const first = yield* office(beginAnew)
        const roots = yield* office(chain)
        yield* central.reopen(central.restoreFrom(folder))
        const known = yield* office(chain)
        for (const signed of roots.slice(known.length)) yield* office(adoptRoot(signed))
        const past = handClock(Date.now() - 3_600_000)
        const second = yield* Effect.provideService(office(beginAnew), Clock.Clock, past)
        assert.isTrue(isLaterLife(second.epoch, first.epoch), `${second.epoch} ${first.epoch}`)
      })
  )

  it.live("builds on what a device says now, though it said more before it was restored", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* town.on(Town.synced())
      const folder = path.join(town.root, "device-copy")
      town.device.copyTo(folder)
      const stick = newStick()
      yield* cutFor(town, stick, { full: true })
      assert.isTrue((yield* give(town, stick)).applied)
      assert.strictEqual((yield* comeHome(town, stick)).receipts, 1)
      yield* town.device.reopen(town.device.restoreFrom(folder))
      const home = newStick()
      yield* sendHome(town, home)
      yield* comeHome(town, home)
      const { exported, imported } = yield* roundTrip(town)
      assert.deepInclude({ ...exported, ...imported }, { mode: "delta", applied: true })
    })
  )

  it.live("does not make central doubt what a device sent before it heard of that", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* roundTrip(town)
      const stick = newStick()
      yield* sendHome(town, stick)
      yield* town.office(beginAnew)
      const fresh = newStick()
      yield* cutFor(town, fresh)
      yield* give(town, fresh)
      yield* sendHome(town, fresh)
      fresh.bundles = [...fresh.bundles, ...stick.bundles]
      const { bundles } = yield* comeHome(town, fresh)
      assert.deepStrictEqual(
        bundles.map(({ result, seq }) => [seq, Result.isSuccess(result) && result.success.status]),
        [
          [2, "received"],
          [1, "received"]
        ]
      )
    })
  )
})
