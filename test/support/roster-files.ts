/**
 * Gives central rosters as an operator does, as files by its commands, and watches what the imports
 * work on: every wrap that is made, and failures and stops at a chosen moment.
 */
import fs from "node:fs"
import path from "node:path"
import { Effect, Schema } from "effect"
import { Catalogue, History, Secrets } from "../../application/ports.ts"
import { PersonRecord, personName } from "../../domain/record.ts"
import type { UserType } from "../../domain/roster.ts"
import * as Commands from "../../entrypoints/central-commands.ts"
import { freshPostgres } from "./database.ts"
import { fastFolder, openCentral, scratch } from "./site.ts"

export const DATABASES = ["embedded", "PostgreSQL"] as const

/** An empty central on either database, beside a folder for its operator's files. */
export const emptyCentral = Effect.fnUntraced(function* (database: (typeof DATABASES)[number]) {
  const root = yield* scratch(fastFolder())
  const url = database === "embedded" ? database : yield* freshPostgres()
  const central = yield* openCentral(path.join(root, "central"), undefined, url)
  const files = path.join(root, "files")
  fs.mkdirSync(files)
  return { root, files, central, office: central.run }
})

/** Cells by column; the login is also the label where there is none. */
export type UserCells = Readonly<
  Partial<Record<"label" | "password" | "organisation id" | "interface language", string>>
> & { readonly login: string }

const COLUMNS = ["login", "label", "interface language", "password", "organisation id"] as const

/** Writes a roster of users. The first of them is on line 2. */
export const writeUsers = (file: string, users: ReadonlyArray<UserCells>): string => {
  const lines = users.map((user) => {
    const cells = { label: user.login, "interface language": "en-US", ...user }
    return COLUMNS.map((column) => cells[column] ?? "").join(",")
  })
  fs.writeFileSync(file, `${[COLUMNS.join(","), ...lines].join("\n")}\n`)
  return file
}

export interface Asked {
  readonly type?: UserType
  readonly dryRun?: boolean
  readonly keepGoing?: boolean
  readonly passwordsOut?: string
}

/** Imports a file of users. */
export const importUsers = (file: string, asked: Asked = {}) =>
  Commands.importUsers.run({
    file,
    type: asked.type ?? "test-taker",
    dryRun: asked.dryRun ?? false,
    keepGoing: asked.keepGoing ?? false,
    passwordsOut: asked.passwordsOut ?? null,
    weakPasswords: false
  })

/** Passwords by login, as a sheet or a roster says them. */
export const passwordsIn = (sheet: string): ReadonlyMap<string, string> =>
  new Map(
    fs
      .readFileSync(sheet, "utf8")
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((line) => {
        const [login = "", password = ""] = line.split(",")
        return [login, password]
      })
  )

/** What central has of a person. */
export const personCalled = Effect.fnUntraced(function* (login: string) {
  const catalogue = yield* Catalogue
  const record = (yield* catalogue.byNames([personName(login)])).get(personName(login))
  return yield* Effect.orDie(Schema.decodeUnknownEffect(PersonRecord)(record))
})

/** Counts the wraps that are made, and lets the one of this number wait for ever. */
export const watchWraps = (stopAt = Number.POSITIVE_INFINITY) => {
  const seen = { wraps: 0, reached: Promise.withResolvers<void>() }
  const watched = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Secrets, (secrets) =>
      Effect.provideService(effect, Secrets, {
        ...secrets,
        wrap: (input) =>
          Effect.suspend(() => {
            seen.wraps += 1
            if (seen.wraps < stopAt) return secrets.wrap(input)
            seen.reached.resolve()
            return Effect.never
          })
      })
    )
  return { seen, watched }
}

/** Fails where an import has written everything but its own end. */
export const failingAtTheEnd = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(History, (history) =>
    Effect.provideService(effect, History, {
      ...history,
      append: (entry) =>
        Effect.andThen(history.append(entry), Effect.die(new Error("the disk is gone")))
    })
  )
