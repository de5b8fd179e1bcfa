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

/** So that a device that hangs is noticed while somebody still sits in front of it. */
const PATIENCE_MILLIS = 20_000

export const call = async (method, path, body) => {
  let answer
  try {
    answer = await fetch(`/runner/v1${path}`, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE_MILLIS),
      headers: {
        "testferry-page": "1",
        ...(body === undefined ? {} : { "content-type": "application/json" })
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
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
  return json
}

export const get = (path) => call("GET", path)
export const post = (path, body) => call("POST", path, body)
export const put = (path, body) => call("PUT", path, body)
