/** What central takes back, and how devices with a network learn whom to trust: rows 52 and 69. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import fc from "fast-check"
import { acceptRevocations } from "../application/accept-revocations.ts"
import { BundleKeys, Devices, Standing } from "../application/bundle-ports.ts"
import { changeRoot } from "../application/change-root.ts"
import { revokeDevice } from "../application/manage-clients.ts"
import { Clients } from "../application/ports.ts"
import { revoke } from "../application/revoke.ts"
import { syncOnline } from "../application/sync-online.ts"
import {
  NONE_REVOKED,
  type Revoked,
  readRevocations,
  revocationsText,
  revokedAlso,
  revokedFrom
} from "../domain/revocations.ts"
import * as DoorSupport from "./support/door.ts"
import { bearer, Door } from "./support/door.ts"
import { onlineDevice } from "./support/online-device.ts"
import { layerFilled, MINE, OTHER } from "./support/two-schools.ts"

const BUNDLE = {
  type: "bundle",
  id: "019ac0de-7d3a-7b11-9c55-2f6f3f0a9d01",
  reason: "Lost."
} as const
const SYNC = { dryRun: false, confirmRemovals: true }
const ROTATE = { newEpoch: false, holders: undefined }

const syncs = syncOnline(SYNC)

/** What a device knows of roots and revocations. */
const versions = Effect.flatMap(Standing, (standing) => standing.versions)

const door = DoorSupport.layer(layerFilled)

describe("revocations", () => {
  it.live("reach a device with its next synchronisation, and a root before them", () =>
    Effect.gen(function* () {
      const device = yield* onlineDevice("anna")
      const first = yield* device.run(syncs)
      assert.deepStrictEqual(first.documents, [])
      assert.deepStrictEqual(yield* device.run(versions), { root: 1, revocations: 0 })

      yield* changeRoot({ ...ROTATE, rotate: ["revocation", "c2d", "device-ca"] })
      const list = yield* revoke({ ...BUNDLE, from: 7 })
      assert.deepStrictEqual([list.version, revokedFrom(list, "bundle", BUNDLE.id)], [1, 7])
      assert.deepStrictEqual(yield* revoke({ ...BUNDLE, from: undefined }), list, "once is enough")

      const second = yield* device.run(syncs)
      assert.deepStrictEqual([second.synced.outcome, second.documents], ["unchanged", []])
      assert.deepStrictEqual(yield* device.run(versions), { root: 2, revocations: 1 })
      const reports = yield* Devices
      const told = Option.getOrThrow(yield* reports.report(device.id))
      assert.deepInclude(told, { root: 2, revocations: 1 })
      assert.strictEqual(told.cursors[0]?.organisation, MINE)
    }).pipe(Effect.scoped, Effect.provide(door))
  )

  it.live("are refused when older, or signed by a key that is not trusted for them (row 52)", () =>
    Effect.gen(function* () {
      const device = yield* onlineDevice("anna")
      const keys = yield* BundleKeys
      const standing = yield* Standing
      const sign = (version: number) =>
        keys.sign("revocations", revocationsText({ ...NONE_REVOKED, version }))
      const offered = (signed: Effect.Success<ReturnType<typeof sign>>) =>
        device.run(
          acceptRevocations(signed).pipe(
            Effect.match({
              onSuccess: ({ version }): number | string => version,
              onFailure: ({ code }) => code
            })
          )
        )
      assert.strictEqual(yield* offered(yield* sign(3)), 3)
      assert.strictEqual(yield* offered(yield* sign(2)), "E_REV_ROLLBACK")
      assert.strictEqual(yield* offered(yield* sign(3)), 3)
      const { text } = yield* sign(4)
      assert.strictEqual(yield* offered(yield* keys.sign("c2d", text)), "E_SIG_NAMESPACE")
      assert.strictEqual(yield* offered({ text, signatures: [] }), "E_SIG_MISSING")
      assert.strictEqual(
        yield* offered(yield* keys.sign("revocations", `${text}\n`)),
        "E_MANIFEST_SCHEMA"
      )
      const wrong = yield* keys.sign("certificate", text)
      assert.strictEqual(yield* offered(wrong), "E_SIG_NAMESPACE")
      assert.strictEqual((yield* device.run(versions)).revocations, 3)
      assert.strictEqual((yield* standing.versions).revocations, 0)
    }).pipe(Effect.scoped, Effect.provide(door))
  )

  it.live("tell a revoked device in plain words, and stand on the signed list", () =>
    Effect.gen(function* () {
      const clients = yield* Clients
      const device = yield* onlineDevice("anna")
      yield* device.run(syncs)
      yield* revokeDevice(device.id, "operator")
      const { synced } = yield* device.run(syncs)
      const pulled = synced.organisations[0]?.pulled
      const why = pulled !== undefined && Result.isFailure(pulled) ? pulled.failure : undefined
      assert.deepInclude(why, { _tag: "CentralRefused", code: "device-revoked" })
      const standing = yield* Standing
      const { list, signed } = yield* standing.revocations
      assert.isDefined(revokedFrom(list, "device", device.id))
      assert.deepStrictEqual(Result.getOrThrow(readRevocations(signed?.text ?? "")), list)
      const found = Option.getOrThrow(yield* clients.find(device.id))
      assert.strictEqual(found.state, "revoked")
    }).pipe(Effect.scoped, Effect.provide(door))
  )

  it.live("leave the key alone by which central signs now", () =>
    Effect.gen(function* () {
      const standing = yield* Standing
      const { document } = yield* standing.root
      const id = document.roles.c2d.keys[0] ?? ""
      const item = { type: "signing-key", id, reason: "Stolen.", from: undefined } as const
      assert.strictEqual((yield* Effect.flip(revoke(item)))._tag, "KeyInUse")
      yield* changeRoot({ ...ROTATE, rotate: ["c2d"] })
      assert.strictEqual((yield* revoke(item)).version, 1)
    }).pipe(Effect.scoped, Effect.provide(layerFilled))
  )

  it("only grow, and never let a later moment replace an earlier one", () => {
    const item: fc.Arbitrary<Revoked> = fc.record({
      type: fc.constantFrom("device", "bundle", "signing-key"),
      id: fc.constantFrom("a", "b"),
      from: fc.integer({ min: 0, max: 9 }),
      reason: fc.constant("Lost.")
    })
    fc.assert(
      fc.property(fc.array(item), (items) => {
        let list = NONE_REVOKED
        for (const one of items) {
          const next = revokedAlso(list, one)
          const { from, id, type } = one
          const earlier = revokedFrom(list, type, id) ?? Infinity
          assert.strictEqual(revokedFrom(next, type, id), Math.min(earlier, from))
          assert.strictEqual(next.version, list.version + (earlier <= from ? 0 : 1))
          list = next
        }
        assert.isAtMost(list.revoked.length, 6)
      })
    )
  })
})

describe("what central signs beside the feed", () => {
  it.live("comes with a new certificate when the organisations have changed, or it ends soon", () =>
    Effect.gen(function* () {
      const clients = yield* Clients
      const device = yield* onlineDevice("anna")
      yield* device.run(syncs)
      const before = yield* device.membership
      const found = Option.getOrThrow(yield* clients.find(device.id))
      yield* clients.put({ ...found, organisations: [MINE, OTHER], serial: found.serial + 1 })
      assert.deepStrictEqual((yield* device.run(syncs)).documents, [])
      const after = yield* device.membership
      assert.deepStrictEqual(after.organisations, [MINE, OTHER])
      assert.deepStrictEqual(
        [before.certificate.serial, after.certificate.serial],
        [found.serial, found.serial + 1]
      )
    }).pipe(Effect.scoped, Effect.provide(door))
  )

  it.live("is reported when it can't be trusted, and the data comes all the same", () =>
    Effect.gen(function* () {
      const device = yield* onlineDevice("anna")
      const standing = yield* Standing
      const { signed } = yield* Effect.andThen(revoke({ ...BUNDLE, from: 1 }), standing.revocations)
      const { text } = signed ?? { text: "" }
      const forged = text.replace('"version":1', '"version":2')
      yield* standing.putRevocations({ text: forged, signatures: signed?.signatures ?? [] })
      const { documents, synced } = yield* device.run(syncs)
      assert.strictEqual(synced.outcome, "done")
      assert.deepStrictEqual(
        documents.map(({ document, why }) => [document, "code" in why ? why.code : why._tag]),
        [["revocations", "E_SIG_BAD"]]
      )
    }).pipe(Effect.scoped, Effect.provide(door))
  )

  it.live("is for admitted clients only, and a report for oneself", () =>
    Effect.gen(function* () {
      const { knock } = yield* Door
      const device = yield* onlineDevice("anna")
      const other = yield* onlineDevice("otto")
      for (const path of ["roots", "revocations", "certificate"])
        assert.strictEqual((yield* knock({ path: `/api/v1/${path}` })).status, 401)
      const headers = { ...(yield* bearer(device.id)), "content-type": "application/json" }
      const report = (id: string) =>
        knock({
          method: "POST",
          path: "/api/v1/report",
          headers,
          body: JSON.stringify({
            schema: "testferry/report/1",
            device: id,
            serial: 1,
            at: 1,
            program: "0.1.0",
            cursors: [{ organisation: OTHER, epoch: "", version: 1 }],
            blobs: [],
            root: 1,
            revocations: 0,
            disk: { free: 1, total: 1 }
          })
        })
      assert.strictEqual((yield* report(other.id)).status, 404)
      assert.strictEqual((yield* report(device.id)).status, 200)
      const reports = yield* Devices
      assert.isTrue(Option.isNone(yield* reports.report(other.id)))
      const kept = Option.getOrThrow(yield* reports.report(device.id))
      assert.deepStrictEqual(kept.cursors, [], "cursors of others' organisations are dropped")
      const revocations = yield* knock({ path: "/api/v1/revocations", headers })
      assert.strictEqual(revocations.status, 404)
      const roots = yield* knock({ path: "/api/v1/roots?after=1", headers })
      assert.deepStrictEqual(roots.json, { roots: [] })
    }).pipe(Effect.scoped, Effect.provide(door))
  )
})
