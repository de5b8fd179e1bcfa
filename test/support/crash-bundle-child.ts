/**
 * Does one thing with a stick on the data directory of a central or a device; the crash tests kill
 * it. Arguments: `export`, `import` or `receive`, the data directory, the stick, and for `export` the
 * device. Prints what came of it.
 */
import fs from "node:fs"
import { Effect } from "effect"
import { exportToDevice } from "../../application/export-bundle.ts"
import { importBundle } from "../../application/import-bundle.ts"
import { receiveBundles } from "../../application/receive-bundle.ts"
import { DeviceId } from "../../domain/id.ts"
import { CENTRAL_DEFAULTS, DEVICE_DEFAULTS } from "../../entrypoints/settings.ts"
import { layerCentral, layerDevice } from "../../entrypoints/wiring.ts"
import { CUT, GIVEN } from "./courier.ts"

/** Volumes so small that a bundle with a content of 60 kB has two. */
export const VOLUME_BYTES = 70_000

const [verb, data = "", stick = "", device = ""] = process.argv.slice(2)

const central = layerCentral(data, CENTRAL_DEFAULTS)
const program: Effect.Effect<string, unknown> =
  verb === "export"
    ? exportToDevice(DeviceId.make(device), { ...CUT, to: stick, volumeBytes: VOLUME_BYTES }).pipe(
        Effect.map(({ seq, volumes }) => `exported ${seq} in ${volumes}`),
        Effect.provide(central)
      )
    : verb === "receive"
      ? receiveBundles(stick).pipe(
          Effect.map(({ bundles }) => `received ${bundles.length}`),
          Effect.provide(central)
        )
      : importBundle(stick, GIVEN).pipe(
          Effect.map(({ applied }) => `imported ${applied}`),
          Effect.provide(layerDevice(data, DEVICE_DEFAULTS))
        )

if (import.meta.main) fs.writeSync(1, `${await Effect.runPromise(program)}\n`)
