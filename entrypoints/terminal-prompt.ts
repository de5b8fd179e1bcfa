/**
 * Asks a person: for a password without showing it, or for a yes.
 *
 * Questions go to standard error, never to standard output, which belongs to the answer. Where
 * nobody can be asked, a password is read from standard input and a confirmation is refused.
 */
import { closeSync, openSync, readSync } from "node:fs"
import { Effect, Option, Redacted, Stdio, Stream, Terminal } from "effect"
import { Prompt } from "effect/cli"
import { Refused } from "../application/refused.ts"

/** No password is longer; a whole file given by mistake is. */
const PASSWORD_BYTES_MAX = 4096

/**
 * Gets a password: the first line of `file` when given, else by a hidden prompt on a terminal,
 * else the first line of standard input. An empty one is refused.
 */
export const askPassword = Effect.fn("askPassword")(function* (options: {
  /** The question: "Password of sync manager anna". */
  readonly message: string
  /** `--password-file F`. */
  readonly file: Option.Option<string>
}) {
  if (Option.isSome(options.file)) return yield* firstLine(yield* readStart(options.file.value))
  const stdio = yield* Stdio.Stdio
  if (!(yield* stdio.stdinIsTerminal)) return yield* firstLine(yield* readInput)
  if (!(yield* stdio.stderrIsTerminal)) return yield* nobodyToAsk("--password-file FILE")
  const typed = yield* asked(Prompt.Hidden({ message: options.message }))
  return Redacted.value(typed) === "" ? yield* noPassword("Nothing was typed.") : typed
})

/**
 * Asks for a yes; Enter alone means no. Where nobody can be asked it is refused, and the refusal
 * names the flag that says yes beforehand: `--confirm-removals`.
 */
export const confirm = Effect.fn("confirm")(function* (options: {
  readonly message: string
  readonly flag: string
}) {
  const stdio = yield* Stdio.Stdio
  if (!((yield* stdio.stdinIsTerminal) && (yield* stdio.stderrIsTerminal))) {
    return yield* nobodyToAsk(options.flag)
  }
  return yield* asked(Prompt.Confirm({ message: options.message, initial: false }))
})

/** Runs a prompt on standard error. Ctrl-C and Escape interrupt the command. */
const asked = <A>(prompt: Prompt.Prompt<A>) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    const stdio = yield* Stdio.Stdio
    const display = (text: string) =>
      Stream.run(Stream.make(text), stdio.stderr({ endOnDone: false }))
    const columns = Effect.sync(() => process.stderr.columns ?? 0)
    const onError = Terminal.make({ ...terminal, columns, display })
    return yield* Prompt.run(prompt).pipe(
      Effect.provideService(Terminal.Terminal, onError),
      // The next message starts on a line of its own.
      Effect.catchTag("QuitError", () =>
        Effect.andThen(Effect.orDie(display("\n")), Effect.interrupt)
      )
    )
  })

const readStart = (file: string) =>
  Effect.try({
    try: () => {
      const handle = openSync(file, "r")
      try {
        const bytes = Buffer.alloc(PASSWORD_BYTES_MAX + 1)
        return bytes.subarray(0, readSync(handle, bytes))
      } finally {
        closeSync(handle)
      }
    },
    catch: (cause) => passwordRefusal(`The password file ${file} can't be read: ${String(cause)}`)
  })

const readInput = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  const bytes = yield* stdio.stdin.pipe(
    Stream.flattenIterable,
    Stream.takeUntil((byte) => byte === 0x0a),
    Stream.take(PASSWORD_BYTES_MAX + 1),
    Stream.runCollect,
    Effect.mapError((cause) => passwordRefusal(`Standard input can't be read: ${cause.message}`))
  )
  return Uint8Array.from(bytes)
})

const firstLine = (bytes: Uint8Array) => {
  const [line = ""] = new TextDecoder().decode(bytes).split(/\r?\n/u, 1)
  if (line === "") return noPassword("The first line is empty.")
  if (Buffer.byteLength(line) > PASSWORD_BYTES_MAX) {
    return noPassword(`The first line is longer than ${PASSWORD_BYTES_MAX} bytes.`)
  }
  return Effect.succeed(Redacted.make(line))
}

const passwordRefusal = (why: string): Refused =>
  new Refused({
    code: "E_PASSWORD_MISSING",
    what: "There is no password, so nothing was done.",
    why,
    todo: "Type the password, or write it on the first line of a file and give --password-file FILE."
  })

const noPassword = (why: string) => Effect.fail(passwordRefusal(why))

const nobodyToAsk = (flag: string) =>
  Effect.fail(
    new Refused({
      code: "E_NO_TERMINAL",
      what: "A question could not be asked, so nothing was done.",
      why: "This command was not started from a terminal.",
      todo: `Give ${flag}, or run the command in a terminal.`,
      exit: 2
    })
  )
