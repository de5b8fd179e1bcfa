/**
 * Reads one document of a package (test, item, section, stimulus, drawing) and collects what it
 * refers to and whether it holds a program.
 */
import { cssReferences } from "../domain/css-references.ts"
import type { Finding, PackageDocument, Reference, ReferenceKind } from "../domain/qti-document.ts"
import { attribute, oneLine } from "./qti-manifest.ts"
import { type Doctype, walkXml, type XmlElement } from "./xml-document.ts"

export interface Scanned {
  readonly document: PackageDocument | undefined
  readonly findings: ReadonlyArray<Finding>
}

/** Scans an XML document; `document` is undefined when it can't be read to its end. */
export const scanXml = (bytes: Uint8Array, path: string, doctype: Doctype): Scanned => {
  const references: Array<Reference> = []
  const findings: Array<Finding> = []
  const interactions = new Set<string>()
  let root: XmlElement | undefined
  const { refusal, encoding } = walkXml(bytes, path, doctype, {
    open: (element, names) => {
      root ??= element
      const name = canonical(element.local)
      references.push(...referencesOf(element, name))
      findings.push(...activeParts(element, name).map((what) => active(path, element.line, what)))
      findings.push(...templateFinding(element, name, path))
      if (SPECIAL.test(name)) interactions.add(name)
      if (attribute(element, "adaptive") === "true") interactions.add("adaptive")
      findings.push(...hiddenQuestion(element, names, path))
    },
    text: (text, stack, line) => {
      if (stack.at(-1)?.toLowerCase() === "style")
        references.push(...styleParts(text, "style", line))
    },
    instruction: (target, body, line) => {
      if (target !== "xml-stylesheet") return
      if (/xsl|xml["']/iu.test(body)) findings.push(active(path, line, "an XSLT style sheet"))
      const href = /href\s*=\s*["']([^"']*)["']/u.exec(body)?.[1]
      if (href !== undefined) references.push({ kind: "stylesheet", href, element: target, line })
    }
  })
  if (refusal !== undefined) return { document: undefined, findings: [...findings, refusal] }
  if (!UTF_8.has(encoding)) findings.push(encodingWarning(path, encoding))
  const document = { ...headOf(path, root), references, interactions: [...interactions] }
  return { document, findings }
}

/** What needs a player that has it. */
const SPECIAL = /(?:Interaction|customOperator|[fF]eedback(?:Inline|Block)?)$/u
const FEEDBACK = /[fF]eedback(?:Inline|Block)?$/u

/** Feedback is never shown: a question inside could not be answered. */
const hiddenQuestion = (
  element: XmlElement,
  names: ReadonlyArray<string>,
  file: string
): ReadonlyArray<Finding> => {
  const isAsked = canonical(element.local).endsWith("Interaction")
  if (!isAsked || !names.slice(0, -1).some((name) => FEEDBACK.test(canonical(name)))) return []
  const detail = `line ${element.line} asks a question inside feedback, which is not shown. Ask it in the item itself.`
  return [{ code: "unsupported-interaction", file, detail }]
}

/** Scans a style sheet. Bytes that are not UTF-8 can't be in a URL that matters. */
export const scanCss = (bytes: Uint8Array, path: string): PackageDocument => ({
  ...headOf(path, undefined),
  references: styleParts(Buffer.from(bytes).toString("utf8"), "style", 1),
  interactions: []
})

/** Scans a page of HTML, which need not be XML, for signs of programs and of the network. */
export const scanHtml = (bytes: Uint8Array, path: string): ReadonlyArray<Finding> => {
  const text = Buffer.from(bytes).toString("utf8")
  return HTML_SIGNS.flatMap(({ sign, what }) => {
    const at = text.search(sign)
    if (at < 0) return []
    const line = text.slice(0, at).split("\n").length
    return what === undefined ? [remoteInHtml(path, line)] : [active(path, line, what)]
  })
}

const HTML_SIGNS: ReadonlyArray<{ readonly sign: RegExp; readonly what?: string }> = [
  { sign: /<script\b/iu, what: "a script" },
  { sign: /[\s"'/]on[a-z]{3,}\s{0,20}=/iu, what: "an event handler" },
  { sign: /(?:java|vb)script:/iu, what: "a javascript: address" },
  { sign: /\b(?:src|data|poster)\s{0,20}=\s{0,20}["']?\s{0,20}(?:https?:)?\/\//iu }
]

const remoteInHtml = (file: string, line: number): Finding => ({
  code: "remote-asset",
  file,
  detail: `line ${line} loads something from the network, but tests are taken offline. Put a copy into the package and refer to that.`
})

/** `qti-assessment-item-ref` and `assessmentItemRef` are one name. */
export const canonical = (local: string): string =>
  local.startsWith("qti-")
    ? local.slice(4).replace(/-([a-z])/gu, (_, letter: string) => letter.toUpperCase())
    : local

const headOf = (path: string, root: XmlElement | undefined) => ({
  path,
  root: root === undefined ? "" : canonical(root.local),
  namespace: root?.namespace ?? "",
  schemaLocation: root?.attributes.find(({ local }) => local === "schemaLocation")?.value ?? "",
  identifier: (root && attribute(root, "identifier")) ?? "",
  title: oneLine((root && attribute(root, "title")) ?? "")
})

const referencesOf = (element: XmlElement, name: string): ReadonlyArray<Reference> =>
  element.attributes.flatMap(({ local, value }): ReadonlyArray<Reference> => {
    const at = { element: element.local, line: element.line }
    if (local === "style") return styleParts(value, element.local, element.line)
    if (local === "srcset") {
      const urls = value.split(",").map((part) => part.trim().split(/\s/u)[0] ?? "")
      return urls.map((href) => ({ kind: "asset", href, ...at }))
    }
    const kind = kindOf(element, name, local)
    if (kind === undefined) return []
    const identifier = kind === "item" ? attribute(element, "identifier") : undefined
    return [{ kind, href: value, ...at, ...(identifier !== undefined && { identifier }) }]
  })

const HREFS = new Map<string, ReferenceKind>([
  ["assessmentItemRef", "item"],
  ["assessmentSectionRef", "section"],
  ["assessmentStimulusRef", "stimulus"],
  ["stylesheet", "stylesheet"],
  ["base", "asset"]
])

const kindOf = (
  element: XmlElement,
  name: string,
  attributeName: string
): ReferenceKind | undefined => {
  if (attributeName === "src" || attributeName === "poster") return "asset"
  if (attributeName === "data") return name === "object" ? "asset" : undefined
  if (attributeName !== "href") return undefined
  if (name === "include" && element.namespace === XINCLUDE) {
    return attribute(element, "parse") === "text" ? "asset" : "include"
  }
  if (name === "link") {
    return /stylesheet|icon/iu.test(attribute(element, "rel") ?? "") ? "stylesheet" : "link"
  }
  if (element.namespace === SVG && name !== "a") return "asset"
  return HREFS.get(name) ?? "link"
}

export const XINCLUDE = "http://www.w3.org/2001/XInclude"
const SVG = "http://www.w3.org/2000/svg"

const styleParts = (css: string, element: string, line: number): ReadonlyArray<Reference> =>
  cssReferences(css).map((href) => ({ kind: "style-part", href, element, line }))

const active = (file: string, line: number, what: string): Finding => ({
  code: "active-content",
  file,
  detail: `line ${line} holds ${what}. Programs could read answers or change the test: remove it.`
})

const PROGRAM_ELEMENTS = new Map([
  ["script", "a script"],
  ["handler", "an event handler"],
  ["listener", "an event handler"],
  ["portablecustominteraction", "a portable custom interaction, which is a program"],
  ["interactionmodule", "a portable custom interaction, which is a program"]
])

/** Attributes that become an address in a browser and are no reference to a file. */
const ADDRESSES = /^(?:action|formaction|to|from|by|values|background)$/iu

const activeParts = (element: XmlElement, name: string): ReadonlyArray<string> => {
  const small = name.toLowerCase().replaceAll("-", "")
  const program = PROGRAM_ELEMENTS.get(small)
  const attributes = element.attributes.flatMap(({ local, value }) => {
    if (/^on[a-z]{3,}$/iu.test(local)) return [`an event handler (${local})`]
    if (local.toLowerCase() === "srcdoc") return ["a page inside an attribute (srcdoc)"]
    if (local === "attributeName" && /^\s*on/iu.test(value)) return ["an event handler"]
    const address = ADDRESSES.test(local) ? value.replace(/[\p{Cc}\s]/gu, "") : ""
    return /(?:^|;)(?:java|vb)script:/iu.test(address) ? ["a javascript: address"] : []
  })
  return program === undefined ? attributes : [program, ...attributes]
}

const STANDARD_TEMPLATE =
  /^https?:\/\/(?:www\.imsglobal\.org\/question\/qti_v2p[012]|purl\.imsglobal\.org\/spec\/qti\/v[23]p\d)\/rptemplates\/(?:match_correct|map_response|map_response_point)(?:\.xml)?$/u

const templateFinding = (
  element: XmlElement,
  name: string,
  file: string
): ReadonlyArray<Finding> => {
  const template = name === "responseProcessing" ? attribute(element, "template") : undefined
  if (template === undefined || STANDARD_TEMPLATE.test(template)) return []
  const detail = `it is scored by the template ${template.slice(0, 200)}, which is not one of the standard ones: it may stay unscored. Write the scoring rules into the item.`
  return [{ code: "unknown-scoring-template", file, detail }]
}

const UTF_8 = new Set(["utf-8", "utf8", "us-ascii", "ascii"])

const encodingWarning = (file: string, encoding: string): Finding => ({
  code: "encoding",
  file,
  detail: `it is written in ${encoding}; UTF-8 is safer.`
})
