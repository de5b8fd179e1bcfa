/** Asks the device, and says in one form what went wrong. */

/** `status` 0: the device did not answer at all. */
export class Trouble extends Error {
  constructor(status, code, detail) {
    super(code)
    this.status = status
    this.code = code
    this.detail = detail
  }
}

/** Refused for other reasons than what was asked: the same may be taken later. */
const LATER = new Set([401, 408, 423, 425, 429])

/** Whether the device would never take the same again. */
export const isRefusal = ({ status }) => status >= 400 && status < 500 && !LATER.has(status)

/** So that a device that hangs is noticed while somebody still sits in front of it. */
const PATIENCE_MILLIS = 20_000

/** A file takes its time on a slow line, and central up to a minute with what is in it. */
const PATIENCE_FILE_MILLIS = 180_000

/**
 * Whom this window shows. Windows of a browser share a cookie: what is meant as one person must not
 * be done as another who logged in beside them.
 */
let shown = "1"

const call = async (method, path, body, file) => {
  let answer
  try {
    answer = await fetch(path, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(file === undefined ? PATIENCE_MILLIS : PATIENCE_FILE_MILLIS),
      headers: {
        "testferry-page": shown,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(file === undefined ? {} : { "content-type": "text/csv" })
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(file === undefined ? {} : { body: file })
    })
  } catch {
    throw new Trouble(0, "unreachable", "")
  }
  const text = await answer.text().catch(() => "")
  let json
  try {
    json = text === "" ? {} : JSON.parse(text)
  } catch {
    json = {}
  }
  if (!answer.ok) throw new Trouble(answer.status, json.code ?? "internal", json.detail ?? "")
  if (path.endsWith("/login")) shown = json.person?.id ?? "1"
  if (path.endsWith("/me")) shown = json.id ?? "1"
  return json
}

/** What a page asks of one of the device's doors. */
export const doorAt = (base) => ({
  get: (path) => call("GET", `${base}${path}`),
  post: (path, body) => call("POST", `${base}${path}`, body),
  put: (path, body) => call("PUT", `${base}${path}`, body),
  /** The bytes of a file, as they are. */
  send: (path, file) => call("POST", `${base}${path}`, undefined, file)
})

/** The door for test-takers. */
export const { get, post, put } = doorAt("/runner/v1")
