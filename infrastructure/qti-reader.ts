/**
 * Reads a QTI content package from an untrusted zip and says whether it can be published, with all
 * reasons at once. Also reads every other file to its end, so that a damaged picture is found here
 * and not on exam day.
 */
import { Effect, Result, Stream } from "effect"
import { type FileNames, fileNames, resolve } from "../domain/package-href.ts"
import { PackageRefused, type Refusal } from "../domain/package-refusal.ts"
import {
  type Finding,
  MANIFEST,
  type Manifest,
  type PackageDocument,
  type PackageModel
} from "../domain/qti-document.ts"
import { type Accepted, judge } from "../domain/qti-package.ts"
import { readManifest } from "./qti-manifest.ts"
import { type Scanned, scanCss, scanHtml, scanXml } from "./qti-scan.ts"
import { XML_BYTES_MAX } from "./xml-document.ts"
import type { ByteSource } from "./zip-directory.ts"
import { type OpenedPackage, openPackage } from "./zip-package.ts"

/** Bytes of all documents together: parsing them takes seconds, not hours. */
export const DOCUMENT_BYTES_MAX = 512 * 1024 * 1024

/** What is known about a package that can be published. */
export interface PackageReport extends Accepted {
  readonly files: number
  /** Unpacked, in bytes. */
  readonly bytes: number
}

/**
 * Inspects a package. Fails with PackageRefused, which carries every reason; a failing source is a
 * defect. Nothing is written.
 */
export const inspectPackage = Effect.fn("inspectPackage")(function* (source: ByteSource) {
  return (yield* readPackage(source)).report
})

/** A package that can be published, open: read from it before its source closes. */
export interface ReadPackage {
  readonly opened: OpenedPackage
  readonly model: PackageModel
  readonly report: PackageReport
}

/** Inspects a package like `inspectPackage`, and gives what was read of it as well. */
export const readPackage = Effect.fn("readPackage")(function* (source: ByteSource) {
  const opened = yield* openPackage(source)
  const model = yield* readModel(opened)
  const judged = judge(model)
  if (Result.isFailure(judged)) return yield* new PackageRefused({ reasons: judged.failure })
  const rest = [...opened.entries.keys()].filter((name) => !model.documents.has(name))
  yield* Effect.forEach(rest, (name) => Stream.runDrain(opened.stream(name)), { discard: true })
  const sizes = [...opened.entries.values()].map(({ size }) => size)
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  const report: PackageReport = { ...judged.success, files: sizes.length, bytes }
  return { opened, model, report } satisfies ReadPackage
})

const readModel = Effect.fnUntraced(function* (opened: OpenedPackage) {
  const files = fileNames(opened.entries.keys())
  const findings: Array<Finding> = [...programFiles(files)]
  const documents = new Map<string, PackageDocument>()
  const read = documentReader(opened)
  const bytes = files.names.has(MANIFEST) ? yield* read(MANIFEST) : undefined
  const manifest = bytes instanceof Uint8Array ? readManifest(bytes) : bytes
  if (manifest === undefined || "code" in manifest) {
    if (manifest !== undefined) findings.push(manifest)
    return { files, manifest: undefined, documents, findings } satisfies PackageModel
  }
  const queue = new Map([...presentations(files), ...resourceDocuments(files, manifest)])
  for (const [path, kind] of queue) {
    const bytes = yield* read(path)
    const scanned = bytes instanceof Uint8Array ? scan(bytes, path, kind) : notRead(bytes)
    findings.push(...scanned.findings)
    if (scanned.document === undefined) continue
    documents.set(path, scanned.document)
    for (const next of followed(files, scanned.document)) {
      if (!queue.has(next)) queue.set(next, "qti")
    }
  }
  return { files, manifest, documents, findings } satisfies PackageModel
})

/** How a file is read. Only what QTI files are made of must be free of any DOCTYPE. */
export type Kind = "qti" | "svg" | "css" | "html"

const scan = (bytes: Uint8Array, path: string, kind: Kind): Scanned => {
  if (kind === "css") return { document: scanCss(bytes, path), findings: [] }
  if (kind === "html") return { document: undefined, findings: scanHtml(bytes, path) }
  return scanXml(bytes, path, kind === "svg" ? "bare" : "refuse")
}

const notRead = (finding: Refusal): Scanned => ({ document: undefined, findings: [finding] })

/** Reads documents one after the other within the limits; gives a refusal for one beyond them. */
const documentReader = (opened: OpenedPackage) => {
  let total = 0
  return (path: string): Effect.Effect<Uint8Array | Refusal, PackageRefused> => {
    const size = opened.entries.get(path)?.size ?? 0
    total += size
    if (size <= XML_BYTES_MAX && total <= DOCUMENT_BYTES_MAX) return opened.read(path)
    const limit = size > XML_BYTES_MAX ? XML_BYTES_MAX : DOCUMENT_BYTES_MAX
    const what = size > XML_BYTES_MAX ? "this document is" : "the documents are together"
    const detail = `${what} larger than ${limit / 1024 ** 2} MiB. Put pictures and sounds into files of their own.`
    return Effect.succeed({ code: "xml-limit", file: path, detail })
  }
}

/** The documents that the manifest calls QTI, in its order. */
const resourceDocuments = (
  files: FileNames,
  { resources }: Manifest
): ReadonlyArray<readonly [string, Kind]> =>
  resources
    .filter(({ type }) => /^(?:imsqti|apip)|apip_/u.test(type))
    .flatMap(({ from, href }) => inside(files, from, href ?? ""))
    .map((path) => [path, "qti"])

/** What a browser shows and could run, wherever it is mentioned. */
const presentations = (files: FileNames): ReadonlyArray<readonly [string, Kind]> =>
  [...files.names].flatMap((name): ReadonlyArray<readonly [string, Kind]> => {
    const kind = presentationOf(name)
    return kind === undefined ? [] : [[name, kind]]
  })

/** How a file that a browser shows is read, by its name. */
export const presentationOf = (name: string): Kind | undefined => {
  const extension = /\.([a-z]+)$/iu.exec(name)?.[1]?.toLowerCase()
  if (extension === "svg" || extension === "xhtml") return "svg"
  if (extension === "html" || extension === "htm") return "html"
  return extension === "css" ? "css" : undefined
}

const followed = (files: FileNames, document: PackageDocument): ReadonlyArray<string> =>
  document.references
    .filter(({ kind }) => FOLLOWED.has(kind))
    .flatMap(({ href }) => inside(files, document.path, href))

const FOLLOWED = new Set(["item", "section", "stimulus", "include"])

const inside = (files: FileNames, from: string, href: string): ReadonlyArray<string> => {
  const target = resolve(files, from, href)
  return target._tag === "Inside" ? [target.path] : []
}

const programFiles = (files: FileNames): ReadonlyArray<Finding> =>
  [...files.names]
    .filter((name) => /\.(?:m?js|wasm|swf|exe|class|jar)$/iu.test(name))
    .map((file) => ({ code: "program-file", file, detail: "is a program and will never run." }))
