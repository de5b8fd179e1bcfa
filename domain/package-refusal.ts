/**
 * Says why a content package is not published, and what was noticed though it is.
 *
 * The author of a package is seldom the person who publishes it: every finding names the file, and
 * its detail says in plain words what is wrong, why that matters and what to do.
 */
import { Schema } from "effect"

/** Reasons to refuse. The first group is about the archive, the second about what is in it. */
export const REFUSALS = [
  "zip-not-an-archive",
  "zip-trailing-data",
  "zip-multi-disk",
  "zip-too-large-format",
  "zip-entry-count",
  "zip-damaged",
  "zip-overlap",
  "zip-encrypted",
  "zip-method",
  "zip-link",
  "zip-name",
  "zip-duplicate-name",
  "zip-too-many-entries",
  "zip-too-big",
  "zip-ratio",
  "manifest-missing",
  "manifest-nested",
  "not-a-manifest",
  "not-well-formed",
  "doctype",
  "xml-limit",
  "missing-file",
  "unresolved-dependency",
  "remote-asset",
  "active-content",
  "outside-package",
  "wrong-root",
  "unknown-version",
  "reference-loop",
  "unresolved-include",
  "unsupported-interaction",
  "conversion",
  "item-fails",
  "nothing-to-play"
] as const

/** Things to know about an accepted package. */
export const WARNINGS = [
  "duplicate-identifier",
  "item-only",
  "several-tests",
  "unknown-manifest-namespace",
  "mixed-versions",
  "old-version",
  "remote-link",
  "broken-link",
  "missing-style-part",
  "unknown-scoring-template",
  "custom-operator",
  "feedback-not-shown",
  "adaptive-item",
  "program-file",
  "encoding"
] as const

/** `file` is the path inside the package, or "" when the whole package is meant. */
export const Refusal = Schema.Struct({
  code: Schema.Literals(REFUSALS),
  file: Schema.String,
  detail: Schema.String
})
export type Refusal = typeof Refusal.Type

export const Warning = Schema.Struct({
  code: Schema.Literals(WARNINGS),
  file: Schema.String,
  detail: Schema.String
})
export type Warning = typeof Warning.Type

/** Reasons told at once: more than a person reads, few enough for one answer. */
export const FINDINGS_MAX = 100

/** The package can't be published; `reasons` holds at least one and at most FINDINGS_MAX. */
export class PackageRefused extends Schema.TaggedError<PackageRefused>()("PackageRefused", {
  reasons: Schema.NonEmptyArray(Refusal)
}) {
  override get message() {
    return this.reasons
      .map(({ file, detail }) => (file === "" ? detail : `${file}: ${detail}`))
      .join("\n")
  }
}

/** The refusal for one reason. */
export const refused = (code: Refusal["code"], file: string, detail: string): PackageRefused =>
  new PackageRefused({ reasons: [{ code, file, detail }] })
