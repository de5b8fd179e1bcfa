/**
 * Ends a session: finished by its test-taker, terminated or cancelled by a proctor. The answers are
 * put into one document, signed by the device, sealed to those who may read results, and numbered in
 * the ledger; in the same transaction the saves, their key and the log go. Before it the session can
 * be gone on with, after it nobody on this device can read an answer (invariants 6 and 9).
 */
import { Effect, Option, Schema } from "effect"
import { canonical } from "../domain/canonical.ts"
import type { DeviceId, Digest } from "../domain/id.ts"
import type { DeviceEvent, DeviceStage, EndStage } from "../domain/lifecycle.ts"
import { stepOnDevice } from "../domain/lifecycle.ts"
import type {
  ExecutionId,
  LogBody,
  LogEntry,
  ResultDocument,
  SessionBody
} from "../domain/result.ts"
import type { RootDocument } from "../domain/root.ts"
import {
  executionOf,
  factsOf,
  gatherVariables,
  logText,
  nextEntry,
  type Save,
  type Session
} from "../domain/session.ts"
import { Atomic, DeviceIdentity, Executions, Hashing } from "./ports.ts"
import { Outbox, Sending } from "./record-ports.ts"
import { Moments, ResultSealer, SessionKeys, Sessions, type Visitor } from "./session-ports.ts"
import { openSaves } from "./session-saves.ts"
import {
  findSession,
  NoSession,
  ownSession,
  type Reason,
  rosterKeys,
  SessionLocked,
  unlockSession,
  WrongStage
} from "./session-step.ts"
import { NoResultsKey } from "./sit.ts"

const ENDS = { finish: "finished", terminate: "terminated", cancel: "cancelled" } as const
type End = keyof typeof ENDS

/**
 * Finishes one's own session; a second time is a success. Fails with NoSession, WrongStage, or
 * SessionLocked.
 */
export const finish = Effect.fn("finish")(function* (visitor: Visitor, execution: ExecutionId) {
  const session = yield* ownSession(visitor, execution)
  if (session.stage === "finished") return session
  yield* follow(session.stage, "finish")
  return yield* unlockSession(session, visitor).pipe(
    Effect.andThen(end(execution, "finish", visitor.person, null)),
    // Somebody pressed twice: the other request was first.
    Effect.catch((error) =>
      Effect.flatMap(ownSession(visitor, execution), (now) =>
        now.stage === "finished" ? Effect.succeed(now) : Effect.fail(error)
      )
    )
  )
})

/** Ends somebody's session as a proctor of its center; fails like `finish`. */
export const endAsProctor = Effect.fn("endAsProctor")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  event: "terminate" | "cancel",
  reason: Reason
) {
  const session = yield* findSession(execution)
  if ((yield* rosterKeys(session, visitor)).size === 0) return yield* new NoSession()
  if (session.stage === ENDS[event]) return session
  yield* follow(session.stage, event)
  yield* unlockSession(session, visitor)
  return yield* end(execution, event, visitor.person, reason)
})

/** Something was saved, or ended, while the result was being sealed: once more with that. */
class Overtaken extends Schema.TaggedError<Overtaken>()("Overtaken", {}) {}

/**
 * Ends a session whose key is in memory. Sealing takes 12 ms and is done outside of the transaction,
 * which then looks whether anything came between.
 */
export const end = Effect.fnUntraced(function* (
  execution: ExecutionId,
  event: End,
  who: string,
  reason: Reason
) {
  const atomic = yield* Atomic
  const keys = yield* SessionKeys
  const sessions = yield* Sessions
  const once = Effect.gen(function* () {
    const prepared = yield* prepare(execution, event, who, reason)
    return yield* atomic.run(commit(prepared))
  })
  // A test-taker who goes on saving can't hold the end up: they are one, and each try takes 12 ms.
  const ended = yield* sessions.alone(
    Effect.retry(once, { while: (error) => error._tag === "Overtaken", times: TRIES_MAX }).pipe(
      Effect.catchTag("Overtaken", (error) => Effect.die(error))
    )
  )
  yield* keys.forget(execution)
  yield* sessions.scrub
  return ended
})

const TRIES_MAX = 50

type Prepared = Effect.Success<ReturnType<typeof prepare>>

const prepare = Effect.fnUntraced(function* (
  execution: ExecutionId,
  event: End,
  who: string,
  reason: Reason
) {
  const hashing = yield* Hashing
  const moments = yield* Moments
  const outbox = yield* Outbox
  const sealer = yield* ResultSealer
  const { device, results } = yield* addressees
  const session = yield* findSession(execution)
  yield* follow(session.stage, event)
  const finishedAt = yield* moments.now
  const what = ENDS[event]
  const seen = yield* stateOf(execution)
  const last = nextEntry(seen.log.at(-1), { at: finishedAt, what, who, reason }, hashing.sha256)
  const entries = [...seen.log, last]
  const { head } = yield* outbox.head
  const document: ResultDocument = {
    schema: "testferry/result/1",
    device,
    ...factsOf(session, what, finishedAt),
    log: { count: entries.length, head: hashing.sha256(logText(last)) },
    prevLedger: head,
    recipients: results.map(({ id }) => id),
    variables: gatherVariables(yield* openAll(execution, seen.saves))
  }
  const recipients = results.map(({ recipient }) => recipient)
  const body = yield* sealer.seal(
    canonical({ ...document, variables: plain(document) }),
    recipients
  )
  return { body, device, document, entries, head, seen, session }
})

/** The schema's types in the words of JSON. */
const plain = ({ variables }: ResultDocument) =>
  variables.map((set) => ({
    ...set,
    variables: set.variables.map((variable) => ({
      ...variable,
      values: variable.values?.map((value) => ({ ...value })) ?? null
    }))
  }))

/** A session that nothing was saved in can be ended by who can't open it. */
const openAll = Effect.fnUntraced(function* (execution: ExecutionId, saves: ReadonlyArray<Save>) {
  const keys = yield* SessionKeys
  if (saves.length === 0) return []
  if (!(yield* keys.isUnlocked(execution))) return yield* new SessionLocked()
  return yield* openSaves(execution)
})

const addressees = Effect.gen(function* () {
  const identity = yield* DeviceIdentity
  const membership = yield* identity.membership
  const results = Option.flatMap(membership, ({ root }) => Option.fromNullOr(root.results))
  if (Option.isNone(membership) || Option.isNone(results)) return yield* new NoResultsKey()
  return { device: membership.value.device, results: distinct(results.value) }
})

/** A central may keep one key for both. */
const distinct = ({ active, recovery }: NonNullable<RootDocument["results"]>) =>
  active.recipient === recovery.recipient ? [active] : [active, recovery]

/** Everything whose change would make a prepared result untrue. */
const stateOf = Effect.fnUntraced(function* (execution: ExecutionId) {
  const sessions = yield* Sessions
  return { saves: yield* sessions.saves(execution), log: yield* sessions.log(execution) }
})

/** Takes the prepared end over, if all is as it was when it was prepared; in one transaction. */
const commit = Effect.fnUntraced(function* (prepared: Prepared) {
  const { body, device, document, entries, head, seen, session } = prepared
  const executions = yield* Executions
  const outbox = yield* Outbox
  const sessions = yield* Sessions
  const now = yield* stateOf(session.execution)
  const same =
    isSame(seen, now) &&
    (yield* findSession(session.execution)).stage === session.stage &&
    (yield* outbox.head).head === head
  if (!same) return yield* new Overtaken()
  const { end: what, finishedAt } = document
  const append = yield* appender(session, what)
  const result = yield* append("result", body)
  yield* append("test-session", canonical(sessionBody(session, device, document, result.sha256)))
  yield* append("result-log", canonical(logBody(session, device, entries)))
  const ended: Session = { ...session, stage: what, pausedBy: null, finishedAt }
  yield* sessions.put(ended)
  yield* sessions.strip(session.execution)
  yield* executions.put(executionOf(ended, "pending"))
  return ended
})

type Seen = Effect.Success<ReturnType<typeof stateOf>>

const isSame = (a: Seen, b: Seen): boolean =>
  a.log.length === b.log.length &&
  a.saves.length === b.saves.length &&
  a.saves.every((save, at) => save.part === b.saves[at]?.part && save.seq === b.saves[at].seq)

/** The stage in which records of such an end lie: each arrow of the table is followed. */
const appender = Effect.fnUntraced(function* (session: Session, what: EndStage) {
  const outbox = yield* Outbox
  const { statusExecutionsToSync: sent } = yield* Sending
  const sealed = yield* follow(what, "seal")
  const stage = sent.includes(what) ? yield* follow(sealed, "queue") : sealed
  if (stage !== "sealed" && stage !== "queued") return yield* Effect.die(new Error(stage))
  const { execution: id, revision } = session
  return (kind: "result" | "test-session" | "result-log", body: string) =>
    outbox.append({ kind, id, revision, body, end: what, stage })
})

const sessionBody = (
  session: Session,
  device: DeviceId,
  { end: what, finishedAt }: ResultDocument,
  result: Digest
): SessionBody => ({
  schema: "testferry/session/1",
  device,
  ...factsOf(session, what, finishedAt),
  result
})

const logBody = (
  { execution, revision }: Session,
  device: DeviceId,
  entries: ReadonlyArray<LogEntry>
): LogBody => ({ schema: "testferry/log/1", device, execution, revision, entries })

const follow = (stage: DeviceStage, event: DeviceEvent) =>
  Effect.mapError(
    Effect.fromResult(stepOnDevice(stage, event)),
    (no) => new WrongStage({ stage: no.stage, event: no.event })
  )
