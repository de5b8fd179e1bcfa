/**
 * Opens centrals and devices for tests: the programs' own wiring on real files, cheap passwords.
 *
 * A site can be closed and opened again on its files, and its database can be copied at any moment
 * at which no statement runs: such a copy is what a killed process leaves behind.
 */
import fs from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { Central, Secrets } from "../../application/ports.ts"
import { Sending, type SendingRules } from "../../application/record-ports.ts"
import { SessionKeys } from "../../application/session-ports.ts"
import { EntityId } from "../../domain/id.ts"
import type { ExecutionId } from "../../domain/result.ts"
import { CENTRAL_DEFAULTS, DEVICE_DEFAULTS } from "../../entrypoints/settings.ts"
import {
  type CentralPorts,
  type DevicePorts,
  layerCentral,
  layerDevice
} from "../../entrypoints/wiring.ts"
import { changeSetting } from "../../infrastructure/sql-settings.ts"

/** The least that Argon2 takes: wraps are real, but cost a millisecond. */
export const CHEAP = { memoryKiB: 8, passes: 1 } as const

/** One installation: everything that runs here runs with its ports. */
export interface Site<Ports> {
  readonly directory: string
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Ports>>
  /** Closes the installation, does something to its files, and opens it again. */
  readonly reopen: (meanwhile: Effect.Effect<void>) => Effect.Effect<void>
  /** Copies the database as it is on the disk now. */
  readonly copyTo: (folder: string) => void
  /** Puts a copy in the place of the database; for `reopen`. */
  readonly restoreFrom: (folder: string) => Effect.Effect<void>
}

export type CentralSite = Site<CentralPorts>
export type DeviceSite = Site<DevicePorts | Central>

/**
 * Opens a central. `newName` makes the free part of new ids, where they shall not be random;
 * `database` is the URL of a PostgreSQL, where it shall not be embedded.
 */
export const openCentral = (
  directory: string,
  newName?: () => string,
  database: string = CENTRAL_DEFAULTS.database
) => {
  const settings = { ...CENTRAL_DEFAULTS, passwordCost: CHEAP, database }
  const layer = Layer.orDie(layerCentral(directory, settings))
  const open = (scope: Scope.Scope) =>
    Effect.map(Layer.buildWithScope(layer, scope), (ports) =>
      newName === undefined ? ports : Context.add(ports, Secrets, named(ports, newName))
    )
  return openSite<CentralPorts>(directory, "central.db", open)
}

const named = (ports: Context.Context<CentralPorts>, newName: () => string) => ({
  ...Context.get(ports, Secrets),
  newId: (prefix: string) => Effect.sync(() => EntityId.make(`${prefix}_${newName()}`))
})

/** What a device does not take from its settings and its own dice. */
interface Given {
  /** May change while the device is open. */
  readonly rules: SendingRules
  readonly newExecution: () => ExecutionId
}

/** Opens a device that reaches central by `carrier`. */
export const openDevice = (directory: string, carrier: Central["Service"], given?: Given) => {
  const layer = Layer.orDie(layerDevice(directory, DEVICE_DEFAULTS))
  const open = (scope: Scope.Scope) =>
    Layer.buildWithScope(layer, scope).pipe(
      Effect.map(Context.add(Central, carrier)),
      Effect.map((ports) => (given === undefined ? ports : ruled(ports, given)))
    )
  return openSite<DevicePorts | Central>(directory, "device.db", open)
}

const ruled = (
  ports: Context.Context<DevicePorts | Central>,
  { newExecution, rules }: Given
): Context.Context<DevicePorts | Central> => {
  const keys = Context.get(ports, SessionKeys)
  return ports.pipe(
    Context.add(Sending, rules),
    Context.add(SessionKeys, { ...keys, newExecution: Effect.sync(newExecution) })
  )
}

const openSite = Effect.fnUntraced(function* <Ports>(
  directory: string,
  database: string,
  open: (scope: Scope.Scope) => Effect.Effect<Context.Context<Ports>>
) {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = path.join(directory, database)
  const start = Effect.gen(function* () {
    const scope = yield* Scope.make()
    return { scope, ports: yield* open(scope) }
  })
  let live = yield* start
  yield* Effect.addFinalizer(() => Effect.suspend(() => Scope.close(live.scope, Exit.void)))
  const site: Site<Ports> = {
    directory,
    run: (effect) => Effect.suspend(() => Effect.provideContext(effect, live.ports)),
    reopen: (meanwhile) =>
      Effect.gen(function* () {
        yield* Scope.close(live.scope, Exit.void)
        yield* meanwhile
        live = yield* start
      }),
    copyTo: (folder) => {
      fs.mkdirSync(folder, { recursive: true })
      for (const end of ENDS) {
        fs.rmSync(path.join(folder, `copy${end}`), { force: true })
        if (fs.existsSync(file + end)) fs.copyFileSync(file + end, path.join(folder, `copy${end}`))
      }
    },
    restoreFrom: (folder) =>
      Effect.sync(() => {
        for (const end of ENDS) {
          fs.rmSync(file + end, { force: true })
          const copy = path.join(folder, `copy${end}`)
          if (fs.existsSync(copy)) fs.copyFileSync(copy, file + end)
        }
      })
  }
  return site
})

/** The database and its journal. */
const ENDS = ["", "-wal"] as const

/** Tells central that it was restored from a backup: every cursor is void. */
export const beginNewLife = (epoch: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.orDie(changeSetting(sql, "epoch", epoch)))

/** A folder of its own that goes with the scope. */
export const scratch = (parent: string) =>
  Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(parent, "testferry-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )

/** Where syncing costs nothing, if the system has such a place with room: memory. */
export const fastFolder = (): string => {
  const memory = "/dev/shm"
  if (!fs.existsSync(memory)) return tmpdir()
  const { bavail, bsize } = fs.statfsSync(memory)
  return bavail * bsize > MEMORY_BYTES_MIN ? memory : tmpdir()
}

/** Stores of contents want room to spare; a container's memory disk often has too little. */
const MEMORY_BYTES_MIN = 1024 * 1024 * 1024
