/** Runs Testferry as people run it: the launcher, in a process of its own, on a data directory. */
import fs from "node:fs"
import { join } from "node:path"
import { assert } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { initCentral } from "../../entrypoints/central-init.ts"
import { readCentral, readDevice, write } from "../../entrypoints/settings.ts"
import { type Ended, type Options, startProgram } from "./cli.ts"
import { freshFolder } from "./database.ts"
import { freePort } from "./free-port.ts"
import { copyOf } from "./prepared.ts"
import * as Real from "./real-central.ts"

const ROOT = join(import.meta.dirname, "../..")
export const DEMO = join(ROOT, "entrypoints/demo")

/** Starts a command on a data directory; kills it when the scope closes. */
export const start = (data: string, args: ReadonlyArray<string>, options: Options = {}) =>
  startProgram(join(ROOT, "testferry"), ["--data", data, ...args], options)

/** Runs a command to its end. */
export const run = (data: string, args: ReadonlyArray<string>, options: Options = {}) =>
  start(data, args, options).pipe(
    Effect.flatMap((started) => started.ended),
    Effect.scoped
  )

/** Runs a command that must succeed, and gives what it printed. */
export const done = Effect.fnUntraced(function* (data: string, ...args: ReadonlyArray<string>) {
  const { status, stderr, stdout } = yield* run(data, args)
  assert.strictEqual(status, 0, `${args.join(" ")}: ${stderr}${stdout}`)
  return stdout
})

export interface Answered extends Ended {
  /** The one JSON document that was printed. */
  readonly json: Document
}

/** What tests look for in reports and refusals; unchecked, since the form is what is tested. */
export interface Document {
  readonly [member: string]: unknown
  readonly refused?: { readonly code: string; readonly why: string; readonly todo: string }
}

const readDocument = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))
)

/** Runs a command with `--json`: whatever happens, it must print exactly one JSON document. */
export const json = Effect.fnUntraced(function* (
  data: string,
  args: ReadonlyArray<string>,
  options: Options = {}
) {
  const ended = yield* run(data, [...args, "--json"], options)
  const lines = ended.stdout.split("\n")
  assert.deepStrictEqual([lines.length, lines[1]], [2, ""], `${args.join(" ")}: ${ended.stdout}`)
  const document: Document = readDocument(lines[0])
  assert.strictEqual(
    "refused" in document,
    ended.status === 1 || ended.status === 2 || ended.status === 130
  )
  return { ...ended, json: document } satisfies Answered
})

/** Runs a command that must succeed with `--json`, and gives its report. */
export const report = Effect.fnUntraced(function* (data: string, ...args: ReadonlyArray<string>) {
  const { json: document, status, stderr } = yield* json(data, args)
  assert.deepStrictEqual([status, stderr], [0, ""], `${args.join(" ")}: ${stderr}`)
  return document
})

/** Runs a command that must be refused with this code: in words on stderr, as JSON on stdout. */
export const refused = Effect.fnUntraced(function* (
  data: string,
  code: string,
  args: ReadonlyArray<string>,
  options: Options & { readonly status?: number } = {}
) {
  const answered = yield* json(data, args, options)
  const { status } = answered
  assert.deepStrictEqual(
    [answered.json.refused?.code, status],
    [code, options.status ?? 1],
    answered.stderr
  )
  assert.match(answered.stderr, /error: .+\n {2}why: [\s\S]+\n {2}do: .+/u)
  assert.notMatch(answered.stderr, /^\s+at .+:\d+:\d+/mu, "a stack is for the crash log")
  return answered
})

/** Every file of a directory with its bytes in hex, for "nothing changed". */
export const filesOf = (directory: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    fs
      .readdirSync(directory, { recursive: true, encoding: "utf8" })
      .filter((name) => fs.statSync(join(directory, name)).isFile())
      .sort()
      .map((name) => [name, fs.readFileSync(join(directory, name)).toString("hex")])
  )

export interface Office {
  readonly data: string
  readonly port: number
  readonly url: string
  readonly fingerprint: string
  /** The password that central made for a login; in a file, as `--password-file` wants it. */
  readonly passwordOf: (login: string) => string
  readonly passwordFile: (login: string) => string
}

/**
 * A central with the demonstration's catalogue, set up once per run and copied. It is called by
 * `address`, or else by the port on which it is to be served.
 */
export const office = Effect.fnUntraced(function* (address?: string) {
  return yield* opened(yield* copyOf("office", fillOffice), address)
})

export interface School extends Office {
  readonly device: string
}

/** An office with a device that `sync.fleuves` has enrolled and that never synchronised. */
export const school = Effect.fnUntraced(function* (address?: string) {
  const folder = yield* copyOf("school", fillSchool)
  const central = yield* opened(join(folder, "central"), address)
  const device = join(folder, "device")
  yield* write(device, { ...(yield* readDevice(device)), rootUrl: central.url })
  return { ...central, device } satisfies School
})

const fillSchool = Effect.fnUntraced(function* (folder: string) {
  const central = yield* office()
  const server = yield* serve(central)
  const device = yield* enrolled(central)
  server.process.kill("SIGTERM")
  yield* server.ended
  fs.cpSync(central.data, join(folder, "central"), { recursive: true })
  fs.cpSync(device, join(folder, "device"), { recursive: true })
})

const opened = Effect.fnUntraced(function* (data: string, address?: string) {
  const port = yield* freePort
  const url = address ?? `https://127.0.0.1:${port}`
  yield* write(data, { ...(yield* readCentral(data)), url })
  const folder = yield* freshFolder()
  const passwordOf = (login: string) => {
    const line = fs
      .readFileSync(join(data, "passwords.csv"), "utf8")
      .split("\n")
      .find((each) => each.startsWith(`${login},`))
    return line?.slice(login.length + 1) ?? ""
  }
  const passwordFile = (login: string) => {
    const file = join(folder, login)
    fs.writeFileSync(file, `${passwordOf(login)}\n`)
    return file
  }
  const fingerprint = fs.readFileSync(join(data, "fingerprint"), "utf8")
  return { data, port, url, fingerprint, passwordOf, passwordFile } satisfies Office
})

const fillOffice = Effect.fnUntraced(function* (data: string) {
  const setup = join(data, "setup.json")
  fs.writeFileSync(
    setup,
    JSON.stringify({ configuration: { testferry: { passwordCost: Real.COST } } })
  )
  const none = Option.none<string>()
  const { certificate } = yield* initCentral({
    directory: data,
    setup: Option.some(setup),
    database: none,
    url: none
  })
  fs.writeFileSync(join(data, "fingerprint"), certificate)
  yield* Real.importDemo(join(data, "passwords.csv")).pipe(
    Effect.provide(Real.openCentral(data), { local: true })
  )
})

/** Serves an office until the scope closes. Its log is what it has written to standard error. */
export const serve = Effect.fnUntraced(function* (
  { data, port }: Pick<Office, "data" | "port">,
  options: Options = {}
) {
  const server = yield* start(data, ["central", "serve", "--port", String(port)], options)
  yield* server.says("Certificate SHA-256")
  return server
})

/** A device that was set up, and is not enrolled yet. */
export const newDevice = Effect.fnUntraced(function* ({ url }: Pick<Office, "url">) {
  const data = join(yield* freshFolder(), "device")
  yield* done(data, "device", "init", "--root-url", url, "--name", "Room 12")
  return data
})

export const enrolArgs = (
  { fingerprint, passwordFile }: Office,
  login = "sync.fleuves"
): ReadonlyArray<string> => [
  ...["device", "enrol", "--login", login, "--password-file", passwordFile(login)],
  ...["--fingerprint", fingerprint]
]

export const enrolled = Effect.fnUntraced(function* (central: Office, login?: string) {
  const data = yield* newDevice(central)
  yield* done(data, ...enrolArgs(central, login))
  return data
})
