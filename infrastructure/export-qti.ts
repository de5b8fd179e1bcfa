/**
 * Writes one result as QTI Results Reporting XML 2.2 or 3.0 (imsqti_result_v2p2, imsqti_result_v3p0).
 *
 * Ids become XML names by `ncName`. The format has no place for when a session began, nor for traces:
 * the times and the end of the session stand as variables of the test whose names begin with
 * `testferry.`; traces are left out (CSV and JSON lines have them). NULL and an empty container are
 * one and the same in this format.
 */
import { type ExportedResult, ncName, type QtiVersion } from "../domain/export.ts"
import { PENDING, PENDING_EXTERNAL } from "../domain/item-save.ts"
import type { Variable, VariableSet } from "../domain/variable.ts"

const SCHEMAS: Readonly<Record<QtiVersion, { readonly space: string; readonly location: string }>> =
  {
    "2.2": {
      space: "http://www.imsglobal.org/xsd/imsqti_result_v2p2",
      location: "http://www.imsglobal.org/xsd/qti/qtiv2p2/imsqti_result_v2p2.xsd"
    },
    "3.0": {
      space: "http://www.imsglobal.org/xsd/imsqti_result_v3p0",
      location: "https://purl.imsglobal.org/spec/qti/v3p0/schema/xsd/imsqti_resultv3p0_v1p0.xsd"
    }
  }

/** The document, with its XML declaration. */
export const qtiXml = ({ document }: ExportedResult, version: QtiVersion): string => {
  const { location, space } = SCHEMAS[version]
  const whole = document.variables.filter(({ item }) => item === null)
  const items = document.variables.filter(({ item }) => item !== null)
  const finished = document.finishedAt.wall
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<assessmentResult xmlns="${space}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"` +
      ` xsi:schemaLocation="${space} ${location}">`,
    `  <context sourcedId="${ncName(document.testTaker)}">`,
    ...sessionIds(document).map(
      ([name, id]) =>
        `    <sessionIdentifier sourceID="urn:testferry:${name}" identifier="${ncName(id)}"/>`
    ),
    "  </context>",
    `  <testResult identifier="${ncName(document.delivery)}" datestamp="${iso(finished)}">`,
    ...facts(document, version),
    ...whole.flatMap(({ variables }) => variables.flatMap(variableXml)),
    "  </testResult>",
    ...items.flatMap((set) => itemXml(set, finished, version)),
    "</assessmentResult>",
    ""
  ].join("\n")
}

type Document = ExportedResult["document"]

const sessionIds = (document: Document): ReadonlyArray<readonly [string, string]> => [
  ["execution", document.execution],
  ["delivery", document.delivery],
  ["organisation", document.organisation],
  ["test-center", document.testCenter],
  ["device", document.device]
]

/** What QTI has no attribute for, as variables of the test. */
const facts = (document: Document, version: QtiVersion): ReadonlyArray<string> => {
  const element = version === "3.0" ? "contextVariable" : "templateVariable"
  const fact = (name: string, baseType: string, value: string) =>
    `    <${element} identifier="testferry.${name}" cardinality="single" baseType="${baseType}">` +
    `<value>${escaped(value)}</value></${element}>`
  return [
    ...(document.startedAt === null
      ? []
      : [fact("startedAt", "string", iso(document.startedAt.wall))]),
    fact("finishedAt", "string", iso(document.finishedAt.wall)),
    fact("end", "identifier", document.end),
    fact("attempt", "integer", String(document.attempt)),
    fact("revision", "integer", String(document.revision)),
    fact("contentVersion", "integer", String(document.contentVersion))
  ]
}

const itemXml = (
  set: VariableSet,
  finished: number,
  version: QtiVersion
): ReadonlyArray<string> => {
  const reported = set.variables.filter(({ kind }) => kind !== "trace")
  const latest = reported.reduce((at, variable) => Math.max(at, variable.at), 0)
  const status = statusOf(set, version)
  return [
    `  <itemResult identifier="${ncName(set.item ?? "")}" sequenceIndex="${set.position}"` +
      ` datestamp="${iso(latest === 0 ? finished : latest)}" sessionStatus="${status}">`,
    ...reported.flatMap(variableXml),
    "  </itemResult>"
  ]
}

/** 2.2 has one word for what no program here could score. */
const statusOf = ({ variables }: VariableSet, version: QtiVersion): string => {
  const isTraced = (name: string) =>
    variables.some(({ identifier, kind }) => kind === "trace" && identifier === name)
  if (isTraced(PENDING_EXTERNAL) && version === "3.0") return PENDING_EXTERNAL
  if (isTraced(PENDING_EXTERNAL) || isTraced(PENDING)) return PENDING
  const isTold = variables.some(({ kind, values }) => kind !== "trace" && values !== null)
  return isTold ? "final" : "initial"
}

const variableXml = (variable: Variable): ReadonlyArray<string> => {
  if (variable.kind === "trace") return []
  const type = variable.baseType === null ? "" : ` baseType="${variable.baseType}"`
  const head = `identifier="${ncName(variable.identifier)}" cardinality="${variable.cardinality}"${type}`
  const values = (variable.values ?? []).map(
    ({ baseType, field, value }) =>
      `<value${field === undefined ? "" : ` fieldIdentifier="${ncName(field)}"`}` +
      `${baseType === undefined ? "" : ` baseType="${baseType}"`}>${escaped(value)}</value>`
  )
  return variable.kind === "response"
    ? [
        `    <responseVariable ${head}><candidateResponse>${values.join("")}</candidateResponse>` +
          "</responseVariable>"
      ]
    : [`    <outcomeVariable ${head}>${values.join("")}</outcomeVariable>`]
}

const iso = (millis: number): string => new Date(millis).toISOString()

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  // A parser would make a line feed of it.
  "\r": "&#13;"
}

/** Characters that XML 1.0 can't hold at all become U+FFFD. */
const escaped = (text: string): string =>
  text
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "\uFFFD")
    .replace(/[&<>"\r]/gu, (character) => ENTITIES[character] ?? character)
