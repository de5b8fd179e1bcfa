/** Who sits at the devices of the simulated world: test-takers who answer, proctors who watch. */
import assert from "node:assert/strict"
import { Effect, Option, Result } from "effect"
import { end, endAsProctor, finish } from "../../application/end-session.ts"
import { endSessions } from "../../application/end-sessions.ts"
import { logIn } from "../../application/log-in.ts"
import { act, markIrregularity } from "../../application/proctor.ts"
import { SessionKeys, Sessions, type Visitor } from "../../application/session-ports.ts"
import { begin, enter, pause, save, saved } from "../../application/sit.ts"
import { type Entity, PERSON_KINDS, type Person } from "../../domain/entity.ts"
import type { EntityId, OrganisationId } from "../../domain/id.ts"
import { isOpen } from "../../domain/lifecycle.ts"
import type { ExecutionId } from "../../domain/result.ts"
import type { Session } from "../../domain/session.ts"
import type { Dice } from "./dice.ts"
import { answer } from "./exam.ts"
import { entityOf, heldRows } from "./observe.ts"
import { type Machine, type Rules, secretWord, type World } from "./world.ts"
import { on } from "./world-rules.ts"
import { note, type Sitting } from "./world-truth.ts"

/** Everything on a device, kept back or not. */
const everything = ({ site }: Machine) =>
  Effect.map(site.run(heldRows), (rows) =>
    rows.map((row) => ({ organisation: row.organisation, held: row.held, entity: entityOf(row) }))
  )
type Everything = Effect.Success<ReturnType<typeof everything>>

const personOf = (all: Everything, organisation: OrganisationId, id: EntityId) =>
  all.find(
    (one): one is Everything[number] & { readonly entity: Entity & Person } =>
      one.organisation === organisation && one.entity.id === id && "wrap" in one.entity
  )?.entity

/** Somebody with their login and the password of the key that the device knows of. */
const admit = (world: World, { site }: Machine, person: Person | undefined) => {
  const login = world.logins.get(person?.id ?? ("" as EntityId)) ?? ""
  const password = world.passwords.get(person?.wrap.recipient ?? "") ?? ""
  return Effect.result(
    Effect.map(site.run(logIn(login, password, PERSON_KINDS)), ({ visitor }) => visitor)
  )
}

/** What the device says of a session, and what its test-taker knows beside that. */
const remember = (machine: Machine, session: Session, changes: Partial<Sitting> = {}) => {
  const before = machine.sittings.get(session.execution)
  const sitting: Sitting = {
    execution: session.execution,
    organisation: session.organisation,
    person: session.testTaker,
    center: session.testCenter,
    recipient: "",
    answers: new Map(),
    ...before,
    ...changes,
    stage: session.stage
  }
  machine.sittings = new Map(machine.sittings).set(session.execution, sitting)
  return sitting
}

const sit = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const said: Array<string> = []
    for (let times = 1 + dice.below(3); times > 0; times--) {
      said.push(yield* sitDown(world, machine, dice))
    }
    return said.join("; ")
  }),
  (machine) => Effect.map(offersOn(machine), (offers) => offers.length > 0)
)

/** Whoever may sit something by what is on a device. */
const offersOn = (machine: Machine) =>
  Effect.map(everything(machine), (all) =>
    all.flatMap(({ entity, held, organisation }) =>
      entity.kind === "eligibility" && held === 0
        ? entity.testTakers.map((taker) => ({ all, entity, organisation, taker }))
        : []
    )
  )

const sitDown = Effect.fnUntraced(function* (world: World, machine: Machine, dice: Dice) {
  const chosen = dice.pick(yield* offersOn(machine))
  if (chosen === undefined) return "nothing to sit"
  const { all, entity, organisation, taker } = chosen
  const person = personOf(all, organisation, taker)
  const visitor = yield* admit(world, machine, person)
  if (Result.isFailure(visitor)) return failed(machine, `log in of ${taker}`, visitor.failure)
  const wanted = { delivery: entity.delivery, eligibility: entity.id }
  const begun = yield* Effect.result(machine.site.run(begin(visitor.success, wanted)))
  if (Result.isFailure(begun)) {
    const why = begun.failure
    note(world, `not begun: ${why._tag}`)
    return `${taker} ${why._tag} ${"why" in why ? why.why : ""}`
  }
  const session = begun.success
  if (!machine.sittings.has(session.execution)) {
    note(world, "begun")
    remember(machine, session, { recipient: person?.wrap.recipient ?? "" })
  }
  return yield* goOn(world, machine, dice, { session, visitor: visitor.success })
})

/** Only on a device whose rows somebody changed may people be told something that is not so. */
const failed = (machine: Machine, what: string, why: { readonly _tag: string }): string => {
  assert.ok(machine.drifted, `${machine.name}: ${what} failed: ${why._tag}`)
  return `${what}: ${why._tag}`
}

interface Seat {
  readonly session: Session
  readonly visitor: Visitor
}

/** Enters, looks whether all is as it was, answers, and goes, pauses or hands in. */
const goOn = Effect.fnUntraced(function* (
  world: World,
  machine: Machine,
  dice: Dice,
  { session, visitor }: Seat
) {
  const { execution } = session
  const { run } = machine.site
  if (session.stage === "awaiting") yield* authorise(world, machine, execution)
  const entered = yield* Effect.result(run(enter(visitor, execution)))
  if (Result.isFailure(entered)) {
    assertMayStayOut(machine, execution, visitor, entered.failure)
    return `${execution} not entered: ${entered.failure._tag}`
  }
  remember(machine, entered.success)
  yield* assertAnswers(machine, visitor, execution)
  const words = [execution.slice(0, 9)]
  for (let times = dice.below(3); times > 0; times--) {
    yield* answerOne(world, machine, dice, { session, visitor })
    words.push("answered")
  }
  const what = dice.pick(["leave", "pause", "finish", "finish", "finish"] as const)
  if (what === "pause") {
    remember(machine, yield* Effect.orDie(run(pause(visitor, execution))))
    note(world, "paused")
  }
  if (what === "finish") yield* handIn(world, machine, visitor, execution)
  return [...words, what].join(" ")
})

/** A device may keep somebody out who may not go in now, and where their key was changed. */
const assertMayStayOut = (
  machine: Machine,
  execution: ExecutionId,
  visitor: Visitor,
  why: { readonly _tag: string; readonly why?: string }
) => {
  const sitting = machine.sittings.get(execution)
  const stages = ["awaiting", "paused"]
  if (why._tag === "Denied") assert.ok(stages.includes(sitting?.stage ?? ""), why.why)
  else assert.equal(why._tag, "SessionLocked", `${visitor.person} at ${execution}`)
}

const assertAnswers = Effect.fnUntraced(function* (
  machine: Machine,
  visitor: Visitor,
  execution: ExecutionId
) {
  const parts = yield* Effect.orDie(machine.site.run(saved(visitor, execution)))
  const found = parts.map(({ part, seq, variables }) => [
    part,
    seq,
    variables[0]?.variables[0]?.values?.[0]?.value
  ])
  const known = [...(machine.sittings.get(execution)?.answers ?? [])].map(
    ([part, { seq, value }]) => [part, seq, value]
  )
  assert.deepEqual(found.sort(), known.sort(), `answers of ${execution} on ${machine.name}`)
})

const answerOne = Effect.fnUntraced(function* (
  world: World,
  machine: Machine,
  dice: Dice,
  { session, visitor }: Seat
) {
  const { execution } = session
  const part = dice.pick(["i1", "i2", "i3"]) ?? "i1"
  const answers = machine.sittings.get(execution)?.answers ?? new Map()
  const seq = (answers.get(part)?.seq ?? 0) + 1 + dice.below(2)
  const value = secretWord(world.next(), "answer")
  const put = save(visitor, execution, { part, seq, ...answer(part, value) })
  yield* Effect.orDie(machine.site.run(put))
  remember(
    machine,
    { ...session, stage: "started" },
    {
      answers: new Map(answers).set(part, { seq, value })
    }
  )
  if (dice.chance(1, 3)) yield* Effect.orDie(machine.site.run(put))
  if (dice.chance(1, 3)) {
    const late = save(visitor, execution, { part, seq: seq - 1, ...answer(part, value) })
    const refused = yield* Effect.flip(machine.site.run(late)).pipe(Effect.orDie)
    assert.equal(refused._tag, "Stale")
  }
})

const handIn = Effect.fnUntraced(function* (
  world: World,
  machine: Machine,
  visitor: Visitor,
  execution: ExecutionId
) {
  remember(machine, yield* Effect.orDie(machine.site.run(finish(visitor, execution))))
  const unlocked = machine.site.run(Effect.flatMap(SessionKeys, (all) => all.isUnlocked(execution)))
  assert.equal(yield* unlocked, false, "the key of a session that ended")
  note(world, "finished")
})

/** The sessions of a device that could be gone on with. */
const openOn = ({ sittings }: Machine) =>
  [...sittings.values()].filter(({ stage }) => isOpen(stage))

const isSat = (machine: Machine) => Effect.succeed(openOn(machine).length > 0)

/** Somebody comes back to what they had begun. */
const comeBack = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const sitting = dice.pick(openOn(machine))
    if (sitting === undefined) return "nobody sits"
    return yield* returning(world, machine, dice, sitting)
  }),
  isSat
)

const returning = Effect.fnUntraced(function* (
  world: World,
  machine: Machine,
  dice: Dice,
  { execution, organisation, person }: Sitting
) {
  const all = yield* everything(machine)
  const visitor = yield* admit(world, machine, personOf(all, organisation, person))
  if (Result.isFailure(visitor)) return failed(machine, `return of ${person}`, visitor.failure)
  const session = yield* machine.site.run(sessionOf(execution))
  note(world, "came back")
  return yield* goOn(world, machine, dice, { session, visitor: visitor.success })
})

/** Proctors and administrators of a center who have its key on this device, logged in. */
const proctors = Effect.fnUntraced(function* (
  world: World,
  machine: Machine,
  { center, organisation }: Pick<Sitting, "center" | "organisation">
) {
  const all = yield* everything(machine)
  const here = all.find((one) => one.organisation === organisation && one.entity.id === center)
  if (here?.entity.kind !== "test-center") return []
  const found: Array<Visitor> = []
  for (const id of [...here.entity.proctors, ...here.entity.administrators]) {
    const visitor = yield* admit(world, machine, personOf(all, organisation, id))
    if (Result.isSuccess(visitor)) found.push(visitor.success)
  }
  return found
})

const authorise = Effect.fnUntraced(function* (
  world: World,
  machine: Machine,
  execution: ExecutionId
) {
  const sitting = machine.sittings.get(execution)
  const [proctor] = sitting === undefined ? [] : yield* proctors(world, machine, sitting)
  if (proctor === undefined) return
  const done = yield* Effect.result(machine.site.run(act(proctor, execution, "authorise", null)))
  if (Result.isSuccess(done)) remember(machine, done.success)
})

const REASON = { category: "Disturbance", subcategory: null, comment: null }

/** A proctor does something to a session of theirs, if it can be done now. */
const proctor = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const sitting = dice.pick(openOn(machine))
    const visitor = sitting && dice.pick(yield* proctors(world, machine, sitting))
    if (sitting === undefined || visitor === undefined) return "nobody watches"
    const { execution } = sitting
    const what = dice.pick(["pause", "resume", "authorise", "mark", "terminate", "cancel"] as const)
    const doing: Effect.Effect<Session, { readonly _tag: string }, never> =
      what === "terminate" || what === "cancel"
        ? machine.site.run(endAsProctor(visitor, execution, what, REASON))
        : what === "mark"
          ? machine.site.run(markIrregularity(visitor, execution, REASON))
          : machine.site.run(act(visitor, execution, what ?? "pause", REASON))
    const done = yield* Effect.result(doing)
    if (Result.isFailure(done)) return `${what} ${execution}: ${done.failure._tag}`
    remember(machine, done.success)
    note(world, `${what} by proctor`)
    return `${what} ${execution}`
  }),
  isSat
)

const sessionOf = (execution: ExecutionId) =>
  Effect.flatMap(Sessions, (all) => Effect.map(all.find(execution), Option.getOrThrow))

/** The operator of the device pauses or ends all, before synchronising. */
const stopAll = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const how = dice.pick(["pause", "terminate"] as const) ?? "pause"
    const { done, needProctor } = yield* machine.site.run(endSessions(how))
    for (const execution of done) remember(machine, yield* machine.site.run(sessionOf(execution)))
    note(world, `${how} by operator`, done.length)
    return `${how}: ${done.length}, ${needProctor.length} locked`
  }),
  isSat
)

/** The device loses its power: whoever sits must log in again. */
const powerCut = on(
  (world, machine) =>
    Effect.as(machine.site.reopen(Effect.void), "again").pipe(
      Effect.tap(() => Effect.sync(() => note(world, "power cut", openOn(machine).length)))
    ),
  isSat
)

export const SITTINGS: Rules["commands"] = [
  [30, "sit", sit],
  [14, "come back", comeBack],
  [12, "proctor", proctor],
  [3, "stop all", stopAll],
  [4, "power cut", powerCut]
]

/**
 * Everybody hands in what they have begun, or a proctor ends it. What nobody can open any more, for
 * the keys of all who could were changed, stays as it is: answers how many such there are.
 */
export const endAll = Effect.fnUntraced(function* (world: World, machine: Machine) {
  let locked = 0
  for (const sitting of openOn(machine)) {
    if (!(yield* endOne(world, machine, sitting))) locked += 1
  }
  return locked
})

const endOne = Effect.fnUntraced(function* (world: World, machine: Machine, sitting: Sitting) {
  const { execution, organisation, person } = sitting
  const { run } = machine.site
  const all = yield* everything(machine)
  const known = personOf(all, organisation, person)
  const visitor = yield* admit(world, machine, known)
  if (Result.isSuccess(visitor)) {
    const entered = yield* Effect.result(run(enter(visitor.success, execution)))
    if (Result.isSuccess(entered)) {
      remember(machine, entered.success)
      yield* assertAnswers(machine, visitor.success, execution)
      yield* handIn(world, machine, visitor.success, execution)
      return true
    }
    if (entered.failure._tag === "SessionLocked") {
      assert.notEqual(known?.wrap.recipient, sitting.recipient, `${execution} is locked`)
    }
  }
  const { stage } = yield* run(sessionOf(execution))
  const event = stage === "awaiting" || stage === "authorised" ? "cancel" : "terminate"
  for (const one of yield* proctors(world, machine, sitting)) {
    const ended = yield* Effect.result(run(endAsProctor(one, execution, event, REASON)))
    if (Result.isFailure(ended)) continue
    remember(machine, ended.success)
    note(world, `${event} by proctor`)
    return true
  }
  const alone = yield* Effect.result(run(end(execution, event, "device", REASON)))
  if (Result.isSuccess(alone)) remember(machine, alone.success)
  else note(world, "locked for good")
  return Result.isSuccess(alone)
})
