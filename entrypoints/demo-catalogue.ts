/** What changes at central while the demonstration runs, and how it publishes tests. */
import fs from "node:fs"
import path from "node:path"
import { Effect } from "effect"
import * as Central from "./central-commands.ts"

export const ASSETS = path.join(import.meta.dirname, "demo")

/** Where the generated passwords are written to. */
export const sheet = (directory: string) => path.join(directory, "passwords.csv")

export const publish = (file: string, id: string) =>
  Central.publishPackage.run({
    file,
    id,
    label: null,
    from: null,
    to: null,
    maxExecutions: null,
    proctored: false,
    dryRun: false
  })

/** Somebody leaves, somebody joins, and a test gets a new version. */
export const change = Effect.fnUntraced(function* (directory: string, say: (text: string) => void) {
  const people = path.join(directory, "newcomer.csv")
  fs.writeFileSync(
    people,
    "label,first name,last name,login,mail,password,interface language\n" +
      "Nadia Okonkwo,Nadia,Okonkwo,nadia.okonkwo,,,fr-FR\n"
  )
  yield* Central.importUsers.run({
    file: people,
    type: "test-taker",
    passwordsOut: sheet(directory),
    weakPasswords: false,
    dryRun: false,
    keepGoing: false
  })
  const seats = path.join(directory, "eligibilities-changed.csv")
  const before = fs.readFileSync(path.join(ASSETS, "csv", "eligibilities.csv"), "utf8")
  fs.writeFileSync(seats, before.replaceAll("bastien.lemoine", "nadia.okonkwo"))
  const { report } = yield* Central.importEligibilityRows.run({
    file: seats,
    dryRun: false,
    keepGoing: false
  })
  say(`   eligibilities: ${report.updated} updated; Bastien Lemoine leaves, Nadia Okonkwo joins`)
  const published = yield* publish(
    path.join(ASSETS, "packages", "fractions-revised-qti30.zip"),
    "fractions"
  )
  say(`   "${published.label}": content version ${published.version}, sealed to a new key`)
})

/** A small change: somebody gets a new mail address. */
export const renamed = Effect.fnUntraced(function* (directory: string) {
  const file = path.join(directory, "renamed.csv")
  fs.writeFileSync(
    file,
    "label,login,mail,interface language\n" +
      "Nadia Okonkwo,nadia.okonkwo,nadia@example.org,fr-FR\n"
  )
  yield* Central.importUsers.run({
    file,
    type: "test-taker",
    passwordsOut: null,
    weakPasswords: false,
    dryRun: false,
    keepGoing: false
  })
})
