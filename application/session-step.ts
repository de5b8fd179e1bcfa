/**
 * Moves a session along the arrows of its life, and writes down who moved it: the one way in which a
 * stage changes. Everything here runs inside `Atomic`.
 */
import { Effect, Option, Result, Schema } from "effect"
import type { DeviceEvent } from "../domain/lifecycle.ts"
import { stepOnDevice } from "../domain/lifecycle.ts"
import type { ExecutionId, LogEntry } from "../domain/result.ts"
import { LOG_ENTRIES_MAX, nextEntry, OWN_ENTRIES_MAX, type Session } from "../domain/session.ts"
import { keysFor } from "./log-in.ts"
import { Hashing, type Unopenable } from "./ports.ts"
import { Moments, SessionKeys, Sessions, type Visitor } from "./session-ports.ts"

/** There is no such session, or it is not this person's: they are told the same. */
export class NoSession extends Schema.TaggedError<NoSession>()("NoSession", {}) {}

/** The session can't do this now. */
export class WrongStage extends Schema.TaggedError<WrongStage>()("WrongStage", {
  stage: Schema.String,
  event: Schema.String
}) {}

/** More than a session may hold: a limit of domain/session.ts. */
export class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", {
  what: Schema.Literals(["bytes", "parts", "log"]),
  max: Schema.Int
}) {}

/** Nobody who could open the session is here: its test-taker, or a proctor of its center. */
export class SessionLocked extends Schema.TaggedError<SessionLocked>()("SessionLocked", {}) {}

/** What somebody says beside what they do. */
export type Reason = LogEntry["reason"]

export const findSession = Effect.fnUntraced(function* (execution: ExecutionId) {
  const sessions = yield* Sessions
  const found = yield* sessions.find(execution)
  return Option.isNone(found) ? yield* new NoSession() : found.value
})

/** The session of a test-taker themselves. */
export const ownSession = Effect.fnUntraced(function* (visitor: Visitor, execution: ExecutionId) {
  const session = yield* findSession(execution)
  return session.testTaker === visitor.person ? session : yield* new NoSession()
})

/** Follows an arrow, with other changes at the same time, and logs it. */
export const step = Effect.fnUntraced(function* (
  session: Session,
  event: DeviceEvent,
  said: { readonly what: LogEntry["what"]; readonly who: string; readonly reason: Reason },
  changes: Partial<Session> = {}
) {
  const sessions = yield* Sessions
  const stage = stepOnDevice(session.stage, event)
  if (Result.isFailure(stage)) return yield* new WrongStage(stage.failure)
  const moved: Session = { ...session, pausedBy: null, ...changes, stage: stage.success }
  yield* sessions.put(moved)
  yield* log(session.execution, said)
  return moved
})

/** Adds to the log of a session, which is a chain of digests. */
export const log = Effect.fnUntraced(function* (
  execution: ExecutionId,
  said: { readonly what: LogEntry["what"]; readonly who: string; readonly reason: Reason }
) {
  const sessions = yield* Sessions
  const hashing = yield* Hashing
  const moments = yield* Moments
  const last = yield* sessions.lastEntry(execution)
  const max =
    (last?.number ?? 0) < OWN_ENTRIES_MAX ? LOG_ENTRIES_MAX : yield* limitOf(execution, said)
  if ((last?.number ?? 0) >= max) return yield* new TooMuch({ what: "log", max })
  const entry = nextEntry(last, { at: yield* moments.now, ...said }, hashing.sha256)
  yield* sessions.addEntry(execution, entry)
})

const limitOf = Effect.fnUntraced(function* (
  execution: ExecutionId,
  { who }: { readonly who: string }
) {
  const { testTaker } = yield* findSession(execution)
  return testTaker === who ? OWN_ENTRIES_MAX : LOG_ENTRIES_MAX
})

/**
 * Takes the session's key into memory by what a visitor can open: their own key, or the roster key of
 * the session's center. Answers whether it had to be taken out of its box. Fails with SessionLocked.
 */
export const unlockSession = Effect.fnUntraced(function* (session: Session, visitor: Visitor) {
  const sessions = yield* Sessions
  const keys = yield* SessionKeys
  if (yield* keys.isUnlocked(session.execution)) return false
  const box = yield* sessions.keyBox(session.execution)
  if (Option.isNone(box)) return yield* new SessionLocked()
  const own = session.testTaker === visitor.person
  const rosters = own ? [] : [...(yield* rosterKeys(session, visitor)).values()]
  yield* keys
    .unlock(session.execution, box.value, own ? [visitor.identity] : rosters)
    .pipe(Effect.catchTag("Unopenable", (_: Unopenable) => Effect.fail(new SessionLocked())))
  return true
})

/** The keys of a session's center that a proctor was given; none for somebody of another center. */
export const rosterKeys = (session: Session, visitor: Visitor) =>
  keysFor(visitor, session.organisation, session.testCenter)
