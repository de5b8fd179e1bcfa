/**
 * Runs a device: owns its data directory, serves commands through the control socket, and
 * synchronises by itself now and then.
 */
import { Duration, Effect, Option, Random } from "effect"
import { PROGRAM_VERSION } from "../domain/release.ts"
import { bundleCommandsOfDevice } from "./bundle-checks.ts"
import { busy } from "./central-init.ts"
import { print } from "./cli-run.ts"
import { serveControl } from "./control.ts"
import { deviceCommands, syncCommand } from "./device-commands.ts"
import { layerLogs } from "./server-logs.ts"
import { readDevice } from "./settings.ts"
import { acquire, layerDevice, reachByHttps } from "./wiring.ts"

export const serveDevice = Effect.fn("serveDevice")(function* (options: {
  readonly directory: string
  readonly syncEvery: Option.Option<Duration.Duration>
}) {
  const { directory } = options
  const settings = yield* readDevice(directory)
  yield* Effect.mapError(acquire(directory), () => busy(directory))
  const reach = reachByHttps(directory)
  return yield* Effect.gen(function* () {
    yield* serveControl({
      directory,
      version: PROGRAM_VERSION,
      commands: [...deviceCommands(reach), ...bundleCommandsOfDevice]
    })
    yield* print(`Device ${settings.name} is ready`)
    if (Option.isNone(options.syncEvery)) return yield* Effect.never
    return yield* syncForEver(syncCommand(reach), options.syncEvery.value)
  }).pipe(Effect.provide([layerDevice(directory, settings), layerLogs]))
}, Effect.scoped)

/** Waits a little more or less each time, so that devices that started together drift apart. */
const syncForEver = <R>(command: ReturnType<typeof syncCommand<R>>, every: Duration.Duration) =>
  Effect.forever(
    Effect.gen(function* () {
      const result = yield* Effect.result(
        command.run({ kinds: null, dryRun: false, confirmRemovals: false })
      )
      if (result._tag === "Failure") {
        yield* Effect.logWarning("synchronisation refused").pipe(
          Effect.annotateLogs({ code: result.failure.code })
        )
      }
      const factor = yield* Random.nextBetween(0.9, 1.1)
      yield* Effect.sleep(Duration.times(every, factor))
    })
  )
