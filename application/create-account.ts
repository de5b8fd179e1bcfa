/** Creates the account by which somebody of the office logs in to central. */
import { Effect, Option } from "effect"
import type { OfficeRole } from "../domain/office-role.ts"
import { Accounts, Secrets } from "./ports.ts"

/** Answers false, changing nothing, when the login has an account already. */
export const createAccount = Effect.fn("createAccount")(function* (person: {
  readonly login: string
  readonly password: string
  readonly label: string
  readonly mail: string | null
  readonly role: OfficeRole
}) {
  const accounts = yield* Accounts
  const secrets = yield* Secrets
  const { label, login, mail, password, role } = person
  if (Option.isSome(yield* accounts.find(login))) return false
  const id = yield* secrets.newId("acc")
  // The key inside is nobody's: an account needs of the wrap only that a password opens it.
  const { identity, recipient } = yield* secrets.newIdentity
  const wrap = yield* secrets.wrap({ user: id, ver: 1, password, identity, recipient })
  yield* accounts.put({ id, login, role, label, mail, wrap })
  return true
})
