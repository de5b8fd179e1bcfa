/** Whether a room can sit its tests, and what is wrong with a device: commands of a device. */
import { Clock, Effect, Option, Schema } from "effect"
import { lookAtCentral, lookAtDevice } from "../application/diagnose.ts"
import { readiness } from "../application/readiness.ts"
import { Refused } from "../application/refused.ts"
import { type Finding, Finding as FindingSchema, Readiness } from "../domain/readiness.ts"
import { defineCommand, ItemsLeft, type ServedCommand } from "./command.ts"
import type { Reach } from "./device-commands.ts"
import { findingText } from "./readiness-words.ts"
import { fromCentral } from "./refusals.ts"
import { table } from "./terminal.ts"
import type { DevicePorts } from "./wiring.ts"

/** Beyond it proofs fail, and tests open at the wrong time. */
const CLOCK_OFF = 2 * 60_000
const DAY = 24 * 3_600_000

const ReadinessReport = Schema.Struct({ ...Readiness.fields, exit: ItemsLeft })
export type ReadinessReport = typeof ReadinessReport.Type

export const readinessCommand = defineCommand({
  name: "device readiness",
  side: "device",
  /** Null: a day from now. */
  args: Schema.Struct({ at: Schema.NullOr(Schema.Int) }),
  report: ReadinessReport,
  run: Effect.fnUntraced(function* ({ at }) {
    const judged = yield* readiness(at ?? (yield* Clock.currentTimeMillis) + DAY)
    return { ...judged, ...(judged.level === "blocked" ? { exit: 3 as const } : {}) }
  })
})

const DoctorReport = Schema.Struct({
  findings: Schema.Array(FindingSchema),
  central: Schema.Struct({
    program: Schema.NullOr(Schema.String),
    support: Schema.NullOr(Schema.String),
    millis: Schema.NullOr(Schema.Int),
    /** Milliseconds by which this device's clock is ahead of central's. */
    ahead: Schema.NullOr(Schema.Int),
    refused: Schema.NullOr(Refused)
  }),
  exit: ItemsLeft
})
export type DoctorReport = typeof DoctorReport.Type

const SILENT = { program: null, support: null, millis: null, ahead: null }

export const doctorCommand = (reach: Reach<DevicePorts>) =>
  defineCommand({
    name: "device doctor",
    side: "device",
    args: Schema.Struct({}),
    report: DoctorReport,
    run: Effect.fnUntraced(function* () {
      const findings = yield* lookAtDevice()
      const said = yield* lookAtCentral().pipe(
        Effect.mapError((error) => fromCentral("Central did not answer.", error)),
        Effect.provide(reach.central),
        Effect.map((answer) => ({ ...answer, refused: null })),
        Effect.catch((refused) => Effect.succeed({ ...SILENT, refused }))
      )
      const well =
        findings.every(({ level }) => level !== "blocked") &&
        said.refused === null &&
        said.support === "supported" &&
        Math.abs(said.ahead ?? 0) < CLOCK_OFF
      return { findings, central: said, ...(well ? {} : { exit: 3 as const }) }
    })
  })

const LEVELS: Readonly<Record<Finding["level"], string>> = {
  ready: "ok",
  warning: "look",
  blocked: "STOP"
}

const line = (finding: Finding): string =>
  `  ${LEVELS[finding.level].padEnd(4)}  ${findingText(finding)}`

/** What is not as it should be; a room in which all is well can still wait for the device itself. */
const attention = ({
  findings,
  level
}: ReadinessReport["rooms"][number]): ReadonlyArray<string> => {
  const lines = findings.filter((one) => one.level !== "ready").map(line)
  return lines.length === 0 && level !== "ready"
    ? ["  All of its own is ready: see this device, above."]
    : lines
}

export const showReadiness = ({ at, device, level, rooms }: ReadinessReport): string =>
  [
    `Looking at ${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`,
    "",
    "This device",
    ...device.map(line),
    ...rooms.flatMap((room) => [
      "",
      `${room.label}, ${room.centerLabel}: ${LEVELS[room.level]}`,
      ...attention(room)
    ]),
    "",
    ...(rooms.length === 0 ? ["No test is offered to anybody on this device."] : []),
    level === "ready"
      ? "Everything is ready."
      : level === "warning"
        ? "Every test can be sat. Look at the lines above all the same."
        : "Not every test can be sat then: see the lines with STOP."
  ].join("\n")

export const showDoctor = ({ central, findings }: DoctorReport): string => {
  const { ahead, millis, program, refused, support } = central
  const clock = Math.abs(ahead ?? 0) < CLOCK_OFF
  return [
    "This device",
    ...findings.map(line),
    "",
    refused === null
      ? table(
          ["CENTRAL", "ANSWERED IN", "THIS PROGRAM", "CLOCKS"],
          [
            [
              program ?? "",
              `${millis} ms`,
              support ?? "",
              clock ? "agree" : `${Math.round((ahead ?? 0) / 1_000)} s apart: set this clock`
            ]
          ]
        )
      : `error: ${refused.what}\n  why: ${refused.why}\n  do: ${refused.todo}`
  ].join("\n")
}

export const readinessCommands = (
  reach: Reach<DevicePorts>
): ReadonlyArray<ServedCommand<DevicePorts>> => [readinessCommand, doctorCommand(reach)]

/** A moment as people write it: a date, or a date and a time of this place. */
export const readMoment = (text: string): Option.Option<number> => {
  const isMoment = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?Z?)?$/u.test(text)
  const at = isMoment ? new Date(text.replace(" ", "T")).getTime() : Number.NaN
  return Number.isNaN(at) ? Option.none() : Option.some(at)
}
