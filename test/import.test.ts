import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { Passwords, Secrets } from "../application/ports.ts"
import * as Observe from "./support/observe.ts"
import { assertCentral } from "./support/observe-central.ts"
import * as Office from "./support/office.ts"
import * as Rosters from "./support/roster-files.ts"
import { dump } from "./support/tables.ts"
import { HALL, ORGANISATION } from "./support/town.ts"

/** Wraps that are kept together: what an interruption can cost. */
const BATCH = os.availableParallelism() * 8

const numbered = (count: number): ReadonlyArray<Rosters.UserCells> =>
  Array.from({ length: count }, (_, at) => ({
    login: `taker${at}`,
    password: `the password of number ${at}`
  }))

/** How far the feed of each organisation has come. */
const heads = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ organisation: string; head: number }>`
    SELECT organisation, head FROM feeds`
  return new Map(rows.map(({ head, organisation }) => [organisation, Number(head)]))
}).pipe(Effect.orDie)

/** Everything but what is paid for already. */
const dumpBesideWork = Effect.map(dump(), ({ import_work: _, ...rest }) => rest)

/** Fails unless the password of each login opens its wrap. */
const assertOpen = Effect.fnUntraced(function* (passwords: ReadonlyMap<string, string>) {
  const { unwrap } = yield* Passwords
  for (const [login, password] of passwords) {
    const { id, wrap } = yield* Rosters.personCalled(login)
    assert.match(yield* unwrap(id, wrap, password), /^AGE-SECRET-KEY-1/u)
  }
})

const counts = ({ report }: { readonly report: Readonly<Record<string, unknown>> }) => [
  report.created,
  report.updated,
  report.unchanged,
  report.failed
]

for (const database of Rosters.DATABASES) {
  describe(`an import of users on ${database}`, () => {
    it.live("creates, updates and leaves alone, and wraps no password twice", () =>
      Effect.gen(function* () {
        const { files, office } = yield* Rosters.emptyCentral(database)
        const roster = path.join(files, "users.csv")
        const { seen, watched } = Rosters.watchWraps()
        const imported = (rows: ReadonlyArray<Rosters.UserCells>) =>
          office(watched(Rosters.importUsers(Rosters.writeUsers(roster, rows))))

        assert.deepStrictEqual(counts(yield* imported(numbered(3))), [3, 0, 0, 0])
        assert.strictEqual(seen.wraps, 3)
        assert.deepStrictEqual(counts(yield* imported(numbered(3))), [0, 0, 3, 0])
        assert.strictEqual(seen.wraps, 3)

        const before = yield* office(Rosters.personCalled("taker1"))
        const renamed = { login: "TAKER1", label: "Renamed" }
        const updated = yield* imported([renamed, { login: "taker2", label: "taker2" }])
        assert.deepStrictEqual(counts(updated), [0, 1, 1, 0])
        assert.strictEqual(seen.wraps, 3)
        const after = yield* office(Rosters.personCalled("taker1"))
        assert.deepStrictEqual(after, { ...before, login: "TAKER1", label: "Renamed" })

        const fresh = { ...renamed, password: "an entirely new password" }
        assert.deepStrictEqual(counts(yield* imported([fresh])), [0, 1, 0, 0])
        const { id, wrap } = yield* office(Rosters.personCalled("taker1"))
        assert.deepStrictEqual([id, wrap.ver, seen.wraps], [before.id, 2, 4])
        assert.notStrictEqual(wrap.recipient, before.wrap.recipient)
        yield* office(assertOpen(new Map([["taker1", "an entirely new password"]])))
      })
    )

    it.live("that is tried only, or has one wrong row at its end, changes nothing", () =>
      Effect.gen(function* () {
        const { files, office } = yield* Rosters.emptyCentral(database)
        const { seen, watched } = Rosters.watchWraps()
        const roster = path.join(files, "users.csv")
        Rosters.writeUsers(roster, [...numbered(2_500), { login: "TAKER7" }, { login: "ok" }])
        const before = yield* office(dump())

        const tried = yield* office(Rosters.importUsers(roster, { dryRun: true }))
        assert.deepStrictEqual(counts(tried), [2_501, 0, 0, 1])
        assert.deepStrictEqual(tried.report.problems, [
          {
            line: 2_502,
            column: "login",
            reason: "this login is already on line 9",
            value: "TAKER7"
          }
        ])
        const refused = yield* office(watched(Effect.flip(Rosters.importUsers(roster))))
        assert.deepInclude(refused, { code: "E_IMPORT_ROWS" })
        assert.strictEqual(seen.wraps, 0)
        assert.deepStrictEqual(yield* office(dump()), before)
      })
    )

    it.live("that keeps going has the good rows, and names each bad one", () =>
      Effect.gen(function* () {
        const { files, office } = yield* Rosters.emptyCentral(database)
        const roster = path.join(files, "users.csv")
        yield* office(Office.people("proctor", [{ login: "pia" }]))
        Rosters.writeUsers(roster, [
          ...numbered(2),
          { login: "short", password: "secret" },
          { login: "pia" },
          { login: "tongue", "interface language": "klingon!" }
        ])
        const sheet = path.join(files, "sheet.csv")
        const kept = yield* office(
          Rosters.importUsers(roster, { keepGoing: true, passwordsOut: sheet })
        )
        assert.deepStrictEqual(
          [counts(kept), kept.applied, "exit" in kept],
          [[2, 0, 0, 3], true, true]
        )
        assert.deepStrictEqual(
          kept.report.problems.map(({ column, line, value }) => [line, column, value]),
          [
            [4, "password", undefined],
            [5, "login", "pia"],
            [6, "interface language", "klingon!"]
          ]
        )
        assert.strictEqual((yield* office(Rosters.personCalled("pia"))).kind, "proctor")
        yield* office(assertOpen(new Map([["taker0", "the password of number 0"]])))
      })
    )

    it.live("changes nothing when a login becomes somebody else's while it wraps", () =>
      Effect.gen(function* () {
        const { files, office } = yield* Rosters.emptyCentral(database)
        const roster = Rosters.writeUsers(path.join(files, "users.csv"), numbered(3))
        const meanwhile = office(Office.people("proctor", [{ login: "taker1" }]))
        const racing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
          Effect.flatMap(Secrets, (secrets) => {
            let once: Effect.Effect<unknown> = meanwhile
            const wrap: typeof secrets.wrap = (input) =>
              Effect.suspend(() => {
                const first = once
                once = Effect.void
                return Effect.andThen(first, secrets.wrap(input))
              })
            return Effect.provideService(effect, Secrets, { ...secrets, wrap })
          })
        const refused = yield* office(racing(Effect.flip(Rosters.importUsers(roster))))
        assert.deepInclude(refused, { code: "E_IMPORT_ROWS" })
        const people = (yield* office(dump())).entities ?? []
        assert.lengthOf(people, 1)
      })
    )

    it.live("that breaks off at its end leaves feeds and people as they were, and its work", () =>
      Effect.gen(function* () {
        const { files, office } = yield* Rosters.emptyCentral(database)
        yield* office(Office.people("administrator", [{ login: "adam" }]))
        yield* office(Office.center(ORGANISATION, HALL, { administrators: ["adam"] }))
        const roster = Rosters.writeUsers(path.join(files, "admins.csv"), [
          { login: "adam", label: "Renamed" },
          { login: "eve", password: "a password for eve" }
        ])
        const asked = { type: "test-center-admin" } as const
        const before = yield* office(dumpBesideWork)
        const failed = yield* office(
          Effect.exit(Rosters.failingAtTheEnd(Rosters.importUsers(roster, asked)))
        )
        assert.strictEqual(failed._tag, "Failure")
        assert.deepStrictEqual(yield* office(dumpBesideWork), before)

        const { seen, watched } = Rosters.watchWraps()
        const again = yield* office(watched(Rosters.importUsers(roster, asked)))
        assert.deepStrictEqual([counts(again), again.offered, seen.wraps], [[1, 1, 0, 0], 1, 0])
        assert.deepStrictEqual((yield* office(dump())).import_work, [])
        yield* office(assertCentral([ORGANISATION]))
      })
    )

    for (const stopAt of [1, BATCH, BATCH + 2, 3 * BATCH]) {
      it.live(`that stops at wrap ${stopAt} goes on there, with the same file`, () =>
        Effect.gen(function* () {
          const { central, files, office } = yield* Rosters.emptyCentral(database)
          const count = 3 * BATCH
          const rows = numbered(count).map(({ login }) => ({ login }))
          const roster = Rosters.writeUsers(path.join(files, "users.csv"), rows)
          const asked = { passwordsOut: path.join(files, "sheet.csv") }
          const first = Rosters.watchWraps(stopAt)
          const fiber = yield* Effect.forkChild(
            office(first.watched(Rosters.importUsers(roster, asked)))
          )
          yield* Effect.promise(() => first.seen.reached.promise)
          yield* Fiber.interrupt(fiber)
          yield* central.reopen(Effect.void)
          assert.deepStrictEqual((yield* office(dump())).entities, [])

          const second = Rosters.watchWraps()
          const done = yield* office(second.watched(Rosters.importUsers(roster, asked)))
          assert.deepStrictEqual(counts(done), [count, 0, 0, 0])
          const kept = Math.floor((stopAt - 1) / BATCH) * BATCH
          assert.strictEqual(second.seen.wraps, count - kept)

          const passwords = Rosters.passwordsIn(asked.passwordsOut)
          assert.strictEqual(passwords.size, count)
          yield* office(assertOpen(passwords))
        })
      )
    }

    it.live("leaves no password anywhere but in its sheet", () =>
      Effect.gen(function* () {
        const { central, files, office } = yield* Rosters.emptyCentral(database)
        const rows = [...numbered(2 * BATCH), ...["una", "ugo"].map((login) => ({ login }))]
        const roster = Rosters.writeUsers(path.join(files, "users.csv"), rows)
        const asked = { passwordsOut: path.join(files, "sheet.csv") }
        const { seen, watched } = Rosters.watchWraps(BATCH + 3)
        const fiber = yield* Effect.forkChild(office(watched(Rosters.importUsers(roster, asked))))
        yield* Effect.promise(() => seen.reached.promise)
        const assertNone = Effect.gen(function* () {
          const everything = Buffer.concat([
            ...filesIn(central.directory).map((file) => fs.readFileSync(file)),
            Buffer.from(JSON.stringify(yield* office(dump())))
          ])
          const chosen = rows.flatMap((row) => ("password" in row ? (row.password ?? []) : []))
          const made = [...Rosters.passwordsIn(asked.passwordsOut)].map(([, one]) => one)
          for (const password of [...chosen, ...made]) assertAbsent(everything, password)
          assert.isTrue(everything.includes("taker0"), "what is searched has nothing in it")
          return made.length
        })
        assert.strictEqual(yield* assertNone, 0)
        yield* Fiber.interrupt(fiber)
        yield* office(Rosters.importUsers(roster, asked))
        assert.strictEqual(yield* assertNone, 2)
        yield* central.reopen(Effect.void)
        yield* assertNone
      })
    )
  })

  describe(`the feeds after an import on ${database}`, () => {
    it.live("grow for exactly the organisations that are concerned", () =>
      Effect.gen(function* () {
        const { office, root } = yield* Rosters.emptyCentral(database)
        const takers = ["ada", "ben"].map((login) => ({ login }))
        yield* office(Office.people("test-taker", takers))
        yield* office(Office.publishText(root, "math", "one and one"))
        for (const name of ["north", "south", "west"]) {
          yield* office(Office.center(name, `${name} hall`))
        }
        yield* office(Office.eligible("north hall", "math", ["ada", "ben"]))
        yield* office(Office.eligible("south hall", "math", ["ada"]))

        const grown = <A, E, R>(change: Effect.Effect<A, E, R>) =>
          Effect.gen(function* () {
            const before = yield* heads
            yield* change
            const now = [...(yield* heads)]
            return now
              .filter(([name, head]) => head > (before.get(name) ?? 0))
              .map(([name]) => name)
          })
        const label = "Renamed"
        const inFeeds = (login: string) => Office.people("test-taker", [{ login, label }])
        assert.sameMembers(yield* office(grown(inFeeds("ada"))), ["north", "south"])
        assert.sameMembers(yield* office(grown(inFeeds("ben"))), ["north"])
        assert.sameMembers(yield* office(grown(inFeeds("zoe"))), [])
        const anew = Office.eligible("west hall", "math", ["ben"])
        // The profile that the north holds of ben is sealed to the west's roster as well.
        assert.sameMembers(yield* office(grown(anew)), ["north", "west"])
        yield* office(assertCentral(Office.organisations("north", "south", "west")))
      })
    )

    it.live("bring a new roster key when a proctor leaves, and the old one no further", () =>
      Effect.gen(function* () {
        const { office } = yield* Rosters.emptyCentral(database)
        yield* office(Office.people("proctor", [{ login: "pia" }, { login: "pol" }]))
        const staffed = (...proctors: ReadonlyArray<string>) =>
          office(
            Effect.gen(function* () {
              yield* Office.center(ORGANISATION, HALL, { proctors })
              yield* assertCentral([ORGANISATION])
              const id = yield* Office.idOfCenter(ORGANISATION, HALL)
              const live = (yield* Observe.offerRows).flatMap(({ body }) =>
                body === null ? [] : [Observe.entityOf({ body })]
              )
              const center = live.find((one) => one.id === id)
              const wraps = live.filter((one) => one.kind === "key-wrap")
              return {
                roster: center?.kind === "test-center" ? center.roster : undefined,
                wraps: wraps.map(({ version }) => version)
              }
            })
          )
        const both = yield* staffed("pia", "pol")
        assert.deepStrictEqual([both.roster?.version, both.wraps], [1, [1, 1]])
        const one = yield* staffed("pol")
        assert.deepStrictEqual([one.roster?.version, one.wraps], [2, [2]])
        assert.notStrictEqual(one.roster?.recipient, both.roster?.recipient)
        const back = yield* staffed("pol", "pia")
        assert.deepStrictEqual([back.roster, back.wraps], [one.roster, [2, 2]])
      })
    )
  })
}

const filesIn = (folder: string): ReadonlyArray<string> =>
  fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => path.join(folder, name))
    .filter((file) => fs.statSync(file).isFile())

/** As text, or inside base64 at any of its three alignments. */
const assertAbsent = (bytes: Buffer, password: string) => {
  for (const lead of ["", " ", "  "]) {
    const encoded = Buffer.from(`${lead}${password}`).toString("base64").replaceAll("=", "")
    // The first and last characters of the encoding depend on the neighbours.
    assert.isFalse(bytes.includes(encoded.slice(4, -2)), "a password is there in base64")
  }
  assert.isFalse(bytes.includes(password), "a password is there in clear")
  assert.isFalse(bytes.includes(Buffer.from(password, "utf16le")), "a password is there in UTF-16")
}
