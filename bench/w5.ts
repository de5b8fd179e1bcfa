/**
 * Measures opening sealed results: hybrid age files, the device's signature inside, on all cores.
 * `npm run bench -- w5 --records N`: first alone, then out of PostgreSQL and back into it, with a
 * kill -9 in the middle. Beside it the same with the JavaScript library on one thread,
 * and the `age` command once per file where it is installed (X25519: most do not know hybrid yet).
 */
import { spawnSync } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { availableParallelism, loadavg, tmpdir } from "node:os"
import path from "node:path"
import { Effect, Result } from "effect"
import { ResultsOpener } from "../application/record-ports.ts"
import { canonical } from "../domain/canonical.ts"
import { NAMESPACE } from "../domain/enrolment.ts"
import { DeviceId } from "../domain/id.ts"
import { newIdentity, seal } from "../infrastructure/age-file.ts"
import { boxOpener, libraryUnsealer, type SealedBox } from "../infrastructure/open-result.ts"
import * as Opener from "../infrastructure/results-opener.ts"
import { encodeRawKey, rawPublicKey, sign } from "../infrastructure/sshsig.ts"
import { decryptDatabase } from "./w5-database.ts"

const BATCH = 256
/** Different boxes; larger runs open them again. */
const DISTINCT = 1_000
/** Slow ones: enough to see how slow. */
const SOME = 100
/** Opened without a database, before the run with one. */
const ALONE_MAX = 20_000
const DEVICE = DeviceId.make("dev_0123456789abcdef")

export const runW5 = (records: number) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const active = yield* newIdentity("hybrid")
      const recovery = yield* newIdentity("hybrid")
      const { privateKey } = generateKeyPairSync("ed25519")
      const signers = [encodeRawKey(rawPublicKey(privateKey))]
      const recipients = [active.recipient, recovery.recipient]
      const numbers = Array.from({ length: Math.min(records, DISTINCT) }, (_, at) => at)
      const boxes = yield* Effect.forEach(numbers, (number) => {
        const text = documentText(number)
        const signatures = [sign(privateKey, NAMESPACE.result, Buffer.from(text))]
        return Effect.map(
          seal(recipients, Buffer.from(canonical({ text, signatures }))),
          (bytes): SealedBox => ({ box: Buffer.from(bytes).toString("base64"), signers })
        )
      })
      const bytes = boxes.reduce((sum, { box }) => sum + box.length, 0) / boxes.length
      say(`${records} results of ${bytes.toFixed(0)} characters, load ${loadavg()[0]?.toFixed(2)}`)
      yield* onAllCores(active, boxes, Math.min(records, ALONE_MAX))
      yield* Effect.promise(() =>
        decryptDatabase(
          {
            device: DEVICE,
            privateKey,
            signer: signers[0] ?? "",
            recipients,
            key: active,
            documentText
          },
          records
        )
      )
      yield* byLibrary(active, boxes)
      yield* byAge
    })
  )

type Identity = Effect.Success<ReturnType<typeof newIdentity>>

const onAllCores = (identity: Identity, boxes: ReadonlyArray<SealedBox>, records: number) =>
  Effect.gen(function* () {
    const opener = yield* ResultsOpener
    // Workers load their program before they are measured.
    yield* opener.open(boxes.slice(0, BATCH))
    const cpu = process.cpuUsage()
    const began = performance.now()
    let opened = 0
    for (let at = 0; at < records; at += BATCH) {
      const wanted = Array.from(
        { length: Math.min(BATCH, records - at) },
        (_, index) => boxes[(at + index) % boxes.length] ?? { box: "", signers: [] }
      )
      opened += (yield* opener.open(wanted)).filter(Result.isSuccess).length
    }
    if (opened !== records) throw new Error(`only ${opened} of ${records} opened`)
    report(`Testferry, ${availableParallelism()} threads`, records, began, cpu)
  }).pipe(Effect.provide(Opener.layer([{ id: "r", ...identity }])))

const byLibrary = (identity: Identity, boxes: ReadonlyArray<SealedBox>) =>
  Effect.promise(async () => {
    const open = boxOpener([identity], libraryUnsealer([identity]))
    const some = boxes.slice(0, SOME)
    const cpu = process.cpuUsage()
    const began = performance.now()
    for (const box of some) await open(box)
    report("age-encryption, 1 thread", some.length, began, cpu)
  })

const byAge = Effect.gen(function* () {
  if (spawnSync("age", ["--version"]).error !== undefined) return say("age is not installed.")
  const folder = mkdtempSync(path.join(tmpdir(), "testferry-w5-"))
  try {
    const { identity, recipient } = yield* newIdentity("x25519")
    const key = path.join(folder, "key")
    const file = path.join(folder, "file")
    writeFileSync(key, `${identity}\n`, { mode: 0o600 })
    writeFileSync(file, yield* seal([recipient], Buffer.from(documentText(0))))
    const began = performance.now()
    for (let run = 0; run < SOME; run += 1) spawnSync("age", ["-d", "-i", key, file])
    report("age -d in a loop (X25519, no signature)", SOME, began)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

const report = (name: string, results: number, began: number, cpu?: NodeJS.CpuUsage) => {
  const seconds = (performance.now() - began) / 1_000
  const used = cpu === undefined ? undefined : process.cpuUsage(cpu)
  const each = used && ((used.user + used.system) / 1_000 / results).toFixed(2)
  const rss = (process.memoryUsage().rss / 2 ** 20).toFixed(0)
  say(
    `${name.padEnd(40)} ${(results / seconds).toFixed(0).padStart(7)} results/s` +
      `${each === undefined ? "" : `, ${each} ms CPU each, RSS ${rss} MiB`}`
  )
}

const say = (text: string) => console.log(text)

/** A test of ten items: a response and a score each. */
const documentText = (number: number): string =>
  canonical({
    schema: "testferry/result/1",
    device: DEVICE,
    execution: `ex_${String(number).padStart(20, "0")}`,
    revision: 1,
    organisation: "0123",
    testCenter: "ctr_hall",
    eligibility: "elg_one",
    delivery: "dlv_math",
    contentVersion: 1,
    blob: "0".repeat(64),
    testTaker: `usr_${number}`,
    attempt: 1,
    end: "finished",
    startedAt: { wall: 1_790_000_000_000, mono: 1, boot: "b" },
    finishedAt: { wall: 1_790_000_600_000, mono: 600_001, boot: "b" },
    log: { count: 1, head: "1".repeat(64) },
    prevLedger: null,
    recipients: ["r"],
    variables: Array.from({ length: 10 }, (_, item) => ({
      item: `item-${item}`,
      position: item + 1,
      attempt: 1,
      variables: (["response", "outcome"] as const).map((kind) => ({
        kind,
        identifier: kind === "response" ? "RESPONSE" : "SCORE",
        cardinality: "single",
        baseType: kind === "response" ? "identifier" : "float",
        values: [{ value: kind === "response" ? "choice_b" : "1" }],
        at: 1_790_000_500_000 + item
      }))
    }))
  })
