/**
 * The part of the demonstration that has no network: a machine that only ever sees a folder which
 * stands for a USB stick. It is enrolled, filled and heard of by that folder alone.
 */
import fs from "node:fs"
import path from "node:path"
import { Effect, Option } from "effect"
import { OrganisationId } from "../domain/id.ts"
import { devicesApprove, devicesRequests } from "./approve-commands.ts"
import { verifyAnywhere } from "./bundle-checks.ts"
import { bundleExport, bundleImport, bundleReceive, bundleSend } from "./bundle-commands.ts"
import { initDevice } from "./device-init.ts"
import { readDevice } from "./settings.ts"
import { showSync } from "./show.ts"
import { enrolAccept, enrolAnswer, enrolRequest } from "./stick-enrol-commands.ts"
import { byteSize } from "./terminal-units.ts"
import { layerDevice } from "./wiring.ts"

export const AIR_GAPPED = {
  device: "refuge",
  name: "Refuge du Col",
  organisation: OrganisationId.make("0123")
} as const

type Say = (text: string) => void

/** Where the stick of the demonstration is, once it is put in. */
const stickIn = (directory: string) => path.join(directory, "stick")

const bytesOn = (stick: string): number =>
  fs
    .readdirSync(stick, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".zip"))
    .reduce((sum, name) => sum + fs.statSync(path.join(stick, name)).size, 0)

const onMachine = Effect.fnUntraced(function* <A, E, R>(
  directory: string,
  use: Effect.Effect<A, E, R>
) {
  const data = path.join(directory, AIR_GAPPED.device)
  return yield* use.pipe(Effect.provide(layerDevice(data, yield* readDevice(data))))
})

/** Enrols the machine and brings it everything: request, words, approval, first bundle. */
export const firstTrip = Effect.fn("firstTrip")(function* (
  directory: string,
  url: string,
  say: Say
) {
  const stick = stickIn(directory)
  yield* Effect.sync(() => fs.mkdirSync(stick))
  yield* Effect.scoped(
    initDevice({
      directory: path.join(directory, AIR_GAPPED.device),
      setup: Option.none(),
      rootUrl: Option.some(url),
      name: Option.some(AIR_GAPPED.name)
    })
  )
  const { words } = yield* onMachine(
    directory,
    enrolRequest.run({ name: AIR_GAPPED.name, to: stick })
  )
  say(`   ${AIR_GAPPED.name} writes a request onto the stick: "${words}"`)
  const { requests } = yield* devicesRequests.run({ from: stick })
  for (const request of requests) {
    say(
      `   The office reads the same words: ${request.words === words ? "yes" : "NO"}. It approves.`
    )
    yield* devicesApprove.run({
      from: stick,
      path: request.path,
      text: request.text,
      organisation: AIR_GAPPED.organisation
    })
  }
  const full = bytesOn(stick)
  say(`   Certificate and first bundle are on the stick (${byteSize(full)}); nothing was typed.`)
  const { bundles } = yield* verifyAnywhere(stick)
  const sound = bundles.every((one) => one.damages.length === 0 && one.refused === null)
  say(`   Anybody can check the stick without a secret: ${sound ? "sound" : "NOT SOUND"}.`)
  const answer = yield* onMachine(directory, enrolAnswer.run({ from: stick }))
  yield* onMachine(directory, enrolAccept.run({ from: stick, firstRoot: answer.firstRoot }))
  yield* load(directory, say)
  return { full }
})

/** Brings what changed, after the machine has told by stick how far it is. */
export const secondTrip = Effect.fn("secondTrip")(function* <E, R>(
  directory: string,
  change: Effect.Effect<unknown, E, R>,
  say: Say
) {
  const stick = stickIn(directory)
  const sent = yield* onMachine(
    directory,
    bundleSend.run({ to: stick, volumeBytes: null, dryRun: false })
  )
  const { bundles } = yield* bundleReceive.run({ from: stick })
  const heard = bundles.every(({ status }) => status === "received")
  say(
    `   The machine's bundle home (${byteSize(sent.bytes)}) is ${heard ? "received" : "NOT received"} at central.`
  )
  yield* change
  const { bundles: made } = yield* bundleExport.run({
    to: stick,
    device: null,
    organisation: AIR_GAPPED.organisation,
    full: false,
    volumeBytes: null,
    dryRun: false
  })
  const own = made.find(({ contents }) => contents.held > 0 || contents.brought > 0)
  const ours = made.find(({ device }) => bundles.some((one) => one.device === device)) ?? own
  say(`   The next bundle carries only the difference: ${byteSize(ours?.bytes ?? 0)}.`)
  yield* load(directory, say)
  return { delta: ours?.bytes ?? 0, heard }
})

/** Takes the results of the machine to central, and the receipts back. */
export const resultsHome = Effect.fn("resultsHome")(function* (directory: string, say: Say) {
  const stick = stickIn(directory)
  yield* onMachine(directory, bundleSend.run({ to: stick, volumeBytes: null, dryRun: false }))
  const { bundles } = yield* bundleReceive.run({ from: stick })
  for (const { seq, status } of bundles) say(`   Bundle ${seq} of ${AIR_GAPPED.name}: ${status}`)
  yield* bundleExport.run({
    to: stick,
    device: null,
    organisation: AIR_GAPPED.organisation,
    full: false,
    volumeBytes: null,
    dryRun: false
  })
  yield* load(directory, say)
})

const load = Effect.fnUntraced(function* (directory: string, say: Say) {
  const report = yield* onMachine(
    directory,
    bundleImport.run({
      from: stickIn(directory),
      dryRun: false,
      confirmRemovals: false,
      expiredAllowed: false
    })
  )
  if (report.sync === null) return
  say(`   ${AIR_GAPPED.name} imports bundle ${report.seq}:`)
  for (const line of showSync(report.sync).split("\n")) say(`     ${line}`)
})
