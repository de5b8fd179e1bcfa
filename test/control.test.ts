/** One process owns a data directory, and every other command finds it (design §6). */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { createServer, request } from "node:http"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Progress } from "../application/progress.ts"
import { ASK_BYTES_MAX } from "../domain/opening.ts"
import type { ProgressEvent } from "../domain/progress.ts"
import { callOwner } from "../entrypoints/call-owner.ts"
import { defineCommand } from "../entrypoints/command.ts"
import { serveControl } from "../entrypoints/control.ts"
import { findSocket, SOCKET_PATH_BYTES_MAX } from "../entrypoints/control-socket.ts"
import { dispatch } from "../entrypoints/dispatch.ts"
import { type Ended, runCli, startCli } from "./support/cli.ts"
import { echo, layerVoice } from "./support/echo-cli.ts"

const entry = resolve("test/support/echo-cli.ts")
const version = "1.0.0"

const data = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "own-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

const serve = (directory: string) =>
  serveControl({ directory, version, commands: [echo] }).pipe(Effect.provide(layerVoice))

const ask = (directory: string, args: Schema.Json, name = "echo") =>
  callOwner({ directory, version, name, args })

/** Starts the owner as a process and waits until it serves. */
const owner = (directory: string) =>
  Effect.tap(startCli(entry, ["serve", "--data", directory]), (started) => started.says("serving"))

const answered = ({ stdout }: Ended) => JSON.parse(stdout)

describe("the control socket", () => {
  it.live("answers with the report, after each progress event in its order", () =>
    Effect.gen(function* () {
      const directory = yield* data
      yield* serve(directory)
      const events: Array<ProgressEvent> = []
      const report = (event: ProgressEvent) => Effect.sync(() => void events.push(event))
      const answer = yield* ask(directory, { text: "hi", times: 3, left: false }).pipe(
        Effect.provideService(Progress, { report })
      )
      assert.deepStrictEqual(answer, { said: ["HI", "HI", "HI"], by: process.pid })
      assert.deepStrictEqual(
        events.map(({ done, total, phase }) => [done, total, phase]),
        [
          [0, 3, "started"],
          [1, 3, "running"],
          [2, 3, "running"],
          [3, 3, "finished"]
        ]
      )
    })
  )

  it.live("carries a refusal unchanged", () =>
    Effect.gen(function* () {
      const directory = yield* data
      yield* serve(directory)
      const refused = yield* Effect.flip(ask(directory, { text: "", times: 1, left: false }))
      assert.deepInclude(refused, { _tag: "Refused", code: "E_SILENCE", why: "The text is empty." })
    })
  )

  it.live("tells a fault by its support code and goes on serving", () =>
    Effect.gen(function* () {
      const directory = yield* data
      yield* serve(directory)
      const args = { text: "fault", times: 1, left: false }
      assert.deepInclude(yield* Effect.flip(ask(directory, args)), { code: "E_UNEXPECTED" })
      assert.include(readFileSync(join(directory, "crash.log"), "utf8"), "secret trace")
      assert.isObject(yield* ask(directory, { ...args, text: "hi" }))
    })
  )

  it.live("refuses what it does not serve, or does not understand", () =>
    Effect.gen(function* () {
      const directory = yield* data
      yield* serve(directory)
      const codes = yield* Effect.all([
        Effect.flip(ask(directory, {}, "remove-all")),
        Effect.flip(ask(directory, { text: 7 })),
        Effect.flip(ask(directory, { text: "x".repeat(ASK_BYTES_MAX), times: 1, left: false }))
      ])
      assert.deepStrictEqual(
        codes.map((refused) => "code" in refused && refused.code),
        ["E_NOT_SERVED", "E_ARGUMENTS", "E_CONTROL_REQUEST"]
      )
    })
  )

  it.live("may be opened by its user only", () =>
    Effect.gen(function* () {
      const directory = yield* data
      yield* serve(directory)
      assert.strictEqual(statSync(join(directory, "control.sock")).mode & 0o777, 0o600)
    })
  )

  it.live("is gone after its owner", () =>
    Effect.gen(function* () {
      const directory = yield* data
      yield* Effect.scoped(serve(directory))
      assert.isFalse(existsSync(join(directory, "control.sock")))
      assert.strictEqual((yield* Effect.flip(ask(directory, {})))._tag, "OwnerUnreachable")
    })
  )

  it.live("keeps only the newest progress for a reader that does not keep up", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const times = 200_000
      const flood = defineCommand({
        name: "flood",
        side: "device",
        args: Schema.Struct({}),
        report: Schema.Struct({ done: Schema.Int }),
        run: Effect.fn("flood")(function* () {
          const progress = yield* Progress
          for (let done = 0; done <= times; done += 1) {
            yield* progress.report({ kind: "x", label: "x", done, phase: "running" })
          }
          return { done: times }
        })
      })
      yield* serveControl({ directory, version, commands: [flood] })
      const lines = (yield* slowReader(directory, "flood")).trimEnd().split("\n")
      assert.isBelow(lines.length, times / 2)
      assert.strictEqual(lines.at(-1), JSON.stringify({ report: { done: times } }))
      assert.include(lines.at(-2), `"done":${times}`)
    })
  )

  it.live("refuses an owner or a caller of another version, and says what to do", () =>
    Effect.gen(function* () {
      const directory = yield* data
      yield* serve(directory)
      const newer = callOwner({ directory, version: "2.0.0", name: "echo", args: {} })
      const refused = yield* Effect.flip(newer)
      assert.deepInclude(refused, {
        code: "E_OTHER_VERSION",
        why: "The running server is testferry 1.0.0, this command is testferry 2.0.0.",
        todo: "Restart the server, then run the command again."
      })
    })
  )

  it.live("does not run the command of a caller of another version", () =>
    Effect.gen(function* () {
      const directory = yield* data
      yield* serve(directory)
      const body = JSON.stringify({ version: "0.9", name: "echo", args: { text: "", times: 1 } })
      assert.include(yield* posted(directory, body), '"code":"E_OTHER_VERSION"')
    })
  )

  it.live("refuses to believe a server that ends without an answer", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const server = createServer((_, response) => {
        response.writeHead(200, { "testferry-version": version })
        response.write('{"progress":{"kind":"x","label":"x","done":1,"phase":"running"}}\n')
        setImmediate(() => response.end())
      })
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => {
          server.listen({ path: join(directory, "control.sock") }, () => resume(Effect.void))
        }),
        () => Effect.sync(() => server.close())
      )
      assert.deepInclude(yield* Effect.flip(ask(directory, {})), { code: "E_SERVER_LOST" })
    })
  )
})

describe("a data directory with a long path", () => {
  const long = Effect.map(data, (directory) => {
    const deep = join(directory, "a".repeat(60), "b".repeat(60))
    mkdirSync(deep, { recursive: true })
    return deep
  })

  it.live(
    "has its socket in a private folder, named by control.path, and leaves nothing there",
    () =>
      Effect.gen(function* () {
        const directory = yield* long
        const socket = yield* Effect.scoped(
          Effect.gen(function* () {
            yield* serve(directory)
            const socket = findSocket(directory)
            assert.strictEqual(readFileSync(join(directory, "control.path"), "utf8"), socket)
            assert.isAtMost(Buffer.byteLength(socket), SOCKET_PATH_BYTES_MAX)
            assert.strictEqual(statSync(dirname(socket)).mode & 0o777, 0o700)
            assert.isObject(yield* ask(directory, { text: "hi", times: 1, left: false }))
            return socket
          })
        )
        assert.isFalse(existsSync(dirname(socket)))
        assert.isFalse(existsSync(join(directory, "control.path")))
      })
  )

  it.live("does not send a caller into a folder that others may write to", () =>
    Effect.gen(function* () {
      const directory = yield* long
      yield* serve(directory)
      const socket = findSocket(directory)
      chmodSync(dirname(socket), 0o777)
      assert.notStrictEqual(findSocket(directory), socket)
      chmodSync(dirname(socket), 0o700)
    })
  )
})

describe("a second command", () => {
  it.live("runs in the process of the server that was started before it", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const server = yield* owner(directory)
      const ended = yield* runCli(entry, ["echo", "hi", "--json", "--data", directory])
      assert.strictEqual(ended.status, 0)
      assert.deepStrictEqual(answered(ended), { said: ["HI"], by: server.process.pid })
    })
  )

  it.live("has the exit status and words of a command that ran by itself", () =>
    Effect.gen(function* () {
      const directory = yield* data
      yield* owner(directory)
      const left = yield* runCli(entry, ["echo", "hi", "--left", "--json", "--data", directory])
      assert.strictEqual(left.status, 3)
      assert.deepStrictEqual(answered(left).said, ["HI"])
      const { status, stderr } = yield* runCli(entry, ["echo", "", "--data", directory])
      assert.strictEqual(status, 1)
      assert.include(stderr, "error: Nothing was said.\n  why: The text is empty.")
    })
  )

  it.live("waits for a first one that serves nobody, and then runs by itself", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const note = join(directory, "note")
      const first = yield* startCli(entry, ["wait", note, "--data", directory])
      yield* noted(note, "begun")
      const second = yield* startCli(entry, ["echo", "hi", "--json", "--data", directory])
      yield* Effect.sleep(500)
      assert.isNull(second.process.exitCode)
      first.process.kill("SIGINT")
      const ended = yield* second.ended
      assert.strictEqual(ended.status, 0)
      assert.strictEqual(answered(ended).by, second.process.pid)
    })
  )

  it.effect("is refused when the first one neither serves nor ends", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const args = { text: "hi", times: 1, left: false }
      const acquire = Effect.fail({ _tag: "DataDirectoryOwned" as const })
      const waiting = yield* dispatch({
        directory,
        version,
        command: echo,
        args,
        acquire,
        local: layerVoice
      }).pipe(Effect.flip, Effect.forkChild)
      // Sockets are real here and time is not: let both go on in turn.
      while (waiting.pollUnsafe() === undefined) {
        yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
        yield* TestClock.adjust("100 millis")
      }
      assert.deepInclude(yield* Fiber.join(waiting), { code: "E_DATA_BUSY" })
    })
  )

  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    it.live(`interrupts the server's work when it ends by ${signal}`, () =>
      Effect.gen(function* () {
        const directory = yield* data
        const note = join(directory, "note")
        yield* owner(directory)
        const second = yield* startCli(entry, ["wait", note, "--data", directory])
        yield* noted(note, "begun")
        second.process.kill(signal)
        const { status } = yield* second.ended
        assert.strictEqual(status, signal === "SIGINT" ? 130 : "SIGKILL")
        yield* noted(note, "interrupted")
        // The server itself is well.
        const ended = yield* runCli(entry, ["echo", "hi", "--json", "--data", directory])
        assert.strictEqual(ended.status, 0)
      })
    )
  }
})

describe("a server", () => {
  for (const [signal, code] of [
    ["SIGTERM", "E_SERVER_STOPPING"],
    ["SIGKILL", "E_SERVER_LOST"]
  ] as const) {
    it.live(`that ends by ${signal} leaves its callers with ${code}`, () =>
      Effect.gen(function* () {
        const directory = yield* data
        const note = join(directory, "note")
        const server = yield* owner(directory)
        const second = yield* startCli(entry, ["wait", note, "--json", "--data", directory])
        yield* noted(note, "begun")
        server.process.kill(signal)
        const ended = yield* second.ended
        assert.strictEqual(ended.status, 1)
        assert.strictEqual(answered(ended).refused.code, code)
      })
    )
  }

  it.live("killed with -9 is no obstacle, neither for a command nor for the next server", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const killed = yield* owner(directory)
      killed.process.kill("SIGKILL")
      yield* killed.ended
      assert.isTrue(existsSync(join(directory, "control.sock")), "a stale socket is left")
      const alone = yield* startCli(entry, ["echo", "hi", "--json", "--data", directory])
      assert.strictEqual(answered(yield* alone.ended).by, alone.process.pid)
      const next = yield* owner(directory)
      const ended = yield* runCli(entry, ["echo", "hi", "--json", "--data", directory])
      assert.strictEqual(answered(ended).by, next.process.pid)
    })
  )

  it.live("sweeps up the private folder of one that was killed with -9", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const folder = mkdtempSync(join(tmpdir(), "testferry-"))
      writeFileSync(join(folder, "control.sock"), "")
      writeFileSync(join(directory, "control.path"), join(folder, "control.sock"))
      yield* serve(directory)
      assert.isFalse(existsSync(folder))
      assert.isObject(yield* ask(directory, { text: "hi", times: 1, left: false }))
    })
  )
})

/** Posts a body as it is and reads the whole answer. */
const posted = (directory: string, body: string) =>
  Effect.callback<string>((resume) => {
    const sent = request({ socketPath: findSocket(directory), method: "POST" }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk) => {
        text += chunk
      })
      response.on("end", () => resume(Effect.succeed(text)))
    })
    sent.end(body)
  })

/** Asks for a command and reads nothing until long after the command has filled every buffer. */
const slowReader = (directory: string, name: string) =>
  Effect.callback<string>((resume) => {
    const sent = request({ socketPath: findSocket(directory), method: "POST" }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.pause()
      setTimeout(() => {
        response.on("data", (chunk) => {
          text += chunk
        })
        response.on("end", () => resume(Effect.succeed(text)))
        response.resume()
      }, 1_000)
    })
    sent.end(JSON.stringify({ version, name, args: {} }))
  })

/** Waits until a process has written this into a file. */
const noted = (file: string, text: string): Effect.Effect<void> =>
  Effect.suspend(() =>
    existsSync(file) && readFileSync(file, "utf8").includes(text)
      ? Effect.void
      : Effect.andThen(Effect.sleep(20), noted(file, text))
  )
