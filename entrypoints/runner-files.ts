/**
 * Gives test-takers the files of the package that they sit: never the answers. A document is looked
 * into before it leaves, whatever its name; an item goes out as for a page.
 */
import { Effect, Option, Result, Stream } from "effect"
import { HttpServerResponse, Mime } from "effect/http"
import type { OpenFiles } from "../application/session-ports.ts"
import { NoSession } from "../application/session-step.ts"
import { contentRange, readRange } from "../infrastructure/http-range.ts"
import { itemForPage, rootOf } from "../infrastructure/item-for-page.ts"
import { runnerProblem, runnerTrouble } from "../infrastructure/runner-problem.ts"
import { XML_BYTES_MAX, xmlText } from "../infrastructure/xml-document.ts"
import { logFailure } from "./central-gate.ts"
import { defectOf } from "./runner-troubles.ts"

/** Where a page finds a file of the package that an execution is about. */
export const fileUrl = (execution: string, path: string): string =>
  `/runner/v1/executions/${execution}/files/${path.split("/").map(encodeURIComponent).join("/")}`

/** One file of the package, whole or a range of it, decrypted on its way out; items whole only. */
export const fileOf = Effect.fnUntraced(function* (
  open: OpenFiles,
  { "*": path, execution }: { readonly "*": string; readonly execution: string },
  header: string | undefined
) {
  const name = path.normalize("NFC")
  const size = open.sizes.get(name)
  if (size === undefined) return yield* new NoSession()
  if (yield* mayBeXml(open, name, size)) {
    const bytes = yield* wholeOf(open, name)
    const root = rootOf(bytes, name)
    if (root === "assessmentitem") {
      const xml = itemForPage(bytes, name, (inside) => fileUrl(execution, inside), [])
      return HttpServerResponse.text(xml, { contentType: "application/xml", headers: FILE_HEADERS })
    }
    if (KEYS.test(xmlText(bytes) ?? bytes.toString("latin1"))) return yield* new NoSession()
  }
  return rawFile(open, name, size, header)
})

/** What tells answers, in documents that are no items: not even those that can't be read to their end. */
const KEYS =
  /<(?:[^\s<>/]*:)?(?:qti-)?(?:correct-?response|(?:response|template)-?processing|(?:area-?)?mapping)\b/iu

/** Documents beyond the limit are refused when a package is published: this is none of QTI's. */
const mayBeXml = (open: OpenFiles, name: string, size: number) =>
  size === 0 || size > XML_BYTES_MAX
    ? Effect.succeed(false)
    : Effect.map(
        open.read(name, { offset: 0, length: Math.min(size, START_BYTES) }).pipe(Stream.runCollect),
        // Nothing but white space yet: what follows it may be anything.
        (chunks) =>
          (Buffer.concat(chunks).find((byte) => !BEFORE_XML.has(byte)) ?? LESS_THAN) === LESS_THAN
      )

const START_BYTES = 1_024
/** White space, byte order marks, and the other halves of UTF-16. */
const BEFORE_XML = new Set([0x00, 0x09, 0x0a, 0x0d, 0x20, 0xef, 0xbb, 0xbf, 0xfe, 0xff])
const LESS_THAN = 0x3c

const wholeOf = (open: OpenFiles, name: string) =>
  Effect.map(Stream.runCollect(open.read(name)), (chunks) => Buffer.concat(chunks))

const rawFile = (open: OpenFiles, name: string, size: number, header: string | undefined) => {
  const range = readRange(header, size)
  if (range !== undefined && Result.isFailure(range)) {
    const headers = { "content-range": `bytes */${size}`, "accept-ranges": "bytes" }
    return runnerProblem(runnerTrouble("range-not-satisfiable", `It has ${size} bytes.`, headers))
  }
  const { start, end } = range?.success ?? { start: 0, end: size - 1 }
  const length = end - start + 1
  const bytes = open.read(name, range === undefined ? undefined : { offset: start, length }).pipe(
    // The headers are out: the connection breaks, and only the log can say why.
    Stream.tapCause((cause) => {
      const defect = defectOf(cause)
      return Result.isSuccess(defect) ? logFailure(defect.success) : Effect.void
    })
  )
  return HttpServerResponse.stream(bytes, {
    status: range === undefined ? 200 : 206,
    contentType: Option.getOrElse(Mime.getType(name), () => "application/octet-stream"),
    contentLength: length,
    headers: {
      ...FILE_HEADERS,
      "accept-ranges": "bytes",
      ...(range !== undefined && { "content-range": contentRange({ start, end }, size) })
    }
  })
}

/** Exam content is kept in no cache; what is opened by itself can run nothing and reach nothing. */
const FILE_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
  "cross-origin-resource-policy": "same-origin"
}
