/**
 * Keeps and opens the saves of a session that is unlocked: sealed boxes by part, the newest of each.
 * Everything here runs inside `Atomic`.
 */
import { Effect, Option, Schema } from "effect"
import { canonical } from "../domain/canonical.ts"
import type { ExecutionId } from "../domain/result.ts"
import { PARTS_MAX, type Save, SavedPart, SESSION_BYTES_MAX } from "../domain/session.ts"
import { TestState } from "../domain/test-state.ts"
import { SessionKeys, Sessions } from "./session-ports.ts"
import { TooMuch } from "./session-step.ts"

/** A newer save of this part is kept, or another one of the same number. */
export class Stale extends Schema.TaggedError<Stale>()("Stale", {
  part: Schema.String,
  kept: Schema.Int
}) {}

/** The part in which a device that sequences a test keeps where the test-taker stands. */
export const PLAY_PART = "session"

/**
 * Keeps a part under a number that grows. The same again is a success. Fails with Stale or TooMuch.
 */
export const keepPart = Effect.fnUntraced(function* (
  execution: ExecutionId,
  { part, saved, seq }: { readonly part: string; readonly seq: number; readonly saved: SavedPart }
) {
  const keys = yield* SessionKeys
  const sessions = yield* Sessions
  const text = textOf(saved)
  const bytes = byteLength(text)
  const [kept] = yield* sessions.saves(execution, part)
  if (kept !== undefined && kept.seq >= seq) {
    const same = kept.seq === seq && (yield* openSave(execution, kept)) === text
    return same ? undefined : yield* new Stale({ part, kept: kept.seq })
  }
  const held = yield* sessions.measure(execution)
  if (held.bytes - (kept?.bytes ?? 0) + bytes > SESSION_BYTES_MAX) {
    return yield* new TooMuch({ what: "bytes", max: SESSION_BYTES_MAX })
  }
  if (kept === undefined && held.parts >= PARTS_MAX) {
    return yield* new TooMuch({ what: "parts", max: PARTS_MAX })
  }
  const box = yield* keys.seal(execution, { part, seq }, text)
  return yield* sessions.keep(execution, { part, seq, box, bytes })
})

/** A browser may cut a character in two; what can't be written at all is replaced, not refused. */
const textOf = ({ state, variables }: SavedPart): string =>
  canonical({
    state: state.toWellFormed(),
    variables: variables.map((set) => ({
      ...set,
      item: set.item?.toWellFormed() ?? null,
      variables: set.variables.map((variable) => ({
        ...variable,
        identifier: variable.identifier.toWellFormed(),
        values:
          variable.values?.map((value) => ({
            ...value,
            value: value.value.toWellFormed(),
            ...(value.field === undefined ? {} : { field: value.field.toWellFormed() })
          })) ?? null
      }))
    }))
  })

const byteLength = (text: string): number => new TextEncoder().encode(text).length

const openSave = Effect.fnUntraced(function* (execution: ExecutionId, { box, part, seq }: Save) {
  const keys = yield* SessionKeys
  // The key fits, or it would not have been unlocked; a box that changed on the disk is lost.
  return yield* Effect.orDie(keys.open(execution, { part, seq }, box))
})

/** Opens every save of a session that is unlocked, or that of one part. */
export const openSaves = Effect.fnUntraced(function* (execution: ExecutionId, part?: string) {
  const sessions = yield* Sessions
  return yield* Effect.forEach(
    yield* sessions.saves(execution, part),
    Effect.fnUntraced(function* (kept) {
      const part = yield* Effect.orDie(decodePart(yield* openSave(execution, kept)))
      return { part: kept.part, seq: kept.seq, ...part }
    })
  )
})

const decodePart = Schema.decodeUnknownEffect(Schema.fromJsonString(SavedPart))

/** Whether this device sequences the test of a session that is unlocked. */
export const isPlayed = Effect.fnUntraced(function* (execution: ExecutionId) {
  const [play] = yield* openSaves(execution, PLAY_PART)
  return play !== undefined && Option.isSome(decodePlay(play.state))
})

/** Where the test-taker stands, if a part says that. */
export const decodePlay = Schema.decodeUnknownOption(Schema.fromJsonString(TestState))
