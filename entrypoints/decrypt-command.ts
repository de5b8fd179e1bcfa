/**
 * Runs the decrypt command in a process of its own: the server never has the key (invariant 9).
 *
 * Where the database is free, or is PostgreSQL, this process opens it; where a server owns it, that
 * server gives out sealed bytes through its control socket and keeps what comes back.
 */
import { resolve } from "node:path"
import { Effect, Layer, Option, Redacted, Schedule } from "effect"
import { countWaiting, decryptResults } from "../application/decrypt-results.ts"
import { exportResults } from "../application/export-results.ts"
import { Names, SealedResults } from "../application/record-ports.ts"
import { Refused } from "../application/refused.ts"
import { sealedBy, sealedHere } from "../application/sealed-results.ts"
import { leftSealed, type OpeningRun, type ResultsFilter } from "../domain/opening.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import type { ExportOptions } from "../infrastructure/export-files.ts"
import * as ExportToFiles from "../infrastructure/export-files.ts"
import * as FolderResults from "../infrastructure/folder-results.ts"
import type { UnlockedKey } from "../infrastructure/results-opener.ts"
import { callOwner } from "./call-owner.ts"
import { folderWords } from "./carry-commands.ts"
import { busy } from "./central-init.ts"
import type { Elsewhere } from "./cli-results.ts"
import { askedBy } from "./opening-commands.ts"
import { readCentral } from "./settings.ts"
import { askPassword } from "./terminal-prompt.ts"
import { acquire, layerCentral } from "./wiring.ts"

export interface DecryptReport {
  readonly dryRun: boolean
  /** How many would be tried; of a dry run only. */
  readonly waiting: number | null
  readonly run: OpeningRun | null
  readonly left: number
  readonly exit?: 3
}

/** Decrypts, or only counts for a dry run, at whatever keeps the results. */
export const decryptAt = Effect.fn("decryptAt")(function* (options: {
  readonly keys: ReadonlyArray<UnlockedKey>
  readonly filter: ResultsFilter
  readonly dryRun: boolean
}) {
  if (options.dryRun) {
    const waiting = yield* countWaiting(options.filter)
    return { dryRun: true, waiting, run: null, left: waiting } satisfies DecryptReport
  }
  const { layer } = yield* Effect.promise(() => import("../infrastructure/results-opener.ts"))
  const run = yield* Effect.provide(decryptResults(options.filter), layer(options.keys))
  const left = leftSealed(run.counts)
  const report: DecryptReport = { dryRun: false, waiting: null, run, left }
  return left > 0 ? { ...report, exit: 3 as const } : report
})

/** Uses the results of the central in `directory`. */
export const withCentralsResults = <A>(
  directory: string,
  work: Effect.Effect<A, Refused, SealedResults>
) =>
  Effect.gen(function* () {
    const settings = yield* readCentral(directory)
    const local = work.pipe(
      Effect.provideServiceEffect(SealedResults, sealedHere("operator")),
      Effect.provide(layerCentral(directory, settings))
    )
    if (settings.database !== "embedded") return yield* local
    const atOwner = Effect.provideService(work, SealedResults, ownerOf(directory))
    return yield* acquire(directory).pipe(
      Effect.as(true),
      Effect.catchTag("DataDirectoryOwned", () => Effect.succeed(false)),
      Effect.flatMap((isOurs) => (isOurs ? local : atOwner)),
      Effect.scoped
    )
  })

/** Whoever keeps the results that are meant, and what a person should know of them first. */
export const keeperOf = Effect.fnUntraced(function* (
  directory: string,
  { credentials, fingerprint, from, fromFolder, openedTo }: Elsewhere,
  filter: ResultsFilter
) {
  const isFolder = Option.isSome(fromFolder)
  if (isFolder !== Option.isSome(openedTo)) {
    return yield* wrong("--from-folder and --opened-to belong together.")
  }
  if (Option.isSome(from) !== Option.isSome(credentials)) {
    return yield* wrong("--from and --credentials belong together.")
  }
  if (isFolder && Option.isSome(from)) return yield* wrong("Give --from or --from-folder.")
  if (isFolder && (filter.delivery !== null || filter.organisation !== null)) {
    return yield* wrong('"results pack" chose what is in the folder: give --all.')
  }
  if (Option.isSome(fromFolder) && Option.isSome(openedTo)) {
    const words = yield* folderWords(fromFolder.value)
    const layer = FolderResults.layerSealed(fromFolder.value, resolve(openedTo.value))
    return keeper(provided(layer), [`Keys of the devices: ${words}`])
  }
  if (Option.isSome(from) && Option.isSome(credentials)) {
    const HttpResults = yield* Effect.promise(() => import("../infrastructure/http-results.ts"))
    const [key = "", file = ""] = credentials.value.split(/:(.*)/su)
    const secret = yield* askPassword({ message: "", file: Option.some(file) })
    const trust = Option.match(fingerprint, {
      onNone: () => "authorities" as const,
      onSome: (hex) => ({ fingerprint: hex })
    })
    const baseUrl = from.value.replace(/\/+$/u, "")
    return keeper(
      provided(HttpResults.layer({ baseUrl, trust, key, secret: Redacted.value(secret) })),
      []
    )
  }
  return keeper((work) => withCentralsResults(directory, work), [])
})

type With = <A>(
  work: Effect.Effect<A, Refused, SealedResults>
) => ReturnType<typeof withCentralsResults<A>>

const keeper = (use: With, words: ReadonlyArray<string>) => ({ with: use, words })

const provided =
  (layer: Layer.Layer<SealedResults, Refused>): With =>
  (work) =>
    Effect.provide(work, layer)

/** Writes out what the decrypt command has opened into a folder, with ids in place of names. */
export const exportFolder = (
  folder: string,
  args: { readonly filter: ResultsFilter } & Pick<ExportOptions, "format" | "qtiVersion"> & {
      readonly to: string
    }
) =>
  Effect.provide(
    exportResults(args.filter),
    Layer.mergeAll(
      FolderResults.layerOpened(folder),
      ExportToFiles.layer({ ...args, directory: args.to }),
      Layer.succeed(Names, { byIds: () => Effect.succeed(new Map()) })
    )
  )

const wrong = (why: string) =>
  Effect.fail(
    new Refused({
      code: "E_USAGE",
      what: "Nothing was opened.",
      why,
      todo: 'Read "testferry results decrypt --help".',
      exit: 2
    })
  )

/** Asked again for a while: the owner may be a command that ends, or a server that starts. */
const ASK_AGAIN = Schedule.spaced("200 millis").pipe(Schedule.upTo({ duration: "10 seconds" }))

const ownerOf = (directory: string) =>
  sealedBy(
    askedBy((command, args) =>
      command.encodeArgs(args).pipe(
        Effect.flatMap((encoded) =>
          callOwner({ directory, version: PROGRAM_VERSION, name: command.name, args: encoded })
        ),
        Effect.retry({ while: (error) => error._tag === "OwnerUnreachable", schedule: ASK_AGAIN }),
        Effect.catchTag("OwnerUnreachable", () => Effect.fail(busy(directory))),
        Effect.flatMap(command.decodeReport)
      )
    )
  )
