/** What a school asks before exam day: can it start here, and is anything wrong with this device? */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { atDevice } from "./at-device.ts"
import { answer, shared } from "./cli-run.ts"
import { readDevice } from "./settings.ts"

const load = Effect.promise(() => import("./readiness-commands.ts"))

export const readinessTree = Command.make(
  "readiness",
  {
    at: Flag.String("at").pipe(
      Flag.optional,
      Flag.withDescription('The moment: "2027-03-01 08:00" of this place (default: a day from now)')
    )
  },
  Effect.fnUntraced(function* ({ at }) {
    const { readinessCommand, readMoment, showReadiness } = yield* load
    const moment = Option.flatMap(at, readMoment)
    if (Option.isSome(at) && Option.isNone(moment)) return yield* noMoment(at.value)
    yield* answer({
      run: atDevice(readinessCommand, { at: Option.getOrNull(moment) }),
      encode: readinessCommand.encodeReport,
      show: showReadiness
    })
  })
).pipe(
  Command.withDescription("Can the tests of this room start tomorrow? What is missing, if not")
)

export const doctorTree = Command.make(
  "doctor",
  {},
  Effect.fnUntraced(function* () {
    const { data: directory } = yield* shared
    yield* readDevice(directory)
    const { reachByHttps } = yield* Effect.promise(() => import("./wiring.ts"))
    const { doctorCommand, showDoctor } = yield* load
    const command = doctorCommand(reachByHttps(directory))
    yield* answer({ run: atDevice(command, {}), encode: command.encodeReport, show: showDoctor })
  })
).pipe(Command.withDescription("Look at this device and at the way to central, and change nothing"))

const noMoment = (text: string) =>
  new Refused({
    code: "E_MOMENT",
    what: "Nothing was looked at.",
    why: `"${text}" is not a moment.`,
    todo: 'Write it as "2027-03-01 08:00" or "2027-03-01T08:00Z".',
    exit: 2
  })
