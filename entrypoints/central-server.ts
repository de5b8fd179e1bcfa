/**
 * Serves central's HTTPS door: opens the socket with its limits, and puts the routes behind the
 * gate. Stateless but for its rate counters: any number of processes may serve one database.
 */
import { createServer as createHttp, type Server } from "node:http"
import { createServer as createHttps } from "node:https"
import type { Duplex } from "node:stream"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, type Duration, Layer, References } from "effect"
import { HttpIncomingMessage, HttpMiddleware, HttpRouter } from "effect/http"
import { HttpApiBuilder, HttpApiScalar } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { PROBLEM_TYPE } from "../infrastructure/http-answers.ts"
import { Api } from "../infrastructure/http-api.ts"
import { PROBLEMS, problemText, trouble } from "../infrastructure/http-problem.ts"
import * as Access from "./central-access.ts"
import * as Gate from "./central-gate.ts"
import * as Records from "./central-records.ts"
import * as Routes from "./central-routes.ts"

export interface CentralServerOptions {
  readonly host: string
  /** 0 takes any free port; `HttpServer.HttpServer` then tells which. */
  readonly port: number
  /** Without TLS only for loopback, or behind a proxy that speaks it. */
  readonly tls: { readonly keyPem: string; readonly certPem: string } | undefined
  readonly limits?: Access.RateLimits
  /** Proxies whose X-Forwarded-For is believed; without it, everybody behind one shares its limits. */
  readonly trustedProxies?: HttpMiddleware.TrustedProxyOptions["trustedProxies"]
  /** How long running requests may take to finish once the server stops. */
  readonly grace?: Duration.Input
}

/** The largest request but for records: a thousand entity keys of the longest kind, or an enrolment. */
const REQUEST_BYTES_MAX = ByteSize.mebibytes(2)
/** A request must have arrived whole in this time, its headers in less. */
const REQUEST_MILLIS = 60_000
const HEADERS_MILLIS = 15_000
/** Devices ask several things in a row; the pause between is theirs for applying a page. */
const KEEP_ALIVE_MILLIS = 30_000
/** A connection on which nothing moves, in either direction, is given up. */
const SILENCE_MILLIS = 120_000
/** Open connections of one process: more than devices of a district, less than file handles. */
const CONNECTIONS_MAX = 2_000
const HEADER_BYTES_MAX = 16_384
/** Path parameters are percent-encoded: 120 characters may take nine bytes each. */
const PARAMETER_MAX = 1_200
const GRACE: Duration.Input = "60 seconds"

/** The running server; everything it asks of the world is among its requirements. */
export const layer = (options: CentralServerOptions) =>
  HttpRouter.serve(routes(options), {
    disableLogger: true,
    disableListenLog: true,
    routerConfig: {
      caseSensitive: true,
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
      maxParamLength: PARAMETER_MAX
    }
  }).pipe(
    Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, REQUEST_BYTES_MAX)),
    Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
    Layer.provideMerge(
      NodeHttpServer.layer(() => listener(options), {
        host: options.host,
        port: options.port,
        gracefulShutdownTimeout: options.grace ?? GRACE
      })
    )
  )

const routes = (options: CentralServerOptions) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
      Layer.provide([
        Access.layer(options.limits ?? Access.RATE_LIMITS),
        Routes.layerFeeds,
        Routes.layerContents,
        Records.layerRecords,
        Routes.layerHealth
      ]),
      Layer.provide(Routes.layerAdmitted)
    ),
    HttpApiScalar.layer(Api, { path: "/docs", scalar: { withDefaultFonts: false } }),
    PrometheusMetrics.layerHttp({ path: "/metrics" }),
    forwarded(options)
  ).pipe(Layer.provideMerge(Gate.layer))

const forwarded = ({ trustedProxies }: CentralServerOptions) =>
  trustedProxies === undefined
    ? Layer.empty
    : HttpRouter.middleware(HttpMiddleware.xForwardedHeaders({ trustedProxies }), { global: true })

const listener = ({ tls }: CentralServerOptions): Server => {
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
  return server
}

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

/** For a central inside another program: its warnings only. */
export const layerQuiet = Layer.succeed(References.MinimumLogLevel, "Warn")
