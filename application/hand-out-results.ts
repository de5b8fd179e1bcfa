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
  factsOf,
  leftSealed,
  type Opening,
  type OpeningOutcome,
  type OpeningRun,
  type ResultsFilter,
  type SealedResult,
  type Tried
} from "../domain/opening.ts"
import { Signatures } from "./bundle-ports.ts"
import { happened } from "./happened.ts"
import { Atomic, Clients, Hashing } from "./ports.ts"
import {
  type ClaimedRecord,
  type FoundRecord,
  type KeptRecord,
  type NewOpened,
  OpenedResults,
  type RecordMove,
  type RecordName,
  Records
} from "./record-ports.ts"

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
  Effect.flatMap(Records, (records) => records.countResults(filter, ["stored", "undecryptable"]))
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
  const records = yield* Records
  const claimed = yield* records.claim(filter, BATCH_RESULTS_MAX, BATCH_CHARACTERS_MAX)
  return yield* withSigners(claimed)
})

/** Everything that is sealed still, batch by batch, to be carried away: nothing is claimed or moved. */
export const everySealed = (filter: ResultsFilter) =>
  listed(filter, ["stored", "undecryptable"]).pipe(
    Stream.rechunk(CARRIED),
    Stream.chunks,
    Stream.mapEffect((batch) => Effect.flatMap(Effect.forEach(batch, sealedOf), withSigners))
  )

/** Results that are in memory together while they are written out. */
const CARRIED = 16

const sealedOf = Effect.fnUntraced(function* ({ device, entry }: KeptRecord) {
  const records = yield* Records
  const { id, revision, sha256 } = entry
  const body = Option.getOrElse(yield* records.body(device, sha256), () => "")
  return { device, sha256, id, revision, body } satisfies ClaimedRecord
})

/** Bytes that are not those that the device numbered are given out as none: they are altered. */
const withSigners = Effect.fnUntraced(function* (batch: ReadonlyArray<ClaimedRecord>) {
  const hashing = yield* Hashing
  const keys = yield* signingKeys(batch)
  return batch.map(({ body, device, id, revision, sha256 }): SealedResult => {
    const signer = keys.get(device)
    const box = hashing.sha256(body) === sha256 ? body : ""
    return { device, sha256, id, revision, box, signers: signer === undefined ? [] : [signer] }
  })
})

/** The keys with which these devices sign, of those that are known and have one. */
const signingKeys = Effect.fnUntraced(function* (batch: ReadonlyArray<RecordName>) {
  const clients = yield* Clients
  const found = yield* clients.findAll([...new Set(batch.map(({ device }) => device))])
  return new Map(found.flatMap(({ id, keys }) => (keys === null ? [] : [[id, keys.sig] as const])))
})

/**
 * Keeps what somebody elsewhere made of a batch, and tells what each counts as, in that order.
 * Whoever opened it may have been anybody on the way of a folder: only the device's own signature
 * says that it wrote this for that record, so it is checked again.
 */
export const keepOpened = Effect.fn("keepOpened")(function* (openings: ReadonlyArray<Opening>) {
  const atomic = yield* Atomic
  return yield* atomic.run(
    Effect.gen(function* () {
      const found = yield* foundBy(openings)
      const keys = yield* signingKeys(openings)
      const signatures = yield* Signatures
      return yield* keepAll(
        openings.map((one): Tried => {
          const { device, sha256 } = one
          if ("why" in one) return one
          const entry = found.get(nameOf(one))
          const key = keys.get(device)
          if (entry === undefined) return { device, sha256, why: "bad-signature" }
          const signed = { text: canonical({ ...one.document }), signatures: one.signatures }
          const trust = { keys: new Map(key ? [[signatures.keyId(key), key]] : []), threshold: 1 }
          const isOf =
            agrees(entry, one.document) &&
            key !== undefined &&
            Result.isSuccess(signatures.check("result", signed, trust))
          return isOf
            ? { device, sha256, ...signed, facts: factsOf(one.document) }
            : { device, sha256, why: "bad-signature" }
        }),
        found
      )
    })
  )
})

/** As `keepOpened`, of what was opened and checked by this process, in the same `Atomic`. */
export const keepTried = Effect.fn("keepTried")(function* (batch: ReadonlyArray<Tried>) {
  return yield* keepAll(batch, yield* foundBy(batch))
})

const nameOf = ({ device, sha256 }: RecordName) => `${device} ${sha256}`

/** The results with these names; nobody else moves them before the transaction ends. */
const foundBy = Effect.fnUntraced(function* (batch: ReadonlyArray<RecordName>) {
  const records = yield* Records
  const found = yield* records.findAll(batch)
  return new Map(
    found.filter(({ kind }) => kind === "result").map((one) => [nameOf(one), one] as const)
  )
})

const keepAll = Effect.fnUntraced(function* (
  batch: ReadonlyArray<Tried>,
  found: Map<string, FoundRecord>
) {
  const opened = yield* OpenedResults
  const records = yield* Records
  const openedAt = yield* Clock.currentTimeMillis
  const moves: Array<RecordMove> = []
  const fresh: Array<NewOpened> = []
  const settled = batch.map((one): OpeningOutcome | undefined => {
    const from = found.get(nameOf(one))?.stage
    // Carried away, or on its way twice, it may have been opened by another key meanwhile.
    const isWaiting = from === "stored" || (from === "undecryptable" && "text" in one)
    if (from === undefined || !isWaiting) return "same"
    // A second one with this name in the same batch finds it settled.
    found.delete(nameOf(one))
    const { device, sha256 } = one
    if ("why" in one) {
      moves.push({ device, sha256, from, events: ["give-up"], reason: one.why })
      return one.why
    }
    const events = from === "stored" ? (["decrypt"] as const) : (["retry", "decrypt"] as const)
    moves.push({ device, sha256, from, events, reason: null })
    fresh.push({ device, sha256, text: one.text, facts: one.facts, openedAt })
    return undefined
  })
  const kept = (yield* opened.put(fresh))[Symbol.iterator]()
  yield* records.moveAll(moves)
  return settled.map(
    (outcome): OpeningOutcome =>
      outcome ?? (kept.next().value === "duplicate" ? "duplicate" : "decrypted")
  )
})

/** Writes a run of the decrypt command into the history. */
export const rememberRun = Effect.fn("rememberRun")(function* (run: OpeningRun, who: string) {
  const { counts, filter, keys, millis } = run
  const left = leftSealed(counts)
  const results = {
    ...NO_COUNTS,
    created: counts.decrypted + counts.duplicate,
    kept: counts.same,
    held: left
  }
  const meant = [filter.delivery, filter.organisation].filter((one) => one !== null).join(", ")
  yield* happened({
    verb: "decrypt",
    who,
    organisation: filter.organisation,
    outcome: run.ended ? (left > 0 ? "incomplete" : "done") : "cancelled",
    counts: { result: results },
    millis,
    reason: `${countsText(counts)}; keys ${keys.join(", ")}${meant === "" ? "" : `; of ${meant}`}`
  })
})
