/**
 * Fetches the contents that a device's deliveries need and that are not here yet.
 *
 * What is missing follows from what is held, never from what an earlier run meant to do: a fetch
 * that broke off, or a blob that was lost, is found again by the next run. Each blob continues at
 * the byte where it stopped. A blob that fails does not keep the others waiting.
 */
import { Effect, Option, Ref, Result, Stream } from "effect"
import { type Content, keyText } from "../domain/entity.ts"
import type { Digest, OrganisationId } from "../domain/id.ts"
import type { BlobDamaged, CentralFailure, NoSpace } from "./ports.ts"
import { Blobs, Central, Executions, Holdings } from "./ports.ts"
import { report } from "./progress.ts"

/** Blobs fetched side by side: enough to hide round trips, few enough for a slow line. */
const WIDTH = 2

export interface FetchedContents {
  readonly wanted: number
  readonly fetched: number
  readonly bytes: number
  readonly failures: ReadonlyArray<{
    readonly blob: Digest
    readonly why: CentralFailure | BlobDamaged | NoSpace
  }>
}

export const fetchContents = Effect.fn("fetchContents")(function* (
  organisations: ReadonlyArray<OrganisationId>
) {
  const blobs = yield* Blobs
  const wanted = yield* wantedContents(organisations)
  const missing: Array<Content> = []
  for (const content of wanted.values()) {
    if (!(yield* blobs.has(content.blob))) missing.push(content)
  }
  const bytes = yield* Ref.make(0)
  const whole = yield* Ref.make(0)
  const show = yield* progressOf(missing, bytes, whole)
  const results = yield* Effect.forEach(
    missing,
    (content) =>
      fetchOne(content, bytes, show).pipe(
        Effect.andThen(Ref.update(whole, (n) => n + 1)),
        Effect.andThen(show),
        Effect.result
      ),
    { concurrency: WIDTH }
  )
  const failures = results.flatMap((result, at) => {
    const blob = missing[at]?.blob
    return Result.isFailure(result) && blob !== undefined ? [{ blob, why: result.failure }] : []
  })
  return {
    wanted: wanted.size,
    fetched: missing.length - failures.length,
    bytes: yield* Ref.get(bytes),
    failures
  } satisfies FetchedContents
})

/** Removes contents that no offered delivery and no unsettled execution needs any more. */
export const sweepContents = Effect.fn("sweepContents")(function* (
  organisations: ReadonlyArray<OrganisationId>
) {
  const blobs = yield* Blobs
  const executions = yield* Executions
  const needed = new Set((yield* wantedContents(organisations)).keys())
  for (const execution of yield* executions.unsettled) needed.add(execution.blob)
  return yield* blobs.sweep(needed)
})

/**
 * The contents of all deliveries that are offered, each blob once. A delivery that is only kept back
 * needs no more than its executions name: nobody would give out anything else of it.
 */
export const wantedContents = Effect.fn("wantedContents")(function* (
  organisations: ReadonlyArray<OrganisationId>
) {
  const holdings = yield* Holdings
  const wanted = new Map<Digest, Content>()
  for (const organisation of organisations) {
    const kept = new Set(yield* holdings.keptBack(organisation))
    for (const delivery of yield* holdings.deliveries(organisation)) {
      if (!kept.has(keyText(delivery))) wanted.set(delivery.content.blob, delivery.content)
    }
  }
  return wanted
})

const fetchOne = Effect.fnUntraced(function* (
  content: Content,
  bytes: Ref.Ref<number>,
  show: Effect.Effect<void>
) {
  const central = yield* Central
  const blobs = yield* Blobs
  const offset = yield* blobs.partial(content.blob)
  const rest = offset >= content.size ? Stream.empty : central.blob(content.blob, offset)
  yield* blobs.write(content.blob, content.size, rest, (came) =>
    Effect.andThen(
      Ref.update(bytes, (n) => n + came),
      show
    )
  )
})

/** What an earlier run left half counts as here: the bar begins where that run stopped. */
const progressOf = Effect.fnUntraced(function* (
  missing: ReadonlyArray<Content>,
  bytes: Ref.Ref<number>,
  whole: Ref.Ref<number>
) {
  const blobs = yield* Blobs
  const total = missing.length
  const totalBytes = missing.reduce((sum, content) => sum + content.size, 0)
  let had = 0
  for (const { blob, size } of missing) had += Math.min(yield* blobs.partial(blob), size)
  return Effect.gen(function* () {
    const done = yield* Ref.get(whole)
    yield* report({
      kind: "contents",
      label: "Fetching test contents",
      phase: done === total ? "finished" : "running",
      done,
      total,
      bytes: Math.min(had + (yield* Ref.get(bytes)), totalBytes),
      totalBytes
    })
  })
})

/** How much of the contents is here: for status and readiness. */
export const contentsHere = Effect.fn("contentsHere")(function* (
  organisations: ReadonlyArray<OrganisationId>
) {
  const blobs = yield* Blobs
  let here = 0
  const wanted = yield* wantedContents(organisations)
  for (const content of wanted.values()) {
    const size = yield* blobs.size(content.blob)
    if (Option.isSome(size) && size.value === content.size) here += 1
  }
  return { here, wanted: wanted.size }
})
