/** Several central processes on one PostgreSQL database, as behind a balancer. */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import postgres from "postgres"
import { initCentral } from "../entrypoints/central-init.ts"
import { readCentral, write } from "../entrypoints/settings.ts"
import { freshFolder, freshPostgres } from "./support/database.ts"
import { freePort } from "./support/free-port.ts"
import { heldLine } from "./support/held-line.ts"
import * as Real from "./support/real-central.ts"
import { done, filesOf, json, newDevice, refused, report, serve } from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = 240_000

const MANAGER = ["sync.it", "Sync IT", "en-US", "a long enough password", "0123"]

/** Sets up a central on the database, with the smallest catalogue that a device can fetch. */
const settle = Effect.fnUntraced(function* (data: string, database: string, url: string) {
  const init = { directory: data, database: Option.some(database), url: Option.some(url) }
  const { certificate } = yield* initCentral({ ...init, setup: Option.none() })
  yield* write(data, { ...(yield* readCentral(data)), passwordCost: Real.COST })
  yield* Effect.gen(function* () {
    yield* Real.importUsers("sync-manager", [MANAGER])
    yield* Real.importCenters([["Main hall", "0123"]])
  }).pipe(Effect.provide(Real.openCentral(data, database), { local: true }))
  return certificate
})

const rowsOf = (url: string, text: string) =>
  Effect.promise(async () => {
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    try {
      return (await sql.unsafe(text)).map((row) => Object.values(row).join())
    } finally {
      await sql.end()
    }
  })

describe("centrals on one PostgreSQL", () => {
  it.live(
    "are one central: tokens of one are valid at the others, and revoking counts at once at all",
    () =>
      Effect.gen(function* () {
        const line = yield* heldLine
        const folder = yield* freshFolder()
        const data = join(folder, "central")
        const fingerprint = yield* settle(data, yield* freshPostgres(), line.url)
        // Another machine of the same central: the same settings, keys and contents.
        const elsewhere = join(folder, "elsewhere")
        fs.cpSync(data, elsewhere, { recursive: true })
        fs.chmodSync(join(elsewhere, "keys"), 0o700)
        const ports = [yield* freePort, yield* freePort, yield* freePort] as const
        const first = yield* serve({ data, port: ports[0] })
        const [second, third] = yield* Effect.all(
          [serve({ data, port: ports[1] }), serve({ data: elsewhere, port: ports[2] })],
          { concurrency: 2 }
        )
        const servers = [first, second, third]
        const tokens = () =>
          servers.map(({ output }) => output.stderr.split('"route":"/oauth/token"').length - 1)

        const device = yield* newDevice(line)
        const password = join(folder, "password")
        fs.writeFileSync(password, `${MANAGER[3]}\n`)
        const proof = ["--login", "sync.it", "--password-file", password]
        line.lead(ports[0])
        yield* done(device, "device", "enrol", ...proof, "--fingerprint", fingerprint)
        line.lead(ports[1])
        assert.include(yield* done(device, "sync"), "Everything is up to date.")
        assert.deepStrictEqual(tokens(), [0, 1, 0])
        line.lead(ports[2])
        const kept = yield* report(device, "sync")
        assert.deepInclude(kept, { outcome: "unchanged" })
        // A connection each time to another one, in the middle of a synchronisation too.
        line.lead(...ports)
        const { device: id } = yield* report(device, "status")
        assert.deepInclude(yield* report(device, "sync"), { outcome: "unchanged" })
        assert.deepStrictEqual(tokens(), [0, 1, 0], "a token of the second is valid everywhere")

        // Said at one machine, true at all of them.
        yield* done(elsewhere, "central", "devices", "block", String(id))
        for (const port of ports) {
          line.lead(port)
          yield* refused(device, "E_INVALID_CLIENT", ["sync"])
        }
        yield* done(data, "central", "devices", "unblock", String(id))
        assert.include(yield* done(device, "sync"), "Nothing new.")
      }),
    LONG
  )

  it.live(
    "set up at the same moment have one set of keys: the other is told whose database it is",
    () =>
      Effect.gen(function* () {
        const folder = yield* freshFolder()
        const database = yield* freshPostgres()
        const places = [join(folder, "a"), join(folder, "b")] as const
        const init = ["central", "init", "--url", "https://central.example", "--database", database]
        const both = yield* Effect.forEach(places, (data) => json(data, init), { concurrency: 2 })
        const won = both.findIndex(({ status }) => status === 0)
        const [winner, loser] = won === 0 ? places : ([places[1], places[0]] as const)
        assert.deepStrictEqual(
          both.map(({ json: { refused } }) => refused?.code).sort(),
          ["E_OTHER_KEYS", undefined],
          both.map(({ stderr }) => stderr).join("\n")
        )
        const why = yield* refused(loser, "E_OTHER_KEYS", ["central", "devices", "list"])
        assert.include(why.stderr, "keys")
        const applied = yield* rowsOf(database, "SELECT migration_id FROM migrations ORDER BY 1")
        assert.deepStrictEqual(applied, [...new Set(applied)])
        assert.lengthOf(
          yield* rowsOf(database, "SELECT name FROM settings WHERE name LIKE 'root.%'"),
          1
        )

        fs.rmSync(join(loser, "keys"), { recursive: true })
        fs.cpSync(join(winner, "keys"), join(loser, "keys"), { recursive: true })
        fs.chmodSync(join(loser, "keys"), 0o700)
        const again = yield* Effect.forEach(places, (data) => report(data, ...init), {
          concurrency: 2
        })
        assert.strictEqual(again[0]?.rootWords, again[1]?.rootWords)
        const keys = (data: string) => {
          const { "tls.key": _, ...files } = filesOf(join(data, "keys"))
          return files
        }
        assert.deepStrictEqual(keys(loser), keys(winner))
      }),
    LONG
  )

  it.live(
    "set up twice at once in one folder are set up once",
    () =>
      Effect.gen(function* () {
        const data = join(yield* freshFolder(), "central")
        const database = yield* freshPostgres()
        const init = ["central", "init", "--url", "https://central.example", "--database", database]
        const both = yield* Effect.all([json(data, init), json(data, init)], { concurrency: 2 })
        const codes = both.map(({ json: { refused } }) => refused?.code ?? "done")
        assert.include(["done,done", "E_DATA_BUSY,done"], codes.sort().join())
        assert.lengthOf(
          both.filter(({ json: { created } }) => created === true),
          1
        )
      }),
    LONG
  )
})
