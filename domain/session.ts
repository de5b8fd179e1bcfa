/**
 * Describes a session: one attempt of one test-taker at one delivery, as the device keeps it until it
 * has ended. What was answered is in the saves, which only the session's key opens; the session
 * itself says no more than a school's own list on paper would.
 */
import { Schema } from "effect"
import { canonical } from "./canonical.ts"
import { Content, Period } from "./entity.ts"
import type { Execution, ExecutionState } from "./execution.ts"
import { Base64, type Digest, EntityId, OrganisationId } from "./id.ts"
import { DeviceStage } from "./lifecycle.ts"
import type { ExecutionFacts, LogEntry } from "./result.ts"
import { ExecutionId, Moment } from "./result.ts"
import { VariableSet } from "./variable.ts"

/** The name of what is saved together: `session`, or the reference of an item. */
export const PART_NAME_MAX = 256
/** The longest test seen has 120 items; a runner that invents parts must not fill the disk. */
export const PARTS_MAX = 2_000
/**
 * All saves of a session together, in bytes of their text. A record may have 16 MiB: the result
 * holds the variables of the saves, escaped once more (at most doubled) and in base64 (a third more).
 */
export const SESSION_BYTES_MAX = 5 * 1_048_576
/** Below the limit of a log's body; what ends a session may still be logged beyond it. */
export const LOG_ENTRIES_MAX = 10_000
/** Of these a test-taker's own: whoever loads a page all day leaves room for what a proctor does. */
export const OWN_ENTRIES_MAX = 2_000

/** Who paused a session: that decides who may go on with it. */
export const Pauser = Schema.Literals(["test-taker", "proctor", "device"])
export type Pauser = typeof Pauser.Type

export const Session = Schema.Struct({
  execution: ExecutionId,
  revision: Schema.Int,
  organisation: OrganisationId,
  testCenter: EntityId,
  eligibility: EntityId,
  delivery: EntityId,
  /** The content that was begun with: a newer version does not change a test that is being sat. */
  content: Content,
  wrap: EntityId,
  testTaker: EntityId,
  attempt: Schema.Int,
  proctored: Schema.Boolean,
  /** What a proctor granted on top of every limit of time. */
  extraMillis: Schema.optionalKey(Schema.Int),
  /** The eligibility's own period; the eligibility may be gone before the session is. */
  period: Period,
  stage: DeviceStage,
  pausedBy: Schema.NullOr(Pauser),
  createdAt: Moment,
  startedAt: Schema.NullOr(Moment),
  finishedAt: Schema.NullOr(Moment)
})
export type Session = typeof Session.Type

export const PartName = Schema.String.check(
  Schema.isNonEmpty(),
  Schema.isMaxLength(PART_NAME_MAX),
  Schema.isPattern(/^[^\p{Cc}\p{Cs}]+$/u, { message: "Expected one line of text" })
)

/** What a runner saves: its own state, as it likes, and the variables so far of this part. */
export const SavedPart = Schema.Struct({
  /** JSON text that only the runner reads. */
  state: Schema.String,
  variables: Schema.Array(VariableSet).check(Schema.isMaxLength(PARTS_MAX))
})
export type SavedPart = typeof SavedPart.Type

/** A save as it is kept: `box` opens by the session's key, for this part and number only. */
export const Save = Schema.Struct({
  part: PartName,
  seq: Schema.Int,
  box: Base64,
  /** Bytes of the text in the box. */
  bytes: Schema.Int
})
export type Save = typeof Save.Type

/** The state of a session as synchronising knows it. */
export const executionOf = (session: Session, state: ExecutionState): Execution => ({
  id: session.execution,
  organisation: session.organisation,
  delivery: session.delivery,
  contentVersion: session.content.version,
  blob: session.content.blob,
  testTaker: session.testTaker,
  testCenter: session.testCenter,
  eligibility: session.eligibility,
  wrap: session.wrap,
  state,
  startedAt: session.createdAt.wall
})

/** What is said of an ended session without its answers. */
export const factsOf = (
  session: Session,
  end: ExecutionFacts["end"],
  finishedAt: Moment
): ExecutionFacts => ({
  execution: session.execution,
  revision: session.revision,
  organisation: session.organisation,
  testCenter: session.testCenter,
  eligibility: session.eligibility,
  delivery: session.delivery,
  contentVersion: session.content.version,
  blob: session.content.blob,
  testTaker: session.testTaker,
  attempt: session.attempt,
  end,
  startedAt: session.startedAt,
  finishedAt
})

/** Variables of all parts: the test's own first, then by position, item and attempt. */
export const gatherVariables = (
  parts: ReadonlyArray<SavedPart>
): ReadonlyArray<typeof VariableSet.Type> =>
  parts
    .flatMap(({ variables }) => variables)
    .sort(
      (a, b) =>
        a.position - b.position || byText(a.item ?? "", b.item ?? "") || a.attempt - b.attempt
    )

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The bytes whose SHA-256 the next entry of the log names. */
export const logText = (entry: LogEntry): string => canonical({ ...entry })

/** The entry that follows `last`; null for the first. */
export const nextEntry = (
  last: LogEntry | undefined,
  said: Pick<LogEntry, "at" | "what" | "who" | "reason">,
  sha256: (text: string) => Digest
): LogEntry => ({
  number: (last?.number ?? 0) + 1,
  prev: last === undefined ? null : sha256(logText(last)),
  ...said
})

/** Whether nothing was taken out of a log, put in, or exchanged. */
export const isChain = (
  entries: ReadonlyArray<LogEntry>,
  sha256: (text: string) => Digest
): boolean =>
  entries.every((entry, at) => {
    const last = entries[at - 1]
    const prev = last === undefined ? null : sha256(logText(last))
    return entry.number === at + 1 && entry.prev === prev
  })
