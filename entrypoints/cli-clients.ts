/** The command tree for who may speak to central: devices and credentials. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { CLIENT_NAME_MAX } from "../domain/enrolment.ts"
import { OrganisationId, Text } from "../domain/id.ts"
import { answerAtCentral, atCentral, loadCommands } from "./at-central.ts"
import { approveCommand, requestsCommand } from "./cli-approve.ts"
import { answer, shared } from "./cli-run.ts"
import { ClientId } from "./command.ts"
import { readCentral } from "./settings.ts"
import { table } from "./terminal.ts"

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

const CHANGED = { block: "blocked", unblock: "unblocked", revoke: "revoked" } as const

const change = (name: keyof typeof CHANGED, description: string) =>
  Command.make(name, { id: Argument.String("id").pipe(Argument.withSchema(ClientId)) }, ({ id }) =>
    answerAtCentral(
      (commands) => commands.devicesChange,
      { id, change: name, name: null },
      () => `${id}: ${CHANGED[name]}`
    )
  ).pipe(Command.withDescription(description))

export const devices = Command.make("devices").pipe(
  Command.withDescription("Devices that are enrolled"),
  Command.withSubcommands([
    Command.make("list", {}, () =>
      answerAtCentral((commands) => commands.devicesList, {}, showClients)
    ),
    requestsCommand,
    approveCommand,
    change("block", "Refuse a device until it is unblocked"),
    change("unblock", "Let a blocked device in again"),
    change("revoke", "Refuse a device for good"),
    Command.make(
      "rename",
      {
        id: Argument.String("id").pipe(Argument.withSchema(ClientId)),
        name: Argument.String("name").pipe(Argument.withSchema(Text(CLIENT_NAME_MAX)))
      },
      ({ id, name }) =>
        answerAtCentral(
          (commands) => commands.devicesChange,
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
      Flag.withSchema(OrganisationId),
      Flag.withDescription("An organisation id; give the flag again for more"),
      Flag.atLeast(0)
    ),
    results: Flag.Boolean("results").pipe(
      Flag.withDefault(false),
      Flag.withDescription("For the machine that opens results: it can do that and nothing else")
    ),
    name: Flag.String("name").pipe(
      Flag.withSchema(Text(CLIENT_NAME_MAX)),
      Flag.withDefault("credential")
    )
  },
  Effect.fnUntraced(function* ({ name, organisations, results }) {
    if (results !== (organisations.length === 0)) return yield* oneOrTheOther
    const { data } = yield* shared
    const { url } = yield* readCentral(data)
    const args = { name, organisations, results }
    yield* answer({
      run: Effect.gen(function* () {
        const [{ credentialsGenerate }] = yield* loadCommands
        const { key, secret } = yield* atCentral(credentialsGenerate, args)
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

const oneOrTheOther = Effect.fail(
  new Refused({
    code: "E_USAGE",
    what: "No credential was made.",
    why: "A credential is for organisations, or for opening results.",
    todo: "Give --organisation at least once, or --results alone.",
    exit: 2
  })
)

export const credentials = Command.make("credentials").pipe(
  Command.withDescription("OAuth credentials for integrators and for enrolment without a login"),
  Command.withSubcommands([
    generate,
    Command.make("list", {}, () =>
      answerAtCentral((commands) => commands.credentialsList, {}, showClients)
    ),
    Command.make(
      "revoke",
      { key: Argument.String("key").pipe(Argument.withSchema(ClientId)) },
      ({ key }) =>
        answerAtCentral(
          (commands) => commands.credentialsRevoke,
          { key },
          () => `${key} is revoked.`
        )
    )
  ])
)
