/**
 * Reads a QTI document of any version into a tree with the names of QTI 3.0, and writes such trees as
 * XML. In 3.0 every element of QTI got the prefix `qti-`, and all names hyphens: nothing else differs
 * for the elements that say how a test goes on.
 */
import type { Refusal } from "../domain/package-refusal.ts"
import { walkXml, type XmlElement } from "./xml-document.ts"

export interface QtiElement {
  readonly kind: "element"
  /** As in QTI 3.0; elements of other languages keep their names. */
  readonly name: string
  /** The namespace, of elements of other languages only. */
  readonly namespace: string | undefined
  readonly attributes: ReadonlyMap<string, string>
  readonly children: Array<QtiElement | string>
}

/** Gives the root of a document, or why it can't be read. */
export const readTree = (bytes: Uint8Array, file: string): QtiElement | Refusal => {
  const open: Array<QtiElement> = []
  let isThree = false
  const { refusal } = walkXml(bytes, file, "refuse", {
    open: (element, path) => {
      if (path.length === 1) isThree = THREE.test(element.namespace)
      const made = elementOf(element, isThree, path)
      open.length = path.length - 1
      open.at(-1)?.children.push(made)
      open.push(made)
    },
    text: (text, path) => {
      open[path.length - 1]?.children.push(text)
    }
  })
  const [root] = open
  if (refusal !== undefined) return refusal
  return root ?? { code: "not-well-formed", file, detail: "it is empty." }
}

const THREE = /imsqtiasi_v3p/u
const QTI = /\/(?:imsqti|imsqtiasi|apipv?\w*|qti)[\w/]*$/u

const XML = "http://www.w3.org/XML/1998/namespace"
const isLanguage = ({ local, namespace }: XmlElement["attributes"][number]): boolean =>
  namespace === XML && local === "lang"

const elementOf = (
  { attributes, local, namespace }: XmlElement,
  isThree: boolean,
  path: ReadonlyArray<string>
): QtiElement => {
  const isQti = namespace === "" || QTI.test(namespace)
  const renamed = isQti && !isThree && !isHtml(local, path)
  return {
    kind: "element",
    name: renamed ? `qti-${kebab(local)}` : local,
    namespace: isQti ? undefined : namespace,
    attributes: new Map(
      attributes
        .filter((one) => (one.namespace === "" && one.local !== "xmlns") || isLanguage(one))
        .map((one) => [
          isLanguage(one) ? "xml:lang" : renamed ? kebab(one.local) : one.local,
          one.value
        ])
    ),
    children: []
  }
}

/** Texts for the test-taker are HTML within QTI's namespace; QTI's own elements there have capitals. */
const isHtml = (local: string, path: ReadonlyArray<string>): boolean =>
  path.slice(0, -1).some((name) => name === "rubricBlock" || name === "testFeedback") &&
  /^[a-z][a-z0-9]*$/u.test(local) &&
  !QTI_IN_TEXT.has(local)

const QTI_IN_TEXT = new Set(["stylesheet", "prompt", "gap"])

const kebab = (name: string): string =>
  name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)

/** Whether something that was read is an element. */
export const isElement = (node: QtiElement | string): node is QtiElement => typeof node !== "string"

export const childrenOf = (element: QtiElement, name: string): ReadonlyArray<QtiElement> =>
  element.children.filter(isElement).filter((child) => child.name === name)

/** XML of a tree, without QTI's namespace: it is put where that is the default. */
export const xmlOf = (node: QtiElement | string, outer?: string): string => {
  if (typeof node === "string") return escaped(node)
  const { children, name, namespace } = node
  const attributes = [...node.attributes].map(([key, value]) => ` ${key}="${escaped(value)}"`)
  if (namespace !== outer && namespace !== undefined) attributes.unshift(` xmlns="${namespace}"`)
  const inner = children.map((child) => xmlOf(child, namespace)).join("")
  return inner === ""
    ? `<${name}${attributes.join("")}/>`
    : `<${name}${attributes.join("")}>${inner}</${name}>`
}

const escaped = (text: string): string => text.replace(/[&<>"]/gu, (sign) => ESCAPES[sign] ?? sign)

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;"
}
