/**
 * The command tree of a device: what a school's IT person types, and what is shown for it. As with
 * central's, what a command does is loaded when it runs.
 */
import fs from "node:fs"
import { Effect, Option, Redacted, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { CLIENT_NAME_MAX } from "../domain/enrolment.ts"
import { KINDS } from "../domain/entity.ts"
import { Text } from "../domain/id.ts"
import { RECORD_KINDS } from "../domain/ledger.ts"
import { answerAtDevice } from "./at-device.ts"
import { centralHistory } from "./cli-central.ts"
import { answer, shared } from "./cli-run.ts"
import { acceptByStick, requestByStick } from "./cli-stick-enrol.ts"
import type * as DeviceCommands from "./device-commands.ts"
import { readDevice, sideOf } from "./settings.ts"
import { showHistory, showSimulated, showStatus, showSync } from "./show.ts"
import { table } from "./terminal.ts"
import { askPassword, confirm } from "./terminal-prompt.ts"
import { byteSize } from "./terminal-units.ts"

const init = Command.make(
  "init",
  {
    setup: Flag.File("setup", { mustExist: true }).pipe(Flag.optional),
    rootUrl: Flag.String("root-url").pipe(
      Flag.optional,
      Flag.withDescription("Central's address, https://…")
    ),
    name: Flag.String("name").pipe(
      Flag.withSchema(Text(CLIENT_NAME_MAX)),
      Flag.optional,
      Flag.withDescription("What the office shall call this device")
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { data: directory } = yield* shared
    const { initDevice } = yield* Effect.promise(() => import("./device-init.ts"))
    yield* answer({
      run: initDevice({ directory, ...flags }),
      encode: (report) => Effect.succeed({ ...report }),
      show: (report) =>
        `${report.created ? "The device is set up" : "The device was set up before"} in ${directory}.\n` +
        `Next: testferry device enrol --login LOGIN (of a sync manager)`
    })
  })
).pipe(Command.withDescription("Set up a device in the data directory; safe to repeat"))

const enrol = Command.make(
  "enrol",
  {
    login: Flag.String("login").pipe(
      Flag.optional,
      Flag.withDescription("Login of a sync manager; the password is asked for")
    ),
    passwordFile: Flag.File("password-file", { mustExist: true }).pipe(Flag.optional),
    credentials: Flag.String("credentials").pipe(
      Flag.optional,
      Flag.withDescription("KEY:SECRET-FILE instead of a login")
    ),
    fingerprint: Flag.String("fingerprint").pipe(
      Flag.optional,
      Flag.withDescription("Central's certificate fingerprint, as the office told you")
    ),
    request: Flag.Directory("request", { mustExist: true }).pipe(
      Flag.optional,
      Flag.withDescription("Without a network: leave a request on this stick")
    ),
    certificate: Flag.Directory("certificate", { mustExist: true }).pipe(
      Flag.optional,
      Flag.withDescription("Without a network: take central's answer from this stick")
    ),
    yes: Flag.Boolean("yes").pipe(
      Flag.withDefault(false),
      Flag.withDescription("With --certificate: central's words were compared already")
    )
  },
  Effect.fnUntraced(function* ({ certificate, request, yes, ...flags }) {
    const { credentials, fingerprint, login, passwordFile } = flags
    const { data } = yield* shared
    const { name } = yield* readDevice(data)
    if (Option.isSome(request)) return yield* requestByStick(name, request.value)
    if (Option.isSome(certificate)) return yield* acceptByStick(certificate.value, yes)
    const { settleTrust } = yield* Effect.promise(() => import("./device-init.ts"))
    yield* settleTrust(data, fingerprint)
    const proof = yield* proofOf(login, passwordFile, credentials)
    yield* answerAtDevice(
      (commands, reach) => commands.enrolCommand(reach),
      { name, ...proof },
      ({ device, organisations }) =>
        `Enrolled as ${device} for ${organisations.join(", ")}.\nNext: testferry sync`
    )
  })
).pipe(Command.withDescription("Make this device a member of a sync manager's organisation"))

const trust = Command.make(
  "trust",
  {
    fingerprint: Flag.String("fingerprint").pipe(
      Flag.withDescription("The new fingerprint, as the office told you on another way")
    )
  },
  Effect.fnUntraced(function* ({ fingerprint }) {
    const { data } = yield* shared
    yield* answer({
      run: Effect.gen(function* () {
        const { settleTrust } = yield* Effect.promise(() => import("./device-init.ts"))
        const trusted = yield* settleTrust(data, Option.some(fingerprint))
        return { fingerprint: trusted ?? "" }
      }),
      encode: (report) => Effect.succeed({ ...report }),
      show: (report) => `From now on this device trusts ${report.fingerprint}.`
    })
  })
).pipe(Command.withDescription("Trust central's new certificate, after the office confirmed it"))

const NO_PROOF = { login: null, password: null, key: null, secret: null }

const proofOf = Effect.fnUntraced(function* (
  login: Option.Option<string>,
  passwordFile: Option.Option<string>,
  credentials: Option.Option<string>
) {
  if (Option.isSome(credentials)) {
    const [key, ...rest] = credentials.value.split(":")
    const secret = yield* readSecret(rest.join(":"))
    return { ...NO_PROOF, key: key ?? "", secret }
  }
  if (Option.isNone(login)) return NO_PROOF
  const message = `Password of ${login.value}`
  const password = yield* askPassword({ message, file: passwordFile })
  return { ...NO_PROOF, login: login.value, password }
})

const readSecret = (name: string) =>
  Effect.try({
    try: () => Redacted.make(fs.readFileSync(name, "utf8").trim()),
    catch: () =>
      new Refused({
        code: "E_USAGE",
        what: "The device was not enrolled.",
        why: `The secret can't be read from "${name}".`,
        todo: "Give --credentials KEY:SECRET-FILE, with the secret alone in that file.",
        exit: 2
      })
  })

const open = Command.make(
  "open",
  {
    login: Flag.String("login"),
    passwordFile: Flag.File("password-file", { mustExist: true }).pipe(Flag.optional)
  },
  Effect.fnUntraced(function* ({ login, passwordFile }) {
    const password = yield* askPassword({ message: `Password of ${login}`, file: passwordFile })
    yield* answerAtDevice((commands) => commands.openCommand, { login, password }, showOpened)
  })
).pipe(Command.withDescription("Show what a login may read on this device"))

type Opened = Effect.Success<ReturnType<(typeof DeviceCommands.openCommand)["run"]>>

const showOpened = ({ organisations }: Opened): string =>
  organisations
    .map(({ deliveries, kind, organisation, profile, roster }) =>
      [
        `${profile.label} (${kind} of ${organisation})`,
        `  login ${profile.login}, language ${profile.interfaceLanguage}`,
        ...(deliveries.length === 0
          ? []
          : [
              table(
                ["DELIVERY", "MAY BE SAT", "PROCTORED", "CONTENT"],
                deliveries.map(({ content, delivery, eligibility, sitting }) => [
                  delivery.label,
                  sitting === "open" ? "now" : sitting,
                  eligibility.proctored || delivery.proctored ? "yes" : "no",
                  typeof content === "string"
                    ? content
                    : `opened: ${content.files} files, read ${content.name} (${byteSize(content.bytes)})`
                ])
              )
            ]),
        ...roster.map(({ center, people }) =>
          [
            `Roster of ${center}`,
            table(
              ["LOGIN", "NAME"],
              people.map((person) => [person.login, person.label])
            )
          ].join("\n")
        )
      ].join("\n")
    )
    .join("\n\n")

const serve = Command.make(
  "serve",
  {
    host: Flag.String("host").pipe(Flag.withDefault("127.0.0.1")),
    port: Flag.Int("port").pipe(
      Flag.withDefault(8480),
      Flag.withDescription("Where test runners and proctors find it; 0 takes any free port")
    ),
    tlsCert: Flag.File("tls-cert", { mustExist: true }).pipe(Flag.optional),
    tlsKey: Flag.File("tls-key", { mustExist: true }).pipe(Flag.optional),
    insecureHttp: Flag.Boolean("insecure-http").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Plain HTTP also to other machines: only behind a proxy that speaks TLS")
    ),
    syncEvery: Flag.String("sync-every").pipe(
      Flag.withSchema(Schema.DurationFromString),
      Flag.optional,
      Flag.withDescription('Synchronise by itself, for instance every "15 minutes"')
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { data: directory } = yield* shared
    const { serveDevice } = yield* Effect.promise(() => import("./device-serve.ts"))
    return yield* serveDevice({ directory, ...flags })
  })
).pipe(Command.withDescription("Run the device until interrupted"))

const simulate = Command.make(
  "simulate-session",
  {
    login: Flag.String("login").pipe(Flag.withDescription("Login of a test-taker")),
    passwordFile: Flag.File("password-file", { mustExist: true }).pipe(Flag.optional),
    delivery: Flag.String("delivery").pipe(
      Flag.optional,
      Flag.withDescription("Which delivery; otherwise the first that may be sat")
    ),
    answers: Flag.File("answers", { mustExist: true }).pipe(
      Flag.optional,
      Flag.withDescription('JSON: {"item": ["value"]}; what is not in it is made up')
    )
  },
  Effect.fnUntraced(function* ({ answers, delivery, login, passwordFile }) {
    const given = Option.isNone(answers) ? {} : yield* readAnswers(answers.value)
    const password = yield* askPassword({ message: `Password of ${login}`, file: passwordFile })
    const { simulateCommand } = yield* Effect.promise(() => import("./simulate-session.ts"))
    const args = { login, password, delivery: Option.getOrNull(delivery), answers: given }
    yield* answerAtDevice(() => simulateCommand, args, showSimulated)
  })
).pipe(Command.withDescription("Sit a delivery with plausible answers, as a rehearsal"))

const readAnswers = (name: string) =>
  Effect.try({
    try: () => fs.readFileSync(name, "utf8"),
    catch: (cause) => wrongAnswers(name, String(cause))
  }).pipe(
    Effect.flatMap((text) =>
      Effect.mapError(decodeAnswers(text), ({ message }) => wrongAnswers(name, message))
    )
  )

const decodeAnswers = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Record(Schema.String, Schema.NullOr(Schema.Array(Schema.String))))
)

const wrongAnswers = (name: string, why: string) =>
  new Refused({
    code: "E_ANSWERS",
    what: "No session was begun.",
    why: `The answers in ${name} can't be read: ${why}`,
    todo: 'Write them as JSON: {"item": ["value"], "other.RESPONSE": ["a b"]}.',
    exit: 2
  })

export const deviceTree = Command.make("device").pipe(
  Command.withDescription("The offline device in a school"),
  Command.withSubcommands([init, enrol, trust, open, serve, simulate])
)

export const syncTree = Command.make(
  "sync",
  {
    types: Flag.Literals("type", [...KINDS, ...RECORD_KINDS]).pipe(
      Flag.atLeast(0),
      Flag.withDescription(
        "Bring only these kinds (and what they refer to) and remove nothing; send only these records"
      )
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Show what would change, and change nothing")
    ),
    confirmRemovals: Flag.Boolean("confirm-removals").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Allow more than a tenth of what is here to be removed")
    ),
    endSessions: Flag.Literals("end-sessions", ["pause", "terminate"]).pipe(
      Flag.optional,
      Flag.withDescription("First pause or terminate what is being sat; otherwise it goes on")
    ),
    yes: Flag.Boolean("yes").pipe(
      Flag.withDefault(false),
      Flag.withDescription("End sessions without asking")
    )
  },
  Effect.fnUntraced(function* ({ confirmRemovals, dryRun, endSessions, types, yes }) {
    if (Option.isSome(endSessions) && !dryRun && !yes) yield* sureToEnd(endSessions.value)
    yield* answerAtDevice(
      (commands, reach) => commands.syncCommand(reach),
      {
        confirmRemovals,
        dryRun,
        kinds: types.length === 0 ? null : KINDS.filter((kind) => types.includes(kind)),
        records: types.length === 0 ? null : RECORD_KINDS.filter((kind) => types.includes(kind)),
        ...(Option.isSome(endSessions) && { endSessions: endSessions.value })
      },
      showSync
    )
  })
).pipe(Command.withDescription("Fetch from central what this device needs, and send what it owes"))

const sureToEnd = Effect.fnUntraced(function* (how: "pause" | "terminate") {
  const message = `${how === "pause" ? "Pause" : "Terminate"} every session on this device now?`
  if (yield* confirm({ message, flag: "--yes" })) return
  return yield* new Refused({
    code: "E_NOT_CONFIRMED",
    what: "No session was ended, and nothing was synchronised.",
    why: "You did not say yes.",
    todo: 'Run "testferry sync" without --end-sessions: it touches no session.'
  })
})

export const statusTree = Command.make("status", {}, () =>
  answerAtDevice((commands) => commands.statusCommand, {}, showStatus)
).pipe(Command.withDescription("What this device holds, and when it last changed"))

export const historyTree = Command.make(
  "history",
  {
    limit: Flag.Int("limit").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThan(0))),
      Flag.withDefault(20)
    )
  },
  Effect.fnUntraced(function* ({ limit }) {
    const { data } = yield* shared
    if (sideOf(data) === "central") return yield* centralHistory(limit)
    return yield* answerAtDevice((commands) => commands.deviceHistory, { limit }, showHistory)
  })
).pipe(Command.withDescription("What happened lately"))
