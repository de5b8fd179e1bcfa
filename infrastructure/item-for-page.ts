/**
 * Rewrites an item for the page of a test-taker: the answers to it never leave the device's server,
 * nothing in it can run, and what it shows is fetched from the addresses that the server gives.
 *
 * What may stay is listed, not what must go; only inside the body, where HTML is, is it the other way
 * round. Names are compared as QTI 2 and 3 have them, whatever the namespace: so does the library.
 */
import { Layer } from "effect"
import { ItemForPage, type Known } from "../application/play-ports.ts"
import { attributesForPage, type ContentUrl, escaped } from "./attributes-for-page.ts"
import { isWithinLimits } from "./item-limits.ts"
import { walkXml, type XmlElement } from "./xml-document.ts"

export const layer = Layer.sync(ItemForPage, () =>
  ItemForPage.of({ prepare: itemForPage, rubric, accepts: isWithinLimits })
)

/**
 * Gives the item without its keys, as XML. `path`: where it is in its package; `contentUrl`: the
 * address of another file there; `templates`: the values that were drawn for it. Throws when it is not
 * well-formed, which publishing refuses.
 */
export const itemForPage = (
  xml: string | Uint8Array,
  path: string,
  contentUrl: ContentUrl,
  templates: ReadonlyArray<Known>
): string => {
  const written: Array<string> = []
  const open: Array<{ readonly name: string; readonly namespace: string }> = []
  // The depth of the element that is left out with all that is in it.
  let leftOut = 0
  const bytes = typeof xml === "string" ? Buffer.from(asUtf8(xml)) : xml
  const { refusal } = walkXml(bytes, path, "refuse", {
    open: (element, names) => {
      if (leftOut > 0) return
      if (!staysAt(element, names) || isHidden(element, templates)) {
        leftOut = names.length
        written.push(printed(element, templates))
        return
      }
      const { local: name, namespace } = element
      const outer = open.at(-1)?.namespace ?? ""
      const space = namespace === outer ? "" : ` xmlns="${escaped(namespace)}"`
      written.push(`<${name}${space}${attributesForPage(element, path, contentUrl)}>`)
      written.push(names.length === 2 ? drawnFor(element, templates) : "")
      open.push({ name, namespace })
    },
    text: (text) => {
      if (leftOut === 0) written.push(escaped(text))
    },
    close: (names) => {
      if (leftOut === 0) written.push(`</${open.pop()?.name}>`)
      else if (leftOut === names.length) leftOut = 0
    }
  })
  if (refusal !== undefined) throw new Error(`an item is not well-formed: ${refusal.code}`)
  return written.join("")
}

const rubric = (xml: string, path: string, contentUrl: ContentUrl): string =>
  itemForPage(
    `<qti-assessment-item xmlns="${QTI_30}"><qti-item-body>${xml}</qti-item-body></qti-assessment-item>`,
    path,
    contentUrl,
    []
  )

const QTI_30 = "http://www.imsglobal.org/xsd/imsqtiasi_v3p0"

/** The name of a document's outermost element, as QTI 2 has it in lower case; "" if there is none. */
export const rootOf = (bytes: Uint8Array, path: string): string => {
  let root = ""
  walkXml(bytes, path, "bare", {
    open: ({ local }, names) => {
      if (names.length === 1) root = plain(local)
    }
  })
  return root
}

/** A string has no encoding any more, whatever its first line still states. */
const asUtf8 = (xml: string): string => xml.replace(/^\uFEFF?<\?xml[^>]*\?>/u, "")

/** `qti-simple-choice` and `simpleChoice` are one: in QTI 3 all names got a prefix and hyphens. */
const plain = (local: string): string =>
  local.toLowerCase().replace(/^qti-/u, "").replaceAll("-", "")

/** What of an item a page needs. */
const PARTS = new Set([
  "contextdeclaration",
  "responsedeclaration",
  "outcomedeclaration",
  "templatedeclaration",
  "assessmentstimulusref",
  "stylesheet",
  "itembody"
])

const staysAt = (element: XmlElement, names: ReadonlyArray<string>): boolean => {
  const name = plain(element.local)
  if (names.length === 1) return true
  const part = plain(names[1] ?? "")
  if (names.length === 2) return PARTS.has(name)
  if (part === "responsedeclaration") return name === "defaultvalue" || name === "value"
  if (part !== "itembody") return false
  return !GONE.has(name) && isForCandidate(element, name)
}

/** What must not be in a body: keys that strayed into it, what is said afterwards, what can run. */
const GONE = new Set([
  ...["correctresponse", "mapping", "areamapping", "matchtable", "interpolationtable"],
  ...["responsedeclaration", "outcomedeclaration", "templatedeclaration"],
  ...["responseprocessing", "templateprocessing", "printedvariable"],
  ...["feedbackinline", "feedbackblock", "modalfeedback", "testfeedback"],
  ...["script", "iframe", "frame", "embed", "applet", "base", "meta", "link", "form"],
  ...["animate", "animatetransform", "animatemotion", "set", "handler", "listener"]
])

/** Rubrics for scorers and authors say how to score. */
const isForCandidate = ({ attributes }: XmlElement, name: string): boolean => {
  if (name !== "rubricblock") return true
  const view = attributes.find(({ local }) => local === "view")?.value
  return view === undefined || view.split(/\s+/u).includes("candidate")
}

const attributeOf = ({ attributes }: XmlElement, kebab: string): string | undefined =>
  attributes.find(({ local }) => local.toLowerCase().replaceAll("-", "") === kebab)?.value

const valuesOf = (templates: ReadonlyArray<Known>, name: string | undefined) =>
  templates.find(({ identifier }) => identifier === name)?.values?.map(({ value }) => value) ?? []

/** Whether the drawn values hide it; shown elements name the variable too. */
const isHidden = (element: XmlElement, templates: ReadonlyArray<Known>): boolean => {
  const variable = attributeOf(element, "templateidentifier")
  if (variable === undefined) return false
  const chosen = valuesOf(templates, variable).includes(attributeOf(element, "identifier") ?? "")
  return chosen === (attributeOf(element, "showhide") === "hide")
}

/** A variable's value in the text; of any but the drawn ones there is none yet. */
const printed = (element: XmlElement, templates: ReadonlyArray<Known>): string =>
  plain(element.local) === "printedvariable"
    ? escaped(valuesOf(templates, attributeOf(element, "identifier")).join(", "))
    : ""

const drawnFor = (element: XmlElement, templates: ReadonlyArray<Known>): string => {
  if (plain(element.local) !== "templatedeclaration") return ""
  const values = valuesOf(templates, attributeOf(element, "identifier"))
  const each = values.map((value) => `<qti-value>${escaped(value)}</qti-value>`).join("")
  return each === "" ? "" : `<qti-default-value>${each}</qti-default-value>`
}
