/**
 * The simulation as a whole: which commands there are, how often they come, and how a failing
 * schedule is made short.
 */
import { Effect } from "effect"
import { type Rules, type Run, simulate } from "./world.ts"
import { DEVICES, firstSync, watch } from "./world-device.ts"
import { HOME, overhear } from "./world-home.ts"
import { build, OFFICE } from "./world-office.ts"
import { quiet } from "./world-quiet.ts"
import { assertOffice } from "./world-rules.ts"
import { SITTINGS } from "./world-sittings.ts"
import { STICKS } from "./world-sticks.ts"
import { assertTruth } from "./world-truth.ts"

/** Commands of one schedule: long enough for restores to meet sessions and half-done work. */
export const STEPS = 60

const RULES: Rules = {
  build: (world, dice) =>
    build(world, dice).pipe(
      Effect.andThen(watch(world)),
      Effect.tap(() => Effect.sync(() => overhear(world))),
      Effect.andThen(assertOffice(world)),
      Effect.andThen(dice.chance(5, 6) ? firstSync(world, dice) : Effect.void)
    ),
  commands: [
    ...OFFICE.map(([weight, name, step]): Rules["commands"][number] => [
      weight,
      name,
      (world, dice) => Effect.tap(step(world, dice), () => assertOffice(world))
    ]),
    ...DEVICES,
    ...STICKS,
    ...SITTINGS,
    ...HOME
  ],
  look: assertTruth,
  quiet
}

export const runSeed = (
  seed: number,
  without: ReadonlySet<number> = new Set()
): Effect.Effect<Run> => simulate({ seed, steps: STEPS, without }, RULES)

/** Leaves out every step without which the schedule still fails; answers the steps that remain. */
export const shorten = Effect.fnUntraced(function* (seed: number, failing: Run) {
  const without = new Set<number>()
  for (let step = (failing.failure?.step ?? 0) + 1; step < STEPS; step++) without.add(step)
  let shortest = failing
  for (let step = (failing.failure?.step ?? 0) - 1; step >= 0; step--) {
    const run = yield* runSeed(seed, new Set([...without, step]))
    if (run.failure === undefined) continue
    without.add(step)
    shortest = run
  }
  return shortest
})
