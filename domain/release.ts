/** Says which device versions central supports, before anything happens (protocol §3). */
import { Schema } from "effect"

/** The version of this program, sent by devices and by central. */
export const PROGRAM_VERSION = "0.1.0"

/** The version of the HTTPS conversation. A device and central must share one. */
export const PROTOCOL_VERSION = 1

export const Capabilities = Schema.Struct({
  program: Schema.String,
  protocols: Schema.Array(Schema.Int),
  devices: Schema.Struct({ min: Schema.String, below: Schema.String }),
  time: Schema.Int
})
export type Capabilities = typeof Capabilities.Type

/** Devices of these versions may synchronise: `min` included, `below` excluded. */
export const SUPPORTED_DEVICES = { min: "0.1.0", below: "1.0.0" } as const

export type Support = "supported" | "too-old" | "too-new" | "unreadable"

/** Judges a device's version, "major.minor.patch" with whole numbers. */
export const support = (
  version: string,
  range: { readonly min: string; readonly below: string }
): Support => {
  const asked = numbers(version)
  const min = numbers(range.min)
  const below = numbers(range.below)
  if (asked === undefined || min === undefined || below === undefined) return "unreadable"
  if (compare(asked, min) < 0) return "too-old"
  return compare(asked, below) < 0 ? "supported" : "too-new"
}

const numbers = (version: string): ReadonlyArray<number> | undefined =>
  /^\d{1,6}\.\d{1,6}\.\d{1,6}$/u.test(version) ? version.split(".").map(Number) : undefined

const compare = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  for (let at = 0; at < 3; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
