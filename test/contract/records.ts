/** Says what every adapter of the ports Records and Outbox keeps. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Option, Stream } from "effect"
import { Atomic } from "../../application/ports.ts"
import { type NewRecord, Outbox, Records } from "../../application/record-ports.ts"
import { canonical } from "../../domain/canonical.ts"
import { DeviceId, type Digest, EntityId } from "../../domain/id.ts"
import { type LedgerEntry, ledgerText } from "../../domain/ledger.ts"
import { ExecutionId } from "../../domain/result.ts"
import { sha256 } from "../support/offers.ts"
import { STRANGE } from "../support/records.ts"
import { sessionOf } from "../support/sittings.ts"

type Claim<Ports> = <F>(what: string, effect: Effect.Effect<void, F, Ports>) => void
const claims =
  <Ports, E>(layer: Layer.Layer<Ports, E>): Claim<Ports> =>
  (what, effect) =>
    it.live(what, () => Effect.provide(effect, layer))

const A = DeviceId.make("dev_aaaaaa")
const B = DeviceId.make("dev_bbbbbb")
const ALL = {
  kind: undefined,
  stages: undefined,
  delivery: undefined,
  organisation: undefined,
  device: undefined
}

const record = (
  number: number,
  body: string,
  ledger: Partial<LedgerEntry> = {},
  more: Partial<NewRecord> = {}
): NewRecord => ({
  record: {
    ledger: {
      number,
      prev: null,
      kind: "result",
      id: `r${number}`,
      revision: 1,
      sha256: sha256(body),
      ...ledger
    },
    body
  },
  carrier: "https",
  at: 1_000,
  stage: "stored",
  reason: null,
  session: null,
  altered: false,
  ...more
})

const add = Effect.fnUntraced(function* (device: DeviceId, ...records: ReadonlyArray<NewRecord>) {
  const atomic = yield* Atomic
  const port = yield* Records
  return yield* atomic.run(port.add(device, records))
})
const listed = (filter: Partial<Parameters<Records["Service"]["list"]>[0]> = {}) =>
  Effect.flatMap(Records, (records) => Stream.runCollect(records.list({ ...ALL, ...filter })))
const numbersOf = (device: DeviceId) => Effect.flatMap(Records, (one) => one.numbers(device))
const note = (count: number, head: Digest | null) =>
  Effect.flatMap(Records, (records) => records.noteLedger(A, { count, head }))

export const centralSuite = <E>(name: string, layer: Layer.Layer<Records | Atomic, E>) =>
  describe(`the port Records, ${name}`, () => {
    const claim = claims(layer)
    keeping(claim)
    reading(claim)
    ledgers(claim)
  })

const keeping = (claim: Claim<Records | Atomic>) => {
  claim(
    "keeps each record of each device once, within a batch and after it, bytes and all",
    Effect.gen(function* () {
      const records = yield* Records
      const strange = record(2, "é\u2028🚢 with 'quotes'")
      assert.deepStrictEqual(yield* add(A), [])
      const answers = yield* add(A, record(1, "one"), strange, record(1, "one"))
      assert.deepStrictEqual(answers, ["new", "new", "same"])
      assert.deepStrictEqual(yield* add(A, strange, record(3, "three")), ["same", "new"])
      assert.deepStrictEqual(yield* add(B, record(1, "one")), ["new"])
      const body = yield* records.body(A, strange.record.ledger.sha256)
      assert.deepStrictEqual(body, Option.some("é\u2028🚢 with 'quotes'"))
      assert.isTrue(Option.isNone(yield* records.body(B, strange.record.ledger.sha256)))
      const kept = yield* listed()
      assert.deepStrictEqual(
        kept.map(({ conflict, device, entry }) => [device, entry.number, conflict]),
        [
          [A, 1, false],
          [A, 2, false],
          [A, 3, false],
          [B, 1, false]
        ]
      )
      assert.deepStrictEqual(kept[1]?.entry, strange.record.ledger)
    })
  )

  claim(
    "keeps other bytes beside the first and flags both, by name and by number, also in one batch",
    Effect.gen(function* () {
      yield* add(A, record(1, "one"), record(2, "two"), record(3, "three"))
      const answers = yield* add(
        A,
        record(4, "other one", { id: "r1" }),
        record(2, "other two", { id: "new" }),
        record(5, "revised", { id: "r3", revision: 2 }),
        record(6, "six"),
        record(6, "other six", { id: "r66" })
      )
      assert.deepStrictEqual(answers, ["other bytes", "other bytes", "new", "new", "other bytes"])
      const flagged = (yield* listed()).filter(({ conflict }) => conflict)
      assert.deepStrictEqual(flagged.map(({ entry }) => [entry.number, entry.id]).sort(), [
        [1, "r1"],
        [2, "new"],
        [2, "r2"],
        [4, "r1"],
        [6, "r6"],
        [6, "r66"]
      ])
      assert.deepStrictEqual(yield* add(B, record(1, "not theirs")), ["new"])
    })
  )

  claim(
    "keeps twenty batches at once as if they came one after the other",
    Effect.gen(function* () {
      const batch = Array.from({ length: 10 }, (_, at) => record(at + 1, `same ${at}`))
      const answers = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, at) => record(50, `other ${at}`, { id: `o${at}` })),
        (odd) => add(A, ...batch, odd),
        { concurrency: "unbounded" }
      )
      const all = answers.flat()
      assert.strictEqual(all.filter((answer) => answer === "new").length, 11)
      assert.strictEqual(all.filter((answer) => answer === "other bytes").length, 19)
      const kept = yield* listed()
      assert.strictEqual(kept.length, 30)
      assert.strictEqual(kept.filter(({ conflict }) => conflict).length, 20)
    })
  )

  claim(
    "keeps altered bytes aside, counts them nowhere, and replaces them when they turn out right",
    Effect.gen(function* () {
      const records = yield* Records
      const altered = record(1, "rotten", {}, { altered: true, stage: "quarantined", reason: "x" })
      assert.deepStrictEqual(yield* add(A, altered, altered), ["new", "same"])
      assert.deepStrictEqual(yield* numbersOf(A), { received: [], count: 0, forked: false })
      const { sha256: digest } = altered.record.ledger
      const exit = yield* Effect.exit(records.move(A, digest, "release", null))
      assert.strictEqual(exit._tag, "Failure")
      assert.deepStrictEqual(yield* add(A, record(1, "right")), ["new"])
      assert.deepStrictEqual(yield* add(A, record(7, "rotten")), ["new"])
      const kept = yield* listed()
      assert.deepStrictEqual(
        kept.map((one) => [one.entry.number, one.stage, one.altered, one.conflict]),
        [
          [1, "stored", false, false],
          [7, "stored", false, false]
        ]
      )
    })
  )
}

const reading = (claim: Claim<Records | Atomic>) => {
  claim(
    "knows what a result is of by its session, once that is accepted",
    Effect.gen(function* () {
      const records = yield* Records
      const result = record(1, "sealed")
      const execution = ExecutionId.make("ex_00000000000000000001")
      const delivery = EntityId.make("dlv_é/1")
      const facts = { delivery, organisation: STRANGE }
      const session = sessionOf(A, execution, facts, result.record.ledger.sha256)
      const body = canonical({ ...session })
      const aside = { stage: "quarantined", reason: "E_RECORD_SCOPE", session } as const
      yield* add(A, result, record(2, body, { kind: "test-session" }, aside))
      assert.deepStrictEqual((yield* listed({ kind: "result" }))[0]?.session, null)
      assert.deepStrictEqual(yield* listed({ kind: "result", delivery }), [])
      yield* records.move(A, sha256(body), "release", null)
      const found = yield* listed({ kind: "result", delivery })
      assert.deepStrictEqual(found[0]?.session, session)
      assert.strictEqual((yield* listed({ organisation: STRANGE })).length, 2)
      assert.deepStrictEqual(yield* listed({ organisation: STRANGE, device: B }), [])
      assert.deepStrictEqual(yield* listed({ delivery: EntityId.make("dlv_other") }), [])
    })
  )

  claim(
    "lists more than a page, the oldest first, and by stage; follows arrows only",
    Effect.gen(function* () {
      const records = yield* Records
      const all = Array.from({ length: 1_203 }, (_, at) =>
        record(at + 1, `body ${at}`, {}, { at: 5_000 - (at % 7) })
      )
      for (let at = 0; at < all.length; at += 200) yield* add(A, ...all.slice(at, at + 200))
      const times = (yield* listed()).map(({ receivedAt }) => receivedAt)
      assert.strictEqual(times.length, 1_203)
      assert.deepStrictEqual(
        times,
        [...times].sort((a, b) => a - b)
      )
      yield* records.move(A, sha256("body 3"), "decrypt", null)
      yield* records.move(A, sha256("body 4"), "give-up", "wrong-key")
      const undecryptable = yield* listed({ stages: ["undecryptable", "decrypted"] })
      assert.deepStrictEqual(undecryptable.map(({ reason, stage }) => [stage, reason]).sort(), [
        ["decrypted", null],
        ["undecryptable", "wrong-key"]
      ])
      const wrong = yield* Effect.exit(records.move(A, sha256("body 5"), "export", null))
      assert.strictEqual(wrong._tag, "Failure")
    })
  )
}

const ledgers = (claim: Claim<Records | Atomic>) =>
  claim(
    "remembers how long a ledger is, takes late words for late, and sees a fork",
    Effect.gen(function* () {
      const three = record(3, "three")
      const head = sha256(ledgerText(three.record.ledger))
      assert.strictEqual(yield* note(0, null), "same")
      assert.strictEqual(yield* note(5, sha256("head 5")), "grew")
      yield* add(A, record(1, "one"), three)
      assert.strictEqual(yield* Effect.flatMap(Records, (all) => all.countNumbers(A)), 2)
      assert.deepStrictEqual(yield* numbersOf(A), { received: [1, 3], count: 5, forked: false })
      assert.strictEqual(yield* note(3, head), "same")
      assert.strictEqual(yield* note(4, sha256("nobody knows")), "same")
      assert.strictEqual(yield* note(5, sha256("head 5")), "same")
      assert.strictEqual((yield* numbersOf(A)).forked, false)
      assert.strictEqual(yield* note(3, sha256("another")), "forked")
      assert.strictEqual(yield* note(6, sha256("head 6")), "grew")
      assert.deepStrictEqual(yield* numbersOf(A), { received: [1, 3], count: 6, forked: true })
      assert.deepStrictEqual(yield* numbersOf(B), { received: [], count: 0, forked: false })
    })
  )

export const deviceSuite = <E>(name: string, layer: Layer.Layer<Outbox, E>) =>
  describe(`the port Outbox, ${name}`, () => {
    const claim = claims(layer)
    const append = (body: string, end: "finished" | "cancelled" = "finished") =>
      Effect.flatMap(Outbox, (outbox) =>
        outbox.append({ kind: "result", id: "r", revision: 1, body, end, stage: "queued" })
      )
    const OWING = { kinds: undefined, ends: ["finished"] } as const

    claim(
      "numbers records in a chain, and gives out what is owed in its order",
      Effect.gen(function* () {
        const outbox = yield* Outbox
        assert.deepStrictEqual(yield* outbox.head, { count: 0, head: null, anew: 0 })
        const one = yield* append("é🚢")
        const two = yield* append("two", "cancelled")
        assert.deepInclude(one, { number: 1, prev: null, sha256: sha256("é🚢") })
        assert.deepInclude(two, { number: 2, prev: sha256(ledgerText(one)) })
        assert.deepStrictEqual(yield* outbox.head, {
          count: 2,
          head: sha256(ledgerText(two)),
          anew: 0
        })
        const owed = yield* outbox.owed({ ...OWING, after: 0, limit: 9 })
        assert.deepStrictEqual(
          owed.map(({ body, entry }) => [entry, body]),
          [[one, "é🚢"]]
        )
        assert.strictEqual(yield* outbox.countOwed({ ...OWING, ends: ["cancelled"] }), 1)
        assert.strictEqual(yield* outbox.countOwed({ ...OWING, kinds: ["lti-user"] }), 0)
        assert.deepStrictEqual(yield* outbox.owed({ ...OWING, after: 1, limit: 9 }), [])
      })
    )

    claim(
      "follows arrows only, counts tries, and forgets bytes but never a line",
      Effect.gen(function* () {
        const outbox = yield* Outbox
        const { number, sha256: digest } = yield* append("one")
        assert.strictEqual((yield* Effect.exit(outbox.purge(number)))._tag, "Failure")
        const skip = yield* Effect.exit(outbox.move(number, "acknowledged", null))
        assert.strictEqual(skip._tag, "Failure")
        yield* outbox.move(number, "sent", null)
        yield* outbox.move(number, "sent", "the answer was lost")
        yield* outbox.move(number, "sent", null)
        const found = Option.getOrThrow(yield* outbox.byDigest(digest))
        assert.deepInclude(found, { tries: 2, stage: "sent", reason: null })
        assert.isTrue(yield* outbox.owes("r"))
        yield* outbox.move(number, "acknowledged", null)
        yield* outbox.purge(number)
        assert.isFalse(yield* outbox.owes("r"))
        assert.isNull(Option.getOrThrow(yield* outbox.byDigest(digest)).body)
        assert.strictEqual((yield* outbox.head).count, 1)
        assert.deepStrictEqual(yield* outbox.counts, new Map([["purged", 1]]))
      })
    )

    claim(
      "tells what central lost since it was last asked, and when all was queued again",
      Effect.gen(function* () {
        const outbox = yield* Outbox
        for (const body of ["one", "two"]) {
          const { number } = yield* append(body)
          yield* outbox.move(number, "sent", null)
          yield* outbox.move(number, "acknowledged", null)
        }
        // Central may have got more than it was heard to say.
        assert.strictEqual(yield* outbox.noteKept(3), 0)
        assert.strictEqual(yield* outbox.noteKept(2), 0)
        assert.strictEqual(yield* outbox.noteKept(1), 1)
        assert.strictEqual(yield* outbox.noteKept(1), 0)
        assert.strictEqual(yield* outbox.noteKept(0), 1)
        assert.strictEqual(yield* outbox.noteKept(2), 0)
        assert.strictEqual(yield* outbox.noteKept(0), 2)
        yield* outbox.resend
        assert.deepStrictEqual(yield* outbox.counts, new Map([["queued", 2]]))
        const { anew } = yield* outbox.head
        yield* outbox.resend
        assert.isAbove((yield* outbox.head).anew ?? 0, anew ?? 0)
      })
    )
  })
