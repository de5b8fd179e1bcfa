/** What an operator can ask about the people who may log in to central itself. */
import { Effect, Redacted, Schema } from "effect"
import { createAccount } from "../application/create-account.ts"
import { Accounts } from "../application/ports.ts"
import { Refused } from "../application/refused.ts"
import { LABEL_MAX } from "../domain/entity.ts"
import { Text } from "../domain/id.ts"
import { foldedLogin } from "../domain/login.ts"
import { OfficeRole } from "../domain/office-role.ts"
import { acceptablePassword } from "../domain/password.ts"
import { defineCommand, type ServedCommand } from "./command.ts"
import type { CentralPorts } from "./wiring.ts"

export const accountsAdd = defineCommand({
  name: "central accounts add",
  side: "central",
  args: Schema.Struct({
    login: Text(LABEL_MAX),
    label: Text(LABEL_MAX),
    role: OfficeRole,
    password: Schema.Redacted(Schema.String)
  }),
  report: Schema.Struct({ login: Schema.String, role: OfficeRole }),
  run: Effect.fn("accountsAdd")(function* ({ label, login, password, role }) {
    if (foldedLogin(login) === "") {
      return yield* refuse("E_LOGIN", "The login is empty.", "Give --login.")
    }
    if (!acceptablePassword(Redacted.value(password))) {
      return yield* refuse(
        "E_PASSWORD",
        "The password is too easy to guess.",
        "Choose one of 15 characters or more."
      )
    }
    const person = { login, label, role, mail: null, password: Redacted.value(password) }
    if (!(yield* createAccount(person))) {
      return yield* refuse(
        "E_ACCOUNT_EXISTS",
        `${login} has an account already.`,
        "Choose another login."
      )
    }
    return { login, role }
  })
})

const Listed = Schema.Struct({ login: Schema.String, label: Schema.String, role: OfficeRole })

export const accountsList = defineCommand({
  name: "central accounts list",
  side: "central",
  args: Schema.Struct({}),
  report: Schema.Struct({ accounts: Schema.Array(Listed) }),
  run: Effect.fn("accountsList")(function* () {
    const accounts = yield* Accounts
    return {
      accounts: (yield* accounts.all).map(({ label, login, role }) => ({ login, label, role }))
    }
  })
})

export const accountsRemove = defineCommand({
  name: "central accounts remove",
  side: "central",
  args: Schema.Struct({ login: Text(LABEL_MAX) }),
  report: Schema.Struct({ login: Schema.String }),
  run: Effect.fn("accountsRemove")(function* ({ login }) {
    const accounts = yield* Accounts
    if (yield* accounts.remove(login)) return { login }
    return yield* Effect.fail(
      new Refused({
        code: "E_NO_ACCOUNT",
        what: "No account was removed.",
        why: `Nobody has the login ${login} at the office.`,
        todo: 'See "testferry central accounts list".'
      })
    )
  })
})

/** All of them, as the control socket serves them. */
export const accountCommands: ReadonlyArray<ServedCommand<CentralPorts>> = [
  accountsAdd,
  accountsList,
  accountsRemove
]

const refuse = (code: string, why: string, todo: string) =>
  Effect.fail(new Refused({ code, what: "No account was made.", why, todo }))
