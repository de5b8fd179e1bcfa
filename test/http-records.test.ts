/** Records over a real port: who may send, how much, and that the receipt is central's own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Result, Stream } from "effect"
import { Signatures, Standing } from "../application/bundle-ports.ts"
import { Central } from "../application/ports.ts"
import { Records } from "../application/record-ports.ts"
import { DeviceId } from "../domain/id.ts"
import { RecordsReceipt, type Submission } from "../domain/result.ts"
import { trustOf } from "../domain/root.ts"
import type { CentralPorts } from "../entrypoints/wiring.ts"
import * as DoorSupport from "./support/door.ts"
import { addDevice, bearer, Door, setState } from "./support/door.ts"
import { sha256 } from "./support/offers.ts"
import { reach } from "./support/reach.ts"
import { layerEmbedded } from "./support/real-central.ts"
import { sealed } from "./support/sittings.ts"
import { MINE } from "./support/two-schools.ts"

const atDoor = <A, E>(test: Effect.Effect<A, E, Door | CentralPorts>) =>
  Effect.scoped(test).pipe(Effect.provide(DoorSupport.layer(layerEmbedded)))

const submission = (...bodies: ReadonlyArray<string>): Submission => ({
  ledger: { count: bodies.length, head: null },
  records: bodies.map((body, at) => ({
    ledger: {
      number: at + 1,
      prev: null,
      kind: "result",
      id: `r${at + 1}`,
      revision: 1,
      sha256: sha256(body)
    },
    body
  }))
})
const post = (body: string, headers: Record<string, string>) =>
  Effect.flatMap(Door, ({ knock }) =>
    knock({
      method: "POST",
      path: "/api/v1/records",
      headers: { "content-type": "application/json", ...headers },
      body
    })
  )
const kept = Effect.flatMap(Records, (records) =>
  Stream.runCollect(
    records.list({
      kind: undefined,
      stages: undefined,
      delivery: undefined,
      organisation: undefined,
      device: undefined
    })
  )
)

describe("POST /api/v1/records", () => {
  it.live("answers with central's signed receipt, the same in meaning when asked again", () =>
    atDoor(
      Effect.gen(function* () {
        const door = yield* Door
        const device = yield* addDevice("dev_mine00", [MINE])
        const batch = submission(yield* sealed("one"), yield* sealed("two", 6_000_000), "no box")
        const submitted = Central.use((central) => central.submit(batch)).pipe(
          Effect.provide(reach(door.baseUrl, device))
        )
        for (const signed of [yield* submitted, yield* submitted]) {
          const { document } = yield* Effect.flatMap(Standing, (standing) => standing.root)
          const signatures = yield* Signatures
          const checked = signatures.check("receipt", signed, trustOf(document, "c2d"))
          assert.isTrue(Result.isSuccess(checked))
          const receipt = RecordsReceipt.make(JSON.parse(signed.text))
          assert.strictEqual(receipt.device, DeviceId.make(device.id))
          assert.deepStrictEqual(
            receipt.records.map(({ sha256, status }) => [sha256, status]),
            batch.records.map(({ ledger }, at) => [
              ledger.sha256,
              at === 2 ? "quarantined" : "stored"
            ])
          )
        }
        assert.strictEqual((yield* kept).length, 3)
      })
    )
  )

  it.live("lets in the device itself only: no token, no credential, no blocked device", () =>
    atDoor(
      Effect.gen(function* () {
        const body = JSON.stringify(submission("x"))
        yield* addDevice("dev_mine00", [MINE])
        yield* DoorSupport.addCredential("cred_mine", "secret", [MINE])
        const device = yield* bearer("dev_mine00")
        assert.strictEqual((yield* post(body, {})).status, 401)
        assert.strictEqual((yield* post(body, yield* bearer("cred_mine"))).status, 404)
        yield* setState("dev_mine00", "blocked")
        assert.strictEqual((yield* post(body, device)).status, 401)
        assert.deepStrictEqual(yield* kept, [])
        yield* setState("dev_mine00", "active")
        assert.strictEqual((yield* post(body, device)).status, 200)
      })
    )
  )

  it.live("refuses what is too large, no JSON, or no submission, each by its own code", () =>
    atDoor(
      Effect.gen(function* () {
        yield* addDevice("dev_mine00", [MINE])
        const device = yield* bearer("dev_mine00")
        const codes: Array<unknown> = []
        const text = { ...device, "content-type": "text/plain" }
        codes.push((yield* post("{}", text)).json?.code)
        codes.push((yield* post("{}", device)).json?.code)
        codes.push((yield* post("{", device)).json?.code)
        const many = submission(...Array.from({ length: 201 }, (_, at) => `body ${at}`))
        codes.push((yield* post(JSON.stringify(many), device)).json?.code)
        const huge = JSON.stringify(submission("x".repeat(34 * 1_048_576)))
        codes.push((yield* post(huge, device)).json?.code)
        assert.deepStrictEqual(codes, [
          "unsupported-media-type",
          "bad-request",
          "bad-request",
          "bad-request",
          "too-large"
        ])
        assert.deepStrictEqual(yield* kept, [])
      })
    )
  )

  it.live("tells the device why, so that it can try the records one by one", () =>
    atDoor(
      Effect.gen(function* () {
        const door = yield* Door
        const device = yield* addDevice("dev_mine00", [MINE])
        const bad = { ...submission("x"), records: [{ ledger: { number: 0 }, body: "" }] }
        const answer = yield* post(JSON.stringify(bad), yield* bearer(device.id))
        assert.strictEqual(answer.json?.code, "bad-request")
        const exit = yield* Central.use((central) => central.submit(submission("y"))).pipe(
          Effect.provide(reach(door.baseUrl, device)),
          Effect.exit
        )
        assert.isTrue(Exit.isSuccess(exit))
      })
    )
  )
})
