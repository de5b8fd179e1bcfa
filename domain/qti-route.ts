/**
 * Follows a test from part to section to item, through sections in files of their own, and gives
 * the items in the order in which the author wrote them.
 */
import { resolve } from "./package-href.ts"
import type { Finding, PackageDocument, PackageModel } from "./qti-document.ts"

/** An item where a test uses it. `ref` is the key of its results, not the item's own identifier. */
export interface ItemInTest {
  readonly ref: string
  readonly path: string
  readonly identifier: string
  readonly title: string
  readonly interactions: ReadonlyArray<string>
}

export interface Route {
  readonly items: ReadonlyArray<ItemInTest>
  readonly findings: ReadonlyArray<Finding>
}

/** Items of one test: sections that include each other twice could otherwise grow without end. */
export const TEST_ITEMS_MAX = 20_000

/** Sections in files of their own, one inside the other. */
export const SECTION_DEPTH_MAX = 32

/** Gives the items of a test, and what is wrong with its identifiers and sections. */
export const route = (model: PackageModel, test: PackageDocument): Route => {
  const items: Array<ItemInTest> = []
  let steps = 0
  let loop = false
  const follow = (document: PackageDocument, depth: number): void => {
    for (const reference of document.references) {
      if (loop || (reference.kind !== "item" && reference.kind !== "section")) continue
      loop = ++steps > TEST_ITEMS_MAX || depth > SECTION_DEPTH_MAX
      const target = resolve(model.files, document.path, reference.href)
      const found = target._tag === "Inside" ? model.documents.get(target.path) : undefined
      if (found === undefined) continue
      if (reference.kind === "section") follow(found, depth + 1)
      else {
        const { path, identifier, title, interactions } = found
        items.push({ ref: reference.identifier ?? "", path, identifier, title, interactions })
      }
    }
  }
  follow(test, 0)
  return { items, findings: [...loopFinding(test, loop), ...duplicateFindings(test, items)] }
}

const loopFinding = ({ path }: PackageDocument, loop: boolean): ReadonlyArray<Finding> => {
  const detail = `the sections of this test include each other in a loop, or it has more than ${TEST_ITEMS_MAX} items. Remove the loop.`
  return loop ? [{ code: "reference-loop", file: path, detail }] : []
}

const duplicateFindings = (
  { path: file }: PackageDocument,
  items: ReadonlyArray<ItemInTest>
): ReadonlyArray<Finding> => {
  const code = "duplicate-identifier" as const
  const identifierByPath = new Map(items.map(({ path, identifier }) => [path, identifier]))
  const references = repeated(items.map(({ ref }) => ref)).map((ref) => {
    const detail = `the item reference "${ref}" is used more than once in the test: results are told apart by their position only.`
    return { code, file, detail }
  })
  const identifiers = repeated([...identifierByPath.values()]).map((identifier) => {
    const detail = `several items call themselves "${identifier}": results are told apart by the test's references to them.`
    return { code, file, detail }
  })
  return [...references, ...identifiers]
}

/** The values that occur more than once, each once. */
export const repeated = (values: ReadonlyArray<string>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  return [...new Set(values.filter((value) => seen.has(value) || !seen.add(value)))]
}
