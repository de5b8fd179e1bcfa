/**
 * The command tree of central: what an operator types, and what is shown for it.
 *
 * What a command does is loaded when it runs: asking for help or for another command's work must not
 * cost the time it takes to load a server.
 */
import { DateTime, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { KINDS, LABEL_MAX } from "../domain/entity.ts"
import { DeliveryName, EntityId, Millis, OrganisationId, Text } from "../domain/id.ts"
import { type ImportReport, reportLines } from "../domain/import-report.ts"
import { answerAtCentral } from "./at-central.ts"
import type { CentralInitReport } from "./central-init.ts"
import { accounts } from "./cli-accounts.ts"
import { credentials, devices } from "./cli-clients.ts"
import { contentsTree, convertTree } from "./cli-packages.ts"
import { centralKeysTree } from "./cli-results-keys.ts"
import { revocationsTree, revokeBundleTree } from "./cli-revocations.ts"
import { rootTree } from "./cli-root.ts"
import { answer, shared } from "./cli-run.ts"
import { Positive } from "./command.ts"
import { howToSign } from "./root-files.ts"
import { showHistory } from "./show.ts"
import { table } from "./terminal.ts"
import { askPassword } from "./terminal-prompt.ts"

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
    ),
    rootKeys: Flag.String("root-keys").pipe(
      Flag.optional,
      Flag.withDescription("Public keys of offline root holders: A.pub,B.pub,C.pub")
    ),
    rootThreshold: Flag.Int("root-threshold").pipe(
      Flag.optional,
      Flag.withDescription("How many of these holders must sign a root document")
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { data: directory } = yield* shared
    const { initCentral } = yield* Effect.promise(() => import("./central-init.ts"))
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
          "Tell schools the certificate's fingerprint; their devices ask for it once.",
          ...(report.rootToSign === null
            ? []
            : [`Before any device can be enrolled: ${howToSign(report.rootToSign)}`])
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
    const { serveCentral } = yield* Effect.promise(() => import("./central-serve.ts"))
    return yield* serveCentral({ directory, ...flags })
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
      (commands) => commands.importUsers,
      { ...rest, dryRun, passwordsOut: Option.getOrNull(Option.map(passwordsOut, absolute)) },
      showImport(dryRun)
    )
).pipe(Command.withDescription("Import users of one type by TAO's CSV columns"))

const absolute = (name: string): string =>
  name.startsWith("/") ? name : `${process.cwd()}/${name}`

const importTestCenters = Command.make("test-centers", importFlags, (args) =>
  answerAtCentral((commands) => commands.importTestCenters, args, showImport(args.dryRun))
).pipe(Command.withDescription("Import test centers by TAO's CSV columns"))

const importEligibilities = Command.make("eligibilities", importFlags, (args) =>
  answerAtCentral((commands) => commands.importEligibilityRows, args, showImport(args.dryRun))
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
          wrongPeriod(`--${name} "${given}" is not a moment.`, "Write it as 2026-11-21T08:00:00Z."),
        onSome: (at) =>
          isMillis(DateTime.toEpochMillis(at))
            ? Effect.succeed(DateTime.toEpochMillis(at))
            : wrongPeriod(`--${name} "${given}" is too far away.`, "Name a year from 1970 to 9999.")
      })
  })

const wrongPeriod = (why: string, todo: string) =>
  Effect.fail(new Refused({ code: "E_USAGE", what: "Nothing was published.", why, todo, exit: 2 }))

const isMillis = Schema.is(Millis)

const publish = Command.make(
  "publish",
  {
    file: Argument.File("package", { mustExist: true }),
    id: Flag.String("id").pipe(
      Flag.withSchema(DeliveryName),
      Flag.optional,
      Flag.withDescription("Names the delivery; the same id again makes its next content version")
    ),
    label: Flag.String("label").pipe(Flag.withSchema(Text(LABEL_MAX)), Flag.optional),
    from: moment("from"),
    to: moment("to"),
    maxExecutions: Flag.Int("max-executions").pipe(Flag.withSchema(Positive), Flag.optional),
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
    if (args.from !== null && args.to !== null && args.from >= args.to) {
      return yield* wrongPeriod("--to is not later than --from.", "Correct one of them.")
    }
    yield* answerAtCentral(
      (commands) => commands.publishPackage,
      args,
      (report) =>
        [
          ...report.warnings.map((warning) => `warning: ${warning}`),
          `${report.applied ? "Published" : "Would publish"} "${report.label}" as ${report.id}: ` +
            `QTI ${report.qti}${report.was === report.qti ? "" : ` made from ${report.was}`}, ` +
            `${report.items} items, content version ${report.version}` +
            (report.content === "same" ? " (the content is as before)" : "")
        ].join("\n")
    )
  })
).pipe(Command.withDescription("Publish a QTI content package as a delivery"))

const remove = Command.make(
  "remove",
  { ids: Argument.String("id").pipe(Argument.withSchema(EntityId), Argument.variadic({ min: 1 })) },
  (args) =>
    answerAtCentral(
      (_, catalogue) => catalogue.removeEntities,
      args,
      ({ removed }) => `${removed} removed.`
    )
).pipe(Command.withDescription("Remove people, centers, deliveries or eligibilities by id"))

const list = Command.make(
  "list",
  {
    kind: Argument.Literals(
      "kind",
      KINDS.filter((kind) => kind !== "key-wrap")
    ),
    limit: Flag.Int("limit").pipe(Flag.withSchema(Positive), Flag.withDefault(1_000))
  },
  (args) =>
    answerAtCentral(
      (_, catalogue) => catalogue.listEntities,
      args,
      ({ more, records }) =>
        [
          table(
            ["ID", "LABEL", "LOGIN", "ORGANISATION"],
            records.map((one) => [one.id, one.label ?? "", one.login ?? "", one.organisation ?? ""])
          ),
          ...(more ? [`There are more: raise --limit ${args.limit}.`] : [])
        ].join("\n")
    )
).pipe(Command.withDescription("List the records of one kind, with their ids"))

const ltiConsumers = Command.make("lti-consumers").pipe(
  Command.withDescription("Learning platforms that may launch deliveries"),
  Command.withSubcommands([
    Command.make(
      "add",
      {
        organisation: Flag.String("organisation").pipe(Flag.withSchema(OrganisationId)),
        label: Flag.String("label").pipe(Flag.withSchema(Text(LABEL_MAX))),
        key: Flag.String("key").pipe(Flag.withSchema(Text(LABEL_MAX))),
        secretFile: Flag.File("secret-file", { mustExist: true }).pipe(Flag.optional)
      },
      Effect.fnUntraced(function* ({ key, label, organisation, secretFile }) {
        const secret = yield* askPassword({ message: `Secret of ${key}`, file: secretFile })
        const args = { key, label, secret, organisation }
        yield* answerAtCentral(
          (_, catalogue) => catalogue.ltiConsumerAdd,
          args,
          ({ created, id }) => `${id} ${created ? "added" : "changed"}.`
        )
      })
    ).pipe(Command.withDescription("Add a platform, or change the one with this key"))
  ])
)

const restored = Command.make("restored", {}, () =>
  Effect.flatMap(shared, ({ data: directory }) =>
    answerAtCentral(
      (_, catalogue) => catalogue.restored,
      { directory },
      ({ rootToSign }) =>
        [
          "Central begins anew: each device fetches everything at its next synchronisation.",
          ...(rootToSign === null ? [] : [`Before the next bundle: ${howToSign(rootToSign)}`])
        ].join("\n")
    )
  )
).pipe(Command.withDescription("Say that central's database was restored from a backup"))

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
    convertTree,
    contentsTree,
    list,
    remove,
    ltiConsumers,
    devices,
    credentials,
    accounts,
    centralKeysTree,
    rootTree,
    revocationsTree,
    revokeBundleTree,
    restored
  ])
)

export const centralHistory = (limit: number) =>
  answerAtCentral((commands) => commands.centralHistory, { limit }, showHistory)
