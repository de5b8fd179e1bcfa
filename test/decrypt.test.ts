/** What the decrypt command does with every kind of sealed result (format §3.7, §5.1 rows 65–67, 71). */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, type Layer, Stream } from "effect"
import { countWaiting, decryptResults } from "../application/decrypt-results.ts"
import { giveSealed, keepOpened } from "../application/hand-out-results.ts"
import { Atomic, History } from "../application/ports.ts"
import {
  type OpenedResult,
  OpenedResults,
  Records,
  ResultsOpener,
  SealedResults
} from "../application/record-ports.ts"
import { answerOpening, sealedBy, sealedHere } from "../application/sealed-results.ts"
import { canonical } from "../domain/canonical.ts"
import { EntityId, OrganisationId } from "../domain/id.ts"
import { ALL_RESULTS, leftSealed, NO_OUTCOMES } from "../domain/opening.ts"
import { newIdentity } from "../infrastructure/age-file.ts"
import { boxOpener } from "../infrastructure/open-result.ts"
import {
  FINISHED,
  resultDocument,
  SECRET_ANSWER,
  STARTED,
  type TestDevice,
  testDevice
} from "./support/results.ts"
import { enter, type Put, putResult } from "./support/sealed-records.ts"
import { dump } from "./support/tables.ts"
import { freshCentral, shared } from "./support/wired.ts"

const active = await Effect.runPromise(newIdentity("hybrid"))
const recovery = await Effect.runPromise(newIdentity("hybrid"))
const retired = await Effect.runPromise(newIdentity("hybrid"))
const both = [active.recipient, recovery.recipient]
const ACTIVE = { id: "r2026", ...active }
const RECOVERY = { id: "r2026-recovery", ...recovery }
const RETIRED = { id: "r2025", ...retired }

const device = testDevice("school")
const forger = testDevice("forger")
const stranger = testDevice("stranger")

/** Without threads, which are started and tested in results-keys.test.ts. */
const opening = (keys: ReadonlyArray<typeof ACTIVE>): ResultsOpener["Service"] => {
  const open = boxOpener(keys)
  return {
    keys: keys.map(({ id }) => id),
    open: (boxes) => Effect.promise(() => Promise.all(boxes.map(open)))
  }
}
const decrypting = (...keys: ReadonlyArray<typeof ACTIVE>) =>
  decryptResults(ALL_RESULTS).pipe(
    Effect.provideServiceEffect(SealedResults, sealedHere("officer")),
    Effect.provideService(ResultsOpener, opening(keys))
  )
const put = (number: number, more: Partial<Put> = {}, by: TestDevice = device) =>
  putResult(by, resultDocument(by, number), { number, recipients: both, ...more })
const all = { delivery: undefined, organisation: undefined }
const opened = Effect.flatMap(OpenedResults, (results) =>
  Effect.map(
    Stream.runCollect(results.list(all)),
    (found): ReadonlyArray<OpenedResult> => [...found]
  )
)
const stages = Effect.flatMap(Records, (records) =>
  Effect.map(
    Stream.runCollect(
      records.list({ ...all, kind: "result", stages: undefined, device: undefined })
    ),
    (found) =>
      [...found].map(({ reason, stage }) => (reason === null ? stage : `${stage}: ${reason}`))
  )
)
const flipped = (box: string): string => {
  const bytes = Buffer.from(box, "base64")
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  return bytes.toString("base64")
}

for (const database of ["sqljs", "PostgreSQL"] as const) {
  const central = shared(freshCentral(database))
  const claim = <E>(what: string, test: Effect.Effect<void, E, Layer.Success<typeof central>>) =>
    it.live(what, () => Effect.provide(Effect.andThen(enter(device), test), central))

  describe(`the decrypt command, ${database},`, () => {
    claim(
      "opens what devices signed and sealed, with the times of the device",
      Effect.gen(function* () {
        yield* put(1)
        yield* put(2)
        const run = yield* decrypting(ACTIVE)
        assert.deepStrictEqual(run.counts, { ...NO_OUTCOMES, decrypted: 2 })
        const found = yield* opened
        assert.deepStrictEqual(found.map(({ document }) => document.testTaker).sort(), [
          "tt_1",
          "tt_2"
        ])
        assert.deepStrictEqual(
          found.map(({ conflict, document }) => [
            document.startedAt?.wall,
            document.finishedAt.wall,
            conflict
          ]),
          [
            [STARTED, FINISHED, false],
            [STARTED, FINISHED, false]
          ]
        )
        assert.deepStrictEqual(yield* stages, ["decrypted", "decrypted"])
      })
    )

    claim(
      "tells every outcome apart, counts each, and lets none stop the rest",
      Effect.gen(function* () {
        yield* put(1)
        yield* put(2, { recipients: [retired.recipient] })
        yield* put(3, { change: flipped })
        yield* put(4, { signedBy: forger })
        yield* put(5, {}, stranger)
        const newer = canonical({ ...resultDocument(device, 6), shape: "new" })
        yield* put(6, { text: newer })
        // A result of another device, and one of another execution, signed by this device.
        yield* put(7, { text: canonical({ ...resultDocument(forger, 7) }) })
        yield* put(8, { text: canonical({ ...resultDocument(device, 80) }) })
        yield* put(9)
        const run = yield* decrypting(ACTIVE)
        assert.deepStrictEqual(run.counts, {
          ...NO_OUTCOMES,
          decrypted: 2,
          "wrong-key": 1,
          altered: 1,
          "bad-signature": 3,
          "unknown-device": 1,
          unreadable: 1
        })
        assert.strictEqual(leftSealed(run.counts), 7)
        assert.deepStrictEqual(yield* stages, [
          "decrypted",
          "undecryptable: wrong-key",
          "undecryptable: altered",
          "undecryptable: bad-signature",
          "undecryptable: unknown-device",
          "undecryptable: unreadable",
          "undecryptable: bad-signature",
          "undecryptable: bad-signature",
          "decrypted"
        ])
        assert.strictEqual((yield* opened).length, 2)
      })
    )

    claim(
      "keeps both of two that say they are the same, and flags them",
      Effect.gen(function* () {
        yield* put(1)
        const other = { ...resultDocument(device, 1), attempt: 2 }
        const second = yield* putResult(device, resultDocument(device, 1), {
          number: 9,
          recipients: both,
          text: canonical(other)
        })
        const run = yield* decrypting(ACTIVE)
        assert.strictEqual(run.counts.duplicate, 1)
        const flagged = (yield* opened).filter(({ conflict }) => conflict)
        assert.deepStrictEqual(
          flagged.map(({ document }) => document.execution),
          [other.execution, other.execution]
        )
        assert.isTrue(flagged.some(({ sha256 }) => sha256 === second))
        assert.notInclude(yield* stages, "stored")
      })
    )

    claim(
      "tries again with another key what could not be opened before",
      Effect.gen(function* () {
        yield* put(1, { recipients: [retired.recipient] })
        yield* put(2)
        assert.strictEqual((yield* decrypting(ACTIVE)).counts["wrong-key"], 1)
        const again = yield* decrypting(ACTIVE)
        assert.deepStrictEqual(again.counts, { ...NO_OUTCOMES, "wrong-key": 1 })
        const run = yield* decrypting(ACTIVE, RETIRED)
        assert.deepStrictEqual(run.counts, { ...NO_OUTCOMES, decrypted: 1 })
        assert.deepStrictEqual(yield* stages, ["decrypted", "decrypted"])
      })
    )

    claim(
      "opens everything with the recovery key alone",
      Effect.gen(function* () {
        yield* put(1)
        yield* put(2)
        const run = yield* decrypting(RECOVERY)
        assert.deepStrictEqual(run.counts, { ...NO_OUTCOMES, decrypted: 2 })
      })
    )

    claim(
      "takes only the delivery or the organisation that is meant",
      Effect.gen(function* () {
        yield* put(1)
        const elsewhere = resultDocument(device, 2, {
          delivery: EntityId.make("dlv_seas"),
          organisation: OrganisationId.make("123")
        })
        yield* putResult(device, elsewhere, { number: 2, recipients: both })
        const meaning = (filter: typeof ALL_RESULTS) =>
          Effect.all([countWaiting(filter), decryptResults(filter)]).pipe(
            Effect.provideServiceEffect(SealedResults, sealedHere("officer")),
            Effect.provideService(ResultsOpener, opening([ACTIVE]))
          )
        const zero = { delivery: null, organisation: OrganisationId.make("0123") }
        const [waiting, run] = yield* meaning(zero)
        assert.strictEqual(waiting, 1)
        assert.strictEqual(run.counts.decrypted, 1)
        assert.deepStrictEqual(yield* stages, ["decrypted", "stored"])
        const seas = { delivery: EntityId.make("dlv_seas"), organisation: null }
        assert.strictEqual((yield* meaning(seas))[1].counts.decrypted, 1)
        assert.deepStrictEqual(yield* stages, ["decrypted", "decrypted"])
      })
    )

    claim(
      "writes a line about each run, and the answers nowhere but among the opened results",
      Effect.gen(function* () {
        yield* put(1)
        yield* put(2, { signedBy: forger })
        yield* decrypting(ACTIVE)
        const [line] = yield* (yield* History).recent(1)
        assert.deepInclude(line, { verb: "decrypt", who: "officer", outcome: "incomplete" })
        assert.strictEqual(line?.reason, "1 decrypted, 1 not signed by their device; keys r2026")
        const tables = yield* dump()
        const telling = Object.entries(tables)
          .filter(([, rows]) => rows.some((row) => row.includes(SECRET_ANSWER)))
          .map(([name]) => name)
        assert.deepStrictEqual(telling, ["opened_results"])
      })
    )

    claim(
      "keeps each result once although two runs hand back the same batch",
      Effect.gen(function* () {
        for (const number of [1, 2, 3]) yield* put(number)
        const atomic = yield* Atomic
        const batch = yield* atomic.run(giveSealed(ALL_RESULTS))
        const run = yield* decrypting(ACTIVE)
        assert.strictEqual(run.counts.decrypted, 3)
        const before = yield* opened
        const late = before.map(({ device, document, sha256 }) => ({
          device,
          sha256,
          document,
          signatures: []
        }))
        assert.deepStrictEqual(yield* keepOpened(late), ["same", "same", "same"])
        assert.strictEqual(batch.length, 3)
        assert.deepStrictEqual(yield* opened, before)
      })
    )

    claim(
      "believes nobody on the way: what is handed back must be signed by the device",
      Effect.gen(function* () {
        yield* put(1)
        const here = yield* Effect.context<Layer.Success<typeof central>>()
        // As over a socket, by somebody in between who is kind to a candidate.
        const line = sealedBy((name, question) =>
          Effect.provideContext(
            name === "opened" && "openings" in question
              ? answerOpening.opened({
                  openings: question.openings.map((one) =>
                    "document" in one ? { ...one, document: { ...one.document, attempt: 99 } } : one
                  )
                })
              : Reflect.apply(answerOpening[name], undefined, [question, "officer"]),
            here
          )
        )
        const run = yield* decryptResults(ALL_RESULTS).pipe(
          Effect.provideService(SealedResults, line),
          Effect.provideService(ResultsOpener, opening([ACTIVE]))
        )
        assert.deepStrictEqual(run.counts, { ...NO_OUTCOMES, "bad-signature": 1 })
        assert.deepStrictEqual(yield* opened, [])
      })
    )
  })
}

describe("several decrypt commands on one PostgreSQL", () => {
  const central = shared(freshCentral("PostgreSQL"))
  it.live("share the work: no result is given to two of them", () =>
    Effect.gen(function* () {
      yield* enter(device)
      for (let number = 0; number < 8; number += 1) yield* put(number)
      const atomic = yield* Atomic
      const holding = yield* Deferred.make<number>()
      const done = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        atomic.run(
          Effect.gen(function* () {
            const batch = yield* giveSealed(ALL_RESULTS)
            yield* Deferred.succeed(holding, batch.length)
            yield* Deferred.await(done)
          })
        )
      )
      assert.strictEqual(yield* Deferred.await(holding), 8)
      assert.deepStrictEqual(yield* atomic.run(giveSealed(ALL_RESULTS)), [])
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(first)

      const runs = yield* Effect.all([decrypting(ACTIVE), decrypting(ACTIVE), decrypting(ACTIVE)], {
        concurrency: "unbounded"
      })
      assert.strictEqual(
        runs.reduce((sum, { counts }) => sum + counts.decrypted, 0),
        8
      )
      assert.isTrue(runs.every(({ counts }) => leftSealed(counts) === 0 && counts.same === 0))
      assert.strictEqual((yield* opened).length, 8)
    }).pipe(Effect.provide(central))
  )
})
