/**
 * W5 with its database: results are put into PostgreSQL as devices would have handed them over, then
 * a process opens them, is killed in the middle, and another goes on where it was.
 */
import { fork } from "node:child_process"
import { hash, type KeyObject, randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect, Option, Schema } from "effect"
import { Atomic, Clients } from "../application/ports.ts"
import { Records } from "../application/record-ports.ts"
import { canonical } from "../domain/canonical.ts"
import { NAMESPACE } from "../domain/enrolment.ts"
import { type DeviceId, Digest } from "../domain/id.ts"
import { NO_OUTCOMES, OpeningCounts } from "../domain/opening.ts"
import { initCentral } from "../entrypoints/central-init.ts"
import { readCentral } from "../entrypoints/settings.ts"
import { layerCentral } from "../entrypoints/wiring.ts"
import { FILE_KEY_BYTES, HYBRID_STANZA, wrapHybrid } from "../infrastructure/age-hybrid.ts"
import { PAYLOAD_NONCE_BYTES, payloadKey, sealChunk } from "../infrastructure/age-payload.ts"
import { hkdfSha256, hmacSha256 } from "../infrastructure/hmac-sha256.ts"
import { sign } from "../infrastructure/sshsig.ts"
import { startPostgres } from "../test/support/postgres-cluster.ts"

export interface Sender {
  readonly device: DeviceId
  readonly privateKey: KeyObject
  /** The raw public key in base64. */
  readonly signer: string
  readonly recipients: ReadonlyArray<string>
  readonly key: { readonly identity: string; readonly recipient: string }
  readonly documentText: (number: number) => string
}

const BATCH = 200
/** Results below one header: wrapping file keys is the device's work, and not what is measured. */
const PER_HEADER = 200

export const decryptDatabase = async (sender: Sender, records: number) => {
  const cluster = await startPostgres()
  const directory = mkdtempSync(path.join(tmpdir(), "testferry-w5-"))
  const central = path.join(directory, "central")
  try {
    await Effect.runPromise(put(central, cluster.url, sender, records))
    const half = await openUntil(central, sender, Math.floor(records / 2))
    const rest = await openUntil(central, sender, undefined)
    const seconds = half.seconds + rest.seconds
    const done = half.done + rest.done
    const counts = rest.counts ?? NO_OUTCOMES
    console.log(
      `Testferry with PostgreSQL, kill -9 at ${half.done}: ${records} results in ` +
        `${seconds.toFixed(1)} s, ${(records / seconds).toFixed(0)} results/s, ` +
        `${((half.cpu + rest.cpu) / 1_000 / done).toFixed(2)} ms CPU each beside PostgreSQL's; ` +
        `then ${JSON.stringify(counts)}`
    )
    console.log(`RSS in MiB by results opened: ${[...half.memory, ...rest.memory].join(", ")}`)
    if ((counts.decrypted ?? 0) + half.done < records || (counts.duplicate ?? 0) > 0)
      throw new Error("a result is missing or doubled")
  } finally {
    await cluster.stop()
    rmSync(directory, { recursive: true })
  }
}

const put = Effect.fnUntraced(function* (
  directory: string,
  url: string,
  sender: Sender,
  count: number
) {
  const { device, signer } = sender
  const none = Option.none()
  yield* initCentral({ directory, setup: none, database: Option.some(url), url: none })
  const settings = yield* readCentral(directory)
  yield* Effect.gen(function* () {
    const atomic = yield* Atomic
    const clients = yield* Clients
    const records = yield* Records
    const keys = { sig: signer, auth: signer, enc: "age1bench" }
    const about = { name: device, organisations: [], createdAt: 0, lastSeenAt: null, program: null }
    yield* clients.put({ id: device, kind: "device", state: "active", keys, serial: 1, ...about })
    const seal = sealing(sender)
    for (let from = 0; from < count; from += BATCH) {
      const numbers = Array.from({ length: Math.min(BATCH, count - from) }, (_, at) => from + at)
      const rest = { carrier: "https", at: from, stage: "stored", reason: null } as const
      const news = numbers.map((number) => {
        const body = seal(number)
        const sha256 = Digest.make(hash("sha256", body))
        const id = `ex_${String(number).padStart(20, "0")}`
        const name = { number: number + 1, prev: null, kind: "result", id, revision: 1 } as const
        return {
          record: { ledger: { ...name, sha256 }, body },
          ...rest,
          session: null,
          altered: false
        }
      })
      yield* atomic.run(records.add(device, news))
    }
  }).pipe(Effect.provide(layerCentral(directory, settings)))
})

/** Whole age files, each signed and with a payload key of its own; only headers come again. */
const sealing = ({ documentText, privateKey, recipients }: Sender) => {
  let header: Uint8Array = Buffer.alloc(0)
  let fileKey: Uint8Array = randomBytes(FILE_KEY_BYTES)
  return (number: number): string => {
    if (number % PER_HEADER === 0) {
      fileKey = randomBytes(FILE_KEY_BYTES)
      header = headerOf(recipients, fileKey)
    }
    const text = documentText(number)
    const signatures = [sign(privateKey, NAMESPACE.result, Buffer.from(text))]
    const nonce = randomBytes(PAYLOAD_NONCE_BYTES)
    const plain = Buffer.from(canonical({ text, signatures }))
    const sealed = sealChunk(payloadKey(fileKey, nonce), 0, true, plain)
    return Buffer.concat([header, nonce, sealed]).toString("base64")
  }
}

const headerOf = (recipients: ReadonlyArray<string>, fileKey: Uint8Array): Buffer => {
  const stanzas = recipients.map((recipient) => {
    const { body, share } = wrapHybrid(recipient, fileKey)
    return `-> ${HYBRID_STANZA} ${unpadded(share)}\n${unpadded(body)}\n`
  })
  const signed = Buffer.from(`age-encryption.org/v1\n${stanzas.join("")}---`)
  const mac = hmacSha256(hkdfSha256(fileKey, new Uint8Array(), "header"), signed)
  return Buffer.concat([signed, Buffer.from(` ${unpadded(mac)}\n`)])
}

const unpadded = (bytes: Uint8Array): string =>
  Buffer.from(bytes).toString("base64").replace(/=+$/u, "")

const decodeSaid = Schema.decodeUnknownSync(
  Schema.Union([
    Schema.Struct({ kind: Schema.Literal("ready") }),
    Schema.Struct({
      kind: Schema.Literal("progress"),
      done: Schema.Int,
      rss: Schema.Int,
      cpu: Schema.Int
    }),
    Schema.Struct({ kind: Schema.Literal("ended"), counts: OpeningCounts })
  ])
)

/** How often a run says what memory it has. */
const MEASURES = 4

/** Runs the decrypt process to its end, or kills it when so many are open. */
const openUntil = async (directory: string, { key }: Sender, enough: number | undefined) => {
  const program = path.join(import.meta.dirname, "w5-decrypt.ts")
  const child = fork(program, [directory], { stdio: ["ignore", "inherit", "inherit", "ipc"] })
  const { promise, resolve } = Promise.withResolvers<void>()
  child.once("exit", () => resolve())
  let began = performance.now()
  let last = { done: 0, rss: 0, cpu: 0 }
  let counts: OpeningCounts | undefined
  const memory: Array<string> = []
  let next = 0
  child.on("message", (message) => {
    const said = decodeSaid(message)
    if (said.kind === "ready") {
      began = performance.now()
      child.send(key)
    } else if (said.kind === "ended") counts = said.counts
    else {
      last = said
      if (said.done >= next || (enough !== undefined && said.done >= enough)) {
        memory.push(`${said.done}: ${(said.rss / 2 ** 20).toFixed(0)}`)
        next = said.done + Math.ceil((enough ?? said.done * MEASURES) / MEASURES)
      }
      if (enough !== undefined && said.done >= enough) child.kill("SIGKILL")
    }
  })
  await promise
  memory.push(`${last.done}: ${(last.rss / 2 ** 20).toFixed(0)}`)
  return { ...last, counts, memory, seconds: (performance.now() - began) / 1_000 }
}
