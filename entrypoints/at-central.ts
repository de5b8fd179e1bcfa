/**
 * Brings a command line to central: finds the command among those that are loaded when one of them
 * runs, runs it here or in the server that owns the data directory, and shows its report.
 */
import { Effect } from "effect"
import { PROGRAM_VERSION } from "../domain/release.ts"
import type * as CatalogueCommands from "./catalogue-commands.ts"
import type * as CentralCommands from "./central-commands.ts"
import { answer, shared } from "./cli-run.ts"
import type { Command as Definition } from "./command.ts"
import { readCentral } from "./settings.ts"
import type { CentralPorts } from "./wiring.ts"

/** Finds a command among those that are loaded when one of them runs. */
type Pick<Args, Report, R> = (
  commands: typeof CentralCommands,
  catalogue: typeof CatalogueCommands
) => Definition<Args, Report, R>

export const loadCommands = Effect.promise(() =>
  Promise.all([import("./central-commands.ts"), import("./catalogue-commands.ts")])
)

/** Runs a command of central here, or in the server that owns the data directory. */
export const atCentral = Effect.fnUntraced(function* <Args, Report>(
  command: Definition<Args, Report, CentralPorts>,
  args: Args
) {
  const { data: directory } = yield* shared
  const settings = yield* readCentral(directory)
  const { acquire, layerCentral } = yield* Effect.promise(() => import("./wiring.ts"))
  const { dispatch } = yield* Effect.promise(() => import("./dispatch.ts"))
  return yield* dispatch({
    directory,
    version: PROGRAM_VERSION,
    command,
    args,
    acquire: acquire(directory),
    local: layerCentral(directory, settings)
  })
})

export const answerAtCentral = Effect.fnUntraced(function* <Args, Report, R extends CentralPorts>(
  pick: Pick<Args, Report, R>,
  args: Args,
  show: (report: Report) => string
) {
  const command = pick(...(yield* loadCommands))
  yield* answer({ run: atCentral(command, args), encode: command.encodeReport, show })
})
