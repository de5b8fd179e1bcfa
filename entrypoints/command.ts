/**
 * Defines what a command is: a name, the side it belongs to, the schemas of what it takes and
 * what it reports, and what it does.
 *
 * The same definition runs in the process of the caller or, when a server owns the data
 * directory, in the server's process (`dispatch.ts`). That is why arguments and report have
 * schemas: both must survive the control socket. File paths in arguments must be absolute, since
 * the server has another working directory.
 */
import { Effect, Predicate, Schema } from "effect"
import { Refused } from "../application/refused.ts"
import { CLIENT_NAME_MAX } from "../domain/enrolment.ts"
import { Text } from "../domain/id.ts"

/** A command as the control socket sees it: JSON in, JSON out. */
export interface ServedCommand<R> {
  readonly name: string
  readonly side: "device" | "central"
  /** Decodes the arguments, runs, encodes the report. Refuses arguments of another shape. */
  readonly answer: (args: Schema.Json) => Effect.Effect<Schema.Json, Refused, R>
}

export interface Command<Args, Report, R> extends ServedCommand<R> {
  readonly run: (args: Args) => Effect.Effect<Report, Refused, R>
  readonly encodeArgs: (args: Args) => Effect.Effect<Schema.Json>
  readonly encodeReport: (report: Report) => Effect.Effect<Schema.Json>
  /** Dies on a report of another shape: both ends are the same version by then. */
  readonly decodeReport: (report: Schema.Json) => Effect.Effect<Report>
}

/** A count or a limit as people give it. */
export const Positive = Schema.Int.check(Schema.isGreaterThan(0))

/** A device or credential, as central's lists show it; longer ones are something else. */
export const ClientId = Text(CLIENT_NAME_MAX)

/** Put this into a report's schema as `exit` when the command can end with items left. */
export const ItemsLeft = Schema.optionalKey(Schema.Literal(3))

/** Defines a command. `run` maps every error that it expects to `Refused`; the rest are defects. */
export const defineCommand = <Args, ArgsWire, Report, ReportWire, R>(definition: {
  readonly name: string
  readonly side: "device" | "central"
  readonly args: Schema.Codec<Args, ArgsWire>
  readonly report: Schema.Codec<Report, ReportWire>
  readonly run: (args: Args) => Effect.Effect<Report, Refused, R>
}): Command<Args, Report, R> => {
  const args = Schema.toCodecJson(definition.args)
  const report = Schema.toCodecJson(definition.report)
  const decodeArgs = Schema.decodeUnknownEffect(args)
  const encodeReport = Schema.encodeEffect(report)
  return {
    name: definition.name,
    side: definition.side,
    run: definition.run,
    encodeArgs: (value) => Effect.orDie(Schema.encodeEffect(args)(value)),
    encodeReport: (value) => Effect.orDie(encodeReport(value)),
    decodeReport: (json) => Effect.orDie(Schema.decodeUnknownEffect(report)(json)),
    answer: (json) =>
      decodeArgs(json).pipe(
        Effect.mapError((error) => wrongArguments(definition.name, error.message)),
        Effect.flatMap(definition.run),
        Effect.flatMap((value) => Effect.orDie(encodeReport(value)))
      )
  }
}

/** Tells the exit status of a finished command: 3 when its report says that items are left. */
export const reportStatus = (report: unknown): 0 | 3 =>
  Predicate.hasProperty(report, "exit") && report.exit === 3 ? 3 : 0

const wrongArguments = (name: string, why: string): Refused =>
  new Refused({
    code: "E_ARGUMENTS",
    what: `The command ${name} was not run.`,
    why: `Its arguments were not understood: ${why}`,
    todo: `Read "testferry ${name} --help" and correct the arguments.`,
    exit: 2
  })
