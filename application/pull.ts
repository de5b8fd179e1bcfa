/**
 * Makes a device hold exactly what central offers one of its organisations.
 *
 * Changes are fetched page by page to the feed's live end and kept aside, each checked against its
 * digest and its schema. Only then is the plan made and applied, with the new cursor, in one
 * transaction. So an interrupted pull leaves nothing but what it need not fetch again, a second
 * pull finds nothing to do, and nothing is removed on the strength of an answer that broke off
 * (invariants 1 to 4).
 */
import { Effect, Schema, Stream } from "effect"
import type { Kind } from "../domain/entity.ts"
import { keyFromText, references, withReferred } from "../domain/entity.ts"
import type { Change, Cursor, FeedPage } from "../domain/feed.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { wrapParts } from "../domain/offer.ts"
import { isIdle, needsConfirmation, type Plan, plan } from "../domain/plan.ts"
import { sameSet } from "../domain/set-digest.ts"
import { checkChange } from "./check.ts"
import { neededKeys } from "./needed.ts"
import { Atomic, Central, CentralInconsistent, Holdings } from "./ports.ts"
import { report } from "./progress.ts"

/** So much would be removed that a person must say yes (invariant 5). Nothing was changed. */
export class RemovalNeedsConfirmation extends Schema.TaggedError<RemovalNeedsConfirmation>()(
  "RemovalNeedsConfirmation",
  { organisation: Schema.String, removing: Schema.Int, holding: Schema.Int }
) {}

export interface PullOptions {
  /** Limits the pull to kinds (and those they refer to); such a pull brings, but takes nothing away. */
  readonly kinds?: ReadonlyArray<Kind>
  readonly dryRun: boolean
  readonly confirmRemovals: boolean
}

export interface Pulled {
  readonly organisation: OrganisationId
  readonly plan: Plan
  readonly head: number
  /** Whether this device's set equals central's after the pull; unknown for a limited or dry one. */
  readonly same: boolean | undefined
}

export const pull = Effect.fn("pull")(function* (
  organisation: OrganisationId,
  options: PullOptions
) {
  const holdings = yield* Holdings
  const wanted = options.kinds === undefined ? undefined : withReferred(options.kinds)
  if (wanted !== undefined) yield* holdings.dropStaged(organisation)

  const last = yield* fetchToEnd(organisation, wanted)
  const todo = yield* planOf(organisation, wanted !== undefined)
  const released = wanted === undefined ? yield* releasable(organisation) : []
  const whole = { ...todo, remove: [...todo.remove, ...released] }
  if (options.dryRun) return pulled(organisation, whole, last, undefined)

  yield* guardRemovals(organisation, todo, options)
  const cursor = { epoch: last.epoch, version: last.head }
  const before = yield* holdings.cursor(organisation)
  const idle =
    isIdle(whole) &&
    todo.held.length === 0 &&
    cursor.version === before.version &&
    cursor.epoch === before.epoch
  if (!idle) {
    yield* applyAtOnce(organisation, todo, released, wanted === undefined ? cursor : undefined)
  }
  if (wanted !== undefined) return pulled(organisation, whole, last, undefined)
  return pulled(organisation, whole, last, sameSet(yield* holdings.set(organisation), last.set))
})

const pulled = (
  organisation: OrganisationId,
  plan: Plan,
  last: FeedPage,
  same: boolean | undefined
): Pulled => ({ organisation, plan, head: last.head, same })

/** Fetches and stages until central has nothing newer; answers the last page. */
const fetchToEnd = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  wanted: ReadonlySet<Kind> | undefined
) {
  const central = yield* Central
  const holdings = yield* Holdings
  let since = yield* holdings.stagedCursor(organisation)
  for (const began = since.version; ; ) {
    const page = yield* central.page(organisation, since).pipe(
      Effect.catchTag("FeedReset", () =>
        holdings.restart(organisation).pipe(
          Effect.andThen(central.page(organisation, { epoch: "", version: 0 })),
          Effect.catchTag("FeedReset", () =>
            Effect.fail(new CentralInconsistent({ what: "the feed can't be read from its start" }))
          )
        )
      )
    )
    const reached = yield* endOf(page, since)
    if (page.changes.length > 0) {
      const checked = yield* Effect.forEach(page.changes, checkChange)
      const kept = checked.filter(
        ({ change }) => wanted === undefined || (wanted.has(change.kind) && change.digest !== null)
      )
      yield* holdings.stage(organisation, kept, reached)
    }
    const total = Math.max(0, page.head - began)
    const done = Math.max(0, Math.min(total, reached.version - began))
    yield* report({
      kind: `entities ${organisation}`,
      label: `Fetching data of ${organisation}`,
      phase: page.more ? "running" : "finished",
      done,
      total
    })
    if (!page.more) return page
    since = reached
  }
})

/** Where a page leaves the cursor. A page that stands still or goes back would never end. */
const endOf = (page: FeedPage, since: Cursor): Effect.Effect<Cursor, CentralInconsistent> => {
  const last = page.changes.at(-1)?.version
  const ordered = page.changes.every(
    (change: Change, at) => change.version > (page.changes[at - 1]?.version ?? 0)
  )
  const first = page.changes[0]?.version ?? Number.POSITIVE_INFINITY
  const restarted = page.epoch !== since.epoch
  const forward = restarted || first > since.version
  if (!ordered || !forward || (last !== undefined && last > page.head)) {
    return Effect.fail(new CentralInconsistent({ what: "a page of the feed is out of order" }))
  }
  if (page.more && last === undefined) {
    return Effect.fail(new CentralInconsistent({ what: "a page of the feed is empty" }))
  }
  return Effect.succeed({
    epoch: page.epoch,
    version: page.more ? (last ?? since.version) : page.head
  })
}

/** The plan that what is staged calls for. From the feed's start it is the plan of everything. */
const planOf = Effect.fnUntraced(function* (organisation: OrganisationId, limited: boolean) {
  const holdings = yield* Holdings
  const staged = yield* holdings.staged(organisation)
  const full = !limited && (yield* holdings.cursor(organisation)).version === 0
  const remote = new Map<string, string>()
  for (const [key, digest] of staged) if (digest !== null) remote.set(key, digest)
  const local = yield* holdings.manifest(organisation, full ? "all" : [...staged.keys()])
  return plan(local, remote, yield* neededKeys(organisation))
})

/** What was kept back for a session or a result and is needed no longer. */
const releasable = Effect.fnUntraced(function* (organisation: OrganisationId) {
  const holdings = yield* Holdings
  const kept = yield* holdings.keptBack(organisation)
  if (kept.length === 0) return []
  const needed = yield* neededKeys(organisation)
  return kept.filter((key) => !needed.has(key))
})

const guardRemovals = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  todo: Plan,
  options: PullOptions
) {
  const holdings = yield* Holdings
  const removing = todo.remove.filter((key) => keyFromText(key).kind !== "key-wrap").length
  if (removing === 0 || options.confirmRemovals) return
  let holding = 0
  for (const [kind, count] of yield* holdings.count(organisation)) {
    if (kind !== "key-wrap") holding += count
  }
  if (needsConfirmation(removing, holding)) {
    return yield* new RemovalNeedsConfirmation({ organisation, removing, holding })
  }
})

/** One transaction: entities, removals, cursor; rolled back when a reference would dangle. */
const applyAtOnce = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  todo: Plan,
  released: ReadonlyArray<string>,
  cursor: Cursor | undefined
) {
  const atomic = yield* Atomic
  const holdings = yield* Holdings
  yield* atomic.run(
    Effect.gen(function* () {
      yield* holdings.apply(organisation, todo, cursor)
      yield* holdings.release(organisation, released)
      yield* checkReferences(organisation, todo, released)
    })
  )
})

/**
 * Demands that everything resolves (invariant 2): what came must name only what is here, and what
 * is here must not name what went. A key wrap names its subject and reader in its id.
 */
const checkReferences = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  todo: Plan,
  released: ReadonlyArray<string>
) {
  const holdings = yield* Holdings
  const came = [...todo.create, ...todo.update].map(keyFromText)
  const named = new Set<EntityId>()
  for (const { kind, id } of came) if (kind === "key-wrap") addWrap(named, id)
  const naming = came.filter((key) => NAMING_KINDS.includes(key.kind)).map((key) => key.id)
  for (const entity of yield* holdings.byIds(organisation, naming)) {
    for (const id of references(entity)) named.add(id)
  }
  for (const { id } of came) named.delete(id)
  const present = yield* holdings.present(organisation, [...named])
  for (const id of named) if (!present.has(id)) return yield* dangling(id)

  const gone = new Set<EntityId>()
  for (const key of [...todo.remove, ...released].map(keyFromText)) {
    if (key.kind !== "key-wrap") gone.add(key.id)
  }
  if (gone.size === 0) return
  const stillNamed = new Set<EntityId>()
  for (const id of yield* holdings.idsOf(organisation, "key-wrap")) addWrap(stillNamed, id)
  yield* Stream.runForEach(holdings.entities(organisation, NAMING_KINDS), (entity) =>
    Effect.sync(() => {
      for (const id of references(entity)) stillNamed.add(id)
    })
  )
  for (const id of gone) if (stillNamed.has(id)) return yield* dangling(id)
})

/** The kinds that name others in their bodies. */
const NAMING_KINDS: ReadonlyArray<Kind> = ["test-center", "eligibility"]

const addWrap = (ids: Set<EntityId>, id: EntityId) => {
  const { subject, reader } = wrapParts(id)
  ids.add(subject).add(reader)
}

const dangling = (id: EntityId) =>
  Effect.fail(new CentralInconsistent({ what: `something refers to ${id}, which is not offered` }))
