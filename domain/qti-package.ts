/**
 * Decides whether a content package can be published (QTI 2.1, 2.2, 2.2.x, 3.0).
 *
 * 1. The manifest is at the root, and everything it names is there.
 * 2. Every reference inside resolves to a file of the package; nothing is fetched from a network.
 * 3. Nothing in it is a program.
 * 4. There is a test with items, or at least items: those are played in the order of the manifest.
 *
 * Sloppiness that changes nothing for the test-taker (identifiers used twice, dead links) is a
 * warning: real packages are full of it.
 */
import { Array, Result, Schema } from "effect"
import { LABEL_MAX } from "./entity.ts"
import { Text } from "./id.ts"
import { resolve } from "./package-href.ts"
import { FINDINGS_MAX, REFUSALS, type Refusal, type Warning } from "./package-refusal.ts"
import {
  type Finding,
  MANIFEST,
  type PackageDocument,
  type PackageModel,
  type Resource,
  type Version,
  versionOf
} from "./qti-document.ts"
import { interactionFindings } from "./qti-interactions.ts"
import { missingText, referenceFindings } from "./qti-references.ts"
import { type ItemInTest, repeated, route } from "./qti-route.ts"

export interface Test {
  readonly path: string
  readonly identifier: string
  readonly title: string
  readonly items: ReadonlyArray<ItemInTest>
}

export interface Accepted {
  readonly version: Version
  /** A line for people: of the first test, else of the manifest, else of the first item. */
  readonly title: string
  readonly identifier: string
  /** In the order of the manifest; empty when the package has items only. */
  readonly tests: ReadonlyArray<Test>
  /** What is played: the items of the first test, or all items in the order of the manifest. */
  readonly items: ReadonlyArray<ItemInTest>
  readonly warnings: ReadonlyArray<Warning>
}

/** Applies all rules and tells all reasons at once, at most FINDINGS_MAX. */
export const judge = (
  model: PackageModel
): Result.Result<Accepted, Array.NonEmptyArray<Refusal>> => {
  const tests = documentsOf(model, "assessmentTest").map((test) => ({
    test,
    ...route(model, test)
  }))
  const items = documentsOf(model, "assessmentItem")
  const findings = [
    ...model.findings,
    ...manifestFindings(model),
    ...resourceFindings(model),
    ...versionFindings(model),
    ...referenceFindings(model),
    ...tests.flatMap((test) => test.findings),
    ...interactionFindings(model)
  ]
  const refusals = findings.filter(isRefusal)
  const played = tests[0]?.items ?? items.map(itemAlone)
  const first = tests[0]?.test ?? items[0]
  const version = first && versionOf(first)
  if (refusals.length === 0 && (played.length === 0 || version === undefined)) {
    refusals.push(nothingToPlay(model))
  }
  if (Array.isArrayNonEmpty(refusals)) return Result.fail(capped(refusals))
  return Result.succeed({
    version: version ?? "2.1",
    title: titleOf(model, first),
    identifier: first?.identifier || model.manifest?.identifier || "",
    tests: tests.map(({ test: { path, identifier, title }, items }) => ({
      path,
      identifier,
      title,
      items
    })),
    items: played,
    warnings: [
      ...findings.filter((finding) => !isRefusal(finding)),
      ...shapeWarnings(tests.length)
    ].slice(0, FINDINGS_MAX)
  })
}

const isRefusal = (finding: Finding): finding is Refusal =>
  REFUSALS.some((code) => code === finding.code)

const manifestFindings = ({ manifest, files, findings }: PackageModel): ReadonlyArray<Finding> => {
  if (manifest === undefined) {
    if (findings.some(({ file }) => file === MANIFEST)) return []
    const nested = [...files.names].find((name) => /^[^/]+\/imsmanifest\.xml$/u.test(name))
    return [
      nested === undefined ? manifestMissing(files.byFold.get(MANIFEST)) : manifestNested(nested)
    ]
  }
  if (manifest.root !== "manifest") {
    const detail = `the outermost element is <${manifest.root}>, not <manifest>. Export the package again from the authoring tool.`
    return [{ code: "not-a-manifest", file: MANIFEST, detail }]
  }
  if (/imscp_v1p[12]$/u.test(manifest.namespace)) return []
  const detail = `the namespace "${manifest.namespace}" is not one of IMS content packaging.`
  return [{ code: "unknown-manifest-namespace", file: MANIFEST, detail }]
}

const manifestMissing = (near: string | undefined): Finding => ({
  code: "manifest-missing",
  file: "",
  detail:
    near === undefined
      ? "The package has no imsmanifest.xml, so it is not a QTI content package. Export it again as a content package (zip)."
      : `The manifest is named ${near}; it must be imsmanifest.xml in small letters. Rename it.`
})

const manifestNested = (name: string): Finding => ({
  code: "manifest-nested",
  file: name,
  detail:
    "the manifest is one folder down. Zip what is inside that folder, not the folder itself: imsmanifest.xml must be at the top of the archive."
})

const resourceFindings = (model: PackageModel): ReadonlyArray<Finding> => {
  const resources = model.manifest?.resources ?? []
  const identifiers = new Set(resources.map(({ identifier }) => identifier))
  const twice = repeated(resources.map(({ identifier }) => identifier))
  return [
    ...twice.map((identifier): Finding => {
      const detail = `the resource identifier ${identifier} is used more than once; the first one counts.`
      return { code: "duplicate-identifier", file: MANIFEST, detail }
    }),
    ...resources.flatMap((resource) => [
      ...hrefsOf(resource).flatMap((href) => hrefFinding(model, resource, href) ?? []),
      ...resource.dependencies
        .filter((identifier) => !identifiers.has(identifier))
        .map((identifier): Finding => {
          const detail = `the resource ${resource.identifier} depends on ${identifier}, which the manifest doesn't have. Add that resource, or remove the dependency.`
          return { code: "unresolved-dependency", file: MANIFEST, detail }
        })
    ])
  ]
}

const hrefsOf = ({ href, files }: Resource): ReadonlyArray<string> => [
  ...new Set(href === undefined ? files : [href, ...files])
]

const hrefFinding = (
  { files }: PackageModel,
  { identifier, from }: Resource,
  href: string
): Finding | undefined => {
  const target = resolve(files, from, href)
  const where = `the resource ${identifier}`
  if (target._tag === "Inside" || target._tag === "Itself") return undefined
  if (target._tag === "Missing") {
    return { code: "missing-file", file: MANIFEST, detail: `${where} names ${missingText(target)}` }
  }
  if (target._tag === "Outside") {
    const detail = `${where} points outside the package (${href}). Every file of a package must be inside it.`
    return { code: "outside-package", file: MANIFEST, detail }
  }
  const detail = `${where} names ${href.slice(0, 200)}, which is not a file of the package; tests are taken offline. Put a copy into the package and name that.`
  return { code: "remote-asset", file: MANIFEST, detail }
}

const TYPE_ROOTS = [
  { type: /^imsqti_(?:test|assessment)_xml/u, root: "assessmentTest" },
  { type: /^imsqti_(?:item|apipitem)_xml/u, root: "assessmentItem" }
] as const

/** A resource that calls itself a test or item must be one, in a version that is known. */
const versionFindings = (model: PackageModel): ReadonlyArray<Finding> => {
  const qti = [...model.documents.values()].filter(isQti)
  const wrong = (model.manifest?.resources ?? []).flatMap((resource): ReadonlyArray<Finding> => {
    const wanted = TYPE_ROOTS.find(({ type }) => type.test(resource.type))?.root
    const document = documentOf(model, resource)
    if (wanted === undefined || document === undefined || document.root === wanted) return []
    const detail = `the manifest calls this file a ${wanted}, but it is a ${document.root}. Correct the resource type or the href.`
    return [{ code: "wrong-root", file: document.path, detail }]
  })
  const unknown = qti
    .filter((document) => versionOf(document) === undefined)
    .map((document): Finding => {
      const detail = `the namespace "${document.namespace}" is not QTI 2.1, 2.2 or 3.0. Export the package in one of these versions.`
      return { code: "unknown-version", file: document.path, detail }
    })
  const versions = new Set(qti.flatMap((document) => versionOf(document) ?? []))
  return [...wrong, ...unknown, ...versionWarnings(versions)]
}

const versionWarnings = (versions: ReadonlySet<Version>): ReadonlyArray<Finding> => {
  const generations = new Set([...versions].map((version) => version.slice(0, 3)))
  const warnings: Array<Finding> = []
  if (generations.size > 1) {
    const detail = `The package mixes QTI versions (${[...versions].sort().join(", ")}).`
    warnings.push({ code: "mixed-versions", file: "", detail })
  }
  if (versions.has("2.0")) {
    const detail = "Some items are QTI 2.0; they are read as 2.1. Try the test before exam day."
    warnings.push({ code: "old-version", file: "", detail })
  }
  return warnings
}

const isQti = ({ root }: PackageDocument): boolean =>
  root === "assessmentTest" || root === "assessmentItem" || root === "assessmentSection"

const documentOf = (model: PackageModel, resource: Resource): PackageDocument | undefined => {
  const target = resolve(model.files, resource.from, resource.href ?? "")
  return target._tag === "Inside" ? model.documents.get(target.path) : undefined
}

/** Documents with this root that are resources of the manifest, each once, in its order. */
const documentsOf = (model: PackageModel, root: string): ReadonlyArray<PackageDocument> => [
  ...new Set(
    (model.manifest?.resources ?? [])
      .flatMap((resource) => documentOf(model, resource) ?? [])
      .filter((document) => document.root === root)
  )
]

const itemAlone = (item: PackageDocument): ItemInTest => ({
  ref: item.identifier,
  path: item.path,
  identifier: item.identifier,
  title: item.title,
  interactions: item.interactions
})

const titleOf = (model: PackageModel, first: PackageDocument | undefined): string => {
  const title = first?.root === "assessmentTest" ? first.title : ""
  const known = title || model.manifest?.title || first?.title || first?.identifier || ""
  return isLabel(known) ? known : "Untitled"
}

/** An identifier may be anything; what becomes the label of a delivery may not. */
const isLabel = Schema.is(Text(LABEL_MAX))

const nothingToPlay = ({ documents }: PackageModel): Refusal => {
  const old = [...documents.values()].some(({ root }) => root === "questestinterop")
  const detail = old
    ? "The package is QTI 1.x. Export it as QTI 2.1, 2.2 or 3.0."
    : "The package has no test and no item to play. Export it again with its test and items."
  return { code: "nothing-to-play", file: "", detail }
}

const shapeWarnings = (tests: number): ReadonlyArray<Warning> => {
  if (tests === 1) return []
  const detail =
    tests === 0
      ? "The package has items but no test: they are played as one test in the order of the manifest."
      : `The package has ${tests} tests; the first one is played.`
  return [{ code: tests === 0 ? "item-only" : "several-tests", file: "", detail }]
}

const capped = ([first, ...others]: Array.NonEmptyArray<Refusal>): Array.NonEmptyArray<Refusal> => [
  first,
  ...others.slice(0, FINDINGS_MAX - 1)
]
