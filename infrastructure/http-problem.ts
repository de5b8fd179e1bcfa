/**
 * Writes every error of the HTTPS conversation as a problem document (RFC 9457) with a stable code
 * that programs act on, a title for people and a detail about this one case (protocol §8).
 */
import { HttpServerResponse } from "effect/http"
import { PROBLEM_TYPE } from "./http-answers.ts"

/** Code, status, title and, at the token endpoint, the error of RFC 6749 §5.2. Codes never change. */
export const PROBLEMS = {
  "bad-request": { status: 400, title: "The request cannot be understood" },
  "device-unreadable": { status: 400, title: "The header testferry-device cannot be read" },
  "request-refused": { status: 400, title: "The enrolment request is not valid" },
  "unsupported-grant-type": { status: 400, title: "Only client_credentials is granted" },
  "token-refused": { status: 401, title: "There is no valid access token" },
  "invalid-client": { status: 401, title: "The client is not known or did not prove itself" },
  "clock-wrong": { status: 401, title: "The client's clock is wrong" },
  "wrong-audience": { status: 401, title: "The assertion is meant for another server" },
  "wrong-proof": { status: 403, title: "Login or password, or key or secret, is wrong" },
  "no-organisation": { status: 403, title: "The sync manager belongs to no organisation" },
  "device-blocked": { status: 403, title: "The device is blocked" },
  "device-revoked": { status: 403, title: "The device is revoked" },
  "not-found": { status: 404, title: "There is no such thing" },
  "method-not-allowed": { status: 405, title: "The method is not allowed here" },
  "request-timeout": { status: 408, title: "The request did not arrive in time" },
  "feed-reset": { status: 410, title: "The cursor is void: start again from the beginning" },
  "too-large": { status: 413, title: "The request is too large" },
  "unsupported-media-type": { status: 415, title: "The content type is not supported" },
  "range-not-satisfiable": { status: 416, title: "The range is outside of the content" },
  "device-too-old": { status: 426, title: "The device's version is too old for this server" },
  "device-too-new": { status: 426, title: "The device's version is too new for this server" },
  "too-many-requests": { status: 429, title: "Too many requests" },
  "headers-too-large": { status: 431, title: "The request headers are too large" },
  internal: { status: 500, title: "The server failed" },
  unavailable: { status: 503, title: "The server cannot answer now" }
} as const
export type Code = keyof typeof PROBLEMS

/** A problem as data, before it becomes a response. */
export interface Trouble {
  readonly code: Code
  readonly detail: string
  readonly headers?: Readonly<Record<string, string>>
  readonly members?: Readonly<Record<string, string>>
}

export const trouble = (
  code: Code,
  detail: string,
  rest: Pick<Trouble, "headers" | "members"> = {}
): Trouble => ({ code, detail, ...rest })

/** The text of a problem document. */
export const problemText = ({ code, detail, members }: Trouble): string => {
  const { status, title } = PROBLEMS[code]
  return JSON.stringify({
    type: `urn:testferry:problem:${code}`,
    title,
    status,
    code,
    detail,
    ...members
  })
}

/** The response for a problem; a 401 always says which scheme would help (RFC 9110 §15.5.2). */
export const problemResponse = (
  found: Trouble,
  contentType: string = PROBLEM_TYPE
): HttpServerResponse.HttpServerResponse => {
  const { status } = PROBLEMS[found.code]
  const challenge = status === 401 ? { "www-authenticate": 'Bearer realm="testferry"' } : {}
  return HttpServerResponse.text(problemText(found), {
    status,
    contentType,
    headers: { ...challenge, ...found.headers }
  })
}

/**
 * The same at the token endpoint, with the members of RFC 6749 §5.2. Clients that insist on plain
 * JSON by `Accept: application/json` get the same text under that name.
 */
export const oauthResponse = (found: Trouble, accept: string | undefined) => {
  const error = oauthError(found.code)
  const challenge =
    error === "invalid_client" ? { "www-authenticate": 'Basic realm="testferry"' } : {}
  return problemResponse(
    {
      ...found,
      headers: { ...found.headers, "cache-control": "no-store", ...challenge },
      members: { error, error_description: found.detail }
    },
    accept?.trim() === "application/json" ? "application/json" : PROBLEM_TYPE
  )
}

/** The code for a status that some library answered without a problem document. */
export const codeOfStatus = (status: number): Code => {
  for (const [code, problem] of entries(PROBLEMS)) if (problem.status === status) return code
  return status < 500 ? "bad-request" : status === 500 ? "internal" : "unavailable"
}

/** The error of RFC 6749 §5.2 that says the same. */
const oauthError = (code: Code): string => {
  const { status } = PROBLEMS[code]
  if (code === "unsupported-grant-type") return "unsupported_grant_type"
  if (status === 401) return "invalid_client"
  if (status === 403) return "unauthorized_client"
  return status >= 500 || status === 429 ? "temporarily_unavailable" : "invalid_request"
}

const entries = (problems: typeof PROBLEMS): ReadonlyArray<[Code, { status: number }]> =>
  // Object.entries forgets the keys of a constant.
  Object.entries(problems) as ReadonlyArray<[Code, { status: number }]>
