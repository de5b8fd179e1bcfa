/** Gives tests central and devices as the programs wire them, in folders and databases of their own. */
import { join } from "node:path"
import { type Context, Effect, Exit, Layer, Scope } from "effect"
import type { SqlClient } from "effect/sql"
import { afterAll, beforeAll } from "vitest"
import type { Cost } from "../../domain/cost.ts"
import { CENTRAL_DEFAULTS, DEVICE_DEFAULTS } from "../../entrypoints/settings.ts"
import { layerCentral, layerDevice } from "../../entrypoints/wiring.ts"
import { freshFolder, freshPostgres } from "./database.ts"
import { empty } from "./tables.ts"

/** The cheapest wrap that an operator may choose. */
export const CHEAP: Cost = { memoryKiB: 19_456, passes: 2 }

export type Engine = "sqljs" | "node"
export type Database = Engine | "PostgreSQL"
export const DATABASES: ReadonlyArray<Database> = ["sqljs", "node", "PostgreSQL"]

/** Central in `directory`, on the embedded database or on the PostgreSQL at `url`. */
export const central = (directory: string, engine: Engine, url?: string) =>
  layerCentral(directory, {
    ...CENTRAL_DEFAULTS,
    engine,
    database: url ?? "embedded",
    passwordCost: CHEAP
  })

/** A new central, gone with its scope. */
export const freshCentral = (database: Database) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const directory = join(yield* freshFolder(), "central")
      return database === "PostgreSQL"
        ? central(directory, "sqljs", yield* freshPostgres())
        : central(directory, database)
    })
  )

export const device = (directory: string, engine: Engine = "sqljs") =>
  layerDevice(directory, { ...DEVICE_DEFAULTS, engine })

/** A new device, gone with its scope. */
export const freshDevice = (engine: Engine) =>
  Layer.unwrap(Effect.map(freshFolder(), (folder) => device(join(folder, "device"), engine)))

/**
 * One installation for all tests of a file, emptied before each of them: opening it is what costs.
 * To be called where hooks may be registered.
 */
export const shared = <Ports, E>(layer: Layer.Layer<Ports | SqlClient.SqlClient, E>) => {
  const scope = Scope.makeUnsafe()
  let built: Context.Context<Ports | SqlClient.SqlClient> | undefined
  beforeAll(async () => {
    built = await Effect.runPromise(Layer.buildWithScope(layer, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return Layer.effectContext(
    Effect.suspend(() =>
      built === undefined
        ? Effect.die(new Error("the installation was not opened"))
        : Effect.as(Effect.provideContext(empty, built), built)
    )
  )
}
