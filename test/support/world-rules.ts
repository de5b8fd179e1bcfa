/** What must be true in the simulated world after every step, whatever happened (invariants). */
import assert from "node:assert/strict"
import { Cause, Effect, Exit, Option, Result, Schema } from "effect"
import { open } from "../../application/open.ts"
import { Blobs, DeviceIdentity, Hashing, Opener, Passwords } from "../../application/ports.ts"
import type { PullOptions } from "../../application/pull.ts"
import type { Synced } from "../../application/sync.ts"
import { type KeyWrap, keyText, WrappedKey } from "../../domain/entity.ts"
import type { OrganisationId } from "../../domain/id.ts"
import { recipientOf } from "../../infrastructure/age-file.ts"
import type { Dice } from "./dice.ts"
import * as Observe from "./observe.ts"
import { assertCentral } from "./observe-central.ts"
import { type Machine, SECRET, type Step, type World } from "./world.ts"

/**
 * A step at one of the devices, which is looked at afterwards: mostly at one where there is something
 * to do, if that can be said.
 */
export const on =
  (
    act: (world: World, machine: Machine, dice: Dice) => Effect.Effect<string>,
    isLikely: (machine: Machine) => Effect.Effect<boolean> = () => Effect.succeed(true)
  ): Step =>
  (world, dice) =>
    Effect.gen(function* () {
      const likely = dice.chance(7, 8) ? yield* Effect.filter(world.machines, isLikely) : []
      const machine = dice.pick(likely) ?? dice.pick(world.machines)
      if (machine === undefined) return "no machine"
      const outcome = yield* act(world, machine, dice)
      yield* assertMachine(world, machine)
      return `${machine.name} ${outcome}`
    })

/** Remembers what central offers now. */
export const seen = (world: World, offers: ReadonlyArray<Observe.OfferRow>) => {
  for (const one of offers) world.offered.add(`${one.organisation} ${keyText(one)} ${one.digest}`)
}

/** All of central; after each step. */
export const assertOffice = Effect.fnUntraced(function* (world: World) {
  seen(world, yield* world.central.run(assertCentral(world.organisations)))
})

/** A device, between any two commits: whatever is held names only what is held. */
export const assertCommitted = Effect.fnUntraced(function* ({ drifted, site }: Machine) {
  const rows = yield* site.run(Observe.heldRows)
  Observe.assertKept(rows, yield* site.run(unsettled))
  if (!drifted) Observe.assertResolves(rows)
})

const unsettled = Effect.map(Observe.executions, (all) =>
  all.filter(({ state }) => state !== "settled")
)

/** A device after each step, and its files. */
export const assertMachine = Effect.fnUntraced(function* (world: World, machine: Machine) {
  const { site } = machine
  yield* assertCommitted(machine)
  const rows = yield* site.run(Observe.heldRows)
  assert.deepEqual(yield* site.run(Observe.integrity), [])
  Observe.assertUnreadable(site.directory, SECRET)
  if (machine.drifted) return
  const { sha256 } = yield* site.run(Hashing)
  Observe.assertSound(rows, sha256)
  Observe.assertSealed(rows)
  for (const row of rows) {
    const said = `${row.organisation} ${keyText(row)} ${row.digest}`
    assert.ok(world.offered.has(said), `nobody offered ${said}`)
  }
})

interface Attempt<E> {
  readonly before: ReadonlyArray<Observe.HeldRow>
  readonly exit: Exit.Exit<Synced, E>
  readonly options: PullOptions
  /** It may have found rows that were newer than what it brings. */
  readonly mayMend?: boolean
}

/** What a synchronisation may have done, by how it ended. */
export const afterSync = Effect.fnUntraced(function* <E>(
  world: World,
  machine: Machine,
  { before, exit, mayMend = false, options }: Attempt<E>
) {
  const after = yield* machine.site.run(Observe.heldRows)
  const whole = !options.dryRun && options.kinds === undefined
  if (Exit.isFailure(exit)) {
    const running = Option.map(Cause.findErrorOption(exit.cause), isSyncRunning)
    const expected = Cause.hasInterrupts(exit.cause) || Option.getOrElse(running, () => false)
    assert.ok(expected, Cause.pretty(exit.cause))
  }
  const membership = yield* machine.site.run(
    Effect.flatMap(DeviceIdentity, (own) => own.membership)
  )
  const organisations = Option.isSome(membership) ? membership.value.organisations : []
  for (const organisation of organisations) {
    const told = machine.told.get(organisation) ?? new Map<string, string>()
    const was = digests(before, organisation)
    const is = digests(after, organisation)
    if (!machine.drifted) {
      for (const key of was.keys()) {
        if (!is.has(key)) {
          assert.ok(whole, `${key} was removed by a synchronisation that must not`)
          assert.ok(!told.has(key), `${key} was removed, but is offered`)
        }
      }
      assertEither(organisation, { was, is, told, exit, options }, after)
    }
    if (whole && succeeded(exit, organisation)) assertExact(after, organisation, told)
  }
  if (options.kinds !== undefined) machine.limited = true
  if (Exit.isFailure(exit) || !whole) return
  if (!exit.value.organisations.every(({ pulled }) => Result.isSuccess(pulled))) return
  for (const { audited } of exit.value.organisations) {
    const isExpected = machine.drifted || mayMend || Option.isNone(audited)
    assert.ok(isExpected, "an audit found something by itself")
  }
  machine.drifted = false
  machine.limited = false
  yield* assertOpen(world, machine, after)
  if (exit.value.contents.failures.length === 0) yield* assertContents(machine, after)
})

const isSyncRunning = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "SyncRunning"

const digests = (rows: ReadonlyArray<Observe.HeldRow>, organisation: string) =>
  new Map(
    rows.filter((row) => row.organisation === organisation).map((row) => [keyText(row), row.digest])
  )

const succeeded = <E>(exit: Exit.Exit<Synced, E>, organisation: OrganisationId): boolean =>
  Exit.isSuccess(exit) &&
  exit.value.organisations.some(
    (one) => one.organisation === organisation && Result.isSuccess(one.pulled)
  )

/** Invariant 11: an organisation's data is as before, or as central told; never between. */
const assertEither = <E>(
  organisation: OrganisationId,
  states: {
    readonly was: ReadonlyMap<string, string>
    readonly is: ReadonlyMap<string, string>
    readonly told: ReadonlyMap<string, string>
    readonly exit: Exit.Exit<Synced, E>
    readonly options: PullOptions
  },
  rows: ReadonlyArray<Observe.HeldRow>
) => {
  const { exit, is, options, told, was } = states
  const same = was.size === is.size && [...was].every(([key, digest]) => is.get(key) === digest)
  if (same) return
  assert.ok(!options.dryRun, "a dry run changed something")
  if (options.kinds !== undefined) {
    for (const [key, digest] of is) {
      assert.ok(was.get(key) === digest || told.get(key) === digest, `${key} is nobody's`)
    }
    return
  }
  assert.ok(Exit.isFailure(exit) || succeeded(exit, organisation), "a failure changed something")
  assertExact(rows, organisation, told)
}

/** Invariant 1: what is held is what is offered, to the last byte. */
const assertExact = (
  rows: ReadonlyArray<Observe.HeldRow>,
  organisation: string,
  told: ReadonlyMap<string, string>
) => {
  const held = rows.filter((row) => row.organisation === organisation && row.held === 0)
  assert.deepEqual(
    held.map((row) => `${keyText(row)} ${row.digest}`).sort(),
    [...told].map(([key, digest]) => `${key} ${digest}`).sort()
  )
}

const assertContents = Effect.fnUntraced(function* (
  { site }: Machine,
  rows: ReadonlyArray<Observe.HeldRow>
) {
  const blobs = yield* site.run(Blobs)
  for (const { blob } of yield* site.run(unsettled))
    assert.ok(yield* blobs.has(blob), "a session's content is gone")
  for (const row of rows) {
    const entity = Observe.entityOf(row)
    if (entity.kind !== "delivery" || row.held === 1) continue
    const size = yield* blobs.size(entity.content.blob)
    assert.deepEqual(size, Option.some(entity.content.size), `the content of ${row.id} is not here`)
  }
})

/** Wraps tried after a synchronisation: each costs a derivation. */
const WRAPS_TRIED = 2

/** Each wrap opens with its reader's key, says what it is, and holds the key that is in force. */
const assertOpen = Effect.fnUntraced(function* (
  world: World,
  { site }: Machine,
  rows: ReadonlyArray<Observe.HeldRow>
) {
  const entities = rows
    .filter(({ held }) => held === 0)
    .map((row) => ({ organisation: row.organisation, entity: Observe.entityOf(row) }))
  const wraps = entities.filter(({ entity }) => entity.kind === "key-wrap")
  const first = world.next()
  for (let at = 0; at < Math.min(WRAPS_TRIED, wraps.length); at++) {
    const found = wraps[(first * 7 + at) % wraps.length]
    if (found?.entity.kind !== "key-wrap") continue
    const { entity: wrap, organisation } = found
    const byId = (id: string) =>
      entities.find((one) => one.organisation === organisation && one.entity.id === id)?.entity
    const reader = byId(wrap.reader)
    const subject = byId(wrap.subject)
    assert.ok(reader !== undefined && "wrap" in reader, `${wrap.id} is for nobody`)
    const password = world.passwords.get(reader.wrap.recipient)
    assert.ok(password !== undefined, `nobody knows the password of ${reader.id}`)
    const key = yield* site.run(openWrap(wrap, reader, password))
    const recipient = yield* Effect.orDie(recipientOf(key.identity))
    if (subject?.kind === "delivery") assert.equal(recipient, subject.content.recipient)
    else if (subject?.kind === "test-center") assert.equal(recipient, subject.roster.recipient)
    else assert.fail(`${wrap.id} is about nothing`)
  }
})

const openWrap = Effect.fnUntraced(function* (
  wrap: KeyWrap,
  reader: {
    readonly id: KeyWrap["reader"]
    readonly wrap: Parameters<Passwords["Service"]["unwrap"]>[1]
  },
  password: string
) {
  const passwords = yield* Passwords
  const opener = yield* Opener
  const identity = yield* passwords.unwrap(reader.id, reader.wrap, password)
  const key = yield* decodeKey(yield* opener.open(identity, wrap.box))
  assert.deepEqual(
    { subject: key.subject, version: key.version, reader: key.reader },
    { subject: wrap.subject, version: wrap.version, reader: wrap.reader }
  )
  return key
}, Effect.orDie)

const decodeKey = Schema.decodeUnknownEffect(Schema.fromJsonString(WrappedKey))

/** People who log in when all is quiet: each costs a derivation and a look into every content. */
const LOGINS_TRIED = 3

/** Whoever is on the device opens with their password what they may sit, or whom they look after. */
export const assertLogins = Effect.fnUntraced(function* (world: World, { site }: Machine) {
  const all = (yield* site.run(Observe.heldRows))
    .filter(({ held }) => held === 0)
    .map((row) => ({ organisation: row.organisation, entity: Observe.entityOf(row) }))
  const people = all.filter(({ entity }) => "wrap" in entity)
  const first = world.next()
  for (let at = 0; at < Math.min(LOGINS_TRIED, people.length); at++) {
    const found = people[(first * 5 + at * 3) % people.length]
    if (found === undefined || !("wrap" in found.entity)) continue
    const { entity: person, organisation } = found
    const login = world.logins.get(person.id) ?? ""
    const password = world.passwords.get(person.wrap.recipient) ?? ""
    const opened = yield* Effect.orDie(site.run(open(login, password)))
    const here = opened.find((one) => one.organisation === organisation)
    const inside = all.filter((one) => one.organisation === organisation)
    assert.equal(here?.profile.login, login)
    const sittings = inside.flatMap(({ entity }) =>
      entity.kind === "eligibility" && entity.testTakers.includes(person.id) ? [entity.id] : []
    )
    if (person.kind === "test-taker") {
      assert.deepEqual(
        here?.deliveries.map(({ eligibility }) => eligibility.id).sort(),
        sittings.sort()
      )
      for (const { content, delivery } of here?.deliveries ?? []) {
        assert.ok(typeof content === "object", `${delivery.id} is ${content} to ${login}`)
      }
    }
    const rosters = inside.flatMap(({ entity }) => {
      const mine =
        entity.kind === "test-center" &&
        [...entity.administrators, ...entity.proctors].includes(person.id)
      if (!mine) return []
      const takers = inside.flatMap((one) =>
        one.entity.kind === "eligibility" && one.entity.testCenter === entity.id
          ? one.entity.testTakers
          : []
      )
      return [`${entity.label} ${new Set(takers).size}`]
    })
    const shown = here?.roster.map(({ center, people: listed }) => `${center} ${listed.length}`)
    assert.deepEqual(shown?.sort(), rosters.sort())
  }
})
