/**
 * Judges every device of a central by what is known of it there: who is behind, and why. Pure rules;
 * findings have figures rather than words, and only what wants somebody's eye is a finding.
 */
import { Schema } from "effect"
import { CERTIFICATE_MILLIS } from "./enrolment.ts"
import { Level } from "./readiness.ts"
import { SUPPORTED_DEVICES, support } from "./release.ts"

const DAY = 24 * 3_600_000
/** Central may have changed who sits what; two weeks are long enough to look again. */
const CONTACT_OLD = 14 * DAY
/** As a device judges its own disk (readiness): scarce, and too little to save answers. */
const DISK_SCARCE = 2 * 1024 ** 3
const DISK_NONE = 200 * 1024 ** 2
/** Beyond it tests open at the wrong time, and central refuses the device. */
const CLOCK_LEEWAY = 5 * 60_000
/** A device that is online renews its certificate when it has less than this left. */
const CERTIFICATE_RENEWED = 90 * DAY
const ENDS_SOON = 30 * DAY

export const FLEET_CHECKS = [
  "blocked",
  "revoked",
  "never",
  "contact",
  "program-old",
  "program-new",
  "behind",
  "anew",
  "contents",
  "missing",
  "quarantined",
  "conflicts",
  "forked",
  "disk",
  "clock",
  "certificate",
  "pending",
  "alarm-fetched",
  "alarm-clock",
  "alarm-results-key",
  "alarm-other"
] as const

export const FleetFinding = Schema.Struct({
  check: Schema.Literals(FLEET_CHECKS),
  level: Level,
  /** Counts, bytes or moments, by name: `have`, `since`, `free`, … */
  figures: Schema.Record(Schema.String, Schema.Int)
})
export type FleetFinding = typeof FleetFinding.Type

export const Carrier = Schema.Literals(["https", "bundle"])
export type Carrier = typeof Carrier.Type

/** What central knows of a device. Moments in milliseconds since 1970, by central's clock. */
export interface DeviceKnown {
  readonly state: "active" | "blocked" | "revoked"
  /** As the device says it, "0.1.0" or "0.1.0/1"; null or empty when it never did. */
  readonly program: string | null
  readonly enrolledAt: number
  readonly lastContact: { readonly at: number; readonly carrier: Carrier } | null
  /** What it last said of itself; null when it never did. */
  readonly report: {
    /** By the device's own clock. */
    readonly at: number
    readonly disk: { readonly free: number; readonly total: number }
    /** What it said is wrong with it: checks of its own readiness. */
    readonly alarms: ReadonlyArray<string>
  } | null
  /** Records that it said it has, beyond those of which central knew. */
  readonly pending: number
  /** Changes that were offered and are not there; null when its place in the feed is void. */
  readonly changes: number | null
  /** Contents that were offered and are not there. */
  readonly contents: number
  /** Records that its ledger numbers and that have not come. */
  readonly missing: number
  readonly quarantined: number
  readonly conflicts: number
  readonly forked: boolean
}

export interface FleetJudgement {
  readonly level: Level
  /** The worst first. */
  readonly findings: ReadonlyArray<FleetFinding>
}

/** Says what is the matter with a device at the moment `now`; nothing, when all is well. */
export const judgeDevice = (device: DeviceKnown, now: number): FleetJudgement => {
  // Who was let go for good is no worry any more, but for what never came home.
  const own = device.state === "revoked" ? [] : standing(device, now)
  const findings = [...stateOf(device), ...own, ...homecoming(device)]
  const blocked = findings.filter(({ level }) => level === "blocked")
  const rest = findings.filter(({ level }) => level !== "blocked")
  const level = blocked.length > 0 ? "blocked" : rest.length > 0 ? "warning" : "ready"
  return { level, findings: [...blocked, ...rest] }
}

/** Puts those first that want somebody most, and then by name. */
export const worstFirst = (
  a: { readonly level: Level; readonly name: string },
  b: { readonly level: Level; readonly name: string }
): number => ORDER.indexOf(a.level) - ORDER.indexOf(b.level) || a.name.localeCompare(b.name)

const ORDER: ReadonlyArray<Level> = ["blocked", "warning", "ready"]

const stateOf = ({ state }: DeviceKnown): ReadonlyArray<FleetFinding> =>
  state === "active" ? [] : [found(state, state === "revoked" ? "warning" : "blocked")]

const standing = (device: DeviceKnown, now: number): ReadonlyArray<FleetFinding> => {
  const { enrolledAt, lastContact, report } = device
  return [
    ...(lastContact === null ? [found("never", "blocked", { at: enrolledAt })] : []),
    ...(lastContact !== null && now - lastContact.at > CONTACT_OLD
      ? [found("contact", "warning", { at: lastContact.at })]
      : []),
    ...programOf(device.program),
    ...(report === null ? [] : held(device, report, now)),
    ...certificateOf(device, now)
  ]
}

const programOf = (program: string | null): ReadonlyArray<FleetFinding> => {
  const [version = ""] = (program ?? "").split("/")
  const judged = support(version, SUPPORTED_DEVICES)
  if (judged === "too-old") return [found("program-old", "blocked")]
  return judged === "too-new" ? [found("program-new", "blocked")] : []
}

const held = (
  { changes, contents, lastContact }: DeviceKnown,
  report: NonNullable<DeviceKnown["report"]>,
  now: number
): ReadonlyArray<FleetFinding> => {
  const { free, total } = report.disk
  const since = lastContact?.at ?? report.at
  return [
    ...(changes === null ? [found("anew", "warning")] : []),
    ...(changes !== null && changes > 0
      ? [found("behind", "warning", { have: changes, since })]
      : []),
    ...(contents > 0 ? [found("contents", "warning", { have: contents })] : []),
    // Nothing at all is what central writes where a device has not said it.
    ...(total > 0 && free < DISK_SCARCE
      ? [found("disk", free < DISK_NONE ? "blocked" : "warning", { free })]
      : []),
    ...(report.at > now + CLOCK_LEEWAY
      ? [found("clock", "blocked", { ahead: report.at - now })]
      : []),
    ...alarmsOf(report)
  ]
}

/** Its disk central judges by the figures. A check of a newer program has no words here. */
const alarmsOf = ({ alarms, at }: NonNullable<DeviceKnown["report"]>) => {
  const checks = alarms
    .filter((alarm) => alarm !== "disk")
    .map((alarm) => FLEET_CHECKS.find((check) => check === `alarm-${alarm}`) ?? "alarm-other")
  return [...new Set(checks)].map((check) => found(check, "blocked", { at }))
}

/** Central does not see what certificate a device has, but since when it must have had a good one. */
const certificateOf = (
  { enrolledAt, lastContact }: DeviceKnown,
  now: number
): ReadonlyArray<FleetFinding> => {
  if (lastContact === null) return []
  const renewed = lastContact.carrier === "https" ? lastContact.at + CERTIFICATE_RENEWED : 0
  const ends = Math.max(enrolledAt + CERTIFICATE_MILLIS, renewed)
  return ends < now + ENDS_SOON ? [found("certificate", "warning", { ends })] : []
}

const homecoming = (device: DeviceKnown): ReadonlyArray<FleetFinding> => {
  const { conflicts, forked, missing, pending, quarantined, report } = device
  return [
    ...(forked ? [found("forked", "blocked")] : []),
    ...(conflicts > 0 ? [found("conflicts", "blocked", { have: conflicts })] : []),
    ...(quarantined > 0 ? [found("quarantined", "blocked", { have: quarantined })] : []),
    ...(missing > 0 ? [found("missing", "warning", { have: missing })] : []),
    ...(pending > 0 ? [found("pending", "warning", { have: pending, at: report?.at ?? 0 })] : [])
  ]
}

const found = (
  check: FleetFinding["check"],
  level: Level,
  figures: FleetFinding["figures"] = {}
): FleetFinding => ({ check, level, figures })
