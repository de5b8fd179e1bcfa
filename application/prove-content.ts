/** Opens a content once with somebody's key, and remembers that it opened on this device. */
import { Clock, Effect } from "effect"
import type { Content } from "../domain/entity.ts"
import { Contents } from "./ports.ts"
import { Trials } from "./session-ports.ts"

/** Answers what was read. Fails with BlobDamaged where it is not here whole, or Unopenable. */
export const proveContent = Effect.fn("proveContent")(function* (content: Content, key: string) {
  const contents = yield* Contents
  const trials = yield* Trials
  const proof = yield* contents.prove(content, key)
  yield* trials.note(content.blob, yield* Clock.currentTimeMillis)
  return proof
})
