/**
 * Carries one HTTP request to central and its answer back: over connections that stay open between
 * requests, each of which proved before the first byte that central is at the other end.
 *
 * A pinned certificate is checked by its fingerprint and by nothing else: neither names, nor dates,
 * which a device with a wrong clock could not judge (protocol §1).
 */
import { createHash } from "node:crypto"
import { Agent, type ClientRequestArgs, type IncomingMessage, request as start } from "node:http"
import { connect as connectPlain, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { connect as connectTls, type TLSSocket } from "node:tls"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { type Duration, Effect, type Scope, type Stream } from "effect"
import { CentralAway } from "../application/ports.ts"

/** Whom to trust: one certificate (SHA-256 of its DER form, in hex), or whom the system trusts. */
export type Trust = { readonly fingerprint: string } | "authorities"

export interface Line {
  readonly baseUrl: string
  readonly trust: Trust
  /** How long central may take until its answer begins. */
  readonly answerWithin?: Duration.Input
}

export interface Request {
  readonly method: "GET" | "POST"
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Reply {
  readonly status: number
  /** A header by its lower-case name. */
  readonly header: (name: string) => string | undefined
  /** The body as it comes, once. Fails when it breaks off. */
  readonly body: Stream.Stream<Uint8Array, CentralAway>
  /** Gives the connection up, when nobody wants the body. */
  readonly drop: Effect.Effect<void>
}

export type Exchange = (request: Request) => Effect.Effect<Reply, CentralAway>

/** Longer than central's own deadline, so that central gets to say what is wrong. */
const ANSWER_WITHIN: Duration.Input = "75 seconds"
const CONNECT_MILLIS = 15_000
/** A body that brings nothing for so long is taken for broken off. */
const SILENCE_MILLIS = 30_000
/** One for data, some for contents. */
const CONNECTIONS_MAX = 4

/** Opens a line to central; its connections close with the scope. */
export const makeExchange = Effect.fnUntraced(function* (
  line: Line
): Effect.fn.Return<Exchange, never, Scope.Scope> {
  const url = new URL(line.baseUrl)
  const agent = yield* Effect.acquireRelease(
    Effect.sync(() => new ProvenAgent(url, line.trust)),
    (agent) => Effect.sync(() => agent.destroy())
  )
  const prefix = url.pathname.replace(/\/+$/u, "")
  return (request) =>
    send(agent, url, { ...request, path: `${prefix}${request.path}` }).pipe(
      Effect.timeoutOrElse({
        duration: line.answerWithin ?? ANSWER_WITHIN,
        orElse: () => Effect.fail(away("timeout", "central took too long to answer"))
      })
    )
})

const send = (agent: Agent, url: URL, request: Request) =>
  Effect.callback<Reply, CentralAway>((resume) => {
    const message = start({
      agent,
      host: url.hostname,
      port: portOf(url),
      method: request.method,
      path: request.path,
      headers: {
        host: url.host,
        ...request.headers,
        ...(request.body !== undefined && { "content-length": Buffer.byteLength(request.body) })
      }
    })
    message.on("error", (error) => resume(Effect.fail(whyAway(error))))
    message.once("response", (response) => resume(Effect.succeed(replyOf(response))))
    message.end(request.body)
    return Effect.sync(() => message.destroy())
  })

const replyOf = (response: IncomingMessage): Reply => {
  const silence = () => response.destroy(new Silent())
  response.setTimeout(SILENCE_MILLIS, silence)
  response.on("error", () => {})
  return {
    status: response.statusCode ?? 0,
    header: (name) => {
      const value = response.headers[name]
      return typeof value === "string" ? value : undefined
    },
    body: NodeStream.fromReadable<Uint8Array, CentralAway>({
      evaluate: () => response,
      onError: (error) =>
        error instanceof Silent
          ? away("timeout", "central fell silent in the middle of an answer")
          : away("interrupted", "the answer broke off")
    }),
    drop: Effect.sync(() => {
      response.destroy()
    })
  }
}

class Silent extends Error {}
class CertificateMismatch extends Error {}
class ConnectTimeout extends Error {}

/** Hands out connections only once the other end has proved itself. */
class ProvenAgent extends Agent {
  readonly #url: URL
  readonly #trust: Trust

  constructor(url: URL, trust: Trust) {
    super({ keepAlive: true, maxSockets: CONNECTIONS_MAX })
    this.#url = url
    this.#trust = trust
  }

  override createConnection(
    _options: ClientRequestArgs,
    done?: (error: Error | null, socket: Duplex) => void
  ): undefined {
    const socket = this.#open()
    const ready = this.#url.protocol === "https:" ? "secureConnect" : "connect"
    let settled = false
    const settle = (error: Error | null) => {
      if (settled) return
      settled = true
      socket.setTimeout(0)
      if (error !== null) socket.destroy()
      done?.(error, socket)
    }
    socket.setTimeout(CONNECT_MILLIS, () => settle(new ConnectTimeout("connecting took too long")))
    socket.once("error", settle)
    socket.once(ready, () => settle(this.#proved(socket) ? null : new CertificateMismatch()))
  }

  #open(): Socket | TLSSocket {
    const target = { host: this.#url.hostname.replace(/^\[|\]$/gu, ""), port: portOf(this.#url) }
    if (this.#url.protocol !== "https:") return connectPlain(target)
    const servername = /[a-z]/iu.test(target.host) && !target.host.includes(":") ? target.host : ""
    const pinned = this.#trust !== "authorities"
    return connectTls({ ...target, servername, rejectUnauthorized: !pinned, minVersion: "TLSv1.2" })
  }

  #proved(socket: Socket | TLSSocket): boolean {
    if (this.#trust === "authorities" || !("getPeerCertificate" in socket)) return true
    const { raw } = socket.getPeerCertificate()
    const found = createHash("sha256")
      .update(raw ?? "")
      .digest("hex")
    return found === this.#trust.fingerprint.replaceAll(":", "").toLowerCase()
  }
}

const portOf = (url: URL): number =>
  url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)

const away = (reason: CentralAway["reason"], detail: string) => new CentralAway({ reason, detail })

/** What a person could do about a failed connection is told by `reason`, the rest by Node's code. */
const whyAway = (error: NodeJS.ErrnoException): CentralAway => {
  const code = error.code ?? ""
  if (error instanceof CertificateMismatch)
    return away("certificate", "the server showed another certificate than the one pinned")
  if (error instanceof ConnectTimeout || code === "ETIMEDOUT")
    return away("timeout", "central could not be reached in time")
  if (/^(CERT_|ERR_TLS_CERT|ERR_SSL|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/u.test(code))
    return away("certificate", code)
  if (code === "ECONNRESET" || code === "EPIPE" || code.startsWith("HPE_"))
    return away("interrupted", code)
  return away("unreachable", code === "" ? error.name : code)
}
