/** Writes items of QTI 3.0 in a few words, and reads the right answers out of real ones. */
import type { Known } from "../../application/play-ports.ts"
import { readQuestions } from "../../infrastructure/qti-questions.ts"

export const item = (declarations: string, processing: string, templates = "", body = "") =>
  `<?xml version="1.0"?><qti-assessment-item xmlns="http://www.imsglobal.org/xsd/imsqtiasi_v3p0" identifier="x" title="x" adaptive="false" time-dependent="false">${declarations}${templates}<qti-item-body>${body}</qti-item-body><qti-response-processing>${processing}</qti-response-processing></qti-assessment-item>`

export const response = (identifier: string, type: string, cardinality = "single", right = "") =>
  `<qti-response-declaration identifier="${identifier}" cardinality="${cardinality}" base-type="${type}">${right === "" ? "" : `<qti-correct-response><qti-value>${right}</qti-value></qti-correct-response>`}</qti-response-declaration>`

export const outcome = (identifier: string) =>
  `<qti-outcome-declaration identifier="${identifier}" cardinality="single" base-type="float"/>`

export const set = (identifier: string, expression: string) =>
  `<qti-set-outcome-value identifier="${identifier}">${expression}</qti-set-outcome-value>`

export const condition = (test: string, identifier: string, then: string) =>
  `<qti-response-condition><qti-response-if>${test}${set(identifier, `<qti-base-value base-type="float">${then}</qti-base-value>`)}</qti-response-if></qti-response-condition>`

export const known = (
  identifier: string,
  value: string | null,
  cardinality: Known["cardinality"],
  baseType: Known["baseType"]
): Known => ({ identifier, cardinality, baseType, values: value === null ? null : [{ value }] })

/** The right answers, as a candidate who knows them would give them. */
export const correctOf = (xml: string): ReadonlyArray<Known> =>
  readQuestions(Buffer.from(xml), "item.xml").questions.map(
    ({ baseType, cardinality, correct, response: identifier }) => ({
      identifier,
      cardinality,
      baseType,
      values: correct.length === 0 ? null : correct.map((value) => ({ value }))
    })
  )
