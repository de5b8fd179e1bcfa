/**
 * Writes opened results out, in one of the forms that other programs read, with the names that the
 * catalogue has for the ids in them. Streams: memory does not grow with the number of results.
 */
import { Clock, Effect, Option, Stream } from "effect"
import type { ExportedResult } from "../domain/export.ts"
import type { ResultsFilter } from "../domain/opening.ts"
import { Atomic, Catalogue } from "./ports.ts"
import { ExportFiles, Names, type OpenedResult, OpenedResults, Records } from "./record-ports.ts"

/** Results whose names are looked up together. */
const LOOKUP = 64

/** Writes what is meant to the chosen folder. Answers how many results, and the files. */
export const exportResults = Effect.fn("exportResults")(function* (filter: ResultsFilter) {
  const files = yield* ExportFiles
  const until = yield* Clock.currentTimeMillis
  return yield* files.write(() =>
    openedUntil(filter, until).pipe(
      Stream.rechunk(LOOKUP),
      Stream.chunks,
      Stream.mapEffect(named),
      Stream.flattenIterable
    )
  )
})

/** The same, and remembers of each record at central that it was written out. */
export const exportFromCentral = Effect.fn("exportFromCentral")(function* (filter: ResultsFilter) {
  const atomic = yield* Atomic
  const records = yield* Records
  const until = yield* Clock.currentTimeMillis
  const written = yield* Effect.provideServiceEffect(exportResults(filter), Names, Catalogue)
  const mark = Effect.fnUntraced(function* ({ device, sha256 }: OpenedResult) {
    const found = Option.getOrUndefined(yield* records.find(device, sha256))
    if (found?.stage === "decrypted") yield* records.move(device, sha256, "export", null)
  })
  yield* openedUntil(filter, until).pipe(
    Stream.rechunk(LOOKUP),
    Stream.chunks,
    Stream.runForEach((batch) => atomic.run(Effect.forEach(batch, mark, { discard: true })))
  )
  return written
})

/** Both passes over a growing table see the same results. */
const openedUntil = (filter: ResultsFilter, until: number) =>
  Stream.unwrap(
    Effect.map(OpenedResults, (opened) =>
      Stream.takeWhile(
        opened.list({
          delivery: filter.delivery ?? undefined,
          organisation: filter.organisation ?? undefined
        }),
        ({ openedAt }) => openedAt <= until
      )
    )
  )

const named = Effect.fnUntraced(function* (results: ReadonlyArray<OpenedResult>) {
  const names = yield* Names
  const ids = results.flatMap(({ document }) => [document.testTaker, document.delivery])
  const known = yield* names.byIds([...new Set(ids)])
  return results.map(({ conflict, document, sha256 }): ExportedResult => {
    const taker = known.get(document.testTaker)
    const delivery = known.get(document.delivery)
    return {
      document,
      sha256,
      conflict,
      taker: taker?.kind === "test-taker" ? taker : null,
      deliveryLabel: delivery?.kind === "delivery" ? delivery.label : null
    }
  })
})
