/**
 * Runs central: the HTTPS door for devices, and the control socket for commands on this machine.
 *
 * On PostgreSQL several of these may run at once, also on one data directory; the first owns the
 * control socket.
 */
import fs from "node:fs"
import { Effect, Layer, Option } from "effect"
import { HttpServer } from "effect/http"
import { rootInForce } from "../application/change-root.ts"
import { Refused } from "../application/refused.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import { bundleCommandsOfCentral } from "./bundle-checks.ts"
import { centralCommands } from "./central-commands.ts"
import { busy, certificateFiles, fingerprintOfPem } from "./central-init.ts"
import * as CentralServer from "./central-server.ts"
import { print } from "./cli-run.ts"
import { serveControl } from "./control.ts"
import { fromNoRoot } from "./root-commands.ts"
import { layerLogs } from "./server-logs.ts"
import { readCentral } from "./settings.ts"
import { acquire, layerCentral } from "./wiring.ts"

export interface CentralServe {
  readonly directory: string
  readonly host: string
  readonly port: number
  readonly tlsCert: Option.Option<string>
  readonly tlsKey: Option.Option<string>
  readonly insecureHttp: boolean
}

/** Serves until it is interrupted; running requests then finish. */
export const serveCentral = Effect.fn("serveCentral")(function* (options: CentralServe) {
  const { directory, host, port } = options
  const settings = yield* readCentral(directory)
  const owned = yield* Effect.isSuccess(acquire(directory))
  if (!owned && settings.database === "embedded") return yield* busy(directory)
  const tls = yield* certificateOf(options)
  const server = CentralServer.layer({ host, port, tls }).pipe(
    Layer.provideMerge(layerCentral(directory, settings)),
    Layer.provide(layerLogs)
  )
  return yield* Effect.gen(function* () {
    yield* Effect.mapError(rootInForce, fromNoRoot)
    if (owned) {
      yield* serveControl({
        directory,
        version: PROGRAM_VERSION,
        commands: [...centralCommands, ...bundleCommandsOfCentral]
      })
    }
    const { address } = yield* HttpServer.HttpServer
    const bound = address._tag === "UnixPathAddress" ? port : address.port
    yield* print(`Central listens on ${tls === undefined ? "http" : "https"}://${host}:${bound}`)
    if (tls !== undefined) yield* print(`Certificate SHA-256 ${fingerprintOfPem(tls.certPem)}`)
    return yield* Effect.never
  }).pipe(Effect.provide(server))
}, Effect.scoped)

const certificateOf = Effect.fnUntraced(function* (options: CentralServe) {
  const loopback = ["127.0.0.1", "::1", "localhost"].includes(options.host)
  if (options.insecureHttp) {
    if (!loopback) {
      yield* Effect.logWarning("serving without TLS: only behind a proxy that speaks it")
    }
    return undefined
  }
  const own = certificateFiles(options.directory)
  const cert = Option.getOrElse(options.tlsCert, () => own.cert)
  const key = Option.getOrElse(options.tlsKey, () => own.key)
  return yield* Effect.try({
    try: () => ({ certPem: fs.readFileSync(cert, "utf8"), keyPem: fs.readFileSync(key, "utf8") }),
    catch: (cause) =>
      new Refused({
        code: "E_TLS",
        what: "Central was not started.",
        why: `The certificate or its key can't be read: ${String(cause)}`,
        todo: "Check --tls-cert and --tls-key."
      })
  })
})
