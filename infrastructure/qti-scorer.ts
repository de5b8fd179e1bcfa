/**
 * Scores items and decides about tests with the QTI library of the page, on a thread of its own: what
 * a package says about answers may be wrong, endless or greedy, and must not stop anybody else.
 */
import { Worker } from "node:worker_threads"
import { Effect, Layer, Semaphore } from "effect"
import { Scorer, Unprocessed } from "../application/play-ports.ts"
import type { Answer, Job } from "./qti-processing.ts"

export interface ScorerLimits {
  /** For one job; a usual one takes some milliseconds. */
  readonly jobMillis: number
  /** To start the thread, on a slow device whose disk is busy. */
  readonly startMillis: number
  /** Jobs that may wait: some classes that finish in the same minute. */
  readonly waiting: number
  /** Of the thread; with the library loaded it uses about 60 MB. */
  readonly memoryMegabytes: number
}
export const SCORER_LIMITS: ScorerLimits = {
  jobMillis: 10_000,
  startMillis: 60_000,
  waiting: 1_000,
  memoryMegabytes: 256
}

/** Starts the thread when it is first needed, again after each time that it had to be stopped. */
export const layer = (limits: Partial<ScorerLimits> = {}) =>
  Layer.effect(
    Scorer,
    Effect.gen(function* () {
      const ask = yield* queued({ ...SCORER_LIMITS, ...limits })
      return Scorer.of({
        score: ({ templates = [], ...attempt }) =>
          Effect.map(ask({ verb: "score", templates, ...attempt }), asKnown),
        prepare: (item) => Effect.map(ask({ verb: "prepare", ...item }), asKnown),
        decide: (asked) => Effect.map(ask({ verb: "decide", ...asked }), asVerdicts),
        conclude: (asked) => Effect.map(ask({ verb: "conclude", ...asked }), asKnown)
      })
    })
  )

const asKnown = (answer: Answer) => answer.filter((one) => typeof one !== "boolean")
const asVerdicts = (answer: Answer) => answer.filter((one) => typeof one === "boolean")

/** One job after the other, each to its end: what was asked is answered though nobody waits. */
const queued = Effect.fnUntraced(function* (limits: ScorerLimits) {
  const thread = yield* Effect.acquireRelease(
    Effect.sync(() => makeThread(limits)),
    ({ stop }) => Effect.sync(stop)
  )
  const turns = yield* Semaphore.make(1)
  let waiting = 0
  return (job: Job): Effect.Effect<Answer, Unprocessed> =>
    Effect.suspend(() => {
      if (waiting >= limits.waiting) {
        return Effect.fail(new Unprocessed({ why: "Too many answers wait to be scored." }))
      }
      waiting += 1
      return turns
        .withPermits(1)(Effect.uninterruptible(thread.ask(job)))
        .pipe(
          Effect.ensuring(
            Effect.sync(() => {
              waiting -= 1
            })
          )
        )
    })
})

type Said = "ready" | { readonly answer: Answer } | { readonly why: string }

const makeThread = (limits: ScorerLimits) => {
  let worker: Worker | undefined
  const stop = () => {
    const ended = worker
    worker = undefined
    void ended?.terminate()
  }
  const start = (): Worker => {
    const started = new Worker(new URL("./qti-scorer-worker.ts", import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: limits.memoryMegabytes },
      stdout: true,
      stderr: true
    })
    // Between jobs nobody listens: a thread that died in between is replaced by the next job.
    const gone = () => {
      if (worker === started) worker = undefined
    }
    started.on("error", gone).on("exit", gone)
    started.unref()
    return started
  }
  const ask = (job: Job) =>
    Effect.callback<Answer, Unprocessed>((resume) => {
      const fresh = worker === undefined
      const current = worker ?? start()
      worker = current
      const end = (outcome: Effect.Effect<Answer, Unprocessed>) => {
        clearTimeout(deadline)
        current.off("message", heard).off("error", died).off("exit", died)
        resume(outcome)
      }
      const fail = (why: string) => {
        stop()
        end(Effect.fail(new Unprocessed({ why })))
      }
      const late = () => fail("Processing did not come to an end.")
      const died = () => fail("Processing stopped its thread: it may need too much memory.")
      const heard = (said: Said) => {
        if (said !== "ready") {
          return end(
            "answer" in said
              ? Effect.succeed(said.answer)
              : Effect.fail(new Unprocessed({ why: said.why }))
          )
        }
        clearTimeout(deadline)
        deadline = setTimeout(late, limits.jobMillis)
        current.postMessage(job)
      }
      let deadline = setTimeout(late, fresh ? limits.startMillis : limits.jobMillis)
      current.on("message", heard).on("error", died).on("exit", died)
      if (!fresh) current.postMessage(job)
    })
  return { ask, stop }
}
