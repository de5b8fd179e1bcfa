/**
 * Makes the form of a package that devices play: XML in UTF-8, shared texts put into the items that
 * use them, names that need no escaping, QTI 2.x converted to 3.0 document by document.
 *
 * The package was judged before, and what comes out is judged again: nothing here is believed. A
 * package that needs no change stays as it is, byte by byte.
 */
import { Array, Effect } from "effect"
import { changeCssReferences } from "../domain/css-references.ts"
import { type Renaming, relinked, resolve } from "../domain/package-href.ts"
import { FINDINGS_MAX, PackageRefused, type Refusal } from "../domain/package-refusal.ts"
import { MANIFEST, type PackageDocument, versionOf } from "../domain/qti-document.ts"
import { safeNames } from "../domain/safe-names.ts"
import { checkConverted, manifestAs3, mend } from "./qti-converted.ts"
import { inline, type SharedFiles } from "./qti-inline.ts"
import { presentationOf, type ReadPackage } from "./qti-reader.ts"
import { relinkHtml, relinkManifest, relinkTree } from "./qti-relink.ts"
import { XML_BYTES_MAX } from "./xml-document.ts"
import { readTree, type Tree, writeTree } from "./xml-tree.ts"
import type { ByteSource } from "./zip-directory.ts"
import { type PackageEntry, packedBytes } from "./zip-package.ts"
import { type PackedFile, packed } from "./zip-writer.ts"

/** Gives one document of QTI 2.x in 3.0; `file` is its name, for messages. */
export type Convert<E> = (xml: string, file: string) => Effect.Effect<string, E>

/** Whether some document of the package is QTI 2.x. */
export const needsConversion = ({ model }: ReadPackage): boolean =>
  [...model.documents.values()].some(isOld)

const isOld = (document: PackageDocument): boolean =>
  CONVERTED.has(document.root) && versionOf(document)?.startsWith("2") === true

const CONVERTED = new Set(["assessmentTest", "assessmentItem", "assessmentSection"])

/**
 * Gives the files of the playable form, to be written while `source` is open; undefined when they
 * are those of the package as it is. Fails with PackageRefused, and with what `convert` fails with.
 */
export const playableFiles = Effect.fn("playableFiles")(function* <E>(
  source: ByteSource,
  read: ReadPackage,
  convert: Convert<E>
) {
  const { entries } = read.opened
  const names = safeNames(entries.keys())
  const shared = yield* sharedFiles(read)
  const renaming = { files: read.model.files, names }
  const changed = new Map<string, PackedFile>()
  const refusals: Array<Refusal> = []
  for (const path of entries.keys()) {
    const work = { read, renaming, shared, document: names.get(path) ?? path }
    const text = yield* textAfter(work, path, convert)
    if (typeof text === "string") changed.set(path, packed(work.document, Buffer.from(text)))
    else if (text !== undefined) refusals.push(...text)
  }
  // A shared text is looked at wherever it stands: what is wrong with it is told once.
  const reasons = [...new Map(refusals.map((one) => [JSON.stringify(one), one])).values()]
  if (Array.isArrayNonEmpty(reasons)) {
    const [first, ...others] = reasons
    return yield* new PackageRefused({ reasons: [first, ...others.slice(0, FINDINGS_MAX - 1)] })
  }
  if (changed.size === 0 && [...names].every(([before, after]) => before === after))
    return undefined
  return [...entries.values()].map(
    (entry) => changed.get(entry.name) ?? copied(source, entry, names.get(entry.name) ?? entry.name)
  )
})

const copied = (source: ByteSource, entry: PackageEntry, name: string): PackedFile => ({
  ...entry,
  name,
  bytes: () => packedBytes(source, entry)
})

/** One document that may have to be written anew, as the file `document`. */
interface Work {
  readonly read: ReadPackage
  readonly renaming: Renaming
  readonly shared: SharedFiles
  readonly document: string
}

/** The new text of a file, undefined when it stays as it is, or why it can't be played. */
const textAfter = Effect.fnUntraced(function* <E>(work: Work, path: string, convert: Convert<E>) {
  const { model, opened } = work.read
  const kind = presentationOf(path)
  const document = model.documents.get(path)
  if (kind === "html" || kind === "css") {
    const before = Buffer.from(yield* opened.read(path)).toString("utf8")
    const after = kind === "css" ? cssAfter(work, path, before) : htmlAfter(work, path, before)
    return after === before ? undefined : after
  }
  if (path !== MANIFEST && document === undefined) return undefined
  const tree = readTree(yield* opened.read(path), path, kind === "svg" ? "bare" : "refuse")
  if ("code" in tree) return [tree]
  if (path === MANIFEST) return manifestAfter(work, tree)
  const { changed, refusals } = inline(tree.root, work.shared)
  if (refusals.length > 0) return refusals
  const isChanged = relinkTree(tree.root, work.document, work.renaming) || changed
  if (document !== undefined && isOld(document)) return yield* converted(tree, path, convert)
  return isChanged || !tree.isPlain ? writeTree(tree) : undefined
})

const cssAfter = ({ document, renaming }: Work, path: string, css: string): string =>
  changeCssReferences(css, (href) => relinked(renaming, path, document, href))

const htmlAfter = ({ document, renaming }: Work, path: string, html: string): string =>
  relinkHtml(html, path, document, renaming)

const manifestAfter = ({ read, renaming }: Work, tree: Tree): string | undefined => {
  const isChanged = relinkManifest(tree.root, renaming)
  if (needsConversion(read)) manifestAs3(tree.root)
  else if (!isChanged && tree.isPlain) return undefined
  return writeTree(tree)
}

const converted = Effect.fnUntraced(function* <E>(before: Tree, path: string, convert: Convert<E>) {
  const xml = yield* convert(writeTree(before), path)
  const after = readTree(Buffer.from(xml), path, "refuse")
  if ("code" in after) return [after]
  mend(after.root, before.root)
  const lost = checkConverted(before.root, after.root)
  return lost === undefined ? writeTree(after) : [lost]
})

/** Reads what documents put into themselves: judged before, so it is there and not too large. */
const sharedFiles = Effect.fnUntraced(function* ({ model, opened }: ReadPackage) {
  const bytes = new Map<string, Uint8Array>()
  for (const { path, references } of model.documents.values()) {
    for (const { element, href, kind } of references) {
      if (kind !== "include" && kind !== "stimulus" && !/^(?:.+:)?include$/u.test(element)) continue
      const target = resolve(model.files, path, href)
      if (target._tag !== "Inside" || bytes.has(target.path)) continue
      if ((opened.entries.get(target.path)?.size ?? 0) > XML_BYTES_MAX) continue
      bytes.set(target.path, yield* opened.read(target.path))
    }
  }
  const shared: SharedFiles = {
    files: model.files,
    size: (path) => opened.entries.get(path)?.size ?? 0,
    tree: (path) => {
      const tree = readTree(bytes.get(path) ?? new Uint8Array(), path, "refuse")
      return "code" in tree ? tree : tree.root
    },
    text: (path) => Buffer.from(bytes.get(path) ?? []).toString("utf8")
  }
  return shared
})
