/**
 * Lets a test-taker sit a delivery: begin, enter, save, pause. What is answered with success is on
 * the disk, under a key that only the test-taker, or a proctor of the center, can take out again; a
 * device that lost its power at any moment lets the test-taker go on with what was saved last.
 */
import { Clock, Effect, Option, Result, Schema } from "effect"
import { type Admitted, type Denial, mayBegin, mayEnter } from "../domain/admission.ts"
import type { Delivery, Eligibility } from "../domain/entity.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { isOpen } from "../domain/lifecycle.ts"
import { wrapId } from "../domain/offer.ts"
import type { ExecutionId } from "../domain/result.ts"
import { executionOf, type SavedPart, type Session } from "../domain/session.ts"
import { keysFor } from "./log-in.ts"
import { Atomic, DeviceIdentity, Executions, Holdings } from "./ports.ts"
import { proveContent } from "./prove-content.ts"
import { rechecking } from "./recheck.ts"
import { Moments, PackageReader, SessionKeys, Sessions, type Visitor } from "./session-ports.ts"
import { decodePlay, isPlayed, keepPart, openSaves, PLAY_PART } from "./session-saves.ts"
import { log, NoSession, ownSession, step, unlockSession, WrongStage } from "./session-step.ts"
import { NotEnrolled } from "./sync.ts"

/** Not now, or not for this person. */
export class Denied extends Schema.TaggedError<Denied>()("Denied", { why: Schema.String }) {}

/** The device can't do its part: the content is not here whole, or was not sealed to this person. */
export class ContentUnready extends Schema.TaggedError<ContentUnready>()("ContentUnready", {
  why: Schema.Literals(["missing", "no key", "unopenable", "unplayable"])
}) {}

/** The root document names no results key: nobody could ever open what would be answered. */
export class NoResultsKey extends Schema.TaggedError<NoResultsKey>()("NoResultsKey", {}) {}

/** Something that a test-taker may sit, or what stands in the way, and the session that is open. */
export interface Offered {
  readonly organisation: OrganisationId
  readonly delivery: Delivery
  readonly eligibility: Eligibility
  readonly admitted: Result.Result<Admitted, Denial>
  readonly session: Session | undefined
}

/** Everything that names this test-taker. */
export const offered = Effect.fn("offered")(function* (visitor: Visitor) {
  const sessions = yield* Sessions
  const now = yield* Clock.currentTimeMillis
  const mine = yield* sessions.list({ testTaker: visitor.person })
  const found = yield* Effect.forEach(visitor.organisations, (organisation) =>
    rechecking([organisation])(eligibilitiesOf(visitor, organisation))
  )
  return found.flat().map(({ delivery, eligibility, organisation }): Offered => {
    const before = mine.filter((one) => one.delivery === delivery.id)
    return {
      organisation,
      delivery,
      eligibility,
      admitted: mayBegin(now, delivery, eligibility, before),
      session: before.find(({ stage }) => isOpen(stage))
    }
  })
})

const eligibilitiesOf = Effect.fnUntraced(function* (
  visitor: Visitor,
  organisation: OrganisationId
) {
  const holdings = yield* Holdings
  const ids = yield* holdings.mentioning(organisation, ["eligibility"], [visitor.person])
  const entities = yield* holdings.byIds(organisation, ids)
  const found: Array<Pick<Offered, "delivery" | "eligibility" | "organisation">> = []
  for (const eligibility of entities) {
    if (eligibility.kind !== "eligibility") continue
    if (!eligibility.testTakers.includes(visitor.person)) continue
    const [delivery] = yield* holdings.byIds(organisation, [eligibility.delivery])
    if (delivery?.kind === "delivery") found.push({ organisation, delivery, eligibility })
  }
  return found
})

/**
 * Begins a delivery, or answers the session of it that is open already. Fails with NoSession when the
 * person is not eligible for it, Denied, ContentUnready, or NoResultsKey.
 */
export const begin = Effect.fn("begin")(function* (
  visitor: Visitor,
  wanted: { readonly delivery: EntityId; readonly eligibility: EntityId | undefined }
) {
  const atomic = yield* Atomic
  const identity = yield* DeviceIdentity
  const keys = yield* SessionKeys
  const membership = yield* identity.membership
  if (Option.isNone(membership)) return yield* new NotEnrolled()
  const choices = (yield* offered(visitor)).filter(
    ({ delivery, eligibility }) =>
      delivery.id === wanted.delivery && [undefined, eligibility.id].includes(wanted.eligibility)
  )
  const open = choices.find(({ session }) => session !== undefined)?.session
  if (open !== undefined) return open
  const chosen = choices.find(({ admitted }) => Result.isSuccess(admitted)) ?? choices[0]
  if (chosen === undefined) return yield* new NoSession()
  if (Result.isFailure(chosen.admitted)) return yield* new Denied({ why: chosen.admitted.failure })
  if (membership.value.root.results === null) return yield* new NoResultsKey()
  yield* proveOffered(visitor, chosen)
  const recipients = yield* recipientsOf(visitor, chosen)
  const execution = yield* keys.newExecution
  const keyBox = yield* keys.make(execution, recipients)
  return yield* atomic.run(found(visitor, chosen, execution, keyBox)).pipe(
    Effect.tap((session) =>
      session.execution === execution ? Effect.void : keys.forget(execution)
    ),
    Effect.onError(() => keys.forget(execution))
  )
})

/** What the test-taker can't read now they should not begin. */
const proveOffered = Effect.fnUntraced(function* (
  visitor: Visitor,
  { delivery, organisation }: Offered
) {
  const [key] = yield* contentKeys(visitor, organisation, delivery.id, delivery.content.version)
  if (key === undefined) return yield* new ContentUnready({ why: "no key" })
  return yield* proveContent(delivery.content, key).pipe(
    Effect.catchTags({
      BlobDamaged: () => Effect.fail(new ContentUnready({ why: "missing" })),
      Unopenable: () => Effect.fail(new ContentUnready({ why: "unopenable" }))
    })
  )
})

const contentKeys = Effect.fnUntraced(function* (
  visitor: Visitor,
  organisation: OrganisationId,
  delivery: EntityId,
  version: number
) {
  const keys = yield* keysFor(visitor, organisation, delivery)
  return [...keys].filter(([name]) => name.startsWith(`${version} `)).map(([, key]) => key)
})

/** To whom a session's key is sealed: after a power cut one of them must open it again. */
const recipientsOf = Effect.fnUntraced(function* (
  visitor: Visitor,
  { eligibility, organisation }: Offered
) {
  const holdings = yield* Holdings
  const found = yield* holdings.byIds(organisation, [visitor.person, eligibility.testCenter])
  const recipients = found.flatMap((entity) =>
    "wrap" in entity
      ? [entity.wrap.recipient]
      : entity.kind === "test-center"
        ? [entity.roster.recipient]
        : []
  )
  // Both are referred to by the eligibility: what refers is never here without them.
  return recipients.length === 2 ? recipients : yield* Effect.die(new Error("a reference is void"))
})

/** Looks once more, now that nobody else can come between, and writes the session down. */
const found = Effect.fnUntraced(function* (
  visitor: Visitor,
  { delivery, eligibility, organisation }: Offered,
  execution: ExecutionId,
  keyBox: string
) {
  const executions = yield* Executions
  const moments = yield* Moments
  const sessions = yield* Sessions
  const createdAt = yield* moments.now
  const mine = yield* sessions.list({ testTaker: visitor.person })
  const before = mine.filter((one) => one.delivery === delivery.id)
  const open = before.find(({ stage }) => isOpen(stage))
  if (open !== undefined) return open
  const admitted = mayBegin(createdAt.wall, delivery, eligibility, before)
  if (Result.isFailure(admitted)) return yield* new Denied({ why: admitted.failure })
  const session: Session = {
    execution,
    revision: 1,
    organisation,
    testCenter: eligibility.testCenter,
    eligibility: eligibility.id,
    delivery: delivery.id,
    content: delivery.content,
    wrap: wrapId(delivery.id, delivery.content.version, visitor.person),
    testTaker: visitor.person,
    ...admitted.success,
    period: eligibility.period,
    stage: "awaiting",
    pausedBy: null,
    createdAt,
    startedAt: null,
    finishedAt: null
  }
  yield* sessions.add(session, keyBox)
  yield* executions.put(executionOf(session, "running"))
  yield* log(execution, { what: "created", who: visitor.person, reason: null })
  if (session.proctored) {
    yield* log(execution, { what: "awaiting", who: visitor.person, reason: null })
    return session
  }
  const said = { what: "authorised", who: "device", reason: null } as const
  return yield* step(session, "authorise", said)
})

/**
 * Starts a session that is authorised, resumes one that this test-taker paused, or comes back to one
 * that runs. Fails with NoSession, Denied, or SessionLocked.
 */
export const enter = Effect.fn("enter")(function* (visitor: Visitor, execution: ExecutionId) {
  const atomic = yield* Atomic
  const sessions = yield* Sessions
  const recovered = yield* unlockSession(yield* ownSession(visitor, execution), visitor)
  return yield* atomic.run(
    Effect.gen(function* () {
      const session = yield* ownSession(visitor, execution)
      const moments = yield* Moments
      const now = yield* moments.now
      const event = mayEnter(now.wall, yield* windowOf(session), session)
      if (Result.isFailure(event)) return yield* new Denied({ why: event.failure })
      const who = visitor.person
      if (event.success === "resume") {
        return yield* step(session, "resume", { what: "resumed", who, reason: null })
      }
      if (event.success === "start") {
        const startedAt = session.startedAt ?? now
        const what = session.startedAt === null ? "started" : "resumed"
        return yield* step(session, "start", { what, who, reason: null }, { startedAt })
      }
      const opened = { what: recovered ? "recovered" : "opened", who, reason: null } as const
      // A page that loads itself again and again fills the log, but keeps nobody from their test.
      yield* Effect.catchTag(log(execution, opened), "TooMuch", () => Effect.void)
      yield* sessions.put(session)
      return session
    })
  )
})

/** Periods as they are now; where central took the eligibility away, as they were. */
const windowOf = Effect.fnUntraced(function* (session: Session) {
  const holdings = yield* Holdings
  const ids = [session.delivery, session.eligibility]
  const found = yield* holdings.byIds(session.organisation, ids)
  const delivery = found.find((entity) => entity.kind === "delivery")
  const eligibility = found.find((entity) => entity.kind === "eligibility")
  return { delivery: delivery ?? { period: {} }, eligibility: eligibility ?? session }
})

/** Pauses one's own session. Fails with NoSession or WrongStage. */
export const pause = Effect.fn("pause")(function* (visitor: Visitor, execution: ExecutionId) {
  const atomic = yield* Atomic
  return yield* atomic.run(
    Effect.flatMap(ownSession(visitor, execution), (session) =>
      step(
        session,
        "pause",
        { what: "paused", who: visitor.person, reason: null },
        { pausedBy: "test-taker" }
      )
    )
  )
})

/**
 * Keeps what a runner knows of one part, under the runner's own number for it. The same save again
 * is a success. When this answers, the save is on the disk. Fails with NoSession, WrongStage, Stale,
 * TooMuch, or SessionLocked.
 */
export const save = Effect.fn("save")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  { part, seq, ...saved }: { readonly part: string; readonly seq: number } & SavedPart
) {
  const atomic = yield* Atomic
  // All in one transaction: the session can't end, and its key be forgotten, in between.
  return yield* atomic.run(
    Effect.gen(function* () {
      const session = yield* ownSession(visitor, execution)
      if (session.stage !== "started") return yield* notRunning(session)
      yield* unlockSession(session, visitor)
      // Where this device sequences the test, what was answered is saved through it alone.
      const isForged = part === PLAY_PART && Option.isSome(decodePlay(saved.state))
      if (isForged || (yield* isPlayed(execution))) {
        return yield* new WrongStage({ stage: "played", event: "save" })
      }
      return yield* keepPart(execution, { part, seq, saved })
    })
  )
})

const notRunning = ({ stage }: Session) => new WrongStage({ stage, event: "save" })

/** What was saved last, by part. Fails with NoSession, WrongStage when it ended, or SessionLocked. */
export const saved = Effect.fn("saved")(function* (visitor: Visitor, execution: ExecutionId) {
  const atomic = yield* Atomic
  return yield* atomic.run(
    Effect.gen(function* () {
      const session = yield* ownSession(visitor, execution)
      if (!isOpen(session.stage)) {
        return yield* new WrongStage({ stage: session.stage, event: "read" })
      }
      yield* unlockSession(session, visitor)
      return yield* openSaves(execution)
    })
  )
})

/** Opens the files of a session that runs. Fails with NoSession, WrongStage or ContentUnready. */
export const files = Effect.fn("files")(function* (visitor: Visitor, execution: ExecutionId) {
  const reader = yield* PackageReader
  const session = yield* ownSession(visitor, execution)
  if (session.stage !== "started") return yield* notRunning(session)
  const { content, delivery, organisation } = session
  const [key] = yield* contentKeys(visitor, organisation, delivery, content.version)
  if (key === undefined) return yield* new ContentUnready({ why: "no key" })
  return yield* reader.open(content, key).pipe(
    Effect.catchTags({
      BlobDamaged: () => Effect.fail(new ContentUnready({ why: "missing" })),
      Unopenable: () => Effect.fail(new ContentUnready({ why: "unopenable" }))
    })
  )
})

/**
 * Refuses the documents of a package while this device sequences it: they hold the keys to the answers.
 * Fails with NoSession, or SessionLocked.
 */
export const mayRead = Effect.fn("mayRead")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  name: string
) {
  const atomic = yield* Atomic
  if (!/\.xml$/iu.test(name)) return
  yield* atomic.run(
    Effect.gen(function* () {
      yield* unlockSession(yield* ownSession(visitor, execution), visitor)
      if (yield* isPlayed(execution)) return yield* new NoSession()
    })
  )
})
