/**
 * Reads `setup.json`, by which an installation is set up without questions: TAO's own keys where
 * they make sense here, and ours under `configuration.testferry`. A key that is not known is an
 * error: a misspelt setting must not be taken for set.
 */
import fs from "node:fs"
import { Effect, Option, Redacted, Schema } from "effect"
import type { SendingRules } from "../application/record-ports.ts"
import { Refused } from "../application/refused.ts"
import { Cost } from "../domain/cost.ts"
import { CLIENT_NAME_MAX } from "../domain/enrolment.ts"
import { LABEL_MAX } from "../domain/entity.ts"
import { Text } from "../domain/id.ts"
import { PASSWORD_CHARACTERS_MAX } from "../domain/password.ts"
import { LANGUAGE_LENGTH_MAX } from "../domain/roster-cells.ts"
import { SENDING_SETTINGS } from "./settings.ts"

/** TAO's files may leave a name empty; like no name. */
const Name = Schema.Union([Schema.Literal(""), Text(LABEL_MAX)])
/** The longest address that every browser takes. */
const Url = Text(2_000)

/** More than a person would choose from in a list; each is absolute, since a server has no place. */
const StickFolders = Schema.Array(
  Schema.String.check(
    Schema.isPattern(/^\/.{0,4095}$/u, { message: "Expected a folder, from the root" })
  )
).check(Schema.isMaxLength(16))

const Persistence = Schema.Struct({
  driver: Schema.Literals(["pdo_pgsql", "postgres", "sqlite", "embedded"]),
  host: Schema.optionalKey(
    Schema.String.check(
      Schema.isPattern(/^[^\s/@?#]{1,253}$/u, { message: "Expected the name of a host" })
    )
  ),
  port: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }))),
  dbname: Schema.optionalKey(Schema.String),
  user: Schema.optionalKey(Schema.String),
  password: Schema.optionalKey(Schema.String)
})

const SetupFile = Schema.Struct({
  "super-user": Schema.optionalKey(
    Schema.Struct({
      login: Text(LABEL_MAX),
      password: Schema.NonEmptyString.check(Schema.isMaxLength(PASSWORD_CHARACTERS_MAX)),
      firstname: Schema.optionalKey(Name),
      lastname: Schema.optionalKey(Name),
      email: Schema.optionalKey(Name)
    })
  ),
  configuration: Schema.optionalKey(
    Schema.Struct({
      global: Schema.optionalKey(
        Schema.Struct({
          url: Schema.optionalKey(Url),
          lang: Schema.optionalKey(Text(LANGUAGE_LENGTH_MAX)),
          timezone: Schema.optionalKey(Text(LABEL_MAX)),
          instance_name: Schema.optionalKey(Text(CLIENT_NAME_MAX))
        })
      ),
      generis: Schema.optionalKey(
        Schema.Struct({
          persistences: Schema.Struct({ default: Persistence })
        })
      ),
      testferry: Schema.optionalKey(
        Schema.Struct({
          rootUrl: Schema.optionalKey(Url),
          passwordCost: Schema.optionalKey(Cost),
          engine: Schema.optionalKey(Schema.Literals(["sqljs", "node"])),
          stickFolders: Schema.optionalKey(StickFolders),
          ...SENDING_SETTINGS
        })
      )
    })
  )
})

export interface Setup {
  readonly url: string | undefined
  readonly language: string | undefined
  readonly timeZone: string | undefined
  readonly name: string | undefined
  readonly database: string | undefined
  readonly rootUrl: string | undefined
  readonly passwordCost: Cost | undefined
  readonly engine: "sqljs" | "node" | undefined
  readonly stickFolders: ReadonlyArray<string> | undefined
  readonly sending: Partial<SendingRules>
  readonly administrator:
    | {
        readonly login: string
        readonly password: Redacted.Redacted
        readonly firstName: string | undefined
        readonly lastName: string | undefined
        readonly mail: string | undefined
      }
    | undefined
}

const NOTHING: Setup = {
  url: undefined,
  language: undefined,
  timeZone: undefined,
  name: undefined,
  database: undefined,
  rootUrl: undefined,
  passwordCost: undefined,
  engine: undefined,
  stickFolders: undefined,
  sending: {},
  administrator: undefined
}

/** Reads a setup file; without one everything is undefined. Refuses with E_SETUP. */
export const readSetup = Effect.fn("readSetup")(function* (name: Option.Option<string>) {
  if (Option.isNone(name)) return NOTHING
  const text = yield* Effect.try({
    try: () => fs.readFileSync(name.value, "utf8"),
    catch: () => refuse(name.value, "the file can't be read")
  })
  const parsed = yield* Effect.mapError(decode(text), (error) => refuse(name.value, error.message))
  const { global, generis, testferry } = parsed.configuration ?? {}
  const zone = global?.timezone
  if (zone !== undefined && !isTimeZone(zone)) {
    return yield* refuse(name.value, `"${zone}" is not a time zone`)
  }
  const admin = parsed["super-user"]
  return {
    url: global?.url,
    language: global?.lang,
    timeZone: zone,
    name: global?.instance_name,
    database: generis === undefined ? undefined : databaseUrl(generis.persistences.default),
    rootUrl: testferry?.rootUrl,
    passwordCost: testferry?.passwordCost,
    engine: testferry?.engine,
    stickFolders: testferry?.stickFolders,
    sending: sendingOf(testferry ?? {}),
    administrator:
      admin === undefined
        ? undefined
        : {
            login: admin.login,
            password: Redacted.make(admin.password),
            firstName: admin.firstname || undefined,
            lastName: admin.lastname || undefined,
            mail: admin.email || undefined
          }
  } satisfies Setup
})

const sendingOf = ({
  chunkSize,
  deleteAfterSend,
  statusExecutionsToSync
}: Partial<SendingRules>): Partial<SendingRules> => ({
  ...(chunkSize === undefined ? {} : { chunkSize }),
  ...(deleteAfterSend === undefined ? {} : { deleteAfterSend }),
  ...(statusExecutionsToSync === undefined ? {} : { statusExecutionsToSync })
})

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(SetupFile), {
  onExcessProperty: "error",
  errors: "all"
})

const databaseUrl = (persistence: typeof Persistence.Type): string => {
  const { driver, host, port, dbname, user, password } = persistence
  if (driver === "sqlite" || driver === "embedded") return "embedded"
  const who = user === undefined ? "" : encodeURIComponent(user)
  const secret = password === undefined ? "" : `:${encodeURIComponent(password)}`
  const at = who === "" ? "" : `${who}${secret}@`
  return `postgres://${at}${host ?? "localhost"}:${port ?? 5432}/${dbname ?? "testferry"}`
}

const isTimeZone = (zone: string): boolean => {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone !== ""
  } catch {
    return false
  }
}

const refuse = (name: string, why: string) =>
  new Refused({
    code: "E_SETUP",
    what: "Nothing was set up.",
    why: `${name}: ${why}`,
    todo: "Correct the setup file; docs/operations.md lists the keys it may have.",
    exit: 2
  })
