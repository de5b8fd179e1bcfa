/**
 * Imports rosters at the office's page in two steps: an administrator gives a file and sees what would
 * happen; the same file given again with `seen` makes just that happen, or nothing.
 */
import os from "node:os"
import { Effect, Option, Stream } from "effect"
import { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { Imported, ImportJob } from "../application/import.ts"
import { importCenters } from "../application/import-centers.ts"
import { importEligibilities } from "../application/import-eligibilities.ts"
import { importPeople } from "../application/import-people.ts"
import { type Account, Hashing } from "../application/ports.ts"
import { canonical } from "../domain/canonical.ts"
import type { Digest } from "../domain/id.ts"
import { type ImportReport, problemLine } from "../domain/import-report.ts"
import {
  eligibilities,
  type RosterKind,
  testCenters,
  type UserType,
  users
} from "../domain/roster.ts"
import type { CsvRefused, CsvUnreadable } from "../infrastructure/csv-reader.ts"
import { OfficeApi } from "../infrastructure/office-api.ts"
import { officeProblem } from "../infrastructure/office-problem.ts"
import { receiveUpload } from "../infrastructure/upload-file.ts"
import { asRole, fresh } from "./office-access.ts"
import { KIND_OF, rosterJob, whyNotAcceptable } from "./roster-jobs.ts"

/** A hundred thousand people; what is larger takes longer than a browser waits (docs/operations.md). */
export const IMPORT_BYTES_MAX = 16 * 1024 * 1024
/**
 * Each costs up to two derivations of a fifth of a second, on one core: what fits into the minute that
 * a request may take.
 */
export const PASSWORDS_AT_ONCE = 100

export const layerOfficeImports = HttpApiBuilder.group(OfficeApi, "office-imports", (handlers) =>
  handlers.handleRaw("roster", ({ params, query }) =>
    asRole("administrator", (account) => importRoster({ ...params, ...query, account }))
  )
)

interface Asked {
  readonly kind: RosterKind
  readonly name: string
  readonly seen?: Digest
  readonly keepGoing?: "yes"
  readonly account: Account
}

const importRoster = Effect.fnUntraced(
  function* (asked: Asked) {
    const request = yield* HttpServerRequest.HttpServerRequest
    const length = Number(request.headers["content-length"] ?? 0)
    if (length > IMPORT_BYTES_MAX) return tooLarge
    const upload = yield* receiveUpload(Stream.orDie(request.stream), IMPORT_BYTES_MAX)
    const token = yield* tokenOf(asked, upload.digest)
    const { kind, seen } = asked
    // Of centers and eligibilities the transaction itself looks: to do so twice takes twice as long.
    if (seen === undefined || isOfPeople(kind)) {
      const looked: Imported = yield* runImport(asked, upload, undefined)
      const now = token(looked.report)
      if (seen === undefined) return fresh({ ...shown(looked), seen: now })
      if (seen !== now) return officeProblem("changed")
      const { toMake = 0, toWrap = 0 } = looked.passwords ?? {}
      if (toMake > 0) return officeProblem("passwords-out", String(toMake))
      if (toWrap > PASSWORDS_AT_ONCE) return officeProblem("many-passwords", String(toWrap))
    }
    const done: Imported = yield* runImport(asked, upload, (report) => token(report) === seen)
    if (done.applied) return fresh({ ...shown(done), seen })
    return token(done.report) === seen
      ? officeProblem("rows-refused", String(done.report.failed))
      : officeProblem("changed")
  },
  Effect.catchTags({
    UploadTooLarge: () => Effect.succeed(tooLarge),
    PasswordSheetNeeded: ({ people }) =>
      Effect.succeed(officeProblem("passwords-out", String(people))),
    CsvUnreadable: () => Effect.succeed(officeProblem("file-refused")),
    CsvRefused: ({ problems }) =>
      Effect.succeed(officeProblem("file-refused", problems.map(problemLine).join("\n")))
  }),
  Effect.scoped
)

const isOfPeople = (kind: RosterKind): kind is UserType =>
  kind !== "test-centers" && kind !== "eligibilities"

const tooLarge = officeProblem("file-large", String(IMPORT_BYTES_MAX))

const shown = ({ applied, offered, passwords, report }: Imported) => ({
  applied,
  offered,
  report,
  passwords: passwords ?? null
})

/** Another file, another kind of roster or another outcome: another token. */
const tokenOf = ({ kind }: Asked, file: Digest) =>
  Effect.map(
    Hashing,
    (hashing) =>
      (report: ImportReport): Digest =>
        hashing.sha256(canonical({ file, kind, report: { ...report } }))
  )

/** With `agreed` it is applied, where it comes to that. */
const runImport = (
  { account, keepGoing, kind, name }: Asked,
  upload: Effect.Success<ReturnType<typeof receiveUpload>>,
  agreed: ((report: ImportReport) => boolean) | undefined
) => {
  const { digest, file } = upload
  const args = { file, dryRun: agreed === undefined, keepGoing: keepGoing !== undefined }
  const asOfficer = <Row>(
    job: ImportJob<Row, CsvUnreadable | CsvRefused>
  ): ImportJob<Row, CsvUnreadable | CsvRefused> => ({
    ...job,
    name,
    who: account.login,
    ...(agreed === undefined ? {} : { agreed })
  })
  if (kind === "test-centers") return importCenters(asOfficer(rosterJob(args, testCenters)))
  if (kind === "eligibilities") {
    return importEligibilities(asOfficer(rosterJob(args, eligibilities)))
  }
  return importPeople({
    ...asOfficer(rosterJob(args, users(kind, whyNotAcceptable))),
    kind: KIND_OF[kind],
    file: digest,
    sheet: Option.none(),
    width: os.availableParallelism()
  })
}
