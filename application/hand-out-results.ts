/**
 * Central's side of the decrypt command: gives out sealed results, and keeps what became of them.
 * It never sees a key, whoever opens them: another process, or another machine (invariant 9).
 *
 * Keeping is idempotent: a result that somebody else has settled meanwhile is left as it is, so
 * processes may overlap, and a run that was killed is simply begun again.
 */
import { Clock, Effect, Option, Result, Stream } from "effect"
import { canonical } from "../domain/canonical.ts"
import { NO_COUNTS } from "../domain/history.ts"
import type { CentralStage } from "../domain/lifecycle.ts"
import {
  agrees,
  BATCH_CHARACTERS_MAX,
  BATCH_RESULTS_MAX,
  countsText,
  leftSealed,
  type OpenedDocument,
  type Opening,
  type OpeningOutcome,
  type OpeningRun,
  type ResultsFilter,
  type SealedResult
} from "../domain/opening.ts"
import { Signatures } from "./bundle-ports.ts"
import { Atomic, Clients, Hashing, History } from "./ports.ts"
import { Claims, type KeptRecord, OpenedResults, Records } from "./record-ports.ts"

const listed = (filter: ResultsFilter, stages: ReadonlyArray<CentralStage>) =>
  Stream.unwrap(
    Effect.map(Records, (records) =>
      records.list({
        kind: "result",
        stages,
        delivery: filter.delivery ?? undefined,
        organisation: filter.organisation ?? undefined,
        device: undefined
      })
    )
  )

/** How many results are sealed still: those never tried, and those that could not be opened. */
export const countSealed = Effect.fn("countSealed")((filter: ResultsFilter) =>
  Stream.runCount(listed(filter, ["stored", "undecryptable"]))
)

/** Puts back what could not be opened: another key may open it. */
export const retrySealed = Effect.fn("retrySealed")(function* (filter: ResultsFilter) {
  const atomic = yield* Atomic
  const records = yield* Records
  yield* listed(filter, ["undecryptable"]).pipe(
    Stream.rechunk(BATCH_RESULTS_MAX),
    Stream.chunks,
    Stream.runForEach((batch) =>
      atomic.run(
        Effect.forEach(
          batch,
          ({ device, entry }) =>
            Effect.gen(function* () {
              const found = yield* records.find(device, entry.sha256)
              if (Option.isNone(found) || found.value.stage !== "undecryptable") return
              yield* records.move(device, entry.sha256, "retry", null)
            }),
          { discard: true }
        )
      )
    )
  )
})

/**
 * The oldest results that were not tried, at most BATCH_RESULTS_MAX and BATCH_CHARACTERS_MAX but
 * always one. Inside `Atomic` no other process is given the same ones.
 */
export const giveSealed = Effect.fn("giveSealed")(function* (filter: ResultsFilter) {
  const batch: Array<SealedResult> = []
  let characters = 0
  let taken = 0
  yield* listed(filter, ["stored"]).pipe(
    Stream.rechunk(BATCH_RESULTS_MAX),
    Stream.chunks,
    Stream.mapEffect(claimed),
    Stream.flattenIterable,
    Stream.mapEffect(sealedOf),
    Stream.takeWhile((one) => {
      characters += one.box.length
      taken += 1
      return taken === 1 || characters <= BATCH_CHARACTERS_MAX
    }),
    Stream.take(BATCH_RESULTS_MAX),
    Stream.runForEach((one) => Effect.sync(() => void batch.push(one)))
  )
  return batch
})

/** Everything that is sealed still, batch by batch, to be carried away: nothing is claimed or moved. */
export const everySealed = (filter: ResultsFilter) =>
  listed(filter, ["stored", "undecryptable"]).pipe(
    Stream.rechunk(CARRIED),
    Stream.chunks,
    Stream.mapEffect((batch) => Effect.forEach(batch, sealedOf))
  )

/** Results that are in memory together while they are written out. */
const CARRIED = 16

/** Those that are this transaction's alone, and still to be opened: others may have been faster. */
const claimed = Effect.fnUntraced(function* (candidates: ReadonlyArray<KeptRecord>) {
  const claims = yield* Claims
  const records = yield* Records
  const names = candidates.map(({ device, entry }) => `${device} ${entry.sha256}`)
  const ours = yield* claims.claim(names)
  return yield* Effect.filter(
    candidates.filter((_, at) => ours[at]),
    ({ device, entry }) =>
      Effect.map(
        records.find(device, entry.sha256),
        Option.exists(({ stage }) => stage === "stored")
      )
  )
})

/** Bytes that are not those that the device numbered are given out as none: they are altered. */
const sealedOf = Effect.fnUntraced(function* ({ device, entry }: KeptRecord) {
  const clients = yield* Clients
  const hashing = yield* Hashing
  const records = yield* Records
  const body = Option.getOrElse(yield* records.body(device, entry.sha256), () => "")
  const sender = Option.getOrUndefined(yield* clients.find(device))
  const sealed: SealedResult = {
    device,
    sha256: entry.sha256,
    id: entry.id,
    revision: entry.revision,
    box: hashing.sha256(body) === entry.sha256 ? body : "",
    signers: sender?.keys == null ? [] : [sender.keys.sig]
  }
  return sealed
})

/** Keeps what came of a batch in one transaction, and tells what each counts as, in that order. */
export const keepOpened = Effect.fn("keepOpened")(function* (openings: ReadonlyArray<Opening>) {
  const atomic = yield* Atomic
  return yield* atomic.run(Effect.forEach(openings, keepOne))
})

const keepOne = Effect.fnUntraced(function* (opening: Opening) {
  const opened = yield* OpenedResults
  const records = yield* Records
  const { device, sha256 } = opening
  const found = Option.getOrUndefined(yield* records.find(device, sha256))
  if (found?.entry.kind !== "result") return "same" as const
  const isRight = "document" in opening && (yield* isOf(found, opening))
  if (found.stage === "undecryptable" && isRight) {
    // It was carried away, or is on its way twice, and another key has opened it.
    yield* records.move(device, sha256, "retry", null)
  } else if (found.stage !== "stored") return "same" as const
  if (!isRight) {
    const why: OpeningOutcome = "why" in opening ? opening.why : "bad-signature"
    yield* records.move(device, sha256, "give-up", why)
    return why
  }
  const openedAt = yield* Clock.currentTimeMillis
  const [kept] = yield* opened.put([{ device, sha256, document: opening.document, openedAt }])
  yield* records.move(device, sha256, "decrypt", null)
  return kept === "duplicate" ? "duplicate" : ("decrypted" as const)
})

/**
 * Whoever opened it may have been anybody on the way of a folder: only the device's own signature
 * says that it wrote this for that record.
 */
const isOf = Effect.fnUntraced(function* (
  { device, entry }: KeptRecord,
  { document, signatures: given }: OpenedDocument
) {
  const clients = yield* Clients
  const signatures = yield* Signatures
  const keys = Option.getOrUndefined(yield* clients.find(device))?.keys
  if (keys == null || !agrees({ device, ...entry }, document)) return false
  const signed = { text: canonical({ ...document }), signatures: given }
  const trust = { keys: new Map([[signatures.keyId(keys.sig), keys.sig]]), threshold: 1 }
  return Result.isSuccess(signatures.check("result", signed, trust))
})

/** Writes a run of the decrypt command into the history. */
export const rememberRun = Effect.fn("rememberRun")(function* (run: OpeningRun, who: string) {
  const history = yield* History
  const { counts, filter, keys, millis } = run
  const left = leftSealed(counts)
  const results = {
    ...NO_COUNTS,
    created: counts.decrypted + counts.duplicate,
    kept: counts.same,
    held: left
  }
  const meant = [filter.delivery, filter.organisation].filter((one) => one !== null).join(", ")
  yield* history.append({
    at: yield* Clock.currentTimeMillis,
    verb: "decrypt",
    who,
    device: null,
    organisation: filter.organisation,
    outcome: run.ended ? (left > 0 ? "incomplete" : "done") : "cancelled",
    counts: { result: results },
    bytes: 0,
    millis,
    reason: `${countsText(counts)}; keys ${keys.join(", ")}${meant === "" ? "" : `; of ${meant}`}`
  })
})
