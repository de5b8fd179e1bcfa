/** Results that travel by stick: each reaches central once, and none is forgotten without a receipt. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result, type Scope, Stream } from "effect"
import { WaitingReceipts } from "../application/carried-ports.ts"
import { exportReport } from "../application/export-report.ts"
import { Clients, Executions } from "../application/ports.ts"
import { type KeptRecord, Outbox, Records } from "../application/record-ports.ts"
import { submit } from "../application/submit.ts"
import type { Signed } from "../domain/enrolment.ts"
import { CUT, comeHome, cutFor, give, idOf, roundTrip, sendHome } from "./support/courier.ts"
import { withIndex, withLines } from "./support/forge.ts"
import { tamper } from "./support/observe.ts"
import { sit } from "./support/sittings.ts"
import { copyOf, newStick, withStick } from "./support/stick.ts"
import { anotherDevice, type Town, town } from "./support/town.ts"

const ALL = {
  kind: undefined,
  stages: undefined,
  delivery: undefined,
  organisation: undefined,
  device: undefined
}

const kept = (all: Town): Effect.Effect<ReadonlyArray<KeptRecord>> =>
  all.office(
    Effect.flatMap(Records, (records) =>
      Effect.map(Stream.runCollect(records.list(ALL)), (found) =>
        [...found].sort((a, b) => a.entry.number - b.entry.number)
      )
    )
  )

const counts = (all: Town) =>
  all.on(
    Effect.flatMap(Outbox, (outbox) => Effect.map(outbox.counts, (map) => Object.fromEntries(map)))
  )

const unsettled = (all: Town) =>
  all.on(
    Effect.flatMap(Executions, (one) =>
      Effect.map(one.unsettled, (executions) => executions.length)
    )
  )

const waiting = (all: Town) =>
  all.office(
    Effect.flatMap(WaitingReceipts, (one) =>
      Effect.map(one.list(idOf(all), undefined, 100), (found) => found.length)
    )
  )

const statuses = (received: Effect.Success<ReturnType<typeof comeHome>>) =>
  received.bundles.map(({ result }) =>
    Result.match(result, {
      onFailure: ({ code }) => code,
      onSuccess: (one) => (one.status === "quarantined" ? `put aside: ${one.code}` : one.status)
    })
  )

const notesOf = (notes: ReadonlyMap<string, Signed>) =>
  [...notes].filter(([path]) => path.includes("/records-"))

const scenario = <E>(what: string, test: (all: Town) => Effect.Effect<void, E, Scope.Scope>) =>
  it.live(what, () => Effect.scoped(Effect.flatMap(town, test)))

describe("results on a stick", () => {
  scenario("reach central, and the next bundle's receipt settles what they were of", (all) =>
    Effect.gen(function* () {
      yield* roundTrip(all)
      for (let n = 0; n < 3; n++) yield* all.on(sit())
      const stick = newStick()
      const sent = yield* sendHome(all, stick)
      assert.deepInclude(sent, { records: 6, results: 3 })
      assert.deepStrictEqual(yield* counts(all), { sent: 6 })
      const received = yield* comeHome(all, stick)
      assert.deepStrictEqual(statuses(received), ["received"])
      assert.deepStrictEqual(received.bundles[0]?.carried, {
        records: 6,
        results: 3,
        putAside: 0,
        refused: 0
      })
      const here = yield* kept(all)
      assert.deepStrictEqual(
        here.map(({ carrier, entry, stage }) => [entry.number, carrier, stage]),
        [1, 2, 3, 4, 5, 6].map((number) => [number, "bundle", "stored"])
      )
      assert.strictEqual(yield* unsettled(all), 3)
      const next = newStick()
      yield* cutFor(all, next)
      const imported = yield* give(all, next)
      assert.deepInclude(imported.receipts, { heard: 1, acknowledged: 6, results: 3, ignored: [] })
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 6 })
      assert.strictEqual(yield* unsettled(all), 0)
      // What was heard travels no more.
      const empty = newStick()
      assert.deepInclude(yield* sendHome(all, empty), { records: 0, results: 0 })
      yield* comeHome(all, empty)
      assert.strictEqual(yield* waiting(all), 0)
      assert.strictEqual((yield* kept(all)).length, 6)
    })
  )

  scenario(
    "are settled by the same bundle, given again, when the device was killed before",
    (all) =>
      Effect.gen(function* () {
        yield* roundTrip(all)
        yield* all.on(sit())
        const stick = newStick()
        yield* sendHome(all, stick)
        yield* comeHome(all, stick)
        const next = newStick()
        yield* cutFor(all, next)
        yield* give(all, next)
        // What a kill leaves between applying a bundle and hearing what it says of records.
        yield* all.on(tamper("UPDATE outbox SET stage = 'sent'"))
        const dry = yield* give(all, next, { dryRun: true })
        assert.strictEqual(dry.receipts.heard, 0)
        const again = yield* give(all, next)
        assert.strictEqual(again.judgement, "already applied")
        assert.deepInclude(again.receipts, { heard: 1, acknowledged: 2, results: 1, ignored: [] })
        assert.deepStrictEqual(yield* counts(all), { acknowledged: 2 })
      })
  )

  scenario("that was lost are on the next one again, and central keeps each once", (all) =>
    Effect.gen(function* () {
      yield* all.on(sit())
      const [lost, found, late] = [newStick(), newStick(), newStick()]
      yield* sendHome(all, lost)
      yield* all.on(sit())
      assert.deepInclude(yield* sendHome(all, found), { records: 4 })
      assert.deepInclude(yield* sendHome(all, late), { records: 4 })
      const twice = copyOf(found)
      assert.deepStrictEqual(statuses(yield* comeHome(all, late)), ["received"])
      assert.deepStrictEqual(statuses(yield* comeHome(all, found)), ["put aside: E_ROLLBACK"])
      assert.deepStrictEqual(statuses(yield* comeHome(all, twice)), ["put aside: E_ROLLBACK"])
      assert.deepStrictEqual(statuses(yield* comeHome(all, late)), ["already"])
      const here = yield* kept(all)
      assert.deepStrictEqual(
        here.map(({ entry }) => entry.number),
        [1, 2, 3, 4]
      )
      assert.isFalse(here.some(({ conflict }) => conflict))
      assert.strictEqual(yield* waiting(all), 1)
    })
  )

  scenario("and by HTTPS are kept once, whichever road was faster", (all) =>
    Effect.gen(function* () {
      yield* all.on(sit())
      const stick = newStick()
      yield* sendHome(all, stick)
      yield* all.on(sit())
      yield* all.on(submit())
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 4 })
      assert.deepStrictEqual(statuses(yield* comeHome(all, stick)), ["received"])
      const here = yield* kept(all)
      assert.deepStrictEqual(
        here.map(({ carrier }) => carrier),
        Array(4).fill("https")
      )
      const back = yield* give(all, stick)
      assert.deepInclude(back.receipts, { heard: 1, acknowledged: 0 })
      yield* all.on(sit())
      const second = newStick()
      yield* sendHome(all, second)
      yield* comeHome(all, second)
      yield* all.on(submit())
      assert.strictEqual((yield* kept(all)).length, 6)
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 6 })
    })
  )

  scenario("are settled by a stick that goes straight back with nothing but receipts", (all) =>
    Effect.gen(function* () {
      yield* all.on(sit())
      const stick = newStick()
      yield* sendHome(all, stick)
      const nothing = yield* Effect.flip(give(all, stick))
      assert.strictEqual(nothing._tag, "BundleRefused")
      const received = yield* comeHome(all, stick)
      assert.strictEqual(received.bundles[0]?.recordReceipts, 1)
      const onlyNotes = { ...copyOf(stick), bundles: [] }
      const imported = yield* give(all, onlyNotes)
      assert.isNull(imported.bundle)
      assert.deepInclude(imported.receipts, { heard: 1, acknowledged: 2, results: 1 })
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 2 })
      assert.strictEqual(yield* unsettled(all), 0)
      const again = yield* give(all, stick)
      assert.deepInclude(again.receipts, { heard: 1, acknowledged: 0 })
    })
  )

  scenario("are not settled by a word that is not central's, or is another's", (all) =>
    Effect.gen(function* () {
      const other = yield* anotherDevice(all.root, all.central, "second", "mia")
      yield* all.on(sit())
      const stick = newStick()
      yield* sendHome(all, stick)
      yield* comeHome(all, stick)
      const [good] = notesOf(stick.notes)
      if (good === undefined) return assert.fail("no receipt")
      const [path, note] = good
      const forged = newStick()
      forged.notes.set(path.replace("00000000", "00000001"), {
        ...note,
        text: note.text.replace("stored", "refused")
      })
      assert.strictEqual((yield* Effect.flip(give(all, forged)))._tag, "BundleRefused")
      assert.deepStrictEqual(yield* counts(all), { sent: 2 })
      // Another's device does not even look at it, wherever it lies.
      const foreign = newStick()
      foreign.notes.set(path.replace(all.line.client, other.line.client), note)
      const second = { central: all.central, ...other }
      assert.strictEqual((yield* Effect.flip(give(second, foreign)))._tag, "BundleRefused")
      forged.notes.set(path, note)
      const heard = yield* give(all, forged)
      assert.strictEqual(heard.receipts.ignored.length, 1)
      assert.deepInclude(heard.receipts, { heard: 1, acknowledged: 2 })
    })
  )

  scenario("of a machine that was restored from a copy are kept and flagged", (all) =>
    Effect.gen(function* () {
      yield* roundTrip(all)
      const copy = `${all.root}/copy`
      yield* all.device.reopen(Effect.sync(() => all.device.copyTo(copy)))
      yield* all.on(sit())
      const first = newStick()
      yield* sendHome(all, first)
      yield* comeHome(all, first)
      yield* all.device.reopen(all.device.restoreFrom(copy))
      yield* all.on(sit())
      const second = newStick()
      yield* sendHome(all, second)
      assert.deepStrictEqual(statuses(yield* comeHome(all, second)), ["put aside: E_STREAM_FORK"])
      yield* roundTrip(all)
      const here = yield* kept(all)
      assert.deepStrictEqual(
        here.map(({ conflict, entry }) => [entry.number, conflict]),
        [1, 1, 2, 2].map((number) => [number, true])
      )
    })
  )
})

describe("central", () => {
  scenario("keeps a bundle aside whole when its lines are not what its index says", (all) =>
    Effect.gen(function* () {
      yield* all.on(sit())
      const wrong: ReadonlyArray<
        readonly [(e: ReturnType<typeof exportReport>) => ReturnType<typeof exportReport>, string]
      > = [
        [
          withLines(
            (line) => [line],
            () => ({ count: 3 })
          ),
          "put aside: E_RECORD_COUNT"
        ],
        [
          withLines(
            (line) => [line],
            () => ({ count: 1 })
          ),
          "put aside: E_RECORD_COUNT"
        ],
        [
          withLines(
            (line) => [line],
            () => ({ plainSize: 5 })
          ),
          "put aside: E_PLAIN_LIMIT"
        ],
        [
          withLines(
            (line) => [line],
            () => ({ plainSha256: "a".repeat(64) as never })
          ),
          "put aside: E_RECORD_DIGEST"
        ],
        [withLines((line) => [`${line.slice(0, -1)},"z":1}`]), "put aside: E_RECORD_SCHEMA"],
        [withIndex((index) => ({ ...index, records: null })), "put aside: E_INDEX_MISMATCH"],
        [
          withIndex((index) => ({ ...index, ledger: { count: 9, head: null } })),
          "put aside: E_INDEX_MISMATCH"
        ]
      ]
      for (const [change, status] of wrong) {
        const stick = newStick()
        yield* all.on(change(exportReport(CUT)).pipe(withStick(stick)))
        assert.deepStrictEqual(statuses(yield* comeHome(all, stick)), [status])
        assert.deepStrictEqual(yield* kept(all), [])
      }
      // Not even those of the batches before the wrong line.
      yield* all.on(sit({ size: 4_500_000 }))
      yield* all.on(sit({ size: 200_000 }))
      const last = withLines((line, at) => [at === 5 ? `${line} ` : line])
      const late = newStick()
      yield* all.on(last(exportReport(CUT)).pipe(withStick(late)))
      assert.deepStrictEqual(statuses(yield* comeHome(all, late)), ["put aside: E_RECORD_SCHEMA"])
      assert.deepStrictEqual(yield* kept(all), [])
      const good = newStick()
      yield* sendHome(all, good)
      assert.deepStrictEqual(statuses(yield* comeHome(all, good)), ["received"])
      assert.strictEqual((yield* kept(all)).length, 6)
    })
  )

  scenario("puts aside what a blocked device brings, until a person looks at it", (all) =>
    Effect.gen(function* () {
      yield* all.on(sit())
      const stick = newStick()
      yield* sendHome(all, stick)
      yield* all.office(
        Effect.gen(function* () {
          const clients = yield* Clients
          const client = Option.getOrThrow(yield* clients.find(all.line.client))
          yield* clients.put({ ...client, state: "blocked" })
        })
      )
      const received = yield* comeHome(all, stick)
      assert.deepInclude(received.bundles[0]?.carried, { records: 2, putAside: 2 })
      assert.deepStrictEqual(
        (yield* kept(all)).map(({ reason, stage }) => [stage, reason]),
        Array(2).fill(["quarantined", "E_DEVICE_BLOCKED"])
      )
    })
  )
})
