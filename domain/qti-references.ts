/**
 * Judges every reference in a package (a device is offline and plays exams): what a question needs
 * must be in the package, and nothing in it may be a program.
 */
import { resolve, type Target } from "./package-href.ts"
import type {
  Finding,
  PackageDocument,
  PackageModel,
  Reference,
  ReferenceKind
} from "./qti-document.ts"

/** Gives the findings of all documents, in the order of documents and lines. */
export const referenceFindings = (model: PackageModel): ReadonlyArray<Finding> =>
  [...model.documents.values()].flatMap((document) =>
    document.references.flatMap((reference) => judgeReference(model, document, reference) ?? [])
  )

const ROOTS: Partial<Record<ReferenceKind, ReadonlyArray<string>>> = {
  item: ["assessmentItem"],
  section: ["assessmentSection"]
}

const judgeReference = (
  model: PackageModel,
  document: PackageDocument,
  reference: Reference
): Finding | undefined => {
  const target = resolve(model.files, document.path, reference.href)
  const where = `line ${reference.line}, <${reference.element}>`
  const file = document.path
  switch (target._tag) {
    case "Itself":
      return undefined
    case "Inside":
      return wrongRoot(model, file, where, reference, target.path)
    case "Missing":
      return missing(file, where, reference, target)
    case "Remote":
      return remote(file, where, reference)
    case "Outside":
      return reference.kind === "link"
        ? brokenLink(file, where, reference)
        : {
            code: "outside-package",
            file,
            detail: `${where} points outside the package (${shown(reference.href)}). Put the file into the package and refer to it by a relative path.`
          }
    case "Script":
      return active(file, where, reference)
    case "Data":
      return dataIsInert(target.mediaType, reference) ? undefined : active(file, where, reference)
  }
}

const wrongRoot = (
  model: PackageModel,
  file: string,
  where: string,
  reference: Reference,
  path: string
): Finding | undefined => {
  const wanted = ROOTS[reference.kind]
  const found = model.documents.get(path)
  if (wanted === undefined || found === undefined || wanted.includes(found.root)) return undefined
  return {
    code: "wrong-root",
    file,
    detail: `${where} expects a ${wanted.join(" or ")} in ${path}, but that file is a ${found.root}. Correct the href.`
  }
}

const missing = (
  file: string,
  where: string,
  reference: Reference,
  target: Extract<Target, { _tag: "Missing" }>
): Finding => {
  if (reference.kind === "link") return brokenLink(file, where, reference)
  const text = missingText(target)
  return reference.kind === "style-part"
    ? { code: "missing-style-part", file, detail: `${where} uses ${text}` }
    : { code: "missing-file", file, detail: `${where} needs ${text}` }
}

/** Says that a file is not there, with the likeliest cause. */
export const missingText = ({ path, near }: Extract<Target, { _tag: "Missing" }>): string =>
  near === undefined
    ? `${shown(path)}, which is not in the package. Add the file or remove the reference.`
    : `${shown(path)}, but the package has ${near}: capital letters count. Rename one of them.`

const remote = (file: string, where: string, reference: Reference): Finding =>
  reference.kind === "link"
    ? {
        code: "remote-link",
        file,
        detail: `${where} links to ${shown(reference.href)}, which can't be opened without a network.`
      }
    : {
        code: "remote-asset",
        file,
        detail: `${where} loads ${shown(reference.href)} from the network, but tests are taken offline. Put a copy into the package and refer to that.`
      }

const brokenLink = (file: string, where: string, reference: Reference): Finding => ({
  code: "broken-link",
  file,
  detail: `${where} links to ${shown(reference.href)}, which is not in the package.`
})

const active = (file: string, where: string, reference: Reference): Finding => ({
  code: "active-content",
  file,
  detail: `${where} holds a program (${shown(reference.href)}). Programs could read answers or change the test: remove it.`
})

/** A picture, sound or font may be written into the file; pages and drawings only as a picture. */
const dataIsInert = (mediaType: string, reference: Reference): boolean =>
  /^(?:audio|video|font)\/|^application\/(?:x-)?font/u.test(mediaType) ||
  (/^image\//u.test(mediaType) &&
    (mediaType !== "image/svg+xml" || !EMBEDDING.has(reference.element))) ||
  (["text/plain", "text/css", "application/octet-stream"].includes(mediaType) &&
    !EMBEDDING.has(reference.element))

/** Elements that would run a program inside what they show. */
const EMBEDDING = new Set(["object", "iframe", "embed", "a", "area"])

const SHOWN_MAX = 120

const shown = (href: string): string =>
  href.length > SHOWN_MAX ? `${href.slice(0, SHOWN_MAX)}…` : href
