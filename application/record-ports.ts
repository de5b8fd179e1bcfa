/**
 * The edge of the hexagon where results cross it: what a device owes, what central keeps, and who
 * alone may open it (format §2.10, §3.7).
 *
 * As in ports.ts: storage failures are defects, typed errors are those on which a caller acts. The
 * device's wiring has no `ResultsOpener`; neither has central's server.
 */
import { Context, type Effect, type Option, type Result, type Stream } from "effect"
import type { ExportedResult } from "../domain/export.ts"
import type { DeviceId, Digest, EntityId, OrganisationId } from "../domain/id.ts"
import type { LedgerEntry } from "../domain/ledger.ts"
import {
  type CentralEvent,
  type CentralStage,
  type DeviceStage,
  type EndStage,
  SENT_BY_DEFAULT
} from "../domain/lifecycle.ts"
import type {
  OpenedText,
  OpeningOutcome,
  OpeningRun,
  ResultFacts,
  ResultsFilter,
  SealedResult,
  Tried,
  Unopened
} from "../domain/opening.ts"
import type { HomeRecord, ResultDocument, SessionBody, Submission } from "../domain/result.ts"
import type { Catalogue } from "./ports.ts"
import type { Refused } from "./refused.ts"

// ---------------------------------------------------------------- device

/** Something that a device owes central, or owed. `body` is null once it was forgotten. */
export interface OwedRecord {
  readonly entry: LedgerEntry
  /** From `sealed` on. */
  readonly stage: DeviceStage
  readonly end: EndStage
  readonly body: string | null
  readonly tries: number
  /** Why the last try did not end in a receipt. */
  readonly reason: string | null
}

/** The rules by which a device sends; TAO's names. */
export interface SendingRules {
  /** Records per batch. */
  readonly chunkSize: number
  /** How an execution must have ended for its records to be sent. */
  readonly statusExecutionsToSync: ReadonlyArray<EndStage>
  /** Whether to forget the bytes of what central keeps. */
  readonly deleteAfterSend: boolean
}

export const Sending = Context.Reference<SendingRules>("testferry/Sending", {
  defaultValue: () => ({
    chunkSize: 10,
    statusExecutionsToSync: SENT_BY_DEFAULT,
    deleteAfterSend: false
  })
})

/** Which records are meant: of some kinds or of all, that ended in some ways. */
export interface Owing {
  readonly kinds: ReadonlyArray<LedgerEntry["kind"]> | undefined
  readonly ends: ReadonlyArray<EndStage>
}

/** The ledger of a device, and the records that wait in it for a receipt. */
export class Outbox extends Context.Service<
  Outbox,
  {
    /** Numbers and keeps a record, inside `Atomic`. */
    readonly append: (record: {
      readonly kind: LedgerEntry["kind"]
      readonly id: string
      readonly revision: number
      readonly body: string
      readonly end: EndStage
      readonly stage: "sealed" | "queued"
    }) => Effect.Effect<LedgerEntry>
    /** What a submission says of the ledger. */
    readonly head: Effect.Effect<Submission["ledger"]>
    /**
     * What is to be sent, after a number, oldest first: what is queued and ended in one of these
     * ways (LTI users go whatever their end), and what was sent without a receipt.
     */
    readonly owed: (
      options: Owing & { readonly after: number; readonly limit: number }
    ) => Effect.Effect<ReadonlyArray<OwedRecord>>
    readonly countOwed: (options: Owing) => Effect.Effect<number>
    /** What waits only because its end is not among those that are sent. */
    readonly waiting: Effect.Effect<ReadonlyArray<OwedRecord>>
    /**
     * Follows an arrow of the life of a record; dies where there is none. To `sent` without a reason
     * is one more try; with one, it says why the try did not end in a receipt.
     */
    readonly move: (
      number: number,
      stage: DeviceStage,
      reason: string | null
    ) => Effect.Effect<void>
    /** Forgets the bytes of an acknowledged record; its line in the ledger stays. */
    readonly purge: (number: number) => Effect.Effect<void>
    /**
     * Queues again, inside `Atomic`, everything that was acknowledged and is still here: central was
     * restored from a backup. Their executions stay settled; `head` says `anew` from then on.
     */
    readonly resend: Effect.Effect<void>
    /**
     * Takes in, inside `Atomic`, how many records of this device central says that it has. Answers how
     * many of those that it acknowledged it must have lost since it was last asked; 0 when none.
     */
    readonly noteKept: (kept: number) => Effect.Effect<number>
    /** The record with these bytes; of several, one that has no receipt yet. */
    readonly byDigest: (sha256: Digest) => Effect.Effect<Option.Option<OwedRecord>>
    /** Whether some record of this id is not acknowledged, be it sent or not. */
    readonly owes: (id: string) => Effect.Effect<boolean>
    readonly counts: Effect.Effect<ReadonlyMap<DeviceStage, number>>
    /** How many results have no receipt yet, without the sessions and logs that go with them. */
    readonly resultsWaiting: Effect.Effect<number>
  }
>()("testferry/Outbox") {}

// ---------------------------------------------------------------- central

/** A record as central keeps it: the bytes unread, and what is known about them. */
export interface KeptRecord {
  readonly device: DeviceId
  readonly entry: LedgerEntry
  readonly stage: CentralStage
  readonly receivedAt: number
  readonly carrier: "https" | "bundle"
  /** Why it was put aside, or could not be opened. */
  readonly reason: string | null
  /** The same id and revision, or number, came with other bytes too: a person must look. */
  readonly conflict: boolean
  /** Not the bytes that the device numbered; counted nowhere. */
  readonly altered: boolean
  /** What its session says; null until that has come and was accepted. */
  readonly session: SessionBody | null
}

/** A record that is about to be kept. `session`: what it says, if it is an acceptable session. */
export interface NewRecord {
  readonly record: HomeRecord
  readonly carrier: KeptRecord["carrier"]
  readonly at: number
  readonly stage: "stored" | "quarantined"
  readonly reason: string | null
  readonly session: SessionBody | null
  /** Not the bytes that the device numbered: kept to be looked at, counted nowhere. */
  readonly altered: boolean
}

export type RecordName = Pick<SealedResult, "device" | "sha256">

/** What a claim answers of a record. */
export interface ClaimedRecord extends RecordName {
  readonly id: string
  readonly revision: number
  readonly body: string
}

export interface FoundRecord extends RecordName {
  readonly kind: LedgerEntry["kind"]
  readonly id: string
  readonly revision: number
  readonly stage: CentralStage
}

export interface RecordMove extends RecordName {
  readonly from: CentralStage
  readonly events: ReadonlyArray<CentralEvent>
  readonly reason: string | null
}

export class Records extends Context.Service<
  Records,
  {
    /**
     * Keeps a batch of one device, inside `Atomic`; batches of one device wait for each other. The
     * same bytes again change nothing; other bytes under the same id and revision, or under the same
     * number, are kept beside the first, and all of them are flagged. Answers in the same order.
     */
    readonly add: (
      device: DeviceId,
      records: ReadonlyArray<NewRecord>
    ) => Effect.Effect<ReadonlyArray<"new" | "same" | "other bytes">>
    readonly body: (device: DeviceId, sha256: Digest) => Effect.Effect<Option.Option<string>>
    /** Oldest first; results know their delivery by their session. */
    readonly list: (filter: {
      readonly kind: LedgerEntry["kind"] | undefined
      readonly stages: ReadonlyArray<CentralStage> | undefined
      readonly delivery: EntityId | undefined
      readonly organisation: OrganisationId | undefined
      readonly device: DeviceId | undefined
    }) => Stream.Stream<KeptRecord>
    /** One record, inside `Atomic`: nobody else moves it before the transaction ends. */
    readonly find: (device: DeviceId, sha256: Digest) => Effect.Effect<Option.Option<KeptRecord>>
    /** Follows an arrow of its life at central; dies where there is none. */
    readonly move: (
      device: DeviceId,
      sha256: Digest,
      event: CentralEvent,
      reason: string | null
    ) => Effect.Effect<void>
    /** How many results there are in some stages. */
    readonly countResults: (
      filter: ResultsFilter,
      stages: ReadonlyArray<CentralStage>
    ) => Effect.Effect<number>
    /**
     * The oldest results that are `stored`, at most `limit` and so many characters but always one, with
     * their bodies. Inside `Atomic` they are this transaction's alone until it ends, also against other
     * processes: what another has is passed over, never waited for.
     */
    readonly claim: (
      filter: ResultsFilter,
      limit: number,
      characters: number
    ) => Effect.Effect<ReadonlyArray<ClaimedRecord>>
    /** As `find`, of many; those that there are, each once. */
    readonly findAll: (
      names: ReadonlyArray<RecordName>
    ) => Effect.Effect<ReadonlyArray<FoundRecord>>
    /**
     * As `move`, of many that were found inside this same `Atomic`: each from the stage in which it
     * was, one event after the other. Dies, with nothing moved, where one is no more in that stage.
     */
    readonly moveAll: (moves: ReadonlyArray<RecordMove>) => Effect.Effect<void>
    /** How many transactions that claim may usefully run beside one another. */
    readonly lanes: number
    /** Numbers of a device's ledger that have come, and the highest count that it spoke of. */
    readonly numbers: (device: DeviceId) => Effect.Effect<{
      readonly received: ReadonlyArray<number>
      readonly count: number
      /** What it said contradicts what it had said or sent: it was restored from a copy. */
      readonly forked: boolean
    }>
    /** How many numbers of a device's ledger have come. Cheap. */
    readonly countNumbers: (device: string) => Effect.Effect<number>
    /**
     * Remembers how long a device's ledger is, by its own signed word. Only ever grows: an older word
     * may arrive late, and changes nothing as long as it is one of the same chain. To be called
     * before the records that come with it are added.
     */
    readonly noteLedger: (
      device: DeviceId,
      ledger: { readonly count: number; readonly head: Digest | null }
    ) => Effect.Effect<"grew" | "same" | "forked">
  }
>()("testferry/Records") {}

/** A result that was opened, with the document's own words. */
export interface OpenedResult {
  readonly device: DeviceId
  readonly sha256: Digest
  readonly document: ResultDocument
  readonly openedAt: number
  /** The same execution and revision was opened from other bytes too: a person must look. */
  readonly conflict: boolean
}

/** A result that is about to be kept, as its device wrote it. */
export interface NewOpened extends RecordName {
  readonly text: string
  readonly facts: ResultFacts
  readonly openedAt: number
}

/** Opened results; in a database role, or on a machine, that the server does not share. */
export class OpenedResults extends Context.Service<
  OpenedResults,
  {
    /**
     * Keeps results, inside `Atomic`, and answers for each whether it was "new", there before
     * ("same"), or a "duplicate": new, but its execution and revision had been opened from other
     * bytes. Both are kept then, and both are flagged. Of two processes that put the same one at
     * once, only one is told "new".
     */
    readonly put: (
      results: ReadonlyArray<NewOpened>
    ) => Effect.Effect<ReadonlyArray<"new" | "same" | "duplicate">>
    /** Oldest first, by the time of opening and then by digest. */
    readonly list: (filter: {
      readonly delivery: EntityId | undefined
      readonly organisation: OrganisationId | undefined
    }) => Stream.Stream<OpenedResult>
  }
>()("testferry/OpenedResults") {}

/**
 * Whoever keeps sealed results, as the decrypt command meets them: the database itself, a server
 * over its socket or HTTPS, or a folder. Each fails with Refused when it can't go on.
 */
export class SealedResults extends Context.Service<
  SealedResults,
  {
    /** How many are to be opened: those never tried, and those that could not be opened before. */
    readonly waiting: (filter: ResultsFilter) => Effect.Effect<number, Refused>
    /** Puts back what could not be opened before: this time the key may be the right one. */
    readonly retry: (filter: ResultsFilter) => Effect.Effect<void, Refused>
    /**
     * Gives the next batch to `open`, and keeps what that answers before it ends: one step, all of it
     * or nothing. Answers what each counts as, in that order; undefined when none was left.
     */
    readonly step: (
      filter: ResultsFilter,
      open: (batch: ReadonlyArray<SealedResult>) => Effect.Effect<ReadonlyArray<Tried>>
    ) => Effect.Effect<ReadonlyArray<OpeningOutcome> | undefined, Refused>
    /** How many steps may usefully run beside one another. */
    readonly lanes: number
    /** Writes a line about the run for the auditor. */
    readonly ended: (run: OpeningRun) => Effect.Effect<void, Refused>
  }
>()("testferry/SealedResults") {}

/** Opens results: only where a person has unlocked the results key. */
export class ResultsOpener extends Context.Service<
  ResultsOpener,
  {
    /** Key ids that can be opened with, active and retired. */
    readonly keys: ReadonlyArray<string>
    /** Opens many at once, on all cores; answers in the order of the boxes. */
    readonly open: (
      boxes: ReadonlyArray<{
        readonly box: string
        /** Raw public keys of the device that sent it, in base64: any of them may have signed. */
        readonly signers: ReadonlyArray<string>
      }>
    ) => Effect.Effect<ReadonlyArray<Result.Result<OpenedText, Unopened>>>
  }
>()("testferry/ResultsOpener") {}

/** The names that people and deliveries have, where they are at hand. */
export class Names extends Context.Service<Names, Pick<Catalogue["Service"], "byIds">>()(
  "testferry/Names"
) {}

/** Where results are written out to: a folder that a person chose, in the form they chose. */
export class ExportFiles extends Context.Service<
  ExportFiles,
  {
    /**
     * Writes file by file, each whole or not at all. Runs the stream once or twice (a table needs its
     * columns first). Fails with Refused when the folder can't be written.
     */
    readonly write: <R>(
      results: () => Stream.Stream<ExportedResult, never, R>
    ) => Effect.Effect<
      { readonly results: number; readonly files: ReadonlyArray<string> },
      Refused,
      R
    >
  }
>()("testferry/ExportFiles") {}
