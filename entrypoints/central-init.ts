/**
 * Sets up a central in a data directory: settings, keys, database, first administrator, and a
 * certificate of its own for TLS. Doing it again changes what is asked for and never a key.
 */
import fs from "node:fs"
import path from "node:path"
import { Effect, Option, Redacted, Schema } from "effect"
import { Standing } from "../application/bundle-ports.ts"
import { createAccount } from "../application/create-account.ts"
import { Authority } from "../application/ports.ts"
import { Refused } from "../application/refused.ts"
import { costRefused } from "../domain/cost.ts"
import { fingerprintHex, fingerprintWords } from "../infrastructure/fingerprint.ts"
import { readHolders, writeRoot } from "./root-files.ts"
import { CENTRAL_DEFAULTS, type CentralSettings, readCentral, sideOf, write } from "./settings.ts"
import { readSetup, type Setup } from "./setup-file.ts"
import { acquire, layerCentral } from "./wiring.ts"

export interface CentralInit {
  readonly directory: string
  readonly setup: Option.Option<string>
  readonly database: Option.Option<string>
  readonly url: Option.Option<string>
  /** Files with the public keys of root holders, and how many of them must sign. */
  readonly rootKeys?: Option.Option<string>
  readonly rootThreshold?: Option.Option<number>
}

export const CentralInitReport = Schema.Struct({
  directory: Schema.String,
  url: Schema.String,
  database: Schema.String,
  created: Schema.Boolean,
  administrator: Schema.NullOr(Schema.String),
  certificate: Schema.String,
  rootWords: Schema.String,
  /** The first root document, where its holders have yet to sign it. */
  rootToSign: Schema.NullOr(Schema.String)
})
export type CentralInitReport = typeof CentralInitReport.Type

export const initCentral = Effect.fn("initCentral")(function* (options: CentralInit) {
  const { directory } = options
  const side = sideOf(directory)
  if (side === "device") return yield* otherSide(directory)
  yield* Effect.mapError(acquire(directory), () => busy(directory))
  const setup = yield* readSetup(options.setup)
  const before = side === undefined ? CENTRAL_DEFAULTS : yield* readCentral(directory)
  const settings = {
    ...(yield* merged(before, setup, options, side === undefined)),
    ...(yield* holdersFor(options, side === undefined))
  }
  yield* write(directory, settings)
  const certificate = yield* ensureCertificate(directory, settings.url)
  return yield* Effect.gen(function* () {
    const authority = yield* Authority
    const administrator = yield* firstAdministrator(setup)
    const standing = yield* Standing
    const [root] = yield* standing.chain
    const draft = Option.getOrUndefined(yield* authority.draft)
    const rootToSign = draft === undefined ? null : yield* writeRoot(directory, 1, draft)
    return {
      directory,
      url: settings.url,
      database: settings.database === "embedded" ? "embedded" : "PostgreSQL",
      created: side === undefined,
      administrator,
      certificate,
      rootWords: fingerprintWords(Buffer.from(root?.text ?? draft ?? "")),
      rootToSign
    } satisfies CentralInitReport
  }).pipe(Effect.provide(layerCentral(directory, settings)))
}, Effect.scoped)

const merged = Effect.fnUntraced(function* (
  before: CentralSettings,
  setup: Setup,
  options: CentralInit,
  fresh: boolean
) {
  const database = Option.getOrUndefined(options.database) ?? setup.database ?? before.database
  if (database !== "embedded" && !(URL.canParse(database) && /^postgres(?:ql)?:/u.test(database))) {
    return yield* refuse(
      "E_DATABASE_ADDRESS",
      "The database is neither embedded nor at an address that begins with postgres://.",
      "Give --database postgres://user:password@host:5432/name, or leave it out."
    )
  }
  if (!fresh && database !== before.database) {
    return yield* refuse(
      "E_DATABASE_CHANGED",
      "This central already has another database, and its data would not come along.",
      "Set up a new central in another folder, or keep the database."
    )
  }
  const cost = setup.passwordCost ?? before.passwordCost
  if (costRefused(cost) !== undefined) {
    return yield* refuse(
      "E_PASSWORD_COST",
      `passwordCost ${cost.memoryKiB} KiB, ${cost.passes} passes is outside what is safe.`,
      "Use at least 19456 KiB with 2 passes (OWASP's minimum); the default is 65536 KiB with 3."
    )
  }
  const url = (Option.getOrUndefined(options.url) ?? setup.url ?? before.url).replace(/\/+$/u, "")
  if (!URL.canParse(url) || !/^https?:/u.test(url)) {
    return yield* refuse("E_URL", `"${url}" is not an http or https address.`, "Correct the url.")
  }
  return {
    ...before,
    url,
    database,
    passwordCost: cost,
    name: setup.name ?? before.name,
    language: setup.language ?? before.language,
    timeZone: setup.timeZone ?? before.timeZone,
    engine: setup.engine ?? before.engine
  } satisfies CentralSettings
})

/** Who signs root documents is said when central is made; later only by a root document. */
const holdersFor = Effect.fnUntraced(function* (options: CentralInit, fresh: boolean) {
  const list = Option.getOrUndefined(options.rootKeys ?? Option.none())
  if (list === undefined) return {}
  if (!fresh) {
    return yield* refuse(
      "E_ROOT_KEYS",
      "This central has its first root document already.",
      'Hand over to other root keys with "testferry central root propose --root-keys …".'
    )
  }
  const threshold = Option.getOrElse(options.rootThreshold ?? Option.none(), () => 1)
  return { rootHolders: yield* readHolders(list, threshold) }
})

const firstAdministrator = Effect.fnUntraced(function* ({ administrator }: Setup) {
  if (administrator === undefined) return null
  const { firstName, lastName, login, mail, password } = administrator
  yield* createAccount({
    login,
    password: Redacted.value(password),
    label: [firstName, lastName].filter((name) => name !== undefined).join(" ") || login,
    mail: mail ?? null,
    role: "administrator"
  })
  return login
})

export const certificateFiles = (directory: string) => ({
  cert: path.join(directory, "keys", "tls.crt"),
  key: path.join(directory, "keys", "tls.key")
})

/** Makes a certificate for the name in the URL and for this machine; answers its fingerprint. */
const ensureCertificate = Effect.fnUntraced(function* (directory: string, url: string) {
  const files = certificateFiles(directory)
  if (!fs.existsSync(files.cert)) {
    const { selfSigned } = yield* Effect.promise(() => import("../infrastructure/self-signed.ts"))
    const host = new URL(url).hostname.replace(/^\[|\]$/gu, "")
    const made = yield* selfSigned([...new Set([host, "localhost", "127.0.0.1", "::1"])])
    yield* Effect.sync(() => {
      fs.mkdirSync(path.dirname(files.key), { recursive: true, mode: 0o700 })
      fs.writeFileSync(files.key, made.keyPem, { mode: 0o600 })
      fs.writeFileSync(files.cert, made.certPem, { mode: 0o644 })
    })
  }
  return fingerprintOfPem(fs.readFileSync(files.cert, "utf8"))
})

export const fingerprintOfPem = (pem: string): string =>
  fingerprintHex(
    Buffer.from(pem.replace(/-----END[\s\S]*$/u, "").replace(/-----[^-]+-----|\s/gu, ""), "base64")
  )

const refuse = (code: string, why: string, todo: string) =>
  Effect.fail(new Refused({ code, what: "Nothing was set up.", why, todo }))

const otherSide = (directory: string) =>
  refuse(
    "E_OTHER_SIDE",
    `${directory} belongs to a device.`,
    "Set up central in another folder, with --data."
  )

export const busy = (directory: string) =>
  new Refused({
    code: "E_DATA_BUSY",
    what: "Nothing was done.",
    why: `Another testferry program is working in ${directory}.`,
    todo: "Stop it, or wait until it has finished."
  })
