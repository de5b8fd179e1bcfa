/**
 * Answers the port Central from a bundle whose files are here: a bundle is the HTTPS conversation on
 * paper. Each file of lines is read once to its end before anything is answered, and then again,
 * page by page, as the pull asks.
 *
 * A full bundle can also say where two sets differ, by its own lines; one of changes only cannot.
 */
import { Cause, Clock, Effect, Layer, Scope, Stream } from "effect"
import { BundleKeys, BundleReader, BundleRefused, Incoming } from "../application/bundle-ports.ts"
import { Central, CentralInconsistent, CentralRefused, FeedReset } from "../application/ports.ts"
import type { FeedPart, OutwardIndex } from "../domain/bundle-index.ts"
import { keyText } from "../domain/entity.ts"
import { type Change, type Cursor, PAGE_CHANGES, PAGE_CHARACTERS } from "../domain/feed.ts"
import type { OrganisationId } from "../domain/id.ts"
import { PROGRAM_VERSION, PROTOCOL_VERSION, SUPPORTED_DEVICES } from "../domain/release.ts"
import { BUCKETS, bucketOf, changed, EMPTY } from "../domain/set-digest.ts"
import { CHANGES, readLines } from "./bundle-lines.ts"

export const layer = Layer.effect(
  BundleReader,
  Effect.gen(function* () {
    const incoming = yield* Incoming
    const keys = yield* BundleKeys
    return BundleReader.of({
      open: Effect.fn("BundleReader.open")(function* (bundle, index) {
        const linesOf = ({ lines }: FeedPart) =>
          lines === null
            ? Stream.empty
            : readLines(CHANGES, keys.open(incoming.read(bundle, lines.file)), lines)
        for (const feed of index.feeds) yield* check(feed, linesOf(feed))
        return yield* answering(index, linesOf)
      })
    })
  })
)

type ReadLinesOf = (feed: FeedPart) => Stream.Stream<ReadonlyArray<Change>, BundleRefused>

/** Reads all lines once: what they are, and that they lead from the feed's base to its head. */
const check = Effect.fnUntraced(function* (
  feed: FeedPart,
  lines: Stream.Stream<ReadonlyArray<Change>, BundleRefused>
) {
  let last = feed.base
  let count = 0
  yield* Stream.runForEach(lines, (changes) =>
    Effect.suspend(() => {
      for (const { version } of changes) {
        count += 1
        if (version <= last) return misplaced(`line ${count} is out of order`)
        last = version
      }
      return Effect.void
    })
  )
  if (last !== feed.head)
    return yield* misplaced(`the lines of ${feed.organisation} end at ${last}`)
})

const misplaced = (detail: string) =>
  Effect.fail(new BundleRefused({ code: "E_RECORD_SCHEMA", detail, damages: [], missing: [] }))

const answering = Effect.fnUntraced(function* (index: OutwardIndex, linesOf: ReadLinesOf) {
  const scope = yield* Effect.scope
  const feeds = new Map<OrganisationId, Feed>()
  for (const part of index.feeds) {
    const lines = Stream.mapError(linesOf(part), ({ detail }) => inconsistent(detail))
    feeds.set(part.organisation, yield* openFeed(part, lines, scope))
  }
  const feedOf = (organisation: OrganisationId) =>
    Effect.suspend(() => {
      const feed = feeds.get(organisation)
      return feed === undefined ? Effect.fail(notBrought) : Effect.succeed(feed)
    })
  return Central.of({
    capabilities: Effect.map(Clock.currentTimeMillis, (time) => ({
      program: PROGRAM_VERSION,
      protocols: [PROTOCOL_VERSION],
      devices: SUPPORTED_DEVICES,
      time
    })),
    page: (organisation, since) =>
      Effect.flatMap(feedOf(organisation), (feed) => pageOf(feed, since)),
    buckets: (organisation) =>
      Effect.gen(function* () {
        const { listing, part } = yield* feedOf(organisation)
        const listed = yield* listing
        const buckets = listed.map((changes) =>
          changed(
            EMPTY,
            [],
            changes.flatMap(({ digest }) => digest ?? [])
          )
        )
        return { epoch: part.epoch, head: part.head, buckets }
      }),
    bucket: (organisation, bucket) =>
      Effect.gen(function* () {
        const { listing } = yield* feedOf(organisation)
        return (yield* listing)[bucket] ?? []
      }),
    entities: (organisation, keys) =>
      Effect.gen(function* () {
        const { lines, listing } = yield* feedOf(organisation)
        yield* listing
        const wanted = new Set(keys.map(keyText))
        const found = new Map<string, Change>()
        yield* Stream.runForEach(lines, (changes) =>
          Effect.sync(() => {
            for (const change of changes) {
              if (wanted.has(keyText(change))) found.set(keyText(change), change)
            }
          })
        )
        return [...found.values()].filter(({ digest }) => digest !== null)
      }),
    blob: (blob) => Stream.fail(inconsistent(`the content ${blob} is not in the bundle`)),
    submit: () => Effect.fail(inconsistent("a bundle takes nothing along"))
  })
})

type Batch = ReadonlyArray<Change>
type FeedLines = Stream.Stream<Batch, CentralInconsistent>

interface Feed {
  readonly part: FeedPart
  readonly lines: FeedLines
  /** The live entities by bucket, without their bodies. */
  readonly listing: Effect.Effect<ReadonlyArray<ReadonlyArray<Change>>, CentralInconsistent>
  /** A page of changes after a version. */
  readonly after: (version: number) => Effect.Effect<ReadonlyArray<Change>, CentralInconsistent>
}

const openFeed = Effect.fnUntraced(function* (
  part: FeedPart,
  lines: FeedLines,
  scope: Scope.Scope
) {
  const listing = yield* Effect.cached(part.base === 0 ? listed(lines) : Effect.fail(only(part)))
  return { part, lines, listing, after: makePages(lines, scope) } satisfies Feed
})

const pageOf = Effect.fnUntraced(function* ({ after, part }: Feed, since: Cursor) {
  const { base, epoch, head, organisation, set } = part
  if (since.version > 0 && since.epoch !== epoch && base === 0) {
    return yield* new FeedReset({ epoch })
  }
  if (since.version < base || (since.version > 0 && since.epoch !== epoch)) return yield* only(part)
  if (since.version > head) {
    return yield* inconsistent(`its data of ${organisation} is older than what is here`)
  }
  const changes = since.version === head ? [] : yield* after(since.version)
  const more = (changes.at(-1)?.version ?? head) < head
  return { organisation, epoch, head, more, set, changes }
})

interface Reading {
  readonly next: Effect.Success<ReturnType<typeof Stream.toPull<Batch, CentralInconsistent, never>>>
  /** The version that the last page ended with, and what was read beyond it. */
  readonly at: number
  readonly rest: Batch
}

/** Reads on where the last page ended, or anew from the first line. */
const makePages = (lines: FeedLines, scope: Scope.Scope) => {
  const begin = Effect.map(
    Scope.provide(Stream.toPull(lines), scope),
    (next): Reading => ({ next, at: 0, rest: [] })
  )
  let kept: Reading | undefined

  return Effect.fnUntraced(function* (version: number) {
    const reading = kept?.at === version ? kept : yield* begin
    // Whoever is interrupted in the middle leaves nothing to read on from.
    kept = undefined
    const page: Array<Change> = []
    let characters = 0
    let rest = reading.rest
    for (;;) {
      for (const [index, change] of rest.entries()) {
        if (change.version <= version) continue
        characters += change.body?.length ?? 0
        const isFull = page.length === PAGE_CHANGES || characters > PAGE_CHARACTERS
        const last = page.at(-1)
        if (isFull && last !== undefined) {
          kept = { next: reading.next, at: last.version, rest: rest.slice(index) }
          return page
        }
        page.push(change)
      }
      const next = yield* Effect.catchIf(reading.next, Cause.isDone, () => Effect.succeed([]))
      if (next.length === 0) return page
      rest = next.flat()
    }
  })
}

/** The later of two lines about one entity counts. */
const listed = Effect.fnUntraced(function* (lines: FeedLines) {
  const live = new Map<string, Change>()
  yield* Stream.runForEach(lines, (changes) =>
    Effect.sync(() => {
      for (const change of changes) {
        if (change.digest === null) live.delete(keyText(change))
        else live.set(keyText(change), { ...change, body: null })
      }
    })
  )
  const buckets = Array.from({ length: BUCKETS }, (): Array<Change> => [])
  for (const change of live.values()) buckets[bucketOf(change.id)]?.push(change)
  return buckets
})

const inconsistent = (what: string) => new CentralInconsistent({ what })

const only = ({ organisation }: FeedPart) =>
  inconsistent(
    `the bundle brings only changes of ${organisation}; the next full one, or HTTPS, will mend this`
  )

const notBrought = new CentralRefused({
  code: "E_NOT_FOUND",
  title: "Not in this bundle",
  detail: "The bundle brings nothing for this organisation."
})
