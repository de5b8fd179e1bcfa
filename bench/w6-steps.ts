/**
 * Does one step of W6 in a process of its own, as each command of an operator has one, and tells
 * what it took: `node bench/w6-steps.ts STEP ARGUMENTS`, answered over the channel to the parent.
 * Opening the installation is not part of the time; it is part of the memory.
 */
import fs from "node:fs"
import path from "node:path"
import { Effect, Layer, Schema } from "effect"
import { Standing } from "../application/bundle-ports.ts"
import { trustIn } from "../application/bundle-trust.ts"
import { exportToDevice } from "../application/export-bundle.ts"
import { exportReport } from "../application/export-report.ts"
import { importBundle } from "../application/import-bundle.ts"
import { Clients, Packages } from "../application/ports.ts"
import { publish } from "../application/publish.ts"
import { receiveBundles } from "../application/receive-bundle.ts"
import { CUT_DEFAULTS } from "../application/send-bundle.ts"
import { verifyBundles } from "../application/verify-bundle.ts"
import { DeviceId, EntityId } from "../domain/id.ts"
import {
  importEligibilityRows,
  importTestCenters,
  importUsers
} from "../entrypoints/central-commands.ts"
import { readCentral, readDevice } from "../entrypoints/settings.ts"
import { layerCentral, layerDevice } from "../entrypoints/wiring.ts"
import * as StickMedium from "../infrastructure/stick-medium.ts"
import * as StickWriter from "../infrastructure/stick-writer.ts"
import { openCentral } from "./contenders/testferry-central.ts"
import { opening } from "./contenders/testferry-device.ts"
import { peakRss } from "./memory.ts"

/** What all steps are told; some of it concerns only some of them. */
export const Given = Schema.Struct({
  central: Schema.String,
  device: Schema.String,
  stick: Schema.String,
  files: Schema.Array(Schema.Struct({ id: Schema.String, file: Schema.String })),
  takers: Schema.Array(Schema.String),
  /** Packages over 4 GiB, which are refused, are not looked into. */
  huge: Schema.Boolean
})
export type Given = typeof Given.Type

export const Took = Schema.Struct({
  seconds: Schema.Finite,
  /** Of the process and all its threads, user and system. */
  cpu: Schema.Finite,
  peakRss: Schema.Int,
  bytes: Schema.Int,
  note: Schema.String
})
export type Took = typeof Took.Type

export const ORGANISATION = "0123"

const media = Layer.merge(StickMedium.layer, StickWriter.layer)
const atCentral = ({ central }: Given) =>
  Layer.unwrap(Effect.map(readCentral(central), (settings) => layerCentral(central, settings)))
const onDevice = ({ device }: Given) =>
  Layer.unwrap(Effect.map(readDevice(device), (settings) => layerDevice(device, settings)))

const measured = <E, R>(effect: Effect.Effect<{ bytes: number; note: string }, E, R>) =>
  Effect.gen(function* () {
    const start = performance.now()
    const before = process.cpuUsage()
    const said = yield* effect
    const { system, user } = process.cpuUsage(before)
    const seconds = (performance.now() - start) / 1_000
    return { ...said, seconds, cpu: (user + system) / 1e6, peakRss: peakRss() } satisfies Took
  })

const sizeOf = (files: Given["files"]) =>
  files.reduce((sum, { file }) => sum + fs.statSync(file).size, 0)

const publishAll = ({ files, huge }: Given) =>
  Effect.gen(function* () {
    const packages = yield* Packages
    const unseen = { qti: "2.1", title: "Huge", items: 1, warnings: [] }
    const inspect = huge ? () => Effect.succeed(unseen) : packages.inspect
    for (const { file, id } of files) {
      yield* publish({
        file,
        id: EntityId.make(`dlv_${id}`),
        label: id,
        period: {},
        maxExecutions: undefined,
        proctored: false,
        dryRun: false
      }).pipe(Effect.provideService(Packages, { ...packages, inspect }))
    }
    return { bytes: sizeOf(files), note: `${files.length} packages` }
  })

const ROSTER = { dryRun: false, keepGoing: false } as const

const people = ({ central, takers }: Given) =>
  Effect.gen(function* () {
    const users = takers.map((login) => [login, login, "en-US", "correct horse battery"])
    const columns = ["login", "label", "interface language", "password"]
    const file = csv(central, "users.csv", [columns, ...users])
    const how = { passwordsOut: null, weakPasswords: false, type: "test-taker" } as const
    yield* importUsers.run({ ...ROSTER, ...how, file })
    const centers = [
      ["label", "organisation id"],
      ["Hall", ORGANISATION]
    ]
    yield* importTestCenters.run({ ...ROSTER, file: csv(central, "centers.csv", centers) })
    return { bytes: 0, note: `${takers.length} people` }
  })

const seats = ({ central, files, takers }: Given) =>
  Effect.gen(function* () {
    const rows = files.map(({ id }) => ["Hall", id, takers.join("|")])
    const columns = ["test center", "delivery", "test takers"]
    const file = csv(central, "seats.csv", [columns, ...rows])
    yield* importEligibilityRows.run({ ...ROSTER, file })
    return { bytes: 0, note: `${rows.length} rows` }
  })

const csv = (folder: string, name: string, rows: ReadonlyArray<ReadonlyArray<string>>) => {
  const file = path.join(folder, name)
  fs.writeFileSync(file, rows.map((row) => `${row.join(",")}\n`).join(""))
  return file
}

const exportFull = ({ stick }: Given) =>
  Effect.gen(function* () {
    const clients = yield* Clients
    const [device] = yield* clients.list("device")
    const id = DeviceId.make(device?.id ?? "")
    const options = { ...CUT_DEFAULTS, to: stick, full: false, dryRun: false }
    const { bytes, contents, mode, volumes, written } = yield* exportToDevice(id, options)
    const readBack = written._tag === "Some" ? written.value.readBack : "not written"
    const note = `${mode}, ${volumes} volumes, ${contents.brought} contents, read from ${readBack}`
    return { bytes, note }
  })

const verify = ({ stick }: Given) =>
  Effect.gen(function* () {
    const standing = yield* Standing
    const { document } = yield* standing.root
    const { list } = yield* standing.revocations
    const trust = Effect.succeed(trustIn(document, "c2d", list))
    // What came home lies there as well, and is another's to trust.
    const found = (yield* verifyBundles(stick, () => trust)).filter(({ found: { stream } }) =>
      stream.startsWith("c2d.")
    )
    const bad = found.filter(
      ({ damages, missing, refused, signature }) =>
        damages.length + missing.length > 0 || refused !== null || signature !== "good"
    )
    if (found.length === 0 || bad.length > 0) return yield* Effect.die(new Error("not sound"))
    return { bytes: found.reduce((sum, { bytes }) => sum + bytes, 0), note: "sound" }
  })

const take = ({ stick }: Given) =>
  Effect.gen(function* () {
    const options = { dryRun: false, confirmRemovals: false, expiredAllowed: false }
    const { applied, bundle, synced } = yield* importBundle(stick, options)
    if (!applied) return yield* Effect.die(new Error(JSON.stringify(synced)))
    const bytes = bundle.manifest.parts.reduce((sum, { size }) => sum + size, 0)
    return { bytes, note: `bundle ${bundle.manifest.seq} applied` }
  })

const sendHome = ({ stick }: Given) =>
  Effect.map(exportReport({ ...CUT_DEFAULTS, to: stick, dryRun: false }), ({ bytes }) => ({
    bytes,
    note: "report"
  }))

const receive = ({ stick }: Given) =>
  Effect.map(receiveBundles(stick), ({ bundles }) => ({ bytes: 0, note: `${bundles.length}` }))

const central = <E, R>(
  effect: Effect.Effect<{ bytes: number; note: string }, E, R>,
  given: Given
) => measured(effect).pipe(Effect.provide(Layer.merge(atCentral(given), media)))
const device = <E, R>(effect: Effect.Effect<{ bytes: number; note: string }, E, R>, given: Given) =>
  measured(effect).pipe(Effect.provide(Layer.merge(onDevice(given), media)))

export const STEPS = {
  people: (given: Given) => Effect.runPromise(central(people(given), given)),
  publish: (given: Given) => Effect.runPromise(central(publishAll(given), given)),
  seats: (given: Given) => Effect.runPromise(central(seats(given), given)),
  export: (given: Given) => Effect.runPromise(central(exportFull(given), given)),
  verify: (given: Given) => Effect.runPromise(device(verify(given), given)),
  import: (given: Given) => Effect.runPromise(device(take(given), given)),
  report: (given: Given) => Effect.runPromise(device(sendHome(given), given)),
  receive: (given: Given) => Effect.runPromise(central(receive(given), given)),
  /** Sets both up and enrols the device. */
  setup: async (given: Given): Promise<Took> => {
    const place = { organisation: ORGANISATION, postgres: null }
    const office = await openCentral({ ...place, directory: given.central, url: "" })
    const school = await opening(false)({ ...place, directory: given.device, url: office.url })
    await school.close()
    await office.close()
    return { seconds: 0, cpu: 0, peakRss: peakRss(), bytes: 0, note: "enrolled" }
  }
} satisfies Record<string, (given: Given) => Promise<Took>>
export type Step = keyof typeof STEPS

if (import.meta.main) {
  const [name, text] = process.argv.slice(2)
  const step = Object.entries(STEPS).find(([known]) => known === name)?.[1]
  if (step === undefined) throw new Error(`unknown step ${name}`)
  process.send?.(await step(Schema.decodeUnknownSync(Schema.fromJsonString(Given))(text)))
  process.disconnect()
}
