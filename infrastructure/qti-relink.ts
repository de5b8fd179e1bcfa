/** Writes the references of a document anew where files got other names, or texts another place. */
import { changeCssReferences } from "../domain/css-references.ts"
import { join, type Renaming, relinked } from "../domain/package-href.ts"
import { MANIFEST } from "../domain/qti-document.ts"
import { elementsOf, type TreeElement } from "./xml-tree.ts"

/** Attributes that may name a file; what names none stays as it is. */
const ADDRESSES = new Set(["src", "href", "poster", "data", "background"])

/** Changes the references of the tree, which will be the file `document`; tells whether any changed. */
export const relinkTree = (root: TreeElement, document: string, renaming: Renaming): boolean => {
  let changed = false
  for (const element of elementsOf(root)) {
    const relink = (href: string) => relinked(renaming, element.from, document, href)
    for (const [name, value] of element.attributes) {
      const next = attributeAfter(element, name, value, relink)
      changed ||= next !== value
      element.attributes.set(name, next)
    }
    if (element.local.toLowerCase() !== "style") continue
    element.children = element.children.map((child) => {
      const next = typeof child === "string" ? changeCssReferences(child, relink) : child
      changed ||= next !== child
      return next
    })
  }
  return changed
}

const attributeAfter = (
  element: TreeElement,
  name: string,
  value: string,
  relink: (href: string) => string
): string => {
  const local = name.slice(name.indexOf(":") + 1)
  if (local === "style") return changeCssReferences(value, relink)
  if (local === "srcset")
    return value
      .split(",")
      .map((part) => candidateAfter(part, relink))
      .join()
  if (!ADDRESSES.has(local)) return value
  return local === "data" && element.local !== "object" ? value : relink(value)
}

/** One picture of a `srcset`, with its width. */
const candidateAfter = (part: string, relink: (href: string) => string): string =>
  part.replace(/[^\s]+/u, (href) => relink(href))

const XML_BASE = "xml:base"

/**
 * Changes the manifest: every href then counts from the root of the package. Tells whether any
 * changed.
 */
export const relinkManifest = (root: TreeElement, renaming: Renaming): boolean => {
  let changed = false
  const follow = (element: TreeElement, outer: string): void => {
    const base = element.attributes.get(XML_BASE)
    const from = base === undefined ? outer : (join(outer, `${base}x`) ?? outer)
    changed = element.attributes.delete(XML_BASE) || changed
    const href = element.attributes.get("href")
    if (href !== undefined && (element.local === "resource" || element.local === "file")) {
      const next = relinked(renaming, from, MANIFEST, href)
      changed ||= next !== href
      element.attributes.set("href", next)
    }
    for (const child of element.children) if (typeof child !== "string") follow(child, from)
  }
  follow(root, MANIFEST)
  return changed
}

/** A page of HTML need not be XML: references are found by their shape. */
export const relinkHtml = (html: string, from: string, document: string, renaming: Renaming) =>
  html.replace(
    /(\s(?:src|href|data|poster)\s{0,20}=\s{0,20})(["'])([^"']{0,2048})\2/giu,
    (_, lead: string, quote: string, href: string) =>
      `${lead}${quote}${relinked(renaming, from, document, href)}${quote}`
  )
