/** A device's command line, as a school's IT person meets it: real processes against a real central. */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type KindCounts, NO_COUNTS } from "../domain/history.ts"
import { freshFolder } from "./support/database.ts"
import { stateOf } from "./support/device-files.ts"
import {
  done,
  enrolArgs,
  json,
  newDevice,
  office,
  refused,
  report,
  school,
  serve
} from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = 240_000

describe.concurrent("a device", () => {
  it.live(
    "is enrolled by who may, with the central that was meant, and by nobody else",
    () =>
      Effect.gen(function* () {
        const central = yield* office()
        const device = yield* newDevice(central)
        const args = enrolArgs(central)
        const [before, away] = yield* Effect.all(
          [
            refused(device, "E_NOT_ENROLLED", ["sync"]),
            refused(device, "E_CENTRAL_UNREACHABLE", args)
          ],
          { concurrency: 2 }
        )
        assert.include(before.stderr, "testferry device enrol")
        assert.include(away.stderr, "Check the network and central's address")

        const server = yield* serve(central)
        const other = central.fingerprint.replaceAll("A", "B").replaceAll("1", "2")
        const wrong = yield* refused(device, "E_FINGERPRINT", [...args.slice(0, -1), other])
        assert.include(wrong.stderr, central.fingerprint)
        assert.strictEqual(server.output.stderr, "", "nothing was asked of another's server")

        const file = join(yield* freshFolder(), "password")
        fs.writeFileSync(file, "not the password\n")
        const says = (login: string) => {
          const proof = ["--login", login, "--password-file", file]
          const trust = ["--fingerprint", central.fingerprint]
          return refused(device, "E_WRONG_PROOF", ["device", "enrol", ...proof, ...trust])
        }
        const guesses = [says("sync.northern-isles"), says("nobody")] as const
        const [guessed, stranger] = yield* Effect.all(guesses, { concurrency: 2 })
        assert.deepStrictEqual(guessed, stranger)
        assert.include(guessed.stderr, "Check login and password")
        assert.include(yield* done(device, "status"), "This device is not enrolled yet.")

        const enrolment = yield* report(device, ...args)
        assert.deepInclude(enrolment, { organisations: ["0123"] })
        assert.match(yield* done(central.data, "history", "--limit", "1"), / enrol +dev_.+ done /u)
        for (const word of ["sync.fleuves", "nobody", "not the password", "Room 12"]) {
          assert.notInclude(server.output.stderr, word)
        }
      }),
    LONG
  )

  it.live(
    "goes from nothing to what each login may read",
    () =>
      Effect.gen(function* () {
        const central = yield* school()
        const { device } = central
        const nothing = stateOf(device)
        yield* serve(central)
        const dry = yield* report(device, "sync", "--dry-run")
        assert.deepInclude(dry.counts, { delivery: counts({ created: 3 }) })
        const { cursor, held } = stateOf(device)
        assert.deepStrictEqual([held, cursor], [nothing.held, nothing.cursor])

        const some = yield* report(device, "sync", "--type", "test-center")
        assert.hasAllKeys(some.counts, ["organisation", "test-center", "administrator", "proctor"])
        const first = yield* done(device, "sync")
        assert.match(first, /^delivery +3 +0 +0 +0$/mu)
        assert.match(first, /^3 test contents fetched \(.+\)\nEverything is up to date\.\n$/mu)
        const brought = stateOf(device)
        const second = yield* done(device, "sync")
        assert.strictEqual(second, "Nothing new. Everything is up to date.\n")
        assert.deepStrictEqual(stateOf(device), brought)
        assert.include(yield* done(device, "status"), "Test contents: 3 of 3 here")

        const amelie = openArgs("amelie.garnier", central.passwordFile("amelie.garnier"))
        const hugo = openArgs("hugo.perrin", central.passwordFile("hugo.perrin"))
        const wrong = central.passwordFile("hugo.perrin")
        const [opened, proctor, stranger, guess] = yield* Effect.all(
          [
            done(device, ...amelie),
            report(device, ...hugo),
            refused(device, "E_LOGIN", openArgs("nobody", wrong)),
            refused(device, "E_LOGIN", openArgs("driss.elamrani", wrong))
          ],
          { concurrency: 2 }
        )
        assert.include(opened, "Amélie Garnier (test-taker of 0123)")
        assert.match(opened, /^Les fractions +now +no +opened: \d+ files/mu)
        assert.notInclude(opened, "Soundscapes")
        assert.include(JSON.stringify(proctor), 'Henri \\"Riton\\"')
        assert.deepStrictEqual(guess, stranger)

        const history = yield* report(device, "history")
        const verbs = JSON.stringify(history.entries).match(/"verb":"[a-z]+"/gu)
        assert.deepStrictEqual(verbs, ['"verb":"sync"', '"verb":"sync"', '"verb":"enrol"'])
        // Central remembers that the device reached a state, after it remembers who enrolled it.
        assert.match(
          yield* done(central.data, "history"),
          / sync +dev_.+ done [\s\S]* enrol +dev_.+ done /u
        )
      }),
    LONG
  )

  it.live(
    "has more than a few things removed only when a person says so",
    () =>
      Effect.gen(function* () {
        const central = yield* school()
        const { device } = central
        yield* serve(central)
        yield* done(device, "sync")
        const { records } = yield* report(central.data, "central", "list", "eligibility")
        const ids = JSON.stringify(records).match(/elg_\w+/gu) ?? []
        assert.lengthOf(ids, 6)
        yield* done(central.data, "central", "remove", ...ids)

        const before = stateOf(device)
        const why = yield* refused(device, "E_CONFIRM_REMOVALS", ["sync"])
        assert.match(why.stderr, /would have \d+ of \d+ entities removed/u)
        const dry = yield* json(device, ["sync", "--dry-run"])
        assert.deepInclude(dry.json.counts, { "test-taker": counts({ deleted: 12 }) })
        const limited = yield* report(device, "sync", "--type", "test-taker")
        assert.deepStrictEqual(limited.counts, {}, "a limited synchronisation takes nothing away")
        assert.deepInclude(stateOf(device), { held: before.held, cursor: before.cursor })
        const agreed = yield* report(device, "sync", "--confirm-removals")
        assert.deepInclude(agreed.counts, { "test-taker": counts({ deleted: 12 }) })
        const again = yield* done(device, "sync")
        assert.strictEqual(again, "Nothing new. Everything is up to date.\n")
      }),
    LONG
  )
})

const counts = (changes: Partial<KindCounts>) => ({ ...NO_COUNTS, ...changes })

const openArgs = (login: string, file: string) => [
  ...["device", "open", "--login", login, "--password-file", file]
]
