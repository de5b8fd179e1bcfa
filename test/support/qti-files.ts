/** Writes the smallest QTI packages, to be spoilt in one place at a time. */
import { Effect } from "effect"
import type { PackageRefused } from "../../domain/package-refusal.ts"
import { inspectPackage } from "../../infrastructure/qti-reader.ts"
import { rawZip } from "./raw-zip.ts"

export const QTI_21 = "http://www.imsglobal.org/xsd/imsqti_v2p1"

export const manifest = (resources: string): string =>
  `<manifest xmlns="http://www.imsglobal.org/xsd/imscp_v1p1" identifier="M"><organizations/><resources>${resources}</resources></manifest>`

export const resource = (identifier: string, type: string, href: string, more = ""): string =>
  `<resource identifier="${identifier}" type="${type}" href="${href}"><file href="${href}"/>${more}</resource>`

export const test = (refs: string): string =>
  `<assessmentTest xmlns="${QTI_21}" identifier="T" title="A test"><testPart identifier="P" navigationMode="linear" submissionMode="individual"><assessmentSection identifier="S" title="S" visible="true">${refs}</assessmentSection></testPart></assessmentTest>`

export const item = (body: string, identifier = "i1"): string =>
  `<assessmentItem xmlns="${QTI_21}" identifier="${identifier}" title="Item ${identifier}" adaptive="false" timeDependent="false"><itemBody>${body}</itemBody></assessmentItem>`

export const QTI_30 = "http://www.imsglobal.org/xsd/imsqtiasi_v3p0"

/** An item of QTI 3.0. `head`: what stands before its body. */
export const item3 = (body: string, head = ""): string =>
  `<qti-assessment-item xmlns="${QTI_30}" identifier="i1" title="Item" adaptive="false" time-dependent="false">${head}<qti-item-body>${body}</qti-item-body></qti-assessment-item>`

export type Files = Record<string, string | Uint8Array>

/** One test with one item, `items/i1.xml`. */
export const minimal: Files = {
  "imsmanifest.xml": manifest(
    resource("T", "imsqti_test_xmlv2p1", "test.xml", `<dependency identifierref="I"/>`) +
      resource("I", "imsqti_item_xmlv2p1", "items/i1.xml")
  ),
  "test.xml": test(`<assessmentItemRef identifier="r1" href="items/i1.xml"/>`),
  "items/i1.xml": item("<p>Hello</p>")
}

/** The same in QTI 3.0, with this body and these files more. */
export const minimal3 = (body: string, more: Files = {}): Files => ({
  "imsmanifest.xml": manifest(
    resource("T", "imsqti_test_xmlv3p0", "test.xml") +
      resource("I", "imsqti_item_xmlv3p0", "items/i1.xml")
  ).replace("imscp_v1p1", "qti/qtiv3p0/imscp_v1p1"),
  "test.xml": `<qti-assessment-test xmlns="${QTI_30}" identifier="T" title="A test"><qti-test-part identifier="P" navigation-mode="linear" submission-mode="individual"><qti-assessment-section identifier="S" title="S" visible="true"><qti-assessment-item-ref identifier="r1" href="items/i1.xml"/></qti-assessment-section></qti-test-part></qti-assessment-test>`,
  "items/i1.xml": item3(body),
  ...more
})

export const zipOf = (files: Files): Buffer =>
  rawZip(Object.entries(files).map(([name, data]) => ({ name, data, method: 0 })))

/** Inspects files as a package: gives the report, or fails with the reasons. */
export const inspect = (files: Files) => {
  const bytes = zipOf(files)
  return inspectPackage({
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length)
  })
}

/** The codes and files of the reasons, or of the warnings after the word "accepted". */
export const verdict = (files: Files): Effect.Effect<ReadonlyArray<string>> =>
  inspect(files).pipe(
    Effect.map(({ warnings }) => ["accepted", ...warnings.map(({ code }) => code)]),
    Effect.catch((refused: PackageRefused) =>
      Effect.succeed(refused.reasons.map(({ code, file }) => `${code} ${file}`.trim()))
    )
  )
