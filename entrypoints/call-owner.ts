/** Runs a command in the process that owns the data directory, through its control socket. */
import { type ClientRequest, type IncomingMessage, request } from "node:http"
import { Effect, Option, Ref, Schema, Stream } from "effect"
import { report } from "../application/progress.ts"
import { Refused } from "../application/refused.ts"
import {
  Ask,
  findSocket,
  type Line,
  LineText,
  otherVersion,
  VERSION_HEADER
} from "./control-socket.ts"

/** Nobody answers at the control socket: the owner is starting, ending, or serves no commands. */
export class OwnerUnreachable extends Schema.TaggedError<OwnerUnreachable>()("OwnerUnreachable", {
  directory: Schema.String
}) {}

/**
 * Asks the owner of `directory` to run a command; passes its progress on to `Progress`.
 *
 * Fails with OwnerUnreachable only before the request was sent, so that trying again is safe;
 * later the owner's refusal, or E_SERVER_LOST. Interrupting this interrupts the command there.
 */
export const callOwner = Effect.fn("callOwner")(function* (options: {
  readonly directory: string
  readonly version: string
  readonly name: string
  readonly args: Schema.Json
}) {
  const { directory, version, name, args } = options
  const asked = send(directory, encodeAsk({ version, name, args }))
  const response = yield* Effect.acquireRelease(asked, (answer) =>
    Effect.sync(() => void answer.destroy())
  )
  const server = String(response.headers[VERSION_HEADER] ?? "of an unknown version")
  if (server !== version) return yield* otherVersion(server, version)
  const ended = yield* Ref.make(Option.none<Exclude<Line, { readonly progress: unknown }>>())
  yield* Stream.fromAsyncIterable<Uint8Array, Refused>(response, () => lost).pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.mapEffect((text) => Effect.orDie(decodeLine(text))),
    Stream.runForEach((line) =>
      "progress" in line ? report(line.progress) : Ref.set(ended, Option.some(line))
    )
  )
  const last = yield* Ref.get(ended)
  if (Option.isNone(last)) return yield* Effect.fail(lost)
  return "refused" in last.value ? yield* Effect.fail(last.value.refused) : last.value.report
}, Effect.scoped)

const encodeAsk = Schema.encodeSync(Schema.fromJsonString(Ask))
const decodeLine = Schema.decodeUnknownEffect(LineText)

/** Sends the request; succeeds with the beginning of the answer. */
const send = (directory: string, body: string) =>
  Effect.callback<IncomingMessage, OwnerUnreachable | Refused>((resume) => {
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body)
    }
    const socketPath = findSocket(directory)
    const sent: ClientRequest = request(
      { socketPath, path: "/command", method: "POST", agent: false, headers },
      (answer) => resume(Effect.succeed(answer))
    )
    let isConnected = false
    sent.once("socket", (socket) => {
      socket.once("connect", () => {
        isConnected = true
      })
    })
    sent.once("error", (cause: NodeJS.ErrnoException) => {
      if (isConnected) return resume(Effect.fail(lost))
      const isForbidden = cause.code === "EACCES" || cause.code === "EPERM"
      resume(Effect.fail(isForbidden ? forbidden(directory) : new OwnerUnreachable({ directory })))
    })
    sent.end(body)
    return Effect.sync(() => void sent.destroy())
  })

const lost = new Refused({
  code: "E_SERVER_LOST",
  what: "The command was not finished.",
  why: "The server that was running it ended before it answered.",
  todo: "Run the command again. What was finished is kept, and nothing is half done."
})

const forbidden = (directory: string): Refused =>
  new Refused({
    code: "E_NOT_PERMITTED",
    what: "The command was not run.",
    why: `A server that was started by another user owns the data directory ${directory}.`,
    todo: "Run the command as that user."
  })
