/** Counts down between two answers of the device, which alone decides when time is over. */
import { say } from "./elements.mjs"
import { t } from "./words.mjs"

const SECOND = 1_000
const MINUTE = 60 * SECOND
/** Minutes before the end at which those who listen are told. */
const WARNINGS = [10, 5, 1]

export const makeClock = ({ over, shown }) => {
  let ends = null
  let told = new Set()
  let timer = null
  const tick = () => {
    if (ends === null) return shown("")
    const left = Math.max(0, ends - performance.now())
    shown(t("timeLeft", { time: written(left) }))
    for (const minutes of WARNINGS) {
      if (left > minutes * MINUTE || left < (minutes - 0.5) * MINUTE || told.has(minutes)) continue
      told.add(minutes)
      say(t("timeSoon", { minutes }))
    }
    if (left > 0) return
    ends = null
    over()
  }
  return {
    set: (timers) => {
      const all = timers.map(({ remainingMillis }) => remainingMillis)
      const next = all.filter((one) => typeof one === "number")
      const before = ends
      ends = next.length === 0 ? null : performance.now() + Math.min(...next)
      if (before === null || ends === null || ends > before + MINUTE) told = new Set()
      timer ??= setInterval(tick, SECOND)
      tick()
      return ends !== null
    },
    left: () => (ends === null ? "" : written(Math.max(0, ends - performance.now()))),
    stop: () => clearInterval(timer)
  }
}

const written = (millis) => {
  const seconds = Math.ceil(millis / SECOND)
  const two = (n) => String(n).padStart(2, "0")
  const hours = Math.floor(seconds / 3_600)
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return hours > 0 ? `${hours}:${rest}` : rest
}
