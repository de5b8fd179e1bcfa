/** The commands about bundles that central put aside. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { DeviceId, Digest, Text } from "../domain/id.ts"
import type * as AsideCommands from "./aside-commands.ts"
import { atCentral } from "./at-central.ts"
import { answer } from "./cli-run.ts"
import { Positive } from "./command.ts"
import { count } from "./terminal-units.ts"

const load = Effect.promise(() => import("./aside-commands.ts"))

type Report<Name extends "bundleQuarantine" | "bundleRelease"> = Effect.Success<
  ReturnType<(typeof AsideCommands)[Name]["run"]>
>

export const quarantineTree = Command.make(
  "quarantine",
  {
    limit: Flag.Int("limit").pipe(
      Flag.withSchema(Positive),
      Flag.withDefault(1_000),
      Flag.withDescription("How many of the newest")
    )
  },
  Effect.fnUntraced(function* (args) {
    const { bundleQuarantine: command } = yield* load
    yield* answer({ run: atCentral(command, args), encode: command.encodeReport, show: showAside })
  })
).pipe(
  Command.withDescription("At central: bundles that were put aside whole, why, and what to do")
)

const showAside = ({ bundles, more }: Report<"bundleQuarantine">): string =>
  bundles.length === 0
    ? "No bundle is put aside."
    : [
        ...bundles.map((one) =>
          [
            `${one.device}, bundle ${one.seq ?? "?"}, of ${day(one.at)}: ${one.code}`,
            `  ${one.why}`,
            `  ${one.todo}`,
            ...(one.released === null
              ? []
              : [`  released ${day(one.released.at)}: ${one.released.reason}`]),
            `  id ${one.id}`
          ].join("\n")
        ),
        ...(more ? ["There are older ones: raise --limit."] : [])
      ].join("\n")

const day = (at: number) => new Date(at).toISOString().slice(0, 16).replace("T", " ")

export const releaseTree = Command.make(
  "release",
  {
    device: Argument.String("device").pipe(Argument.withSchema(DeviceId)),
    bundle: Argument.String("bundle").pipe(
      Argument.withDescription("Its number or its id, as bundle quarantine shows them")
    ),
    reason: Flag.String("reason").pipe(
      Flag.withSchema(Text(200)),
      Flag.withDescription("Who decided and why; it stays in the history")
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Check everything and count, and change nothing")
    )
  },
  Effect.fnUntraced(function* ({ bundle: named, ...args }) {
    const { bundleRelease: command } = yield* load
    const bundle = /^[1-9]\d{0,14}$/u.test(named) ? Number(named) : yield* idIn(named)
    const run = atCentral(command, { ...args, bundle })
    yield* answer({ run, encode: command.encodeReport, show: showReleased })
  })
).pipe(Command.withDescription("At central: let in the records of a bundle that was put aside"))

const idIn = (named: string) =>
  /^[0-9a-f]{64}$/u.test(named)
    ? Effect.succeed(Digest.make(named))
    : Effect.fail(
        new Refused({
          code: "E_USAGE",
          what: "Nothing was released.",
          why: "A bundle is named by its number or by its id of 64 characters.",
          todo: 'See "testferry bundle quarantine".',
          exit: 2
        })
      )

const showReleased = ({ carried, device, dryRun, seq }: Report<"bundleRelease">): string =>
  dryRun
    ? `Bundle ${seq} of ${device} is whole and signed by it: ${count(carried.results)} results ` +
      `(${count(carried.records)} records) would be let in. Nothing was changed: this was a dry run.`
    : [
        `Bundle ${seq} of ${device} is released: ${count(carried.results)} results ` +
          `(${count(carried.records)} records) were read. Its bytes stay where they are.`,
        ...(carried.putAside > 0
          ? [
              `${count(carried.putAside)} records are in quarantine by themselves. See "testferry results quarantine list".`
            ]
          : []),
        ...(carried.refused > 0
          ? [`${count(carried.refused)} records were damaged before they were written.`]
          : [])
      ].join("\n")
