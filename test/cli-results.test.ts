/** Results opened as the officer opens them: by processes, on three roads, killed in between. */
import fs from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { KeyId } from "../domain/opening.ts"
import { useResults } from "../entrypoints/results-key-commands.ts"
import { readCentral } from "../entrypoints/settings.ts"
import { layerCentral } from "../entrypoints/wiring.ts"
import { makeResultsKey, readRecipient } from "../infrastructure/results-keys.ts"
import { copyOf } from "./support/prepared.ts"
import { faults } from "./support/qti-results.ts"
import { resultDocument, SECRET_ANSWER, testDevice } from "./support/results.ts"
import { enter, putResult } from "./support/sealed-records.ts"
import { done, json, office, refused, report, run, serve } from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = 240_000
const PRELOAD = pathToFileURL(join(import.meta.dirname, "support/kill-at-sync.mjs")).href
const PASSPHRASE = "correct horse battery staple"

const device = testDevice("school")
const forger = testDevice("forger")

/** Quick to unlock: it protects a test. */
const WORK_FACTOR = 10

const generate = (directory: string, id: string, passphrase: string): ReadonlyArray<string> => [
  ...["keys", "generate-results", "--out", directory, "--id", id],
  ...["--passphrase-file", passphrase]
]

/** A central that knows the public halves of a key and of its recovery; made once per run. */
const withKey = Effect.gen(function* () {
  const central = yield* office()
  const folder = yield* copyOf("office-keys", fillKeys)
  const passphrase = join(folder, "passphrase")
  const keys = join(folder, "keys")
  const halves = { active: half(keys, "r2026"), recovery: half(keys, "r2026-recovery") }
  const directory = central.data
  const known = {
    active: yield* readRecipient(halves.active),
    recovery: yield* readRecipient(halves.recovery)
  }
  yield* useResults
    .run({ ...known, directory })
    .pipe(Effect.provide(layerCentral(directory, yield* readCentral(directory)), { local: true }))
  const recipients = [known.active.recipient, known.recovery.recipient]
  const unlocking = ["--identity", join(keys, "r2026.age"), "--passphrase-file", passphrase]
  return { ...central, folder, keys, passphrase, recipients, unlocking }
})

const half = (keys: string, id: string) => join(keys, `${id}.recipient`)

const fillKeys = Effect.fnUntraced(function* (folder: string) {
  const directory = join(folder, "keys")
  const locked = { directory, passphrase: PASSPHRASE, workFactor: WORK_FACTOR }
  yield* makeResultsKey({ ...locked, id: KeyId.make("r2026"), role: "active" })
  yield* makeResultsKey({ ...locked, id: KeyId.make("r2026-recovery"), role: "recovery" })
  fs.writeFileSync(join(folder, "passphrase"), `${PASSPHRASE}\n`, { mode: 0o600 })
})

/** Opens the database here, puts results from `from` up to `to` into it, and closes it. */
const put = Effect.fnUntraced(function* (
  central: { readonly data: string; readonly recipients: ReadonlyArray<string> },
  from: number,
  to: number
) {
  const { data, recipients } = central
  yield* Effect.gen(function* () {
    yield* enter(device)
    for (let number = from; number < to; number += 1) {
      yield* putResult(device, resultDocument(device, number), { number, recipients })
    }
  }).pipe(Effect.provide(layerCentral(data, yield* readCentral(data)), { local: true }))
})

const counts = (data: string) => {
  const database = new DatabaseSync(join(data, "central.db"), { readOnly: true })
  try {
    const one = (text: string) => Number(Object.values(database.prepare(text).get() ?? {})[0])
    return {
      opened: one("SELECT count(*) FROM opened_results"),
      decrypted: one("SELECT count(*) FROM records WHERE stage = 'decrypted'"),
      stored: one("SELECT count(*) FROM records WHERE kind = 'result' AND stage = 'stored'")
    }
  } finally {
    database.close()
  }
}

/** Files below a folder that show an answer. */
const telling = (folder: string): ReadonlyArray<string> =>
  fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => fs.statSync(join(folder, name)).isFile())
    .filter((name) => fs.readFileSync(join(folder, name)).includes(SECRET_ANSWER))
    .sort()

describe("results decrypt", () => {
  it.live(
    "killed in the middle goes on where it was, and opens each result once",
    () =>
      Effect.gen(function* () {
        const central = yield* withKey
        const results = 12
        yield* put(central, 0, results)
        const decrypt = ["results", "decrypt", "--all", ...central.unlocking]
        const copyTo = (name: string) => {
          const data = join(central.folder, name)
          fs.cpSync(central.data, data, { recursive: true })
          fs.chmodSync(join(data, "keys"), 0o700)
          return data
        }
        const preload = { NODE_OPTIONS: `--import ${PRELOAD}` }
        const whole = yield* run(copyTo("whole"), decrypt, {
          env: { ...preload, COUNT_SYNCS: "1" }
        })
        assert.strictEqual(whole.status, 0, whole.stderr)
        const points = Number(/syncs (\d+)/u.exec(whole.stderr)?.[1])
        const seen = new Set<number>()
        for (const part of [0.4, 0.7]) {
          const data = copyTo(String(part))
          const KILL_AT_SYNC = String(Math.ceil(points * part))
          const killed = yield* run(data, decrypt, { env: { ...preload, KILL_AT_SYNC } })
          assert.strictEqual(killed.status, "SIGKILL")
          const left = counts(data)
          assert.strictEqual(left.opened, left.decrypted, "a batch is kept whole or not at all")
          seen.add(left.opened)
          const again = yield* report(data, ...decrypt)
          assert.nestedPropertyVal(again, "counts.decrypted", results - left.opened)
          assert.deepStrictEqual(counts(data), { opened: results, decrypted: results, stored: 0 })
        }
        assert.isBelow(Math.min(...seen), results, "one was killed before the end")
      }).pipe(Effect.scoped),
    LONG
  )

  it.live(
    "leaves what it can't open with status 3, and nothing readable but where it should be",
    () =>
      Effect.gen(function* () {
        const central = yield* withKey
        const { data, folder, recipients } = central
        yield* put(central, 0, 2)
        yield* Effect.gen(function* () {
          yield* putResult(device, resultDocument(device, 5), {
            number: 5,
            recipients,
            signedBy: forger
          })
        }).pipe(Effect.provide(layerCentral(data, yield* readCentral(data)), { local: true }))

        yield* refused(data, "E_USAGE", ["results", "decrypt", ...central.unlocking], { status: 2 })
        const recipient = join(central.keys, "r2026.recipient")
        yield* refused(data, "E_KEY_LOCKED", [
          ...["results", "decrypt", "--all", "--identity", recipient],
          ...["--passphrase-file", central.passphrase]
        ])
        const waiting = yield* report(data, "results", "decrypt", "--all", "--dry-run")
        assert.deepInclude(waiting, { waiting: 3, dryRun: true })
        const opened = yield* json(data, ["results", "decrypt", "-a", ...central.unlocking])
        assert.strictEqual(opened.status, 3)
        assert.nestedPropertyVal(opened.json, "counts.decrypted", 2)
        assert.nestedPropertyVal(opened.json, "counts.bad-signature", 1)
        assert.nestedPropertyVal(opened.json, "left", 1)
        assert.include(
          yield* done(data, "results", "list", "--state", "undecryptable"),
          "bad-signature"
        )

        const out = join(folder, "out")
        yield* done(data, "results", "export", "--format", "qti", "--to", out)
        for (const name of fs.readdirSync(out)) {
          assert.deepStrictEqual(faults(fs.readFileSync(join(out, name), "utf8"), "2.2"), [])
        }
        assert.strictEqual(telling(out).length, 2)
        assert.deepStrictEqual(
          telling(data).filter((name) => !name.startsWith("central.db")),
          []
        )
        assert.include(yield* done(data, "results", "list", "--state", "exported"), "exported")
        assert.include(fs.readFileSync(join(central.keys, "r2026.age"), "latin1"), "-> scrypt ")
      }).pipe(Effect.scoped),
    LONG
  )

  it.live(
    "works beside the server that owns the database, and over HTTPS, for the key's holder alone",
    () =>
      Effect.gen(function* () {
        const central = yield* withKey
        const { data, fingerprint, folder, unlocking, url } = central
        yield* put(central, 0, 3)
        yield* serve(central)
        const beside = yield* report(data, "results", "decrypt", "--all", ...unlocking)
        assert.nestedPropertyVal(beside, "counts.decrypted", 3)
        const out = join(folder, "lines")
        yield* done(data, "results", "export", "--format", "jsonl", "--to", out)
        assert.deepStrictEqual(telling(out), ["results.jsonl"])

        const credential = yield* report(data, "central", "credentials", "generate", "--results")
        const secret = join(folder, "secret")
        fs.writeFileSync(secret, `${String(credential.secret)}\n`)
        const elsewhere = join(folder, "elsewhere")
        const remote = [
          ...["results", "decrypt", "--all", ...unlocking],
          ...["--from", url, "--fingerprint", fingerprint]
        ]
        const key = `${String(credential.key)}:${secret}`
        const far = yield* report(elsewhere, ...remote, "--credentials", key)
        assert.nestedPropertyVal(far, "counts.decrypted", 0)
        const history = JSON.stringify(yield* report(data, "history"))
        assert.include(history, `"verb":"decrypt","who":"${String(credential.key)}"`)

        // A credential for organisations does not get there.
        const plain = yield* report(
          data,
          "central",
          "credentials",
          "generate",
          "--organisation",
          "0123"
        )
        fs.writeFileSync(secret, `${String(plain.secret)}\n`)
        yield* refused(elsewhere, "E_CENTRAL_REFUSED", [
          ...remote,
          "--credentials",
          `${String(plain.key)}:${secret}`
        ])
        assert.isFalse(fs.existsSync(elsewhere))
      }).pipe(Effect.scoped),
    LONG
  )

  it.live(
    "works from a folder that was carried by hand, and brings the opened ones back",
    () =>
      Effect.gen(function* () {
        const central = yield* withKey
        const { data, folder, unlocking } = central
        yield* put(central, 0, 3)
        const sealed = join(folder, "sealed")
        const opened = join(folder, "opened")
        const elsewhere = join(folder, "elsewhere")
        const packed = yield* report(data, "results", "pack", "--to", sealed)
        assert.deepInclude(packed, { results: 3 })
        const files = fs.readdirSync(sealed).sort()
        fs.writeFileSync(join(sealed, files[2] ?? ""), "{}")

        const decrypt = [
          ...["results", "decrypt", "--all", ...unlocking],
          ...["--from-folder", sealed, "--opened-to", opened]
        ]
        const first = yield* json(elsewhere, decrypt)
        assert.strictEqual(first.status, 3, first.stderr)
        assert.nestedPropertyVal(first.json, "counts.decrypted", 2)
        assert.nestedPropertyVal(first.json, "counts.altered", 1)
        assert.deepStrictEqual(telling(sealed), [])

        // Packed again, only the damaged one is left to do.
        yield* done(data, "results", "pack", "--to", sealed)
        const second = yield* done(elsewhere, ...decrypt)
        assert.include(second, String(packed.words))
        assert.include(second, "1 decrypted.")
        const table = join(folder, "table")
        yield* done(
          elsewhere,
          "results",
          "export",
          "--from-folder",
          opened,
          "--format",
          "csv",
          "--to",
          table
        )
        assert.deepStrictEqual(telling(table), ["variables.csv"])
        assert.isFalse(fs.existsSync(elsewhere))

        // Somebody on the way is kind to a candidate: central sees that the device did not say so.
        const [mended = ""] = fs.readdirSync(opened).filter((name) => name.startsWith("dev_"))
        const text = fs.readFileSync(join(opened, mended), "utf8")
        fs.writeFileSync(join(opened, mended), text.replace('"1.5"', '"9.5"'))
        const back = yield* json(data, ["results", "unpack", opened])
        assert.strictEqual(back.status, 3)
        assert.nestedPropertyVal(back.json, "counts.decrypted", 2)
        assert.nestedPropertyVal(back.json, "counts.bad-signature", 1)
        fs.writeFileSync(join(opened, mended), text)
        const again = yield* json(data, ["results", "unpack", opened])
        assert.nestedPropertyVal(again.json, "counts.decrypted", 1)
        assert.deepStrictEqual(counts(data), { opened: 3, decrypted: 3, stored: 0 })
      }).pipe(Effect.scoped),
    LONG
  )
})

describe("results keys", () => {
  it.live(
    "are replaced year by year, and what was sealed to a retired one opens with it",
    () =>
      Effect.gen(function* () {
        const central = yield* withKey
        const { data, keys, passphrase, recipients } = central
        yield* put(central, 0, 1)
        yield* report(data, ...generate(keys, "r2027", passphrase))
        const newer = join(keys, "r2027.recipient")
        const recovery = join(keys, "r2026-recovery.recipient")
        yield* refused(data, "E_KEY_SAME", [
          ...["central", "keys", "use-results", "--active", newer, "--recovery", newer]
        ])
        yield* done(
          data,
          "central",
          "keys",
          "use-results",
          "--active",
          newer,
          "--recovery",
          recovery
        )
        const list = yield* done(data, "central", "keys", "list")
        assert.match(list, /r2026 +active +retired/u)
        assert.match(list, /r2027 +active +in use/u)
        assert.match(list, /r2026-recovery +recovery +in use/u)
        const { recipient } = yield* readRecipient(newer)
        yield* put({ data, recipients: [recipient, recipients[1] ?? ""] }, 1, 2)

        const with2027 = ["--identity", join(keys, "r2027.age"), "--passphrase-file", passphrase]
        const first = yield* json(data, ["results", "decrypt", "--all", ...with2027])
        assert.strictEqual(first.status, 3)
        assert.nestedPropertyVal(first.json, "counts.wrong-key", 1)
        const both = [...with2027, "--identity", join(keys, "r2026.age")]
        const second = yield* report(data, "results", "decrypt", "--all", ...both)
        assert.nestedPropertyVal(second, "counts.decrypted", 1)
        assert.deepStrictEqual(counts(data), { opened: 2, decrypted: 2, stored: 0 })
        const weak = join(central.folder, "weak")
        fs.writeFileSync(weak, "secret\n")
        yield* refused(data, "E_PASSPHRASE", generate(keys, "r2028", weak))
        assert.isFalse(fs.existsSync(join(keys, "r2028.age")))
      }).pipe(Effect.scoped),
    LONG
  )
})
