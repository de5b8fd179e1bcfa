import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { Hashing, History } from "../application/ports.ts"
import { canonical } from "../domain/canonical.ts"
import { marks } from "../domain/set-digest.ts"
import * as Observe from "./support/observe.ts"
import * as Office from "./support/office.ts"
import * as Town from "./support/town.ts"
import { HALL, ORGANISATION, TAKERS } from "./support/town.ts"

const { tamper } = Observe

/** Ways in which a row may go astray past the program, each by its SQL. */
const DRIFTS: ReadonlyArray<
  readonly [string, (ada: string) => readonly [string, ReadonlyArray<unknown>]]
> = [
  ["a row is lost", (ada) => ["DELETE FROM holdings WHERE id = ?", [ada]]],
  ["all rows are lost", () => ["DELETE FROM holdings", []]],
  [
    "a row is somebody else's",
    (ada) => [
      "UPDATE holdings SET (digest, a, b, body) =" +
        " (SELECT digest, a, b, body FROM holdings WHERE kind = 'proctor') WHERE id = ?",
      [ada]
    ]
  ],
  [
    "a row is there that nobody offered",
    () => [
      "INSERT INTO holdings SELECT organisation, 'elg_ghost', kind, version, digest, a, b, bucket," +
        " held, tag, reader, body FROM holdings WHERE kind = 'eligibility'",
      []
    ]
  ],
  ["a row's sums are wrong", (ada) => ["UPDATE holdings SET a = a + 1 WHERE id = ?", [ada]]],
  [
    "a row's sums and bucket are wrong",
    (ada) => ["UPDATE holdings SET b = b - 7, bucket = 255 - bucket WHERE id = ?", [ada]]
  ]
]

describe("a device that has drifted", () => {
  for (const [name, drift] of DRIFTS) {
    it.live(`is mended by the audit, which reports it, when ${name}`, () =>
      Effect.gen(function* () {
        const { office, on } = yield* Town.town
        yield* on(Town.synced())
        const [text, values] = drift(yield* office(Office.idOfPerson("ada")))
        yield* on(tamper(text, values))

        const told = yield* on(Town.synced())
        assert.strictEqual(told.outcome, "done")
        const [{ audited } = { audited: Option.none() }] = told.organisations
        assert.isTrue(Option.isSome(audited))
        if (Option.isSome(audited)) {
          assert.isAbove(audited.value.mended + audited.value.removed, 0)
        }
        const [entry] = yield* on(Effect.flatMap(History, (history) => history.recent(1)))
        assert.match(entry?.reason ?? "", /^0123: mended [1-9]/u)

        const sha256 = yield* on(Effect.map(Hashing, (hashing) => hashing.sha256))
        const rows = yield* on(Observe.heldRows)
        assert.deepStrictEqual(Observe.keysIn(rows, ORGANISATION, 0), yield* office(Town.offered))
        Observe.assertSound(rows, sha256)
        Observe.assertResolves(rows)
        assert.strictEqual((yield* on(Town.synced())).outcome, "unchanged")
      })
    )
  }

  it.live("is mended when a row was marked as kept back, and says that all was compared", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      yield* on(Town.synced())
      const ben = yield* office(Office.idOfPerson("ben"))
      yield* on(tamper("UPDATE holdings SET held = 1 WHERE id = ?", [ben]))
      assert.strictEqual((yield* on(Town.synced())).outcome, "done")
      const [entry] = yield* on(Effect.flatMap(History, (history) => history.recent(1)))
      assert.strictEqual(entry?.reason, "0123: compared anew")
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
    })
  )

  it.live("is mended when what a change refers to was lost, and says that all was compared", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      yield* on(Town.synced())
      const ben = yield* office(Office.idOfPerson("ben"))
      yield* on(tamper("DELETE FROM holdings WHERE id = ?", [ben]))
      yield* office(Office.eligible(HALL, "math", ["ada", "ben"]))

      const told = yield* on(Town.synced())
      assert.strictEqual(told.outcome, "done")
      const [entry] = yield* on(Effect.flatMap(History, (history) => history.recent(1)))
      assert.strictEqual(entry?.reason, "0123: compared anew")
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
      yield* on(Effect.map(Observe.heldRows, Observe.assertResolves))
    })
  )

  it.live("asks before the audit removes more than a tenth", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      yield* on(Town.synced())
      const { sha256 } = yield* on(Hashing)
      for (let at = 0; at < 12; at++) {
        const body = canonical({
          kind: "lti-consumer",
          id: `lti_${at}`,
          label: "x",
          key: "k",
          secret: ""
        })
        const { a, b } = marks(sha256(body))
        yield* on(
          tamper(
            "INSERT INTO holdings SELECT organisation, ?, 'lti-consumer', version, ?, ?, ?, bucket," +
              " 0, NULL, NULL, ? FROM holdings WHERE kind = 'organisation'",
            [`lti_${at}`, sha256(body), a, b, body]
          )
        )
      }
      const before = yield* on(Town.keys())
      const asked = yield* on(Town.synced())
      assert.strictEqual(asked.outcome, "failed")
      const [one] = asked.organisations
      assert.strictEqual(
        one !== undefined && Result.isFailure(one.pulled) ? one.pulled.failure._tag : "",
        "RemovalNeedsConfirmation"
      )
      assert.deepStrictEqual(yield* on(Town.keys()), before)
      const told = yield* on(Town.synced({ confirmRemovals: true }))
      assert.strictEqual(told.outcome, "done")
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
    })
  )

  it.live("learns when central itself has miscounted", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      yield* on(Town.synced())
      yield* office(tamper("UPDATE feeds SET a = a + 1 WHERE organisation = ?", [ORGANISATION]))
      const [one] = (yield* on(Town.synced())).organisations
      assert.deepStrictEqual(
        one?.audited,
        Option.some({ mended: 0, removed: 0, centralMiscounts: true })
      )
      assert.lengthOf(yield* on(Town.keys()), 2 * TAKERS.length + 9)
    })
  )
})
