/**
 * Notices that central has lost records that it had acknowledged, as after a restore from a backup that
 * nobody told it of (`central restored`), and queues again what this device still has (invariant 6).
 */
import { Effect } from "effect"
import { happened } from "./happened.ts"
import { Atomic } from "./ports.ts"
import { Outbox } from "./record-ports.ts"

/** `kept`: how many records of this device central says that it has. */
export const noticeLoss = Effect.fn("noticeLoss")(function* (kept: number) {
  const atomic = yield* Atomic
  const outbox = yield* Outbox
  yield* atomic.run(
    Effect.gen(function* () {
      const lost = yield* outbox.noteKept(kept)
      if (lost === 0) return
      yield* outbox.resend
      yield* happened({
        verb: "audit",
        who: "device",
        outcome: "incomplete",
        reason: `central has lost records that it had (${lost}): what is still here is sent again`
      })
    })
  )
})
