/**
 * Runs what a sync manager starts on the page: one piece of work at a time, in this process, watched
 * by any number of windows. A window that is closed stops nothing; whoever looks later sees the same
 * run, or how the last one ended.
 */
import { randomBytes } from "node:crypto"
import { Cause, Clock, Context, Effect, Exit, Fiber, Layer, Option, Schema } from "effect"
import { Progress } from "../application/progress.ts"
import type { Refused } from "../application/refused.ts"
import { type Track, track } from "../domain/progress.ts"
import { barOf, type RunKind, type RunState } from "../domain/run.ts"
import type { RunView } from "../infrastructure/manager-api.ts"
import { crashRefusal } from "./crash.ts"

/** Another run is under way; it is the same one that the page shows. */
export class RunBusy extends Schema.TaggedError<RunBusy>()("RunBusy", {}) {}

interface Run {
  readonly id: string
  readonly kind: RunKind
  readonly dryRun: boolean
  readonly path: string | null
  readonly startedAt: number
  readonly tracks: Map<string, Track>
  readonly fiber: Fiber.Fiber<unknown, unknown> | undefined
  readonly ended:
    | { readonly at: number; readonly exit: Exit.Exit<Schema.Json, Refused> }
    | undefined
}

export class Runs extends Context.Service<
  Runs,
  {
    /** Starts work in the background. Fails with RunBusy while another run is under way. */
    readonly start: <R>(
      kind: RunKind,
      options: { readonly dryRun: boolean; readonly path?: string | null },
      work: Effect.Effect<Schema.Json, Refused, R>
    ) => Effect.Effect<RunView, RunBusy, R>
    /** The run that is under way, or else the last one. */
    readonly now: Effect.Effect<Option.Option<RunView>>
    /** Waits until nothing is under way. */
    readonly idle: Effect.Effect<void>
    /** Stops what is under way, and waits until it has stopped: every point is a safe one. */
    readonly cancel: Effect.Effect<void>
  }
>()("testferry/Runs") {}

/** `directory` is where a crash leaves its log. Runs end when the layer's scope does. */
export const layer = (directory: string, version: string) =>
  Layer.effect(
    Runs,
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      let current: Run | undefined
      const isRunning = () => current !== undefined && current.ended === undefined

      const start: (typeof Runs)["Service"]["start"] = Effect.fnUntraced(function* (
        kind,
        { dryRun, path = null },
        work
      ) {
        const startedAt = yield* Clock.currentTimeMillis
        if (isRunning()) return yield* new RunBusy()
        const id = randomBytes(4).toString("hex")
        const tracks = new Map<string, Track>()
        const begun = { id, kind, dryRun, path, startedAt, tracks }
        const run: Run = { ...begun, fiber: undefined, ended: undefined }
        current = run
        const fiber = yield* work.pipe(
          Effect.provideService(Progress, { report: (event) => heard(tracks, event) }),
          Effect.catchCause((cause) =>
            Option.isSome(Cause.findErrorOption(cause)) || Cause.hasInterrupts(cause)
              ? Effect.failCause(cause)
              : Effect.flatMap(crashRefusal(cause, directory, version), Effect.fail)
          ),
          Effect.onExit((exit) =>
            Effect.flatMap(Clock.currentTimeMillis, (at) => {
              if (current?.id === id) current = { ...current, ended: { at, exit } }
              return logged(viewOf({ ...run, ended: { at, exit } }, at))
            })
          ),
          Effect.forkIn(scope)
        )
        if (current.id === id && current.ended === undefined) current = { ...run, fiber }
        return viewOf(current, startedAt)
      })

      return Runs.of({
        start,
        now: Effect.map(Clock.currentTimeMillis, (now) =>
          current === undefined ? Option.none() : Option.some(viewOf(current, now))
        ),
        idle: Effect.suspend(() =>
          current?.fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(current.fiber))
        ),
        cancel: Effect.suspend(() =>
          current?.fiber === undefined ? Effect.void : Fiber.interrupt(current.fiber)
        )
      })
    })
  )

/** So that whoever is told a support code finds the run in the log. */
const logged = ({ kind, startedAt, state, support, ...run }: RunView) =>
  Effect.logInfo("run ended").pipe(
    Effect.annotateLogs({ support, kind, state, millis: (run.endedAt ?? startedAt) - startedAt })
  )

const heard = (tracks: Map<string, Track>, event: Parameters<typeof track>[1]) =>
  Effect.map(Clock.currentTimeMillis, (at) => {
    tracks.set(event.kind, track(tracks.get(event.kind), event, at))
  })

const viewOf = (run: Run, now: number): RunView => {
  const state = stateOf(run.ended?.exit)
  const refused = refusalOf(run.ended?.exit)
  return {
    id: run.id,
    kind: run.kind,
    dryRun: run.dryRun,
    path: run.path,
    state,
    startedAt: run.startedAt,
    endedAt: run.ended?.at ?? null,
    bars: [...run.tracks.values()].map((one) => barOf(one, now)),
    report: run.ended !== undefined && Exit.isSuccess(run.ended.exit) ? run.ended.exit.value : null,
    refused,
    support: [run.id, refused?.code ?? state.toUpperCase()].join("-")
  }
}

const stateOf = (exit: Exit.Exit<Schema.Json, Refused> | undefined): RunState => {
  if (exit === undefined) return "running"
  if (Exit.isSuccess(exit)) return "done"
  return Cause.hasInterrupts(exit.cause) ? "cancelled" : "refused"
}

const refusalOf = (exit: Exit.Exit<Schema.Json, Refused> | undefined): Refused | null =>
  exit === undefined || Exit.isSuccess(exit)
    ? null
    : Option.getOrNull(Cause.findErrorOption(exit.cause))
