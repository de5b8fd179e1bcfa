/** The command trees for content packages beside publishing: convert one, list what devices get. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { answerAtCentral } from "./at-central.ts"
import { answer } from "./cli-run.ts"
import { table } from "./terminal.ts"

export const convertTree = Command.make(
  "convert",
  {
    file: Argument.File("package", { mustExist: true }),
    to: Flag.String("to").pipe(Flag.withDescription("Where to write the converted package"))
  },
  Effect.fnUntraced(function* ({ file, to }) {
    const commands = yield* Effect.promise(() => import("./package-commands.ts"))
    yield* answer({
      run: commands.convertPackage(file, to),
      encode: commands.encodeConverted,
      show: ({ isChanged, items, title, to: written, warnings, was }) =>
        [
          ...warnings.map((warning) => `warning: ${warning}`),
          isChanged
            ? `Wrote "${title}" to ${written}: from QTI ${was} to what devices play, ${items} items`
            : `Copied "${title}" to ${written}: devices play it as it is, ${items} items`
        ].join("\n")
    })
  })
).pipe(
  Command.withDescription("Write the form of a package that devices play (QTI 3.0) to a new file")
)

export const contentsTree = Command.make("contents", {}, () =>
  Effect.flatMap(
    Effect.promise(() => import("./package-commands.ts")),
    ({ listContents }) =>
      answerAtCentral(
        () => listContents,
        {},
        ({ contents }) =>
          contents.length === 0
            ? "No delivery is published."
            : table(
                ["DELIVERY", "LABEL", "VERSION", "SHA-256 ON DEVICES", "MADE FROM"],
                contents.map(({ delivery, label, original, sha256, version }) => [
                  delivery,
                  label,
                  String(version),
                  sha256,
                  original === null ? "itself" : `QTI ${original.qti}, ${original.sha256}`
                ])
              )
      )
  )
).pipe(Command.withDescription("List what devices play, and the packages it was made from"))
