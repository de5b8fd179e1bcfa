/** Writes small tests of QTI 3.0 with rules of their own, and publishes them at central. */
import fs from "node:fs"
import path from "node:path"
import { Effect } from "effect"
import { publishFile } from "./exam.ts"
import { type Files, manifest, QTI_30, resource, zipOf } from "./qti-files.ts"

/** One item: what is declared, asked and processed. */
export interface SmallItem {
  readonly declared?: string
  readonly body: string
  readonly processing?: string
  /** Behind the body: feedback that opens above it. */
  readonly after?: string
  readonly attributes?: string
  /** In the test's reference to it. */
  readonly ref?: string
}

const itemXml = (name: string, item: SmallItem): string =>
  `<qti-assessment-item xmlns="${QTI_30}" identifier="${name}" title="${name}" adaptive="false" time-dependent="false" ${item.attributes ?? ""}>${item.declared ?? ""}<qti-item-body>${item.body}</qti-item-body>${item.processing ?? ""}${item.after ?? ""}</qti-assessment-item>`

const SCORE = `<qti-outcome-declaration identifier="SCORE" cardinality="single" base-type="float"/>`
const MATCH = "https://purl.imsglobal.org/spec/qti/v3p0/rptemplates/match_correct.xml"

/** A question of one choice out of A and B, of which B is right. */
export const choice = (more: Partial<SmallItem> & { readonly asked?: string } = {}): SmallItem => ({
  declared: `<qti-response-declaration identifier="RESPONSE" cardinality="single" base-type="identifier"><qti-correct-response><qti-value>B</qti-value></qti-correct-response></qti-response-declaration>${SCORE}${more.declared ?? ""}`,
  body: `<qti-choice-interaction response-identifier="RESPONSE" max-choices="1"><qti-prompt>${more.asked ?? "Which one?"}</qti-prompt><qti-simple-choice identifier="A">Apples</qti-simple-choice><qti-simple-choice identifier="B">Bananas</qti-simple-choice></qti-choice-interaction>${more.body ?? ""}`,
  processing: more.processing ?? `<qti-response-processing template="${MATCH}"/>`,
  after: more.after ?? "",
  attributes: more.attributes ?? "",
  ref: more.ref ?? ""
})

/** A question with a line to write on; of which nothing is scored unless `processing` says how. */
export const text = (more: Partial<SmallItem> = {}): SmallItem => ({
  declared: `<qti-response-declaration identifier="RESPONSE" cardinality="single" base-type="string"/>${more.declared ?? SCORE}`,
  body: `<qti-extended-text-interaction response-identifier="RESPONSE"><qti-prompt>Write something</qti-prompt></qti-extended-text-interaction>${more.body ?? ""}`,
  processing: more.processing ?? "",
  attributes: more.attributes ?? "",
  ref: more.ref ?? ""
})

export interface SmallRules {
  readonly navigation?: "linear" | "nonlinear"
  readonly submission?: "individual" | "simultaneous"
  /** Attributes of the part's item session control. */
  readonly control?: string
  /** In the section, before its items. */
  readonly section?: string
  /** Behind the parts. */
  readonly after?: string
  /** Before the parts. */
  readonly before?: string
}

/** A test of one part, with the items in the order given. */
export const smallTest = (
  items: Readonly<Record<string, SmallItem>>,
  rules: SmallRules = {}
): Files => {
  const names = Object.keys(items)
  const refs = names.map(
    (name) =>
      `<qti-assessment-item-ref identifier="${name}" href="items/${name}.xml">${items[name]?.ref ?? ""}</qti-assessment-item-ref>`
  )
  const control = rules.control === undefined ? "" : `<qti-item-session-control ${rules.control}/>`
  return {
    "imsmanifest.xml": manifest(
      resource("T", "imsqti_test_xmlv3p0", "test.xml") +
        names.map((name) => resource(name, "imsqti_item_xmlv3p0", `items/${name}.xml`)).join("")
    ).replace("imscp_v1p1", "qti/qtiv3p0/imscp_v1p1"),
    "test.xml": `<qti-assessment-test xmlns="${QTI_30}" identifier="T" title="A small test">${rules.before ?? ""}<qti-test-part identifier="P" navigation-mode="${rules.navigation ?? "linear"}" submission-mode="${rules.submission ?? "individual"}">${control}<qti-assessment-section identifier="S" title="S" visible="true">${rules.section ?? ""}${refs.join("")}</qti-assessment-section></qti-test-part>${rules.after ?? ""}</qti-assessment-test>`,
    ...Object.fromEntries(
      Object.entries(items).map(([name, item]) => [`items/${name}.xml`, itemXml(name, item)])
    )
  }
}

/** Publishes files as a package, as `id`. */
export const publishSmall = Effect.fnUntraced(function* (folder: string, id: string, files: Files) {
  const file = path.join(folder, `${id}.zip`)
  yield* Effect.sync(() => fs.writeFileSync(file, zipOf(files)))
  return yield* publishFile(file, id)
})
