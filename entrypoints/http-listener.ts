/** Opens the sockets of our HTTP servers with their limits, of time, size and number. */
import { createServer as createHttp, type Server } from "node:http"
import { createServer as createHttps } from "node:https"
import type { Duplex } from "node:stream"
import { PROBLEM_TYPE } from "../infrastructure/http-answers.ts"
import { PROBLEMS, problemText, trouble } from "../infrastructure/http-problem.ts"

/** A request must have arrived whole in this time, its headers in less. */
const REQUEST_MILLIS = 60_000
const HEADERS_MILLIS = 15_000
/** Devices and pages ask several things in a row; the pause between is theirs. */
const KEEP_ALIVE_MILLIS = 30_000
/** A connection on which nothing moves, in either direction, is given up. */
const SILENCE_MILLIS = 120_000
/** Open connections of one process: more than devices of a district, less than file handles. */
export const CONNECTIONS_MAX = 2_000
/** Of these one address has so many: a school behind one address, but never all of them. */
const CONNECTIONS_EACH_MAX = 1_000
const HEADER_BYTES_MAX = 16_384

export interface Tls {
  readonly keyPem: string
  readonly certPem: string
}

/** `eachMax`: for who stands in front of others, as a proxy does, all of them. */
export const listener = (tls: Tls | undefined, eachMax = eachMaxOf(tls)): Server => {
  const limits = {
    requestTimeout: REQUEST_MILLIS,
    headersTimeout: HEADERS_MILLIS,
    keepAliveTimeout: KEEP_ALIVE_MILLIS,
    maxHeaderSize: HEADER_BYTES_MAX
  }
  const server =
    tls === undefined
      ? createHttp(limits)
      : createHttps({ ...limits, key: tls.keyPem, cert: tls.certPem, minVersion: "TLSv1.2" })
  server.setTimeout(SILENCE_MILLIS)
  server.maxConnections = CONNECTIONS_MAX
  server.on("clientError", answerUnreadable)
  const open = new Map<string, number>()
  server.on("connection", (socket) => {
    const from = socket.remoteAddress ?? ""
    const count = (open.get(from) ?? 0) + 1
    open.set(from, count)
    socket.once("close", () => {
      const left = (open.get(from) ?? 1) - 1
      if (left === 0) open.delete(from)
      else open.set(from, left)
    })
    if (count > eachMax) socket.destroy()
  })
  return server
}

/** Without TLS everybody comes from this very machine, or from a proxy. */
const eachMaxOf = (tls: Tls | undefined): number =>
  tls === undefined ? CONNECTIONS_MAX : CONNECTIONS_EACH_MAX

/** Even what cannot be parsed as HTTP gets a problem document, as long as the socket can take it. */
const answerUnreadable = (error: NodeJS.ErrnoException, socket: Duplex) => {
  if (!socket.writable || error.code === "ECONNRESET") return socket.destroy()
  const code =
    error.code === "HPE_HEADER_OVERFLOW"
      ? "headers-too-large"
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "request-timeout"
        : "bad-request"
  const text = problemText(trouble(code, "The connection is closed."))
  return socket.end(
    `HTTP/1.1 ${PROBLEMS[code].status} ${PROBLEMS[code].title}\r\nConnection: close\r\n` +
      `Content-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
  )
}
