/** Takes a record out of quarantine, once a person has looked at why it was put there. */
import { Clock, Effect, Schema, Stream } from "effect"
import type { DeviceId, Digest } from "../domain/id.ts"
import { happened } from "./happened.ts"
import { Atomic } from "./ports.ts"
import { Records } from "./record-ports.ts"

/** No such record is in quarantine, or its bytes are not those that the device sent. */
export class NotReleasable extends Schema.TaggedError<NotReleasable>()("NotReleasable", {
  sha256: Schema.String
}) {}

export const releaseRecord = Effect.fn("releaseRecord")(function* (
  device: DeviceId,
  sha256: Digest,
  who: string
) {
  const atomic = yield* Atomic
  const records = yield* Records
  const inQuarantine = records.list({
    kind: undefined,
    stages: ["quarantined"],
    delivery: undefined,
    organisation: undefined,
    device
  })
  const found = yield* Stream.runHead(
    Stream.filter(inQuarantine, (one) => one.entry.sha256 === sha256 && !one.altered)
  )
  if (found._tag === "None") return yield* new NotReleasable({ sha256 })
  const at = yield* Clock.currentTimeMillis
  yield* atomic.run(
    Effect.gen(function* () {
      yield* records.move(device, sha256, "release", null)
      yield* happened({
        at,
        verb: "receive",
        who,
        device,
        reason: `released ${sha256} (${found.value.reason ?? ""})`
      })
    })
  )
  return found.value
})
