/** Writes down the changes of an organisation's feed for a bundle, as a device would hear them. */
import { Effect, Option, Stream } from "effect"
import { canonical } from "../domain/canonical.ts"
import type { Kind } from "../domain/entity.ts"
import { type Change, type Cursor, type FeedPage, START } from "../domain/feed.ts"
import type { OrganisationId, Recipient } from "../domain/id.ts"
import { Outgoing } from "./bundle-ports.ts"
import { Feeds } from "./ports.ts"
import { report } from "./progress.ts"

export type FeedCounts = ReadonlyMap<Kind, { readonly brought: number; readonly gone: number }>

/**
 * Follows the feed from a cursor to its live end and seals the changes, page by page. Where the
 * cursor is void, or becomes so meanwhile, everything is written down. `lines` is null when there
 * are no changes.
 */
export const stageFeed = Effect.fn("stageFeed")(function* (
  organisation: OrganisationId,
  since: Cursor,
  recipient: Recipient
) {
  return yield* Effect.catchTag(stage(organisation, since, recipient), "FeedReset", () =>
    // The life of central that a start belongs to is the one that answers.
    Effect.orDie(stage(organisation, START, recipient))
  )
})

const stage = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  since: Cursor,
  recipient: Recipient
) {
  const feeds = yield* Feeds
  const outgoing = yield* Outgoing
  const first = yield* feeds.page(organisation, since)
  const base = since.version
  const counts = new Map<Kind, { readonly brought: number; readonly gone: number }>()
  if (first.changes.length === 0) {
    const { epoch, head, set } = first
    return { organisation, epoch, base, head, set, counts, lines: null }
  }
  // The last page says where the feed ended, which is known when the stream has run.
  let last = first
  const pages = Stream.paginate<FeedPage | Cursor, FeedPage, FeedPageFailure>(first, (at) =>
    Effect.gen(function* () {
      const page = "changes" in at ? at : yield* feeds.page(organisation, at)
      last = page
      const next = page.more ? Option.some(endOf(page)) : Option.none()
      return [[page], next] as const
    })
  )
  const lines = pages.pipe(
    Stream.tap((page) => told(organisation, base, page)),
    Stream.map(({ changes }) => changes.map((change) => counted(counts, change))),
    Stream.flattenIterable
  )
  const sealed = yield* outgoing.lines(recipient, lines)
  const { epoch, head, set } = last
  return { organisation, epoch, base, head, set, counts, lines: sealed }
})

type FeedPageFailure = Effect.Error<ReturnType<Feeds["Service"]["page"]>>

const endOf = ({ changes, epoch, head }: FeedPage): Cursor => ({
  epoch,
  version: changes.at(-1)?.version ?? head
})

const counted = (
  counts: Map<Kind, { readonly brought: number; readonly gone: number }>,
  change: Change
): string => {
  const { brought, gone } = counts.get(change.kind) ?? { brought: 0, gone: 0 }
  const isGone = change.digest === null
  counts.set(change.kind, { brought: brought + (isGone ? 0 : 1), gone: gone + (isGone ? 1 : 0) })
  return canonical({ ...change })
}

const told = (organisation: OrganisationId, base: number, page: FeedPage) =>
  report({
    kind: `entities ${organisation}`,
    label: `Sealing data of ${organisation}`,
    phase: page.more ? "running" : "finished",
    done: endOf(page).version - base,
    total: page.head - base
  })
