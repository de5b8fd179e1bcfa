/** Shows reports to people: tables and sentences for the terminal. */
import type { HistoryEntry } from "../domain/history.ts"
import type { DeviceStatus, SyncReport } from "./device-commands.ts"
import type { SimulateReport } from "./simulate-session.ts"
import { table } from "./terminal.ts"
import { byteSize, count, duration } from "./terminal-units.ts"

export const showHistory = (report: { readonly entries: ReadonlyArray<HistoryEntry> }): string =>
  report.entries.length === 0
    ? "Nothing has happened yet."
    : table(
        ["WHEN", "WHAT", "WHO", "OUTCOME", "CHANGES", "BYTES", "TOOK", "REASON"],
        report.entries.map((entry) => [
          new Date(entry.at).toISOString().replace("T", " ").slice(0, 19),
          entry.verb,
          [entry.device, entry.organisation].filter((one) => one !== null).join(" "),
          entry.outcome,
          changesOf(entry.counts),
          entry.bytes === 0 ? "" : byteSize(entry.bytes),
          duration(entry.millis),
          entry.reason
        ])
      )

const changesOf = (counts: HistoryEntry["counts"]): string => {
  const sums = { created: 0, updated: 0, deleted: 0, held: 0 }
  for (const one of Object.values(counts)) {
    sums.created += one.created
    sums.updated += one.updated
    sums.deleted += one.deleted
    sums.held += one.held
  }
  return [
    `+${sums.created}`,
    `~${sums.updated}`,
    `-${sums.deleted}`,
    ...(sums.held === 0 ? [] : [`held ${sums.held}`])
  ].join(" ")
}

const OUTCOMES: Readonly<Record<SyncReport["outcome"], string>> = {
  done: "Everything is up to date.",
  unchanged: "Nothing new. Everything is up to date.",
  incomplete: "Not everything could be fetched and sent.",
  refused: "Refused.",
  failed: "Failed.",
  cancelled: "Cancelled."
}

const showSessions = (sessions: SyncReport["sessions"]): ReadonlyArray<string> => {
  if (sessions === undefined) return []
  const { done, how, needProctor } = sessions
  const verb = how === "pause" ? "Paused" : "Terminated"
  return [
    `${verb} ${count(done.length)} session${done.length === 1 ? "" : "s"}.`,
    ...needProctor.map(
      (execution) =>
        `error: ${execution} is locked\n  do: Let a proctor of its center log in here and end it.`
    )
  ]
}

export const showSync = (report: SyncReport): string => {
  const rows = Object.entries(report.counts).filter(
    ([, one]) => one.created + one.updated + one.deleted + one.held > 0
  )
  const right = (title: string) => ({ title, align: "right" as const })
  const { bytes, fetched, refused } = report.contents
  return [
    ...showSessions(report.sessions),
    ...(rows.length === 0
      ? []
      : [
          table(
            ["KIND", right("NEW"), right("CHANGED"), right("REMOVED"), right("HELD")],
            rows.map(([kind, one]) => [kind, one.created, one.updated, one.deleted, one.held])
          )
        ]),
    ...report.organisations.flatMap((one) => [
      ...(one.mended > 0
        ? [`${one.organisation}: ${one.mended} entities differed and were mended`]
        : []),
      ...(one.refused === null
        ? []
        : [`${one.organisation}: ${one.refused.why} ${one.refused.todo}`])
    ]),
    ...(fetched === 0 ? [] : [`${count(fetched)} test contents fetched (${byteSize(bytes)})`]),
    ...[...refused, ...report.documents].map((one) => `${one.what} ${one.why} ${one.todo}`),
    ...recordLines(report),
    report.dryRun ? "Nothing was changed: this was a dry run." : OUTCOMES[report.outcome]
  ].join("\n")
}

/** "118 of 118 received at the centre", and what was not. */
const recordLines = ({ dryRun, records }: SyncReport): ReadonlyArray<string> => {
  if (records.owed === 0) return []
  const { kept, owed, quarantined, refusal, refused } = records
  return [
    dryRun
      ? `${count(owed)} results, sessions and logs would be sent`
      : `${count(kept)} of ${count(owed)} results, sessions and logs received at central`,
    ...quarantined.map(({ id, kind, reason }) => `${kind} ${id}: in quarantine there (${reason})`),
    ...refused.map(({ id, kind, reason }) => `${kind} ${id}: not sent (${reason})`),
    ...(refusal === null ? [] : [`${refusal.what} ${refusal.why} ${refusal.todo}`])
  ]
}

export const showStatus = (status: typeof DeviceStatus.Type): string =>
  [
    status.device === null ? "This device is not enrolled yet." : `Device ${status.device}`,
    ...(status.organisations.length === 0
      ? []
      : [
          table(
            ["ORGANISATION", "VERSION", "CENTERS", "TEST-TAKERS", "DELIVERIES", "KEPT BACK"],
            status.organisations.map((one) => [
              one.organisation,
              one.version,
              one.counts["test-center"] ?? 0,
              one.counts["test-taker"] ?? 0,
              one.counts.delivery ?? 0,
              one.keptBack
            ])
          )
        ]),
    `Test contents: ${status.contents.here} of ${status.contents.wanted} here`,
    `Sessions and results not settled: ${status.unsettled}`,
    status.lastSync === null
      ? "Never synchronised."
      : `Last change by a synchronisation: ${new Date(status.lastSync.at).toISOString()} (${status.lastSync.outcome})`
  ].join("\n")

export const showSimulated = ({ answers, execution, label, stage }: SimulateReport): string =>
  [
    `${label}: ${stage} (${execution})`,
    table(
      ["ITEM", "RESPONSE", "ANSWER", "SCORE"],
      answers.map(({ item, response, score, values }) => [
        item,
        response,
        values?.join(", ").replaceAll("\n", " ") ?? "none",
        score === null ? "" : String(score)
      ])
    )
  ].join("\n")
