/**
 * Keeps the requests of devices that asked by stick until somebody at the office decides about them:
 * takes in what was found on sticks, approves after the words were compared, refuses with a reason.
 */
import { Clock, Effect, Option, Result, Schema } from "effect"
import { readAnswer, readRequestText, type Signed, STICK_REQUEST_ID } from "../domain/enrolment.ts"
import type { Digest, OrganisationId } from "../domain/id.ts"
import type { Brought } from "../domain/waiting.ts"
import { answerRequest } from "./approve-device.ts"
import { happened } from "./happened.ts"
import { Atomic, Authority, Clients, Hashing } from "./ports.ts"
import { type Answer, type Decision, type KeptRequest, WaitingDevices } from "./waiting-ports.ts"

/** Six times a request with a name of 120 letters; more is something else. */
export const REQUEST_CHARACTERS_MAX = 8_192
/** More than a stick's notes are not read either; nobody compares so many by phone in a day. */
export const WAITING_MAX = 200
/** After that the school has found another way, or asks anew. */
export const WAITING_MILLIS = 30 * 24 * 3_600_000
/** Decided requests that are shown: to fetch an answer again, and to see what others did. */
const DECIDED_SHOWN = 100

/** No request of this id is kept, or not any more. */
export class NoSuchRequest extends Schema.TaggedError<NoSuchRequest>()("NoSuchRequest", {}) {}

/** Somebody has approved or refused it before. */
export class AlreadyDecided extends Schema.TaggedError<AlreadyDecided>()("AlreadyDecided", {
  state: Schema.Literals(["approved", "refused"])
}) {}

/** Takes in requests, each by itself; what is no request that its own key signed is not kept. */
export const bringRequests = Effect.fn("bringRequests")(function* (
  notes: ReadonlyArray<Signed>,
  by: string
) {
  const waiting = yield* WaitingDevices
  const now = yield* Clock.currentTimeMillis
  yield* waiting.forgetOutside(now - WAITING_MILLIS, now + WAITING_MILLIS)
  return yield* Effect.forEach(notes, (note) => bringOne(note, by))
})

const bringOne = Effect.fnUntraced(function* (
  note: Signed,
  by: string
): Effect.fn.Return<Brought, never, Authority | Hashing | WaitingDevices> {
  const hashing = yield* Hashing
  const waiting = yield* WaitingDevices
  if (note.text.length > REQUEST_CHARACTERS_MAX) {
    return Option.isSome(readAnswer(note.text)) ? "answer" : "too-large"
  }
  if (Option.isSome(readAnswer(note.text))) return "answer"
  if (Result.isFailure(readRequestText(note.text))) return "no-request"
  if (Option.isNone(yield* checked(note))) return "not-signed"
  const id = hashing.sha256(note.text)
  const found = Option.getOrUndefined(yield* waiting.find(id))
  if (found !== undefined) return found.decision === null ? "known" : "decided"
  if ((yield* waiting.waiting).length >= WAITING_MAX) return "too-many"
  yield* waiting.add({ id, note, by, cameAt: yield* Clock.currentTimeMillis })
  return "waiting"
})

/** The request, if the key that it names has signed it. */
const checked = Effect.fnUntraced(function* (note: Signed) {
  const authority = yield* Authority
  return Option.filter(yield* authority.checkRequest(note), ({ requestId }) =>
    STICK_REQUEST_ID.test(requestId)
  )
})

/** Everything that waits, with what is known of the device, and what was decided lately. */
export const waitingDevices = Effect.fn("waitingDevices")(function* () {
  const kept = yield* WaitingDevices
  const now = yield* Clock.currentTimeMillis
  yield* kept.forgetOutside(now - WAITING_MILLIS, now + WAITING_MILLIS)
  const waiting = yield* Effect.forEach(yield* kept.waiting, described)
  const decided = yield* Effect.forEach(yield* kept.decided(DECIDED_SHOWN), described)
  return { waiting: waiting.flat(), decided: decided.flat() }
})

const described = Effect.fnUntraced(function* (one: KeptRequest) {
  const clients = yield* Clients
  const request = Option.getOrUndefined(yield* checked(one.note))
  if (request === undefined) return []
  const device = Option.getOrUndefined(yield* clients.findBySigningKey(request.sig))
  const known =
    device === undefined ? null : { device: device.id, name: device.name, state: device.state }
  return [{ ...one, request, known }]
})

/** A request that waits, as its device wrote it: what is compared before it is approved. */
export const waitingRequest = Effect.fn("waitingRequest")(function* (id: Digest) {
  const waiting = yield* WaitingDevices
  const found = yield* waiting.find(id)
  const request = Option.getOrUndefined(
    Option.isSome(found) ? yield* checked(found.value.note) : Option.none()
  )
  if (Option.isNone(found) || request === undefined) return yield* new NoSuchRequest()
  const { decision, note } = found.value
  if (decision !== null) return yield* new AlreadyDecided({ state: decision.state })
  return { note, request }
})

/** The answer to a request that was approved, however long ago it is. */
export const answerOf = Effect.fn("answerOf")(function* (id: Digest) {
  const waiting = yield* WaitingDevices
  const decision = Option.getOrUndefined(yield* waiting.find(id))?.decision
  return decision?.state === "approved" ? decision.answer : yield* new NoSuchRequest()
})

/**
 * Approves a request whose words were compared, once: also when two people do it at the same moment.
 * `deliver` puts the answer where it has to go; the page keeps it until somebody fetches it. Fails with
 * NoSuchRequest, AlreadyDecided, OrganisationUnclear, DeviceBlocked, or as the delivery does; the
 * request waits on after the last three.
 */
export const approveWaiting = Effect.fn("approveWaiting")(function* <E, R>(
  id: Digest,
  options: {
    readonly organisation: OrganisationId | undefined
    readonly who: string
    readonly deliver: (answer: Answer) => Effect.Effect<void, E, R>
  }
) {
  const { request } = yield* waitingRequest(id)
  const { deliver, who } = options
  return yield* decideOnce(id, (now) =>
    Effect.gen(function* () {
      const approved = yield* answerRequest(request, options)
      yield* deliver(approved.answer)
      return { ...approved, state: "approved" as const, at: now, by: who }
    })
  )
})

/** Refuses a request for a reason that everybody at the office will read. */
export const refuseWaiting = Effect.fn("refuseWaiting")(function* (
  id: Digest,
  options: { readonly reason: string; readonly who: string }
) {
  const { reason, who } = options
  const { request } = yield* waitingRequest(id)
  return yield* decideOnce(id, (now) =>
    Effect.as(
      happened({ verb: "enrol", who, outcome: "refused", reason: `${request.name}: ${reason}` }),
      { state: "refused" as const, at: now, by: who, reason }
    )
  )
})

/** A failure of `decision` leaves what it wrote: that central refused somebody is remembered. */
const decideOnce = Effect.fnUntraced(function* <A extends Decision, E, R>(
  id: Digest,
  decision: (now: number) => Effect.Effect<A, E, R>
) {
  const atomic = yield* Atomic
  const waiting = yield* WaitingDevices
  const now = yield* Clock.currentTimeMillis
  const made = yield* atomic.run(
    Effect.gen(function* () {
      if (!(yield* waiting.claim(id))) return yield* decidedMeanwhile(id)
      const found = yield* Effect.result(decision(now))
      if (Result.isSuccess(found)) yield* waiting.decide(id, found.success)
      return found
    })
  )
  return yield* Effect.fromResult(made)
})

const decidedMeanwhile = Effect.fnUntraced(function* (id: Digest) {
  const waiting = yield* WaitingDevices
  const decision = Option.getOrUndefined(yield* waiting.find(id))?.decision ?? undefined
  return yield* decision === undefined
    ? new NoSuchRequest()
    : new AlreadyDecided({ state: decision.state })
})
