import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { open } from "../application/open.ts"
import { Hashing, History, Holdings } from "../application/ports.ts"
import { remove } from "../application/remove.ts"
import { KINDS, type Kind } from "../domain/entity.ts"
import { openCommand, statusCommand } from "../entrypoints/device-commands.ts"
import * as Observe from "./support/observe.ts"
import * as Office from "./support/office.ts"
import * as Town from "./support/town.ts"
import { HALL, ORGANISATION } from "./support/town.ts"

const { tamper } = Observe

/** A town whose device holds everything. */
const syncedTown = Effect.gen(function* () {
  const town = yield* Town.town
  yield* town.on(Town.synced())
  return town
})

/** The disk changes a body; what stands beside it stays. */
const CHANGES = {
  "is altered": "body || ' '",
  "is cut off": "substr(body, 1, length(body) / 2)",
  "is empty": "''",
  "is something else": "'[]'"
} as const

const spoil = (
  where: string,
  values: ReadonlyArray<unknown>,
  body: string = CHANGES["is altered"]
) => tamper(`UPDATE holdings SET body = ${body} WHERE ${where}`, values)

/** So many milliseconds pass, as far as the last look at all bytes goes. */
const pass = (millis: number) =>
  tamper("UPDATE settings SET value = CAST(value AS INTEGER) - ? WHERE name LIKE 'rechecked %'", [
    millis
  ])
const DAY = 86_400_000

const recent = Effect.flatMap(History, (history) => history.recent(2))

/** The device is exactly what central offers, every byte, and knows it. */
const isWell = Effect.fnUntraced(function* ({ office, on }: Town.Town) {
  const { sha256 } = yield* on(Hashing)
  const rows = yield* on(Observe.heldRows)
  Observe.assertSound(rows, sha256)
  Observe.assertResolves(rows)
  assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
  yield* on(pass(DAY))
  assert.strictEqual((yield* on(Town.synced())).outcome, "unchanged")
})

const mendedBy = (told: Effect.Success<ReturnType<typeof Town.synced>>) => {
  const [{ audited } = { audited: Option.none() }] = told.organisations
  return Option.match(audited, { onNone: () => 0, onSome: ({ mended }) => mended })
}

describe("bodies that change on the device's disk", () => {
  for (const [what, body] of Object.entries(CHANGES)) {
    it.live(`are found within a day and fetched again, when one of each kind ${what}`, () =>
      Effect.gen(function* () {
        const town = yield* syncedTown
        const { on } = town
        const kinds = KINDS.filter((kind) => kind !== "lti-consumer")
        yield* on(spoil("id IN (SELECT MIN(id) FROM holdings GROUP BY kind)", [], body))
        yield* on(pass(DAY))
        const told = yield* on(Town.synced())
        assert.deepStrictEqual([told.outcome, mendedBy(told)], ["done", kinds.length])
        const [synced, found] = yield* on(recent)
        assert.strictEqual(synced?.reason, `0123: mended ${kinds.length}`)
        assert.match(found?.reason ?? "", /^9 damaged on the disk: .*, …$/u)
        assert.deepInclude(found, { verb: "audit", organisation: ORGANISATION })
        yield* isWell(town)
      })
    )
  }

  for (const column of ["tag", "reader", "kind", "digest"]) {
    it.live(`are what counts: a ${column} that says something else is written anew`, () =>
      Effect.gen(function* () {
        const town = yield* syncedTown
        const { on } = town
        const of = column === "reader" ? "key-wrap" : "proctor"
        const value = column === "kind" ? "'administrator'" : `'${"a".repeat(64)}'`
        yield* on(tamper(`UPDATE holdings SET ${column} = ${value} WHERE kind = ?`, [of]))
        yield* on(pass(DAY))
        assert.strictEqual((yield* on(Town.synced())).outcome, "done")
        yield* isWell(town)
      })
    )
  }

  for (const [column, value] of [
    ["kind", "proctos"],
    ["id", "Usr_nobody"]
  ] as const) {
    it.live(`are fetched again when their ${column} makes no sense any more`, () =>
      Effect.gen(function* () {
        const town = yield* syncedTown
        yield* town.on(tamper(`UPDATE holdings SET ${column} = ? WHERE kind = 'proctor'`, [value]))
        yield* town.on(pass(DAY))
        assert.strictEqual(mendedBy(yield* town.on(Town.synced())), 1)
        yield* isWell(town)
      })
    )
  }

  it.live("are found at once when the sums differ for another reason", () =>
    Effect.gen(function* () {
      const town = yield* syncedTown
      const { office, on } = town
      const [ada, ben] = [
        yield* office(Office.idOfPerson("ada")),
        yield* office(Office.idOfPerson("ben"))
      ]
      yield* on(spoil("id = ?", [ada]))
      yield* on(tamper("DELETE FROM holdings WHERE id = ?", [ben]))
      assert.strictEqual(mendedBy(yield* on(Town.synced())), 2)
      yield* isWell(town)
    })
  )

  for (const kind of ["delivery", "eligibility", "test-center"] satisfies ReadonlyArray<Kind>) {
    it.live(`never stop a synchronisation that has to read them: a ${kind}`, () =>
      Effect.gen(function* () {
        const town = yield* syncedTown
        const { office, on } = town
        const sitting = yield* office(
          Effect.all({
            delivery: Office.idOfDelivery("math"),
            testTaker: Office.idOfPerson("ada"),
            eligibility: Office.idOfEligibility(ORGANISATION, HALL, "math")
          })
        )
        yield* on(Town.execution(sitting, "running"))
        yield* office(Office.eligible(HALL, "math", ["ada", "ben"]))
        yield* on(spoil("kind = ?", [kind], CHANGES["is cut off"]))
        const told = yield* on(Town.synced())
        assert.strictEqual(told.outcome, "done")
        assert.deepStrictEqual(
          told.organisations.map(({ pulled }) => Result.isSuccess(pulled)),
          [true]
        )
        yield* isWell(town)
      })
    )
  }

  it.live("never stop a dry run or a limited one, and are mended by the next whole one", () =>
    Effect.gen(function* () {
      const town = yield* syncedTown
      const { on } = town
      yield* on(spoil("kind = 'delivery'", [], CHANGES["is cut off"]))
      yield* on(Town.synced({ dryRun: true }))
      yield* on(Town.synced({ kinds: ["proctor"] }))
      assert.strictEqual(mendedBy(yield* on(Town.synced())), 1)
      yield* isWell(town)
    })
  )

  it.live("stay condemned while central can't be reached, and their content stays here", () =>
    Effect.gen(function* () {
      const town = yield* syncedTown
      const { line, on } = town
      yield* on(spoil("kind = 'delivery'", []))
      yield* on(pass(DAY))
      line.calls = 0
      line.trouble = { what: "question lost", at: 1 }
      assert.strictEqual((yield* on(Town.synced())).outcome, "failed")
      assert.isTrue(yield* on(Effect.flatMap(Holdings, (all) => all.condemned(ORGANISATION))))
      line.trouble = undefined
      const told = yield* on(Town.synced())
      assert.deepStrictEqual([mendedBy(told), told.contents.fetched], [1, 0])
      assert.isFalse(yield* on(Effect.flatMap(Holdings, (all) => all.condemned(ORGANISATION))))
      yield* isWell(town)
    })
  )

  it.live("are kept for a session that needs them although central can't mend them", () =>
    Effect.gen(function* () {
      const { office, on } = yield* syncedTown
      const ids = yield* office(
        Effect.all({
          delivery: Office.idOfDelivery("math"),
          testTaker: Office.idOfPerson("ada"),
          eligibility: Office.idOfEligibility(ORGANISATION, HALL, "math")
        })
      )
      const sitting = yield* on(Town.execution(ids, "running"))
      yield* office(remove([ids.eligibility, ids.delivery]))
      yield* on(Town.synced({ confirmRemovals: true }))
      yield* on(spoil("held = 1", [], CHANGES["is cut off"]))
      yield* on(pass(DAY))
      const told = yield* on(Town.synced())
      assert.strictEqual(told.outcome, "unchanged")
      const [found] = yield* on(recent)
      assert.match(found?.reason ?? "", /damaged on the disk: .*delivery\/dlv_math/u)
      const rows = yield* on(Observe.heldRows)
      Observe.assertKept(rows, [sitting])
      yield* on(Town.moved(sitting, "settled"))
      yield* on(Town.synced())
      assert.deepStrictEqual(yield* on(Town.keys(1)), [])
    })
  )
})

describe("a look at all bytes", () => {
  it.live("is taken once a day, and asks central nothing more", () =>
    Effect.gen(function* () {
      const { line, on, office } = yield* syncedTown
      const ada = yield* office(Office.idOfPerson("ada"))
      const once = Effect.gen(function* () {
        line.calls = 0
        const { outcome } = yield* Town.synced()
        return [outcome, line.calls]
      })
      assert.deepStrictEqual(yield* on(once), ["unchanged", 1])
      yield* on(pass(DAY))
      assert.deepStrictEqual(yield* on(once), ["unchanged", 1])
      yield* on(spoil("id = ?", [ada]))
      assert.deepStrictEqual(yield* on(once), ["unchanged", 1])
      yield* on(pass(DAY - 60_000))
      assert.deepStrictEqual(yield* on(once), ["unchanged", 1])
      yield* on(pass(60_000))
      assert.strictEqual((yield* on(once))[0], "done")
    })
  )

  it.live("is taken when the last one lies in the future: a clock was set back", () =>
    Effect.gen(function* () {
      const town = yield* syncedTown
      yield* town.on(spoil("kind = 'proctor'", []))
      yield* town.on(pass(-1_000 * DAY))
      assert.strictEqual((yield* town.on(Town.synced())).outcome, "done")
      yield* isWell(town)
    })
  )
})

describe("a login on a device with damaged data", () => {
  const opened = (login: string) =>
    openCommand.answer({ login, password: Office.passwordOf(login) })
  const refusal = (login: string) => Effect.map(Effect.flip(opened(login)), ({ code }) => code)

  it.live("is told so when it is their own, and the others open theirs", () =>
    Effect.gen(function* () {
      const { office, on } = yield* syncedTown
      const ada = yield* office(Office.idOfPerson("ada"))
      yield* on(spoil("id = ?", [ada], CHANGES["is cut off"]))
      assert.strictEqual(yield* on(refusal("ada")), "E_DATA_DAMAGED")
      assert.lengthOf(yield* on(open("ben", Office.passwordOf("ben"))), 1)
      const [roster] = yield* on(open("pia", Office.passwordOf("pia")))
      assert.deepStrictEqual(
        roster?.roster.map(({ people }) => people.map(({ login }) => login)),
        [["ben", "cem"]]
      )
      yield* on(Town.synced())
      assert.lengthOf(yield* on(open("ada", Office.passwordOf("ada"))), 1)
    })
  )

  for (const kind of ["organisation", "delivery"] satisfies ReadonlyArray<Kind>) {
    it.live(`is told so when it is their ${kind}, also by the status`, () =>
      Effect.gen(function* () {
        const { on } = yield* syncedTown
        yield* on(spoil("kind = ?", [kind], CHANGES["is cut off"]))
        yield* on(statusCommand.answer({}))
        assert.strictEqual(yield* on(refusal("ada")), "E_DATA_DAMAGED")
        yield* on(Town.synced())
        assert.lengthOf(yield* on(open("ada", Office.passwordOf("ada"))), 1)
      })
    )
  }
})
