/**
 * Judges whether the next bundle of a stream may be applied (format §2.6): bundles of one direction
 * and one device form a chain, and what is old, foreign, forked or missing its ground is refused,
 * each by its own code.
 *
 * Pure. The order of the checks is the order of the format: what is wrong with everybody's copy is
 * said before what is wrong with this receiver's state.
 */
import { Result, Schema } from "effect"
import type { BundleManifest, Party } from "./bundle-manifest.ts"
import { StreamId } from "./bundle-manifest.ts"
import type { BundleCode, Refusal } from "./bundle-refusal.ts"
import { Digest } from "./id.ts"

/** Digests of a stream that its receiver remembers: more bundles than a stick ever carries. */
export const REMEMBERED = 100
/** A jump further than this is no lost stick but somebody who wants to block the stream (format §2.6). */
export const SEQ_JUMP_MAX = 1_000
/** So far a clock may be behind what was signed before a person should be told. */
export const CLOCK_BEHIND_MILLIS = 10 * 60_000

/** What a receiver knows of a stream: the newest bundle that it applied, and those before. */
export const StreamState = Schema.Struct({
  stream: StreamId,
  epoch: Schema.Int,
  seq: Schema.Int,
  /** Newest first, at most REMEMBERED. */
  recent: Schema.Array(Schema.Struct({ seq: Schema.Int, digest: Digest }))
})
export type StreamState = typeof StreamState.Type

export const newStream = (stream: StreamId, epoch: number): StreamState => ({
  stream,
  epoch,
  seq: 0,
  recent: []
})

/** What a bundle is judged by. Times in milliseconds since 1970. */
export interface Ground {
  readonly me: Party
  /** The receiver's state of the stream that it may receive from this sender. */
  readonly state: StreamState
  /** The epoch of the newest root document; a new one begins every stream anew. */
  readonly rootEpoch: number
  readonly revocations: number
  readonly now: number
  /** The latest moment that is known to have passed: the clock may have been set back since. */
  readonly floor: number
  /** A person takes it upon them that the bundle is older than it may be. */
  readonly expiredAllowed: boolean
}

export type Judgement = "apply" | "already applied"

/** Judges a manifest whose signature holds; `digest` is that of its bytes. */
export const judge = (
  manifest: BundleManifest,
  digest: Digest,
  ground: Ground
): Result.Result<Judgement, Refusal> => {
  const { me, rootEpoch } = ground
  if (manifest.to !== me) return refuse("E_WRONG_DEVICE", `it is for ${manifest.to}`)
  if (manifest.stream !== ground.state.stream) {
    return refuse("E_WRONG_STREAM", `it belongs to the stream ${manifest.stream}`)
  }
  if (manifest.epoch !== rootEpoch) {
    return refuse("E_EPOCH", `it is of epoch ${manifest.epoch}, and this is epoch ${rootEpoch}`)
  }
  const state =
    ground.state.epoch === rootEpoch ? ground.state : newStream(manifest.stream, rootEpoch)
  return Result.flatMap(place(manifest, digest, state), (judgement) =>
    judgement === "already applied"
      ? Result.succeed(judgement)
      : Result.map(fresh(manifest, ground), () => judgement)
  )
}

/** Whether the bundle is the next, one that was applied, or one that cannot be. */
const place = (
  { base, prev, seq }: BundleManifest,
  digest: Digest,
  state: StreamState
): Result.Result<Judgement, Refusal> => {
  const known = new Map(state.recent.map((one) => [one.seq, one.digest]))
  if (known.get(seq) === digest) {
    return seq === state.seq
      ? Result.succeed("already applied")
      : refuse("E_ROLLBACK", `bundle ${seq} was applied before bundle ${state.seq}`)
  }
  if (known.has(seq)) return refuse("E_STREAM_FORK", `there is another bundle ${seq}`)
  if (seq <= state.seq) {
    return refuse("E_ROLLBACK", `bundle ${seq} is older than bundle ${state.seq}`)
  }
  if (seq > state.seq + SEQ_JUMP_MAX) {
    return refuse("E_SEQ_JUMP", `bundle ${seq} does not follow bundle ${state.seq}`)
  }
  const before = known.get(seq - 1)
  if (before !== undefined && before !== prev) {
    return refuse("E_STREAM_FORK", `bundle ${seq} follows another bundle ${seq - 1}`)
  }
  if (base > state.seq) return refuse("E_GAP", `bundle ${base} must be applied first`)
  return Result.succeed("apply")
}

const fresh = (
  { expires, revocations }: BundleManifest,
  { expiredAllowed, floor, now, revocations: known }: Ground
): Result.Result<void, Refusal> => {
  if (revocations < known) {
    return refuse("E_REV_ROLLBACK", `revocation list ${known} is known, it brings ${revocations}`)
  }
  return Math.max(now, floor) > expires && !expiredAllowed
    ? refuse("E_EXPIRED", "it is too old")
    : Result.succeed(undefined)
}

/** The state after a bundle was applied. */
export const applied = (
  { epoch, seq, stream }: BundleManifest,
  digest: Digest,
  before: StreamState
): StreamState => {
  const state = before.epoch === epoch ? before : newStream(stream, epoch)
  return {
    stream,
    epoch,
    seq,
    recent: [{ seq, digest }, ...state.recent].slice(0, REMEMBERED)
  }
}

/** The place of the next bundle in a stream. */
export interface Place {
  readonly seq: number
  readonly prev: Digest | null
}

/**
 * Where the next bundle of an own stream goes: after the newest that was sent, or after the newest
 * that the receiver says it has applied. The receiver may know more than the sender: a machine that
 * was restored from an older copy takes its stream up again where the other side saw it.
 */
export const nextPlace = (
  sent: { readonly seq: number; readonly manifest: Digest } | undefined,
  applied: { readonly seq: number; readonly head: Digest } | undefined
): Place => {
  if (applied !== undefined && applied.seq >= (sent?.seq ?? 0)) {
    return { seq: applied.seq + 1, prev: applied.head }
  }
  return { seq: (sent?.seq ?? 0) + 1, prev: sent?.manifest ?? null }
}

/** Whether the clock is so far behind what was signed that a person should set it. */
export const clockIsBehind = (now: number, floor: number): boolean =>
  now < floor - CLOCK_BEHIND_MILLIS

const refuse = (code: BundleCode, detail: string) => Result.fail({ code, detail })
