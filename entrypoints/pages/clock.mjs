/** Counts down between two answers of the device, which alone decides when time is over. */
import { say } from "./elements.mjs"
import { t } from "./words.mjs"

const SECOND = 1_000
const MINUTE = 60 * SECOND
/** Minutes before the end at which those who listen are told. */
const WARNINGS = [10, 5, 1]
/** The device may not answer at that moment, or the page be busy: it is told again. */
const AGAIN_MILLIS = 2 * SECOND

/** `over()` is called when time has ended, until `set` brings another one. */
export const makeClock = ({ over, shown }) => {
  let ends = null
  /** The end after which the device takes no answer; a limit may also be no more than advice. */
  let shuts = null
  let calls = 0
  let told = new Set()
  let timer = null
  const tick = () => {
    const now = performance.now()
    if (ends === null) return shown("")
    const left = Math.max(0, ends - now)
    shown(t("timeLeft", { time: written(left) }))
    for (const minutes of WARNINGS) {
      if (left > minutes * MINUTE || left < (minutes - 0.5) * MINUTE || told.has(minutes)) continue
      told.add(minutes)
      say(t("timeSoon", { minutes }))
    }
    if (shuts === null || now < Math.max(shuts, calls)) return
    calls = now + AGAIN_MILLIS
    over()
  }
  return {
    set: (timers) => {
      const before = ends
      ends = endOf(timers)
      shuts = endOf(timers.filter(({ allowLate }) => !allowLate))
      if (before === null || ends === null || ends > before + MINUTE) told = new Set()
      timer ??= setInterval(tick, SECOND)
      tick()
      return ends !== null
    },
    left: () => (ends === null ? "" : written(Math.max(0, ends - performance.now()))),
    stop: () => clearInterval(timer)
  }
}

const endOf = (timers) => {
  const all = timers.map(({ remainingMillis }) => remainingMillis)
  const limits = all.filter((one) => typeof one === "number")
  return limits.length === 0 ? null : performance.now() + Math.min(...limits)
}

const written = (millis) => {
  const seconds = Math.ceil(millis / SECOND)
  const two = (n) => String(n).padStart(2, "0")
  const hours = Math.floor(seconds / 3_600)
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return hours > 0 ? `${hours}:${rest}` : rest
}
