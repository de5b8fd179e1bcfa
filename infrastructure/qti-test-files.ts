/**
 * Collects what a package says about a test from all its files: the first test of the manifest, with
 * the sections of other files in their places, and the titles of its items.
 */
import { Effect } from "effect"
import { fileNames, resolve } from "../domain/package-href.ts"
import { PackageRefused, type Refusal } from "../domain/package-refusal.ts"
import { MANIFEST } from "../domain/qti-document.ts"
import { SECTION_DEPTH_MAX, TEST_ITEMS_MAX } from "../domain/qti-route.ts"
import type { TestPlan } from "../domain/test-plan.ts"
import { readManifest } from "./qti-manifest.ts"
import { BASE, type ItemFacts, planOf } from "./qti-test-reader.ts"
import { childrenOf, isElement, type QtiElement, readTree } from "./qti-tree.ts"

/** Files of a package, by their names in it. */
export interface PackageFiles<E, R> {
  readonly names: Iterable<string>
  readonly read: (path: string) => Effect.Effect<Uint8Array, E, R>
}

/**
 * Reads the plan of the first test of the manifest; of a package with items only, one part in which
 * they may be answered in any order. Fails with PackageRefused for what no publisher would accept.
 */
export const readPlan = <E, R>({
  names,
  read
}: PackageFiles<E, R>): Effect.Effect<TestPlan, E | PackageRefused, R> =>
  Effect.gen(function* () {
    const files = fileNames(names)
    const documents = yield* documentsOf(files, yield* read(MANIFEST))
    const test = documents.find(({ type }) => /^imsqti_(?:test|assessment)_/u.test(type))
    const items = documents.filter(({ type }) => /^imsqti_(?:apip)?item/u.test(type))
    let included = 0
    const tree = (path: string) => Effect.flatMap(read(path), (bytes) => parsed(bytes, path))
    const include = (
      node: QtiElement,
      from: string,
      depth: number
    ): Effect.Effect<QtiElement, E | PackageRefused, R> =>
      Effect.gen(function* () {
        included += 1
        if (depth > SECTION_DEPTH_MAX || included > NODES_MAX) return yield* refused(LOOP, from)
        const isRef = /^qti-assessment-(?:item|section)-ref$/u.test(node.name)
        const target = isRef ? resolve(files, from, node.attributes.get("href") ?? "") : undefined
        if (target !== undefined && target._tag !== "Inside") return yield* refused(MISSING, from)
        if (target !== undefined && node.name === "qti-assessment-section-ref") {
          return yield* include(yield* tree(target.path), target.path, depth + 1)
        }
        const attributes = new Map(node.attributes)
        if (target !== undefined) attributes.set("href", target.path)
        if (node.name === "qti-rubric-block") attributes.set(BASE, from)
        const children = yield* Effect.forEach(node.children, (child) =>
          isElement(child) && HOLDS.has(node.name)
            ? include(child, from, depth)
            : Effect.succeed(child)
        )
        return { ...node, attributes, children }
      })
    const root =
      test === undefined ? listOf(items) : yield* include(yield* tree(test.path), test.path, 0)
    const facts = new Map<string, ItemFacts>()
    for (const path of pathsOf(root)) {
      if (!facts.has(path)) facts.set(path, factsOf(yield* tree(path), path))
    }
    return planOf(root, facts)
  })

/** Elements of a test that lead to items. */
const HOLDS = new Set(["qti-assessment-test", "qti-test-part", "qti-assessment-section"])
const NODES_MAX = 20 * TEST_ITEMS_MAX
const LOOP = "its sections include each other, or it is too large. Publish it once more."
const MISSING = "it names a file that is not in the package. Publish it once more."

const refused = (detail: string, file: string) =>
  new PackageRefused({ reasons: [{ code: "missing-file", file, detail }] })

const parsed = (bytes: Uint8Array, path: string) => {
  const tree = readTree(bytes, path)
  return "code" in tree ? Effect.fail(refusedBy(tree)) : Effect.succeed(tree)
}

const refusedBy = (refusal: Refusal) => new PackageRefused({ reasons: [refusal] })

interface Found {
  readonly identifier: string
  readonly type: string
  readonly path: string
}

const documentsOf = Effect.fnUntraced(function* (
  files: ReturnType<typeof fileNames>,
  bytes: Uint8Array
) {
  const manifest = readManifest(bytes)
  if ("code" in manifest) return yield* refusedBy(manifest)
  return manifest.resources.flatMap(({ from, href, identifier, type }): ReadonlyArray<Found> => {
    const target = resolve(files, from, href ?? "")
    return target._tag === "Inside" ? [{ identifier, type, path: target.path }] : []
  })
})

/** Items without a test. */
const listOf = (items: ReadonlyArray<Found>): QtiElement => {
  const element = (
    name: string,
    attributes: Record<string, string>,
    children: ReadonlyArray<QtiElement>
  ): QtiElement => ({
    kind: "element",
    name: `qti-${name}`,
    namespace: undefined,
    attributes: new Map(Object.entries(attributes)),
    children: [...children]
  })
  const refs = items.map(({ identifier, path }) =>
    element("assessment-item-ref", { identifier, href: path }, [])
  )
  const section = element("assessment-section", { identifier: "items", visible: "false" }, refs)
  const modes = { "navigation-mode": "nonlinear", "submission-mode": "individual" }
  const part = element("test-part", { identifier: "part", ...modes }, [section])
  return element("assessment-test", { identifier: "items" }, [part])
}

const pathsOf = ({ attributes, children, name }: QtiElement): ReadonlyArray<string> =>
  name === "qti-assessment-item-ref"
    ? [attributes.get("href") ?? ""]
    : children.filter(isElement).flatMap(pathsOf)

const factsOf = (item: QtiElement, path: string): ItemFacts => {
  const responds = childrenOf(item, "qti-response-declaration").length > 0
  const outcomes = childrenOf(item, "qti-outcome-declaration")
  const isProcessed = childrenOf(item, "qti-response-processing").some(
    ({ attributes, children }) => attributes.has("template") || children.some(isElement)
  )
  return {
    title: item.attributes.get("title") ?? path,
    responds,
    external: responds && (outcomes.some(isExternal) || (outcomes.length > 0 && !isProcessed))
  }
}

const isExternal = ({ attributes }: QtiElement): boolean =>
  (attributes.get("external-scored") ?? "none") !== "none"
