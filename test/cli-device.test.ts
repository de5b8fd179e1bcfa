/** A device's command line, as a school's IT person meets it: real processes against a real central. */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type KindCounts, NO_COUNTS } from "../domain/history.ts"
import { freshFolder } from "./support/database.ts"
import {
  done,
  enrolArgs,
  enrolled,
  json,
  newDevice,
  office,
  refused,
  report,
  serve
} from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = 240_000

describe("a device", () => {
  it.live(
    "goes from nothing to what each login may read, and lets nobody else in",
    () =>
      Effect.gen(function* () {
        const central = yield* office()
        const server = yield* serve(central)
        const device = yield* newDevice(central)
        const before = yield* refused(device, "E_NOT_ENROLLED", ["sync"])
        assert.include(before.stderr, "testferry device enrol")
        assert.include(yield* done(device, "status"), "This device is not enrolled yet.")

        const args = enrolArgs(central)
        const other = central.fingerprint.replaceAll("A", "B").replaceAll("1", "2")
        const wrong = yield* refused(device, "E_FINGERPRINT", [...args.slice(0, -1), other])
        assert.include(wrong.stderr, central.fingerprint)
        assert.strictEqual(server.output.stderr, "", "nothing was asked of another's server")

        const file = join(yield* freshFolder(), "password")
        fs.writeFileSync(file, "not the password\n")
        const says = Effect.fnUntraced(function* (login: string) {
          const proof = ["--login", login, "--password-file", file]
          const trust = ["--fingerprint", central.fingerprint]
          return yield* refused(device, "E_WRONG_PROOF", ["device", "enrol", ...proof, ...trust])
        })
        const guessed = yield* says("sync.northern-isles")
        assert.deepStrictEqual(yield* says("nobody"), guessed)
        assert.include(guessed.stderr, "Check login and password")

        const enrolment = yield* report(device, ...args)
        assert.deepInclude(enrolment, { organisations: ["0123"] })
        const dry = yield* report(device, "sync", "--dry-run")
        assert.deepInclude(dry.counts, { delivery: counts({ created: 3 }) })
        assert.include(yield* done(device, "status"), "Never synchronised.")

        const some = yield* report(device, "sync", "--type", "test-center")
        assert.hasAllKeys(some.counts, ["organisation", "test-center", "administrator", "proctor"])
        const first = yield* done(device, "sync")
        assert.match(first, /^delivery +3 +0 +0 +0$/mu)
        assert.match(first, /^3 test contents fetched \(.+\)\nEverything is up to date\.\n$/mu)
        const second = yield* done(device, "sync")
        assert.strictEqual(second, "Nothing new. Everything is up to date.\n")
        assert.include(yield* done(device, "status"), "Test contents: 3 of 3 here")

        const amelie = openArgs("amelie.garnier", central.passwordFile("amelie.garnier"))
        const opened = yield* done(device, ...amelie)
        assert.include(opened, "Amélie Garnier (test-taker of 0123)")
        assert.match(opened, /^Les fractions +now +no +opened: \d+ files/mu)
        assert.notInclude(opened, "Soundscapes")
        const proctor = openArgs("hugo.perrin", central.passwordFile("hugo.perrin"))
        assert.include(JSON.stringify(yield* report(device, ...proctor)), 'Henri \\"Riton\\"')
        const stranger = yield* refused(device, "E_LOGIN", openArgs("nobody", file))
        const guess = yield* refused(device, "E_LOGIN", openArgs("driss.elamrani", file))
        assert.deepStrictEqual(guess, stranger)

        const history = yield* report(device, "history")
        const verbs = JSON.stringify(history.entries).match(/"verb":"[a-z]+"/gu)
        assert.deepStrictEqual(verbs, ['"verb":"sync"', '"verb":"sync"', '"verb":"enrol"'])
        // Central remembers that the device reached a state, after it remembers who enrolled it.
        assert.match(yield* done(central.data, "history"), / sync +done [\s\S]* enrol +done /u)

        const log = server.output.stderr
        for (const line of log.trim().split("\n")) {
          assert.deepInclude(JSON.parse(line), { level: "INFO", message: "answered" })
        }
        const secrets = [
          ...["sync.fleuves", "nobody", "amelie", "0123", "Room 12", "Fleuves", "fractions"],
          ...[central.passwordOf("sync.fleuves"), "not the password", "eyJ", "dlv_", "AGE-"]
        ]
        for (const secret of secrets) assert.notInclude(log, secret)
      }),
    LONG
  )

  it.live(
    "has more than a few things removed only when a person says so",
    () =>
      Effect.gen(function* () {
        const central = yield* office()
        yield* serve(central)
        const device = yield* enrolled(central)
        yield* done(device, "sync")
        const { records } = yield* report(central.data, "central", "list", "eligibility")
        const ids = JSON.stringify(records).match(/elg_\w+/gu) ?? []
        assert.lengthOf(ids, 6)
        yield* done(central.data, "central", "remove", ...ids)

        const before = yield* report(device, "status")
        const why = yield* refused(device, "E_CONFIRM_REMOVALS", ["sync"])
        assert.match(why.stderr, /would have \d+ of \d+ entities removed/u)
        const dry = yield* json(device, ["sync", "--dry-run"])
        assert.deepInclude(dry.json.counts, { "test-taker": counts({ deleted: 12 }) })
        const after = yield* report(device, "status")
        assert.deepStrictEqual(after.organisations, before.organisations)
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
