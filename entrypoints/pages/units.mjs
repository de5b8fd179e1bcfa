/** Writes sizes, times and moments as people read them, in the language of the page. */
import { languageNow } from "./words.mjs"

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"]

export const bytes = (count) => {
  let size = Number(count)
  let unit = 0
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000
    unit += 1
  }
  return new Intl.NumberFormat(languageNow(), {
    style: "unit",
    unit: UNITS[unit],
    maximumFractionDigits: size < 10 && unit > 0 ? 1 : 0
  }).format(size)
}

export const number = (count) =>
  new Intl.NumberFormat(languageNow(), { maximumFractionDigits: count < 10 ? 1 : 0 }).format(count)

/** As the device itself writes moments in English: the day first, by a clock of 24 hours. */
const DATES = { en: "en-GB" }

const written = (at, style) =>
  new Intl.DateTimeFormat(DATES[languageNow()] ?? languageNow(), {
    timeStyle: "short",
    ...style
  }).format(at)

export const moment = (at) => written(at, { dateStyle: "medium" })

/** The day only where it is not today. */
export const hour = (at) => {
  const isToday = new Date().toDateString() === new Date(at).toDateString()
  return written(at, isToday ? {} : { dateStyle: "short" })
}

/** Never more exact than an estimate is. */
export const span = (millis) => {
  const seconds = Math.max(1, Math.round(millis / 1000))
  const [count, unit] =
    seconds < 90
      ? [seconds, "second"]
      : seconds < 5400
        ? [Math.round(seconds / 60), "minute"]
        : [Math.round(seconds / 3600), "hour"]
  return new Intl.NumberFormat(languageNow(), { style: "unit", unit, unitDisplay: "long" }).format(
    count
  )
}
