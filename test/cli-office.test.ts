/** The people of the office and the devices that wait there, at the command line. */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshFolder } from "./support/database.ts"
import { done, office, refused, report, run, serve } from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = 240_000

describe("the office at the command line", () => {
  it.live(
    "lets people in to its page, lists them, and lets them in no more",
    () =>
      Effect.gen(function* () {
        const central = yield* office()
        const { data } = central
        yield* serve(central)
        const file = join(yield* freshFolder(), "password")
        fs.writeFileSync(file, "right, and long enough\n")
        const add = (login: string, role: string) => [
          ...["central", "accounts", "add", "--login", login, "--role", role],
          ...["--password-file", file]
        ]
        const rosa = yield* report(data, ...add("Rosa", "results-officer"), "--label", "Rosa L")
        assert.deepStrictEqual(rosa, { login: "Rosa", role: "results-officer" })
        yield* done(data, ...add("root", "administrator"))
        yield* refused(data, "E_ACCOUNT_EXISTS", add("ROSA", "administrator"))
        fs.writeFileSync(file, "short\n")
        yield* refused(data, "E_PASSWORD", add("bo", "administrator"))
        assert.strictEqual((yield* run(data, add("bo", "anybody"))).status, 2)
        const list = yield* report(data, "central", "accounts", "list")
        assert.deepStrictEqual(list.accounts, [
          { login: "root", label: "root", role: "administrator" },
          { login: "Rosa", label: "Rosa L", role: "results-officer" }
        ])
        assert.match(yield* done(data, "central", "accounts", "list"), /^Rosa +Rosa L +results-/mu)
        yield* done(data, "central", "accounts", "remove", "rosa")
        yield* refused(data, "E_NO_ACCOUNT", ["central", "accounts", "remove", "rosa"])
        const left = yield* report(data, "central", "accounts", "list")
        assert.deepNestedInclude(left, { "accounts[0].login": "root", "accounts.length": 1 })
      }),
    LONG
  )
})
