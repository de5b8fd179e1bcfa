/** The command trees about what came home: results, sessions, logs and LTI users at central. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { deviceInWords } from "../domain/completeness.ts"
import { DeviceId, Digest, EntityId } from "../domain/id.ts"
import type { LedgerEntry } from "../domain/ledger.ts"
import { CentralStage } from "../domain/lifecycle.ts"
import { atCentral } from "./at-central.ts"
import { pack, unpack } from "./cli-carry.ts"
import { decrypt, exportCommand } from "./cli-results.ts"
import { answer } from "./cli-run.ts"
import { Positive } from "./command.ts"
import type * as RecordCommands from "./record-commands.ts"
import { table } from "./terminal.ts"

const load = Effect.promise(() => import("./record-commands.ts"))

const limit = Flag.Int("limit").pipe(Flag.withSchema(Positive), Flag.withDefault(1_000))
const device = Flag.String("device").pipe(Flag.withSchema(DeviceId), Flag.optional)
const delivery = Flag.String("delivery").pipe(Flag.withSchema(EntityId), Flag.optional)

const listOf = (kind: LedgerEntry["kind"], what: string) =>
  Command.make(
    "list",
    {
      stages: Flag.Literals("state", CentralStage.literals).pipe(Flag.atLeast(0)),
      delivery,
      device,
      limit
    },
    Effect.fnUntraced(function* (flags) {
      const { recordsList: command } = yield* load
      const run = atCentral(command, {
        kind,
        stages: flags.stages.length === 0 ? null : flags.stages,
        delivery: Option.getOrNull(flags.delivery),
        device: Option.getOrNull(flags.device),
        limit: flags.limit
      })
      yield* answer({ run, encode: command.encodeReport, show: showRecords })
    })
  ).pipe(Command.withDescription(`List ${what} that came home`))

type Listed = Effect.Success<ReturnType<(typeof RecordCommands.recordsList)["run"]>>

const showRecords = ({ more, records }: Listed): string =>
  records.length === 0
    ? "There are none."
    : [
        table(
          ["DEVICE", "NUMBER", "ID", "STATE", "DELIVERY", "TEST-TAKER", "FINISHED", "REMARK"],
          records.map((one) => [
            one.device,
            one.number,
            one.id,
            one.stage,
            one.delivery ?? "",
            one.testTaker ?? "",
            one.finishedAt === null ? "" : new Date(one.finishedAt).toISOString().slice(0, 19),
            [one.reason ?? "", one.conflict ? "CONFLICT" : ""].join(" ").trim()
          ])
        ),
        ...(more ? ["There are more: raise --limit."] : [])
      ].join("\n")

const completeness = Command.make(
  "completeness",
  { delivery, device },
  Effect.fnUntraced(function* (flags) {
    const { resultsCompleteness: command } = yield* load
    const run = atCentral(command, {
      delivery: Option.getOrNull(flags.delivery),
      device: Option.getOrNull(flags.device)
    })
    yield* answer({
      run,
      encode: command.encodeReport,
      show: ({ deliveries, devices }) =>
        [
          ...devices.map(deviceInWords),
          ...(deliveries.length === 0
            ? []
            : [
                table(
                  ["DELIVERY", "LABEL", "ELIGIBLE", "SAT", "HERE", "ASIDE", "MISSING", "WITHOUT"],
                  deliveries.map((one) => [
                    one.delivery,
                    one.label,
                    one.eligible,
                    one.sat,
                    one.here,
                    one.quarantined,
                    one.missing.length,
                    one.without
                  ])
                )
              ])
        ].join("\n")
    })
  })
).pipe(Command.withDescription("What has come home from whom, and what is missing"))

const quarantine = Command.make("quarantine").pipe(
  Command.withDescription("What central keeps but does not accept, and why"),
  Command.withSubcommands([
    Command.make(
      "list",
      { limit },
      Effect.fnUntraced(function* (args) {
        const { quarantineList: command } = yield* load
        const run = atCentral(command, args)
        yield* answer({ run, encode: command.encodeReport, show: showAside })
      })
    ).pipe(Command.withDescription("List it with its reasons")),
    Command.make(
      "release",
      {
        device: Argument.String("device").pipe(Argument.withSchema(DeviceId)),
        sha256: Argument.String("digest").pipe(Argument.withSchema(Digest))
      },
      Effect.fnUntraced(function* (args) {
        const { quarantineRelease: command } = yield* load
        const run = atCentral(command, args)
        const show = ({ id }: { readonly id: string }) => `${id} is accepted now.`
        yield* answer({ run, encode: command.encodeReport, show })
      })
    ).pipe(Command.withDescription("Accept a record after all"))
  ])
)

const showAside = ({ more, records }: Listed): string =>
  records.length === 0
    ? "Nothing is in quarantine."
    : [
        table(
          ["DEVICE", "KIND", "ID", "REASON", "DIGEST"],
          records.map((one) => [one.device, one.kind, one.id, one.reason ?? "", one.sha256])
        ),
        ...(more ? ["There are more: raise --limit."] : [])
      ].join("\n")

export const resultsTree = Command.make("results").pipe(
  Command.withDescription("Sealed results that came home"),
  Command.withSubcommands([
    listOf("result", "sealed results"),
    completeness,
    quarantine,
    decrypt,
    exportCommand,
    pack,
    unpack
  ])
)

export const sessionsTree = Command.make("sessions").pipe(
  Command.withDescription("Sessions that test-takers sat on devices"),
  Command.withSubcommands([listOf("test-session", "sessions")])
)

export const logsTree = Command.make("logs").pipe(
  Command.withDescription("Logs of sessions"),
  Command.withSubcommands([listOf("result-log", "logs")])
)

export const ltiUsersTree = Command.make("lti-users").pipe(
  Command.withDescription("People whom learning platforms launched on devices"),
  Command.withSubcommands([listOf("lti-user", "LTI users")])
)
