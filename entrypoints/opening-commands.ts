/**
 * What a server that owns the database does for the decrypt command, which has the key and runs
 * elsewhere: it gives out sealed bytes and keeps what comes back opened.
 */
import { Effect, Schema } from "effect"
import { exportFromCentral } from "../application/export-results.ts"
import type { Refused } from "../application/refused.ts"
import { answerOpening } from "../application/sealed-results.ts"
import { ExportFormat, QtiVersion } from "../domain/export.ts"
import { OPENING_ASKS, type OpeningAsks, ResultsFilter } from "../domain/opening.ts"
import * as ExportToFiles from "../infrastructure/export-files.ts"
import { type Command, defineCommand, type ServedCommand } from "./command.ts"
import type { CentralPorts } from "./wiring.ts"

type OpeningCommands = {
  readonly [Name in keyof OpeningAsks]: Command<
    OpeningAsks[Name]["ask"],
    OpeningAsks[Name]["answer"],
    CentralPorts
  >
}

const about = <Name extends keyof OpeningAsks>(name: Name) =>
  ({ name: `results ${name}`, side: "central" }) as const

export const openingCommands: OpeningCommands = {
  waiting: defineCommand({
    ...about("waiting"),
    args: OPENING_ASKS.waiting.ask,
    report: OPENING_ASKS.waiting.answer,
    run: answerOpening.waiting
  }),
  retry: defineCommand({
    ...about("retry"),
    args: OPENING_ASKS.retry.ask,
    report: OPENING_ASKS.retry.answer,
    run: answerOpening.retry
  }),
  sealed: defineCommand({
    ...about("sealed"),
    args: OPENING_ASKS.sealed.ask,
    report: OPENING_ASKS.sealed.answer,
    run: answerOpening.sealed
  }),
  opened: defineCommand({
    ...about("opened"),
    args: OPENING_ASKS.opened.ask,
    report: OPENING_ASKS.opened.answer,
    run: answerOpening.opened
  }),
  ran: defineCommand({
    ...about("ran"),
    args: OPENING_ASKS.ran.ask,
    report: OPENING_ASKS.ran.answer,
    run: (run) => answerOpening.ran(run, "operator")
  })
}

/** Writes files where the server runs; `to` is absolute. */
export const resultsExport = defineCommand({
  name: "results export",
  side: "central",
  args: Schema.Struct({
    filter: ResultsFilter,
    format: ExportFormat,
    qtiVersion: QtiVersion,
    to: Schema.String
  }),
  report: Schema.Struct({ results: Schema.Int, files: Schema.Array(Schema.String) }),
  run: ({ filter, format, qtiVersion, to }) =>
    Effect.provide(
      exportFromCentral(filter),
      ExportToFiles.layer({ directory: to, format, qtiVersion })
    )
})

/** All of them, as the control socket serves them. */
export const servedOpening: ReadonlyArray<ServedCommand<CentralPorts>> = [
  ...Object.values(openingCommands),
  resultsExport
]

/** One question to a command, as `sealedBy` puts it. */
export const askedBy =
  (
    call: <Args, Report>(
      command: Command<Args, Report, CentralPorts>,
      args: Args
    ) => Effect.Effect<Report, Refused>
  ) =>
  <Name extends keyof OpeningAsks>(name: Name, question: OpeningAsks[Name]["ask"]) =>
    call(openingCommands[name], question)
