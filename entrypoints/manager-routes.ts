/** Connects what the sync manager's page asks to the commands and verbs of the device. */
import { Clock, Effect, Layer, Option, Result } from "effect"
import type { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { lookAtCentral, lookAtDevice } from "../application/diagnose.ts"
import { contentsHere } from "../application/fetch-contents.ts"
import { CentralAway, DeviceIdentity, History, Holdings } from "../application/ports.ts"
import { deviceFacts, readiness } from "../application/readiness.ts"
import { recheckingAlways } from "../application/recheck.ts"
import { Outbox } from "../application/record-ports.ts"
import type { Finding } from "../domain/readiness.ts"
import { ManagerApi, type RunPost, type RunView } from "../infrastructure/manager-api.ts"
import { findMedia } from "../infrastructure/removable-media.ts"
import { Here } from "../infrastructure/runner-door.ts"
import { runnerProblem, runnerTrouble } from "../infrastructure/runner-problem.ts"
import { bundleImport, bundleSend } from "./bundle-commands.ts"
import { type Reach, syncCommand } from "./device-commands.ts"
import { enrolFromPage, fetchFirst, isPeopled, peerOf } from "./manager-enrol.ts"
import { Runs } from "./manager-runs.ts"
import { findingText, type Language } from "./readiness-words.ts"
import { fromCentral } from "./refusals.ts"
import { type AccessOptions, entrance, layerLoggedIn, leave, NOBODY } from "./runner-access.ts"
import { readDevice } from "./settings.ts"
import type { DevicePorts } from "./wiring.ts"

const DAY = 24 * 3_600_000
const HISTORY_SHOWN = 100
/** A run tries for longer; somebody who only looks is told soon. */
const CHECK_MILLIS = 5_000

export interface ManagerOptions extends AccessOptions {
  readonly directory: string
  readonly reach: Reach<DevicePorts>
}

/** The sync manager's door, as further routes of a device's server. */
export const layerManagerDoor = (options: ManagerOptions) =>
  HttpApiBuilder.layer(ManagerApi, { openapiPath: "/manager/openapi.json" }).pipe(
    Layer.provide([layerManagerAccess(options), layerManager(options)]),
    Layer.provide(layerLoggedIn)
  )

/** What may be asked before anybody has logged in. */
const layerManagerAccess = (options: ManagerOptions) =>
  HttpApiBuilder.group(
    ManagerApi,
    "manager-access",
    Effect.fnUntraced(function* (handlers) {
      const enter = yield* entrance(options)
      const enrol = yield* enrolFromPage(options)
      return handlers.handleAll({
        door: () => doorOf(options.directory),
        peer: () => peerOf(options.directory),
        enrol: ({ payload }) => enrol(payload),
        first: () => fetchFirst(options.reach),
        login: ({ payload }) => enter(payload, ["sync-manager"])
      })
    })
  )

const layerManager = ({ directory, reach }: ManagerOptions) =>
  HttpApiBuilder.group(ManagerApi, "manager", (handlers) =>
    handlers.handleAll({
      logout: () => leave,
      overview: () => asManager(overviewOf(directory)),
      run: () => asManager(currentRun),
      start: ({ payload }) => asManager(startRun(directory, reach, payload)),
      cancel: () =>
        asManager(Effect.flatMap(Runs, (runs) => Effect.andThen(runs.cancel, currentRun))),
      media: () => asManager(Effect.map(mediaOf(directory), (media) => ({ media }))),
      history: () =>
        asManager(
          Effect.flatMap(History, (history) =>
            Effect.map(history.recent(HISTORY_SHOWN), (entries) => ({ entries }))
          )
        ),
      readiness: ({ query: { at, language } }) => asManager(readinessOf(directory, at, language)),
      doctor: ({ query: { language } }) => asManager(doctorOf(directory, reach, language))
    })
  )

/** A test-taker or proctor who is logged in here is not meant; nor whom central has removed since. */
const asManager = <A, E, R>(verb: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    notMeant,
    (why): Effect.Effect<A | HttpServerResponse.HttpServerResponse, E, R> =>
      why === undefined ? verb : Effect.succeed(runnerProblem(why))
  )

const notMeant = Effect.gen(function* () {
  const { visitor } = yield* Here
  const holdings = yield* Holdings
  const { kind, organisations, person } = visitor
  if (kind !== "sync-manager") return runnerTrouble("wrong-person", "Ask the sync manager.")
  for (const organisation of organisations) {
    if ((yield* holdings.present(organisation, [person])).has(person)) return undefined
  }
  return NOBODY
})

const doorOf = Effect.fnUntraced(function* (directory: string) {
  const identity = yield* DeviceIdentity
  const runs = yield* Runs
  const { language, name, rootUrl } = yield* Effect.orDie(readDevice(directory))
  const peopled = yield* isPeopled
  const run = Option.getOrUndefined(yield* runs.now)
  return {
    name,
    enrolled: Option.isSome(yield* identity.membership),
    peopled,
    central: rootUrl,
    language,
    first: peopled || run === undefined ? null : run
  }
})

const overviewOf = Effect.fnUntraced(function* (directory: string) {
  const identity = yield* DeviceIdentity
  const runs = yield* Runs
  const { name } = yield* Effect.orDie(readDevice(directory))
  const membership = Option.getOrUndefined(yield* identity.membership)
  const organisations = membership?.organisations ?? []
  const facts = yield* deviceFacts
  const run = yield* runs.now
  return {
    name,
    organisations,
    tests: yield* recheckingAlways(organisations)(contentsHere(organisations)),
    fetchedAt: lastFetch(facts.fetchedAt, Option.getOrUndefined(run)),
    results: yield* (yield* Outbox).resultsWaiting,
    waiting: facts.resultsWaiting,
    inProgress: facts.inProgress,
    now: facts.now,
    run: Option.getOrNull(run)
  }
})

/** A run that found nothing new writes no line of history, but central was asked all the same. */
const lastFetch = (written: number | null, run: RunView | undefined): number | null =>
  run?.state === "done" && run.kind === "sync" && !run.dryRun
    ? Math.max(written ?? 0, run.endedAt ?? 0)
    : written

const currentRun = Effect.gen(function* () {
  const runs = yield* Runs
  return { run: Option.getOrNull(yield* runs.now) }
})

const startRun = Effect.fnUntraced(function* (
  directory: string,
  reach: Reach<DevicePorts>,
  asked: typeof RunPost.Type
) {
  const runs = yield* Runs
  const { confirmRemovals, dryRun, kind, path } = asked
  if (kind !== "sync") {
    const media = yield* mediaOf(directory)
    // Only what is listed: this page is no way to read and write any folder of the machine.
    if (!media.some((one) => one.path === path)) return runnerProblem(NO_STICK)
  }
  const place = path ?? ""
  const work = {
    sync: () => syncCommand(reach).answer({ kinds: null, dryRun, confirmRemovals }),
    save: () => bundleSend.answer({ to: place, volumeBytes: null, dryRun }),
    load: () => bundleImport.answer({ from: place, dryRun, confirmRemovals, expiredAllowed: false })
  }[kind]()
  return yield* Effect.catch(runs.start(kind, { dryRun, path }, work), () =>
    Effect.succeed(runnerProblem(BUSY))
  )
})

const NO_STICK = runnerTrouble("bad-request", "The stick is not there any more. Put it in again.")
const BUSY = runnerTrouble("wrong-stage", "Another run is under way. Wait for it, or cancel it.")

const mediaOf = Effect.fnUntraced(function* (directory: string) {
  const { stickFolders } = yield* Effect.orDie(readDevice(directory))
  return yield* Effect.promise(() => findMedia(stickFolders ?? []))
})

const readinessOf = Effect.fnUntraced(function* (
  directory: string,
  at: number | undefined,
  language: Language | undefined
) {
  const judged = yield* readiness(at ?? (yield* Clock.currentTimeMillis) + DAY)
  const say = yield* sayingIn(directory, language)
  return {
    at: judged.at,
    level: judged.level,
    device: judged.device.map(say),
    rooms: judged.rooms.map((room) => ({ ...room, findings: room.findings.map(say) }))
  }
})

const doctorOf = Effect.fnUntraced(function* (
  directory: string,
  reach: Reach<DevicePorts>,
  language: Language | undefined
) {
  const say = yield* sayingIn(directory, language)
  const said = yield* lookAtCentral().pipe(
    Effect.timeoutOrElse({
      duration: CHECK_MILLIS,
      orElse: () =>
        Effect.fail(
          new CentralAway({ reason: "timeout", detail: `${CHECK_MILLIS / 1000} seconds` })
        )
    }),
    Effect.mapError((error) => fromCentral("Central did not answer.", error)),
    Effect.provide(reach.central),
    Effect.result
  )
  const silent = { program: null, support: null, millis: null, ahead: null }
  return {
    device: (yield* lookAtDevice()).map(say),
    central: Result.isSuccess(said)
      ? { ...said.success, refused: null }
      : { ...silent, refused: said.failure }
  }
})

const sayingIn = Effect.fnUntraced(function* (directory: string, language: Language | undefined) {
  const { timeZone } = yield* Effect.orDie(readDevice(directory))
  return (finding: Finding) => ({ ...finding, text: findingText(finding, language, timeZone) })
})
