/**
 * Describes what was read from a content package, in one vocabulary for QTI 2.x and 3.0: element
 * names are those of 2.x (`assessmentItemRef`, also where the file says `qti-assessment-item-ref`).
 */
import type { FileNames } from "./package-href.ts"
import type { Refusal, Warning } from "./package-refusal.ts"

export type Finding = Refusal | Warning

/**
 * Why a file mentions another. `asset` and `stylesheet` must be in the package, a `style-part`
 * (an image or font that only a style sheet mentions) should be, a `link` is followed by a person.
 */
export type ReferenceKind =
  | "item"
  | "section"
  | "stimulus"
  | "include"
  | "stylesheet"
  | "asset"
  | "style-part"
  | "link"

export interface Reference {
  readonly kind: ReferenceKind
  readonly href: string
  /** The element that refers, as the author wrote it. */
  readonly element: string
  readonly line: number
  /** The identifier of an assessmentItemRef: the key of its results. */
  readonly identifier?: string
}

/** A test, item, section, stimulus, picture, page or style sheet that was read. */
export interface PackageDocument {
  readonly path: string
  readonly root: string
  readonly namespace: string
  readonly schemaLocation: string
  readonly identifier: string
  readonly title: string
  readonly references: ReadonlyArray<Reference>
  /** Names of elements with "Interaction" at the end, and of what needs a special player. */
  readonly interactions: ReadonlyArray<string>
}

export interface Resource {
  readonly identifier: string
  readonly type: string
  /** The file that hrefs are relative to: the manifest, moved by xml:base. */
  readonly from: string
  readonly href: string | undefined
  readonly files: ReadonlyArray<string>
  readonly dependencies: ReadonlyArray<string>
}

export interface Manifest {
  readonly root: string
  readonly namespace: string
  readonly identifier: string
  readonly title: string
  readonly resources: ReadonlyArray<Resource>
}

/** Everything that the rules look at. `findings` are those made while reading. */
export interface PackageModel {
  readonly files: FileNames
  readonly manifest: Manifest | undefined
  readonly documents: ReadonlyMap<string, PackageDocument>
  readonly findings: ReadonlyArray<Finding>
}

export const MANIFEST = "imsmanifest.xml"

export const VERSIONS = ["2.0", "2.1", "2.2", "2.2.1", "2.2.2", "2.2.3", "2.2.4", "3.0"] as const
export type Version = (typeof VERSIONS)[number]

/** The QTI version by the namespace of the root; the third digit is told by the schema file only. */
export const versionOf = (document: PackageDocument): Version | undefined => {
  const found = /imsqti(?:asi)?_v([23])p(\d)$/u.exec(document.namespace)
  if (found === null) return undefined
  const [, major, minor] = found
  const point = new RegExp(`imsqti_v${major}p${minor}p(\\d)`, "u").exec(document.schemaLocation)
  return (
    VERSIONS.find((version) => version === `${major}.${minor}.${point?.[1]}`) ??
    VERSIONS.find((version) => version === `${major}.${minor}`)
  )
}
