/**
 * Brings a command line to a device: runs a command here or in the server that owns the data
 * directory, and shows its report.
 */
import { Effect } from "effect"
import { PROGRAM_VERSION } from "../domain/release.ts"
import { answer, shared } from "./cli-run.ts"
import type { Command as Definition } from "./command.ts"
import type * as DeviceCommands from "./device-commands.ts"
import { readDevice } from "./settings.ts"
import type * as Wiring from "./wiring.ts"

/** Finds or makes a command from what is loaded when it runs. */
type Pick<Args, Report> = (
  commands: typeof DeviceCommands,
  reach: ReturnType<typeof Wiring.reachByHttps>
) => Definition<Args, Report, Wiring.DevicePorts>

/** Runs a command of the device here, or in the server that owns the data directory. */
export const atDevice = Effect.fnUntraced(function* <Args, Report>(
  command: Definition<Args, Report, Wiring.DevicePorts>,
  args: Args
) {
  const { data: directory } = yield* shared
  const settings = yield* readDevice(directory)
  const { acquire, layerDevice } = yield* Effect.promise(() => import("./wiring.ts"))
  const { dispatch } = yield* Effect.promise(() => import("./dispatch.ts"))
  return yield* dispatch({
    directory,
    version: PROGRAM_VERSION,
    command,
    args,
    acquire: acquire(directory),
    local: layerDevice(directory, settings)
  })
})

export const answerAtDevice = Effect.fnUntraced(function* <Args, Report>(
  pick: Pick<Args, Report>,
  args: Args,
  show: (report: Report) => string
) {
  const { data: directory } = yield* shared
  // Says that there is no device here before anything is loaded.
  yield* readDevice(directory)
  const { reachByHttps } = yield* Effect.promise(() => import("./wiring.ts"))
  const commands = yield* Effect.promise(() => import("./device-commands.ts"))
  const command = pick(commands, reachByHttps(directory))
  yield* answer({ run: atDevice(command, args), encode: command.encodeReport, show })
})
