/**
 * Plays a test whose order and rules this device keeps (QTI 3.0 ASI): see where one stands, open the
 * current item, answer, move, hand in. When any of this answers, it is on the disk; after a power cut
 * the test-taker is at the same item with the same answers, and the time in between does not count.
 */
import { Effect, Result } from "effect"
import { ALL_FALSE, type Answers, type Step } from "../domain/advance.ts"
import { type ItemSave, isAnswer, type Known, knownOf, withSet } from "../domain/item-save.ts"
import type { ExecutionId } from "../domain/result.ts"
import * as Sequence from "../domain/sequence.ts"
import { current, placeOf, type TestState } from "../domain/test-state.ts"
import { itemMillis } from "../domain/test-timers.ts"
import { rubricsOf, rulesOf, viewOf } from "../domain/test-view.ts"
import { finish } from "./end-session.ts"
import { PlayRefused, refusedBy, settle } from "./play-decide.ts"
import { ItemForPage, Scorer } from "./play-ports.ts"
import { conclude, marked, scoreEnded } from "./play-score.ts"
import { itemPart, itemText, type Table, turn } from "./play-turn.ts"
import { Hashing } from "./ports.ts"
import type { Visitor } from "./session-ports.ts"
import { isPlayed, Stale } from "./session-saves.ts"
import { ownSession, unlockSession } from "./session-step.ts"

/** Where the test-taker stands. The first time, their route is drawn, and never again. */
export const view = Effect.fn("view")(function* (visitor: Visitor, execution: ExecutionId) {
  return yield* turn(visitor, execution, ({ state }) =>
    Effect.succeed({ state, answer: undefined })
  ).pipe(Effect.map(seen))
})

type Taken = Effect.Success<ReturnType<typeof turn<unknown, never, never>>>

const seen = ({ now, plan, revision, state }: Taken) => ({
  ...viewOf(plan, state),
  revision,
  serverTime: now.wall
})

/**
 * Opens the item at which the test-taker is, with everything that was kept of it. Fails with
 * PlayRefused for any other item, and like `turn`.
 */
export const openItem = Effect.fn("openItem")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  ref: string,
  contentUrl: (path: string) => string
) {
  const page = yield* ItemForPage
  const { answer, revision } = yield* turn(
    visitor,
    execution,
    Effect.fnUntraced(function* (table: Table) {
      const state = yield* allowed(Sequence.present(table.plan, table.state, ref))
      const item = yield* currentItem(state, ref)
      const { path } = placeOf(table.plan, item).item
      const xml = yield* itemText(table, path)
      const part = yield* itemPart(execution, ref)
      const templates = part.save.templates ?? (yield* drawn(xml))
      const isDrawn = templates !== null && part.save.templates === null
      const save = { ...part.save, templates }
      const answer = {
        ref,
        xml: page.prepare(xml, path, contentUrl, templates ?? []),
        rubrics: rubricsOf(table.plan, item).map((one) =>
          page.rubric(one.xml, one.path, contentUrl)
        ),
        saved: { seq: save.seq, responses: knownOf(part), playerState: save.playerState },
        templates: templates ?? [],
        attempt: item.open ? item.attempts + 1 : item.attempts,
        state: item.closed || !item.open ? ("closed" as const) : ("interacting" as const),
        rules: rulesOf(table.plan, state, item)
      }
      const parts = new Map(isDrawn ? [[ref, { ...part, save }]] : [])
      return { state, parts, answer }
    })
  )
  return { ...answer, revision }
})

/** The template values of an item; null: it must be tried again. */
const drawn = Effect.fnUntraced(function* (xml: string) {
  const scorer = yield* Scorer
  if (!/<(?:qti-template-declaration|templateDeclaration)\b/u.test(xml)) return []
  return yield* scorer
    .prepare({ xml })
    .pipe(Effect.catchTag("Unprocessed", () => Effect.succeed(null)))
})

/** What a page sends of an item: everything, each time. `seq` grows; the same may be sent again. */
export interface Answered {
  readonly seq: number
  readonly responses: ReadonlyArray<Known>
  readonly playerState: ItemSave["playerState"]
  /** What the player says of them. */
  readonly valid: boolean
}

/**
 * Keeps the answers to the current item. Fails with PlayRefused, Stale where a newer or another save of
 * that number is kept, and like `turn`.
 */
export const saveResponses = Effect.fn("saveResponses")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  ref: string,
  answered: Answered
) {
  const taken = yield* turn(visitor, execution, (table) => keepAnswers(table, ref, answered))
  return { ref, seq: answered.seq, revision: taken.revision }
})

const keepAnswers = Effect.fnUntraced(function* (
  table: Table,
  ref: string,
  { playerState, responses, seq, valid }: Answered
) {
  const hashing = yield* Hashing
  const { now, plan, session, state: before } = table
  const part = yield* itemPart(session.execution, ref)
  const digest = hashing.sha256(JSON.stringify([responses, playerState, valid]))
  if (part.save.digest !== null && seq <= part.save.seq) {
    const same = seq === part.save.seq && digest === part.save.digest
    if (same) return { state: before, answer: undefined }
    return yield* new Stale({ part: ref, kept: part.save.seq })
  }
  const isAnswered = responses.some(isAnswer)
  const isValid = valid && (yield* isAccepted(table, responses))
  const said = { answered: isAnswered, valid: isValid }
  const state = yield* allowed(Sequence.record(plan, before, ref, said))
  const item = yield* currentItem(state, ref)
  const save = { ...part.save, seq, digest, playerState }
  const kept = withSet(
    { ...part, save },
    {
      item,
      index: state.position,
      attempt: item.attempts + 1,
      responses,
      outcomes: [],
      templates: save.templates ?? [],
      completed: false,
      pending: false,
      external: false,
      millis: itemMillis(state, ref),
      at: now.wall
    }
  )
  return { state, parts: new Map([[ref, kept]]), answer: undefined }
})

/** The page may be mistaken; asked only where it matters, since an item has to be read for it. */
const isAccepted = Effect.fnUntraced(function* (table: Table, responses: ReadonlyArray<Known>) {
  const page = yield* ItemForPage
  const item = current(table.state)
  const planned = item === undefined ? undefined : placeOf(table.plan, item).item
  if (planned?.control.validateResponses !== true) return true
  return page.accepts(yield* itemText(table, planned.path), responses)
})

/**
 * Ends the attempt at the current item: its answers are on the disk before they are scored. The same
 * number again changes nothing. Fails like `saveResponses`.
 */
export const endAttempt = Effect.fn("endAttempt")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  ref: string,
  answered: Answered
) {
  yield* saveResponses(visitor, execution, ref, answered)
  return yield* turn(
    visitor,
    execution,
    Effect.fnUntraced(function* (table: Table) {
      const part = yield* itemPart(execution, ref)
      if (part.save.ended === answered.seq) return { state: table.state, answer: undefined }
      const after = yield* allowed(Sequence.endAttempt(table.plan, table.state, ref))
      const scored = yield* scoreEnded(table, after)
      const parts = new Map(
        [...scored.parts].map(([key, one]) => [
          key,
          { ...one, save: { ...one.save, ended: answered.seq } }
        ])
      )
      return { state: marked(after, scored), parts, answer: undefined }
    })
  ).pipe(Effect.map(seen))
})

/** Where a page wants to go, and why. `from`: where it thinks that it is. */
export interface Move {
  readonly from: string
  /** `next`, `previous`, or an item. */
  readonly to: string
  readonly reason: "move" | "skip" | "timeout"
}

/** Moves. Fails with PlayRefused, and like `turn`. */
export const move = Effect.fn("move")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  wanted: Move
) {
  return yield* turn(
    visitor,
    execution,
    Effect.fnUntraced(function* (table: Table) {
      const { state: before } = table
      const here = current(before)?.key
      if (here !== wanted.from) {
        const code = here === undefined ? "over" : "wrong-item"
        return yield* new PlayRefused({ code, item: here ?? null })
      }
      // What a move ends does not depend on where it leads: that is scored first, for the conditions.
      const dry = yield* allowed(stepOf(table, wanted)(ALL_FALSE))
      const scored = yield* scoreEnded(table, dry._tag === "Moved" ? dry.state : before)
      const newer = [...scored.parts.values()].flatMap(({ sets }) => sets)
      const after = yield* settle(
        execution,
        before,
        (answers) => Result.getOrElse(stepOf(table, wanted)(answers), () => dry),
        newer
      )
      return { state: marked(after, scored), parts: scored.parts, answer: undefined }
    })
  ).pipe(Effect.map(seen))
})

const stepOf =
  ({ plan, state }: Table, { reason, to }: Move) =>
  (answers: Answers): Result.Result<Step, Sequence.Refusal> => {
    const stood = (outcome: Result.Result<TestState, Sequence.Refusal>) =>
      Result.map(outcome, (after): Step => ({ _tag: "Moved", state: after }))
    if (reason === "timeout") return Sequence.timeout(plan, state, answers)
    if (to === "previous") return stood(Sequence.previous(plan, state))
    if (to !== "next") return stood(Sequence.goTo(plan, state, to))
    return Sequence.next(plan, state, answers, reason === "skip" ? "skip" : "next")
  }

/** Marks an item to come back to, or takes the mark away. Fails with PlayRefused, and like `turn`. */
export const flag = Effect.fn("flag")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  ref: string,
  flagged: boolean
) {
  return yield* turn(visitor, execution, ({ plan, state }) =>
    Effect.map(allowed(Sequence.flag(plan, state, ref, flagged)), (after) => ({
      state: after,
      answer: undefined
    }))
  ).pipe(Effect.map(seen))
})

/**
 * Hands in: ends what runs, computes what the test computes, and seals it all. `early`: though more
 * would come. A second time is a success. Fails with PlayRefused, like `turn`, and like `finish`.
 */
export const complete = Effect.fn("complete")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  early: boolean
) {
  const { stage } = yield* ownSession(visitor, execution)
  if (stage === "finished") return yield* finish(visitor, execution)
  yield* turn(
    visitor,
    execution,
    Effect.fnUntraced(function* (table: Table) {
      const after = yield* allowed(Sequence.complete(table.plan, table.state, early))
      const scored = yield* scoreEnded(table, after)
      const sets = [
        yield* conclude(
          table,
          [...scored.parts.values()].flatMap((one) => one.sets)
        )
      ]
      return { state: marked(after, scored), parts: scored.parts, sets, answer: undefined }
    })
  )
  return yield* finish(visitor, execution)
})

/**
 * Finishes one's own session, however it was sat: what this device plays is handed in early, and scored.
 * Fails like `complete`.
 */
export const handIn = Effect.fn("handIn")(function* (visitor: Visitor, execution: ExecutionId) {
  const session = yield* ownSession(visitor, execution)
  if (session.stage !== "started") return yield* finish(visitor, execution)
  yield* unlockSession(session, visitor)
  return (yield* isPlayed(execution))
    ? yield* complete(visitor, execution, true)
    : yield* finish(visitor, execution)
})

const allowed = <A>(outcome: Result.Result<A, Sequence.Refusal>) =>
  Effect.mapError(Effect.fromResult(outcome), refusedBy)

const currentItem = (state: TestState, ref: string) => {
  const item = current(state)
  return item === undefined
    ? Effect.fail(new PlayRefused({ code: "wrong-item", item: ref }))
    : Effect.succeed(item)
}
