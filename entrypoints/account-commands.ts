/** What an operator can ask about the people who may log in to central itself. */
import { Effect, Redacted, Schema } from "effect"
import { createAccount } from "../application/create-account.ts"
import { Refused } from "../application/refused.ts"
import { LABEL_MAX } from "../domain/entity.ts"
import { Text } from "../domain/id.ts"
import { foldedLogin } from "../domain/login.ts"
import { OfficeRole } from "../domain/office-role.ts"
import { acceptablePassword } from "../domain/password.ts"
import { defineCommand } from "./command.ts"

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

const refuse = (code: string, why: string, todo: string) =>
  Effect.fail(new Refused({ code, what: "No account was made.", why, todo }))
