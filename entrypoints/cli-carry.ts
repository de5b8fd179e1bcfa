/** The commands that carry results by hand between central and the machine that has the key. */
import { resolve } from "node:path"
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { countsText } from "../domain/opening.ts"
import { atCentral } from "./at-central.ts"
import { delivery, filterOf, organisation } from "./cli-results.ts"
import { answer } from "./cli-run.ts"

const load = Effect.promise(() => import("./carry-commands.ts"))

export const pack = Command.make(
  "pack",
  {
    to: Flag.Directory("to").pipe(Flag.withDescription("The folder to write sealed results to")),
    delivery,
    organisation
  },
  Effect.fnUntraced(function* ({ to, ...flags }) {
    const { resultsPack } = yield* load
    yield* answer({
      run: atCentral(resultsPack, { filter: filterOf(flags), to: resolve(to) }),
      encode: resultsPack.encodeReport,
      show: (report) =>
        [
          `${report.results} sealed results are in ${report.to}; nobody can read them on the way.`,
          `  words  ${report.words}`,
          "The words name the keys of the devices. Tell them to whoever opens the results: the decrypt",
          "command shows the same, or somebody has changed the folder."
        ].join("\n")
    })
  })
).pipe(Command.withDescription("Copy sealed results to a folder, to open them on another machine"))

export const unpack = Command.make(
  "unpack",
  { from: Argument.Directory("folder", { mustExist: true }) },
  Effect.fnUntraced(function* ({ from }) {
    const { resultsUnpack } = yield* load
    yield* answer({
      run: atCentral(resultsUnpack, { from: resolve(from) }),
      encode: resultsUnpack.encodeReport,
      show: ({ counts }) =>
        `${countsText(counts)}. Delete the folder now: it can be read by anybody.`
    })
  })
).pipe(Command.withDescription("Take in opened results that came back in a folder"))
