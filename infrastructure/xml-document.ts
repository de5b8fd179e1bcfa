/**
 * Walks an untrusted XML document with `saxes` (strict, namespaces): no entity is ever expanded
 * beyond the five of XML, no external thing is fetched, size and depth are limited.
 */
import { SaxesParser } from "saxes"
import type { Refusal } from "../domain/package-refusal.ts"

/** Bytes of one document: a hundred times the longest item seen. */
export const XML_BYTES_MAX = 16 * 1024 * 1024

/** Elements inside each other: tables in tables with formulas reach about 30. */
export const XML_DEPTH_MAX = 256

export interface XmlAttribute {
  /** With its prefix, as the author wrote it. */
  readonly name: string
  readonly local: string
  readonly namespace: string
  readonly value: string
}

export interface XmlElement {
  /** With its prefix, as the author wrote it. */
  readonly name: string
  readonly local: string
  readonly namespace: string
  readonly attributes: ReadonlyArray<XmlAttribute>
  readonly line: number
}

/** What to do on the way; `path` is the local names from the root, the element itself included. */
export interface XmlVisitor {
  readonly open?: (element: XmlElement, path: ReadonlyArray<string>) => void
  readonly close?: (path: ReadonlyArray<string>) => void
  readonly text?: (text: string, path: ReadonlyArray<string>, line: number) => void
  readonly instruction?: (target: string, body: string, line: number) => void
  readonly doctype?: () => void
}

/** `refuse` any DOCTYPE, or `bare`: allow one that defines nothing, as drawing programs write. */
export type Doctype = "refuse" | "bare"

export interface Walked {
  readonly refusal: Refusal | undefined
  readonly encoding: string
}

/** Walks the document up to its end or its first fault, which it gives instead of throwing. */
export const walkXml = (
  bytes: Uint8Array,
  file: string,
  doctype: Doctype,
  visitor: XmlVisitor
): Walked => {
  const encoding = encodingOf(bytes)
  const text = decode(bytes, encoding)
  if (text === undefined) {
    const detail = `its text can't be read as ${encoding}, the encoding that it states. Save the file as UTF-8.`
    return { encoding, refusal: { code: "not-well-formed", file, detail } }
  }
  try {
    walkText(text, file, doctype, visitor)
    return { encoding, refusal: undefined }
  } catch (fault) {
    if (fault instanceof Fault) return { encoding, refusal: fault.refusal }
    throw fault
  }
}

class Fault extends Error {
  readonly refusal: Refusal
  constructor(refusal: Refusal) {
    super(refusal.detail)
    this.refusal = refusal
  }
}

const walkText = (text: string, file: string, doctype: Doctype, visitor: XmlVisitor): void => {
  const parser = new SaxesParser({ xmlns: true })
  const path: Array<string> = []
  parser.on("error", (error) => {
    const [, line, what] = /^(\d+):\d+: (.*?)\.?$/su.exec(error.message) ?? ["", "1", error.message]
    const detail = `it is not well-formed XML (line ${line}: ${what?.slice(0, 200)}). Correct it, or export the package again.`
    throw new Fault({ code: "not-well-formed", file, detail })
  })
  parser.on("doctype", (declared) => {
    if (doctype === "bare" && !declared.includes("[")) return visitor.doctype?.()
    const detail =
      "it has a DOCTYPE, which can make a small file grow without end or load others. Remove the line that begins with <!DOCTYPE."
    throw new Fault({ code: "doctype", file, detail })
  })
  parser.on("opentag", (tag) => {
    path.push(tag.local)
    if (path.length > XML_DEPTH_MAX) {
      const detail = `its elements are nested more than ${XML_DEPTH_MAX} deep. Simplify the file.`
      throw new Fault({ code: "xml-limit", file, detail })
    }
    const attributes = Object.values(tag.attributes).map(({ local, name, uri, value }) => ({
      name,
      local,
      namespace: uri,
      value
    }))
    const { local, name, uri: namespace } = tag
    visitor.open?.({ name, local, namespace, attributes, line: parser.line }, path)
  })
  parser.on("closetag", () => {
    visitor.close?.(path)
    path.pop()
  })
  const onText = (piece: string) => visitor.text?.(piece, path, parser.line)
  parser.on("text", onText)
  parser.on("cdata", onText)
  parser.on("processinginstruction", ({ target, body }) => {
    visitor.instruction?.(target, body, parser.line)
  })
  parser.write(text).close()
}

/** The text of a document in the encoding that it states; undefined where it is in another. */
export const xmlText = (bytes: Uint8Array): string | undefined => decode(bytes, encodingOf(bytes))

/** By the byte order mark, then by what the XML declaration states, else UTF-8. */
const encodingOf = (bytes: Uint8Array): string => {
  const [a, b] = bytes
  if ((a === 0xff && b === 0xfe) || (a === 0x3c && b === 0)) return "utf-16le"
  if ((a === 0xfe && b === 0xff) || (a === 0 && b === 0x3c)) return "utf-16be"
  const start = Buffer.from(bytes.subarray(0, 200)).toString("latin1")
  const stated = /^(?:ï»¿)?<\?xml[^>]*\sencoding\s*=\s*["']([\w.:-]{1,40})["']/u.exec(start)?.[1]
  return stated?.toLowerCase() ?? "utf-8"
}

/** Undefined for an unknown encoding and for bytes that are not in it. */
const decode = (bytes: Uint8Array, encoding: string): string | undefined => {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}
