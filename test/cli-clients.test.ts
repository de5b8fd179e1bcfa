/** Devices and credentials as the office manages them, and what that means for the next sync. */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { freshFolder } from "./support/database.ts"
import {
  done,
  enrolArgs,
  enrolled,
  newDevice,
  office,
  refused,
  report,
  serve
} from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = 240_000

const Credential = Schema.Struct({
  key: Schema.String,
  secret: Schema.String,
  tokenUrl: Schema.String
})
const Enrolled = Schema.Struct({
  device: Schema.String,
  organisations: Schema.Array(Schema.String)
})

describe("devices and credentials", () => {
  it.live(
    "reach what they were given, until the office takes it back",
    () =>
      Effect.gen(function* () {
        const central = yield* office()
        const { data } = central
        const server = yield* serve(central)
        const device = yield* enrolled(central, "sync.northern-isles")
        yield* done(device, "sync")
        const both = Schema.decodeUnknownSync(Enrolled)(
          yield* report(device, ...enrolArgs(central))
        )
        assert.sameMembers([...both.organisations], ["0123", "123"])
        const synced = yield* report(device, "sync")
        assert.nestedPropertyVal(synced, "counts.test-center.created", 2)
        assert.match(yield* done(device, "status"), /^123 +\d+ +1 +12 +3 +0\n0123 +\d+ +2 +12 /mu)

        const generate = ["central", "credentials", "generate", "--organisation", "123"]
        const credential = yield* report(data, ...generate, "--name", "Importer")
        const { key, secret, tokenUrl } = Schema.decodeUnknownSync(Credential)(credential)
        assert.strictEqual(tokenUrl, `${central.url}/oauth/token`)
        const file = join(yield* freshFolder(), "secret")
        fs.writeFileSync(file, `${secret}\n`)
        const proof = ["--credentials", `${key}:${file}`, "--fingerprint", central.fingerprint]
        const second = yield* newDevice(central)
        const joined = yield* report(second, "device", "enrol", ...proof)
        assert.deepInclude(joined, { organisations: ["123"] })
        yield* done(data, "central", "credentials", "revoke", key)
        assert.match(
          yield* done(data, "central", "credentials", "list"),
          new RegExp(`^${key} +Importer +123 +revoked `, "mu")
        )
        const gone = yield* refused(second, "E_WRONG_PROOF", ["device", "enrol", ...proof])
        assert.include(gone.stderr, "Check login and password")
        yield* refused(data, "E_NO_CLIENT", ["central", "credentials", "revoke", "cred_unknown"])

        const devices = (...args: ReadonlyArray<string>) =>
          done(data, "central", "devices", ...args)
        assert.strictEqual(yield* devices("block", both.device), `${both.device}: blocked\n`)
        const blocked = yield* refused(device, "E_INVALID_CLIENT", ["sync"])
        assert.include(blocked.stderr, "Ask the office whether this device was blocked or revoked")
        yield* refused(device, "E_DEVICE_BLOCKED", enrolArgs(central))
        yield* devices("unblock", both.device)
        assert.include(yield* done(device, "sync"), "Nothing new.")
        yield* devices("rename", both.device, "Library, 2nd floor")
        assert.strictEqual(yield* devices("revoke", both.device), `${both.device}: revoked\n`)
        yield* refused(device, "E_INVALID_CLIENT", ["sync"])
        assert.match(
          yield* devices("list"),
          new RegExp(`^${both.device} +Library, 2nd floor +.*123.* +revoked +20`, "mu")
        )
        for (const word of [secret, "Importer", "Library", "Room 12"]) {
          assert.notInclude(server.output.stderr, word)
        }
      }),
    LONG
  )
})
