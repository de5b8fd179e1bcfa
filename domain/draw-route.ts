/**
 * Draws the route of one test-taker through a test: selection and ordering of its sections (QTI 3.0
 * ASI §2.7). The same seed draws the same route, on any device and in any year.
 */
import type { NumberedPlan, PlanItem, PlanSection } from "./test-plan.ts"

/** A whole number from 0 to below `sides`. */
export type Dice = (sides: number) => number

/** The longest test seen has 120 items; selection with replacement could ask for any number. */
export const ROUTE_MAX = 2_000

/** What moves as one when it is shuffled: an item, or a section that keeps together. */
interface Unit {
  readonly fixed: boolean
  readonly places: ReadonlyArray<number>
}

/** Numbers of places in the order in which they are met; an item may come more than once. */
export const drawRoute = (numbered: NumberedPlan, dice: Dice): ReadonlyArray<number> =>
  numbered.plan.parts
    .flatMap(({ children }) => children.flatMap((child) => drawNode(numbered, child, dice)))
    .slice(0, ROUTE_MAX)

const drawNode = (
  numbered: NumberedPlan,
  node: PlanSection | PlanItem,
  dice: Dice
): ReadonlyArray<number> =>
  node.kind === "item"
    ? [numbered.numbers.get(node) ?? 0]
    : drawUnits(numbered, node, dice).flatMap(({ places }) => places)

const drawUnits = (
  numbered: NumberedPlan,
  section: PlanSection,
  dice: Dice
): ReadonlyArray<Unit> => {
  const units = selected(section, dice).flatMap((child): ReadonlyArray<Unit> => {
    const mixes = child.kind === "section" && !child.visible && !child.keepTogether && !child.fixed
    if (section.shuffle && mixes) {
      return drawUnits(numbered, child, dice).map(({ places }) => ({ places, fixed: false }))
    }
    return [{ fixed: child.fixed, places: drawNode(numbered, child, dice) }]
  })
  return section.shuffle ? shuffled(units, dice) : units
}

/** What is required, and as many others as are missing, in the order of the document. */
const selected = (
  { children, selection }: PlanSection,
  dice: Dice
): ReadonlyArray<PlanSection | PlanItem> => {
  if (selection === null) return children
  const times = children.map(({ required }) => Number(required))
  const missing =
    Math.min(selection.count, ROUTE_MAX) - children.filter((one) => one.required).length
  for (let left = missing; left > 0; left -= 1) {
    const pool = [...times.keys()].filter((at) => selection.withReplacement || times[at] === 0)
    const drawn = pool.length === 0 ? undefined : pool[dice(pool.length)]
    if (drawn === undefined) break
    times[drawn] = (times[drawn] ?? 0) + 1
  }
  return children.flatMap((child, at) => Array.from({ length: times[at] ?? 0 }, () => child))
}

/** Fisher and Yates; what is fixed keeps its position. */
const shuffled = (units: ReadonlyArray<Unit>, dice: Dice): ReadonlyArray<Unit> => {
  const loose = units.filter(({ fixed }) => !fixed)
  const drawn: Array<Unit> = []
  while (loose.length > 0) drawn.push(...loose.splice(dice(loose.length), 1))
  return units.flatMap((unit) => (unit.fixed ? [unit] : drawn.splice(0, 1)))
}

/**
 * Dice that follow from a seed alone: sfc32, started from the first 128 bits of a digest in hex. Whoever
 * knows the seed knows the route, as whoever sees the test does.
 */
export const diceOf = (seed: string): Dice => {
  const word = (at: number) => Number.parseInt(seed.slice(8 * at, 8 * at + 8), 16) >>> 0
  let [a, b, c, d] = [word(0), word(1), word(2), word(3)]
  const next = (): number => {
    const sum = (((a + b) >>> 0) + d) >>> 0
    d = (d + 1) >>> 0
    a = (b ^ (b >>> 9)) >>> 0
    b = (c + (c << 3)) >>> 0
    c = (((c << 21) | (c >>> 11)) + sum) >>> 0
    return sum
  }
  for (let rounds = 0; rounds < 12; rounds += 1) next()
  return (sides) => Math.floor((next() / 4_294_967_296) * sides)
}
