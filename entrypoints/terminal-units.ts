/** Writes amounts the way people say them. Pure; the widths are for narrow terminals. */

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 })

/** `12,345`. */
export const count = (n: number): string => grouped.format(n)

const byteUnits = ["B", "kB", "MB", "GB", "TB"]

/** `812 B`, `1.4 MB`, `52 GB`: decimal, as on the label of a stick. Three digits at most. */
export const byteSize = (bytes: number): string => {
  let value = Math.max(0, bytes)
  let unit = 0
  // 999.5 would be written as 1000.
  while (value >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1000
    unit += 1
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0
  return `${value.toFixed(digits)} ${byteUnits[unit]}`
}

/** `450 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export const duration = (millis: number): string => {
  const whole = Math.max(0, Math.round(millis))
  if (whole < 1000) return `${whole} ms`
  const seconds = Math.round(whole / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return pair(minutes, "min", seconds % 60, "s")
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return pair(hours, "h", minutes % 60, "min")
  return pair(Math.floor(hours / 24), "d", hours % 24, "h")
}

/** Remaining time, only as exact as an estimate can be: `9 s`, `40 s`, `4 min`, `2 h 5 min`. */
export const roughDuration = (millis: number): string => {
  const seconds = Math.max(1, Math.ceil(millis / 1000))
  if (seconds <= 10) return `${seconds} s`
  if (seconds <= 90) return `${Math.ceil(seconds / 5) * 5} s`
  return duration(Math.ceil(seconds / 60) * 60_000)
}

const pair = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`
