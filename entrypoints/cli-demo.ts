/** The command that shows what Testferry does. */
import path from "node:path"
import { Effect, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { answer, shared } from "./cli-run.ts"
import { DemoReport, demo, narrator, showDemo } from "./demo.ts"

export const demoCommand = Command.make(
  "demo",
  {
    dir: Flag.String("dir").pipe(
      Flag.withDefault("./testferry-demo"),
      Flag.withDescription("Folder that is made anew for it")
    )
  },
  Effect.fnUntraced(function* ({ dir }) {
    const { json } = yield* shared
    yield* answer({
      run: demo(path.resolve(dir), narrator(json)),
      encode: encodeReport,
      show: showDemo
    })
  })
).pipe(Command.withDescription("Show the round trip on real packages, in a folder of its own"))

const encodeReport = (report: typeof DemoReport.Type) =>
  Effect.orDie(Schema.encodeEffect(Schema.toCodecJson(DemoReport))(report))
