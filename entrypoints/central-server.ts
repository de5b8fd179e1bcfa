/**
 * Serves central's HTTPS door: opens the socket with its limits, and puts the routes behind the
 * gate. Stateless but for its rate counters: any number of processes may serve one database.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, type Duration, Layer, References } from "effect"
import { HttpIncomingMessage, HttpMiddleware, HttpRouter } from "effect/http"
import { HttpApiBuilder, HttpApiScalar } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { Api } from "../infrastructure/http-api.ts"
import * as Access from "./central-access.ts"
import * as Gate from "./central-gate.ts"
import * as Office from "./central-office.ts"
import * as Records from "./central-records.ts"
import * as Routes from "./central-routes.ts"
import { CONNECTIONS_MAX, listener, type Tls } from "./http-listener.ts"
import { layerOfficeDoor } from "./office-routes.ts"
import * as Pages from "./page-routes.ts"
import type { LoginLimits } from "./runner-access.ts"

export interface CentralServerOptions {
  readonly host: string
  /** 0 takes any free port; `HttpServer.HttpServer` then tells which. */
  readonly port: number
  /** Without TLS only for loopback, or behind a proxy that speaks it. */
  readonly tls: Tls | undefined
  readonly limits?: Access.RateLimits
  /** How often people of the office may try to log in. */
  readonly loginLimits?: LoginLimits
  /** Proxies whose X-Forwarded-For is believed; without it, everybody behind one shares its limits. */
  readonly trustedProxies?: HttpMiddleware.TrustedProxyOptions["trustedProxies"]
  /** How long running requests may take to finish once the server stops. */
  readonly grace?: Duration.Input
}

/** The largest request but for records: a thousand entity keys of the longest kind, or an enrolment. */
const REQUEST_BYTES_MAX = ByteSize.mebibytes(2)
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
      NodeHttpServer.layer(() => listenerOf(options), {
        host: options.host,
        port: options.port,
        gracefulShutdownTimeout: options.grace ?? GRACE
      })
    )
  )

const listenerOf = ({ tls, trustedProxies }: CentralServerOptions) =>
  trustedProxies === undefined ? listener(tls) : listener(tls, CONNECTIONS_MAX)

const routes = (options: CentralServerOptions) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
      Layer.provide([
        Access.layer(options.limits ?? Access.RATE_LIMITS),
        Routes.layerFeeds,
        Routes.layerContents,
        Routes.layerDocuments,
        Records.layerRecords,
        Office.layerOffice,
        Routes.layerHealth
      ]),
      Layer.provide(Routes.layerAdmitted)
    ),
    layerOfficeDoor(options.loginLimits),
    Pages.layerOffice,
    HttpApiScalar.layer(Api, { path: "/docs", scalar: { withDefaultFonts: false } }),
    PrometheusMetrics.layerHttp({ path: "/metrics" }),
    forwarded(options)
  ).pipe(Layer.provideMerge(Gate.layer))

const forwarded = ({ trustedProxies }: CentralServerOptions) =>
  trustedProxies === undefined
    ? Layer.empty
    : HttpRouter.middleware(HttpMiddleware.xForwardedHeaders({ trustedProxies }), { global: true })

/** For a central inside another program: its warnings only. */
export const layerQuiet = Layer.succeed(References.MinimumLogLevel, "Warn")
