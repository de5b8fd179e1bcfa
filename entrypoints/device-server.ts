/**
 * Serves a device's HTTP door for test runners and proctors: `/runner/v1`, `/proctor/v1`, their
 * description at `/openapi.json`, pages that explain it at `/docs`, and the page of test-takers.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { type Duration, Effect, Layer } from "effect"
import { HttpMiddleware, HttpRouter } from "effect/http"
import { HttpApiBuilder, HttpApiScalar } from "effect/http-api"
import { RunnerApi } from "../infrastructure/runner-api.ts"
import * as Gate from "./device-gate.ts"
import { listener, type Tls } from "./http-listener.ts"
import * as PageRoutes from "./page-routes.ts"
import { layerPlay } from "./play-routes.ts"
import { layerProctor } from "./proctor-routes.ts"
import { LOGIN_LIMITS, type LoginLimits, layerAccess, layerLoggedIn } from "./runner-access.ts"
import { layerRunner } from "./runner-routes.ts"

export interface DeviceServerOptions {
  readonly host: string
  /** 0 takes any free port; `HttpServer.HttpServer` then tells which. */
  readonly port: number
  /** Without TLS only for loopback, or behind a proxy that speaks it. */
  readonly tls: Tls | undefined
  readonly limits?: LoginLimits
  /** How long running requests may take to finish once the server stops. */
  readonly grace?: Duration.Input
}

/** Further doors on the same port: routes that know what they need. */
type Doors<R> = Layer.Layer<never, never, R | HttpRouter.HttpRouter>

/** Path parameters are percent-encoded: the longest path of a package may take nine bytes each. */
const PARAMETER_MAX = 4_000
const GRACE: Duration.Input = "10 seconds"

/** The running server; everything it asks of the device is among its requirements. */
export const layer = <R = never>(options: DeviceServerOptions, doors?: Doors<R>) =>
  HttpRouter.serve(routes(options, doors), {
    disableLogger: true,
    disableListenLog: true,
    routerConfig: {
      caseSensitive: true,
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
      maxParamLength: PARAMETER_MAX
    }
  }).pipe(
    Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
    Layer.provideMerge(
      NodeHttpServer.layer(() => listener(options.tls), {
        host: options.host,
        port: options.port,
        gracefulShutdownTimeout: options.grace ?? GRACE
      })
    )
  )

const routes = <R>({ limits, tls }: DeviceServerOptions, doors: Doors<R> | undefined) =>
  Layer.mergeAll(
    // Without further doors nothing is needed for them.
    doors ?? (Layer.empty as Doors<R>),
    HttpApiBuilder.layer(RunnerApi, { openapiPath: "/openapi.json" }).pipe(
      Layer.provide([
        layerAccess({ limits: limits ?? LOGIN_LIMITS, secure: tls !== undefined }),
        layerRunner,
        layerPlay,
        layerProctor,
        layerHealth
      ]),
      Layer.provide(layerLoggedIn)
    ),
    PageRoutes.layer,
    HttpApiScalar.layer(RunnerApi, { path: "/docs", scalar: { withDefaultFonts: false } })
  ).pipe(Layer.provideMerge(Gate.layer))

const layerHealth = HttpApiBuilder.group(RunnerApi, "health", (handlers) =>
  handlers.handle("health", () => Effect.succeed({ status: "ok" as const }))
)
