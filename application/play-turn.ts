/**
 * Runs one turn of a test that this device sequences: reads where the test-taker stands, counts the
 * time, lets a verb change it, and keeps all of that at once. Whoever came between makes the turn
 * begin again with what they left: two windows never mix their answers.
 */
import { Effect, Option, Schema } from "effect"
import { diceOf } from "../domain/draw-route.ts"
import { type ItemPart, ItemSave, NEW_PART, partName } from "../domain/item-save.ts"
import type { ExecutionId, Moment } from "../domain/result.ts"
import { begin } from "../domain/sequence.ts"
import type { SavedPart, Session } from "../domain/session.ts"
import type { NumberedPlan } from "../domain/test-plan.ts"
import { newState, readingOf, type TestState } from "../domain/test-state.ts"
import { tick } from "../domain/test-timers.ts"
import { testProgress } from "../domain/test-view.ts"
import type { VariableSet } from "../domain/variable.ts"
import { settle } from "./play-decide.ts"
import { TestReader } from "./play-ports.ts"
import { Atomic, Hashing } from "./ports.ts"
import { Moments, type OpenFiles, Sessions, type Visitor, Whereabouts } from "./session-ports.ts"
import { decodePlay, keepPart, openSaves, PLAY_PART } from "./session-saves.ts"
import { log, ownSession, unlockSession, WrongStage } from "./session-step.ts"
import { ContentUnready, files } from "./sit.ts"

/** Everything that a verb finds. */
export interface Table {
  readonly visitor: Visitor
  readonly session: Session
  readonly plan: NumberedPlan
  /** With the time counted until now, and at an item. */
  readonly state: TestState
  /** What was said of the whole test. */
  readonly sets: ReadonlyArray<VariableSet>
  readonly now: Moment
}

/** What a verb leaves: parts of items only where they changed. */
export interface Turn<A> {
  readonly state: TestState
  readonly parts?: ReadonlyMap<string, ItemPart>
  readonly sets?: ReadonlyArray<VariableSet>
  readonly answer: A
}

/** Another request changed the session while this one was thinking. */
class Overtaken extends Schema.TaggedError<Overtaken>()("Overtaken", {}) {}

/** One test-taker has a few windows at most, each of which waits for its answers. */
const TRIES_MAX = 20

/** Time since the last reading is on the disk at least this often while a page asks. */
const HEARTBEAT_MILLIS = 10_000

/**
 * Runs a verb on the session of a test-taker, and answers with the revision that it left. Fails with
 * NoSession, WrongStage, SessionLocked, ContentUnready, or TooMuch.
 */
export const turn = <A, E, R>(
  visitor: Visitor,
  execution: ExecutionId,
  verb: (table: Table) => Effect.Effect<Turn<A>, E, R>
) => {
  const once = Effect.gen(function* () {
    const atomic = yield* Atomic
    const hashing = yield* Hashing
    const moments = yield* Moments
    const whereabouts = yield* Whereabouts
    const seen = yield* atomic.run(look(visitor, execution))
    const { entries, kept, session } = seen
    const plan = yield* planOf(visitor, session)
    const now = yield* moments.now
    const before =
      kept?.state ?? newState(plan, diceOf(hashing.sha256(`testferry route of ${execution}`)))
    const reading = readingOf(now, entries.at(-1)?.number ?? 0)
    const ticked = {
      ...tick(plan, before, reading, entries),
      extraMillis: session.extraMillis ?? 0
    }
    const state = yield* settle(execution, ticked, (answers) => begin(plan, ticked, answers))
    const sets = kept?.sets ?? []
    const done = yield* verb({ visitor, session, plan, state, sets, now })
    const noted = whereabouts.note(execution, testProgress(done.state))
    const parts = done.parts ?? new Map<string, ItemPart>()
    const isNew = kept === undefined || state.position !== before.position
    const isQuiet = done.state === state && parts.size === 0 && done.sets === undefined
    if (!isNew && isQuiet && !isDue(before, state)) {
      yield* noted
      return { answer: done.answer, revision: kept.seq, state: done.state, plan, now, session }
    }
    const revision = (kept?.seq ?? 0) + 1
    yield* atomic.run(
      commit(visitor, execution, { seen: kept?.seq, parts }, revision, {
        state: done.state,
        sets: done.sets ?? sets
      })
    )
    yield* noted
    return { answer: done.answer, revision, state: done.state, plan, now, session }
  })
  return Effect.retry(once, {
    while: (error) => error instanceof Overtaken,
    times: TRIES_MAX
  }).pipe(Effect.catchTag("Overtaken", (error) => Effect.die(error)))
}

/** What is kept, and what the log says of the time since. */
const look = Effect.fnUntraced(function* (visitor: Visitor, execution: ExecutionId) {
  const sessions = yield* Sessions
  const session = yield* runningSession(visitor, execution)
  if (yield* unlockSession(session, visitor)) {
    yield* log(execution, { what: "recovered", who: visitor.person, reason: null })
  }
  const entries = yield* sessions.log(execution)
  const [part] = yield* openSaves(execution, PLAY_PART)
  if (part === undefined) {
    // What another runner kept here is not what this device would have: it is not gone on with.
    const { parts } = yield* sessions.measure(execution)
    if (parts > 0) return yield* begunOtherwise
    return { session, entries, kept: undefined }
  }
  const state = Option.getOrUndefined(decodePlay(part.state))
  // Another runner sits this session, and keeps what it likes.
  if (state === undefined) return yield* begunOtherwise
  return { session, entries, kept: { seq: part.seq, state, sets: part.variables } }
})

const begunOtherwise = Effect.suspend(
  () => new WrongStage({ stage: "begun otherwise", event: "play" })
)

const runningSession = Effect.fnUntraced(function* (visitor: Visitor, execution: ExecutionId) {
  const session = yield* ownSession(visitor, execution)
  return session.stage === "started"
    ? session
    : yield* new WrongStage({ stage: session.stage, event: "play" })
})

const planOf = Effect.fnUntraced(function* (visitor: Visitor, session: Session) {
  const reader = yield* TestReader
  return yield* reader.plan(session.content, files(visitor, session.execution)).pipe(
    Effect.catchTags({
      PackageRefused: () => Effect.fail(new ContentUnready({ why: "unplayable" })),
      Unopenable: () => Effect.fail(new ContentUnready({ why: "unopenable" }))
    })
  )
})

const isDue = ({ reading }: TestState, now: TestState): boolean =>
  reading === null ||
  now.reading === null ||
  reading.boot !== now.reading.boot ||
  reading.entry !== now.reading.entry ||
  now.reading.mono - reading.mono >= HEARTBEAT_MILLIS

/** Keeps all parts, if the session is as it was; in one transaction. */
const commit = Effect.fnUntraced(function* (
  visitor: Visitor,
  execution: ExecutionId,
  {
    parts,
    seen
  }: { readonly seen: number | undefined; readonly parts: ReadonlyMap<string, ItemPart> },
  revision: number,
  { sets, state }: { readonly state: TestState; readonly sets: ReadonlyArray<VariableSet> }
) {
  const sessions = yield* Sessions
  yield* runningSession(visitor, execution)
  const [kept] = yield* sessions.saves(execution, PLAY_PART)
  if (kept?.seq !== seen) return yield* new Overtaken()
  for (const [key, { number, save, sets: own }] of parts) {
    const saved: SavedPart = { state: JSON.stringify(save), variables: own }
    yield* keep(execution, partName(key), number + 1, saved)
  }
  return yield* keep(execution, PLAY_PART, revision, {
    state: JSON.stringify(state),
    variables: sets
  })
})

/** Numbers of parts are this device's own: the session's part guards them all. */
const keep = (execution: ExecutionId, part: string, seq: number, saved: SavedPart) =>
  keepPart(execution, { part, seq, saved }).pipe(
    Effect.catchTag("Stale", (error) => Effect.die(error))
  )

/** What is kept of an item; of one that was never opened, nothing but defaults. */
export const itemPart = Effect.fnUntraced(function* (execution: ExecutionId, key: string) {
  const atomic = yield* Atomic
  const [part] = yield* atomic.run(openSaves(execution, partName(key)))
  if (part === undefined) return NEW_PART
  const save = yield* Effect.orDie(decodeItem(part.state))
  return { number: part.seq, save, sets: part.variables } satisfies ItemPart
})

const decodeItem = Schema.decodeUnknownEffect(Schema.fromJsonString(ItemSave))

/** The files of the package of a session that runs. */
export const filesOf = ({ session, visitor }: Table): ReturnType<typeof files> =>
  files(visitor, session.execution)

/** The text of an item. */
export const itemText = Effect.fnUntraced(function* (table: Table, path: string) {
  const reader = yield* TestReader
  const open: OpenFiles = yield* filesOf(table)
  return yield* reader.text(open, path).pipe(
    Effect.catchTags({
      PackageRefused: () => Effect.fail(new ContentUnready({ why: "unplayable" })),
      Unopenable: () => Effect.fail(new ContentUnready({ why: "unopenable" }))
    })
  )
})
