/** What the office does with a stick on which devices ask to be enrolled: compare words, approve. */
import path from "node:path"
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { OrganisationId } from "../domain/id.ts"
import type * as ApproveCommands from "./approve-commands.ts"
import { atCentral } from "./at-central.ts"
import { answer } from "./cli-run.ts"
import { confirm } from "./terminal-prompt.ts"

const load = Effect.promise(() => import("./approve-commands.ts"))

type Asking = Effect.Success<
  ReturnType<(typeof ApproveCommands)["devicesRequests"]["run"]>
>["requests"][number]
type Approved = Effect.Success<ReturnType<(typeof ApproveCommands)["devicesApprove"]["run"]>>

export const approveCommand = Command.make(
  "approve",
  {
    stick: Argument.String("stick").pipe(
      Argument.withDescription("The stick's folder, or one request file on it (enrol/….json)")
    ),
    organisation: Flag.String("organisation").pipe(
      Flag.withSchema(OrganisationId),
      Flag.optional,
      Flag.withDescription("To which the device shall belong; not needed where there is only one")
    ),
    yes: Flag.Boolean("yes").pipe(
      Flag.withDefault(false),
      Flag.withDescription("You have compared the words of every request on the stick")
    )
  },
  Effect.fnUntraced(function* ({ organisation, stick, yes }) {
    const { devicesApprove, devicesRequests, tampered } = yield* load
    const { file, from } = placeOf(path.resolve(stick))
    const approveOne = Effect.fnUntraced(function* ({ name, path, text, words }: Asking) {
      if (name === null) return yield* Effect.fail(tampered(path))
      const agreed =
        yes ||
        (yield* confirm({
          message: `"${name}" asks, with the words: ${words}. Does the device show the same?`,
          flag: "--yes (after you have compared the words)"
        }))
      if (!agreed) return []
      const args = { from, path, text, organisation: Option.getOrNull(organisation) }
      return [yield* atCentral(devicesApprove, args)]
    })
    yield* answer({
      run: Effect.gen(function* () {
        const { requests } = yield* atCentral(devicesRequests, { from })
        const asked = requests.filter((one) =>
          file === undefined ? !one.answered : path.basename(one.path) === file
        )
        if (asked.length === 0) return yield* nobodyAsks(from)
        const approved = (yield* Effect.forEach(asked, approveOne)).flat()
        const isLeft = approved.length < asked.length || approved.some(({ bundle }) => bundle)
        return { approved, ...(isLeft ? { exit: 3 as const } : {}) }
      }),
      encode: ({ approved }) =>
        Effect.map(Effect.forEach(approved, devicesApprove.encodeReport), (all) => ({
          approved: all
        })),
      show: ({ approved }) =>
        approved.length === 0 ? "Nothing was approved." : approved.map(approvedText).join("\n")
    })
  })
).pipe(Command.withDescription("Enrol devices that ask on a stick, after comparing their words"))

/** Who names a request file means that one: it lies in a folder of the stick. */
const placeOf = (given: string) =>
  given.endsWith(".json")
    ? { file: path.basename(given), from: path.dirname(path.dirname(given)) }
    : { file: undefined, from: given }

const approvedText = ({ bundle, device, organisations }: Approved): string =>
  [
    `${device} is enrolled for ${organisations.join(", ")}; the answer is on the stick.`,
    bundle === null
      ? "Its first bundle is on the stick too."
      : `${bundle.what} ${bundle.why} ${bundle.todo}`,
    "At the school, let them compare central's words (testferry central root show) on the phone."
  ].join("\n")

const nobodyAsks = (from: string) =>
  Effect.fail(
    new Refused({
      code: "E_NO_REQUEST",
      what: "No device was approved.",
      why: `There is no request in ${from} that was not answered yet.`,
      todo: 'Name the folder that holds TESTFERRY. At the device: "testferry device enrol --request DIR".'
    })
  )
