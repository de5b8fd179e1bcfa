/**
 * Opens sealed results on all cores, with identities that a person has unlocked (format §3.7).
 *
 * Identities live in the memory of this process and its workers, and nowhere else. What was opened
 * goes back to the caller; nothing is written here.
 */
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import { Effect, Layer, Result, type Scope, Semaphore } from "effect"
import { ResultsOpener } from "../application/record-ports.ts"
import type { OpenedText, Unopened } from "../domain/opening.ts"
import type { ResultsIdentity, SealedBox } from "./open-result.ts"
import type { OpenRequest } from "./results-worker.ts"

/** Boxes for one worker at a time: enough to be worth the message, few enough to share out evenly. */
const SLICE = 16

export interface UnlockedKey extends ResultsIdentity {
  /** The key id by which the root document names it. */
  readonly id: string
}

/** Starts one worker for each core (`threads`), and ends them with the scope. */
export const layer = (keys: ReadonlyArray<UnlockedKey>, threads = availableParallelism()) =>
  Layer.effect(
    ResultsOpener,
    Effect.gen(function* () {
      const workers = yield* Effect.all(Array.from({ length: threads }, () => started(keys)))
      return ResultsOpener.of({
        keys: keys.map(({ id }) => id),
        open: (boxes) => shareOut(workers, boxes)
      })
    })
  )

type Opened = Result.Result<OpenedText, Unopened>
type Ask = (boxes: ReadonlyArray<SealedBox>) => Effect.Effect<ReadonlyArray<Opened>>

/** Every worker takes the next slice as soon as it has answered the last. */
const shareOut = Effect.fn("ResultsOpener.open")(function* (
  workers: ReadonlyArray<Ask>,
  boxes: ReadonlyArray<SealedBox>
) {
  const opened: Array<ReadonlyArray<Opened>> = []
  let next = 0
  const work = (ask: Ask) =>
    Effect.gen(function* () {
      while (next < boxes.length) {
        const at = next
        next += SLICE
        opened[at / SLICE] = yield* ask(boxes.slice(at, at + SLICE))
      }
    })
  yield* Effect.all(workers.map(work), { concurrency: "unbounded", discard: true })
  return opened.flat()
})

type Answer = OpenedText | { readonly why: Unopened }

/** One worker. It fails only by a bug, which is a defect here too. */
const started = (keys: ReadonlyArray<UnlockedKey>): Effect.Effect<Ask, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const worker = new Worker(new URL("./results-worker.ts", import.meta.url), {
          workerData: keys.map(({ identity, recipient }) => ({ identity, recipient }))
        })
        // Somebody listens only while it is asked; a failure in between comes back with the next.
        worker.on("error", () => {})
        return worker
      }),
      (worker) => Effect.promise(() => worker.terminate())
    ),
    (worker) => {
      // One answer at a time: two callers would both hear the first.
      const turn = Semaphore.makeUnsafe(1)
      return (boxes) => turn.withPermit(asked(worker, boxes))
    }
  )

const asked = (worker: Worker, boxes: ReadonlyArray<SealedBox>) =>
  Effect.callback<ReadonlyArray<Opened>>((resume) => {
    const heard = (answers: ReadonlyArray<Answer>) => {
      worker.off("error", failed)
      worker.off("exit", ended)
      resume(Effect.succeed(answers.map(asResult)))
    }
    const failed = (cause: unknown) => resume(Effect.die(cause))
    const ended = () => resume(Effect.die(new Error("a worker ended")))
    worker.once("message", heard)
    worker.once("error", failed)
    worker.once("exit", ended)
    // A worker that ended in between has no number any more, and would never answer.
    if (worker.threadId < 0) return ended()
    const request: OpenRequest = { boxes }
    worker.postMessage(request)
    return Effect.sync(() => {
      worker.off("message", heard)
      worker.off("error", failed)
      worker.off("exit", ended)
    })
  })

const asResult = (answer: Answer): Opened =>
  "why" in answer ? Result.fail(answer.why) : Result.succeed(answer)
