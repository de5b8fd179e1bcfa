/**
 * Mends what the converter leaves of QTI 2.x, and sees that it lost nothing: neither a word of what
 * test-takers read, nor a rule of the test or of scoring.
 */
import type { Refusal } from "../domain/package-refusal.ts"
import { canonical } from "./qti-scan.ts"
import { elementsOf, type TreeElement } from "./xml-tree.ts"

const QTI_3 = "http://www.imsglobal.org/xsd/imsqtiasi_v3p0"
const MANIFEST_3 = "http://www.imsglobal.org/xsd/qti/qtiv3p0/imscp_v1p1"

/** Changes a manifest of 2.x to one of 3.0; metadata of other vocabularies stays. */
export const manifestAs3 = (root: TreeElement): void => {
  for (const element of elementsOf(root)) {
    for (const [name, value] of element.attributes) {
      if (/(?:^|:)schemaLocation$/u.test(name)) element.attributes.delete(name)
      else if (/^xmlns(?::|$)/u.test(name) && /\/imscp_v1p[12]$/u.test(value)) {
        element.attributes.set(name, MANIFEST_3)
      }
    }
    const type = element.attributes.get("type")
    if (element.local === "resource" && type !== undefined) {
      element.attributes.set("type", typeAs3(type))
    }
    if (element.local === "schema") element.children = ["QTI Package"]
    if (element.local === "schemaversion") element.children = ["3.0.0"]
  }
}

const typeAs3 = (type: string): string => {
  if (/^imsqti_(?:test|assessment)_xml/u.test(type)) return "imsqti_test_xmlv3p0"
  return /^imsqti_(?:item|apipitem)_xml/u.test(type) ? "imsqti_item_xmlv3p0" : type
}

/** Gives names of 3.0 to elements that kept those of 2.x, as the feedback of a test does. */
export const mend = (root: TreeElement, before: TreeElement): void => {
  const chose = new Map(
    [...elementsOf(before)].flatMap((element) => {
      const response = element.attributes.get("responseIdentifier")
      return response === undefined ? [] : [[response, element.attributes.get("minChoices")]]
    })
  )
  for (const element of elementsOf(root)) {
    if (element.namespace !== QTI_3) continue
    if (/[A-Z]/u.test(element.local)) element.name = `qti-${kebab(element.local)}`
    for (const [name, value] of [...element.attributes]) {
      if (/schema-?location$/iu.test(name)) element.attributes.delete(name)
      else if (/^[a-z]+[A-Z][A-Za-z]*$/u.test(name) && element.name.startsWith("qti-")) {
        element.attributes.delete(name)
        element.attributes.set(kebab(name), value)
      }
    }
    // A legal empty answer must not become an incomplete one.
    const response = element.attributes.get("response-identifier")
    if (response !== undefined && chose.has(response) && chose.get(response) === undefined) {
      element.attributes.delete("min-choices")
    }
  }
}

const kebab = (name: string): string =>
  name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)

/** Compares a document with what it became. Gives the refusal when something is gone. */
export const checkConverted = (before: TreeElement, after: TreeElement): Refusal | undefined => {
  const lost = [...rulesLost(before, after), ...textLost(before, after)]
  if (lost.length === 0) return undefined
  const some = lost.slice(0, LOST_SHOWN).join(", ")
  const detail = `converting it to QTI 3.0 lost ${some}${lost.length > LOST_SHOWN ? ", and more" : ""}. Export the package as QTI 3.0 from the program that made it.`
  return { code: "conversion", file: before.from, detail }
}

const LOST_SHOWN = 5

const rulesLost = (before: TreeElement, after: TreeElement): ReadonlyArray<string> => {
  const prefixed = [...elementsOf(after)].filter(({ name }) => name.startsWith("qti-"))
  const qti = new Set(prefixed.map(({ name }) => canonical(name)))
  const left = counts(after, () => true)
  const wanted = counts(before, (name) => qti.has(name) || /[A-Z]/u.test(name))
  return [...wanted].filter(([what, count]) => (left.get(what) ?? 0) < count).map(([what]) => what)
}

/** How often each element stands in the tree, and each of its attributes with each value. */
const counts = (root: TreeElement, of: (name: string) => boolean): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  const add = (what: string) => found.set(what, (found.get(what) ?? 0) + 1)
  for (const { attributes, local } of elementsOf(root)) {
    const name = canonical(local)
    if (!of(name)) continue
    add(name)
    for (const [attribute, value] of attributes) {
      if (/[:]|^xmlns$|^template(?:Location|-location)?$/u.test(attribute)) continue
      add(`${name} ${canonical(`qti-${attribute}`)}="${value}"`)
    }
  }
  return found
}

const textLost = (before: TreeElement, after: TreeElement): ReadonlyArray<string> =>
  textOf(before) === textOf(after) ? [] : ["some of its text"]

/** What is read, without spaces. What an object shows in its stead becomes an attribute. */
const textOf = (root: TreeElement): string => {
  const parts: Array<string> = []
  const follow = ({ children, local }: TreeElement): void => {
    if (local === "object") return
    for (const child of children) {
      if (typeof child === "string") parts.push(child.replace(/\s+/gu, ""))
      else follow(child)
    }
  }
  follow(root)
  return parts.join("")
}
