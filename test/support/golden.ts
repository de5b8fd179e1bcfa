/**
 * Makes the golden bundles of format 1, once and for ever: `node test/support/golden.ts`. They are
 * committed, with the keys of a device and a central that were made for them and for nothing else.
 * A program that can no longer take them in has changed the format.
 */
import fs from "node:fs"
import { join } from "node:path"
import { Clock, Effect, Option, Schema } from "effect"
import { Devices, Standing } from "../../application/bundle-ports.ts"
import { certify } from "../../application/certify.ts"
import { exportToDevice } from "../../application/export-bundle.ts"
import { exportReport } from "../../application/export-report.ts"
import { importBundle } from "../../application/import-bundle.ts"
import { Clients, DeviceIdentity } from "../../application/ports.ts"
import { receiveBundles } from "../../application/receive-bundle.ts"
import { Enrolment } from "../../domain/enrolment.ts"
import { OrganisationId } from "../../domain/id.ts"
import { CUT, GIVEN, idOf } from "./courier.ts"
import { handClock } from "./dice.ts"
import { heldRows } from "./observe.ts"
import * as Office from "./office.ts"
import * as Town from "./town.ts"
import { HALL, ORGANISATION, TAKERS } from "./town.ts"

export const GOLDEN = join(import.meta.dirname, "../golden")

/** When they were made. */
export const MADE_MILLIS = Date.UTC(2026, 10, 21)

/** What is committed beside sticks and keys. */
export const Expected = Schema.Struct({
  enrolment: Enrolment,
  /** The device, as central knows it. */
  client: Schema.Struct({
    id: Schema.String,
    kind: Schema.Literal("device"),
    name: Schema.String,
    organisations: Schema.Array(OrganisationId),
    state: Schema.Literal("active"),
    createdAt: Schema.Int,
    lastSeenAt: Schema.NullOr(Schema.Int),
    program: Schema.NullOr(Schema.String),
    keys: Schema.Struct({ sig: Schema.String, auth: Schema.String, enc: Schema.String }),
    serial: Schema.Int
  }),
  /** What the device holds after each bundle: `kind/id digest`. */
  full: Schema.Array(Schema.String),
  delta: Schema.Array(Schema.String),
  /** Where the device stood when it wrote its report: organisation and version. */
  report: Schema.Array(Schema.String)
})

export const held = Effect.map(heldRows, (rows) =>
  rows.map(({ digest, id, kind }) => `${kind}/${id} ${digest}`)
)

const make = Effect.gen(function* () {
  for (const name of fs.readdirSync(GOLDEN)) {
    if (name !== "README.md") fs.rmSync(join(GOLDEN, name), { recursive: true })
  }
  const town = yield* Town.town
  const stick = (name: string) => join(GOLDEN, name)
  for (const name of ["full", "delta", "homeward"]) fs.mkdirSync(stick(name), { recursive: true })
  const { device, office, on } = town
  yield* office(town.published("art", "words ".repeat(1_000)))
  yield* office(Office.eligible(HALL, "art", TAKERS))
  const enrolment = yield* enrolAgain(town)

  const inVolumes = { ...CUT, to: stick("full"), volumeBytes: 34_000 }
  yield* office(exportToDevice(idOf(town), inVolumes))
  yield* on(importBundle(onlyCopy(stick("full"), town.root), GIVEN))
  const full = yield* on(held)
  yield* on(exportReport({ ...CUT, to: stick("homeward") }))
  yield* office(receiveBundles(onlyCopy(stick("homeward"), town.root)))
  const report = yield* office(Effect.flatMap(Devices, (devices) => devices.report(idOf(town))))

  yield* office(Office.people("test-taker", [{ login: "dora" }]))
  yield* office(Office.eligible(HALL, "math", [...TAKERS, "dora"]))
  yield* office(exportToDevice(idOf(town), { ...CUT, to: stick("delta") }))
  yield* on(importBundle(onlyCopy(stick("delta"), town.root), GIVEN))
  const delta = yield* on(held)

  const client = Option.getOrThrow(
    yield* office(Effect.flatMap(Clients, (clients) => clients.find(idOf(town))))
  )
  const cursors = Option.getOrThrow(report).cursors
  const expected = {
    enrolment,
    client,
    full,
    delta,
    report: cursors.map(({ organisation, version }) => `${organisation} ${version}`)
  }
  fs.writeFileSync(join(GOLDEN, "expected.json"), `${JSON.stringify(expected, null, 2)}\n`)
  for (const [site, name] of [
    [device, "test-only-device-keys"],
    [town.central, "test-only-central-keys"]
  ] as const) {
    fs.cpSync(join(site.directory, "keys"), join(GOLDEN, name), { recursive: true })
  }
  const { chain } = yield* office(Effect.flatMap(Standing, ({ root }) => root))
  console.log(`made for ${ORGANISATION}, ${chain.length} root documents`)
})

const enrolAgain = Effect.fnUntraced(function* ({ device, central }: Town.Town) {
  const request = yield* device.run(
    Effect.flatMap(DeviceIdentity, (identity) => identity.request("device", MADE_MILLIS))
  )
  const proof = { login: "mia", password: Office.passwordOf("mia") }
  return yield* central.run(certify(request, proof))
})

/** The stick as it was written: a receipt must not get onto it. */
const onlyCopy = (stick: string, root: string): string => {
  const copy = fs.mkdtempSync(join(root, "copy-"))
  fs.cpSync(stick, copy, { recursive: true })
  return copy
}

if (import.meta.main) {
  await Effect.runPromise(
    make.pipe(Effect.scoped, Effect.provideService(Clock.Clock, handClock(MADE_MILLIS)))
  )
}
