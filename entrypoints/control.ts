/**
 * Serves commands to other processes of this machine, through the control socket of a data
 * directory that this process owns (design §6).
 *
 * HTTP over a Unix socket that only this user may open. A caller that goes away interrupts its
 * command: cancelling is safe at every point, and nobody is left to read the report.
 */
import { chmodSync } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { Cause, Effect, FiberSet, Option, Schema, type Scope } from "effect"
import { Progress, type Reporter } from "../application/progress.ts"
import { Refused } from "../application/refused.ts"
import { ASK_BYTES_MAX } from "../domain/opening.ts"
import type { ProgressEvent } from "../domain/progress.ts"
import type { ServedCommand } from "./command.ts"
import {
  Ask,
  type Line,
  LineText,
  makeSocketPlace,
  otherVersion,
  VERSION_HEADER
} from "./control-socket.ts"
import { crashRefusal } from "./crash.ts"

/** More commands at once than this is a runaway script. */
const CONNECTIONS_MAX = 64
/** A caller on the same machine sends its request at once, or not at all. */
const ASK_TIMEOUT_MILLIS = 10_000
/** Time for the last lines to be read when the server stops. */
const CLOSE_GRACE = "1 second"

/**
 * Serves `commands` until the scope closes; commands under way are interrupted then, and their
 * callers told. The caller must hold the lock of `directory`. Fails with E_CONTROL_PATH when no
 * path is short enough.
 */
export const serveControl = Effect.fn("serveControl")(function* <R>(options: {
  readonly directory: string
  readonly version: string
  readonly commands: ReadonlyArray<ServedCommand<R>>
}) {
  const path = yield* makeSocketPlace(options.directory)
  const server = yield* listening(path)
  const byName = new Map(options.commands.map((command) => [command.name, command]))
  const run = yield* FiberSet.makeRuntime<R, void, never>()
  server.on("request", (request, response) => {
    run(
      conversation(
        request,
        response,
        (ask) => {
          const command = byName.get(ask.name)
          if (ask.version !== options.version) return otherVersion(options.version, ask.version)
          if (command === undefined) return unknownCommand(ask.name)
          return command
            .answer(ask.args)
            .pipe(
              Effect.catchCause((cause) =>
                Option.isSome(Cause.findErrorOption(cause)) || Cause.hasInterrupts(cause)
                  ? Effect.failCause(cause)
                  : Effect.flip(crashRefusal(cause, options.directory, options.version))
              )
            )
        },
        options.version
      )
    )
  })
})

/** Opens the socket with mode 0600 from its first moment on; closes it with the scope. */
const listening = (path: string): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer({ requestTimeout: ASK_TIMEOUT_MILLIS })
      server.maxConnections = CONNECTIONS_MAX
      server.once("error", (cause) => resume(Effect.die(cause)))
      // The file is made inside listen, at once; a chmod alone would come too late.
      const mask = process.umask(0o177)
      server.listen({ path }, () => resume(Effect.succeed(server)))
      process.umask(mask)
      chmodSync(path, 0o600)
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
      }).pipe(
        Effect.timeoutOption(CLOSE_GRACE),
        Effect.andThen(Effect.sync(() => server.closeAllConnections()))
      )
  )

/** Answers one request; ends early when the caller goes away. */
const conversation = <R>(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (ask: typeof Ask.Type) => Effect.Effect<Schema.Json, Refused, R>,
  version: string
): Effect.Effect<void, never, R> => {
  const lines = linesTo(response)
  const gone = Effect.callback<void>((resume) => {
    response.once("close", () => resume(Effect.void))
  })
  response.writeHead(200, {
    "content-type": "application/x-ndjson",
    connection: "close",
    [VERSION_HEADER]: version
  })
  return readAsk(request).pipe(
    Effect.flatMap(answer),
    Effect.provideService(Progress, lines),
    Effect.matchEffect({
      onSuccess: (report) => lines.last({ report }),
      onFailure: (refused) => lines.last({ refused })
    }),
    Effect.onInterrupt(() => lines.last({ refused: stopping })),
    Effect.raceFirst(gone)
  )
}

const readAsk = (request: IncomingMessage) =>
  Effect.tryPromise({
    try: async () => {
      const chunks: Array<Buffer> = []
      let bytes = 0
      for await (const chunk of request) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > ASK_BYTES_MAX) throw new Error(`more than ${ASK_BYTES_MAX} bytes`)
      }
      return Buffer.concat(chunks).toString("utf8")
    },
    catch: (cause) => notUnderstood(String(cause))
  }).pipe(
    Effect.flatMap((text) =>
      Effect.mapError(decodeAsk(text), (error) => notUnderstood(error.message))
    )
  )

const decodeAsk = Schema.decodeUnknownEffect(Schema.fromJsonString(Ask))

/**
 * Writes the lines of an answer, without ever waiting for a slow reader: while it does not read, the
 * newest progress of each kind is kept for it and the rest forgotten.
 */
const linesTo = (
  response: ServerResponse
): Reporter & {
  readonly last: (line: Line) => Effect.Effect<void>
} => {
  const waiting = new Map<string, ProgressEvent>()
  const flush = () => {
    for (const progress of waiting.values()) response.write(textOf({ progress }))
    waiting.clear()
  }
  response.on("drain", flush)
  // A reader that has gone is noticed by "close"; what was still on its way to it is lost.
  response.on("error", () => {})
  return {
    report: (event) =>
      Effect.sync(() => {
        if (!response.writableNeedDrain) return void response.write(textOf({ progress: event }))
        // A run whose start was not written yet must still begin anew for the reader.
        const isNew = waiting.get(event.kind)?.phase === "started" && event.phase === "running"
        waiting.set(event.kind, isNew ? { ...event, phase: "started" } : event)
      }),
    last: (line) =>
      Effect.sync(() => {
        flush()
        response.end(textOf(line))
      })
  }
}

const encodeLine = Schema.encodeSync(LineText)
const textOf = (line: Line): string => `${encodeLine(line)}\n`

const unknownCommand = (name: string) =>
  Effect.fail(
    new Refused({
      code: "E_NOT_SERVED",
      what: `The command ${name} was not run.`,
      why: "A running server owns the data directory, and it does not do this for others.",
      todo: "Stop the server, then run the command again."
    })
  )

const notUnderstood = (why: string): Refused =>
  new Refused({
    code: "E_CONTROL_REQUEST",
    what: "The command was not run.",
    why: `The server did not understand the request: ${why}`,
    todo: "Restart the server, then run the command again."
  })

const stopping = new Refused({
  code: "E_SERVER_STOPPING",
  what: "The command was not finished.",
  why: "The server that was running it is stopping.",
  todo: "Run the command again. What was finished is kept, and nothing is half done."
})
