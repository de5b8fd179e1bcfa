/**
 * Looks for what must not be there: a test-taker sits on a real device, the result goes home and is
 * opened at the office in another folder. Then files, logs and the memory of the servers are searched
 * for the answers, the password and the keys, in every form in which these may lie there.
 */
import fs from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { logIn } from "../application/log-in.ts"
import { Sessions } from "../application/session-ports.ts"
import { ExecutionId } from "../domain/result.ts"
import { readDevice } from "../entrypoints/settings.ts"
import { layerDevice } from "../entrypoints/wiring.ts"
import * as AgeFile from "../infrastructure/age-file.ts"
import { unlockResultsKey } from "../infrastructure/results-keys.ts"
import type { Started } from "./support/cli.ts"
import { freshFolder } from "./support/database.ts"
import { tokenOf } from "./support/device-files.ts"
import { answer } from "./support/exam.ts"
import { foundBelow, foundIn, foundInMemory, memoryCanBeRead, secret } from "./support/needles.ts"
import { ask } from "./support/runner-client.ts"
import { PASSPHRASE, type Place, type SatSchool, satSchool } from "./support/sat-school.ts"
import { done, start } from "./support/testferry.ts"

/** Processes of a busy machine take their time. */
const LONG = 240_000
const LOGIN = "farid.haddad"
const NAME = "Farid Haddad"
const ANSWERS = ["Wasserfall-Zimtschnecke-71", "la réponse que personne ne doit lire"]
const SCRATCH = "half-written thought of question two"

const collecting = {
  env: {
    NODE_OPTIONS: `--import ${pathToFileURL(join(import.meta.dirname, "support/collect-on-signal.mjs")).href}`
  }
}

/** The heap alone of a program that has just started. */
const SEARCHED_MIN = 20_000_000

/** Carries what is sealed to another folder, opens it there, and says where it lies. */
const openedElsewhere = Effect.fnUntraced(function* ({
  central,
  identity,
  passphraseFile
}: SatSchool) {
  const folder = yield* freshFolder()
  const [sealed, opened] = [join(folder, "sealed"), join(folder, "opened")]
  yield* done(central, "results", "pack", "--to", sealed)
  const keys = ["--identity", identity, "--passphrase-file", passphraseFile]
  const folders = ["--from-folder", sealed, "--opened-to", opened]
  yield* done(join(folder, "none"), "results", "decrypt", "--all", ...keys, ...folders)
  return opened
})

/** Asks a server to give back the memory that nothing names any more, and waits for it. */
const collect = Effect.fnUntraced(function* (server: Started) {
  server.process.kill("SIGUSR2")
  yield* server.says("collected")
})

const memoryOf = (server: Started, secrets: Parameters<typeof foundInMemory>[1]) =>
  foundInMemory(server.process.pid ?? 0, secrets)

/** The session's key, by the password on a copy of the device: nothing else can get at it. */
const sessionKeyOf = Effect.fnUntraced(function* (
  { device }: Place,
  password: string,
  execution: string
) {
  const copy = join(yield* freshFolder(), "device")
  fs.cpSync(device, copy, { recursive: true, filter: (name) => !name.endsWith(".sock") })
  fs.chmodSync(join(copy, "keys"), 0o700)
  return yield* Effect.gen(function* () {
    const { visitor } = yield* logIn(LOGIN, password, ["test-taker"])
    const sessions = yield* Sessions
    const box = Option.getOrThrow(yield* sessions.keyBox(ExecutionId.make(execution)))
    const bytes = yield* AgeFile.open([visitor.identity], Buffer.from(box, "base64"))
    const { key } = JSON.parse(Buffer.from(bytes).toString("utf8"))
    return { key: Buffer.from(String(key), "base64"), identity: visitor.identity }
  }).pipe(Effect.provide(layerDevice(copy, yield* readDevice(copy)), { local: true }))
})

describe("what must stay secret", () => {
  it.live(
    "is in no file, in no log, and not in the memory of who has no business with it",
    () =>
      Effect.gen(function* () {
        const place = yield* satSchool
        const sheet = join(place.central, "passwords.csv")
        const password =
          new RegExp(`^${LOGIN},(.+)$`, "mu").exec(fs.readFileSync(sheet, "utf8"))?.[1] ?? ""
        // The list of passwords is the operator's, who prints it and takes it away.
        fs.rmSync(sheet)
        const log = ["--log-level", "all"]
        const port = ["--port", String(place.port)]
        const central = yield* start(
          place.central,
          [...log, "central", "serve", ...port],
          collecting
        )
        yield* central.says("Certificate SHA-256")
        const device = yield* start(
          place.device,
          [...log, "device", "serve", "--port", "0"],
          collecting
        )
        yield* device.says("is ready")
        const base = /http:\/\/127\.0\.0\.1:\d+/u.exec(device.output.stdout)?.[0] ?? ""

        const said = yield* ask(base, "POST", "/runner/v1/login", {
          body: { login: LOGIN, password }
        })
        const token = said.json.token ?? ""
        const call = (method: string, at: string, body?: unknown) =>
          Effect.map(ask(base, method, `/runner/v1/executions${at}`, { token, body }), (told) => {
            assert.isBelow(told.status, 300, told.text)
            return told.json
          })
        const { execution = "" } = yield* call("POST", "", { delivery: "dlv_fractions" })
        yield* call("POST", `/${execution}/start`)
        for (const [seq, value] of [...ANSWERS, ...ANSWERS].entries()) {
          const { variables } = answer(`item-${seq % 2}`, value, 5)
          const body = { seq, state: { scratch: SCRATCH, value }, variables }
          yield* call("PUT", `/${execution}/saves/item-${seq % 2}`, body)
        }
        const session = yield* sessionKeyOf(place, password, execution)
        const results = yield* unlockResultsKey(place.identity, PASSPHRASE)
        const answers = [...ANSWERS, SCRATCH].map((text, at) => secret(`answer ${at}`, text))
        const keys = [
          secret("password", password),
          secret("key of the session", session.key),
          secret("key of the test-taker", session.identity),
          secret("results key", results.identity),
          secret("passphrase", PASSPHRASE)
        ]
        const people = [secret("name", NAME), secret("login", LOGIN)]
        const tokens = [secret("token", token), secret("access token", tokenOf(place.device))]
        const secrets = [...answers, ...keys]

        // While somebody sits, too: whoever takes the machine away has the disk only.
        assert.deepStrictEqual(foundBelow(place.device, [...secrets, ...people]), [])

        yield* call("POST", `/${execution}/finish`)
        yield* ask(base, "POST", "/runner/v1/logout", { token })
        yield* done(place.device, "sync")
        if (memoryCanBeRead) {
          for (const server of [central, device]) yield* collect(server)
          const inCentral = memoryOf(central, secrets)
          assert.isAbove(inCentral.searched, SEARCHED_MIN)
          assert.deepStrictEqual(inCentral.found, [])
          // Where texts were, they may still lie: nothing overwrites them. The keys' bytes are.
          const { found } = memoryOf(device, keys)
          assert.notInclude(found, "key of the session as it is")
          assert.deepStrictEqual(
            found.filter((one) => /^(?:results key|passphrase)/u.test(one)),
            []
          )
        }

        const opened = yield* openedElsewhere(place)
        assert.lengthOf(
          foundBelow(opened, answers),
          ANSWERS.length,
          "the search finds what is there"
        )
        for (const server of [central, device]) {
          server.process.kill("SIGTERM")
          yield* server.ended
        }
        assert.deepStrictEqual(foundBelow(place.device, [...secrets, ...people]), [])
        assert.deepStrictEqual(foundBelow(place.central, secrets), [])
        for (const { output } of [central, device]) {
          const logs = Buffer.from(output.stdout + output.stderr)
          assert.isAbove(logs.length, 0)
          assert.deepStrictEqual(foundIn(logs, [...secrets, ...people, ...tokens]), [])
        }
      }).pipe(Effect.scoped),
    LONG
  )
})
