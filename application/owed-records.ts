/**
 * Puts everything that a device owes into one file of a bundle, in the order of the ledger, and all
 * of it into each bundle again until a receipt comes: a stick may get lost (format §2.5).
 */
import { Effect, Option, Stream } from "effect"
import { canonical } from "../domain/canonical.ts"
import type { Recipient } from "../domain/id.ts"
import { Outgoing } from "./bundle-ports.ts"
import { Atomic } from "./ports.ts"
import { Outbox, type OwedRecord, Sending } from "./record-ports.ts"

/** Records read at a time: memory holds the bodies of so few, however much is owed. */
const PAGE_RECORDS = 10

/** Seals what is owed now. `file` is null when nothing is. */
export const stageOwed = Effect.fn("stageOwed")(function* (recipient: Recipient) {
  const outbox = yield* Outbox
  const outgoing = yield* Outgoing
  const ledger = yield* outbox.head
  const numbers = new Set<number>()
  let results = 0
  const lines = Stream.map(owedUpTo(ledger.count), ({ body, entry }) => {
    numbers.add(entry.number)
    if (entry.kind === "result") results += 1
    return canonical({ ledger: entry, body })
  })
  const { staged, ...measured } = yield* outgoing.lines(recipient, lines)
  const file = measured.count === 0 ? null : { staged, measured }
  return { ledger, file, numbers, results }
})

export type StagedOwed = Effect.Success<ReturnType<typeof stageOwed>>

/**
 * Marks as sent what a bundle carries, once that was written: from then on central may have it. What
 * central answered meanwhile by another road keeps its answer.
 */
export const markSent = Effect.fn("markSent")(function* ({ ledger, numbers }: StagedOwed) {
  const atomic = yield* Atomic
  const outbox = yield* Outbox
  yield* atomic.run(
    Stream.runForEach(owedUpTo(ledger.count), ({ entry, stage }) =>
      stage === "queued" && numbers.has(entry.number)
        ? outbox.move(entry.number, "sent", null)
        : Effect.void
    )
  )
})

/** What is owed and not newer than the ledger that the bundle speaks of; bodies are here. */
const owedUpTo = (last: number) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const outbox = yield* Outbox
      const { statusExecutionsToSync: ends } = yield* Sending
      const page = (after: number) =>
        Effect.map(outbox.owed({ after, limit: PAGE_RECORDS, kinds: undefined, ends }), (records) =>
          records.filter(({ entry }) => entry.number <= last)
        )
      return Stream.paginate(0, (after: number) =>
        Effect.map(page(after), (records) => {
          const next = Option.fromUndefinedOr(records.at(-1)?.entry.number)
          return [records, next] as const
        })
      )
    })
  ).pipe(Stream.filter((record): record is OwedRecord & { body: string } => record.body !== null))
