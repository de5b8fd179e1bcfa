/** The commands that open results and write them out, for the results officer. */
import { resolve } from "node:path"
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { ExportFormat, QtiVersion } from "../domain/export.ts"
import { EntityId, OrganisationId } from "../domain/id.ts"
import { countsText, type ResultsFilter } from "../domain/opening.ts"
import { atCentral } from "./at-central.ts"
import { answer, shared } from "./cli-run.ts"
import type { DecryptReport } from "./decrypt-command.ts"
import { readCentral } from "./settings.ts"

export const delivery = Flag.String("delivery").pipe(
  Flag.withAlias("d"),
  Flag.withSchema(EntityId),
  Flag.optional,
  Flag.withDescription("Only results of this delivery")
)
export const organisation = Flag.String("organisation").pipe(
  Flag.withSchema(OrganisationId),
  Flag.optional,
  Flag.withDescription("Only results of this organisation")
)

export const filterOf = (flags: {
  readonly delivery: Option.Option<EntityId>
  readonly organisation: Option.Option<OrganisationId>
}): ResultsFilter => ({
  delivery: Option.getOrNull(flags.delivery),
  organisation: Option.getOrNull(flags.organisation)
})

export const identityFlags = {
  identities: Flag.File("identity", { mustExist: true }).pipe(
    Flag.atLeast(1),
    Flag.withDescription("A results key, NAME.age; give the flag again for retired keys")
  ),
  passphraseFiles: Flag.File("passphrase-file", { mustExist: true }).pipe(
    Flag.atLeast(0),
    Flag.withDescription("Its passphrase on the first line; once for all keys, or once for each")
  ),
  passphraseFd: Flag.Int("passphrase-fd").pipe(
    Flag.optional,
    Flag.withDescription("An open file descriptor to read the passphrase from")
  )
}

export const unlocked = Effect.fnUntraced(function* (flags: {
  readonly identities: ReadonlyArray<string>
  readonly passphraseFiles: ReadonlyArray<string>
  readonly passphraseFd: Option.Option<number>
}) {
  const { unlockKeys } = yield* Effect.promise(() => import("./unlock-keys.ts"))
  return yield* unlockKeys(flags.identities, {
    files: flags.passphraseFiles,
    descriptor: Option.getOrUndefined(flags.passphraseFd)
  })
})

const elsewhere = {
  from: Flag.String("from").pipe(
    Flag.optional,
    Flag.withDescription("Another machine's central, as https://central.example")
  ),
  credentials: Flag.String("credentials").pipe(
    Flag.optional,
    Flag.withDescription('KEY:SECRET-FILE of "central credentials generate --results"')
  ),
  fingerprint: Flag.String("fingerprint").pipe(
    Flag.optional,
    Flag.withDescription("SHA-256 of central's certificate, where it signed that itself")
  ),
  fromFolder: Flag.Directory("from-folder", { mustExist: true }).pipe(
    Flag.optional,
    Flag.withDescription('A folder that "results pack" wrote')
  ),
  openedTo: Flag.Directory("opened-to").pipe(
    Flag.optional,
    Flag.withDescription("Where opened results of --from-folder go; anybody can read them there")
  )
}
export type Elsewhere = {
  readonly [Name in keyof typeof elsewhere]: Option.Option<string>
}

export const decrypt = Command.make(
  "decrypt",
  {
    ...identityFlags,
    // A dry run opens nothing, so it needs no key.
    identities: Flag.File("identity", { mustExist: true }).pipe(
      Flag.atLeast(0),
      Flag.withDescription("A results key, NAME.age; give the flag again for retired keys")
    ),
    all: Flag.Boolean("all").pipe(
      Flag.withAlias("a"),
      Flag.withDefault(false),
      Flag.withDescription("Every result that is sealed still")
    ),
    delivery,
    organisation,
    ...elsewhere,
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Only count what would be tried; needs no key")
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { data: directory } = yield* shared
    const filter = filterOf(flags)
    const isAll = filter.delivery === null && filter.organisation === null
    if (isAll !== flags.all)
      return yield* say("Give --all, or --delivery ID, or --organisation ID.")
    if (!flags.dryRun && flags.identities.length === 0) return yield* say("Give --identity FILE.")
    const { decryptAt, keeperOf } = yield* Effect.promise(() => import("./decrypt-command.ts"))
    const keeper = yield* keeperOf(directory, flags, filter)
    const keys = flags.dryRun ? [] : yield* unlocked(flags)
    yield* answer({
      run: keeper.with(decryptAt({ keys, filter, dryRun: flags.dryRun })),
      encode: encodeDecrypt,
      show: (report) => [...keeper.words, showDecrypt(report)].join("\n")
    })
  })
).pipe(Command.withDescription("Open sealed results with the results key; safe to repeat"))

export const encodeDecrypt = ({ run, ...rest }: DecryptReport) =>
  Effect.succeed({
    ...rest,
    ...(run === null
      ? {}
      : { keys: run.keys, counts: { ...run.counts }, millis: run.millis, ended: run.ended })
  })

export const showDecrypt = ({ left, run, waiting }: DecryptReport): string => {
  if (run === null) return `${waiting ?? 0} sealed results would be tried. Nothing was opened.`
  const lines = [`Keys ${run.keys.join(", ")}: ${countsText(run.counts)}.`]
  if (run.counts.duplicate > 0) {
    lines.push("Some executions have two different results: look at the exports' CONFLICT column.")
  }
  if (left > 0) {
    lines.push(
      `${left} are sealed still. See them with "testferry results list --state undecryptable", and ` +
        "run this again with the key that they were sealed to."
    )
  }
  return lines.join("\n")
}

export const exportCommand = Command.make(
  "export",
  {
    format: Flag.Literals("format", ExportFormat.literals).pipe(
      Flag.withDescription(
        "QTI Results Reporting; a row per variable; a row per execution; JSON lines"
      )
    ),
    to: Flag.Directory("to").pipe(
      Flag.withDescription("The folder to write to: what is in it can be read by whoever has it")
    ),
    qtiVersion: Flag.Literals("qti-version", QtiVersion.literals).pipe(Flag.withDefault("2.2")),
    fromFolder: Flag.Directory("from-folder", { mustExist: true }).pipe(
      Flag.optional,
      Flag.withDescription('Opened results of "results decrypt --opened-to", instead of central\'s')
    ),
    delivery,
    organisation
  },
  Effect.fnUntraced(function* ({ format, fromFolder, qtiVersion, to, ...flags }) {
    const { data: directory } = yield* shared
    const { resultsExport } = yield* Effect.promise(() => import("./opening-commands.ts"))
    const args = { filter: filterOf(flags), format, qtiVersion, to: resolve(to) }
    yield* answer({
      run: Effect.gen(function* () {
        if (Option.isSome(fromFolder)) {
          const { exportFolder } = yield* Effect.promise(() => import("./decrypt-command.ts"))
          return yield* exportFolder(fromFolder.value, args)
        }
        const settings = yield* readCentral(directory)
        if (settings.database === "embedded") return yield* atCentral(resultsExport, args)
        // The server's role need not be allowed to read opened results: this process's must.
        const { layerCentral } = yield* Effect.promise(() => import("./wiring.ts"))
        return yield* Effect.provide(resultsExport.run(args), layerCentral(directory, settings))
      }),
      encode: resultsExport.encodeReport,
      show: showExport
    })
  })
).pipe(Command.withDescription("Write opened results out for other programs"))

export const showExport = (report: {
  readonly results: number
  readonly files: ReadonlyArray<string>
}): string =>
  report.results === 0
    ? "There are no opened results of that kind."
    : [`${report.results} results are written:`, ...report.files.map((file) => `  ${file}`)].join(
        "\n"
      )

const say = (why: string) =>
  Effect.fail(
    new Refused({
      code: "E_USAGE",
      what: "Nothing was opened.",
      why,
      todo: 'Read "testferry results decrypt --help".',
      exit: 2
    })
  )
