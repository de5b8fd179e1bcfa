/** The contract of the command line (design §9), on real processes. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Schema } from "effect"
import { defineCommand } from "../entrypoints/command.ts"
import { crashRefusal, supportCode } from "../entrypoints/crash.ts"
import { runCli, startCli } from "./support/cli.ts"
import { echo, layerVoice } from "./support/echo-cli.ts"

const entry = resolve("test/support/echo-cli.ts")

/** A fresh data directory. */
const data = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "cli-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

const run = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(data, (directory) => runCli(entry, [...args, "--data", directory]))

const refusedIn = (stdout: string) => JSON.parse(stdout).refused

describe("a command", () => {
  it.live("ends with 0 and prints its answer as a table, and nothing on standard error", () =>
    Effect.gen(function* () {
      const { status, stdout, stderr } = yield* run("echo", "hi", "--times", "2")
      assert.strictEqual(status, 0)
      assert.match(stdout, /^SAID {2,}BY\n----.*\nHI .*\nHI .*\n$/)
      assert.strictEqual(stderr, "")
    })
  )

  it.live("prints exactly one JSON document with --json", () =>
    Effect.gen(function* () {
      const { status, stdout, stderr } = yield* run("echo", "hi", "--json")
      assert.strictEqual(status, 0)
      assert.deepStrictEqual(JSON.parse(stdout).said, ["HI"])
      assert.strictEqual(stderr, "")
    })
  )

  it.live("ends with 3 when items are left, after its answer", () =>
    Effect.gen(function* () {
      const { status, stdout, stderr } = yield* run("echo", "hi", "--left", "--json")
      assert.strictEqual(status, 3)
      assert.deepStrictEqual(JSON.parse(stdout).said, ["HI"])
      assert.strictEqual(stderr, "")
    })
  )

  it.live("says what, why and what to do when it refuses, and ends with 1", () =>
    Effect.gen(function* () {
      const { status, stdout, stderr } = yield* run("echo", "")
      assert.strictEqual(status, 1)
      assert.strictEqual(stdout, "")
      const said = "error: Nothing was said.\n  why: The text is empty.\n  do: Give a text.\n"
      assert.strictEqual(stderr, said)
    })
  )

  it.live("prints a refusal as one JSON document with --json", () =>
    Effect.gen(function* () {
      const { status, stdout, stderr } = yield* run("echo", "", "--json")
      assert.strictEqual(status, 1)
      assert.deepStrictEqual(refusedIn(stdout), {
        code: "E_SILENCE",
        what: "Nothing was said.",
        why: "The text is empty.",
        todo: "Give a text.",
        exit: 1
      })
      assert.include(stderr, "error: Nothing was said.")
    })
  )

  it.live("reads the data directory from the environment", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const env = { TESTFERRY_DATA: directory }
      assert.strictEqual((yield* runCli(entry, ["echo", "hi"], { env })).status, 0)
      assert.isTrue(existsSync(join(directory, "lock")))
    })
  )

  it.live("ends with 130 when it is interrupted, after it has tidied up", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const note = join(directory, "note")
      const started = yield* startCli(entry, ["wait", note, "--json", "--data", directory])
      yield* noted(note, "begun")
      started.process.kill("SIGINT")
      const { status, stdout, stderr } = yield* started.ended
      assert.strictEqual(status, 130)
      assert.strictEqual(refusedIn(stdout).code, "E_INTERRUPTED")
      assert.include(stderr, "error: Interrupted.")
      assert.strictEqual(readFileSync(note, "utf8"), "begun\ninterrupted\n")
    })
  )

  it.live("goes on to its end when the reader of its output has gone", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const started = yield* startCli(entry, ["echo", "hi", "--times", "5", "--data", directory])
      started.process.stdout?.destroy()
      assert.strictEqual((yield* started.ended).status, 0)
    })
  )
})

describe("wrong usage", () => {
  const wrong: ReadonlyArray<readonly [string, ReadonlyArray<string>, RegExp]> = [
    [
      "an unknown flag",
      ["echo", "hi", "--tims", "3"],
      /--tims[\s\S]*--times\n\nTry: testferry echo --help\n$/
    ],
    [
      "an unknown command",
      ["ech", "hi"],
      /Unknown subcommand "ech"[\s\S]*Try: testferry --help\n$/
    ],
    [
      "a missing argument",
      ["echo"],
      /Missing required argument: text\n\nTry: testferry echo --help\n$/
    ],
    [
      "a number that is none",
      ["echo", "hi", "--times", "x"],
      /times[\s\S]*Try: testferry echo --help\n$/
    ],
    ["a group without a subcommand", ["--json"], /needs a subcommand/]
  ]
  it.live.each(wrong)("ends with 2 and only the error for %s", ([, args, said]) =>
    Effect.gen(function* () {
      const { status, stdout, stderr } = yield* run(...args)
      assert.strictEqual(status, 2)
      assert.match(stderr, said)
      assert.notInclude(stderr + stdout, "FLAGS")
      assert.strictEqual(stdout === "", !args.includes("--json"))
    })
  )

  it.live("is one JSON document with --json", () =>
    Effect.gen(function* () {
      const { status, stdout } = yield* run("echo", "--json")
      assert.strictEqual(status, 2)
      assert.deepInclude(refusedIn(stdout), { code: "E_USAGE", exit: 2 })
    })
  )

  it.live("is not the bare program, which shows its help and ends with 0", () =>
    Effect.gen(function* () {
      const { status, stdout, stderr } = yield* runCli(entry, [])
      assert.strictEqual(status, 0)
      assert.include(stdout, "FLAGS")
      assert.strictEqual(stderr, "")
    })
  )
})

describe("a fault of the program", () => {
  it.live("is told by a support code, with the trace in crash.log and not on the terminal", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const { status, stdout, stderr } = yield* runCli(entry, [
        "echo",
        "fault",
        "--data",
        directory
      ])
      assert.strictEqual(status, 1)
      assert.strictEqual(stdout, "")
      assert.match(
        stderr,
        /^error: Something went wrong inside testferry \(support code \w{4}-\w{4}\)/
      )
      assert.notMatch(stderr, /secret trace| at /)
      const [, code = "none"] = /support code (\S+)\)/.exec(stderr) ?? []
      const log = readFileSync(join(directory, "crash.log"), "utf8")
      assert.include(log, code)
      assert.match(log, /TypeError: secret trace\n {4}at /)
    })
  )

  it.live("outside of every effect is told in the same way", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const { status, stdout, stderr } = yield* runCli(entry, [
        "stray",
        "--json",
        "--data",
        directory
      ])
      assert.strictEqual(status, 1)
      assert.strictEqual(refusedIn(stdout).code, "E_UNEXPECTED")
      assert.notInclude(stderr, " at ")
      assert.include(readFileSync(join(directory, "crash.log"), "utf8"), "outside of every effect")
    })
  )

  it.live("is logged in a temporary folder when the data directory does not exist", () =>
    Effect.gen(function* () {
      const nowhere = join(yield* data, "missing")
      const refused = yield* crashRefusal(Cause.die(new Error("x")), nowhere, "1.0.0")
      const [, file = ""] = / and (\/.+crash\.log)\.$/.exec(refused.todo) ?? []
      assert.isTrue(existsSync(file))
      assert.isFalse(existsSync(nowhere))
      rmSync(join(file, ".."), { recursive: true })
    })
  )

  it.live("sets a large crash log aside", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const log = join(directory, "crash.log")
      writeFileSync(log, "x".repeat(1_000_001))
      yield* crashRefusal(Cause.die(new Error("x")), directory, "1.0.0")
      assert.isBelow(readFileSync(log).length, 100_000)
      assert.isTrue(existsSync(`${log}.old`))
    })
  )

  it("has the same code wherever the program is installed and whatever the message says", () => {
    const failed = (message: string, folder: string, line: number) => {
      const error = new TypeError(message)
      error.stack = `TypeError: ${message}\n    at pull (file://${folder}/application/pull.ts:${line}:3)`
      return supportCode(Cause.die(error))
    }
    assert.strictEqual(failed("id 7", "/opt/testferry", 12), failed("id 8", "/home/anna/t", 12))
    assert.notStrictEqual(
      failed("id 7", "/opt/testferry", 12),
      failed("id 7", "/opt/testferry", 13)
    )
  })

  it.live("is not what a full disk is called", () =>
    Effect.gen(function* () {
      const { status, stdout } = yield* run("echo", "full", "--json")
      assert.strictEqual(status, 1)
      assert.strictEqual(refusedIn(stdout).code, "E_DISK_FULL")
    })
  )
})

describe("a password", () => {
  it.live("is the first line of the file, without its line break", () =>
    Effect.gen(function* () {
      const file = join(yield* data, "password")
      writeFileSync(file, "geheim\r\nsecond line\n")
      assert.include((yield* run("login", "--password-file", file)).stdout, "6 characters")
    })
  )

  it.live("is the first line of standard input when that is no terminal", () =>
    Effect.gen(function* () {
      const { stdout } = yield* runCli(entry, ["login"], { stdin: "pässword\nmore\n" })
      assert.include(stdout, "8 characters")
    })
  )

  it.live("is refused when it is empty, too long, or not there", () =>
    Effect.gen(function* () {
      const directory = yield* data
      const file = join(directory, "password")
      writeFileSync(file, "x".repeat(5_000))
      const missing = join(directory, "missing")
      for (const args of [[], ["--password-file", file], ["--password-file", missing]]) {
        const { status, stdout } = yield* run("login", "--json", ...args)
        assert.strictEqual(status, 1)
        assert.strictEqual(refusedIn(stdout).code, "E_PASSWORD_MISSING")
      }
    })
  )
})

describe("a confirmation", () => {
  it.live("is refused where nobody can be asked, naming the flag to give", () =>
    Effect.gen(function* () {
      const { status, stderr } = yield* run("remove")
      assert.strictEqual(status, 2)
      assert.include(stderr, "Give --confirm-removals")
    })
  )
})

describe("a definition", () => {
  it.effect("refuses arguments of another shape before it runs", () =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(echo.answer({ text: 1 }))
      assert.deepInclude(refused, { code: "E_ARGUMENTS", exit: 2 })
    }).pipe(Effect.provide(layerVoice))
  )

  it.effect("carries dates, bytes and secrets through JSON and back", () =>
    Effect.gen(function* () {
      const Sent = Schema.Struct({
        at: Schema.DateTimeUtc,
        bytes: Schema.Uint8Array,
        password: Schema.RedactedFromValue(Schema.String)
      })
      const mirror = defineCommand({
        name: "mirror",
        side: "device",
        args: Sent,
        report: Sent,
        run: Effect.succeed
      })
      const sent = Schema.decodeUnknownSync(Schema.toCodecJson(Sent))({
        at: "2026-02-03T04:05:06.000Z",
        bytes: "AQID",
        password: "geheim"
      })
      const wire = JSON.parse(JSON.stringify(yield* mirror.encodeArgs(sent)))
      assert.deepStrictEqual(yield* mirror.decodeReport(yield* mirror.answer(wire)), sent)
    })
  )
})

/** Waits until a process has written this into a file. */
const noted = (file: string, text: string): Effect.Effect<void> =>
  Effect.suspend(() =>
    existsSync(file) && readFileSync(file, "utf8").includes(text)
      ? Effect.void
      : Effect.andThen(Effect.sleep(20), noted(file, text))
  )
