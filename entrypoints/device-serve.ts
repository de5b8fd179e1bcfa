/**
 * Runs a device: owns its data directory, serves test runners and proctors over HTTP and commands
 * through the control socket, and synchronises by itself now and then.
 */
import fs from "node:fs"
import { Duration, Effect, Layer, Option, Random } from "effect"
import { HttpServer } from "effect/http"
import { Refused } from "../application/refused.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import { bundleCommandsOfDevice } from "./bundle-checks.ts"
import { busy } from "./central-init.ts"
import { print } from "./cli-run.ts"
import { serveControl } from "./control.ts"
import { deviceCommands, syncCommand } from "./device-commands.ts"
import * as DeviceServer from "./device-server.ts"
import { layerManagerDoor } from "./manager-routes.ts"
import * as ManagerRuns from "./manager-runs.ts"
import { readinessCommands } from "./readiness-commands.ts"
import { LOGIN_LIMITS } from "./runner-access.ts"
import { layerLogs } from "./server-logs.ts"
import { readDevice } from "./settings.ts"
import { acquire, layerDevice, reachByHttps } from "./wiring.ts"

export interface DeviceServe {
  readonly directory: string
  readonly host: string
  readonly port: number
  readonly tlsCert: Option.Option<string>
  readonly tlsKey: Option.Option<string>
  readonly insecureHttp: boolean
  readonly syncEvery: Option.Option<Duration.Duration>
}

/** Serves until it is interrupted. Sessions that are open go on when it is started again. */
export const serveDevice = Effect.fn("serveDevice")(function* (options: DeviceServe) {
  const { directory, host, port } = options
  const settings = yield* readDevice(directory)
  yield* Effect.mapError(acquire(directory), () => busy(directory))
  const tls = yield* certificateOf(options)
  const reach = reachByHttps(directory)
  const server = DeviceServer.layer(
    { host, port, tls },
    layerManagerDoor({ directory, reach, limits: LOGIN_LIMITS, secure: tls !== undefined })
  ).pipe(
    Layer.catchTag("ServeError", () => Layer.effectContext(Effect.fail(portTaken(host, port)))),
    Layer.provideMerge(ManagerRuns.layer(directory, PROGRAM_VERSION)),
    Layer.provideMerge(layerDevice(directory, settings)),
    Layer.provideMerge(layerLogs)
  )
  return yield* Effect.gen(function* () {
    yield* serveControl({
      directory,
      version: PROGRAM_VERSION,
      commands: [...deviceCommands(reach), ...readinessCommands(reach), ...bundleCommandsOfDevice]
    })
    const { address } = yield* HttpServer.HttpServer
    const bound = address._tag === "UnixPathAddress" ? port : address.port
    const scheme = tls === undefined ? "http" : "https"
    yield* print(`Test runners and proctors: ${scheme}://${host}:${bound} (see /docs)`)
    yield* print(`Device ${settings.name} is ready`)
    if (Option.isNone(options.syncEvery)) return yield* Effect.never
    return yield* syncForEver(syncCommand(reach), options.syncEvery.value)
  }).pipe(Effect.provide(server))
}, Effect.scoped)

/** On this machine alone nothing is gained by TLS; to others, passwords do not travel without it. */
const certificateOf = Effect.fnUntraced(function* (options: DeviceServe) {
  const { host, insecureHttp, tlsCert, tlsKey } = options
  if (Option.isSome(tlsCert) && Option.isSome(tlsKey)) {
    return yield* Effect.try({
      try: () => ({
        certPem: fs.readFileSync(tlsCert.value, "utf8"),
        keyPem: fs.readFileSync(tlsKey.value, "utf8")
      }),
      catch: (cause) => noTls(`The certificate or its key can't be read: ${String(cause)}`)
    })
  }
  const loopback = ["127.0.0.1", "::1", "localhost"].includes(host)
  if (Option.isSome(tlsCert) || Option.isSome(tlsKey) || !(loopback || insecureHttp)) {
    return yield* noTls("A device that others reach by a network needs a certificate and its key.")
  }
  return undefined
})

const noTls = (why: string) =>
  new Refused({
    code: "E_TLS",
    what: "The device was not started.",
    why,
    todo: "Give --tls-cert and --tls-key; or --insecure-http behind a proxy that speaks TLS."
  })

const portTaken = (host: string, port: number) =>
  new Refused({
    code: "E_PORT",
    what: "The device was not started.",
    why: `Port ${port} of ${host} can't be opened: another program uses it, or this one may not.`,
    todo: "Give another --port, or stop the other program."
  })

/** Waits a little more or less each time, so that devices that started together drift apart. */
const syncForEver = <R>(command: ReturnType<typeof syncCommand<R>>, every: Duration.Duration) =>
  Effect.forever(
    Effect.gen(function* () {
      const runs = yield* ManagerRuns.Runs
      const work = command.answer({ kinds: null, dryRun: false, confirmRemovals: false })
      // Where somebody's own run is under way it does the same work, or shall not be disturbed.
      yield* Effect.ignore(runs.start("sync", { dryRun: false }, work))
      yield* runs.idle
      const refused = Option.getOrNull(yield* runs.now)?.refused ?? null
      if (refused !== null) {
        yield* Effect.logWarning("synchronisation refused").pipe(
          Effect.annotateLogs({ code: refused.code })
        )
      }
      const factor = yield* Random.nextBetween(0.9, 1.1)
      yield* Effect.sleep(Duration.times(every, factor))
    })
  )
