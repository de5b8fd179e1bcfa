/** Records come home: each once, whatever happens on the way, and nothing is forgotten too early. */
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { beginAnew } from "../application/begin-anew.ts"
import { deliveriesComplete, devicesComplete } from "../application/completeness.ts"
import { hearReceipt } from "../application/hear-receipt.ts"
import { CentralAway, CentralRefused, Clients, Executions, History } from "../application/ports.ts"
import { receiveRecords } from "../application/receive-records.ts"
import { type KeptRecord, Outbox, Records, Sending } from "../application/record-ports.ts"
import { releaseRecord } from "../application/release-record.ts"
import { submit } from "../application/submit.ts"
import { deviceInWords } from "../domain/completeness.ts"
import type { Signed } from "../domain/enrolment.ts"
import { DeviceId, OrganisationId } from "../domain/id.ts"
import type { Submission } from "../domain/result.ts"
import * as Office from "./support/office.ts"
import { sit, submitting } from "./support/sittings.ts"
import { pulled, synced, type Town, town } from "./support/town.ts"

const ALL = {
  kind: undefined,
  stages: undefined,
  delivery: undefined,
  organisation: undefined,
  device: undefined
}

/** What central keeps, in the order of the ledger. */
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
const owed = Effect.flatMap(Outbox, (outbox) =>
  outbox.owed({ after: 0, limit: 1_000, kinds: undefined, ends: ["finished"] })
)
/** The newest line of the device's history that is about checking. */
const lastWord = (all: Town) =>
  all.on(
    Effect.flatMap(History, (history) =>
      Effect.map(history.recent(10), (lines) => {
        const found = lines.find(({ verb }) => verb === "audit")
        return found ?? assert.fail("nothing was written")
      })
    )
  )
const clientOf = (all: Town) =>
  all.office(
    Effect.flatMap(Clients, (clients) =>
      Effect.map(clients.find(all.line.client), Option.getOrThrow)
    )
  )
const rules = (changes: Partial<(typeof Sending)["Service"]>) =>
  Effect.provideService(Sending, {
    chunkSize: 10,
    statusExecutionsToSync: ["finished", "terminated", "cancelled"],
    deleteAfterSend: false,
    ...changes
  })
const away = (reason: CentralAway["reason"]) => new CentralAway({ reason, detail: "trouble" })
const scenario = <E>(what: string, test: (all: Town) => Effect.Effect<void, E>) =>
  it.live(what, () => Effect.scoped(Effect.flatMap(town, test)))

describe("a device that owes results", () => {
  scenario("sends them with a synchronisation, each once, and settles what they were of", (all) =>
    Effect.gen(function* () {
      yield* all.on(synced())
      for (let n = 0; n < 7; n++) yield* all.on(sit())
      const report = yield* all.on(synced().pipe(rules({ chunkSize: 4 })))
      assert.strictEqual(report.outcome, "done")
      assert.deepInclude(report.submitted, {
        owed: 14,
        kept: { result: 7, "test-session": 7 },
        refused: [],
        quarantined: [],
        failure: null
      })
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 14 })
      const here = yield* kept(all)
      assert.deepStrictEqual(
        here.map(({ entry, stage }) => [entry.number, stage]),
        Array.from({ length: 14 }, (_, at) => [at + 1, "stored"])
      )
      assert.isTrue(here.every(({ session }) => session?.finishedAt.wall === 1_700_000_600_000))
      const unsettled = yield* all.on(Effect.flatMap(Executions, (one) => one.unsettled))
      assert.deepStrictEqual(unsettled, [])
      const again = yield* all.on(synced())
      assert.deepStrictEqual([again.outcome, again.submitted.owed], ["unchanged", 0])
      const [entry] = yield* all.on(Effect.flatMap(History, (history) => history.recent(1)))
      assert.deepInclude(entry?.counts.result, { uploaded: 7, failed: 0 })
    })
  )

  scenario(
    "keeps each once however often answers are lost and batches come again, in any order",
    (all) =>
      Effect.gen(function* () {
        const seen: Array<Submission> = []
        for (let n = 0; n < 5; n++) yield* all.on(sit())
        const lossy = submitting((send) => (submission) => {
          seen.push(submission)
          return Effect.andThen(send(submission), Effect.fail(away("interrupted")))
        })
        const lost = yield* all.on(submit().pipe(lossy, rules({ chunkSize: 3 })))
        assert.strictEqual(lost.failure?._tag, "CentralAway")
        assert.deepStrictEqual(yield* counts(all), { queued: 7, sent: 3 })
        assert.match((yield* all.on(owed))[0]?.reason ?? "", /^interrupted/u)
        yield* all.on(submit().pipe(rules({ chunkSize: 4 })))
        const client = yield* clientOf(all)
        const way = { carrier: "bundle", standing: "good" } as const
        for (const old of [...seen, ...seen].reverse()) {
          const shuffled = { ...old, records: [...old.records].reverse() }
          yield* all.office(receiveRecords(client, shuffled, way))
        }
        assert.deepStrictEqual(yield* counts(all), { acknowledged: 10 })
        const here = yield* kept(all)
        assert.strictEqual(here.length, 10)
        assert.isFalse(here.some(({ conflict }) => conflict))
        const device = DeviceId.make(client.id)
        const numbers = yield* all.office(Effect.flatMap(Records, (one) => one.numbers(device)))
        assert.deepInclude(numbers, { count: 10, forked: false })
      })
  )

  scenario("gets the good records through beside one that central fails at or can't read", (all) =>
    Effect.gen(function* () {
      const sittings = yield* Effect.forEach([1, 2, 3, 4], () => all.on(sit()))
      const poison = new Set([sittings[1]?.entries[0]?.sha256, sittings[2]?.entries[1]?.sha256])
      const [failing, unreadable] = [...poison]
      const poisoned = submitting((send) => (submission) => {
        const has = (one: string | undefined) =>
          submission.records.some(({ ledger }) => ledger.sha256 === one)
        if (has(unreadable))
          return Effect.fail(new CentralRefused({ code: "bad-request", title: "", detail: "" }))
        return has(failing) ? Effect.fail(away("unavailable")) : send(submission)
      })
      const report = yield* all.on(submit().pipe(poisoned))
      assert.strictEqual(report.failure, null)
      assert.strictEqual(report.refused.length, 2)
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 6, queued: 1, sent: 1 })
      assert.strictEqual((yield* kept(all)).length, 6)
      assert.isTrue((yield* all.on(owed)).every(({ reason }) => reason !== null))
      assert.deepInclude(yield* all.on(submit()), { owed: 2, failure: null })
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 8 })
    })
  )

  scenario("sends a large record alone, and batches that stay below the limit", (all) =>
    Effect.gen(function* () {
      for (const size of [10, 4_500_000, 10, 1_500_000, 1_500_000, 1_500_000]) {
        yield* all.on(sit({ size }))
      }
      const sizes: Array<number> = []
      const watched = submitting((send) => (submission) => {
        sizes.push(submission.records.length)
        return send(submission)
      })
      const report = yield* all.on(submit().pipe(watched, rules({ chunkSize: 100 })))
      assert.strictEqual(report.failure, null)
      assert.deepStrictEqual(sizes, [2, 1, 7, 2])
    })
  )

  scenario("believes only central's word, and only about itself and exactly these bytes", (all) =>
    Effect.gen(function* () {
      yield* all.on(sit())
      const receipts: Array<Signed> = []
      const forged = (change: (signed: Signed) => Signed) =>
        submitting(
          (send) => (submission) =>
            Effect.map(send(submission), (signed) => {
              receipts.push(signed)
              return change(signed)
            })
        )
      const changes: ReadonlyArray<(signed: Signed) => Signed> = [
        (signed) => ({ ...signed, signatures: [] }),
        (signed) => ({ ...signed, text: signed.text.replace("stored", "refused") }),
        (signed) => ({
          ...signed,
          text: signed.text.replace(/"device":"[^"]+"/u, '"device":"dev_other0"')
        })
      ]
      for (const change of changes) {
        const report = yield* all.on(submit().pipe(forged(change)))
        assert.strictEqual(report.failure?._tag, "ReceiptRefused")
        assert.deepStrictEqual(yield* counts(all), { sent: 2 })
      }
      const [receipt] = receipts
      if (receipt === undefined) return assert.fail("no receipt")
      yield* all.on(sit())
      const heard = yield* all.on(hearReceipt(receipt))
      assert.strictEqual(heard.acknowledged.length, 2)
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 2, queued: 2 })
      const twice = yield* all.on(hearReceipt(receipt))
      assert.deepStrictEqual(twice.acknowledged, [])
    })
  )

  scenario("forgets bytes only when it is told to, and never those in quarantine", (all) =>
    Effect.gen(function* () {
      yield* all.on(sit())
      yield* all.on(sit({ result: "bm90IGFuIGFnZSBmaWxl" }))
      const report = yield* all.on(submit().pipe(rules({ deleteAfterSend: true })))
      assert.deepStrictEqual(
        report.quarantined.map(({ kind, reason }) => [kind, reason]),
        [["result", "E_RECORD_FORM"]]
      )
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 1, purged: 3 })
      assert.strictEqual((yield* kept(all)).length, 4)
    })
  )

  scenario("sends what waited once the setting allows its end", (all) =>
    Effect.gen(function* () {
      yield* all.on(sit({ end: "terminated", stage: "sealed" }))
      yield* all.on(sit())
      yield* all.on(submit().pipe(rules({ statusExecutionsToSync: ["finished"] })))
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 2, sealed: 2 })
      yield* all.on(submit())
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 4 })
    })
  )
})

describe("a central that was restored from a backup", () => {
  scenario("is sent again what devices keep, and then misses nothing", (all) =>
    Effect.gen(function* () {
      yield* all.on(synced())
      const backup = path.join(all.root, "backup")
      all.central.copyTo(backup)
      yield* all.on(sit())
      yield* all.on(synced())
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 2 })
      yield* all.central.reopen(all.central.restoreFrom(backup))
      yield* all.office(beginAnew)
      assert.strictEqual((yield* kept(all)).length, 0)
      const report = yield* all.on(synced())
      assert.deepInclude(report.submitted, { owed: 2, kept: { result: 1, "test-session": 1 } })
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 2 })
      assert.deepStrictEqual(
        (yield* kept(all)).map(({ conflict, entry, stage }) => [entry.number, stage, conflict]),
        [
          [1, "stored", false],
          [2, "stored", false]
        ]
      )
      assert.strictEqual((yield* all.on(synced())).submitted.owed, 0)
    })
  )

  scenario(
    "is sent again what it lost, though nobody told it to begin anew, and no more than once",
    (all) =>
      Effect.gen(function* () {
        yield* all.on(sit())
        yield* all.on(synced().pipe(rules({ deleteAfterSend: true })))
        const backup = path.join(all.root, "backup")
        yield* all.on(sit())
        yield* all.on(synced().pipe(rules({ deleteAfterSend: true })))
        all.central.copyTo(backup)
        yield* all.on(sit())
        yield* all.on(synced())
        assert.deepStrictEqual(yield* counts(all), { purged: 4, acknowledged: 2 })
        yield* all.central.reopen(all.central.restoreFrom(backup))
        const report = yield* all.on(synced())
        assert.deepInclude(report.submitted, { owed: 2, kept: { result: 1, "test-session": 1 } })
        assert.strictEqual((yield* kept(all)).length, 6)
        assert.match((yield* lastWord(all)).reason, /^central has lost records that it had \(2\)/u)
        assert.strictEqual((yield* all.on(synced())).submitted.owed, 0)
      })
  )

  scenario("is not asked for ever for what nobody has any more", (all) =>
    Effect.gen(function* () {
      yield* all.on(synced())
      const backup = path.join(all.root, "backup")
      all.central.copyTo(backup)
      yield* all.on(sit())
      yield* all.on(synced().pipe(rules({ deleteAfterSend: true })))
      yield* all.on(sit())
      yield* all.on(synced())
      yield* all.central.reopen(all.central.restoreFrom(backup))
      assert.strictEqual((yield* all.on(synced())).submitted.owed, 2)
      assert.strictEqual((yield* all.on(synced())).submitted.owed, 0)
      all.central.copyTo(path.join(all.root, "later"))
      yield* all.on(sit())
      yield* all.on(synced())
      yield* all.central.reopen(all.central.restoreFrom(path.join(all.root, "later")))
      assert.strictEqual((yield* all.on(synced())).submitted.owed, 4)
      assert.strictEqual((yield* all.on(synced())).submitted.owed, 0)
    })
  )

  scenario("is not believed what it said before that, however late its word comes", (all) =>
    Effect.gen(function* () {
      yield* all.on(synced())
      const backup = path.join(all.root, "backup")
      all.central.copyTo(backup)
      yield* all.on(sit())
      const words: Array<Signed> = []
      const listening = submitting(
        (send) => (submission) =>
          Effect.map(send(submission), (word) => {
            words.push(word)
            return word
          })
      )
      yield* all.on(submit().pipe(listening))
      yield* all.central.reopen(all.central.restoreFrom(backup))
      yield* all.office(beginAnew)
      yield* all.on(pulled())
      assert.deepStrictEqual(yield* counts(all), { queued: 2 })
      const [word] = words
      if (word === undefined) return assert.fail("no receipt")
      const heard = yield* all.on(hearReceipt(word))
      assert.deepInclude(heard, { acknowledged: [], refused: [], unknown: 2 })
      assert.deepStrictEqual(yield* counts(all), { queued: 2 })
      assert.deepInclude((yield* all.on(synced())).submitted, { owed: 2 })
      assert.deepStrictEqual(yield* counts(all), { acknowledged: 2 })
      assert.strictEqual((yield* kept(all)).length, 2)
    })
  )
})

describe("central", () => {
  scenario("says who is complete, and what is missing, in words", (all) =>
    Effect.gen(function* () {
      yield* all.on(synced())
      const [delivery, ada, ben] = yield* all.office(
        Effect.all([
          Office.idOfDelivery("math"),
          Office.idOfPerson("ada"),
          Office.idOfPerson("ben")
        ])
      )
      const facts = { delivery }
      yield* all.on(sit({ ...facts, testTaker: ada }))
      yield* all.on(sit({ ...facts, testTaker: ben }))
      yield* all.on(sit({ ...facts, testTaker: ada }))
      const without = submitting(
        (send) => (submission) =>
          send({
            ...submission,
            records: submission.records.filter(({ ledger }) => ![1, 2, 5].includes(ledger.number))
          })
      )
      yield* all.on(submit().pipe(without))
      const [device] = yield* all.office(devicesComplete(undefined))
      if (device === undefined) return assert.fail("no device")
      assert.match(deviceInWords(device), /received 3, missing 1, 2 and 5$/u)
      const [math] = yield* all.office(deliveriesComplete(delivery))
      assert.deepInclude(math, { eligible: 3, sat: 2, here: 1, quarantined: 0, without: 0 })
      assert.deepStrictEqual(math?.missing, [{ testTaker: ada, device: device.device }])
      assert.strictEqual(math?.notSat.length, 1)
      yield* all.on(submit())
      const [complete] = yield* all.office(deliveriesComplete(delivery))
      assert.deepInclude(complete, { sat: 2, here: 3, missing: [] })
    })
  )

  scenario(
    "puts aside what is not of the device's organisations, until a person releases it",
    (all) =>
      Effect.gen(function* () {
        const organisation = OrganisationId.make("123")
        const { entries } = yield* all.on(sit({ organisation }))
        const report = yield* all.on(submit())
        assert.strictEqual(report.quarantined[0]?.reason, "E_RECORD_SCOPE")
        const sha256 = entries[1]?.sha256
        const device = DeviceId.make(all.line.client)
        if (sha256 === undefined) return assert.fail("no session")
        assert.isNull((yield* kept(all))[0]?.session ?? null)
        yield* all.office(releaseRecord(device, sha256, "operator"))
        assert.strictEqual((yield* kept(all))[0]?.session?.organisation, organisation)
        const twice = yield* Effect.exit(all.office(releaseRecord(device, sha256, "operator")))
        assert.strictEqual(twice._tag, "Failure")
      })
  )

  scenario(
    "refuses bytes that were altered on the way, keeps them to be looked at, and takes the right ones",
    (all) =>
      Effect.gen(function* () {
        yield* all.on(sit())
        const altering = submitting(
          (send) => (submission) =>
            send({
              ...submission,
              records: submission.records.map((one) => ({ ...one, body: `AAAA${one.body}` }))
            })
        )
        const report = yield* all.on(submit().pipe(altering))
        assert.strictEqual(report.refused.length, 2)
        assert.deepStrictEqual(yield* counts(all), { queued: 2 })
        const device = DeviceId.make(all.line.client)
        const numbers = Effect.flatMap(Records, (one) => one.numbers(device))
        assert.deepStrictEqual((yield* all.office(numbers)).received, [])
        yield* all.on(submit())
        assert.deepStrictEqual((yield* all.office(numbers)).received, [1, 2])
        const [complete] = yield* all.office(devicesComplete(device))
        assert.deepInclude(complete, { received: 2, missing: [], quarantined: 0 })
        const here = yield* kept(all)
        assert.strictEqual(here.filter(({ altered }) => altered).length, 2)
        assert.isFalse(here.some(({ conflict }) => conflict))
      })
  )

  scenario("puts aside whole what a blocked device brings by bundle", (all) =>
    Effect.gen(function* () {
      yield* all.on(sit())
      const client = yield* clientOf(all)
      const records = (yield* all.on(owed)).map(({ body, entry }) => ({
        ledger: entry,
        body: body ?? ""
      }))
      const submission = { ledger: { count: 2, head: null }, records }
      yield* all.office(
        receiveRecords(client, submission, { carrier: "bundle", standing: "blocked" })
      )
      const here = yield* kept(all)
      assert.deepStrictEqual(
        here.map(({ reason, stage }) => [stage, reason]),
        [
          ["quarantined", "E_DEVICE_BLOCKED"],
          ["quarantined", "E_DEVICE_BLOCKED"]
        ]
      )
    })
  )

  scenario(
    "keeps both, and flags them, when a restored device gives its numbers to other records",
    (all) =>
      Effect.gen(function* () {
        yield* all.on(sit())
        yield* all.on(submit())
        const snapshot = path.join(all.root, "snapshot")
        all.device.copyTo(snapshot)
        const lost = yield* all.on(sit())
        yield* all.on(submit())
        yield* all.device.reopen(all.device.restoreFrom(snapshot))
        const fresh = yield* all.on(sit())
        const report = yield* all.on(submit())
        assert.deepStrictEqual(report.kept, { result: 1, "test-session": 1 })
        const here = yield* kept(all)
        assert.deepStrictEqual(
          here.map(({ conflict, entry }) => [entry.number, conflict]),
          [
            [1, false],
            [2, false],
            [3, true],
            [3, true],
            [4, true],
            [4, true]
          ]
        )
        const ids = new Set(here.slice(2).map(({ entry }) => entry.id))
        assert.deepStrictEqual(ids, new Set<string>([lost.execution, fresh.execution]))
        const [device] = yield* all.office(devicesComplete(undefined))
        assert.deepInclude(device, { conflicts: 4, forked: true, received: 4 })
        const [entry] = yield* all.office(Effect.flatMap(History, (one) => one.recent(1)))
        assert.match(entry?.reason ?? "", /2 × E_RECORD_CONFLICT; E_LEDGER/u)
      })
  )
})
