/**
 * Runs the command line with one contract for every command (design §9).
 *
 * 1. Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 done but with items left,
 *    130 interrupted.
 * 2. Standard output holds the answer and nothing else; with `--json` exactly one JSON document,
 *    for refusals too: `{"refused":{"code":…}}`.
 * 3. Standard error says what, why and what to do. Never a stack: that goes to `<data>/crash.log`.
 */
import { resolve } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import {
  Cause,
  Config,
  Effect,
  Exit,
  Layer,
  Logger,
  Option,
  References,
  Schema,
  Stdio
} from "effect"
import { CliConfig, CliError, CliOutput, Command, Flag, GlobalFlag } from "effect/cli"
import { Refused, refusalStatus } from "../application/refused.ts"
import { reportStatus } from "./command.ts"
import { crashRefusal } from "./crash.ts"
import { refusalText, screenOf } from "./terminal.ts"
import { showProgress } from "./terminal-progress.ts"

const DATA_DEFAULT = "./testferry-data"
const DATA_VARIABLE = "TESTFERRY_DATA"

/** The command that all others hang under. A handler reads the shared flags by `yield* shared`. */
export const root = Command.make("testferry").pipe(
  Command.withSharedFlags({
    data: Flag.Directory("data").pipe(
      Flag.withFallbackConfig(Config.String(DATA_VARIABLE)),
      Flag.withDefault(DATA_DEFAULT),
      Flag.withDescription(`Data directory (environment ${DATA_VARIABLE}, else ${DATA_DEFAULT})`)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Print one JSON document on standard output")
    )
  })
)

/** The shared flags: `data` as an absolute path, `json`. */
export const shared = Effect.map(root, ({ data, json }) => ({ data: resolve(data), json }))

/** Ends a command whose report says that items are left. Its answer was printed already. */
class EndedWithItemsLeft extends Schema.TaggedError<EndedWithItemsLeft>()(
  "EndedWithItemsLeft",
  {}
) {}

/**
 * Runs what a command does and prints its answer: `show(report)` for people, the encoded report
 * with `--json`. Progress is shown on standard error, unless `--json` is given.
 */
export const answer = Effect.fn("answer")(function* <Report, E, R>(options: {
  readonly run: Effect.Effect<Report, E, R>
  /** The command's `encodeReport`. */
  readonly encode: (report: Report) => Effect.Effect<Schema.Json>
  readonly show: (report: Report) => string
}) {
  const { json } = yield* shared
  const watched = json ? options.run : showProgress(options.run, stderr())
  const report = yield* watched
  yield* print(json ? JSON.stringify(yield* options.encode(report)) : options.show(report))
  if (reportStatus(report) === 3) return yield* new EndedWithItemsLeft()
})

/**
 * Runs a tree of commands as the main program of this process; the process ends with the status.
 * A second Ctrl-C does not wait for the first to tidy up.
 */
export const runCli = <Name extends string, Input, ContextInput, E>(
  command: Command.Command<Name, Input, ContextInput, E, NodeServices.NodeServices>,
  options: { readonly version: string }
): void => {
  survive(options.version)
  const main = Effect.gen(function* () {
    const { args } = yield* Stdio.Stdio
    const invocation = { ...(yield* invocationOf(yield* args)), version: options.version }
    const presenter = CliOutput.layerPresenter(presenterFor(invocation))
    yield* Command.runWith(
      command,
      options
    )(yield* args).pipe(
      Effect.provide(presenter),
      Effect.onExit((exit) => say(exit, invocation))
    )
  })
  NodeRuntime.runMain(Effect.provide(main, layer), {
    disableErrorReporting: true,
    teardown: (exit) => process.exit(statusOf(exit))
  })
}

/** Logs go to standard error, warnings only unless asked for with `--log-level`. */
const layer = Layer.mergeAll(
  NodeServices.layer,
  CliConfig.layer({
    builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel]
  }),
  Layer.succeed(Logger.LogToStderr, true),
  Layer.succeed(References.MinimumLogLevel, "Warn")
)

interface Invocation {
  readonly json: boolean
  readonly directory: string
  readonly version: string
  readonly isBare: boolean
}

/**
 * Reads off the arguments what is needed to say how it ended, also when they could not be parsed
 * or the program fails before a handler runs.
 */
const invocationOf = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const fallback = yield* Config.String(DATA_VARIABLE).pipe(
    Config.withDefault(DATA_DEFAULT),
    Effect.orDie
  )
  const end = args.indexOf("--")
  const flags = end === -1 ? args : args.slice(0, end)
  const at = flags.findIndex((flag) => flag === "--data" || flag.startsWith("--data="))
  const given = flags[at]?.startsWith("--data=") ? flags[at].slice("--data=".length) : flags[at + 1]
  return {
    json: flags.includes("--json") || flags.includes("--json=true"),
    directory: resolve(at === -1 ? fallback : (given ?? fallback)),
    isBare: args.length === 0
  }
})

const statusOf = <A, E>(exit: Exit.Exit<A, E>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) return 130
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (error instanceof EndedWithItemsLeft) return 3
  if (error instanceof Refused) return refusalStatus(error)
  if (!CliError.isCliError(error)) return 1
  // The bare program shows its help, which is what was wanted.
  return process.argv.length > 2 ? 2 : 0
}

/** Tells a person, and with `--json` a program, how it ended, unless it was told already. */
const say = Effect.fnUntraced(function* <A, E>(exit: Exit.Exit<A, E>, invocation: Invocation) {
  if (Exit.isSuccess(exit)) return
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (error instanceof EndedWithItemsLeft || CliError.isCliError(error)) return
  if (Cause.hasInterruptsOnly(exit.cause)) return yield* refuse(interrupted, invocation, 130)
  const refused =
    error instanceof Refused
      ? error
      : yield* crashRefusal(exit.cause, invocation.directory, invocation.version)
  yield* refuse(refused, invocation, refusalStatus(refused))
})

const refuse = Effect.fnUntraced(function* (
  refused: Refused,
  invocation: Pick<Invocation, "json">,
  exit: number
) {
  const screen = stderr()
  screen.write(refusalText(refused, screen))
  const { code, what, why, todo } = refused
  if (invocation.json) yield* print(JSON.stringify({ refused: { code, what, why, todo, exit } }))
})

/** Says nothing to whoever typed the value. */
const LIBRARY_WORDS = "Expected: Schema validation failed: "

/** Help on request goes to standard output; wrong usage gets the error and where to read on. */
const presenterFor = (invocation: Invocation): CliOutput.Presenter => ({
  present: (event) => {
    const path = event._tag === "Version" ? [] : event.commandPath
    const isWrong =
      event._tag === "InvalidInvocation" ||
      (event._tag === "Help" && event.reason === "Implicit" && !invocation.isBare)
    if (!isWrong) return CliOutput.defaultPresenter.present(event)
    const why =
      event._tag === "InvalidInvocation"
        ? event.errors.map((error) => error.message.replace(LIBRARY_WORDS, "")).join("\n")
        : `"${path.join(" ")}" needs a subcommand.`
    const help = `${path.join(" ")} --help`
    stderr().write(`error: ${why}\n\nTry: ${help}\n`)
    const refused = {
      code: "E_USAGE",
      what: "The command was not run.",
      why,
      todo: `Read "${help}".`,
      exit: 2
    }
    return invocation.json ? print(JSON.stringify({ refused })) : Effect.void
  }
})

/** Prints on standard output and waits until it is out, since the process ends right after. */
export const print = (text: string): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    process.stdout.write(`${text}\n`, () => resume(Effect.void))
  })

const stderr = () => screenOf(process.stderr, process.env)

/** Keeps what happens outside of every effect from ending in a stack on the terminal. */
const survive = (version: string) => {
  // "testferry … | head" closes the pipe early; the command still does its work.
  process.stdout.on("error", () => {})
  process.stderr.on("error", () => {})
  process.on("uncaughtException", (defect) => {
    const told = Effect.gen(function* () {
      const { json, directory } = yield* invocationOf(process.argv.slice(2))
      const refused = yield* crashRefusal(Cause.die(defect), directory, version)
      yield* refuse(refused, { json }, 1)
    })
    Effect.runFork(
      Effect.ensuring(
        told,
        Effect.sync(() => process.exit(1))
      )
    )
  })
  let interrupts = 0
  process.on("SIGINT", () => {
    interrupts += 1
    if (interrupts > 1) process.exit(130)
  })
}

const interrupted = new Refused({
  code: "E_INTERRUPTED",
  what: "Interrupted.",
  why: "You or the system asked the command to stop.",
  todo: "Run it again to go on. What was finished is kept, and nothing is half done."
})
