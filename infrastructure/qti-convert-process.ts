/**
 * Runs the converter of QTI 2.x to 3.0 in a process of its own, if somebody installed it: what it is
 * built on is no free software, so it does not come with this program.
 */
import { type ChildProcess, fork } from "node:child_process"
import { createRequire } from "node:module"
import { Effect, Layer } from "effect"
import { Converter, ConverterMissing, NotConverted } from "../application/prepare-ports.ts"
import type { ConvertAnswer, ConvertRequest } from "./qti-convert-child.ts"

export const CONVERTER = "@citolab/qti-convert"

/** Of one document; a long test takes a second. */
const CONVERT_MILLIS = 120_000
/** To load the converter from a slow disk. */
const START_MILLIS = 60_000
/** MiB of memory: a document of the largest size, some hundred times. */
const MEMORY_MIB = 2_048

/** Looks for the converter from `places` on: files or folders with a `/` at the end. */
export const layer = (places: ReadonlyArray<string> = [import.meta.url, `${process.cwd()}/`]) =>
  Layer.succeed(
    Converter,
    Converter.of({
      open: Effect.gen(function* () {
        const entries = entriesFrom(places)
        if (entries === undefined) return yield* new ConverterMissing()
        const child = yield* Effect.acquireRelease(
          Effect.sync(() => started(entries)),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        yield* heard(child, START_MILLIS, () => undefined)
        return (xml: string) =>
          Effect.flatMap(
            heard(child, CONVERT_MILLIS, () => child.send({ xml } satisfies ConvertRequest)),
            textOf
          )
      })
    })
  )

const entriesFrom = (places: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
  for (const place of places) {
    try {
      const { resolve } = createRequire(place)
      return [resolve(`${CONVERTER}/qti-convert-node`), resolve(`${CONVERTER}/qti-transformer`)]
    } catch {
      // Not installed there.
    }
  }
  return undefined
}

/** It may read files, for it must load itself; it may write none and start nothing. */
const started = (entries: ReadonlyArray<string>): ChildProcess =>
  fork(new URL("./qti-convert-child.ts", import.meta.url), entries, {
    execArgv: ["--permission", "--allow-fs-read=*", `--max-old-space-size=${MEMORY_MIB}`],
    env: {},
    stdio: ["ignore", "ignore", "ignore", "ipc"]
  })

/** Asks, and waits for the next message. */
const heard = (child: ChildProcess, millis: number, ask: () => unknown) =>
  Effect.callback<unknown, NotConverted>((resume) => {
    const ended = () => {
      stop()
      resume(new NotConverted({ why: "it ended without an answer" }))
    }
    const answered = (message: unknown) => {
      stop()
      resume(Effect.succeed(message))
    }
    const stop = () => {
      child.off("message", answered)
      child.off("exit", ended)
      child.off("error", ended)
    }
    child.once("message", answered)
    child.once("exit", ended)
    child.once("error", ended)
    // A process that ended in between would never answer.
    if (child.exitCode !== null || child.signalCode !== null) ended()
    else ask()
    return Effect.sync(stop)
  }).pipe(
    Effect.timeoutOrElse({
      duration: millis,
      orElse: () => Effect.fail(new NotConverted({ why: "it took too long" }))
    })
  )

const textOf = (message: unknown): Effect.Effect<string, NotConverted> => {
  // Both sides are this program: see ConvertAnswer.
  const answer = message as ConvertAnswer
  return "xml" in answer
    ? Effect.succeed(answer.xml)
    : Effect.fail(new NotConverted({ why: answer.failed.slice(0, 300) }))
}
