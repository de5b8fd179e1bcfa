/**
 * Lets a proctor, or an administrator of a test center, see and steer the sessions of their centers.
 * What makes somebody a proctor of a center is that they were given the key of its roster: who was
 * not, is told that there is no such session.
 */
import { Effect, Option, Schema } from "effect"
import { type Entity, Profile } from "../domain/entity.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import type { DeviceEvent } from "../domain/lifecycle.ts"
import { isOpen } from "../domain/lifecycle.ts"
import type { ExecutionId, LogEntry } from "../domain/result.ts"
import type { Session } from "../domain/session.ts"
import type { TestProgress } from "../domain/test-view.ts"
import { keysFor } from "./log-in.ts"
import { Atomic, Holdings, Opener } from "./ports.ts"
import { rechecking } from "./recheck.ts"
import { Moments, OpenedProfiles, Sessions, type Visitor, Whereabouts } from "./session-ports.ts"
import {
  findSession,
  log,
  NoSession,
  type Reason,
  rosterKeys,
  step,
  WrongStage
} from "./session-step.ts"

/** A session with the names that a proctor needs. */
export interface Watched {
  readonly session: Session
  readonly center: string
  readonly delivery: string
  /** Null where the profile was not sealed to this center's roster (yet). */
  readonly testTaker: { readonly login: string; readonly label: string } | null
  /** When it came into its stage, by the wall clock. */
  readonly since: number
  /** Null where nothing was done in this test since the device was started. */
  readonly progress: TestProgress | null
}

/** Longer ago than a day of exams nobody asks who handed in. */
const ENDED_SHOWN_MILLIS = 24 * 3_600_000

/** The sessions of the proctor's centers, also those that ended within a day; oldest first. */
export const watched = Effect.fn("watched")(function* (visitor: Visitor) {
  const found = yield* Effect.forEach(visitor.organisations, (organisation) =>
    rechecking([organisation])(watchedIn(visitor, organisation))
  )
  return found.flat()
})

const watchedIn = Effect.fnUntraced(function* (visitor: Visitor, organisation: OrganisationId) {
  const holdings = yield* Holdings
  const sessions = yield* Sessions
  const whereabouts = yield* Whereabouts
  const { wall } = yield* (yield* Moments).now
  const all: Array<Watched> = []
  for (const id of yield* holdings.idsOf(organisation, "test-center")) {
    const keys = [...(yield* keysFor(visitor, organisation, id)).values()]
    if (keys.length === 0) continue
    const mine = yield* sessions.list({ testCenters: [id] })
    const shown = mine.filter(
      ({ finishedAt, organisation: of }) =>
        of === organisation && (finishedAt === null || wall - finishedAt.wall < ENDED_SHOWN_MILLIS)
    )
    const ids = shown.flatMap(({ delivery, testTaker }) => [delivery, testTaker])
    const found = yield* holdings.byIds(organisation, [...new Set([id, ...ids])])
    const held = new Map(found.map((entity) => [entity.id, entity]))
    for (const session of shown) {
      all.push({
        session,
        center: labelOf(held, id),
        delivery: labelOf(held, session.delivery),
        testTaker: yield* nameOf(held.get(session.testTaker), keys),
        since: yield* sinceOf(session),
        progress: Option.getOrNull(yield* whereabouts.of(session.execution))
      })
    }
  }
  return all
})

/** What changes a stage; the rest of a log happens within one. */
const STAGES: ReadonlySet<LogEntry["what"]> = new Set([
  "created",
  "awaiting",
  "authorised",
  "started",
  "paused",
  "resumed"
])

/** The log of an ended session is gone with its answers. */
const sinceOf = Effect.fnUntraced(function* (session: Session) {
  const { createdAt, execution, finishedAt } = session
  if (finishedAt !== null) return finishedAt.wall
  const sessions = yield* Sessions
  const last = yield* sessions.lastEntry(execution)
  if (last !== undefined && STAGES.has(last.what)) return last.at.wall
  const entries = yield* sessions.log(execution)
  return (entries.findLast(({ what }) => STAGES.has(what))?.at ?? createdAt).wall
})

/** The id where it is gone: ended sessions outlive what they were of. */
const labelOf = (held: ReadonlyMap<EntityId, Entity>, id: EntityId): string => {
  const entity = held.get(id)
  return entity !== undefined && "label" in entity ? entity.label : id
}

const nameOf = Effect.fnUntraced(function* (
  entity: Entity | undefined,
  keys: ReadonlyArray<string>
) {
  const opened = yield* OpenedProfiles
  const opener = yield* Opener
  if (entity === undefined || !("profile" in entity)) return null
  const opening = keys.map((key) =>
    Effect.flatMap(opener.open(key, entity.profile), (text) => decodeProfile(text))
  )
  return yield* opened.of(entity.profile, keys, Effect.firstSuccessOf(opening)).pipe(
    Effect.map(({ label, login }) => ({ label, login })),
    Effect.orElseSucceed(() => null)
  )
})

const decodeProfile = Schema.decodeUnknownEffect(Schema.fromJsonString(Profile))

/** What a proctor does to a session that stays open. Ends are in end-session.ts. */
const ACTS = {
  authorise: { event: "authorise", what: "authorised" },
  withdraw: { event: "withdraw", what: "awaiting" },
  pause: { event: "pause", what: "paused" },
  resume: { event: "resume", what: "resumed" }
} as const satisfies Record<
  string,
  { readonly event: DeviceEvent; readonly what: LogEntry["what"] }
>
export type Act = keyof typeof ACTS

/** Fails with NoSession, WrongStage, or TooMuch. */
export const act = Effect.fn("act")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  name: Act,
  reason: Reason
) {
  const atomic = yield* Atomic
  const { event, what } = ACTS[name]
  return yield* atomic.run(
    Effect.gen(function* () {
      const session = yield* watchedSession(visitor, execution)
      const said = { what, who: visitor.person, reason }
      return yield* step(session, event, said, { pausedBy: event === "pause" ? "proctor" : null })
    })
  )
})

/** Writes down that something was not as it should be. Fails with NoSession, WrongStage, or TooMuch. */
export const markIrregularity = Effect.fn("markIrregularity")(function* (
  visitor: Visitor,
  execution: ExecutionId,
  reason: NonNullable<Reason>
) {
  const atomic = yield* Atomic
  return yield* atomic.run(
    Effect.gen(function* () {
      const session = yield* watchedSession(visitor, execution)
      if (!isOpen(session.stage)) {
        return yield* new WrongStage({ stage: session.stage, event: "irregularity" })
      }
      yield* log(execution, { what: "irregularity", who: visitor.person, reason })
      return session
    })
  )
})

/** A session of a center that this person proctors. Fails with NoSession. */
export const watchedSession = Effect.fnUntraced(function* (
  visitor: Visitor,
  execution: ExecutionId
) {
  const session = yield* findSession(execution)
  return (yield* rosterKeys(session, visitor)).size === 0 ? yield* new NoSession() : session
})
