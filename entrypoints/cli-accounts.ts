/** The command tree for the people of the office, who log in to central itself. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { LABEL_MAX } from "../domain/entity.ts"
import { Text } from "../domain/id.ts"
import { OfficeRole } from "../domain/office-role.ts"
import { atCentral } from "./at-central.ts"
import { answer } from "./cli-run.ts"
import { table } from "./terminal.ts"
import { askPassword } from "./terminal-prompt.ts"

const load = Effect.promise(() => import("./account-commands.ts"))

const add = Command.make(
  "add",
  {
    login: Flag.String("login").pipe(Flag.withSchema(Text(LABEL_MAX))),
    role: Flag.Literals("role", OfficeRole.literals).pipe(
      Flag.withDescription("A results officer may also see which results were opened")
    ),
    label: Flag.String("label").pipe(
      Flag.withSchema(Text(LABEL_MAX)),
      Flag.optional,
      Flag.withDescription("Their name; the login otherwise")
    ),
    passwordFile: Flag.File("password-file", { mustExist: true }).pipe(Flag.optional)
  },
  Effect.fnUntraced(function* ({ label, login, passwordFile, role }) {
    const password = yield* askPassword({ message: `Password of ${login}`, file: passwordFile })
    const { accountsAdd: command } = yield* load
    const run = atCentral(command, {
      login,
      role,
      label: Option.getOrElse(label, () => login),
      password
    })
    yield* answer({
      run,
      encode: command.encodeReport,
      show: (report) => `${report.login} may log in at /office as ${report.role}.`
    })
  })
).pipe(Command.withDescription("Let somebody log in to the office's page"))

const list = Command.make("list", {}, () =>
  Effect.gen(function* () {
    const { accountsList: command } = yield* load
    yield* answer({
      run: atCentral(command, {}),
      encode: command.encodeReport,
      show: (report) =>
        table(
          ["LOGIN", "NAME", "ROLE"],
          report.accounts.map(({ label, login, role }) => [login, label, role])
        )
    })
  })
).pipe(Command.withDescription("Who may log in to the office's page"))

const remove = Command.make(
  "remove",
  { login: Argument.String("login").pipe(Argument.withSchema(Text(LABEL_MAX))) },
  Effect.fnUntraced(function* ({ login }) {
    const { accountsRemove: command } = yield* load
    yield* answer({
      run: atCentral(command, { login }),
      encode: command.encodeReport,
      show: (report) => `${report.login} may not log in any more, and is out if logged in.`
    })
  })
).pipe(Command.withDescription("Let somebody in no more"))

export const accounts = Command.make("accounts").pipe(
  Command.withDescription("People who may log in to central's own page"),
  Command.withSubcommands([add, list, remove])
)
