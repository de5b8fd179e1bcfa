/** Scores on a thread of its own; started by qti-scorer.ts only. */
import { parentPort } from "node:worker_threads"
import { openWindow } from "./jsdom-window.ts"
import { CantProcess } from "./qti-processable.ts"
import { type Job, run } from "./qti-processing.ts"

const window = openWindow()
// After the window: the library looks for it as soon as it is loaded.
await import("@citolab/qti-components/qti-processing")
await import("@citolab/qti-components/qti-elements")
// The library talks much, and would quote answers.
for (const level of ["log", "info", "debug", "warn", "error"] as const) console[level] = () => {}

const port = parentPort
port?.on("message", async (job: Job) => {
  try {
    port.postMessage({ answer: await run(window, job) })
  } catch (failure) {
    // What the library throws may quote an answer: its kind is enough.
    const why =
      failure instanceof CantProcess
        ? failure.message
        : `The QTI library failed (${failure instanceof Error ? failure.name : typeof failure}).`
    port.postMessage({ why })
  }
})
port?.postMessage("ready")
