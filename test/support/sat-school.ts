/**
 * A school after an exam: test-takers have sat a test on the device, and nothing has gone home yet.
 * Nobody owns the two data directories, so that they can be copied.
 */
import fs from "node:fs"
import { join } from "node:path"
import { Effect, Redacted } from "effect"
import { Recipient } from "../../domain/id.ts"
import { KeyId } from "../../domain/opening.ts"
import { useResults } from "../../entrypoints/results-key-commands.ts"
import { readCentral, readDevice, write } from "../../entrypoints/settings.ts"
import { simulateCommand } from "../../entrypoints/simulate-session.ts"
import { layerCentral, layerDevice } from "../../entrypoints/wiring.ts"
import { makeResultsKey } from "../../infrastructure/results-keys.ts"
import { freshFolder } from "./database.ts"
import { freePort } from "./free-port.ts"
import { copyOf } from "./prepared.ts"
import { done, school, serve } from "./testferry.ts"

export const PASSPHRASE = "correct horse battery staple"
/** Quick to unlock: it protects a test. */
const WORK_FACTOR = 10
/** May sit without a proctor, at the school that `sync.fleuves` enrols. */
const SITTING = ["amelie.garnier", "bastien.lemoine", "driss.elamrani", "elsa.noel"]
/** So that there is more than one batch. */
const CHUNK = 5

export interface Place {
  readonly central: string
  readonly device: string
  readonly port: number
}

export interface SatSchool extends Place {
  /** The locked key that opens the results, and the file with its passphrase. */
  readonly identity: string
  readonly passphraseFile: string
}

/** Made once per run and copied. */
export const satSchool = Effect.gen(function* () {
  const folder = yield* copyOf("sat-school", fill)
  const place = yield* moved(join(folder, "central"), join(folder, "device"))
  return {
    ...place,
    identity: join(folder, "office", "r1.age"),
    passphraseFile: join(folder, "office", "passphrase")
  } satisfies SatSchool
})

/** A copy of both sides, at an address of its own. */
export const copyPlace = Effect.fnUntraced(function* (original: Place) {
  const folder = yield* freshFolder()
  for (const side of ["central", "device"] as const) {
    fs.cpSync(original[side], join(folder, side), { recursive: true })
    fs.chmodSync(join(folder, side, "keys"), 0o700)
  }
  return yield* moved(join(folder, "central"), join(folder, "device"))
})

const moved = Effect.fnUntraced(function* (central: string, device: string) {
  const port = yield* freePort
  const url = `https://127.0.0.1:${port}`
  yield* write(central, { ...(yield* readCentral(central)), url })
  yield* write(device, { ...(yield* readDevice(device)), rootUrl: url })
  return { central, device, port } satisfies Place
})

const fill = Effect.fnUntraced(function* (folder: string) {
  const { data, device, passwordOf, port } = yield* school()
  yield* nameKeys(data, join(folder, "office"))
  const server = yield* serve({ data, port })
  yield* done(device, "sync")
  server.process.kill("SIGTERM")
  yield* server.ended
  const rules = { deleteAfterSend: true, chunkSize: CHUNK }
  yield* write(device, { ...(yield* readDevice(device)), ...rules })
  yield* Effect.forEach(SITTING, (login) =>
    simulateCommand.run({
      login,
      password: Redacted.make(passwordOf(login)),
      delivery: "dlv_fractions",
      answers: {}
    })
  ).pipe(Effect.provide(layerDevice(device, yield* readDevice(device)), { local: true }))
  fs.cpSync(data, join(folder, "central"), { recursive: true })
  fs.cpSync(device, join(folder, "device"), { recursive: true })
})

const nameKeys = Effect.fnUntraced(function* (data: string, office: string) {
  const make = (id: string, role: "active" | "recovery") =>
    makeResultsKey({
      id: KeyId.make(id),
      role,
      directory: office,
      passphrase: PASSPHRASE,
      workFactor: WORK_FACTOR
    }).pipe(
      Effect.map(({ recipient }) => ({ id: KeyId.make(id), recipient: Recipient.make(recipient) }))
    )
  const halves = { active: yield* make("r1", "active"), recovery: yield* make("x1", "recovery") }
  fs.writeFileSync(join(office, "passphrase"), `${PASSPHRASE}\n`, { mode: 0o600 })
  yield* useResults
    .run({ ...halves, directory: data })
    .pipe(Effect.provide(layerCentral(data, yield* readCentral(data)), { local: true }))
})
