/**
 * Runs the decrypt command in a process of its own: the server never has the key (invariant 9).
 *
 * Where the database is free, or is PostgreSQL, this process opens it; where a server owns it, that
 * server gives out sealed bytes through its control socket and keeps what comes back.
 */
import { Effect, Schedule } from "effect"
import { countWaiting, decryptResults } from "../application/decrypt-results.ts"
import { SealedResults } from "../application/record-ports.ts"
import type { Refused } from "../application/refused.ts"
import { sealedBy, sealedHere } from "../application/sealed-results.ts"
import { leftSealed, type OpeningRun, type ResultsFilter } from "../domain/opening.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import type { UnlockedKey } from "../infrastructure/results-opener.ts"
import { callOwner } from "./call-owner.ts"
import { busy } from "./central-init.ts"
import { askedBy } from "./opening-commands.ts"
import { readCentral } from "./settings.ts"
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
