/** Carries sticks between the central and the devices of a town, by the verbs that the commands use. */
import { Effect } from "effect"
import { type ExportOptions, exportToDevice } from "../../application/export-bundle.ts"
import { exportReport } from "../../application/export-report.ts"
import { type ImportOptions, importBundle } from "../../application/import-bundle.ts"
import { History } from "../../application/ports.ts"
import { receiveBundles } from "../../application/receive-bundle.ts"
import { SEGMENT_BYTES_MIN, VOLUME_BYTES_MAX } from "../../domain/bundle-manifest.ts"
import { DeviceId } from "../../domain/id.ts"
import type { Line } from "./carrier.ts"
import type { CentralSite, DeviceSite } from "./site.ts"
import { type MemoryStick, newStick, withStick } from "./stick.ts"

export const CUT = {
  to: "stick",
  volumeBytes: VOLUME_BYTES_MAX,
  segmentBytes: SEGMENT_BYTES_MIN,
  full: false,
  dryRun: false
} satisfies ExportOptions

export const GIVEN: ImportOptions = { dryRun: false, confirmRemovals: false, expiredAllowed: false }

export interface Pair {
  readonly central: CentralSite
  readonly device: DeviceSite
  readonly line: Line
}

export const idOf = ({ line }: Pair) => DeviceId.make(line.client)

/** Central writes a bundle for the device. */
export const cutFor = (pair: Pair, stick: MemoryStick, changes: Partial<ExportOptions> = {}) =>
  pair.central.run(exportToDevice(idOf(pair), { ...CUT, ...changes }).pipe(withStick(stick)))

/** The device takes what is on the stick. */
export const give = (pair: Pair, stick: MemoryStick, changes: Partial<ImportOptions> = {}) =>
  pair.device.run(importBundle("stick", { ...GIVEN, ...changes }).pipe(withStick(stick)))

/** The device writes a bundle for central. */
export const sendHome = (pair: Pair, stick: MemoryStick) =>
  pair.device.run(exportReport(CUT).pipe(withStick(stick)))

/** Central takes what is on the stick. */
export const comeHome = (pair: Pair, stick: MemoryStick) =>
  pair.central.run(receiveBundles("stick").pipe(withStick(stick)))

/** One stick there with data, and back with the report. */
export const roundTrip = Effect.fnUntraced(function* (pair: Pair) {
  const stick = newStick()
  const exported = yield* cutFor(pair, stick)
  const imported = yield* give(pair, stick)
  yield* sendHome(pair, stick)
  const received = yield* comeHome(pair, stick)
  return { stick, exported, imported, received }
})

/** The newest entries of a site's history, newest first. */
export const history = (limit: number) => Effect.flatMap(History, ({ recent }) => recent(limit))
