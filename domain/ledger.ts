/**
 * Numbers everything that a device produces, in a chain that nobody can take a link out of unseen
 * (format §3.7). Central sees gaps by the numbers, and tampering by the heads.
 */
import { Schema } from "effect"
import { canonical } from "./canonical.ts"
import { Digest } from "./id.ts"

/** What devices bring home. */
export const RECORD_KINDS = ["result", "test-session", "result-log", "lti-user"] as const
export type RecordKind = (typeof RECORD_KINDS)[number]

export const LedgerEntry = Schema.Struct({
  number: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)),
  /** The head before; null for the first. */
  prev: Schema.NullOr(Digest),
  kind: Schema.Literals(RECORD_KINDS),
  id: Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(120)),
  revision: Schema.Int,
  /** Digest of the record's bytes as they travel. */
  sha256: Digest
})
export type LedgerEntry = typeof LedgerEntry.Type

/** The bytes whose SHA-256 is the head of the chain after this entry. */
export const ledgerText = (entry: LedgerEntry): string => canonical({ ...entry })

/**
 * Numbers from 1 to `count` that are not among `received`, as ranges: "12 and 13 are missing".
 */
export const missingNumbers = (
  received: Iterable<number>,
  count: number
): ReadonlyArray<{ readonly from: number; readonly to: number }> => {
  const have = [...new Set(received)]
    .filter((one) => one >= 1 && one <= count)
    .sort((a, b) => a - b)
  const gaps: Array<{ from: number; to: number }> = []
  let next = 1
  for (const number of [...have, count + 1]) {
    if (number > next) gaps.push({ from: next, to: number - 1 })
    next = number + 1
  }
  return gaps
}
