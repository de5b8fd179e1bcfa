/** Faults of TAO's results, each once, under the name by which its users know it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { CentralAway } from "../application/ports.ts"
import { Outbox, Records, Sending } from "../application/record-ports.ts"
import { remove } from "../application/remove.ts"
import { submit } from "../application/submit.ts"
import { DeviceId } from "../domain/id.ts"
import { ExecutionId } from "../domain/result.ts"
import { heldRows, keysIn } from "./support/observe.ts"
import * as Office from "./support/office.ts"
import { sealed, sit, submitting } from "./support/sittings.ts"
import * as Town from "./support/town.ts"

const counts = Effect.flatMap(Outbox, (outbox) =>
  Effect.map(outbox.counts, (map) => Object.fromEntries(map))
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
const RULES = {
  chunkSize: 10,
  statusExecutionsToSync: ["finished", "terminated", "cancelled"] as const,
  deleteAfterSend: false
}
const lost = Effect.fail(new CentralAway({ reason: "interrupted", detail: "the line is bad" }))
const down = submitting(() => () => lost)
const scenario = <E>(what: string, test: (town: Town.Town) => Effect.Effect<void, E>) =>
  it.live(what, () => Effect.scoped(Effect.flatMap(Town.town, test)))

describe("TAO's faults with results", () => {
  scenario(
    "a result that failed twice is marked as sent: here it is sent until it is received",
    ({ office, on }) =>
      Effect.gen(function* () {
        yield* on(sit())
        for (let n = 0; n < 3; n++) {
          const report = yield* on(submit().pipe(down))
          assert.deepStrictEqual(report.kept, {})
          assert.deepStrictEqual(yield* on(counts), { sent: 2 })
        }
        yield* on(submit())
        assert.deepStrictEqual(yield* on(counts), { acknowledged: 2 })
        assert.lengthOf(yield* office(kept), 2)
      })
  )

  scenario("of two batches in one package one is kept: here all of eleven are", ({ office, on }) =>
    Effect.gen(function* () {
      for (let n = 0; n < 11; n++) yield* on(sit())
      yield* on(submit())
      assert.lengthOf(yield* office(kept), 22)
      assert.deepStrictEqual(yield* on(counts), { acknowledged: 22 })
    })
  )

  scenario(
    "sessions are marked as sent without an acknowledgement: here only those in the receipt",
    ({ on }) =>
      Effect.gen(function* () {
        yield* on(sit())
        const withoutSessions = submitting(
          (send) => (submission) =>
            send({
              ...submission,
              records: submission.records.filter(({ ledger }) => ledger.kind !== "test-session")
            })
        )
        const report = yield* on(submit().pipe(withoutSessions))
        assert.deepStrictEqual(
          report.refused.map(({ kind }) => kind),
          ["test-session"]
        )
        assert.deepStrictEqual(yield* on(counts), { acknowledged: 1, sent: 1 })
      })
  )

  scenario(
    "terminated and cancelled executions are never sent: here they are, unless excluded",
    ({ office, on }) =>
      Effect.gen(function* () {
        yield* on(sit({ end: "terminated" }))
        yield* on(sit({ end: "cancelled" }))
        const only = { ...RULES, statusExecutionsToSync: ["finished"] as const }
        const none = yield* on(submit().pipe(Effect.provideService(Sending, only)))
        assert.strictEqual(none.owed, 0)
        yield* on(submit())
        const ends = (yield* office(kept)).map(({ session }) => session?.end)
        assert.sameMembers(ends, ["terminated", "terminated", "cancelled", "cancelled"])
      })
  )

  scenario(
    "start and end become the moment of the import: here they are the device's own",
    ({ office, on }) =>
      Effect.gen(function* () {
        yield* on(sit())
        yield* on(submit())
        for (const { receivedAt, session } of yield* office(kept)) {
          assert.strictEqual(session?.startedAt?.wall, 1_700_000_000_000)
          assert.strictEqual(session?.finishedAt.wall, 1_700_000_600_000)
          assert.notStrictEqual(receivedAt, session?.finishedAt.wall)
        }
      })
  )

  scenario(
    "a delivery is removed before its results are sent: here it is held until they are",
    ({ office, on }) =>
      Effect.gen(function* () {
        yield* on(Town.synced())
        const [delivery, testTaker, eligibility] = yield* office(
          Effect.all([
            Office.idOfDelivery("math"),
            Office.idOfPerson("ada"),
            Office.idOfEligibility(Town.ORGANISATION, Town.HALL, "math")
          ])
        )
        const sitting = yield* on(Town.execution({ delivery, testTaker, eligibility }, "pending"))
        const execution = ExecutionId.make(`ex_${"0".repeat(20)}abc`)
        yield* on(sit({ execution, delivery, testTaker, eligibility }))
        // What the sitting needs is held under the id that its records have.
        yield* on(Town.moved(sitting, "settled"))
        yield* on(Town.moved({ ...sitting, id: execution }, "pending"))
        yield* office(remove([eligibility, delivery]))
        const isHere = Effect.map(heldRows, (rows) =>
          [...keysIn(rows, Town.ORGANISATION, 1), ...keysIn(rows, Town.ORGANISATION, 0)].includes(
            `delivery/${delivery}`
          )
        )
        yield* on(Town.synced({ confirmRemovals: true }).pipe(down))
        assert.isTrue(yield* on(isHere))
        yield* on(Town.synced())
        yield* on(Town.synced())
        assert.isFalse(yield* on(isHere))
        assert.lengthOf(yield* office(kept), 2)
      })
  )

  scenario(
    "variables are doubled when a result arrives again: here the same bytes change nothing",
    ({ line, office, on }) =>
      Effect.gen(function* () {
        const result = yield* sealed("the same answers")
        const execution = ExecutionId.make(`ex_${"1".repeat(20)}`)
        yield* on(sit({ execution, result }))
        for (let n = 0; n < 3; n++) {
          const unheard = submitting((send) => (all) => Effect.andThen(send(all), lost))
          yield* on(submit().pipe(unheard))
        }
        yield* on(submit())
        assert.lengthOf(yield* office(kept), 2)
        // What was changed afterwards is another revision, beside the first.
        yield* on(sit({ execution, revision: 2 }))
        yield* on(submit())
        const here = yield* office(kept)
        assert.lengthOf(here, 4)
        assert.isFalse(here.some(({ conflict }) => conflict))
        const device = DeviceId.make(line.client)
        const first = here[0]?.entry.sha256
        if (first === undefined) return assert.fail("nothing here")
        const body = yield* office(Effect.flatMap(Records, (one) => one.body(device, first)))
        assert.deepStrictEqual(body, Option.some(result))
      })
  )
})
