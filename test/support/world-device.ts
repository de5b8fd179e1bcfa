/** What happens at the devices of the simulated world: sessions, synchronising in every weather. */
import assert from "node:assert/strict"
import path from "node:path"
import { Cause, Deferred, Effect, Exit, Fiber, Option, Result } from "effect"
import type { PullOptions } from "../../application/pull.ts"
import { type Synced, sync } from "../../application/sync.ts"
import { KINDS, keyText, references } from "../../domain/entity.ts"
import type { Execution } from "../../domain/execution.ts"
import type { Trouble } from "./carrier.ts"
import { type Dice, dice as newDice } from "./dice.ts"
import { entityOf, executions, heldRows, offerRows, tamper } from "./observe.ts"
import { enrol, type Machine, type Rules, type Step, type World } from "./world.ts"
import { EDITS, managerOf } from "./world-office.ts"
import { afterSync, assertCommitted, assertOffice, on, seen } from "./world-rules.ts"
import { note } from "./world-truth.ts"

const TROUBLES: ReadonlyArray<Trouble["what"]> = [
  "question lost",
  "answer lost",
  "cut",
  "asked twice",
  "broken off",
  "edited"
]

/** Prepares the line for one synchronisation, with trouble or without. */
const prepare = (
  world: World,
  { line }: Machine,
  dice: Dice,
  what: Trouble["what"] | undefined
) => {
  line.calls = 0
  line.pageChanges = dice.pick([4, 9, 30, Number.POSITIVE_INFINITY]) ?? 1
  line.trouble = what === undefined ? undefined : { what, at: 1 + dice.below(9) }
  line.silent = Deferred.makeUnsafe()
  const later = newDice(world.seed, "edit", world.next())
  const [, , edit] = dice.pick(EDITS) ?? EDITS[0] ?? []
  // What is offered from then on is seen here: no step at central follows.
  line.edit =
    edit === undefined ? Effect.void : Effect.andThen(edit(world, later), assertOffice(world))
}

const optionsBy = (dice: Dice): PullOptions => ({
  dryRun: false,
  confirmRemovals: dice.chance(3, 4)
})

/** Synchronises to the end, whatever end that is, and checks what it may have done. */
export const synchronise = Effect.fnUntraced(function* (
  world: World,
  machine: Machine,
  options: PullOptions
) {
  const before = yield* machine.site.run(heldRows)
  const exit = yield* Effect.exit(machine.site.run(sync(options)))
  yield* afterSync(world, machine, { before, exit, options })
  if (machine.line.trouble === undefined) assertNoTrouble(exit)
  return wordsOf(exit)
})

/** Without trouble on the line, only a person's word or central's no may stop anything. */
const assertNoTrouble = <E>(exit: Exit.Exit<Synced, E>) => {
  if (Exit.isFailure(exit)) return
  const { contents, organisations } = exit.value
  const expected = ["CentralRefused", "RemovalNeedsConfirmation"]
  for (const { pulled } of organisations) {
    if (Result.isFailure(pulled)) assert.ok(expected.includes(pulled.failure._tag), wordsOf(exit))
  }
  for (const { why } of contents.failures) assert.equal(why._tag, "CentralRefused", wordsOf(exit))
}

const wordsOf = <E>(exit: Exit.Exit<Synced, E>): string => {
  if (Exit.isFailure(exit)) {
    if (Cause.hasInterrupts(exit.cause)) return "interrupted"
    const failure = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    return failure instanceof Error ? failure.name : "died"
  }
  const { contents, organisations, outcome } = exit.value
  const each = organisations.map(({ audited, pulled }) =>
    Result.isFailure(pulled)
      ? pulled.failure._tag
      : `${pulled.success.head}${pulled.success.anew ? " anew" : ""}${Option.isSome(audited) ? " mended" : ""}`
  )
  return `${outcome} (${each.join()}) ${contents.fetched} of ${contents.wanted}`
}

/** Lets every device synchronise once. */
export const firstSync: Rules["build"] = (world, dice) =>
  Effect.forEach(
    world.machines,
    (machine) => {
      prepare(world, machine, dice, undefined)
      return synchronise(world, machine, optionsBy(dice))
    },
    { discard: true }
  )

const plainSync = on((world, machine, dice) =>
  Effect.suspend(() => {
    prepare(world, machine, dice, undefined)
    return synchronise(world, machine, optionsBy(dice))
  })
)

const troubledSync = on((world, machine, dice) =>
  Effect.suspend(() => {
    const what = dice.pick(TROUBLES)
    prepare(world, machine, dice, what)
    const outcome = synchronise(world, machine, optionsBy(dice))
    return Effect.map(outcome, (words) => `${what} at ${machine.line.trouble?.at}: ${words}`)
  })
)

const limitedSync = on((world, machine, dice) =>
  Effect.suspend(() => {
    prepare(world, machine, dice, dice.chance(1, 4) ? dice.pick(TROUBLES) : undefined)
    const kinds = dice.some(KINDS).slice(0, 2)
    const options = { ...optionsBy(dice), kinds: kinds.length === 0 ? KINDS.slice(0, 1) : kinds }
    const outcome = synchronise(world, machine, options)
    return Effect.map(outcome, (words) => `${options.kinds.join()}: ${words}`)
  })
)

const drySync = on((world, machine, dice) =>
  Effect.suspend(() => {
    prepare(world, machine, dice, undefined)
    return synchronise(world, machine, { dryRun: true, confirmRemovals: false })
  })
)

/** Begins to synchronise, and stops where central falls silent; kills the device there, or cancels. */
const brokenSync = (kill: boolean) =>
  on(
    Effect.fnUntraced(function* (world, machine, dice) {
      const { line, site } = machine
      prepare(world, machine, dice, "silence")
      const before = yield* site.run(heldRows)
      const options = optionsBy(dice)
      const fiber = yield* Effect.forkChild(site.run(sync(options)))
      yield* Effect.raceFirst(Deferred.await(line.silent), Fiber.await(fiber))
      const corpse = path.join(world.root, `${machine.name}-killed`)
      if (kill) site.copyTo(corpse)
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      if (kill) yield* site.reopen(site.restoreFrom(corpse))
      yield* afterSync(world, machine, { before, exit, options })
      return `${kill ? "killed" : "cancelled"} at ${line.trouble?.at}: ${wordsOf(exit)}`
    })
  )

const backUp = (world: World, machine: Machine) =>
  Effect.sync(() => {
    const { copies, drifted, name, site } = machine
    const folder = path.join(world.root, `${name}-copy${copies.length}${drifted ? "-drifted" : ""}`)
    site.copyTo(folder)
    copies.push(folder)
    machine.sittingsIn.set(folder, machine.sittings)
    return `copy ${copies.length}`
  })

/** The database goes back to an older state; the contents beside it stay as they are. */
const restore = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const folder = dice.pick(machine.copies)
    if (folder === undefined) return yield* backUp(world, machine)
    yield* machine.site.reopen(machine.site.restoreFrom(folder))
    machine.drifted = folder.endsWith("-drifted")
    machine.sittings = machine.sittingsIn.get(folder) ?? new Map()
    world.truth.restored = machine
    note(world, "device restored")
    // The copy may be of between.
    machine.limited = true
    return path.basename(folder)
  }),
  ({ copies }) => Effect.succeed(copies.length > 0)
)

/** Spoils a row past the program: what a session needs is spared, for nothing could bring it back. */
const drift = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const rows = yield* machine.site.run(heldRows)
    const spared = neededOf(rows, yield* machine.site.run(executions))
    const row = dice.pick(rows.filter((one) => !spared.has(`${one.organisation} ${one.id}`)))
    if (row === undefined) return "nothing to spoil"
    const place = [row.organisation, row.id]
    const [what, text, values] = dice.pick(DRIFTS(place, world.next())) ?? ["", "", []]
    yield* machine.site.run(tamper(text, values))
    // Changed bytes are found within a day: here the day is over.
    yield* machine.site.run(tamper("DELETE FROM settings WHERE name LIKE 'rechecked %'"))
    machine.drifted = true
    return `${what} ${keyText(row)}`
  })
)

const DRIFTS = (place: ReadonlyArray<string>, number: number) =>
  [
    ["lost", "DELETE FROM holdings WHERE organisation = ? AND id = ?", place],
    ["wrong sums of", "UPDATE holdings SET a = a + 3 WHERE organisation = ? AND id = ?", place],
    [
      "another byte in",
      "UPDATE holdings SET body = body || ' ' WHERE organisation = ? AND id = ?",
      place
    ],
    [
      "a ghost of",
      `INSERT INTO holdings SELECT organisation, id || 'x${number}', kind, version, digest, a, b,
        bucket, held, NULL, NULL, body FROM holdings WHERE organisation = ? AND id = ?
        AND kind <> 'key-wrap'`,
      place
    ]
  ] as const

/** Rows that unsettled executions need, and all that these refer to: `organisation id`. */
const neededOf = (
  rows: ReadonlyArray<Parameters<typeof entityOf>[0] & { organisation: string; id: string }>,
  all: ReadonlyArray<Execution>
): ReadonlySet<string> => {
  const found = new Set<string>()
  const open = all
    .filter(({ state }) => state !== "settled")
    .flatMap(({ delivery, organisation, testCenter, testTaker, wrap }) =>
      [delivery, testTaker, testCenter, wrap].map((id) => ({
        organisation: `${organisation}`,
        id: `${id}`
      }))
    )
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    const { id, organisation } = one
    if (found.has(`${organisation} ${id}`)) continue
    found.add(`${organisation} ${id}`)
    const row = rows.find((other) => other.organisation === organisation && other.id === id)
    if (row === undefined) continue
    for (const next of references(entityOf(row))) open.push({ organisation, id: next })
  }
  return found
}

const join = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const manager = managerOf(dice.below(world.organisations.length))
    const exit = yield* Effect.exit(enrol(world, machine, manager))
    return `${manager} ${exit._tag}`
  })
)

export const HOUR = 3_600_000
const turnClock: Step = (world, dice) =>
  Effect.sync(() => {
    const millis = dice.pick([1_000, 61_000, HOUR, 9_000 * HOUR, -HOUR, -9_000 * HOUR]) ?? 0
    world.clock.move(millis)
    world.latest = Math.max(world.latest, world.clock.currentTimeMillisUnsafe())
    return `${millis}`
  })

export const DEVICES: Rules["commands"] = [
  [14, "sync", plainSync],
  [14, "troubled sync", troubledSync],
  [4, "limited sync", limitedSync],
  [2, "dry sync", drySync],
  [5, "cancelled sync", brokenSync(false)],
  [5, "killed sync", brokenSync(true)],
  [5, "back up device", on(backUp)],
  [8, "restore device", restore],
  [3, "drift", drift],
  [1, "join", join],
  [3, "turn clock", turnClock]
]

/** Watches what central tells each device: that is what the device must come to. */
export const watch = (world: World) =>
  Effect.forEach(
    world.machines,
    (machine) =>
      Effect.sync(() => {
        machine.line.onPage = (organisation) =>
          Effect.map(world.central.run(offerRows), (offers) => {
            seen(world, offers)
            const live = offers.filter((one) => one.organisation === organisation)
            machine.told.set(
              organisation,
              new Map(
                live.flatMap((one) => (one.digest === null ? [] : [[keyText(one), one.digest]]))
              )
            )
          })
        machine.line.onCall = assertCommitted(machine)
      }),
    { discard: true }
  )
