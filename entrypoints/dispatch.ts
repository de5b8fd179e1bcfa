/**
 * Runs a command where it can be run: here, when the data directory is free, or else in the
 * process that owns it. Whoever asked notices no difference (design §6).
 */
import { Effect, type Layer, Schedule, type Scope } from "effect"
import { Refused } from "../application/refused.ts"
import { callOwner } from "./call-owner.ts"
import type { Command } from "./command.ts"

/** How long to wait for an owner that serves no commands: another command, or a server that starts. */
const OWNER_PATIENCE = "10 seconds"
const OWNER_ASK_EVERY = "200 millis"

/**
 * Runs `command`. The lock is held, and what `local` built is open, only while it runs here.
 * Refuses with E_DATA_BUSY when another process keeps the directory and does not answer.
 */
export const dispatch = Effect.fn("dispatch")(function* <Args, Report, R>(options: {
  readonly directory: string
  readonly version: string
  readonly command: Command<Args, Report, R>
  readonly args: Args
  /** Takes the process lock of the directory for the scope. */
  readonly acquire: Effect.Effect<
    unknown,
    Refused | { readonly _tag: "DataDirectoryOwned" },
    Scope.Scope
  >
  /** What the command needs, opened only under the lock. */
  readonly local: Layer.Layer<R, Refused>
}) {
  const { command, directory, version } = options
  const here = options.acquire.pipe(
    Effect.andThen(command.run(options.args).pipe(Effect.provide(options.local))),
    Effect.scoped
  )
  const there = command.encodeArgs(options.args).pipe(
    Effect.flatMap((args) => callOwner({ directory, version, name: command.name, args })),
    Effect.flatMap(command.decodeReport)
  )
  return yield* here.pipe(
    Effect.catchTag("DataDirectoryOwned", () => there),
    Effect.retry({
      while: (error) => error._tag === "OwnerUnreachable",
      schedule: Schedule.spaced(OWNER_ASK_EVERY).pipe(Schedule.upTo({ duration: OWNER_PATIENCE }))
    }),
    Effect.catchTag("OwnerUnreachable", () => Effect.fail(busy(directory)))
  )
})

const busy = (directory: string): Refused =>
  new Refused({
    code: "E_DATA_BUSY",
    what: "The command was not run.",
    why: `Another testferry command is working in ${directory} and has not finished.`,
    todo: "Wait until it has finished, then run the command again."
  })
