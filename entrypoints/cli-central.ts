/** The command tree of central: what an operator types, and what is shown for it. */
import { DateTime, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { EntityId, OrganisationId } from "../domain/id.ts"
import { type ImportReport, reportLines } from "../domain/import-report.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import * as Commands from "./central-commands.ts"
import { type CentralInitReport, initCentral } from "./central-init.ts"
import { serveCentral } from "./central-serve.ts"
import { answer, shared } from "./cli-run.ts"
import type { Command as Definition } from "./command.ts"
import { dispatch } from "./dispatch.ts"
import { readCentral } from "./settings.ts"
import { showHistory } from "./show.ts"
import { table } from "./terminal.ts"
import { acquire, type CentralPorts, layerCentral } from "./wiring.ts"

/** Runs a command of central here, or in the server that owns the data directory. */
export const atCentral = Effect.fnUntraced(function* <Args, Report>(
  command: Definition<Args, Report, CentralPorts>,
  args: Args
) {
  const { data: directory } = yield* shared
  const settings = yield* readCentral(directory)
  return yield* dispatch({
    directory,
    version: PROGRAM_VERSION,
    command,
    args,
    acquire: acquire(directory),
    local: layerCentral(directory, settings)
  })
})

const answerAtCentral = <Args, Report, R extends CentralPorts>(
  command: Definition<Args, Report, R>,
  args: Args,
  show: (report: Report) => string
) => answer({ run: atCentral(command, args), encode: command.encodeReport, show })

const init = Command.make(
  "init",
  {
    setup: Flag.File("setup", { mustExist: true }).pipe(
      Flag.optional,
      Flag.withDescription("Settings in one JSON file (docs/operations.md)")
    ),
    database: Flag.String("database").pipe(
      Flag.optional,
      Flag.withDescription("postgres://… for a larger central; embedded otherwise")
    ),
    url: Flag.String("url").pipe(
      Flag.optional,
      Flag.withDescription("Central's public address, by which devices know it")
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { data: directory } = yield* shared
    yield* answer({
      run: initCentral({ directory, ...flags }),
      encode: encodeInit,
      show: (report) =>
        [
          report.created ? `Central is set up in ${directory}.` : "Central was set up before.",
          `  address      ${report.url}`,
          `  database     ${report.database}`,
          ...(report.administrator === null ? [] : [`  administrator  ${report.administrator}`]),
          `  certificate  ${report.certificate}`,
          `  root key     ${report.rootWords}`,
          "Tell schools the certificate's fingerprint; their devices ask for it once."
        ].join("\n")
    })
  })
).pipe(Command.withDescription("Set up central in the data directory; safe to repeat"))

const encodeInit = (report: CentralInitReport) => Effect.succeed({ ...report })

const serve = Command.make(
  "serve",
  {
    host: Flag.String("host").pipe(Flag.withDefault("127.0.0.1")),
    port: Flag.Int("port").pipe(Flag.withDefault(8443)),
    tlsCert: Flag.File("tls-cert", { mustExist: true }).pipe(Flag.optional),
    tlsKey: Flag.File("tls-key", { mustExist: true }).pipe(Flag.optional),
    insecureHttp: Flag.Boolean("insecure-http").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Plain HTTP: for loopback, or behind a proxy that speaks TLS")
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { data: directory } = yield* shared
    yield* serveCentral({ directory, ...flags })
  })
).pipe(Command.withDescription("Serve devices over HTTPS until interrupted"))

const file = Argument.File("file", { mustExist: true })
const importFlags = {
  file,
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Check everything and change nothing")
  ),
  keepGoing: Flag.Boolean("keep-going").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Keep the good rows although others are wrong (exit status 3)")
  )
}

const showImport = (dryRun: boolean) => (imported: { report: ImportReport; applied: boolean }) =>
  [
    ...reportLines(imported.report),
    ...(dryRun ? ["Nothing was changed: this was a dry run."] : [])
  ].join("\n")

const importUsers = Command.make(
  "users",
  {
    ...importFlags,
    type: Flag.Literals("type", ["test-taker", "proctor", "test-center-admin", "sync-manager"]),
    passwordsOut: Flag.String("passwords-out").pipe(
      Flag.optional,
      Flag.withDescription("Where to write passwords that central makes (mode 0600)")
    ),
    weakPasswords: Flag.Boolean("weak-passwords").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Accept short passwords: whoever has the device can guess them")
    )
  },
  ({ dryRun, passwordsOut, ...rest }) =>
    answerAtCentral(
      Commands.importUsers,
      { ...rest, dryRun, passwordsOut: Option.getOrNull(Option.map(passwordsOut, absolute)) },
      showImport(dryRun)
    )
).pipe(Command.withDescription("Import users of one type by TAO's CSV columns"))

const absolute = (name: string): string =>
  name.startsWith("/") ? name : `${process.cwd()}/${name}`

const importTestCenters = Command.make("test-centers", importFlags, (args) =>
  answerAtCentral(Commands.importTestCenters, args, showImport(args.dryRun))
).pipe(Command.withDescription("Import test centers by TAO's CSV columns"))

const importEligibilities = Command.make("eligibilities", importFlags, (args) =>
  answerAtCentral(Commands.importEligibilityRows, args, showImport(args.dryRun))
).pipe(Command.withDescription("Import who may sit which delivery where"))

const moment = (name: string) =>
  Flag.String(name).pipe(
    Flag.optional,
    Flag.withDescription(`${name === "from" ? "First" : "Last"} moment, as 2026-11-21T08:00:00Z`)
  )

const millis = (name: string, text: Option.Option<string>) =>
  Option.match(text, {
    onNone: () => Effect.succeed(null),
    onSome: (given) =>
      Option.match(DateTime.make(given), {
        onNone: () =>
          Effect.fail(
            new Refused({
              code: "E_USAGE",
              what: "Nothing was published.",
              why: `--${name} "${given}" is not a moment.`,
              todo: "Write it as 2026-11-21T08:00:00Z.",
              exit: 2
            })
          ),
        onSome: (at) => Effect.succeed(DateTime.toEpochMillis(at))
      })
  })

const publish = Command.make(
  "publish",
  {
    file: Argument.File("package", { mustExist: true }),
    id: Flag.String("id").pipe(
      Flag.optional,
      Flag.withDescription("Names the delivery; the same id again makes its next content version")
    ),
    label: Flag.String("label").pipe(Flag.optional),
    from: moment("from"),
    to: moment("to"),
    maxExecutions: Flag.Int("max-executions").pipe(Flag.optional),
    proctored: Flag.Boolean("proctored").pipe(Flag.withDefault(false)),
    dryRun: Flag.Boolean("dry-run").pipe(Flag.withDefault(false))
  },
  Effect.fnUntraced(function* ({ from, id, label, maxExecutions, to, ...rest }) {
    const args = {
      ...rest,
      id: Option.getOrNull(id),
      label: Option.getOrNull(label),
      maxExecutions: Option.getOrNull(maxExecutions),
      from: yield* millis("from", from),
      to: yield* millis("to", to)
    }
    yield* answerAtCentral(Commands.publishPackage, args, (report) =>
      [
        ...report.warnings.map((warning) => `warning: ${warning}`),
        `${report.applied ? "Published" : "Would publish"} "${report.label}" as ${report.id}: ` +
          `QTI ${report.qti}, ${report.items} items, content version ${report.version}` +
          (report.content === "same" ? " (the content is as before)" : "")
      ].join("\n")
    )
  })
).pipe(Command.withDescription("Publish a QTI content package as a delivery"))

const remove = Command.make(
  "remove",
  { ids: Argument.String("id").pipe(Argument.variadic({ min: 1 })) },
  ({ ids }) =>
    answerAtCentral(
      Commands.removeEntities,
      { ids: ids.map((id) => EntityId.make(id)) },
      ({ removed }) => `${removed} removed.`
    )
).pipe(Command.withDescription("Remove people, centers, deliveries or eligibilities by id"))

const showClients = (report: {
  readonly clients: ReadonlyArray<{
    readonly id: string
    readonly name: string
    readonly organisations: ReadonlyArray<string>
    readonly state: string
    readonly lastSeenAt: number | null
    readonly program: string | null
  }>
}) =>
  table(
    ["ID", "NAME", "ORGANISATIONS", "STATE", "LAST SEEN", "VERSION"],
    report.clients.map((client) => [
      client.id,
      client.name,
      client.organisations.join(", "),
      client.state,
      client.lastSeenAt === null ? "never" : new Date(client.lastSeenAt).toISOString(),
      client.program ?? ""
    ])
  )

const change = (name: "block" | "unblock" | "revoke", description: string) =>
  Command.make(name, { id: Argument.String("id") }, ({ id }) =>
    answerAtCentral(
      Commands.devicesChange,
      { id, change: name, name: null },
      () => `${id}: ${name}ed`
    )
  ).pipe(Command.withDescription(description))

const devices = Command.make("devices").pipe(
  Command.withDescription("Devices that are enrolled"),
  Command.withSubcommands([
    Command.make("list", {}, () => answerAtCentral(Commands.devicesList, {}, showClients)),
    change("block", "Refuse a device until it is unblocked"),
    change("unblock", "Let a blocked device in again"),
    change("revoke", "Refuse a device for good"),
    Command.make(
      "rename",
      { id: Argument.String("id"), name: Argument.String("name") },
      ({ id, name }) =>
        answerAtCentral(
          Commands.devicesChange,
          { id, change: "rename", name },
          () => `${id}: ${name}`
        )
    )
  ])
)

const generate = Command.make(
  "generate",
  {
    organisations: Flag.String("organisation").pipe(
      Flag.withDescription("An organisation id; give the flag again for more"),
      Flag.atLeast(1)
    ),
    name: Flag.String("name").pipe(Flag.withDefault("credential"))
  },
  Effect.fnUntraced(function* ({ name, organisations }) {
    const { data } = yield* shared
    const { url } = yield* readCentral(data)
    const args = { name, organisations: organisations.map((one) => OrganisationId.make(one)) }
    yield* answer({
      run: Effect.gen(function* () {
        const { key, secret } = yield* atCentral(Commands.credentialsGenerate, args)
        return { key, secret, tokenUrl: `${url}/oauth/token` }
      }),
      encode: ({ key, secret, tokenUrl }) => Effect.succeed({ key, secret, tokenUrl }),
      show: ({ key, secret, tokenUrl }) =>
        [
          `key       ${key}`,
          `secret    ${secret}`,
          `tokenUrl  ${tokenUrl}`,
          "The secret is shown this once only."
        ].join("\n")
    })
  })
).pipe(Command.withDescription("Make an OAuth credential for some organisations"))

const credentials = Command.make("credentials").pipe(
  Command.withDescription("OAuth credentials for integrators and for enrolment without a login"),
  Command.withSubcommands([
    generate,
    Command.make("list", {}, () => answerAtCentral(Commands.credentialsList, {}, showClients)),
    Command.make("revoke", { key: Argument.String("key") }, ({ key }) =>
      answerAtCentral(Commands.credentialsRevoke, { key }, () => `${key} is revoked.`)
    )
  ])
)

export const centralTree = Command.make("central").pipe(
  Command.withDescription("The central server: catalogue, devices, credentials"),
  Command.withSubcommands([
    init,
    serve,
    Command.make("import").pipe(
      Command.withDescription("Import people, test centers and eligibilities from CSV"),
      Command.withSubcommands([importUsers, importTestCenters, importEligibilities])
    ),
    publish,
    remove,
    devices,
    credentials
  ])
)

export const centralHistory = (limit: number) =>
  answerAtCentral(Commands.centralHistory, { limit }, showHistory)
