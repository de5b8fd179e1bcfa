/**
 * Says which cost of a password wrap is worth its name, and which is an attack on the reader
 * (format §3.5).
 */
import { Schema } from "effect"

/** The work of one Argon2id derivation. */
export const Cost = Schema.Struct({ memoryKiB: Schema.Int, passes: Schema.Int })
export type Cost = typeof Cost.Type

/** Chosen because the table is expected to be stolen with the device (format §3.5). */
export const COST_DEFAULT: Cost = { memoryKiB: 65_536, passes: 3 }

/** One wrap may not ask a small device for more than this; ours ask for a sixteenth. */
export const MEMORY_KIB_MAX = 1_048_576
export const PASSES_MAX = 10
/** Argon2's own least, for one lane (RFC 9106 §3.1). */
const MEMORY_KIB_MIN = 8

/** Equally strong in the eyes of the OWASP Password Storage Cheat Sheet; none may be undercut. */
const FLOORS: ReadonlyArray<Cost> = [
  { memoryKiB: 47_104, passes: 1 },
  { memoryKiB: 19_456, passes: 2 },
  { memoryKiB: 12_288, passes: 3 },
  { memoryKiB: 9_216, passes: 4 },
  { memoryKiB: 7_168, passes: 5 }
]

/** True when no device should even try a derivation of this cost: E_KDF_LIMIT. */
export const isOverLimit = ({ memoryKiB, passes }: Cost): boolean =>
  !Number.isSafeInteger(memoryKiB) ||
  !Number.isSafeInteger(passes) ||
  memoryKiB < MEMORY_KIB_MIN ||
  memoryKiB > MEMORY_KIB_MAX ||
  passes < 1 ||
  passes > PASSES_MAX

/**
 * Why new wraps may not be made at this cost: "E_KDF_LIMIT" above what devices read, "E_KDF_FLOOR"
 * below every one of the OWASP minimum pairs. Undefined when the cost is fine.
 */
export const costRefused = (cost: Cost): "E_KDF_LIMIT" | "E_KDF_FLOOR" | undefined => {
  if (isOverLimit(cost)) return "E_KDF_LIMIT"
  const isStrong = FLOORS.some(
    (floor) => cost.memoryKiB >= floor.memoryKiB && cost.passes >= floor.passes
  )
  return isStrong ? undefined : "E_KDF_FLOOR"
}
