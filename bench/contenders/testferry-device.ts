/** Enrols a Testferry device for a measurement, and synchronises it by the command `sync`. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, ManagedRuntime, Option } from "effect"
import { SqlClient } from "effect/sql"
import { enrol } from "../../application/enrol.ts"
import { type SyncReport, syncCommand } from "../../entrypoints/device-commands.ts"
import { initDevice, settleTrust } from "../../entrypoints/device-init.ts"
import { readDevice } from "../../entrypoints/settings.ts"
import { layerDevice, reachByHttps } from "../../entrypoints/wiring.ts"
import type { Device, Place } from "../calls.ts"
import { SECRET } from "./testferry-central.ts"

/** `anew`: connects for each synchronisation, instead of keeping the connection open. */
export const opening =
  (anew: boolean) =>
  async ({ directory, organisation, url }: Place): Promise<Device> => {
    const { hash, origin } = new URL(url)
    await Effect.runPromise(setUp(directory, origin, hash.slice(1)))
    const reach = reachByHttps(directory)
    const ports = Layer.unwrap(
      Effect.map(readDevice(directory), (settings) => layerDevice(directory, settings))
    )
    const device = ManagedRuntime.make(ports)
    await device.runPromise(
      enrol("bench", { key: organisation, secret: SECRET }).pipe(Effect.provide(reach.desk))
    )
    const kept = ManagedRuntime.make(
      reach.central.pipe(Layer.provide(Layer.succeedContext(await device.context())))
    )
    const central = anew ? reach.central : Layer.succeedContext(await kept.context())
    const command = syncCommand({ central, desk: reach.desk })
    const asked = { kinds: null, dryRun: false, confirmRemovals: false }
    return {
      sync: async () => changes(await device.runPromise(command.run(asked))),
      entities: () => device.runPromise(held),
      close: async () => {
        await kept.dispose()
        await device.dispose()
      }
    }
  }

const setUp = Effect.fnUntraced(function* (directory: string, url: string, fingerprint: string) {
  const none = Option.none<string>()
  yield* initDevice({ directory, setup: none, rootUrl: Option.some(url), name: none })
  yield* settleTrust(directory, Option.some(fingerprint))
}, Effect.provide(NodeServices.layer))

const changes = ({ contents, counts, organisations, outcome }: SyncReport): number => {
  if (outcome !== "done" && outcome !== "unchanged")
    throw new Error(`${outcome}: ${JSON.stringify({ organisations, contents })}`)
  if (organisations.some(({ mended }) => mended > 0)) throw new Error("something had to be mended")
  return Object.values(counts).reduce(
    (sum, { created, deleted, updated }) => sum + created + deleted + updated,
    0
  )
}

const held = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{
    id: string
    body: string
  }>`SELECT id, body FROM holdings WHERE held = 0`
  return new Map(rows.map(({ id, body }) => [id, body]))
})
