/** What an operator can ask of central: each command decodes, calls one verb, and words its errors. */
import os from "node:os"
import { Clock, Effect, Option, Schema } from "effect"
import type { Imported } from "../application/import.ts"
import { importCenters } from "../application/import-centers.ts"
import { importEligibilities } from "../application/import-eligibilities.ts"
import { importPeople } from "../application/import-people.ts"
import * as Clients from "../application/manage-clients.ts"
import { type Client, Clients as ClientsPort, History } from "../application/ports.ts"
import { preparePackage } from "../application/prepare-package.ts"
import { deliveryId, publish } from "../application/publish.ts"
import { Refused } from "../application/refused.ts"
import { CLIENT_NAME_MAX } from "../domain/enrolment.ts"
import { LABEL_MAX } from "../domain/entity.ts"
import { HistoryEntry } from "../domain/history.ts"
import { DeliveryName, Digest, EntityId, Millis, OrganisationId, Text } from "../domain/id.ts"
import { ImportReport, problemLine } from "../domain/import-report.ts"
import { eligibilities, testCenters, UserType, users } from "../domain/roster.ts"
import type { SheetRefused } from "../infrastructure/password-sheet.ts"
import { accountCommands } from "./account-commands.ts"
import { approveCommands } from "./approve-commands.ts"
import { asideCommands } from "./aside-commands.ts"
import { carryCommands } from "./carry-commands.ts"
import { listEntities, ltiConsumerAdd, removeEntities, restored } from "./catalogue-commands.ts"
import { ClientId, defineCommand, ItemsLeft, Positive, type ServedCommand } from "./command.ts"
import { servedOpening } from "./opening-commands.ts"
import { listContents } from "./package-commands.ts"
import { recordCommands } from "./record-commands.ts"
import { fromConverterMissing, fromNoSpace, fromPackage } from "./refusals.ts"
import { resultsKeyCommands } from "./results-key-commands.ts"
import { fromRevoke, revocationCommands } from "./revocation-commands.ts"
import { rootCommands } from "./root-commands.ts"
import { fromCsv, KIND_OF, loadReader, rosterJob, whyNotAcceptable } from "./roster-jobs.ts"
import type { CentralPorts } from "./wiring.ts"

const Imported_ = Schema.Struct({
  report: ImportReport,
  applied: Schema.Boolean,
  offered: Schema.Int,
  exit: ItemsLeft
})

const FileArgs = { file: Schema.String, dryRun: Schema.Boolean, keepGoing: Schema.Boolean }

export const importUsers = defineCommand({
  name: "central import users",
  side: "central",
  args: Schema.Struct({
    ...FileArgs,
    type: UserType,
    passwordsOut: Schema.NullOr(Schema.String),
    weakPasswords: Schema.Boolean
  }),
  report: Imported_,
  run: Effect.fn("importUsers")(function* (args) {
    const { checksumOfFile } = yield* loadReader
    const { openSheet } = yield* Effect.promise(() => import("../infrastructure/password-sheet.ts"))
    const rule = args.weakPasswords ? () => undefined : whyNotAcceptable
    const sheet =
      args.passwordsOut === null
        ? Option.none()
        : Option.some(yield* Effect.mapError(openSheet(args.passwordsOut), fromSheet))
    const job = {
      ...rosterJob(args, users(args.type, rule)),
      kind: KIND_OF[args.type],
      file: Digest.make(yield* Effect.mapError(checksumOfFile(args.file), fromCsv)),
      sheet,
      width: os.availableParallelism()
    }
    const imported = yield* importPeople(job).pipe(
      Effect.catchTags({
        CsvUnreadable: (error) => Effect.fail(fromCsv(error)),
        CsvRefused: (error) => Effect.fail(fromCsv(error)),
        PasswordSheetNeeded: ({ people }) => Effect.fail(sheetNeeded(people))
      })
    )
    return yield* answered(args, imported)
  })
})

export const importTestCenters = defineCommand({
  name: "central import test-centers",
  side: "central",
  args: Schema.Struct(FileArgs),
  report: Imported_,
  run: Effect.fn("importTestCenters")(function* (args) {
    const imported = yield* importCenters(rosterJob(args, testCenters)).pipe(
      Effect.mapError(fromCsv)
    )
    return yield* answered(args, imported)
  })
})

export const importEligibilityRows = defineCommand({
  name: "central import eligibilities",
  side: "central",
  args: Schema.Struct(FileArgs),
  report: Imported_,
  run: Effect.fn("importEligibilityRows")(function* (args) {
    const imported = yield* importEligibilities(rosterJob(args, eligibilities)).pipe(
      Effect.catch((error) =>
        error instanceof Error ? Effect.fail(fromCsv(error)) : Effect.die(error)
      )
    )
    return yield* answered(args, imported)
  })
})

export const publishPackage = defineCommand({
  name: "central publish",
  side: "central",
  args: Schema.Struct({
    file: Schema.String,
    id: Schema.NullOr(DeliveryName),
    label: Schema.NullOr(Text(LABEL_MAX)),
    from: Schema.NullOr(Millis),
    to: Schema.NullOr(Millis),
    maxExecutions: Schema.NullOr(Positive),
    proctored: Schema.Boolean,
    dryRun: Schema.Boolean
  }),
  report: Schema.Struct({
    id: EntityId,
    label: Schema.String,
    version: Schema.Int,
    qti: Schema.String,
    /** The version that the package was in. */
    was: Schema.String,
    items: Schema.Int,
    warnings: Schema.Array(Schema.String),
    content: Schema.Literals(["new", "next", "same"]),
    applied: Schema.Boolean,
    offered: Schema.Int
  }),
  run: Effect.fn("publishPackage")(
    function* (args) {
      const prepared = yield* preparePackage(args.file)
      const published = yield* publish({
        file: prepared.file,
        inspected: prepared,
        ...(prepared.isChanged ? { original: { file: args.file, qti: prepared.was } } : {}),
        id: args.id === null ? undefined : deliveryId(args.id),
        label: args.label ?? undefined,
        period: {
          ...(args.from === null ? {} : { from: args.from }),
          ...(args.to === null ? {} : { to: args.to })
        },
        maxExecutions: args.maxExecutions ?? undefined,
        proctored: args.proctored,
        dryRun: args.dryRun
      })
      return { ...published, was: prepared.was }
    },
    (run, { file }) =>
      run.pipe(
        Effect.catchTags({
          PackageFaulty: (error) => Effect.fail(fromPackage(file, error)),
          ConverterMissing: () => Effect.fail(fromConverterMissing(file, "published")),
          NoSpace: (error) => Effect.fail(fromNoSpace(error))
        }),
        Effect.scoped
      )
  )
})

const ClientReport = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  organisations: Schema.Array(OrganisationId),
  state: Schema.String,
  createdAt: Schema.Int,
  lastSeenAt: Schema.NullOr(Schema.Int),
  program: Schema.NullOr(Schema.String)
})

const listOf = (kind: Client["kind"]) =>
  Effect.gen(function* () {
    const clients = yield* ClientsPort
    const found = yield* clients.list(kind)
    return {
      clients: found.map(({ createdAt, id, lastSeenAt, name, organisations, program, state }) => ({
        id,
        name,
        organisations,
        state,
        createdAt,
        lastSeenAt,
        program
      }))
    }
  })

export const devicesList = defineCommand({
  name: "central devices list",
  side: "central",
  args: Schema.Struct({}),
  report: Schema.Struct({ clients: Schema.Array(ClientReport) }),
  run: () => listOf("device")
})

const noClient = (id: string) =>
  new Refused({
    code: "E_NO_CLIENT",
    what: "Nothing was changed.",
    why: `Central knows no device or credential ${id}, or it was revoked before.`,
    todo: 'See "testferry central devices list" and "testferry central credentials list".'
  })

export const devicesChange = defineCommand({
  name: "central devices change",
  side: "central",
  args: Schema.Struct({
    id: ClientId,
    change: Schema.Literals(["block", "unblock", "revoke", "rename"]),
    name: Schema.NullOr(Text(CLIENT_NAME_MAX))
  }),
  report: Schema.Struct({ id: Schema.String, change: Schema.String }),
  run: ({ change, id, name }) => {
    const verb =
      change === "rename"
        ? Clients.renameDevice(id, name ?? "", "operator")
        : {
            block: Clients.blockDevice,
            unblock: Clients.unblockDevice,
            revoke: Clients.revokeDevice
          }[change](id, "operator")
    return verb.pipe(
      Effect.as({ id, change }),
      Effect.mapError((error) =>
        error._tag === "NoRootInForce" || error._tag === "KeyInUse"
          ? fromRevoke(error)
          : noClient(id)
      )
    )
  }
})

export const credentialsGenerate = defineCommand({
  name: "central credentials generate",
  side: "central",
  args: Schema.Struct({
    organisations: Schema.Array(OrganisationId),
    name: Text(CLIENT_NAME_MAX),
    /** It opens results elsewhere; it belongs to no organisation then. */
    results: Schema.Boolean
  }),
  report: Schema.Struct({ key: Schema.String, secret: Schema.String }),
  run: ({ name, organisations, results }) =>
    results
      ? Clients.generateCredential([], name, "operator", "results")
      : Clients.generateCredential(organisations, name, "operator")
})

export const credentialsList = defineCommand({
  name: "central credentials list",
  side: "central",
  args: Schema.Struct({}),
  report: Schema.Struct({ clients: Schema.Array(ClientReport) }),
  run: () =>
    Effect.map(Effect.all([listOf("credential"), listOf("results")]), ([some, results]) => ({
      clients: [...some.clients, ...results.clients]
    }))
})

export const credentialsRevoke = defineCommand({
  name: "central credentials revoke",
  side: "central",
  args: Schema.Struct({ key: ClientId }),
  report: Schema.Struct({ key: Schema.String }),
  run: ({ key }) =>
    Clients.revokeCredential(key, "operator").pipe(
      Effect.as({ key }),
      Effect.mapError(() => noClient(key))
    )
})

export const centralHistory = defineCommand({
  name: "central history",
  side: "central",
  args: Schema.Struct({ limit: Positive }),
  report: Schema.Struct({ entries: Schema.Array(HistoryEntry), now: Schema.Int }),
  run: Effect.fn("centralHistory")(function* ({ limit }) {
    const history = yield* History
    return { entries: yield* history.recent(limit), now: yield* Clock.currentTimeMillis }
  })
})

/** A refused file is a refusal; good rows kept beside bad ones leave items behind (status 3). */
const answered = (
  args: { readonly file: string; readonly dryRun: boolean },
  imported: Imported
) => {
  const { failed, problems, problemsLeftOut } = imported.report
  if (failed === 0 || args.dryRun) return Effect.succeed(imported)
  if (imported.applied) return Effect.succeed({ ...imported, exit: 3 as const })
  const more = problemsLeftOut === 0 ? [] : [`… and ${problemsLeftOut} more`]
  return Effect.fail(
    new Refused({
      code: "E_IMPORT_ROWS",
      what: `${args.file} was not imported; nothing was changed.`,
      why: [`${failed} rows are wrong:`, ...problems.slice(0, 50).map(problemLine), ...more].join(
        "\n"
      ),
      todo: "Correct these rows and import again, or keep the good ones with --keep-going."
    })
  )
}

const fromSheet = ({ file, reason }: SheetRefused): Refused =>
  new Refused({
    code: "E_PASSWORD_SHEET",
    what: "Nothing was imported.",
    why: `The passwords can't be written to ${file}: it is ${reason.replaceAll("-", " ")}.`,
    todo: "Name a new file with --passwords-out, in a folder that nobody else may read."
  })

const sheetNeeded = (people: number): Refused =>
  new Refused({
    code: "E_PASSWORDS_OUT",
    what: "Nothing was imported.",
    why: `${people} people have no password in the file, so central must make one for each.`,
    todo: "Say where to write them: --passwords-out FILE. Print them, then delete that file."
  })

/** All of them, as the control socket serves them. */
export const centralCommands: ReadonlyArray<ServedCommand<CentralPorts>> = [
  ...servedOpening,
  ...carryCommands,
  ...resultsKeyCommands,
  importUsers,
  importTestCenters,
  importEligibilityRows,
  publishPackage,
  removeEntities,
  listEntities,
  listContents,
  ltiConsumerAdd,
  restored,
  devicesList,
  devicesChange,
  credentialsGenerate,
  credentialsList,
  credentialsRevoke,
  ...accountCommands,
  centralHistory,
  ...rootCommands,
  ...approveCommands,
  ...revocationCommands,
  ...recordCommands,
  ...asideCommands
]
