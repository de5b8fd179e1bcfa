/**
 * Makes of untrusted QTI 3.0 what the QTI library may process: declarations and processing only, no
 * body, nothing that runs, and nothing that the library is known to process wrongly.
 */
import type { DomElement, DomWindow } from "./jsdom-window.ts"

/** The library can't be trusted with this; a person scores. */
export class CantProcess extends Error {}

/** Parses a document, or one element; the namespace does not matter. */
export const parseQti = ({ DOMParser }: DomWindow, xml: string): DomElement => {
  let root: DomElement
  try {
    root = new DOMParser().parseFromString(xml, "application/xml").documentElement
  } catch {
    throw new CantProcess("It is not well-formed XML.")
  }
  if (root.localName === "parsererror") throw new CantProcess("It is not well-formed XML.")
  return root
}

/** Where the declared type of a value is kept when the library is told another. */
export const TRUE_TYPE = "data-base-type"

/** What of an item is needed for processing. The body, with whatever is in it, is not. */
const PROCESSED = new Set([
  "qti-context-declaration",
  "qti-response-declaration",
  "qti-outcome-declaration",
  "qti-template-declaration",
  "qti-template-processing",
  "qti-response-processing"
])

/** Gives the processed parts of an item as elements of the library. */
export const processedParts = (window: DomWindow, item: DomElement): DomElement => {
  if (item.localName !== "qti-assessment-item") {
    throw new CantProcess(`It is no item of QTI 3.0, but "${item.localName}".`)
  }
  const made = window.document.createElement("qti-assessment-item")
  made.setAttribute("identifier", "item")
  made.setAttribute("adaptive", item.getAttribute("adaptive") === "true" ? "true" : "false")
  for (const part of item.children) {
    if (PROCESSED.has(part.localName)) made.append(asHtml(window, part))
  }
  for (const part of made.querySelectorAll("qti-template-processing, qti-response-processing")) {
    makeProcessable(window, part)
  }
  for (const typed of made.querySelectorAll(TYPED)) {
    const type = typed.getAttribute("base-type") ?? ""
    typed.setAttribute(TRUE_TYPE, type)
    if (AS_WORDS.has(type)) typed.setAttribute("base-type", "identifier")
  }
  // QTI minds upper and lower case unless it is told not to; the library does the opposite.
  for (const entry of made.querySelectorAll("qti-map-entry:not([case-sensitive])")) {
    entry.setAttribute("case-sensitive", "true")
  }
  return made
}

/** The library never finds these equal, or also backwards; as words they are what they should be. */
const AS_WORDS = new Set(["boolean", "directedPair", "uri"])
const TYPED = "qti-response-declaration, qti-outcome-declaration, qti-match > qti-base-value"

const TEXT_NODES = new Set([3, 4])

const asHtml = (window: DomWindow, node: DomElement): DomElement => {
  const made = window.document.createElement(node.localName)
  for (const { localName, value } of node.attributes) made.setAttribute(localName, value)
  for (const child of node.childNodes) {
    if (child.nodeType === 1) made.append(asHtml(window, child))
    else if (TEXT_NODES.has(child.nodeType)) made.append(child.textContent)
  }
  return made
}

const makeProcessable = (window: DomWindow, processing: DomElement): void => {
  checkTemplate(processing)
  for (const element of [...processing.querySelectorAll("*")]) {
    checkElement(window, element)
    if (COMPARISONS.has(element.localName)) falseForNull(window, element)
  }
}

/** The library knows these three by name; of any other it would silently do nothing. */
const TEMPLATE = /(?:^|\/)(?:match_correct|map_response|map_response_point)(?:\.xml)?$/u

const checkTemplate = (processing: DomElement): void => {
  const template = processing.getAttribute("template") ?? ""
  const own = processing.querySelector("*") !== null
  if (template !== "" && !own && !TEMPLATE.test(template)) {
    throw new CantProcess(`Response processing by the template "${template}" is not known.`)
  }
}

/** The library has these, but gets them wrong, or runs what a package brings. */
const DISTRUSTED = new Set(["qti-custom-operator", "qti-contains", "qti-printed-variable"])

const checkElement = ({ customElements }: DomWindow, element: DomElement): void => {
  const { localName } = element
  if (DISTRUSTED.has(localName) || customElements.get(localName) === undefined) {
    throw new CantProcess(`It uses "${localName}", which can't be processed.`)
  }
  // The library reads this attribute by another name, and would compare exactly.
  if (
    localName === "qti-equal" &&
    (element.getAttribute("tolerance-mode") ?? "exact") !== "exact"
  ) {
    throw new CantProcess(`It uses "qti-equal" with a tolerance, which can't be processed.`)
  }
  if (element.getAttribute("weight-identifier") !== null) {
    throw new CantProcess("It uses a weight where weights are not known.")
  }
}

const COMPARISONS = new Set(["qti-gt", "qti-gte", "qti-lt", "qti-lte"])

/** To the library null is as good as 0; to QTI nothing is true of it. */
const falseForNull = ({ document }: DomWindow, comparison: DomElement): void => {
  const variables = [...comparison.children].filter(({ localName }) => localName === "qti-variable")
  if (variables.length === 0) return
  const and = document.createElement("qti-and")
  comparison.replaceWith(and)
  for (const variable of variables) {
    const isNull = document.createElement("qti-is-null")
    isNull.append(variable.cloneNode(true))
    const not = document.createElement("qti-not")
    not.append(isNull)
    and.append(not)
  }
  and.append(comparison)
}
