/** Runs a command line as what it is: a process with arguments, an environment and an end. */
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { Data, Effect } from "effect"
import { inject } from "vitest"

export interface Ended {
  /** Exit status, or the name of the signal that ended the process. */
  readonly status: number | string
  readonly stdout: string
  readonly stderr: string
}

export interface Started {
  readonly process: ChildProcess
  /** What it has written so far. */
  readonly output: { readonly stdout: string; readonly stderr: string }
  /** Waits for the end. Dies when the process is still there after the timeout. */
  readonly ended: Effect.Effect<Ended>
  /** Waits until standard output or standard error contains the text. */
  readonly says: (text: string) => Effect.Effect<void>
}

export interface Options {
  /** Written to standard input, which is then closed. */
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  readonly timeoutMillis?: number
}

class StillRunning extends Data.TaggedError("StillRunning")<{ readonly output: string }> {}

/** A slow machine needs seconds to start a process; a minute means that it hangs. */
const TIMEOUT_MILLIS = 60_000

/** Starts `node entry ...args`; kills it when the scope closes. */
export const startCli = (entry: string, args: ReadonlyArray<string>, options: Options = {}) =>
  startProgram(process.execPath, ["--no-warnings", entry, ...args], options)

/** Half of the time of a short process goes into compiling what it imports. */
export const compiled = () =>
  // Benchmarks start programs by this too, and there is no run of tests around them.
  process.env.VITEST === undefined
    ? {}
    : { NODE_COMPILE_CACHE: join(inject("runFolder"), "compiled") }

/** Starts a program; kills it when the scope closes. */
export const startProgram = (program: string, args: ReadonlyArray<string>, options: Options = {}) =>
  Effect.acquireRelease(
    Effect.sync((): Started => {
      const child = spawn(program, args, {
        cwd: options.cwd,
        env: { ...process.env, NO_COLOR: "1", ...compiled(), ...options.env },
        stdio: ["pipe", "pipe", "pipe"]
      })
      child.stdin.on("error", () => {})
      child.stdin.end(options.stdin ?? "")
      return watched(child, options.timeoutMillis ?? TIMEOUT_MILLIS)
    }),
    (started) => Effect.sync(() => started.process.kill("SIGKILL"))
  )

/** Runs `node entry ...args` to its end. */
export const runCli = (entry: string, args: ReadonlyArray<string>, options: Options = {}) =>
  startCli(entry, args, options).pipe(
    Effect.flatMap((started) => started.ended),
    Effect.scoped
  )

const watched = (child: ChildProcess, timeoutMillis: number): Started => {
  const output = { stdout: "", stderr: "" }
  const listeners = new Set<() => void>()
  const end: { status?: number | string } = {}
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      output[name] += text
      for (const listener of listeners) listener()
    })
  }
  child.once("close", (code, signal) => {
    end.status = code ?? signal ?? "unknown"
    for (const listener of listeners) listener()
  })
  const when = <A>(answer: () => A | undefined) =>
    Effect.callback<A>((resume) => {
      const listener = () => {
        const found = answer()
        if (found !== undefined) resume(Effect.succeed(found))
      }
      listeners.add(listener)
      listener()
      return Effect.sync(() => listeners.delete(listener))
    }).pipe(
      Effect.timeoutOrElse({
        duration: timeoutMillis,
        orElse: () => Effect.die(new StillRunning({ output: output.stdout + output.stderr }))
      })
    )
  return {
    process: child,
    output,
    ended: when(() => (end.status === undefined ? undefined : { status: end.status, ...output })),
    says: (text) =>
      Effect.asVoid(when(() => (output.stdout + output.stderr).includes(text) || undefined))
  }
}
