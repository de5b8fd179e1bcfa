/**
 * Serves central for W4 as a process of its own that may be killed at any moment and started again:
 * `node bench/results-central.ts DIRECTORY PORT DEVICES [POSTGRES-URL]`. Says "ready CERTIFICATE" with
 * a token for each device, since enrolments and tokens are not what is measured.
 */
import fs from "node:fs"
import { Effect, Layer, Logger, Option } from "effect"
import { Clients } from "../application/ports.ts"
import { Tokens } from "../application/token-ports.ts"
import { OrganisationId } from "../domain/id.ts"
import { certificateFiles, initCentral } from "../entrypoints/central-init.ts"
import * as CentralServer from "../entrypoints/central-server.ts"
import { readCentral } from "../entrypoints/settings.ts"
import { layerCentral } from "../entrypoints/wiring.ts"
import { deviceOf } from "./results-devices.ts"

const [directory = "", port = "0", devices = "1", postgres] = process.argv.slice(2)

const addDevices = Effect.gen(function* () {
  const clients = yield* Clients
  const tokens = yield* Tokens
  const issued: Array<string> = []
  for (let at = 0; at < Number(devices); at++) {
    const id = deviceOf(at)
    yield* clients.put({
      id,
      kind: "device",
      name: id,
      organisations: [OrganisationId.make("bench")],
      state: "active",
      createdAt: 0,
      lastSeenAt: null,
      program: null,
      keys: { sig: `sig ${id}`, auth: `auth ${id}`, enc: "age1bench" },
      serial: 1
    })
    issued.push((yield* tokens.issue(id, Date.now())).token)
  }
  return issued
})

const serving = Effect.gen(function* () {
  const setUp = yield* initCentral({
    directory,
    setup: Option.none(),
    database: Option.fromUndefinedOr(postgres),
    url: Option.some(`https://127.0.0.1:${port}`)
  })
  const files = certificateFiles(directory)
  const tls = {
    certPem: fs.readFileSync(files.cert, "utf8"),
    keyPem: fs.readFileSync(files.key, "utf8")
  }
  const settings = yield* readCentral(directory)
  const layer = CentralServer.layer({ host: "127.0.0.1", port: Number(port), tls }).pipe(
    Layer.provideMerge(layerCentral(directory, settings)),
    Layer.provide(Logger.layer([]))
  )
  return yield* Effect.gen(function* () {
    process.send?.({ certificate: setUp.certificate, tokens: yield* addDevices })
    return yield* Effect.never
  }).pipe(Effect.provide(layer))
})

process.on("disconnect", () => process.exit(0))
await Effect.runPromise(serving)
