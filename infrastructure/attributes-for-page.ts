/**
 * Rewrites the attributes of one element for the page of a test-taker: none can run anything, and
 * every address is one that the server gave.
 */
import { join } from "../domain/package-href.ts"
import type { XmlElement } from "./xml-document.ts"

/** Where a page finds a file of the package. */
export type ContentUrl = (path: string) => string

/** Attributes as they are written in a start tag, each with a space before it. */
export const attributesForPage = (
  { attributes }: XmlElement,
  from: string,
  contentUrl: ContentUrl
): string => {
  const kept = new Map<string, string>()
  for (const { local, namespace, value } of attributes) {
    const name = local.toLowerCase()
    // Declarations of namespaces are written anew.
    if (namespace === XMLNS || (namespace === "" && name === "xmlns")) continue
    if (namespace === XML) {
      if (name === "lang" || name === "space") kept.set(`xml:${name}`, value)
      continue
    }
    if (namespace !== "" && namespace !== XLINK) continue
    if (name.startsWith("on") || GONE.has(name)) continue
    const rewritten = valueFor(name, value, from, contentUrl)
    // An attribute of its own wins over one of another language with the same name.
    if (rewritten !== undefined && !(namespace !== "" && kept.has(local))) {
      kept.set(local, rewritten)
    }
  }
  return [...kept].map(([name, value]) => ` ${name}="${escaped(value)}"`).join("")
}

const XMLNS = "http://www.w3.org/2000/xmlns/"
const XML = "http://www.w3.org/XML/1998/namespace"
const XLINK = "http://www.w3.org/1999/xlink"

/** They send, or load another page; or they are the answer: the library reads it here too. */
const GONE = new Set([
  ...["action", "formaction", "ping", "srcdoc", "target", "manifest", "nonce"],
  ...["correct-response", "correctresponse", "show-correct-response"],
  ...["show-full-correct-response", "show-candidate-correction"]
])

const ADDRESSES = new Set([
  ...["src", "data", "href", "poster", "primary-path", "fallback-path", "background"],
  ...["longdesc", "cite", "codebase", "classid", "archive", "profile", "lowsrc", "dynsrc"]
])

const valueFor = (
  name: string,
  value: string,
  from: string,
  contentUrl: ContentUrl
): string | undefined => {
  if (name === "srcset") {
    const all = value.split(",").map((one) => {
      const [address = "", ...rest] = one.trim().split(/\s+/u)
      const url = addressFor("src", address, from, contentUrl)
      return url === undefined ? undefined : [url, ...rest].join(" ")
    })
    const kept = all.filter((one) => one !== undefined)
    return kept.length === 0 ? undefined : kept.join(", ")
  }
  return ADDRESSES.has(name) ? addressFor(name, value, from, contentUrl) : value
}

/** Undefined for what is not in the package: a device is offline, and a page asks nobody else. */
const addressFor = (
  name: string,
  value: string,
  from: string,
  contentUrl: ContentUrl
): string | undefined => {
  // What a browser ignores inside an address hides a scheme from nobody here.
  const clean = value.replace(/[\p{Cc}\s]+/gu, (space) => (space === " " ? " " : "")).trim()
  if (clean === "" || clean.startsWith("#")) return clean
  if (/^[a-z][a-z0-9+.-]*:/iu.test(clean)) {
    return name !== "href" && MEDIA.test(clean) ? clean : undefined
  }
  if (/^[/\\]/u.test(clean)) return undefined
  const path = join(from, decoded(clean.replace(/[?#].*$/su, "")))
  return path === undefined ? undefined : contentUrl(path)
}

/** Pictures and sounds in the address itself; an SVG as a picture can't run. */
const MEDIA = /^data:(?:image|audio|video|font)\//iu

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Text as XML writes it, in elements and in attributes. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"\r]/gu, (sign) => ESCAPES[sign] ?? sign)

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#13;"
}
