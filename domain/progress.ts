/**
 * Tells how far a piece of work is, how fast it goes and how long it will take, honestly.
 *
 * Verbs send events; a `Track` remembers what the events of one kind amount to. Rules, by number,
 * in test/progress.test.ts:
 *
 * 1. `done` and `bytes` never go back within one run.
 * 2. 100 % is shown when the verb says that it has finished, and never before.
 * 3. Rate and remaining time are never negative, never infinite, never NaN.
 * 4. Without evidence there is no number: the estimate says "estimating", or "stalled".
 */
import { Schema } from "effect"

export const ProgressPhase = Schema.Literals(["started", "running", "finished"])

/** How far one kind of work is. Counts are totals so far, so that a lost event costs nothing. */
export const ProgressEvent = Schema.Struct({
  /** What is counted: `delivery`, `blob`, `result`. One bar each. */
  kind: Schema.String.check(Schema.isMaxLength(100)),
  /** What a person calls it: "Downloading tests". */
  label: Schema.String.check(Schema.isMaxLength(200)),
  done: Schema.Natural,
  /** Left out while it is unknown. */
  total: Schema.optionalKey(Schema.Natural),
  bytes: Schema.optionalKey(Schema.Natural),
  totalBytes: Schema.optionalKey(Schema.Natural),
  /** `started` begins a new run of this kind; `finished` is the only way to 100 %. */
  phase: ProgressPhase
})
export type ProgressEvent = typeof ProgressEvent.Type

/** What had been done at a moment, in the unit of the track. */
interface Sample {
  readonly atMillis: number
  readonly units: number
}

/** All that is remembered of one kind of work. */
export interface Track {
  readonly kind: string
  readonly label: string
  readonly phase: ProgressEvent["phase"]
  readonly done: number
  readonly total: number | undefined
  readonly bytes: number | undefined
  readonly totalBytes: number | undefined
  /** Bytes when their total is known (files differ in size), else things. */
  readonly unit: "bytes" | "things"
  /** Oldest first; at most `SAMPLES_MAX`. */
  readonly samples: ReadonlyArray<Sample>
}

export type Estimate =
  | { readonly _tag: "Estimating" }
  | { readonly _tag: "Stalled" }
  | { readonly _tag: "Remaining"; readonly millis: number }
  | { readonly _tag: "Finished" }

/** Rates are averages over this long: smooth to look at, and a stall shows within it. */
const WINDOW_MILLIS = 15_000
/** Samples closer than this are merged, which bounds their number. */
const SAMPLE_EVERY_MILLIS = 500
const SAMPLES_MAX = WINDOW_MILLIS / SAMPLE_EVERY_MILLIS + 2
/** A shorter look than this is no evidence. */
const EVIDENCE_MILLIS = 2_000

/** Adds one event, seen at `atMillis`, to what is known of its kind. */
export const track = (known: Track | undefined, event: ProgressEvent, atMillis: number): Track => {
  const before = event.phase === "started" ? undefined : known
  const done = Math.max(before?.done ?? 0, event.done)
  const bytes = most(before?.bytes, event.bytes)
  const totalBytes = atLeast(event.totalBytes ?? before?.totalBytes, bytes)
  const unit = totalBytes === undefined ? "things" : "bytes"
  const samples = before?.unit === unit ? before.samples : []
  return {
    kind: event.kind,
    label: event.label,
    phase: event.phase,
    done,
    total: atLeast(event.total ?? before?.total, done),
    bytes,
    totalBytes,
    unit,
    samples: sampled(samples, {
      atMillis: Math.max(atMillis, samples.at(-1)?.atMillis ?? atMillis),
      units: unit === "bytes" ? (bytes ?? 0) : done
    })
  }
}

/** Whole percent, or undefined while the total is unknown. 100 only at the end. */
export const percent = (track: Track): number | undefined => {
  if (track.phase === "finished") return 100
  const { units, total } = amounts(track)
  if (total === undefined) return undefined
  return total === 0 ? 0 : Math.min(99, Math.floor((100 * units) / total))
}

/**
 * Units per second over the last seconds (bytes or things, as `track.unit` says), or undefined
 * while there is no evidence. Time without an event counts, so a stall pulls it down to 0.
 */
export const rate = (track: Track, nowMillis: number): number | undefined => {
  const inWindow = track.samples.filter((s) => s.atMillis >= nowMillis - WINDOW_MILLIS)
  // What went before the window still tells how much there was when the window began.
  const first = track.samples[Math.max(0, track.samples.length - inWindow.length - 1)]
  const last = track.samples.at(-1)
  if (first === undefined || last === undefined) return undefined
  const elapsed = Math.max(nowMillis, last.atMillis) - first.atMillis
  if (elapsed < EVIDENCE_MILLIS) return undefined
  if (inWindow.length === 0) return 0
  return (1000 * (last.units - first.units)) / elapsed
}

/** How long until the end at the present rate. */
export const estimate = (track: Track, nowMillis: number): Estimate => {
  if (track.phase === "finished") return { _tag: "Finished" }
  const { units, total } = amounts(track)
  const perSecond = rate(track, nowMillis)
  if (total === undefined || perSecond === undefined) return { _tag: "Estimating" }
  if (perSecond > 0) return { _tag: "Remaining", millis: (1000 * (total - units)) / perSecond }
  return units === 0 ? { _tag: "Estimating" } : { _tag: "Stalled" }
}

const amounts = (track: Track) =>
  track.unit === "bytes"
    ? { units: track.bytes ?? 0, total: track.totalBytes }
    : { units: track.done, total: track.total }

/** Keeps the newest sample, merging those that are close together and forgetting the old. */
const sampled = (samples: ReadonlyArray<Sample>, sample: Sample): ReadonlyArray<Sample> => {
  const previous = samples.at(-2)
  const crowded =
    previous !== undefined && sample.atMillis - previous.atMillis < SAMPLE_EVERY_MILLIS
  return [...(crowded ? samples.slice(0, -1) : samples), sample].slice(-SAMPLES_MAX)
}

const most = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b)

/** A total that was overtaken was too low: it grows, so that nothing is ever above 100 %. */
const atLeast = (total: number | undefined, done: number | undefined): number | undefined =>
  total === undefined ? undefined : Math.max(total, done ?? 0)
