/** A piece of work that somebody started on a page, as every window shows it. */
import { Schema } from "effect"
import { estimate, percent, rate, type Track } from "./progress.ts"

/** `sync` over HTTPS; `save` to a stick, and `load` from one. */
export const RunKind = Schema.Literals(["sync", "save", "load"])
export type RunKind = typeof RunKind.Type

export const RunState = Schema.Literals(["running", "done", "refused", "cancelled"])
export type RunState = typeof RunState.Type

/** How far one kind of work is; what is not known is null. */
export const Bar = Schema.Struct({
  kind: Schema.String,
  label: Schema.String,
  done: Schema.Int,
  total: Schema.NullOr(Schema.Int),
  bytes: Schema.NullOr(Schema.Int),
  totalBytes: Schema.NullOr(Schema.Int),
  /** Whole percent. */
  percent: Schema.NullOr(Schema.Int),
  /** Bytes (where their total is known) or things, a second. */
  rate: Schema.NullOr(Schema.Finite),
  remainingMillis: Schema.NullOr(Schema.Int),
  finished: Schema.Boolean
})
export type Bar = typeof Bar.Type

export const barOf = (track: Track, now: number): Bar => {
  const left = estimate(track, now)
  return {
    kind: track.kind,
    label: track.label,
    done: track.done,
    total: track.total ?? null,
    bytes: track.bytes ?? null,
    totalBytes: track.totalBytes ?? null,
    percent: percent(track) ?? null,
    rate: rate(track, now) ?? null,
    remainingMillis: left._tag === "Remaining" ? Math.round(left.millis) : null,
    finished: track.phase === "finished"
  }
}
