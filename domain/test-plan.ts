/**
 * Describes an `assessmentTest` (QTI 2.x and 3.0) as data: what a package says about the order of its
 * items and the rules of sitting them. What a test-taker makes of it is in `test-state.ts`.
 *
 * Expressions are kept as the XML of QTI 3.0, for whoever can evaluate them.
 */

/** What may be done with an item; inherited from part to section to item. */
export interface Control {
  /** 0: as often as one likes. */
  readonly maxAttempts: number
  readonly showFeedback: boolean
  readonly allowReview: boolean
  readonly showSolution: boolean
  readonly allowComment: boolean
  readonly allowSkipping: boolean
  readonly validateResponses: boolean
}

/** What holds where nothing is said (QTI 3.0 ASI §2.8, `qti-item-session-control`). */
export const CONTROL: Control = {
  maxAttempts: 1,
  showFeedback: false,
  allowReview: true,
  showSolution: false,
  allowComment: false,
  allowSkipping: true,
  validateResponses: false
}

export interface TimeLimits {
  readonly minMillis: number
  /** Null: none. */
  readonly maxMillis: number | null
  /** Answers are still taken after the limit. */
  readonly allowLate: boolean
}

/** Where to go on instead of with the next item, if the expression is true. */
export interface Branch {
  readonly target: string
  readonly expression: string
}

/** Content for the test-taker, as XML; its references are relative to the file at `path`. */
export interface Rubric {
  readonly path: string
  readonly xml: string
}

interface Node {
  readonly identifier: string
  /** All must be true for this to be shown. */
  readonly preConditions: ReadonlyArray<string>
  /** The first that is true counts. */
  readonly branches: ReadonlyArray<Branch>
  readonly limits: TimeLimits | null
}

interface Selectable extends Node {
  readonly required: boolean
  readonly fixed: boolean
}

export interface PlanItem extends Selectable {
  readonly kind: "item"
  /** The item's file in the package. */
  readonly path: string
  readonly title: string
  /** Whether it asks anything: what asks nothing can't be skipped. */
  readonly responds: boolean
  /** Somebody else scores it, later: a person, as a rule. */
  readonly external: boolean
  readonly categories: ReadonlyArray<string>
  readonly weights: Readonly<Record<string, number>>
  readonly control: Control
}

export interface PlanSection extends Selectable {
  readonly kind: "section"
  readonly title: string
  readonly visible: boolean
  /** Of an invisible section: its items stay beside each other when those around are shuffled. */
  readonly keepTogether: boolean
  readonly shuffle: boolean
  readonly selection: { readonly count: number; readonly withReplacement: boolean } | null
  readonly rubrics: ReadonlyArray<Rubric>
  readonly children: ReadonlyArray<PlanSection | PlanItem>
}

export interface PlanPart extends Node {
  readonly linear: boolean
  /** Answers are submitted one item at a time, not all at the end of the part. */
  readonly individual: boolean
  readonly rubrics: ReadonlyArray<Rubric>
  readonly children: ReadonlyArray<PlanSection | PlanItem>
}

export interface TestPlan {
  readonly identifier: string
  readonly title: string
  readonly limits: TimeLimits | null
  readonly rubrics: ReadonlyArray<Rubric>
  readonly parts: ReadonlyArray<PlanPart>
  /** The whole test in QTI 3.0, sections of other files included. */
  readonly xml: string
  /** Whether the test computes outcomes of its own. */
  readonly concludes: boolean
}

/** An item with everything around it. */
export interface Place {
  readonly item: PlanItem
  readonly part: number
  /** Numbers of sections in the order of the document, outermost first. */
  readonly sections: ReadonlyArray<number>
}

/** A plan with its items and sections numbered in the order of the document. */
export interface NumberedPlan {
  readonly plan: TestPlan
  readonly places: ReadonlyArray<Place>
  readonly sections: ReadonlyArray<PlanSection>
  /** The number of each item among items, and of each section among sections. */
  readonly numbers: ReadonlyMap<PlanSection | PlanItem, number>
}

/** Numbers the items and sections of a plan; each node must be an object of its own. */
export const numbered = (plan: TestPlan): NumberedPlan => {
  const places: Array<Place> = []
  const sections: Array<PlanSection> = []
  const numbers = new Map<PlanSection | PlanItem, number>()
  const visit = (node: PlanSection | PlanItem, part: number, around: ReadonlyArray<number>) => {
    if (node.kind === "item") {
      numbers.set(node, places.length)
      places.push({ item: node, part, sections: around })
      return
    }
    const number = sections.length
    numbers.set(node, number)
    sections.push(node)
    for (const child of node.children) visit(child, part, [...around, number])
  }
  for (const [part, { children }] of plan.parts.entries()) {
    for (const child of children) visit(child, part, [])
  }
  return { plan, places, sections, numbers }
}
