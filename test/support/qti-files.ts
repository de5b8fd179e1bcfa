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

/** Inspects files as a package: gives the report, or fails with the reasons. */
export const inspect = (files: Files) => {
  const bytes = rawZip(Object.entries(files).map(([name, data]) => ({ name, data, method: 0 })))
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
