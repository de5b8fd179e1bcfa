/**
 * Answers questions as a test-taker might: sometimes right, sometimes wrong, always of a form that
 * the question takes. For rehearsals and demonstrations; nobody's result is made of this.
 */
import type { BaseType, Cardinality } from "./variable.ts"

/** One interaction of an item, as far as it takes to answer it. Names as in QTI 2, in lower case. */
export interface Question {
  readonly response: string
  readonly cardinality: typeof Cardinality.Type
  readonly baseType: typeof BaseType.Type | null
  readonly interaction: string
  /** Identifiers to choose among; of a match, those of the first set. */
  readonly choices: ReadonlyArray<string>
  /** What the choices are put to: the second set of a match, or the gaps. */
  readonly targets: ReadonlyArray<string>
  readonly correct: ReadonlyArray<string>
  readonly max: number
  readonly bounds: { readonly lower: number; readonly upper: number }
}

/** Null where nothing plausible can be said: a drawing, a file, a program of the package. */
export type Answer = ReadonlyArray<string> | null

/** `below(n)` throws a whole number from 0 to below n. */
export type Below = (n: number) => number

export const plausible = (question: Question, below: Below): Answer => {
  if (question.correct.length > 0 && below(10) < RIGHT_OF_TEN) return question.correct
  const { choices, interaction, targets } = question
  switch (interaction) {
    case "choiceinteraction":
    case "inlinechoiceinteraction":
    case "hotspotinteraction":
    case "hottextinteraction":
      return someOf(question, below)
    case "orderinteraction":
    case "graphicorderinteraction":
      return shuffled(choices, below)
    case "matchinteraction":
    case "gapmatchinteraction":
    case "graphicgapmatchinteraction":
      return pairs(choices, targets, below)
    case "associateinteraction":
    case "graphicassociateinteraction":
      return choices.length < 2 ? [] : [shuffled(choices, below).slice(0, 2).join(" ")]
    case "sliderinteraction":
      return [String(within(question, below))]
    case "selectpointinteraction":
    case "positionobjectinteraction":
      return [`${below(POINT_MAX)} ${below(POINT_MAX)}`]
    case "textentryinteraction":
      return [typed(question, below)]
    case "extendedtextinteraction":
      return [ESSAYS[below(ESSAYS.length)] ?? ""]
    default:
      return null
  }
}

const RIGHT_OF_TEN = 6
const POINT_MAX = 200
const WORDS = ["Paris", "three", "the sea", "I am not sure"]
const ESSAYS = [
  "In the morning I hear birds, then the tram. It is louder when it rains.",
  "I think that it depends on where you stand, because sound takes time to arrive.\nThat is why."
]

const someOf = ({ cardinality, choices, max }: Question, below: Below): Answer => {
  if (choices.length === 0) return []
  const most =
    cardinality === "single" ? 1 : Math.min(max === 0 ? choices.length : max, choices.length)
  const few = new Set(shuffled(choices, below).slice(0, 1 + below(most)))
  return choices.filter((choice) => few.has(choice))
}

const pairs = (
  choices: ReadonlyArray<string>,
  targets: ReadonlyArray<string>,
  below: Below
): Answer => {
  const order = shuffled(choices, below)
  return targets.slice(0, order.length).map((target, at) => `${order[at]} ${target}`)
}

const within = ({ bounds }: Question, below: Below): number =>
  bounds.lower + below(Math.max(1, Math.floor(bounds.upper - bounds.lower) + 1))

const typed = ({ baseType }: Question, below: Below): string => {
  if (baseType === "integer") return String(below(12))
  if (baseType === "float") return `${below(12)}.5`
  return WORDS[below(WORDS.length)] ?? ""
}

const shuffled = (items: ReadonlyArray<string>, below: Below): ReadonlyArray<string> => {
  const rest = [...items]
  return items.flatMap(() => rest.splice(below(rest.length), 1))
}

/** The score by the rule "all or nothing"; only where the item says that this is its rule. */
export const matchesCorrect = ({ cardinality, correct }: Question, answer: Answer): boolean => {
  if (answer === null || answer.length !== correct.length) return false
  if (cardinality === "ordered") return answer.every((value, at) => value === correct[at])
  return [...answer].sort().join("\n") === [...correct].sort().join("\n")
}
