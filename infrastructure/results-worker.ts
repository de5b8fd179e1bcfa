/** Opens batches of sealed results on a thread of its own; started by results-opener.ts only. */
import { parentPort, workerData } from "node:worker_threads"
import { boxOpener, type ResultsIdentity, type SealedBox } from "./open-result.ts"

/** What is said between the threads: both sides are this program, in this version. */
export interface OpenRequest {
  readonly boxes: ReadonlyArray<SealedBox>
}

// node:crypto asks whether bytes are a key object by trying, and for each that is none an error is
// made: with its stack these are a third of the time of opening a result.
Error.stackTraceLimit = 0

const identities: ReadonlyArray<ResultsIdentity> = workerData
const open = boxOpener(identities)
const port = parentPort

port?.on("message", async ({ boxes }: OpenRequest) => {
  const answers = []
  for (const box of boxes) answers.push(await open(box))
  // A Result does not keep its prototype on the way: plain fields do.
  port.postMessage(
    answers.map((answer) => (answer._tag === "Success" ? answer.success : { why: answer.failure }))
  )
})
