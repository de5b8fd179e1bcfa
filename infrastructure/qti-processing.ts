/** Runs the QTI library over one job of a scorer: an item, expressions, or a whole test's outcomes. */
import { Schema } from "effect"
import type { Known } from "../application/play-ports.ts"
import { BaseType, Cardinality } from "../domain/variable.ts"
import type { DomElement, DomWindow } from "./jsdom-window.ts"
import { outcomeItem, wrapExpression } from "./qti-outcomes.ts"
import { CantProcess, parseQti, processedParts, TRUE_TYPE } from "./qti-processable.ts"

/** What is asked of the thread, and what it says; both sides are this program, in this version. */
export type Job =
  | {
      readonly verb: "score"
      readonly xml: string
      readonly responses: ReadonlyArray<Known>
      readonly outcomes: ReadonlyArray<Known>
      readonly templates: ReadonlyArray<Known>
    }
  | { readonly verb: "prepare"; readonly xml: string }
  | {
      readonly verb: "decide"
      readonly expressions: ReadonlyArray<string>
      readonly variables: ReadonlyArray<Known>
    }
  | { readonly verb: "conclude"; readonly xml: string; readonly variables: ReadonlyArray<Known> }

export type Answer = ReadonlyArray<Known> | ReadonlyArray<boolean>

/** Does one job. Throws CantProcess, or whatever the library throws. */
export const run = async (window: DomWindow, job: Job): Promise<Answer> => {
  if (job.verb === "score") return score(window, job)
  if (job.verb === "prepare") {
    const item = processedParts(window, parseQti(window, job.xml))
    return processed(window, item, () => valuesOf(item, "qti-template-declaration"))
  }
  if (job.verb === "conclude") {
    const test = outcomeItem(window, parseQti(window, job.xml), job.variables)
    return responded(window, processedParts(window, test), job.variables)
  }
  const decided: Array<boolean> = []
  for (const expression of job.expressions) {
    const item = wrapExpression(window, expression, job.variables)
    const [verdict] = await responded(window, processedParts(window, item), job.variables)
    decided.push(verdict?.values?.[0]?.value === "true")
  }
  return decided
}

const score = (
  window: DomWindow,
  { outcomes, responses, templates, xml }: Extract<Job, { readonly verb: "score" }>
): Promise<ReadonlyArray<Known>> => {
  const item = processedParts(window, parseQti(window, xml))
  keepDrawn(item, templates)
  const adaptive = item.getAttribute("adaptive") === "true"
  return responded(window, item, [...templates, ...(adaptive ? outcomes : []), ...responses])
}

/** Template values were drawn once: what else template processing says is done again with them. */
const keepDrawn = (item: DomElement, given: ReadonlyArray<Known>): void => {
  const values = new Map(given.map((known) => [known.identifier, known]))
  for (const rule of [
    ...item.querySelectorAll("qti-set-template-value, qti-template-constraint")
  ]) {
    rule.remove()
  }
  for (const declared of item.querySelectorAll("qti-template-declaration")) {
    if (!values.has(declared.getAttribute("identifier") ?? "")) {
      throw new CantProcess("Its template values were not drawn.")
    }
  }
}

/** The element of an item as the library makes it. */
interface LibraryItem extends DomElement {
  variables: ReadonlyArray<{
    readonly identifier: string
    readonly value: unknown
    readonly type: string
  }>
  readonly processResponse: (countAttempt: boolean, report: boolean) => boolean
}

const responded = (
  window: DomWindow,
  item: DomElement,
  given: ReadonlyArray<Known>
): Promise<ReadonlyArray<Known>> =>
  processed(window, item, (mounted, complaints) => {
    // Made before any value was given.
    complaints.length = 0
    const types = new Map(mounted.variables.map(({ identifier, type }) => [identifier, type]))
    mounted.variables = given.flatMap((known) => {
      const type = types.get(known.identifier)
      return type === undefined ? [] : [{ identifier: known.identifier, value: told(known), type }]
    })
    const templates = mounted.querySelector("qti-template-processing")
    if (templates !== null && isRule(templates)) templates.process()
    mounted.processResponse(false, false)
    return valuesOf(mounted, "qti-outcome-declaration")
  })

const processed = async <A>(
  { document }: DomWindow,
  item: DomElement,
  use: (mounted: LibraryItem, complaints: Array<string>) => A
): Promise<A> => {
  const complaints: Array<string> = []
  const { error } = console
  console.error = (...words: ReadonlyArray<unknown>) => complaints.push(words.map(String).join(" "))
  try {
    const ready = templatesDone(item)
    document.body.append(item)
    if (!isLibraryItem(item)) throw new CantProcess("The library did not know the item.")
    await item.updateComplete
    for (const element of item.querySelectorAll("*")) await element.updateComplete
    await ready
    const answer = use(item, complaints)
    const [complaint] = complaints
    if (complaint !== undefined) throw new CantProcess(complaint.slice(0, COMPLAINT_MAX))
    return answer
  } finally {
    item.remove()
    console.error = error
  }
}

/** A complaint of the library may quote an answer; its start says what it is about. */
const COMPLAINT_MAX = 120

const isRule = (element: DomElement): element is DomElement & { readonly process: () => void } =>
  "process" in element

const isLibraryItem = (item: DomElement): item is LibraryItem => "processResponse" in item

const templatesDone = (item: DomElement): Promise<void> => {
  const processing = item.querySelector("qti-template-processing")
  if (processing === null) return Promise.resolve()
  return new Promise((resolve) => {
    processing.addEventListener("qti-template-processing-complete", resolve)
  })
}

const told = ({ cardinality, values }: Known): unknown => {
  if (values === null || values.length === 0) return null
  if (cardinality === "record") throw new CantProcess("Records can't be processed.")
  const texts = values.map(({ value }) => value)
  return cardinality === "single" ? (texts[0] ?? null) : texts
}

const isCardinality = Schema.is(Cardinality)
const isBaseType = Schema.is(BaseType)

/** The values of the variables that the item itself declares, as QTI writes them. */
const valuesOf = (item: DomElement, declaration: string): ReadonlyArray<Known> => {
  if (!isLibraryItem(item)) throw new CantProcess("The library did not know the item.")
  const found = new Map(item.variables.map(({ identifier, value }) => [identifier, value]))
  return [...item.querySelectorAll(declaration)].map((declared) => {
    const identifier = declared.getAttribute("identifier") ?? ""
    const cardinality = declared.getAttribute("cardinality")
    const type = declared.getAttribute(TRUE_TYPE) ?? declared.getAttribute("base-type")
    const baseType = isBaseType(type) ? type : null
    const isKnown = !isLeftToOthers(item, declared)
    const values = isKnown ? written(found.get(identifier), baseType) : null
    return {
      identifier,
      cardinality: isCardinality(cardinality) ? cardinality : "single",
      baseType,
      values
    }
  })
}

/** The library makes 0 of what nobody has scored yet. */
const isLeftToOthers = (item: DomElement, declared: DomElement): boolean => {
  if (declared.localName !== "qti-outcome-declaration") return false
  if ((declared.getAttribute("external-scored") ?? "none") !== "none") return true
  const processing = item.querySelector("qti-response-processing")
  const isProcessed =
    processing !== null &&
    (processing.getAttribute("template") !== null || processing.querySelector("*") !== null)
  return !isProcessed && declared.querySelector("qti-default-value") === null
}

const written = (value: unknown, baseType: Known["baseType"]): Known["values"] => {
  const all = (Array.isArray(value) ? value : [value]).filter(
    (one) => one !== null && one !== undefined && one !== ""
  )
  if (all.length === 0) return null
  return all.map((one) => {
    const text = String(one)
    const isNumber = baseType === "float" || baseType === "integer"
    if (typeof one === "object" || (isNumber && !Number.isFinite(Number(text)))) {
      throw new CantProcess("A result is no value of the type that is declared for it.")
    }
    return { value: isNumber ? String(Number(text)) : text }
  })
}
