/** Devices and credentials as the office manages them, and what that means for the next sync. */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { freshFolder } from "./support/database.ts"
import { tokenOf } from "./support/device-files.ts"
import {
  DEMO,
  done,
  enrolArgs,
  newDevice,
  type Office,
  refused,
  report,
  school,
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
        const central = yield* school()
        const { data, device } = central
        const server = yield* serve(central)
        yield* done(device, "sync")
        const both = Schema.decodeUnknownSync(Enrolled)(
          yield* report(device, ...enrolArgs(central, "sync.northern-isles"))
        )
        assert.sameMembers([...both.organisations], ["0123", "123"])
        const synced = yield* report(device, "sync")
        assert.nestedPropertyVal(synced, "counts.test-center.created", 1)
        assert.match(yield* done(device, "status"), /^0123 +\d+ +2 +12 +3 +0\n123 +\d+ +1 +12 /mu)

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
        const revoked = yield* refused(device, "E_DEVICE_REVOKED", ["sync"])
        assert.include(revoked.stderr, "The central office revoked")
        assert.match(
          yield* devices("list"),
          new RegExp(`^${both.device} +Library, 2nd floor +.*123.* +revoked +20`, "mu")
        )

        const log = server.output.stderr
        for (const line of log.trim().split("\n")) {
          assert.containsAllKeys(JSON.parse(line), ["level", "message", "timestamp"])
        }
        assert.include(log, '"route":"/api/v1/enrolments"')
        const token = tokenOf(device)
        assert.match(token, /^eyJ/u)
        const known = [secret, token, key, "eyJ", "AGE-", "Importer", "Library", "Room 12"]
        assert.deepStrictEqual(
          [...known, ...wordsOf(central)].filter((word) => log.includes(word)),
          []
        )
      }),
    LONG
  )
})

/** Everybody's names, logins, addresses and passwords, and what tests and places are called. */
const wordsOf = ({ data }: Pick<Office, "data">): ReadonlyArray<string> => {
  const folder = join(DEMO, "csv")
  const sheets = [
    ...fs.readdirSync(folder).map((name) => join(folder, name)),
    join(data, "passwords.csv")
  ]
  const cells = sheets.flatMap((file) =>
    fs
      .readFileSync(file, "utf8")
      .split("\n")
      .slice(1)
      .join("\n")
      .split(/["\n,;|]+/u)
  )
  const words = cells
    .map((cell) => cell.trim())
    .filter((cell) => cell.length >= SHORTEST && /\p{L}/u.test(cell))
  assert.isAbove(words.length, 100)
  return [...new Set(words)].filter((word) => !COMMON.has(word))
}
/** Shorter words, and numbers, are found in anything. */
const SHORTEST = 4
/** Languages, and what is not of one person or place. */
const COMMON: ReadonlySet<string> = new Set(["fr-FR", "en-GB"])
