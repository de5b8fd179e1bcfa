/**
 * Makes a device hold exactly what central offers one of its organisations.
 *
 * Changes are fetched page by page to the feed's live end and kept aside, each checked against its
 * digest and its schema. Only then is the plan made and applied, with the new cursor, in one
 * transaction. So an interrupted pull leaves nothing but what it need not fetch again, a second
 * pull finds nothing to do, and nothing is removed on the strength of an answer that broke off
 * (invariants 1 to 4).
 */
import { Effect, Result, Schema } from "effect"
import type { EntityKey, Kind } from "../domain/entity.ts"
import { keyFromText, keyText, references, withReferred } from "../domain/entity.ts"
import { type Cursor, type FeedPage, type Newest, START } from "../domain/feed.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { wrapParts } from "../domain/offer.ts"
import { isIdle, needsConfirmation, type Plan, plan } from "../domain/plan.ts"
import { sameSet } from "../domain/set-digest.ts"
import { checkChanges } from "./check.ts"
import { neededKeys } from "./needed.ts"
import { Atomic, Central, CentralInconsistent, type Checked, Holdings } from "./ports.ts"
import { report } from "./progress.ts"
import { Outbox } from "./record-ports.ts"

/** So much would be removed that a person must say yes (invariant 5). Nothing was changed. */
export class RemovalNeedsConfirmation extends Schema.TaggedError<RemovalNeedsConfirmation>()(
  "RemovalNeedsConfirmation",
  {
    organisation: Schema.String,
    removing: Schema.Int,
    holding: Schema.Int,
    /** What `removing` is the sum of, by kind. */
    kinds: Schema.Record(Schema.String, Schema.Int)
  }
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
  /** Everything was compared anew: central was restored, or something that was here is missing. */
  readonly anew: boolean
  /** What central says is the newest of what it signs; unknown from a carrier that brings it along. */
  readonly newest: Newest | undefined
}

/** What is here is not closed under reference. It is rolled back before anybody sees it. */
class Dangling extends Schema.TaggedError<Dangling>()("Dangling", { id: Schema.String }) {}

export const pull = Effect.fn("pull")(function* (
  organisation: OrganisationId,
  options: PullOptions
) {
  const holdings = yield* Holdings
  if (options.kinds !== undefined) yield* holdings.dropStaged(organisation)
  const fetched = yield* fetchToEnd(organisation, options)
  // What a change refers to was lost here, or central forgot it: a full snapshot tells.
  return yield* take(organisation, options, fetched).pipe(
    Effect.catchTag("Dangling", () =>
      holdings.restart(organisation).pipe(
        Effect.andThen(fetchToEnd(organisation, options)),
        Effect.flatMap((again) => take(organisation, options, { ...again, anew: true }))
      )
    ),
    Effect.catchTag("Dangling", ({ id }) =>
      Effect.fail(
        new CentralInconsistent({ what: `something refers to ${id}, which is not offered` })
      )
    )
  )
})

interface Fetched {
  /** What is kept aside, as Holdings has it: reading it there again passes by every body. */
  readonly staged: ReadonlyMap<string, string | null>
  readonly last: FeedPage
  /** What of the last page is wanted: staged only with what follows, in one commit. */
  readonly rest: ReadonlyArray<Checked>
  readonly anew: boolean
}

/** Rolls a dry run back, with what it would have done. */
class DryRun {
  readonly _tag = "DryRun"
  readonly pulled: Pulled
  constructor(pulled: Pulled) {
    this.pulled = pulled
  }
}

/**
 * Plans and applies what is staged in one transaction: a session that begins meanwhile either finds
 * what it needs and keeps it, or comes too late.
 */
const take = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  options: PullOptions,
  { anew, last, rest, staged }: Fetched
) {
  const atomic = yield* Atomic
  const holdings = yield* Holdings
  const limited = options.kinds !== undefined
  return yield* atomic
    .run(
      Effect.gen(function* () {
        const before = yield* holdings.cursor(organisation)
        // What came in one page goes straight to its place; else it follows the pages before it.
        const direct = staged.size === 0 || rest.length === 0
        if (!direct) yield* holdings.stage(organisation, rest, START)
        const full = !limited && before.version === 0
        const changes = new Map([...staged, ...rest.map(digestByKey)])
        const todo = yield* planOf(organisation, changes, full)
        if (!options.dryRun) yield* guardRemovals(organisation, todo.remove, options)
        const cursor = { epoch: last.epoch, version: last.head }
        const moved = cursor.version !== before.version || cursor.epoch !== before.epoch
        if (moved || !isIdle(todo)) {
          const fresh = direct ? rest : []
          yield* holdings.apply(organisation, todo, limited ? undefined : cursor, fresh)
        }
        const plan = limited ? todo : yield* released(organisation, todo)
        yield* checkReferences(organisation, plan)
        const same = limited ? undefined : sameSet(yield* holdings.set(organisation), last.set)
        const { head, newest } = last
        const pulled: Pulled = { organisation, plan, head, same, anew, newest }
        if (!options.dryRun) return pulled
        return yield* Effect.fail(new DryRun({ ...pulled, same: undefined }))
      })
    )
    .pipe(
      Effect.catchIf(
        (error) => error instanceof DryRun,
        ({ pulled }) => Effect.succeed(pulled)
      )
    )
})

/** Fetches until central has nothing newer, and stages all but the last page. */
const fetchToEnd = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  { kinds }: PullOptions
) {
  const atomic = yield* Atomic
  const central = yield* Central
  const holdings = yield* Holdings
  const outbox = yield* Outbox
  const wanted = kinds === undefined ? undefined : withReferred(kinds)
  const ask = (after: Cursor) => Effect.result(central.page(organisation, after))
  const staged = new Map<string, string | null>(yield* holdings.staged(organisation))
  let since = yield* holdings.stagedCursor(organisation)
  let began = since.version
  let anew = false
  let answer = yield* ask(since)
  for (;;) {
    if (Result.isFailure(answer)) {
      if (answer.failure._tag !== "FeedReset") return yield* answer.failure
      // It was restored from a backup, and has lost what it acknowledged since.
      // Once: a central that lives two lives at a time would send us round and round.
      if (anew) return yield* inconsistent("the feed can't be read from its start")
      yield* atomic.run(Effect.andThen(holdings.restart(organisation), outbox.resend))
      staged.clear()
      anew = true
      since = START
      began = 0
      answer = yield* ask(since)
      continue
    }
    const page = answer.success
    const reached = yield* endOf(page, since)
    const total = Math.max(0, page.head - began)
    yield* report({
      kind: `entities ${organisation}`,
      label: `Fetching data of ${organisation}`,
      phase: page.more ? "running" : "finished",
      done: Math.max(0, Math.min(total, reached.version - began)),
      total
    })
    if (!page.more) {
      return { staged, last: page, rest: yield* checkPage(page, wanted), anew } satisfies Fetched
    }
    // The next page is under way while this one is kept: two of them are in memory, never more.
    // What has come is kept, also when somebody cancels while the next is awaited.
    const kept = Effect.uninterruptible(keep(organisation, page, reached, wanted))
    const [following, checked] = yield* Effect.all([ask(reached), kept], { concurrency: 2 })
    for (const one of checked) staged.set(...digestByKey(one))
    since = reached
    answer = following
  }
})

const digestByKey = ({ change }: Checked) => [keyText(change), change.digest] as const

/** Checks a page and keeps aside what is wanted of it; answers that. */
const keep = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  page: FeedPage,
  reached: Cursor,
  wanted: ReadonlySet<Kind> | undefined
) {
  const holdings = yield* Holdings
  // Lets the request for the next page leave first: checking takes the whole thread.
  yield* Effect.yieldNow
  const kept = yield* checkPage(page, wanted)
  // What only some kinds were taken from is nothing that a later pull may build on.
  yield* holdings.stage(organisation, kept, wanted === undefined ? reached : START)
  return kept
})

/** What is wanted of a page, checked. */
const checkPage = (page: FeedPage, wanted: ReadonlySet<Kind> | undefined) =>
  Effect.map(checkChanges(page.changes), (checked) =>
    wanted === undefined
      ? checked
      : checked.filter(({ change }) => wanted.has(change.kind) && change.digest !== null)
  )

/** Where a page leaves the cursor. A page that stands still or goes back would never end. */
const endOf = (page: FeedPage, since: Cursor): Effect.Effect<Cursor, CentralInconsistent> => {
  const last = page.changes.at(-1)?.version
  const ordered = page.changes.every(
    (change, at) => change.version > (page.changes[at - 1]?.version ?? since.version)
  )
  const sameLife = since.version === 0 || page.epoch === since.epoch
  if (!ordered || !sameLife || page.head < (last ?? since.version)) {
    return inconsistent("a page of the feed is out of order")
  }
  if (page.more && last === undefined) return inconsistent("a page of the feed is empty")
  return Effect.succeed({
    epoch: page.epoch,
    version: page.more ? (last ?? since.version) : page.head
  })
}

/** The plan that changes call for. From the feed's start it is the plan of everything. */
const planOf = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  changes: ReadonlyMap<string, string | null>,
  full: boolean
) {
  const holdings = yield* Holdings
  const remote = new Map<string, string>()
  for (const [key, digest] of changes) if (digest !== null) remote.set(key, digest)
  const local = yield* holdings.manifest(organisation, full ? "all" : [...changes.keys()])
  return plan(local, remote, yield* neededKeys(organisation))
})

/**
 * Removes what is kept back and needed no longer, asked anew after the plan was applied: what is
 * needed may refer to other things now. Answers the plan with that.
 */
const released = Effect.fnUntraced(function* (organisation: OrganisationId, todo: Plan) {
  const holdings = yield* Holdings
  const kept = yield* holdings.keptBack(organisation)
  if (kept.length === 0) return todo
  const needed = yield* neededKeys(organisation)
  const going = new Set(kept.filter((key) => !needed.has(key)))
  yield* holdings.release(organisation, [...going])
  return {
    ...todo,
    remove: [...todo.remove, ...going],
    held: todo.held.filter((key) => !going.has(key))
  }
})

/** Fails with RemovalNeedsConfirmation when so much would go that a person must say yes. */
export const guardRemovals = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  remove: Plan["remove"],
  options: PullOptions
) {
  const holdings = yield* Holdings
  const kinds: Record<string, number> = {}
  for (const { kind } of remove.map(keyFromText)) {
    if (kind !== "key-wrap") kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  const removing = Object.values(kinds).reduce((sum, count) => sum + count, 0)
  if (removing === 0 || options.confirmRemovals) return
  let holding = 0
  for (const [kind, count] of yield* holdings.count(organisation)) {
    if (kind !== "key-wrap") holding += count
  }
  if (needsConfirmation(removing, holding)) {
    return yield* new RemovalNeedsConfirmation({ organisation, removing, holding, kinds })
  }
})

/**
 * Demands that everything resolves (invariant 2): what came must name only what is here, and what
 * is here must not name what went. A key wrap names its subject and reader in its id.
 */
const checkReferences = Effect.fnUntraced(function* (organisation: OrganisationId, todo: Plan) {
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
  for (const id of named) if (!present.has(id)) return yield* new Dangling({ id })

  const gone = todo.remove.map(keyFromText).filter(({ kind }) => kind !== "key-wrap")
  const stillNamed = gone.length === 0 ? new Set() : yield* namedHere(organisation, gone)
  for (const { id } of gone) if (stillNamed.has(id)) return yield* new Dangling({ id })
})

/**
 * What entities that are here name; of what key wraps name, only as much as `gone` asks for. A wrap
 * is found by its reader, but by the center or delivery it is about only among all wraps.
 */
const namedHere = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  gone: ReadonlyArray<EntityKey>
) {
  const holdings = yield* Holdings
  const named = new Set<EntityId>()
  const ids = gone.map(({ id }) => id)
  for (const id of yield* holdings.readers(organisation, ids)) named.add(id)
  if (gone.some(({ kind }) => kind === "test-center" || kind === "delivery")) {
    for (const id of yield* holdings.idsOf(organisation, "key-wrap")) addWrap(named, id)
  }
  const naming = yield* holdings.mentioning(organisation, NAMING_KINDS, ids)
  for (const entity of yield* holdings.byIds(organisation, naming)) {
    for (const id of references(entity)) named.add(id)
  }
  return named
})

/** The kinds that name others in their bodies. */
const NAMING_KINDS: ReadonlyArray<Kind> = ["test-center", "eligibility"]

const addWrap = (ids: Set<EntityId>, id: EntityId) => {
  const { subject, reader } = wrapParts(id)
  ids.add(subject).add(reader)
}

const inconsistent = (what: string) => Effect.fail(new CentralInconsistent({ what }))
