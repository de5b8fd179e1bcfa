/** Reads `imsmanifest.xml` into the model of the package. */
import { join } from "../domain/package-href.ts"
import type { Refusal } from "../domain/package-refusal.ts"
import { MANIFEST, type Manifest, type Resource } from "../domain/qti-document.ts"
import { walkXml, type XmlElement } from "./xml-document.ts"

/** Characters of a title kept: what fits a list on a screen. */
const TITLE_MAX = 200

interface OpenResource extends Resource {
  readonly files: Array<string>
  readonly dependencies: Array<string>
}

/** Gives the manifest, or why it can't be read. */
export const readManifest = (bytes: Uint8Array): Manifest | Refusal => {
  const resources: Array<OpenResource> = []
  let root: XmlElement | undefined
  let title = ""
  const bases: Array<string> = []
  const { refusal } = walkXml(bytes, MANIFEST, "refuse", {
    open: (element, path) => {
      root ??= element
      bases.length = path.length - 1
      bases.push(baseOf(element, bases.at(-1) ?? MANIFEST))
      if (element.local === "resource") resources.push(resourceOf(element, bases.at(-1)))
      const resource = resources.at(-1)
      if (resource === undefined || path.at(-2) !== "resource") return
      if (element.local === "file") resource.files.push(attribute(element, "href") ?? "")
      if (element.local === "dependency") {
        resource.dependencies.push(attribute(element, "identifierref") ?? "")
      }
    },
    text: (text, path) => {
      if (TITLE_PATHS.has(path.slice(1).join("/")) && title === "") title = oneLine(text)
    }
  })
  if (refusal !== undefined) return refusal
  return {
    root: root?.local ?? "",
    namespace: root?.namespace ?? "",
    identifier: root === undefined ? "" : (attribute(root, "identifier") ?? ""),
    title,
    resources
  }
}

const TITLE_PATHS = new Set([
  "metadata/lom/general/title/string",
  "metadata/lom/general/title/langstring"
])

/** The value of an attribute without a namespace. */
export const attribute = (element: XmlElement, name: string): string | undefined =>
  element.attributes.find(({ local, namespace }) => local === name && namespace === "")?.value

/** A text as one line that fits a list. */
export const oneLine = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cs}\s]+/gu, " ")
    .trim()
    .slice(0, TITLE_MAX)
    // Half a character may be left of one that was cut.
    .replace(/\p{Cs}$/u, "")
    .trim()

const XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"

/** A base that leaves the package counts for nothing: the hrefs below it are then not found. */
const baseOf = (element: XmlElement, outer: string): string => {
  const base = element.attributes.find(
    ({ local, namespace }) => local === "base" && namespace === XML_NAMESPACE
  )?.value
  return base === undefined ? outer : (join(outer, `${base}x`) ?? outer)
}

const resourceOf = (element: XmlElement, from = MANIFEST): OpenResource => ({
  identifier: attribute(element, "identifier") ?? "",
  type: attribute(element, "type") ?? "",
  from,
  href: attribute(element, "href"),
  files: [],
  dependencies: []
})
