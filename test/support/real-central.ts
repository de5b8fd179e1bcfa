/** Opens a real central for a test: its own wiring over a database, blob files and keys of its own. */
import fs from "node:fs"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import * as Commands from "../../entrypoints/central-commands.ts"
import { CENTRAL_DEFAULTS } from "../../entrypoints/settings.ts"
import { layerCentral } from "../../entrypoints/wiring.ts"
import { freshFolder, freshPostgres } from "./database.ts"

/** What central calls itself; sockets of tests are on loopback, as behind address translation. */
export const ISSUER = "https://central.test"

/** The least that may be asked of a password: tests wrap many. */
export const COST = { memoryKiB: 19_456, passes: 2 }

/** Central's ports over a data directory. */
export const openCentral = (directory: string, database = "embedded") =>
  layerCentral(directory, { ...CENTRAL_DEFAULTS, url: ISSUER, passwordCost: COST, database })

/** Central's ports over a new data directory with an embedded database. */
export const layerEmbedded = Layer.unwrap(
  Effect.map(freshFolder(), (folder) => openCentral(join(folder, "central")))
)

/** Central's ports over a new data directory and a new PostgreSQL database. */
export const layerPostgres = Layer.unwrap(
  Effect.gen(function* () {
    const folder = yield* freshFolder()
    return openCentral(join(folder, "central"), yield* freshPostgres())
  })
)

const ROSTER = { dryRun: false, keepGoing: false }

/** Imports rosters and publishes packages by the same commands that an operator gives. */
export const importUsers = (
  type: "test-taker" | "proctor" | "test-center-admin" | "sync-manager",
  rows: ReadonlyArray<ReadonlyArray<string>>
) =>
  withFile("users.csv", csv([USER_COLUMNS, ...rows]), (file) =>
    Commands.importUsers.run({ ...ROSTER, file, type, passwordsOut: null, weakPasswords: true })
  )
/** With an organisation or an empty cell. */
const USER_COLUMNS = ["login", "label", "interface language", "password", "organisation id"]

export const importCenters = (rows: ReadonlyArray<ReadonlyArray<string>>) =>
  withFile("centers.csv", csv([["label", "organisation id"], ...rows]), (file) =>
    Commands.importTestCenters.run({ ...ROSTER, file })
  )

export const importSeats = (rows: ReadonlyArray<ReadonlyArray<string>>) =>
  withFile("seats.csv", csv([["test center", "delivery", "test takers"], ...rows]), (file) =>
    Commands.importEligibilityRows.run({ ...ROSTER, file })
  )

export const publish = (id: string, bytes: Uint8Array) =>
  withFile(`${id}.zip`, bytes, (file) =>
    Commands.publishPackage.run({
      file,
      id,
      label: null,
      from: null,
      to: null,
      maxExecutions: null,
      proctored: false,
      dryRun: false
    })
  )

const DEMO = join(import.meta.dirname, "../../entrypoints/demo")

/** Fills central with the demonstration's rosters and packages; made passwords go to the sheet. */
export const importDemo = Effect.fnUntraced(function* (passwordsOut: string) {
  const file = (name: string) => join(DEMO, "csv", `${name}.csv`)
  for (const [name, type] of [
    ["administrators", "test-center-admin"],
    ["proctors", "proctor"],
    ["sync-managers", "sync-manager"],
    ["test-takers", "test-taker"]
  ] as const) {
    const people = { file: file(name), type, passwordsOut, weakPasswords: false }
    yield* Commands.importUsers.run({ ...ROSTER, ...people })
  }
  yield* Commands.importTestCenters.run({ ...ROSTER, file: file("test-centers") })
  for (const name of ["rivers-qti30", "fractions-qti30", "soundscapes-qti30"]) {
    const bytes = fs.readFileSync(join(DEMO, "packages", `${name}.zip`))
    yield* publish(name.split("-")[0] ?? name, bytes)
  }
  yield* Commands.importEligibilityRows.run({ ...ROSTER, file: file("eligibilities") })
})

const withFile = <A, E, R>(
  name: string,
  content: string | Uint8Array,
  use: (file: string) => Effect.Effect<A, E, R>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = join(yield* freshFolder(), name)
      fs.writeFileSync(file, content)
      return yield* use(file)
    })
  )

const csv = (rows: ReadonlyArray<ReadonlyArray<string>>) =>
  rows.map((row) => `${row.map(quoted).join(",")}\n`).join("")

const quoted = (cell: string) => `"${cell.replaceAll('"', '""')}"`
