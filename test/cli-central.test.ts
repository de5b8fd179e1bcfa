/** Central's command line, as an operator meets it: real processes on a real data directory. */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshFolder } from "./support/database.ts"
import { COST } from "./support/real-central.ts"
import {
  DEMO,
  done,
  filesOf,
  json,
  office,
  refused,
  report,
  run,
  serve,
  start
} from "./support/testferry.ts"

const csv = (name: string) => join(DEMO, "csv", `${name}.csv`)
const zip = (name: string) => join(DEMO, "packages", `${name}.zip`)

const USERS = "label,login,interface language,password\n"

/** Processes of a busy machine take their time. */
const LONG = 240_000

describe.concurrent("central init", () => {
  it.live(
    "sets up from one file, says what is wrong with it, and never changes a key",
    () =>
      Effect.gen(function* () {
        const folder = yield* freshFolder()
        const data = join(folder, "central")
        const setup = join(folder, "setup.json")
        const settings = {
          "super-user": { login: "admin", password: "a long enough password", lastname: "Ada" },
          configuration: {
            global: { url: "https://central.example:8443/", timezone: "Europe/Paris" },
            testferry: { passwordCost: COST }
          }
        }
        fs.writeFileSync(setup, JSON.stringify({ ...settings, "super-users": {} }))
        const wrong = yield* refused(data, "E_SETUP", ["central", "init", "--setup", setup], {
          status: 2
        })
        assert.include(wrong.stderr, "super-users")
        assert.isFalse(fs.existsSync(join(data, "central.json")))

        fs.writeFileSync(setup, JSON.stringify(settings))
        const first = yield* report(data, "central", "init", "--setup", setup)
        assert.deepInclude(first, {
          created: true,
          url: "https://central.example:8443",
          database: "embedded",
          administrator: "admin"
        })
        const keys = filesOf(join(data, "keys"))
        assert.includeMembers(Object.keys(keys), ["root.pem", "vault.age", "tls.key"])
        const again = yield* report(data, "central", "init", "--setup", setup)
        assert.deepInclude(again, { ...first, created: false })
        const changed = yield* done(data, "central", "init", "--url", "https://other.example")
        assert.include(changed, "https://other.example")
        assert.deepStrictEqual(filesOf(join(data, "keys")), keys)

        const elsewhere = ["central", "init", "--database", "postgres://x/y"]
        yield* Effect.all(
          [
            refused(data, "E_OTHER_SIDE", ["device", "init", "--root-url", "https://x.example"]),
            refused(data, "E_NOT_SET_UP", ["status"]),
            refused(data, "E_DATABASE_CHANGED", elsewhere),
            refused(join(folder, "nothing"), "E_NOT_SET_UP", ["central", "devices", "list"])
          ],
          { concurrency: 2, discard: true }
        )
        assert.isFalse(fs.existsSync(join(folder, "nothing")))
      }),
    LONG
  )
})

describe.concurrent("central's catalogue", () => {
  it.live(
    "comes in by file, whole or not at all, and says what it did",
    () =>
      Effect.gen(function* () {
        const { data } = yield* office()
        const folder = yield* freshFolder()
        const people = join(folder, "people.csv")
        const importPeople = ["central", "import", "users", people, "--type", "test-taker"]
        fs.writeFileSync(people, `${USERS}Nadia,nadia.okonkwo,fr-FR,\nBroken,,fr-FR,\n`)

        const rows = yield* refused(data, "E_IMPORT_ROWS", importPeople)
        assert.include(rows.json.refused?.why, 'line 3, column "login"')
        yield* refused(data, "E_PASSWORDS_OUT", [...importPeople, "--keep-going"])
        const out = join(folder, "out.csv")
        const kept = yield* json(data, [...importPeople, "--keep-going", "--passwords-out", out])
        assert.deepStrictEqual([kept.status, kept.json.applied], [3, true])
        assert.match(fs.readFileSync(out, "utf8"), /^login,password\nnadia\.okonkwo,.{8,}\n$/u)
        assert.strictEqual(fs.statSync(out).mode & 0o777, 0o600)

        fs.writeFileSync(people, `${USERS}Osei,osei,fr-FR,\n`)
        const dry = yield* done(data, ...importPeople, "--dry-run")
        assert.match(dry, /^1 created, .*\nNothing was changed/u)
        const logins = (yield* report(data, "central", "list", "test-taker")).records
        assert.notInclude(JSON.stringify(logins), "osei")
        assert.include(JSON.stringify(logins), "nadia.okonkwo")

        const same = yield* done(data, "central", "import", "test-centers", csv("test-centers"))
        assert.strictEqual(same, "0 created, 0 updated, 3 unchanged, 0 refused\n")
        const seats = yield* report(
          data,
          "central",
          "import",
          "eligibilities",
          csv("eligibilities")
        )
        assert.deepInclude(seats, { applied: true, offered: 0 })
      }),
    LONG
  )

  it.live(
    "takes packages that can be played, and leaves all as it was for others",
    () =>
      Effect.gen(function* () {
        const { data } = yield* office()
        const folder = yield* freshFolder()
        const bad = join(folder, "bad.zip")
        fs.writeFileSync(bad, fs.readFileSync(zip("rivers-qti30")).subarray(0, 100_000))
        const before = yield* report(data, "central", "list", "delivery")
        const blobs = filesOf(join(data, "blobs"))
        const why = yield* refused(data, "E_PACKAGE", ["central", "publish", bad, "--id", "rivers"])
        assert.include(why.stderr, "bad.zip was not published; nothing was changed")
        assert.deepStrictEqual(yield* report(data, "central", "list", "delivery"), before)
        assert.deepStrictEqual(filesOf(join(data, "blobs")), blobs)

        const next = yield* done(
          data,
          ...["central", "publish", zip("fractions-revised-qti22"), "--id", "fractions"]
        )
        assert.include(next, "as dlv_fractions: QTI 3.0 made from 2.2, 4 items, content version 2")
        yield* refused(data, "E_STILL_NAMED", ["central", "remove", "dlv_rivers"])
        const fresh = yield* report(
          data,
          "central",
          "publish",
          zip("rivers-qti30"),
          "--id",
          "extra"
        )
        assert.deepInclude(fresh, { id: "dlv_extra", version: 1, applied: true, offered: 0 })
        assert.strictEqual(yield* done(data, "central", "remove", "dlv_extra"), "1 removed.\n")
        const history = yield* done(data, "history", "--limit", "3")
        assert.match(history, /removed 1\n.*dlv_extra content version 1\n.*dlv_fractions .* 2\n$/u)
      }),
    LONG
  )

  it.live(
    "refuses arguments that mean nothing, in words and with status 1 or 2",
    () =>
      Effect.gen(function* () {
        const { data } = yield* office()
        const rivers = zip("rivers-qti30")
        const senseless = [
          ["publish", rivers, "--id", "with\nbreak"],
          ["publish", rivers, "--max-executions", "0"],
          ["publish", rivers, "--from", "2026-11-22T08:00:00Z", "--to", "2026-11-21T08:00:00Z"],
          ["remove", "nonsense"],
          ["credentials", "generate", "--organisation", ""],
          ["devices", "rename", "dev_unknown00", "Library"]
        ]
        const refuse = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
          const answered = yield* json(data, ["central", ...args])
          assert.include([1, 2], answered.status, args.join(" "))
          assert.notInclude(
            ["E_UNEXPECTED", undefined],
            answered.json.refused?.code,
            args.join(" ")
          )
        })
        yield* Effect.forEach(senseless, refuse, { concurrency: 2, discard: true })
        const usage = yield* json(data, ["central", "import", "users", csv("proctors")])
        assert.deepStrictEqual([usage.status, usage.json.refused?.code], [2, "E_USAGE"])
        assert.include(usage.stderr, "--type")
        assert.isFalse(fs.existsSync(join(data, "crash.log")))
      }),
    LONG
  )
})

describe.concurrent("a central that is served", () => {
  it.live(
    "owns its directory, and does what commands ask it to, until it is killed",
    () =>
      Effect.gen(function* () {
        const central = yield* office()
        const { data } = central
        const server = yield* serve(central)
        const publish = ["central", "publish", "rivers-qti30.zip", "--id", "rivers"]
        // The path is the caller's, not the server's.
        const said = yield* run(data, publish, { cwd: join(DEMO, "packages") })
        assert.include(said.stdout, "(the content is as before)", said.stderr)
        const seats = yield* report(
          data,
          "central",
          "import",
          "eligibilities",
          csv("eligibilities")
        )
        assert.deepInclude(seats, { applied: true })
        yield* refused(data, "E_PACKAGE", ["central", "publish", csv("proctors")])
        const second = yield* run(data, ["central", "serve", "--port", "0"])
        assert.deepStrictEqual([second.status, second.stdout], [1, ""])
        assert.include(second.stderr, "Another testferry program is working in")

        server.process.kill("SIGKILL")
        yield* server.ended
        const after = yield* report(data, "history", "--limit", "1")
        assert.include(JSON.stringify(after.entries), '"verb":"import"')
        yield* Effect.scoped(serve(central))
        const stopped = yield* start(data, ["central", "serve", "--port", "0"])
        yield* stopped.says("Central listens")
        stopped.process.kill("SIGTERM")
        assert.strictEqual((yield* stopped.ended).status, 130)
      }),
    LONG
  )
})
