/**
 * Reads an untrusted XML document into a tree that can be changed, and writes it as UTF-8 without a
 * DOCTYPE. Comments are left out: they mean nothing to a player and tell authors' secrets.
 */
import type { Refusal } from "../domain/package-refusal.ts"
import { type Doctype, walkXml, type XmlElement } from "./xml-document.ts"

export interface TreeElement {
  /** With its prefix. */
  name: string
  readonly local: string
  readonly namespace: string
  /** By their names with prefixes, declarations of namespaces among them. */
  readonly attributes: Map<string, string>
  children: Array<TreeElement | string>
  /** The file that it was read from: references in it are relative to that. */
  readonly from: string
  readonly line: number
}

export interface Tree {
  readonly root: TreeElement
  /** Style sheets of drawings, as they stood before the root. */
  readonly instructions: ReadonlyArray<{ readonly target: string; readonly body: string }>
  /** Whether the bytes can stay as they are if nothing in the tree changes. */
  readonly isPlain: boolean
}

/** Reads `bytes`, which must be well-formed and within the limits of `walkXml`. */
export const readTree = (bytes: Uint8Array, from: string, doctype: Doctype): Tree | Refusal => {
  const open: Array<TreeElement> = []
  const instructions: Array<Tree["instructions"][number]> = []
  let hasDoctype = false
  const { encoding, refusal } = walkXml(bytes, from, doctype, {
    open: (element, path) => {
      const made = treeElement(element, from)
      open[path.length - 2]?.children.push(made)
      open.splice(path.length - 1, open.length, made)
    },
    text: (text, path) => open[path.length - 1]?.children.push(text),
    instruction: (target, body) => {
      if (target === "xml-stylesheet") instructions.push({ target, body })
    },
    doctype: () => {
      hasDoctype = true
    }
  })
  if (refusal !== undefined) return refusal
  const [root] = open
  if (root === undefined) throw new Error(`${from} is well-formed and has no root`)
  return { root, instructions, isPlain: !hasDoctype && UTF_8.has(encoding) }
}

const UTF_8 = new Set(["utf-8", "utf8", "us-ascii", "ascii"])

const treeElement = (element: XmlElement, from: string): TreeElement => ({
  name: element.name,
  local: element.local,
  namespace: element.namespace,
  attributes: new Map(element.attributes.map(({ name, value }) => [name, value])),
  children: [],
  from,
  line: element.line
})

/** The element and all below it, in the order of the document. */
export function* elementsOf(root: TreeElement): Generator<TreeElement> {
  yield root
  for (const child of root.children) if (typeof child !== "string") yield* elementsOf(child)
}

/** Writes the document. */
export const writeTree = ({ instructions, root }: Pick<Tree, "root" | "instructions">): string => {
  const parts = ['<?xml version="1.0" encoding="UTF-8"?>\n']
  for (const { body, target } of instructions) parts.push(`<?${target} ${body}?>\n`)
  writeElement(root, parts)
  return parts.join("")
}

const writeElement = ({ attributes, children, name }: TreeElement, parts: Array<string>): void => {
  parts.push(`<${name}`)
  for (const [key, value] of attributes) parts.push(` ${key}="${escaped(value, ATTRIBUTE)}"`)
  if (children.length === 0) {
    parts.push("/>")
    return
  }
  parts.push(">")
  for (const child of children) {
    if (typeof child === "string") parts.push(escaped(child, TEXT))
    else writeElement(child, parts)
  }
  parts.push(`</${name}>`)
}

/** What a reader would take for markup, or would change while it reads. */
const TEXT = /[&<>\r]/gu
const ATTRIBUTE = /[&<>"\t\n\r]/gu

const escaped = (text: string, what: RegExp): string =>
  text.replace(what, (letter) => NAMED.get(letter) ?? `&#${letter.charCodeAt(0)};`)

const NAMED = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"]
])
