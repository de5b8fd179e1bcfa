/**
 * Plays the devices of W4: each hands its results over in batches over a connection of its own, asks
 * again when the answer was lost or central was killed, and believes a receipt only for its bytes.
 */
import { createHash, randomBytes } from "node:crypto"
import { Effect, Schedule, Schema } from "effect"
import { Central } from "../application/ports.ts"
import { DeviceId, Digest } from "../domain/id.ts"
import type { HomeRecord, Submission } from "../domain/result.ts"
import { RecordsReceipt } from "../domain/result.ts"
import * as Age from "../infrastructure/age-file.ts"
import * as HttpCentral from "../infrastructure/http-central.ts"

export const deviceOf = (at: number): DeviceId =>
  DeviceId.make(`dev_bench${String(at).padStart(5, "0")}`)

export interface Crowd {
  readonly baseUrl: string
  readonly fingerprint: string
  /** One token per device. */
  readonly tokens: ReadonlyArray<string>
  readonly each: number
  readonly size: number
  readonly batch: number
  /** How many of a hundred answers are lost on the way. */
  readonly lost: number
}

/** What the devices saw; `again`: batches that had to be sent once more. */
export interface Handed {
  readonly digests: ReadonlyMap<DeviceId, ReadonlySet<Digest>>
  readonly again: number
}

/** Lets every device hand over all its results. `onKept` hears how many more were received. */
export const handOver = (crowd: Crowd, onKept: (records: number) => void) =>
  Effect.gen(function* () {
    const template = yield* Age.seal(
      [(yield* Age.newIdentity("hybrid")).recipient],
      new Uint8Array()
    )
    const prefix = makePrefix(template, crowd.size)
    const digests = new Map<DeviceId, Set<Digest>>()
    let again = 0
    yield* Effect.forEach(
      crowd.tokens,
      Effect.fnUntraced(function* (token, at) {
        const device = deviceOf(at)
        const mine = new Set<Digest>()
        digests.set(device, mine)
        const central = yield* Central.pipe(Effect.provide(reach(crowd, device, token)))
        for (let from = 0; from < crowd.each; from += crowd.batch) {
          const until = Math.min(crowd.each, from + crowd.batch)
          const records = makeRecords(from, until, prefix)
          for (const { ledger } of records) mine.add(ledger.sha256)
          const submission: Submission = { ledger: { count: until, head: null }, records }
          const received = Effect.suspend(() =>
            Effect.flatMap(central.submit(submission), ({ text }) => {
              if (Math.random() * 100 < crowd.lost) return Effect.fail("lost" as const)
              const stored = decodeReceipt(text).records.filter(({ status }) => status === "stored")
              return stored.length === records.length
                ? Effect.void
                : Effect.die(new Error(`central kept ${stored.length} of ${records.length}`))
            })
          )
          yield* received.pipe(
            Effect.tapError(() =>
              Effect.sync(() => {
                again += 1
              })
            ),
            Effect.retry(Schedule.spaced("200 millis"))
          )
          onKept(records.length)
        }
      }, Effect.scoped),
      { concurrency: "unbounded", discard: true }
    )
    return { digests, again } satisfies Handed
  })

const decodeReceipt = Schema.decodeUnknownSync(Schema.fromJsonString(RecordsReceipt))

const reach = ({ baseUrl, fingerprint }: Crowd, device: DeviceId, token: string) =>
  HttpCentral.layer({
    baseUrl,
    trust: { fingerprint },
    client: device,
    cache: {
      get: Effect.succeedSome({ token, expires: Number.MAX_SAFE_INTEGER }),
      set: () => Effect.void
    },
    signAssertion: () => Effect.die(new Error("the token is good for the whole run")),
    retry: Schedule.recurs(0)
  })

/** Bytes that differ between two records; a whole number of base64's groups. */
const OWN_BYTES = 24

/**
 * Sealed as to whom nobody is; central looks at the head only, so the rest may be dice, the same for
 * all but for the end: devices share the machine with central, and must not take its time.
 */
const makePrefix = (template: Uint8Array, size: number) => {
  const length = template.length + Math.max(0, size - OWN_BYTES)
  const bytes = Buffer.alloc(length - (length % 3), randomBytes(size))
  bytes.set(template)
  const text = bytes.toString("base64")
  return { text, hash: createHash("sha256").update(text) }
}

const makeRecords = (
  from: number,
  until: number,
  prefix: ReturnType<typeof makePrefix>
): ReadonlyArray<HomeRecord> =>
  Array.from({ length: until - from }, (_, at) => {
    const own = randomBytes(OWN_BYTES).toString("base64")
    const sha256 = Digest.make(prefix.hash.copy().update(own).digest("hex"))
    const number = from + at + 1
    const name = { number, prev: null, kind: "result", id: `ex_${number}`, revision: 1 } as const
    return { ledger: { ...name, sha256 }, body: prefix.text + own }
  })
