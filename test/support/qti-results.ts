/**
 * Checks QTI results documents against the rules of the published schemas, which may not be copied
 * into this repository: elements, their order and number, attributes and their types.
 */
import { SaxesParser } from "saxes"
import type { QtiVersion } from "../../domain/export.ts"

const NCNAME = /^[A-Za-z_][\w.-]*$/u
const isName = (text: string) => NCNAME.test(text)
const isText = (text: string) => !/[\t\n\r]/u.test(text)
const isMoment = (text: string) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/u.test(text)
const isInteger = (text: string) => /^[+-]?\d+$/u.test(text)
const isUri = (text: string) => !/\s/u.test(text)
const oneOf = (text: string) => (given: string) => text.split(" ").includes(given)
const isCardinality = oneOf("single multiple ordered record")
const isBaseType = oneOf(
  "boolean directedPair duration file float identifier integer pair point string uri"
)

interface Rule {
  /** Children in order; `?` at most one, `*` any number, `(a|b)*` a choice. */
  readonly children: string
  readonly required: Readonly<Record<string, (text: string) => boolean>>
  readonly optional?: Readonly<Record<string, (text: string) => boolean>>
  readonly hasText?: boolean
}

const rules = (version: QtiVersion): Readonly<Record<string, Rule>> => {
  const isId = version === "3.0" ? isName : isText
  const variables =
    version === "3.0"
      ? "(responseVariable|templateVariable|outcomeVariable|contextVariable)*"
      : "(responseVariable|templateVariable|outcomeVariable)*"
  const declared = { identifier: isName, cardinality: isCardinality }
  const typed = { baseType: isBaseType }
  const status =
    version === "3.0"
      ? "final initial pendingExternalScoring pendingResponseProcessing pendingSubmission"
      : "final initial pendingResponseProcessing pendingSubmission"
  return {
    assessmentResult: { children: "(context)(testResult)?(itemResult)*", required: {} },
    context: { children: "(sessionIdentifier)*", required: {}, optional: { sourcedId: isName } },
    sessionIdentifier: { children: "", required: { sourceID: isUri, identifier: isId } },
    testResult: { children: variables, required: { identifier: isId, datestamp: isMoment } },
    itemResult: {
      children: `${variables}(candidateComment)?`,
      required: { identifier: isId, datestamp: isMoment, sessionStatus: oneOf(status) },
      optional: { sequenceIndex: isInteger }
    },
    responseVariable: {
      children: "(correctResponse)?(candidateResponse)",
      required: declared,
      optional: typed
    },
    candidateResponse: { children: "(value)*", required: {} },
    outcomeVariable: { children: "(value)*", required: declared, optional: typed },
    templateVariable: { children: "(value)*", required: declared, optional: typed },
    contextVariable: { children: "(value)*", required: declared, optional: typed },
    value: {
      children: "",
      required: {},
      optional: { fieldIdentifier: isName, baseType: isBaseType },
      hasText: true
    }
  }
}

interface Element {
  readonly name: string
  readonly space: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: Array<Element>
  text: string
}

const elementsOf = (xml: string): Element => {
  const parser = new SaxesParser({ xmlns: true })
  const top: Element = { name: "", space: "", attributes: new Map(), children: [], text: "" }
  const path = [top]
  parser.on("error", (error) => {
    throw error
  })
  parser.on("opentag", (tag) => {
    const own = Object.values(tag.attributes).filter(({ prefix, name }) => {
      return prefix === "" && name !== "xmlns"
    })
    const attributes = new Map(own.map(({ name, value }) => [name, value]))
    const element = { name: tag.local, space: tag.uri, attributes, children: [], text: "" }
    path.at(-1)?.children.push(element)
    path.push(element)
  })
  parser.on("text", (text) => {
    const at = path.at(-1)
    if (at !== undefined) at.text += text
  })
  parser.on("closetag", () => void path.pop())
  parser.write(xml).close()
  return top
}

/** What is wrong with a document; nothing, if the schema would take it. */
export const faults = (xml: string, version: QtiVersion): ReadonlyArray<string> => {
  const all = rules(version)
  const space = `http://www.imsglobal.org/xsd/imsqti_result_v${version.replace(".", "p")}`
  const check = (element: Element): ReadonlyArray<string> => {
    const rule = all[element.name]
    if (rule === undefined || element.space !== space) return [`no element ${element.name}`]
    const optional = rule.optional ?? {}
    const names = element.children.map(({ name }) => `<${name}>`).join("")
    const order = new RegExp(`^${rule.children.replace(/\w+/gu, "<$&>")}$`, "u")
    return [
      ...(order.test(names) ? [] : [`${element.name} holds ${names}`]),
      ...Object.keys(rule.required)
        .filter((name) => !element.attributes.has(name))
        .map((name) => `${element.name} lacks ${name}`),
      ...[...element.attributes].flatMap(([name, value]) =>
        (rule.required[name] ?? optional[name])?.(value) === true
          ? []
          : [`${element.name} has ${name}="${value}"`]
      ),
      ...(rule.hasText === true || element.text.trim() === "" ? [] : [`${element.name} has text`]),
      ...element.children.flatMap(check)
    ]
  }
  const [root, ...more] = elementsOf(xml).children
  if (root?.name !== "assessmentResult" || more.length > 0) return ["another root element"]
  return check(root)
}

/** The values of each variable of a document, by its identifier. */
export const valuesOf = (xml: string): ReadonlyMap<string, ReadonlyArray<string>> => {
  const found = new Map<string, ReadonlyArray<string>>()
  const texts = (element: Element): ReadonlyArray<string> =>
    element.name === "value" ? [element.text] : element.children.flatMap(texts)
  const walk = (element: Element): void => {
    const name = element.attributes.get("identifier")
    if (element.name.endsWith("Variable") && name !== undefined && !found.has(name)) {
      found.set(name, texts(element))
    }
    element.children.forEach(walk)
  }
  walk(elementsOf(xml))
  return found
}
