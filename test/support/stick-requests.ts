/** Devices that ask by stick, and what is done with the answer that the office's page gives out. */
import { execFileSync } from "node:child_process"
import fs from "node:fs"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import type { Signed } from "../../domain/enrolment.ts"
import { enrolRequest } from "../../entrypoints/stick-enrol-commands.ts"
import type { DevicePorts } from "../../entrypoints/wiring.ts"
import { freshFolder } from "./database.ts"
import { freshDevice } from "./wired.ts"

/** A device of its own that left a request on a stick of its own. */
export const asking = Effect.fnUntraced(function* (name: string) {
  const ports = yield* Layer.build(Layer.fresh(freshDevice("node")))
  const run = <A, E>(effect: Effect.Effect<A, E, DevicePorts>) =>
    Effect.provideContext(effect, ports)
  const ask = Effect.fnUntraced(function* (called: string) {
    const stick = yield* freshFolder()
    const { words } = yield* run(enrolRequest.run({ name: called, to: stick }))
    return { stick, words, note: onStick(stick) }
  })
  return { run, ask, ...(yield* ask(name)) }
})

/** The only request on a stick. */
export const onStick = (stick: string): Signed => {
  const folder = join(stick, "TESTFERRY/enrol")
  const [text = "", signature = ""] = fs.readdirSync(folder).sort()
  return {
    text: fs.readFileSync(join(folder, text), "utf8"),
    signatures: [fs.readFileSync(join(folder, signature), "utf8")]
  }
}

/** Does what the page says: unpacks the answer into the root of the stick. */
export const unpacked = (archive: Uint8Array, stick: string) => {
  const file = join(stick, "answer.zip")
  fs.writeFileSync(file, archive)
  execFileSync("unzip", ["-q", "-o", file, "-d", stick])
  fs.rmSync(file)
}
