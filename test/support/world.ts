/**
 * A small world that follows from one seed: organisations, people, centers, deliveries, devices and
 * a schedule of commands over the real verbs, real SQLite files and real cryptography. Only the
 * line between device and central, the clock, the dice and the names of new things are simulated;
 * password wraps are made at the least cost that Argon2 takes.
 *
 * Every step throws its own dice, so that a schedule keeps its meaning when steps are left out of it.
 */
import { createHash } from "node:crypto"
import path from "node:path"
import { Cause, Clock, Effect, Exit, Random } from "effect"
import type { SendingRules } from "../../application/record-ports.ts"
import type { Signed } from "../../domain/enrolment.ts"
import type { EntityId } from "../../domain/id.ts"
import { type Digest, OrganisationId } from "../../domain/id.ts"
import { SENT_BY_DEFAULT } from "../../domain/lifecycle.ts"
import { ExecutionId, type Submission } from "../../domain/result.ts"
import { carry, type Line, openLine } from "./carrier.ts"
import { type Dice, dice, type HandClock, handClock, wrongClock } from "./dice.ts"
import * as Observe from "./observe.ts"
import * as Office from "./office.ts"
import {
  type CentralSite,
  type DeviceSite,
  fastFolder,
  openCentral,
  openDevice,
  type Site,
  scratch
} from "./site.ts"
import { newTruth, type Sittings, type Truth } from "./world-truth.ts"

/** 2027, so that nothing is before 1970 after the clock was turned back. */
const START_MILLIS = 1_800_000_000_000

/** What logins, names, passwords, questions and answers look like: never readable on a device. */
export const SECRET = /zq\d+(?:login|manager|question|secret|person|password|answer)/

/** A word that counts as a secret. */
export const secretWord = (number: number, what: string): string => {
  const word = `zq${number}${what}`
  if (!SECRET.test(word)) throw new Error(`${word} is not looked for`)
  return word
}

/** A device, and what was seen of it. */
export interface Machine {
  readonly name: string
  readonly site: DeviceSite
  readonly line: Line
  /** Goes with the world's, but for what it is wrong by. */
  readonly clock: HandClock
  /** Central has taken it back for good. */
  revoked: boolean
  /** The organisations that it was enrolled in, and by whose login. */
  readonly managers: Array<string>
  /** What central offered when it gave its last page, by organisation: digests by key. */
  readonly told: Map<string, ReadonlyMap<string, string>>
  /** Folders with copies of its database, and what was being sat when they were made. */
  readonly copies: Array<string>
  readonly sittingsIn: Map<string, Sittings>
  /** Everything that was ever begun on it, in the life that it has now. */
  sittings: Sittings
  /** How it sends; changes while it runs. */
  readonly rules: { -readonly [Rule in keyof SendingRules]: SendingRules[Rule] }
  /** What it said to central, and central's word on that: either may come again, or late. */
  readonly submissions: Array<Submission>
  readonly receipts: Array<Signed>
  /** Somebody changed its rows; what is here need not be right until a whole synchronisation. */
  drifted: boolean
  /** Some kinds were synchronised alone: these rows may be newer than where the device stands. */
  limited: boolean
}

export interface World {
  readonly seed: number
  readonly root: string
  readonly clock: HandClock
  readonly central: CentralSite
  readonly machines: ReadonlyArray<Machine>
  readonly organisations: ReadonlyArray<OrganisationId>
  /** By the recipient of the wrap that it opens. */
  readonly passwords: Map<string, string>
  readonly logins: Map<EntityId, string>
  /** Everything that central ever offered: `organisation key digest`. */
  readonly offered: Set<string>
  readonly copies: Array<string>
  /** Folders with what sticks carry. */
  readonly sticks: Array<string>
  /** What central offered when it made a bundle, by the digest of its manifest and organisation. */
  readonly bundles: Map<Digest, ReadonlyMap<string, ReadonlyMap<string, string>>>
  readonly truth: Truth
  /** The latest moment of the world's clock so far. */
  latest: number
  /** Grows with everything that wants a name of its own. */
  next: () => number
}

/** A command's name and what came of it, for the trace. */
export type Step = (world: World, dice: Dice) => Effect.Effect<string>

export interface Schedule {
  readonly seed: number
  readonly steps: number
  /** Steps to leave out, counted from 0. */
  readonly without?: ReadonlySet<number>
}

export interface Run {
  readonly trace: ReadonlyArray<string>
  readonly hash: string
  /** What happened to records, and how often: a schedule in which nothing happens proves nothing. */
  readonly happened: ReadonlyMap<string, number>
  /** What went wrong, and at which step; undefined when everything held. */
  readonly failure: { readonly step: number; readonly why: string } | undefined
}

/** Parts of a simulation that are written elsewhere: the commands, and what must always be true. */
export interface Rules {
  readonly build: (world: World, dice: Dice) => Effect.Effect<void>
  readonly commands: ReadonlyArray<readonly [weight: number, name: string, step: Step]>
  /** After every step. */
  readonly look: (world: World) => Effect.Effect<void>
  readonly quiet: (world: World) => Effect.Effect<void>
}

/** Runs a schedule. Never fails: a broken rule is in the answer. */
export const simulate = (schedule: Schedule, rules: Rules): Effect.Effect<Run> =>
  Effect.gen(function* () {
    const trace: Array<string> = []
    const clock = handClock(START_MILLIS)
    let step = -1
    let happened: Run["happened"] = new Map()
    const exit = yield* Effect.gen(function* () {
      const world = yield* makeWorld(schedule.seed, clock)
      happened = world.truth.happened
      yield* rules.build(world, dice(schedule.seed, "build"))
      trace.push(`built ${yield* stateOf(world)}`)
      for (step = 0; step < schedule.steps; step++) {
        if (schedule.without?.has(step)) continue
        const thrown = dice(schedule.seed, "step", step)
        const { name, run } = pick(rules.commands, thrown)
        trace.push(`${step} ${name}`)
        const outcome = yield* run(world, thrown)
        yield* rules.look(world)
        trace[trace.length - 1] = `${step} ${name}: ${outcome} ${yield* stateOf(world)}`
      }
      trace.push("quiet")
      yield* rules.quiet(world)
      trace[trace.length - 1] = `quiet ${yield* stateOf(world)}`
    }).pipe(
      Effect.scoped,
      Random.withSeed(`${schedule.seed}`),
      Effect.provideService(Clock.Clock, clock),
      Effect.exit
    )
    const hash = createHash("sha256").update(trace.join("\n")).digest("hex")
    const failure = Exit.isFailure(exit) ? { step, why: Cause.pretty(exit.cause) } : undefined
    return { trace, hash, happened, failure }
  })

const pick = (commands: Rules["commands"], thrown: Dice) => {
  let at = thrown.below(commands.reduce((sum, [weight]) => sum + weight, 0))
  for (const [weight, name, run] of commands) {
    if (at < weight) return { name, run }
    at -= weight
  }
  throw new Error("no command")
}

const ORGANISATIONS = ["0123", "123", "1e3 é"].map((id) => OrganisationId.make(id))

const makeWorld = Effect.fnUntraced(function* (seed: number, clock: HandClock) {
  const thrown = dice(seed, "world")
  const root = yield* scratch(fastFolder())
  let counter = 0
  const next = () => ++counter
  const named = () => nameOf(dice(seed, next()))
  const central = onClock(yield* openCentral(path.join(root, "central"), named), clock)
  const machines: Array<Machine> = []
  for (let at = 0; at < 3 + thrown.below(2); at++) {
    const line = openLine()
    const own = wrongClock(clock)
    const rules = {
      chunkSize: 2 + thrown.below(6),
      statusExecutionsToSync: SENT_BY_DEFAULT,
      deleteAfterSend: thrown.chance(1, 3)
    }
    const newExecution = () => ExecutionId.make(`ex_${named()}${named()}`)
    const given = { rules, newExecution }
    const site = yield* openDevice(path.join(root, `device${at}`), carry(central, line), given)
    machines.push({
      name: `device${at}`,
      site: onClock(site, own),
      line,
      clock: own,
      revoked: false,
      managers: [],
      told: new Map(),
      copies: [],
      sittingsIn: new Map(),
      sittings: new Map(),
      rules,
      submissions: [],
      receipts: [],
      drifted: false,
      limited: false
    })
  }
  const world: World = {
    seed,
    root,
    clock,
    central,
    machines,
    organisations: ORGANISATIONS.slice(0, 2 + thrown.below(2)),
    passwords: new Map(),
    logins: new Map(),
    offered: new Set(),
    copies: [],
    sticks: [],
    bundles: new Map(),
    truth: newTruth(),
    latest: START_MILLIS,
    next
  }
  return world
})

/** A site that lives by this clock, whoever asks it. */
const onClock = <Ports>(site: Site<Ports>, clock: HandClock): Site<Ports> => ({
  ...site,
  run: (effect) => site.run(Effect.provideService(effect, Clock.Clock, clock))
})

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
const nameOf = (thrown: Dice) =>
  Array.from({ length: 16 }, () => ALPHABET[thrown.below(32)] ?? "").join("")

/** Lets a sync manager make a device a member of their organisation. */
export const enrol = (world: World, machine: Machine, manager: string) =>
  Office.enrolDevice(world.central, machine.site, machine.line, {
    login: manager,
    password: Office.passwordOf(manager)
  }).pipe(Effect.tap(() => Effect.sync(() => machine.managers.push(manager))))

/** Everything that follows from the seed, in a few letters: versions and ids, but no sealed bytes. */
const stateOf = Effect.fnUntraced(function* (world: World) {
  const offers = yield* world.central.run(Observe.offerRows)
  const hash = createHash("sha256")
  for (const { organisation, kind, id, version, stamp, digest } of offers) {
    hash.update(JSON.stringify([organisation, kind, id, version, stamp, digest === null]))
  }
  for (const { site } of world.machines) {
    const rows = yield* site.run(Observe.heldRows)
    const sittings = yield* site.run(Observe.executions)
    hash.update(
      JSON.stringify(rows.map((row) => [row.organisation, row.id, row.held, row.version]))
    )
    hash.update(JSON.stringify(sittings.map(({ id, state }) => [id, state])))
    hash.update(JSON.stringify(yield* site.run(Observe.cursorRows)))
  }
  return hash.digest("hex").slice(0, 16)
})
