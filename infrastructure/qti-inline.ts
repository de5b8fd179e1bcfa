/**
 * Puts shared texts (XInclude, QTI 3.0 stimuli) into the items that use them: the player resolves
 * neither, and shows such an item as if nothing were missing.
 */
import { type FileNames, resolve } from "../domain/package-href.ts"
import type { Refusal } from "../domain/package-refusal.ts"
import { canonical, XINCLUDE } from "./qti-scan.ts"
import { XML_BYTES_MAX } from "./xml-document.ts"
import { elementsOf, type TreeElement } from "./xml-tree.ts"

/** Gives a file of the package, read anew each time: what is put into a tree belongs to it. */
export interface SharedFiles {
  readonly files: FileNames
  readonly size: (path: string) => number
  readonly tree: (path: string) => TreeElement | Refusal
  readonly text: (path: string) => string
}

/** Files included in each other; a loop is told as such, this ends long chains. */
const DEPTH_MAX = 16

interface Job {
  readonly shared: SharedFiles
  readonly refusals: Array<Refusal>
  /** Bytes that may still be put into this document, so that small files can't make a huge one. */
  left: number
  changed: boolean
}

/** Changes the tree; tells whether anything was put in, and what could not be. */
export const inline = (root: TreeElement, shared: SharedFiles) => {
  const job: Job = { shared, refusals: [], left: XML_BYTES_MAX, changed: false }
  if (canonical(root.local) === "assessmentItem") putStimuli(root, job)
  putIncludes(root, job, [root.from])
  const { changed, refusals } = job
  return { changed, refusals }
}

const putIncludes = (element: TreeElement, job: Job, within: ReadonlyArray<string>): void => {
  element.children = element.children.flatMap((child) => {
    if (typeof child === "string") return [child]
    if (child.local !== "include" || child.namespace !== XINCLUDE) {
      putIncludes(child, job, within)
      return [child]
    }
    job.changed = true
    const found = included(child, job, within)
    return found === undefined ? [] : [found]
  })
}

const included = (
  include: TreeElement,
  job: Job,
  within: ReadonlyArray<string>
): TreeElement | string | undefined => {
  const href = include.attributes.get("href") ?? ""
  if (include.attributes.has("xpointer") || href.includes("#")) {
    const detail = `line ${include.line} includes a part of a file (${href.slice(0, 120)}), which is not supported. Put that part into a file of its own, or into the item.`
    return refuse(job, { code: "unresolved-include", file: include.from, detail })
  }
  const path = pathOf(include, href, job)
  if (path === undefined) return undefined
  if (within.includes(path) || within.length > DEPTH_MAX) {
    const detail = `line ${include.line} includes ${path}, which includes this file again. Remove the loop.`
    return refuse(job, { code: "reference-loop", file: include.from, detail })
  }
  const isText = include.attributes.get("parse") === "text"
  const tree = isText ? job.shared.text(path) : job.shared.tree(path)
  if (typeof tree === "string") return tree
  if ("code" in tree) return refuse(job, tree)
  dropSchema(tree)
  putIncludes(tree, job, [...within, path])
  return tree
}

const refuse = (job: Job, refusal: Refusal): undefined => {
  job.refusals.push(refusal)
  return undefined
}

/** The file that is meant; a missing one was refused when the package was judged. */
const pathOf = (element: TreeElement, href: string, job: Job): string | undefined => {
  const target = resolve(job.shared.files, element.from, href)
  if (target._tag !== "Inside") {
    const detail = `line ${element.line} puts in ${href.slice(0, 120)}, which is not a file of the package. Add the file, or remove the reference.`
    return refuse(job, { code: "unresolved-include", file: element.from, detail })
  }
  job.left -= job.shared.size(target.path)
  if (job.left >= 0) return target.path
  const detail = `with all that it includes it is larger than ${XML_BYTES_MAX / 1024 ** 2} MiB. Include less.`
  return refuse(job, { code: "xml-limit", file: element.from, detail })
}

/** What says where a shared file's schema is says nothing inside an item. */
const dropSchema = (root: TreeElement): void => {
  for (const name of root.attributes.keys()) {
    if (/(?:^|:)schemaLocation$/u.test(name)) root.attributes.delete(name)
  }
}

/** QTI 3.0: the stimulus stands where an element names it, else before the question. */
const putStimuli = (item: TreeElement, job: Job): void => {
  item.children = item.children.flatMap((child): ReadonlyArray<TreeElement | string> => {
    if (typeof child === "string" || canonical(child.local) !== "assessmentStimulusRef") {
      return [child]
    }
    job.changed = true
    return putStimulus(item, child, job)
  })
}

/** Gives the style sheets that come with it. */
const putStimulus = (
  item: TreeElement,
  reference: TreeElement,
  job: Job
): ReadonlyArray<TreeElement> => {
  const path = pathOf(reference, reference.attributes.get("href") ?? "", job)
  const tree = path === undefined ? undefined : job.shared.tree(path)
  if (tree === undefined) return []
  if ("code" in tree) {
    refuse(job, tree)
    return []
  }
  const parts = [...elementsOf(tree)]
  const body = parts.find(({ local }) => canonical(local) === "stimulusBody")
  const place = placeOf(item, reference)
  if (body === undefined || place === undefined) {
    const file = body === undefined ? tree.from : item.from
    const detail =
      body === undefined
        ? "a shared stimulus must be a qti-assessment-stimulus with a qti-stimulus-body. Export the package again."
        : "the item uses a shared stimulus and has no qti-item-body to show it in. Export the package again."
    refuse(job, { code: "unresolved-include", file, detail })
    return []
  }
  for (const [name, value] of tree.attributes) {
    if (name.startsWith("xmlns:") && !place.attributes.has(name)) place.attributes.set(name, value)
  }
  place.children = [...body.children, ...place.children]
  return parts.filter(({ local }) => canonical(local) === "stylesheet")
}

const placeOf = (item: TreeElement, reference: TreeElement): TreeElement | undefined => {
  const all = [...elementsOf(item)]
  const identifier = reference.attributes.get("identifier")
  const named = all.find(({ attributes }) => {
    const meant = attributes.get("data-stimulus-idref")
    return meant !== undefined && meant === identifier
  })
  if (named !== undefined) return named
  const body = all.find(({ local }) => canonical(local) === "itemBody")
  if (body === undefined) return undefined
  const place: TreeElement = {
    name: body.name.replace(/[\w-]+$/u, "div"),
    local: "div",
    namespace: body.namespace,
    attributes: new Map([["class", "qti-shared-stimulus"]]),
    children: [],
    from: item.from,
    line: reference.line
  }
  body.children.unshift(place)
  return place
}
