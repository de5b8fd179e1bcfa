/**
 * Shows progress while an effect runs: stacked bars on a terminal, a plain line now and then
 * elsewhere, nothing for machines.
 *
 * Only standard error is written, so that what a command prints on standard output stays whole.
 */
import { Clock, Effect, Logger } from "effect"
import { Progress, type Reporter } from "../application/progress.ts"
import { estimate, percent, rate, type Track, track } from "../domain/progress.ts"
import { cut, padded, plain, type Screen, width } from "./terminal.ts"
import { byteSize, count, roughDuration } from "./terminal-units.ts"

/** Quick enough to look alive, slow enough for a serial console. */
const REDRAW_EVERY = "100 millis"
/** A log file wants a sign of life, not a film. */
const PLAIN_LINE_EVERY_MILLIS = 5_000
/** More kinds than the world has; beyond that the oldest bar makes room. */
const BARS_MAX = 12
const BAR_COLUMNS = 20
/** Below this a bar has half its length, to leave room for the numbers. */
const NARROW_COLUMNS = 80
const LABEL_COLUMNS_MAX = 32

/** Runs an effect and shows on the screen what it reports. */
export const showProgress = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  screen: Screen
): Effect.Effect<A, E, R> => (screen.isTerminal ? withBars(self, screen) : withLines(self, screen))

const withLines = <A, E, R>(self: Effect.Effect<A, E, R>, screen: Screen) =>
  Effect.gen(function* () {
    const tracks = new Map<string, Track>()
    // Quick commands stay silent: a cron job that went well should send no mail.
    let due = (yield* Clock.currentTimeMillis) + PLAIN_LINE_EVERY_MILLIS
    const report: Reporter["report"] = (event) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const known = track(tracks.get(event.kind), event, now)
        tracks.set(event.kind, known)
        if (now < due) return
        due = now + PLAIN_LINE_EVERY_MILLIS
        screen.write(`${plain(event.label)}: ${facts(known, now).join(", ").trim()}\n`)
      })
    return yield* Effect.provideService(self, Progress, { report })
  })

const withBars = <A, E, R>(self: Effect.Effect<A, E, R>, screen: Screen) =>
  Effect.scoped(
    Effect.gen(function* () {
      const tracks = new Map<string, Track>()
      let drawn = 0
      // Goes up over what was drawn before, then writes each line and clears what is left of it.
      const draw = (now: number) => {
        const lines = bars([...tracks.values()], now, screen.columns())
        const up = drawn === 0 ? "" : `\u001B[${drawn}A`
        drawn = lines.length
        screen.write(`${up}\r${lines.map((line) => `${line}\u001B[K\n`).join("")}\u001B[J`)
      }
      const redraw = Effect.map(Clock.currentTimeMillis, (now) => {
        if (tracks.size > 0) draw(now)
      })
      const report: Reporter["report"] = (event) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const known = track(tracks.get(event.kind), event, now)
          if (tracks.size >= BARS_MAX && !tracks.has(event.kind)) forgetOldest(tracks)
          tracks.set(event.kind, known)
        })
      const above = Logger.map(Logger.formatLogFmt, (line) => {
        screen.write(`${drawn === 0 ? "" : `\u001B[${drawn}A`}\r\u001B[J${plain(line)}\n`)
        drawn = 0
      })
      // The last state stays on the screen, also when the work was refused or interrupted.
      yield* Effect.addFinalizer(() => redraw)
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(redraw, Effect.sleep(REDRAW_EVERY))))
      return yield* self.pipe(
        Effect.provideService(Progress, { report }),
        Effect.provideService(Logger.CurrentLoggers, new Set([above]))
      )
    })
  )

const forgetOldest = (tracks: Map<string, Track>) => {
  const finished = [...tracks.values()].find((known) => known.phase === "finished")
  const [oldest] = tracks.keys()
  const kind = finished?.kind ?? oldest
  if (kind !== undefined) tracks.delete(kind)
}

/** One line per track, none wider than the screen: a wrapped line would spoil the next redraw. */
export const bars = (
  tracks: ReadonlyArray<Track>,
  nowMillis: number,
  columns: number
): ReadonlyArray<string> => {
  const labels = tracks.map(({ label }) => cut(plain(label), LABEL_COLUMNS_MAX))
  const labelColumns = labels.reduce((most, label) => Math.max(most, width(label)), 0)
  return tracks.map((known, i) => {
    const size = columns < NARROW_COLUMNS ? BAR_COLUMNS / 2 : BAR_COLUMNS
    const head = `${padded(labels[i] ?? "", labelColumns)}  ${bar(known, size)}`
    return cut(fitting(head, facts(known, nowMillis), columns - 1), columns - 1)
  })
}

/** Adds facts while they fit whole: half a number would be a wrong number. */
const fitting = (head: string, said: ReadonlyArray<string>, columns: number): string => {
  let line = head
  for (const fact of said) {
    if (width(line) + 2 + width(fact) > columns) break
    line += `  ${fact}`
  }
  return line
}

const bar = (known: Track, size: number): string => {
  const shown = percent(known)
  if (shown === undefined) return `[${"?".repeat(size)}]`
  const filled = Math.floor((shown * size) / 100)
  return `[${"#".repeat(filled)}${"-".repeat(size - filled)}]`
}

/** What there is to say of a track, most important first. */
const facts = (known: Track, nowMillis: number): ReadonlyArray<string> => {
  const shown = percent(known)
  const perSecond = rate(known, nowMillis)
  const said = [
    known.total === undefined ? count(known.done) : `${count(known.done)} of ${count(known.total)}`
  ]
  if (shown !== undefined) said.unshift(padded(`${shown} %`, 5, "right"))
  if (known.phase !== "finished") said.push(remainder(known, nowMillis))
  if (known.bytes !== undefined) said.push(bytesOf(known.bytes, known.totalBytes))
  if (perSecond !== undefined && perSecond > 0 && known.phase !== "finished") {
    said.push(known.unit === "bytes" ? `${byteSize(perSecond)}/s` : `${perSecond.toFixed(1)}/s`)
  }
  return said
}

const bytesOf = (bytes: number, total: number | undefined): string =>
  total === undefined ? byteSize(bytes) : `${byteSize(bytes)} of ${byteSize(total)}`

const remainder = (known: Track, nowMillis: number): string => {
  const left = estimate(known, nowMillis)
  if (left._tag === "Remaining") return `about ${roughDuration(left.millis)} left`
  return left._tag === "Stalled" ? "waiting" : "estimating"
}
