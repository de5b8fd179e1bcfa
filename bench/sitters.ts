/**
 * Measures saving while a whole room sits: `node bench/sitters.ts` lets sixty test-takers write an
 * essay on one device, a process of its own, each saving as the page does, every few seconds. Prints
 * how long the answer to a save takes, which comes when it is on the disk. The folder is below TMPDIR:
 * on a real disk, or it says nothing.
 */
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { parseArgs } from "node:util"
import { Effect } from "effect"
import { DEVICE_DEFAULTS, write } from "../entrypoints/settings.ts"
import { startProgram } from "../test/support/cli.ts"
import { exam, publishFile } from "../test/support/exam.ts"
import { freePort } from "../test/support/free-port.ts"
import * as Office from "../test/support/office.ts"
import { minimal3, zipOf } from "../test/support/qti-files.ts"
import { type Call, logInTo } from "../test/support/tiny-player.ts"
import { HALL, synced } from "../test/support/town.ts"
import { machine } from "./harness.ts"

const { values } = parseArgs({
  options: {
    people: { type: "string", default: "60" },
    seconds: { type: "string", default: "60" },
    every: { type: "string", default: "3" }
  }
})
const people = Number(values.people)
const seconds = Number(values.seconds)
const everyMillis = Number(values.every) * 1_000

const LAUNCHER = path.join(import.meta.dirname, "../testferry")
const ESSAY = `<p>Describe a morning by the river.</p><qti-extended-text-interaction response-identifier="RESPONSE"/>`
/** What somebody types between two saves; the essay is sent whole each time. */
const SENTENCE = "The mist lay on the water when the first boat left the bank. "
const SITS_MILLIS = 100

const logins = Array.from({ length: people }, (_, n) => `sitter${n}`)

/** A device with a test for everybody, as its files lie on the disk. */
const room = Effect.gen(function* () {
  const { device, office, on, root } = yield* exam
  yield* office(
    Office.people(
      "test-taker",
      logins.map((login) => ({ login }))
    )
  )
  const file = path.join(root, "essay.zip")
  yield* Effect.sync(() => fs.writeFileSync(file, zipOf(minimal3(ESSAY))))
  yield* office(publishFile(file, "essay-bench"))
  yield* office(Office.eligible(HALL, "essay-bench", logins))
  yield* on(synced())
  const directory = path.join(root, "room")
  yield* device.reopen(
    Effect.sync(() => fs.cpSync(device.directory, directory, { recursive: true }))
  )
  yield* Effect.sync(() => fs.chmodSync(path.join(directory, "keys"), 0o700))
  yield* write(directory, DEVICE_DEFAULTS)
  return directory
})

const beginAs = Effect.fnUntraced(function* (base: string, login: string) {
  const call = yield* logInTo(base, login, Office.passwordOf(login))
  const { execution } = (yield* call("POST", "/executions", { delivery: "dlv_essay-bench" })).json
  yield* call("POST", `/executions/${execution}/start`)
  const item = `/executions/${execution}/play/items/r1`
  yield* call("GET", `/executions/${execution}/play`)
  yield* call("GET", item)
  return { call, item }
})

/** Saves until the time is over; nobody saves in step with somebody else. */
const keepWriting = Effect.fnUntraced(function* (
  { call, item }: { readonly call: Call; readonly item: string },
  until: number,
  took: Array<number>
) {
  yield* Effect.sleep(Math.random() * everyMillis)
  let text = ""
  for (let seq = 1; performance.now() < until; seq += 1) {
    text += SENTENCE
    const before = performance.now()
    const said = { identifier: "RESPONSE", cardinality: "single", baseType: "string" }
    yield* call("PUT", `${item}/responses`, {
      seq,
      responses: [{ ...said, values: [{ value: text }] }],
      playerState: { choiceOrder: {} },
      valid: true
    })
    const millis = performance.now() - before
    took.push(millis)
    yield* Effect.sleep(Math.max(0, everyMillis * (0.7 + 0.6 * Math.random()) - millis))
  }
})

/** Of a process with all its threads; Linux counts in hundredths of a second. */
const cpuMillis = (pid: number | undefined): number => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10
}

const main = Effect.gen(function* () {
  const directory = yield* room
  const port = yield* freePort
  const server = yield* startProgram(LAUNCHER, [
    ...["--data", directory, "device", "serve", "--port", String(port)]
  ])
  yield* server.says("is ready")
  const base = `http://127.0.0.1:${port}`
  const sitters = yield* Effect.forEach(
    logins,
    (login, n) => Effect.delay(beginAs(base, login), n * SITS_MILLIS),
    { concurrency: "unbounded" }
  )
  const load = os.loadavg()[0]
  const took: Array<number> = []
  const cpuBefore = cpuMillis(server.process.pid)
  const until = performance.now() + seconds * 1_000
  yield* Effect.forEach(sitters, (sitter) => keepWriting(sitter, until, took), {
    concurrency: "unbounded"
  })
  const cpu = (cpuMillis(server.process.pid) - cpuBefore) / took.length
  took.sort((a, b) => a - b)
  const at = (share: number) => Math.round(took[Math.floor(took.length * share)] ?? Number.NaN)
  console.log(JSON.stringify(machine()))
  console.log(
    `${people} people, ${took.length} saves in ${seconds} s, one every ${values.every} s each: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms, longest ${at(1 - 1e-9)} ms; ${cpu.toFixed(1)} ms of the device's processor time each; load ${load?.toFixed(1)} before`
  )
}).pipe(Effect.scoped)

await Effect.runPromise(main)
