/** Turns the tree of an `assessmentTest` into a plan: what QTI writes as attributes, with its defaults. */
import {
  CONTROL,
  type Control,
  type PlanItem,
  type PlanPart,
  type PlanSection,
  type Rubric,
  type TestPlan,
  type TimeLimits
} from "../domain/test-plan.ts"
import { childrenOf, isElement, type QtiElement, xmlOf } from "./qti-tree.ts"

/** What a test's plan says of an item, out of the item's own file. */
export interface ItemFacts {
  readonly title: string
  readonly responds: boolean
  readonly external: boolean
}

/** Which file a part of the tree is from, as XML has it (XML Base). */
export const BASE = "xml:base"

/** The plan of a test whose sections are all in the tree, and whose items are named by their paths. */
export const planOf = (root: QtiElement, facts: ReadonlyMap<string, ItemFacts>): TestPlan => ({
  identifier: text(root, "identifier"),
  title: root.attributes.get("title") ?? text(root, "identifier"),
  limits: limitsOf(root),
  rubrics: rubricsOf(root),
  parts: childrenOf(root, "qti-test-part").map((part) => partOf(part, facts)),
  xml: xmlOf(root),
  concludes: childrenOf(root, "qti-outcome-processing").length > 0
})

const partOf = (part: QtiElement, facts: ReadonlyMap<string, ItemFacts>): PlanPart => ({
  ...nodeOf(part),
  linear: part.attributes.get("navigation-mode") !== "nonlinear",
  individual: part.attributes.get("submission-mode") !== "simultaneous",
  rubrics: rubricsOf(part),
  children: contentsOf(part, controlOf(part, CONTROL), facts)
})

const contentsOf = (
  parent: QtiElement,
  control: Control,
  facts: ReadonlyMap<string, ItemFacts>
): ReadonlyArray<PlanSection | PlanItem> =>
  parent.children.filter(isElement).flatMap((child): ReadonlyArray<PlanSection | PlanItem> => {
    if (child.name === "qti-assessment-section") return [sectionOf(child, control, facts)]
    return child.name === "qti-assessment-item-ref" ? [itemOf(child, control, facts)] : []
  })

const sectionOf = (
  section: QtiElement,
  outer: Control,
  facts: ReadonlyMap<string, ItemFacts>
): PlanSection => {
  const [selection] = childrenOf(section, "qti-selection")
  const [ordering] = childrenOf(section, "qti-ordering")
  return {
    kind: "section",
    ...nodeOf(section),
    ...selectableOf(section),
    title: text(section, "title"),
    visible: isTrue(section, "visible", true),
    keepTogether: isTrue(section, "keep-together", true),
    shuffle: ordering !== undefined && isTrue(ordering, "shuffle", false),
    selection:
      selection === undefined
        ? null
        : {
            count: wholeNumber(selection, "select", 0),
            withReplacement: isTrue(selection, "with-replacement", false)
          },
    rubrics: rubricsOf(section),
    children: contentsOf(section, controlOf(section, outer), facts)
  }
}

const rubricsOf = (element: QtiElement): ReadonlyArray<Rubric> =>
  childrenOf(element, "qti-rubric-block")
    .filter(isForTakers)
    .map((block) => ({ path: text(block, BASE), xml: xmlOf(block) }))

/** Blocks for proctors and authors are not for the page. */
const isForTakers = (block: QtiElement): boolean =>
  text(block, "view").split(/\s+/u).includes("candidate")

const itemOf = (
  item: QtiElement,
  outer: Control,
  facts: ReadonlyMap<string, ItemFacts>
): PlanItem => {
  const path = text(item, "href")
  const weights = childrenOf(item, "qti-weight").map(
    (weight) => [text(weight, "identifier"), numberOf(weight, "value", 1)] as const
  )
  return {
    kind: "item",
    ...nodeOf(item),
    ...selectableOf(item),
    path,
    title: facts.get(path)?.title ?? text(item, "identifier"),
    responds: facts.get(path)?.responds ?? true,
    external: facts.get(path)?.external ?? false,
    categories: text(item, "category").split(/\s+/u).filter(Boolean),
    weights: Object.fromEntries(weights),
    control: controlOf(item, outer)
  }
}

const nodeOf = (element: QtiElement) => ({
  identifier: text(element, "identifier"),
  preConditions: childrenOf(element, "qti-pre-condition").map(contentOf),
  branches: childrenOf(element, "qti-branch-rule").map((rule) => ({
    target: text(rule, "target"),
    expression: contentOf(rule)
  })),
  limits: limitsOf(element)
})

const selectableOf = (element: QtiElement) => ({
  required: isTrue(element, "required", false),
  fixed: isTrue(element, "fixed", false)
})

/** The expression inside; of a rule without one, nothing, which nobody can evaluate. */
const contentOf = ({ children }: QtiElement): string =>
  children
    .filter(isElement)
    .map((child) => xmlOf(child))
    .join("")

/** What an element says itself, and what is around it for the rest. */
const controlOf = (element: QtiElement, outer: Control): Control => {
  const [control] = childrenOf(element, "qti-item-session-control")
  if (control === undefined) return outer
  return {
    maxAttempts: wholeNumber(control, "max-attempts", outer.maxAttempts),
    showFeedback: isTrue(control, "show-feedback", outer.showFeedback),
    allowReview: isTrue(control, "allow-review", outer.allowReview),
    showSolution: isTrue(control, "show-solution", outer.showSolution),
    allowComment: isTrue(control, "allow-comment", outer.allowComment),
    allowSkipping: isTrue(control, "allow-skipping", outer.allowSkipping),
    validateResponses: isTrue(control, "validate-responses", outer.validateResponses)
  }
}

const limitsOf = (element: QtiElement): TimeLimits | null => {
  const [limits] = childrenOf(element, "qti-time-limits")
  if (limits === undefined) return null
  const millis = (name: string) => Math.round(1_000 * numberOf(limits, name, 0))
  return {
    minMillis: millis("min-time"),
    // Exporters write 0 where an author set no limit.
    maxMillis: millis("max-time") === 0 ? null : millis("max-time"),
    allowLate: isTrue(limits, "allow-late-submission", false)
  }
}

const text = ({ attributes }: QtiElement, name: string): string => attributes.get(name) ?? ""

const isTrue = ({ attributes }: QtiElement, name: string, otherwise: boolean): boolean => {
  const said = attributes.get(name)?.trim()
  return said === undefined ? otherwise : said === "true" || said === "1"
}

/** A number that can't be read, or is below zero, was not said. */
const numberOf = ({ attributes }: QtiElement, name: string, otherwise: number): number => {
  const said = Number(attributes.get(name)?.trim() || Number.NaN)
  return Number.isFinite(said) && said >= 0 ? said : otherwise
}

const wholeNumber = (element: QtiElement, name: string, otherwise: number): number =>
  Math.floor(numberOf(element, name, otherwise))
