/** Writes measures for people: one line per sample, one table per workload with ratios. */
import type { Measure, Sample, Workload } from "./harness.ts"

const TITLES: Readonly<Record<Workload, string>> = {
  w1: "W1 first synchronisation",
  w2: "W2 nothing changed",
  w3: "W3 one percent changed"
}

export interface Row {
  readonly name: string
  readonly measure: Measure
}

export const line = ({ contender, run, load, measures }: Sample): string =>
  [
    `run ${run + 1}`,
    contender.padEnd(11),
    ...Object.entries(measures).map(
      ([workload, { seconds }]) => `${workload} ${duration(seconds)}`
    ),
    `load ${load.toFixed(2)}`
  ].join("  ")

/** The columns after the first figures say how many times as long a row took as each other one. */
export const table = (workload: Workload, rows: ReadonlyArray<Row>): string => {
  const head = ["", "time", "entities/s", "bytes", "bytes/entity", "requests", "peak RSS"]
  const cells = [
    [...head, ...rows.map(({ name }) => `× ${name}`)],
    ...rows.map(({ name, measure }) => [
      name,
      duration(measure.seconds),
      measure.entities === 0 ? "-" : (measure.entities / measure.seconds).toFixed(0),
      measure.bytes.toFixed(0),
      measure.entities === 0 ? "-" : (measure.bytes / measure.entities).toFixed(0),
      String(measure.requests),
      workload === "w1" ? `${(measure.peakRss / 2 ** 20).toFixed(0)} MiB` : "-",
      ...rows.map((other) => (measure.seconds / other.measure.seconds).toFixed(2))
    ])
  ]
  const widths = cells[0]!.map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0))
  )
  const text = cells.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)
      )
      .join("  ")
  )
  return ["", TITLES[workload], ...text].join("\n")
}

const duration = (seconds: number): string =>
  seconds < 1 ? `${(seconds * 1_000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`
