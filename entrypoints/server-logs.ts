/**
 * Writes the logs of servers: one JSON object per line on standard error, from level Info on unless
 * `--log-level` says otherwise. (Other commands tell only warnings: their answer is what counts.)
 */
import { Effect, Layer, Logger, Option, References } from "effect"
import { GlobalFlag } from "effect/cli"

export const layerLogs = Layer.merge(
  Logger.layer([Logger.withConsoleError(Logger.formatJson)]),
  Layer.effect(
    References.MinimumLogLevel,
    Effect.map(
      GlobalFlag.LogLevel,
      Option.getOrElse(() => "Info" as const)
    )
  )
)
