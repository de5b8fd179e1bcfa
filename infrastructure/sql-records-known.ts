/** Compares records that come with those that are known: what is new, and what contradicts what. */
import type { NewRecord } from "../application/record-ports.ts"
import type { Digest } from "../domain/id.ts"

/** What is known of a record that shares something with one that comes. Numbers may be text. */
export interface KnownRow {
  readonly sha256: Digest
  readonly number: number
  readonly kind: string
  readonly id: string
  readonly revision: number
  readonly altered: number
}

type Answer = "new" | "same" | "other bytes"

export interface Addition {
  readonly answers: ReadonlyArray<Answer>
  /** To be inserted, each once. */
  readonly fresh: ReadonlyArray<{ readonly one: NewRecord; readonly conflict: boolean }>
  /** Known records, or ones of this very batch, that something new contradicts. */
  readonly flagged: ReadonlyArray<Digest>
}

/** Records of one batch count in their order: the second of two with the same bytes is the same. */
export const addition = (
  known: ReadonlyArray<KnownRow>,
  records: ReadonlyArray<NewRecord>
): Addition => {
  const digests = new Set<Digest>()
  const byName = new Map<string, Set<Digest>>()
  const learn = (row: Omit<KnownRow, "altered">) => {
    digests.add(row.sha256)
    for (const name of namesOf(row)) {
      const sharing = byName.get(name) ?? new Set()
      byName.set(name, sharing.add(row.sha256))
    }
  }
  for (const row of known) if (Number(row.altered) === 0) learn(row)
  const aside = new Set(known.filter((row) => Number(row.altered) === 1).map((row) => row.sha256))

  const flagged = new Set<Digest>()
  const fresh: Array<{ one: NewRecord; conflict: boolean }> = []
  const answers = records.map((one): Answer => {
    const entry = one.record.ledger
    const isKnown = digests.has(entry.sha256) || (one.altered && aside.has(entry.sha256))
    if (isKnown) return "same"
    if (one.altered) {
      aside.add(entry.sha256)
      fresh.push({ one, conflict: false })
      return "new"
    }
    const others = namesOf(entry).flatMap((name) => [...(byName.get(name) ?? [])])
    for (const other of others) flagged.add(other)
    learn(entry)
    fresh.push({ one, conflict: others.length > 0 })
    return others.length > 0 ? "other bytes" : "new"
  })
  return { answers, fresh, flagged: [...flagged] }
}

/** By which two records are meant to be one: what they are, and their number. */
const namesOf = ({ id, kind, number, revision }: Omit<KnownRow, "altered" | "sha256">) => [
  `number ${Number(number)}`,
  `${kind} ${Number(revision)} ${id}`
]
