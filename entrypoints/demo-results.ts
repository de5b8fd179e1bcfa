/**
 * The part of the demonstration in which results come home: people sit tests on every machine, what
 * they answered travels sealed by HTTPS and by stick, is opened at the office, and compared.
 */
import path from "node:path"
import { Effect, Redacted, Stream } from "effect"
import { OpenedResults, SealedResults } from "../application/record-ports.ts"
import { sealedHere } from "../application/sealed-results.ts"
import { Recipient } from "../domain/id.ts"
import { ALL_RESULTS, KeyId } from "../domain/opening.ts"
import { makeResultsKey, unlockResultsKey } from "../infrastructure/results-keys.ts"
import { decryptAt } from "./decrypt-command.ts"
import { resultsExport } from "./opening-commands.ts"
import { useResults } from "./results-key-commands.ts"
import { readDevice } from "./settings.ts"
import { type SimulateReport, simulateCommand } from "./simulate-session.ts"
import { layerDevice } from "./wiring.ts"

/** Who sits what where; nothing of it needs a proctor. */
export const SITTINGS = [
  { device: "lycee", login: "amelie.garnier", delivery: "dlv_fractions" },
  { device: "isles", login: "ailsa.rendall", delivery: "dlv_fractions" },
  { device: "isles", login: "jessie.ohara", delivery: "dlv_soundscapes" },
  { device: "refuge", login: "elsa.noel", delivery: "dlv_fractions" }
] as const

/** Quicker to unlock than a real key must be; the passphrase protects a demonstration. */
const WORK_FACTOR = 14
const PASSPHRASE = "a demonstration, nothing more"
const ACTIVE = KeyId.make("demo")
const RECOVERY = KeyId.make("demo-recovery")

type Say = (text: string) => void

/** Makes the keys that open results, and names their public halves in central's root document. */
export const makeKeys = Effect.fn("makeKeys")(function* (directory: string, say: Say) {
  const make = (id: KeyId, role: "active" | "recovery") =>
    makeResultsKey({
      id,
      role,
      directory: path.join(directory, "office-keys"),
      passphrase: PASSPHRASE,
      workFactor: WORK_FACTOR
    }).pipe(
      Effect.orDie,
      Effect.map(({ recipient }) => ({ id, recipient: Recipient.make(recipient) }))
    )
  const active = yield* make(ACTIVE, "active")
  const recovery = yield* make(RECOVERY, "recovery")
  yield* useResults.run({ active, recovery, directory: path.join(directory, "central") })
  say("   results keys: made at the office; central has only what seals, not what opens")
})

/** Sits every test through the runner API of its machine. */
export const sitAll = Effect.fn("sitAll")(function* (
  directory: string,
  passwordOf: (login: string) => string,
  say: Say
) {
  const sat: Array<SimulateReport> = []
  for (const { delivery, device, login } of SITTINGS) {
    const data = path.join(directory, device)
    const report = yield* simulateCommand
      .run({ login, password: Redacted.make(passwordOf(login)), delivery, answers: {} })
      .pipe(Effect.provide(layerDevice(data, yield* readDevice(data))))
    sat.push(report)
    say(
      `   ${login} sits "${report.label}" on ${device}: ${report.answers.length} answers, ${report.stage}`
    )
  }
  return sat
})

/** Opens what came home, exports it, and compares it with what was answered. */
export const openAndCompare = Effect.fn("openAndCompare")(function* (
  directory: string,
  sat: ReadonlyArray<SimulateReport>,
  say: Say
) {
  const identity = path.join(directory, "office-keys", `${ACTIVE}.age`)
  const key = yield* Effect.orDie(unlockResultsKey(identity, PASSPHRASE))
  const decrypted = yield* decryptAt({ keys: [key], filter: ALL_RESULTS, dryRun: false }).pipe(
    Effect.provideServiceEffect(SealedResults, sealedHere("operator"))
  )
  say(`   decrypted: ${decrypted.run?.counts.decrypted ?? 0}, left sealed: ${decrypted.left}`)
  const to = path.join(directory, "exported")
  for (const format of ["csv", "qti"] as const) {
    const { files } = yield* resultsExport.run({
      filter: ALL_RESULTS,
      format,
      qtiVersion: "2.2",
      to
    })
    say(`   exported as ${format}: ${files.length} ${files.length === 1 ? "file" : "files"}`)
  }
  const answered = sat.flatMap(answersOf).sort()
  const cameOut = (yield* openedAnswers).sort()
  const missing = answered.filter((one) => !cameOut.includes(one)).length
  const invented = cameOut.filter((one) => !answered.includes(one)).length
  say(`   answered: ${answered.length} answers on three machines; came out: ${cameOut.length}.`)
  say(
    missing + invented === 0 && answered.length === cameOut.length
      ? "   Every answer is here once, as it was given. Nothing is missing."
      : `   ${missing} are MISSING, ${invented} were never given.`
  )
  return { answered: answered.length, cameOut: cameOut.length, missing, invented }
})

const answersOf = ({ answers, execution }: SimulateReport): ReadonlyArray<string> =>
  answers.map(({ item, response, values }) => JSON.stringify([execution, item, response, values]))

const openedAnswers = Effect.gen(function* () {
  const opened = yield* OpenedResults
  const results = yield* Stream.runCollect(
    opened.list({ delivery: undefined, organisation: undefined })
  )
  return results.flatMap(({ document }) =>
    document.variables.flatMap(({ item, variables }) =>
      variables
        .filter(({ kind }) => kind === "response")
        .map(({ identifier, values }) =>
          JSON.stringify([
            document.execution,
            item,
            identifier,
            values?.map(({ value }) => value) ?? null
          ])
        )
    )
  )
})
