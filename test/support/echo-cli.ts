/** A small command line with one command for each way in which a command can end. */
import { appendFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { report } from "../../application/progress.ts"
import { Refused } from "../../application/refused.ts"
import { answer, print, root, runCli, shared } from "../../entrypoints/cli-run.ts"
import { type Command as Definition, defineCommand, ItemsLeft } from "../../entrypoints/command.ts"
import { serveControl } from "../../entrypoints/control.ts"
import { dispatch } from "../../entrypoints/dispatch.ts"
import { table } from "../../entrypoints/terminal.ts"
import { askPassword, confirm } from "../../entrypoints/terminal-prompt.ts"

/** Something that only the owner of the directory has. */
export class Voice extends Context.Service<Voice, { readonly say: (text: string) => string }>()(
  "echo/Voice"
) {}
export const layerVoice = Layer.succeed(Voice, { say: (text) => text.toUpperCase() })

const Echo = Schema.Struct({ said: Schema.Array(Schema.String), by: Schema.Int, exit: ItemsLeft })

export const echo = defineCommand({
  name: "echo",
  side: "device",
  args: Schema.Struct({ text: Schema.String, times: Schema.Int, left: Schema.Boolean }),
  report: Echo,
  run: Effect.fn("echo")(function* ({ text, times, left }) {
    const voice = yield* Voice
    if (text === "") {
      return yield* new Refused({
        code: "E_SILENCE",
        what: "Nothing was said.",
        why: "The text is empty.",
        todo: "Give a text."
      })
    }
    if (text === "fault") return yield* Effect.die(new TypeError("secret trace"))
    if (text === "full") return yield* Effect.die({ cause: { code: "ENOSPC", path: "/d" } })
    const said: Array<string> = []
    for (let done = 0; done <= times; done += 1) {
      const phase = done === 0 ? "started" : done === times ? "finished" : "running"
      yield* report({ kind: "echo", label: "Echoing", done, total: times, phase })
      if (done > 0) said.push(voice.say(text))
    }
    return { said, by: process.pid, ...(left && { exit: 3 as const }) }
  })
})

/** Notes in the file when it begins and when it is interrupted; never ends by itself. */
export const wait = defineCommand({
  name: "wait",
  side: "device",
  args: Schema.Struct({ note: Schema.String }),
  report: Schema.Struct({}),
  run: ({ note }) =>
    Effect.sync(() => appendFileSync(note, "begun\n")).pipe(
      Effect.andThen(report({ kind: "wait", label: "Waiting", done: 0, phase: "started" })),
      Effect.andThen(Effect.never),
      Effect.onInterrupt(() => Effect.sync(() => appendFileSync(note, "interrupted\n")))
    )
})

/** A lock that the operating system lets go of when its process is killed. */
export const acquire = (directory: string) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const lock = new DatabaseSync(join(directory, "lock"))
        lock.exec("BEGIN EXCLUSIVE")
        return lock
      },
      catch: () => ({ _tag: "DataDirectoryOwned" as const })
    }),
    (lock) => Effect.sync(() => lock.close())
  )

const version = process.env.ECHO_VERSION ?? "1.0.0"

const run = <Args, Report>(command: Definition<Args, Report, Voice>, args: Args) =>
  Effect.flatMap(shared, ({ data: directory }) =>
    dispatch({ directory, version, command, args, acquire: acquire(directory), local: layerVoice })
  )

const echoCommand = Command.make(
  "echo",
  {
    text: Argument.String("text"),
    times: Flag.Int("times").pipe(Flag.withDefault(1)),
    left: Flag.Boolean("left").pipe(Flag.withDefault(false))
  },
  (args) =>
    answer({
      run: run(echo, args),
      encode: echo.encodeReport,
      show: ({ said, by }) =>
        table(
          ["SAID", { title: "BY", align: "right" }],
          said.map((s) => [s, by])
        )
    })
)

const waitCommand = Command.make("wait", { note: Argument.File("note") }, (args) =>
  answer({ run: run(wait, args), encode: wait.encodeReport, show: () => "done" })
)

const serveCommand = Command.make(
  "serve",
  {},
  Effect.fnUntraced(function* () {
    const { data: directory } = yield* shared
    yield* acquire(directory)
    yield* serveControl({ directory, version, commands: [echo, wait] }).pipe(
      Effect.provide(layerVoice)
    )
    yield* print("serving")
    return yield* Effect.never
  }, Effect.scoped)
)

const loginCommand = Command.make(
  "login",
  { file: Flag.File("password-file").pipe(Flag.optional) },
  Effect.fnUntraced(function* ({ file }) {
    const password = yield* askPassword({ message: "Password", file })
    yield* print(`${Redacted.value(password).length} characters`)
  })
)

const removeCommand = Command.make(
  "remove",
  {},
  Effect.fnUntraced(function* () {
    const isSure = yield* confirm({ message: "Remove 12 test-takers?", flag: "--confirm-removals" })
    yield* print(isSure ? "removed" : "kept")
  })
)

/** Bars to look at: three kinds, one without a total. */
const barsCommand = Command.make("bars", {}, () =>
  answer({
    run: Effect.forEach(
      [
        { kind: "entity", label: "Receiving test-takers", total: 1200, each: 10, bytes: undefined },
        { kind: "blob", label: "Downloading tests", total: 30, each: 400, bytes: 1_300_000 },
        { kind: "log", label: "Reading logs", total: undefined, each: 50, bytes: undefined }
      ],
      Effect.fnUntraced(function* ({ kind, label, total, each, bytes }) {
        const steps = total ?? 240
        for (let done = 0; done <= steps; done += 1) {
          const phase = done === 0 ? "started" : done === steps ? "finished" : "running"
          const size = bytes && { bytes: done * bytes, totalBytes: steps * bytes }
          yield* report({ kind, label, done, phase, ...(total && { total }), ...size })
          if (done === 20)
            yield* Effect.logWarning("slow answer").pipe(Effect.annotateLogs({ kind }))
          yield* Effect.sleep(each)
        }
      }),
      { concurrency: 3 }
    ),
    encode: () => Effect.succeed({}),
    show: () => "done"
  })
)

const strayCommand = Command.make("stray", {}, () =>
  Effect.callback<void>(() => {
    setTimeout(() => {
      throw new Error("outside of every effect")
    })
  })
)

if (import.meta.main) {
  runCli(
    root.pipe(
      Command.withSubcommands([
        echoCommand,
        waitCommand,
        serveCommand,
        loginCommand,
        removeCommand,
        barsCommand,
        strayCommand
      ])
    ),
    { version }
  )
}
