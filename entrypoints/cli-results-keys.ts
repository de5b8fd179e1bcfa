/** The command tree by which central learns the public halves of results keys. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { atCentral } from "./at-central.ts"
import { answer, shared } from "./cli-run.ts"
import { table } from "./terminal.ts"

const load = Effect.promise(() => import("./results-key-commands.ts"))

const use = Command.make(
  "use-results",
  {
    active: Flag.File("active", { mustExist: true }).pipe(
      Flag.withDescription("NAME.recipient of the key that opens results day by day")
    ),
    recovery: Flag.File("recovery", { mustExist: true }).pipe(
      Flag.withDescription("NAME.recipient of the key for emergencies")
    )
  },
  Effect.fnUntraced(function* ({ active, recovery }) {
    const { data: directory } = yield* shared
    const { readHalves, useResults } = yield* load
    const halves = yield* readHalves(active, recovery)
    yield* answer({
      run: atCentral(useResults, { ...halves, directory }),
      encode: useResults.encodeReport,
      show: (report) =>
        `Root ${report.version} is in force: results are sealed to ${report.active} and ` +
        `${report.recovery} once a device has heard of it. Keep the old keys: what was sealed to ` +
        "them needs them."
    })
  })
).pipe(Command.withDescription("Have results sealed to these keys from now on"))

const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    const { keysList } = yield* load
    yield* answer({
      run: atCentral(keysList, {}),
      encode: keysList.encodeReport,
      show: ({ keys }) =>
        keys.length === 0
          ? 'There is no results key yet: "testferry keys generate-results" makes one.'
          : table(
              ["ID", "ROLE", "STATE", "ROOTS", "RECIPIENT"],
              keys.map((one) => [
                one.id,
                one.role,
                one.retired ? "retired" : "in use",
                one.from === one.to ? `${one.from}` : `${one.from}-${one.to}`,
                `${one.recipient.slice(0, 24)}…`
              ])
            )
    })
  })
).pipe(Command.withDescription("List the keys that results are, and were, sealed to"))

export const centralKeysTree = Command.make("keys").pipe(
  Command.withDescription("To whom results are sealed: public halves only"),
  Command.withSubcommands([use, list])
)
