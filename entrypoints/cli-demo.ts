/** The command that shows what Testferry does. */
import path from "node:path"
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { answer, shared } from "./cli-run.ts"

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
    const { demo, encodeDemo, narrator, showDemo } = yield* Effect.promise(
      () => import("./demo.ts")
    )
    yield* answer({
      run: demo(path.resolve(dir), narrator(json)),
      encode: encodeDemo,
      show: showDemo
    })
  })
).pipe(Command.withDescription("Show the round trip on real packages, in a folder of its own"))
