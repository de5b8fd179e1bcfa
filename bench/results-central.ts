/**
 * Serves central for W4 as a process of its own that may be killed at any moment and started again:
 * `node bench/results-central.ts DIRECTORY PORT DEVICES [POSTGRES-URL]`. Says that it is ready, the
 * first time with its certificate and a token for each device, since enrolments and tokens are not
 * what is measured; then again and again what processor time it has taken.
 */
import fs from "node:fs"
import { Effect, Layer, Logger, Option } from "effect"
import { Clients } from "../application/ports.ts"
import { Tokens } from "../application/token-ports.ts"
import { OrganisationId } from "../domain/id.ts"
import { certificateFiles, initCentral } from "../entrypoints/central-init.ts"
import * as CentralServer from "../entrypoints/central-server.ts"
import { readCentral, sideOf } from "../entrypoints/settings.ts"
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

/** Only the first time: a central that was killed is started again as it is. */
const setUp = Effect.gen(function* () {
  if (sideOf(directory) === "central") return undefined
  return yield* initCentral({
    directory,
    setup: Option.none(),
    database: Option.fromUndefinedOr(postgres),
    url: Option.some(`https://127.0.0.1:${port}`)
  })
})

const serving = Effect.gen(function* () {
  const fresh = yield* setUp
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
    const ready = { certificate: fresh?.certificate ?? "", tokens: fresh ? yield* addDevices : [] }
    process.send?.({ kind: "ready", ...ready })
    setInterval(tell, TELL_MILLIS)
    return yield* Effect.never
  }).pipe(Effect.provide(layer))
})

/** How often it says what processor time it has taken: so much may be missing after a kill. */
const TELL_MILLIS = 250
const tell = () => {
  const { system, user } = process.cpuUsage()
  process.send?.({ kind: "cpu", micros: user + system, rss: process.memoryUsage.rss() })
}

process.on("disconnect", () => process.exit(0))
await Effect.runPromise(serving)
