/** Makes imports of roster files, for the command line and for the office's page: the same rules for both. */
import { Effect, Stream } from "effect"
import type { ImportJob } from "../application/import.ts"
import { Refused } from "../application/refused.ts"
import type { PersonKind } from "../domain/entity.ts"
import { problemLine } from "../domain/import-report.ts"
import { acceptablePassword } from "../domain/password.ts"
import type { Roster, UserType } from "../domain/roster.ts"
import type { CsvRefused, CsvUnreadable } from "../infrastructure/csv-reader.ts"

export const KIND_OF: Readonly<Record<UserType, PersonKind>> = {
  "test-taker": "test-taker",
  proctor: "proctor",
  "test-center-admin": "administrator",
  "sync-manager": "sync-manager"
}

/** Loaded when a file is read: most commands read none. */
export const loadReader = Effect.promise(() => import("../infrastructure/csv-reader.ts"))

export const rosterJob = <Row>(
  args: { readonly file: string; readonly dryRun: boolean; readonly keepGoing: boolean },
  roster: Roster<Row>
): ImportJob<Row, CsvUnreadable | CsvRefused> => ({
  read: () =>
    Stream.unwrap(Effect.map(loadReader, ({ readRoster }) => readRoster(args.file, roster))),
  dryRun: args.dryRun,
  keepGoing: args.keepGoing,
  name: args.file.split("/").at(-1) ?? args.file
})

export const whyNotAcceptable = (password: string): string | undefined =>
  acceptablePassword(password)
    ? undefined
    : "must have 15 characters or more; leave the cell empty to have a strong one made"

export const fromCsv = (error: CsvUnreadable | CsvRefused): Refused =>
  error._tag === "CsvUnreadable"
    ? new Refused({
        code: "E_FILE",
        what: "Nothing was imported.",
        why: `${error.file} can't be read: ${error.reason}.`,
        todo: "Check the name of the file."
      })
    : new Refused({
        code: "E_CSV",
        what: `${error.file} was not imported; nothing was changed.`,
        why: error.problems.map(problemLine).join("\n"),
        todo: "Correct the file and import it again."
      })
