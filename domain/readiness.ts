/**
 * Says whether a room can sit a test at a moment to come: pure rules over what is known of the device
 * that stands in it. Every finding has figures rather than words; doors put it into words.
 */
import { Schema } from "effect"
import { EntityId, Millis, OrganisationId } from "./id.ts"

const DAY = 24 * 3_600_000
/** A room of sixty writes some tens of megabytes in a morning; below this a disk fills by surprise. */
const DISK_SCARCE = 2 * 1024 ** 3
/** What a disk must have for answers to be saved at all, with room for the database's own files. */
const DISK_NONE = 200 * 1024 ** 2
/** Central may have changed who sits what; two weeks are long enough to look again. */
const FETCHED_OLD = 14 * DAY
/** A certificate or root that ends soon is renewed by the next synchronisation. */
const ENDS_SOON = 30 * DAY

export const Level = Schema.Literals(["ready", "warning", "blocked"])
export type Level = typeof Level.Type

/** What was looked at. Those of a test come once per room, those of the device once. */
export const CHECKS = [
  "content",
  "trial",
  "window",
  "test-takers",
  "keys",
  "proctors",
  "enrolment",
  "fetched",
  "disk",
  "clock",
  "certificate",
  "root",
  "results-key",
  "results-waiting",
  "in-progress"
] as const

export const Finding = Schema.Struct({
  check: Schema.Literals(CHECKS),
  level: Level,
  /** Counts, bytes or moments, by name: `have`, `want`, `at`, `free`, … */
  figures: Schema.Record(Schema.String, Schema.Int)
})
export type Finding = typeof Finding.Type

export const RoomReadiness = Schema.Struct({
  organisation: OrganisationId,
  center: EntityId,
  centerLabel: Schema.String,
  delivery: EntityId,
  label: Schema.String,
  level: Level,
  findings: Schema.Array(Finding)
})
export type RoomReadiness = typeof RoomReadiness.Type

export const Readiness = Schema.Struct({
  at: Millis,
  level: Level,
  device: Schema.Array(Finding),
  rooms: Schema.Array(RoomReadiness)
})
export type Readiness = typeof Readiness.Type

/** One test in one test center, as this device holds it. */
export interface RoomFacts {
  readonly organisation: OrganisationId
  readonly center: EntityId
  readonly centerLabel: string
  readonly delivery: EntityId
  readonly label: string
  readonly contentHere: boolean
  /** When somebody's key last opened the content here; null for never. */
  readonly openedAt: number | null
  readonly from: number | null
  readonly to: number | null
  readonly proctored: boolean
  readonly proctors: number
  readonly testTakers: {
    readonly named: number
    readonly present: number
    readonly withKey: number
  }
}

export interface DeviceFacts {
  readonly now: number
  readonly enrolled: boolean
  readonly fetchedAt: number | null
  /** The latest moment that is known to have passed. */
  readonly knownPast: number
  readonly diskFree: number
  readonly certificateEnds: number | null
  readonly rootEnds: number | null
  readonly resultsKey: boolean
  readonly resultsWaiting: number
  readonly inProgress: number
}

/** Judges every room, and the device itself, for a moment `at`. */
export const judge = (
  device: DeviceFacts,
  rooms: ReadonlyArray<RoomFacts>,
  at: number
): Readiness => {
  const own = deviceFindings(device, at)
  const judged = rooms.map((room) => {
    const findings = roomFindings(room, at)
    const { center, centerLabel, delivery, label, organisation } = room
    return {
      organisation,
      center,
      centerLabel,
      delivery,
      label,
      level: worst([...findings, ...own].map(({ level }) => level)),
      findings
    }
  })
  const levels = [...own, ...judged].map(({ level }) => level)
  return { at, level: worst(levels), device: own, rooms: judged }
}

const roomFindings = (room: RoomFacts, at: number): ReadonlyArray<Finding> => {
  const { named, present, withKey } = room.testTakers
  return [
    found("content", room.contentHere ? "ready" : "blocked"),
    room.openedAt === null
      ? found("trial", "warning")
      : found("trial", "ready", { at: room.openedAt }),
    windowFinding(room, at),
    found("test-takers", named > 0 && present === named ? "ready" : "blocked", {
      have: present,
      want: named
    }),
    found("keys", withKey === named ? "ready" : "blocked", { have: withKey, want: named }),
    ...(room.proctored
      ? [found("proctors", room.proctors > 0 ? "ready" : "blocked", { have: room.proctors })]
      : [])
  ]
}

const windowFinding = ({ from, to }: RoomFacts, at: number): Finding => {
  const figures = { ...(from === null ? {} : { from }), ...(to === null ? {} : { to }) }
  const isOpen = (from === null || from <= at) && (to === null || at < to)
  return found("window", isOpen ? "ready" : "blocked", figures)
}

const deviceFindings = (device: DeviceFacts, at: number): ReadonlyArray<Finding> => {
  if (!device.enrolled) return [found("enrolment", "blocked")]
  const { certificateEnds, diskFree, fetchedAt, knownPast, now, rootEnds } = device
  return [
    found("enrolment", "ready"),
    fetchedAt === null
      ? found("fetched", "blocked")
      : found("fetched", now - fetchedAt > FETCHED_OLD ? "warning" : "ready", { at: fetchedAt }),
    found("disk", diskFree < DISK_NONE ? "blocked" : diskFree < DISK_SCARCE ? "warning" : "ready", {
      free: diskFree
    }),
    found("clock", now < knownPast ? "blocked" : "ready", { now, past: knownPast }),
    ...ending("certificate", certificateEnds, at),
    ...ending("root", rootEnds, at),
    found("results-key", device.resultsKey ? "ready" : "blocked"),
    found("results-waiting", device.resultsWaiting > 0 ? "warning" : "ready", {
      have: device.resultsWaiting
    }),
    found("in-progress", device.inProgress > 0 ? "warning" : "ready", { have: device.inProgress })
  ]
}

/** Both are needed to fetch and to send, not to sit: a test goes on without them. */
const ending = (
  check: "certificate" | "root",
  ends: number | null,
  at: number
): ReadonlyArray<Finding> =>
  ends === null ? [] : [found(check, ends < at + ENDS_SOON ? "warning" : "ready", { ends })]

const found = (
  check: Finding["check"],
  level: Level,
  figures: Finding["figures"] = {}
): Finding => ({ check, level, figures })

const worst = (levels: ReadonlyArray<Level>): Level =>
  levels.includes("blocked") ? "blocked" : levels.includes("warning") ? "warning" : "ready"
