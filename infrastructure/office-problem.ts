/**
 * Writes what central's office refuses as problem documents (RFC 9457), beside those that every door has
 * (`runner-problem.ts`): a stable code that the page puts into words, a detail about this one case.
 */
import { Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiSchema } from "effect/http-api"
import { PROBLEM_TYPE } from "./http-answers.ts"

/** Code, status and title. Codes never change. */
export const OFFICE_PROBLEMS = {
  "no-request": { status: 404, title: "There is no such request, or not any more" },
  "wrong-words": { status: 409, title: "These are not the words of the request" },
  decided: { status: 409, title: "Somebody has decided about it before" },
  "organisation-unclear": { status: 409, title: "Central has no such organisation" },
  "device-blocked": { status: 409, title: "The device was blocked or revoked" },
  changed: { status: 409, title: "It is not what was looked at before" },
  "passwords-out": { status: 409, title: "Passwords would have to be made" },
  "many-passwords": { status: 409, title: "There are too many passwords for this page" },
  "rows-refused": { status: 409, title: "Some lines of the file are wrong" },
  "file-large": { status: 413, title: "The file is too large for this page" },
  "file-refused": { status: 422, title: "The file as a whole can't be used" }
} as const
export type OfficeCode = keyof typeof OFFICE_PROBLEMS

const OfficeProblem = Schema.Struct({
  type: Schema.String,
  title: Schema.String,
  status: Schema.Int,
  code: Schema.String,
  detail: Schema.String
})

/** A problem document with a status, for the OpenAPI document. */
export const officeFailure = (status: number) =>
  OfficeProblem.annotate({ identifier: `OfficeProblem${status}` }).pipe(
    HttpApiSchema.status(status),
    HttpApiSchema.asJson({ contentType: PROBLEM_TYPE })
  )

export const officeProblem = (code: OfficeCode, detail = "") => {
  const { status, title } = OFFICE_PROBLEMS[code]
  const type = `urn:testferry:problem:${code}`
  return HttpServerResponse.text(JSON.stringify({ type, title, status, code, detail }), {
    status,
    contentType: PROBLEM_TYPE,
    headers: { "cache-control": "no-store" }
  })
}
