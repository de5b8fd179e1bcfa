/**
 * What comes home from a device (format §3.7): records of four kinds. A result is signed by the
 * device, then sealed to the results recipients; nobody on the way can read it. A session says in
 * clear (to central only) that there was one, so that completeness can be judged without any key.
 */
import { Schema } from "effect"
import { DeviceId, Digest, EntityId, Millis, OrganisationId, Text } from "./id.ts"
import { LedgerEntry } from "./ledger.ts"
import { EndStage } from "./lifecycle.ts"
import { VariableSet } from "./variable.ts"

/** A record travels whole in one line. The runner refuses state that would make a larger one. */
export const RECORD_BYTES_MAX = 16 * 1_048_576

/** Made on the device, globally unique: a letter first, for QTI's identifiers are XML names. */
export const ExecutionId = Schema.String.check(Schema.isPattern(/^ex_[0-9a-z]{20,40}$/u)).pipe(
  Schema.brand("ExecutionId")
)
export type ExecutionId = typeof ExecutionId.Type

/** A moment by both clocks of the device: the wall, and milliseconds since it was started. */
export const Moment = Schema.Struct({ wall: Millis, mono: Schema.Int, boot: Schema.String })
export type Moment = typeof Moment.Type

/** What is said of an execution without its answers. */
export const ExecutionFacts = Schema.Struct({
  execution: ExecutionId,
  revision: Schema.Int,
  organisation: OrganisationId,
  testCenter: EntityId,
  eligibility: EntityId,
  delivery: EntityId,
  contentVersion: Schema.Int,
  blob: Digest,
  testTaker: EntityId,
  attempt: Schema.Int,
  end: EndStage,
  startedAt: Schema.NullOr(Moment),
  finishedAt: Moment
})
export type ExecutionFacts = typeof ExecutionFacts.Type

/** The innermost document: what was answered. Signed by the device over its canonical text. */
export const ResultDocument = Schema.Struct({
  schema: Schema.Literal("testferry/result/1"),
  device: DeviceId,
  ...ExecutionFacts.fields,
  /** The head of the log of the execution, so that neither can be exchanged alone. */
  log: Schema.Struct({ count: Schema.Int, head: Schema.NullOr(Digest) }),
  prevLedger: Schema.NullOr(Digest),
  /** Key ids of the recipients that it was sealed to. */
  recipients: Schema.Array(Text(40)),
  variables: Schema.Array(VariableSet)
})
export type ResultDocument = typeof ResultDocument.Type

/** Armored signatures of one document; a device has one key. */
export const ResultSignatures = Schema.Array(Schema.String.check(Schema.isMaxLength(4_096))).check(
  Schema.isMaxLength(4)
)

/**
 * What is sealed: the canonical text of a ResultDocument, and signatures over its UTF-8 bytes (purpose
 * "result"). As `Signed` of enrolment.ts, but as long as a record may be.
 */
export const SignedResult = Schema.Struct({
  text: Schema.String.check(Schema.isMaxLength(RECORD_BYTES_MAX)),
  signatures: ResultSignatures
})
export type SignedResult = typeof SignedResult.Type

/** A record as it travels. `body`: a sealed box in base64 for results, canonical JSON for the others. */
export const HomeRecord = Schema.Struct({
  ledger: LedgerEntry,
  body: Schema.String.check(Schema.isMaxLength(2 * RECORD_BYTES_MAX))
})
export type HomeRecord = typeof HomeRecord.Type

/** Records in one batch: so many receipts still fit a signed document. */
export const BATCH_RECORDS_MAX = 200

/**
 * What a device hands over at once, with how long its whole ledger is and the head of that. `anew`:
 * when it last began to send again what it keeps, because central had lost it; 0, or nothing said, if never.
 */
export const Submission = Schema.Struct({
  ledger: Schema.Struct({
    count: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
    head: Schema.NullOr(Digest),
    anew: Schema.optionalKey(Millis)
  }),
  records: Schema.Array(HomeRecord).check(Schema.isMaxLength(BATCH_RECORDS_MAX))
})
export type Submission = typeof Submission.Type

/** The body of a `test-session`. */
export const SessionBody = Schema.Struct({
  schema: Schema.Literal("testferry/session/1"),
  device: DeviceId,
  ...ExecutionFacts.fields,
  /** Digest of the result's record; null when there is none to send. */
  result: Schema.NullOr(Digest)
})
export type SessionBody = typeof SessionBody.Type

/** One thing that happened to an execution; each entry names the digest of the one before. */
export const LogEntry = Schema.Struct({
  number: Schema.Int,
  prev: Schema.NullOr(Digest),
  at: Moment,
  what: Schema.Literals([
    "created",
    "awaiting",
    "authorised",
    "started",
    "opened",
    "paused",
    "resumed",
    "finished",
    "terminated",
    "cancelled",
    "irregularity",
    "extra-time",
    "recovered"
  ]),
  /** Who did it: the test-taker, a proctor, the device itself. */
  who: Schema.String.check(Schema.isMaxLength(200)),
  reason: Schema.NullOr(
    Schema.Struct({
      category: Text(80),
      subcategory: Schema.NullOr(Text(80)),
      comment: Schema.NullOr(Schema.String.check(Schema.isMaxLength(2_000)))
    })
  )
})
export type LogEntry = typeof LogEntry.Type

/** The body of a `result-log`. */
export const LogBody = Schema.Struct({
  schema: Schema.Literal("testferry/log/1"),
  device: DeviceId,
  execution: ExecutionId,
  revision: Schema.Int,
  entries: Schema.Array(LogEntry).check(Schema.isMaxLength(20_000))
})
export type LogBody = typeof LogBody.Type

/** The body of an `lti-user`: somebody whom a learning platform launched on this device. */
export const LtiUserBody = Schema.Struct({
  schema: Schema.Literal("testferry/lti-user/1"),
  device: DeviceId,
  user: Text(200),
  consumer: EntityId,
  variables: Schema.Record(Schema.String, Schema.String),
  launchedAt: Moment
})
export type LtiUserBody = typeof LtiUserBody.Type

/** Central's signed word on records: only `stored` for exactly these bytes lets a device forget. */
export const RecordsReceipt = Schema.Struct({
  schema: Schema.Literal("testferry/records-receipt/1"),
  device: DeviceId,
  at: Millis,
  /** As in the submission that it answers: a word from before central lost what it had says nothing. */
  anew: Schema.optionalKey(Millis),
  records: Schema.Array(
    Schema.Struct({
      kind: LedgerEntry.fields.kind,
      id: LedgerEntry.fields.id,
      revision: Schema.Int,
      sha256: Digest,
      status: Schema.Literals(["stored", "quarantined", "refused"]),
      reason: Schema.NullOr(Schema.String)
    })
  )
})
export type RecordsReceipt = typeof RecordsReceipt.Type
