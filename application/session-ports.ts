/**
 * The edge of the hexagon where test-takers and proctors cross it: who is here, what they are
 * sitting, and the keys by which only they, or a proctor of their center, can open it.
 *
 * As in ports.ts: storage failures are defects, typed errors are those on which a caller acts.
 */
import { Context, type Effect, type Option, type Stream } from "effect"
import type { Content, Person, Profile } from "../domain/entity.ts"
import type { Digest, EntityId, OrganisationId } from "../domain/id.ts"
import type { ExecutionId, LogEntry, Moment } from "../domain/result.ts"
import type { Save, Session } from "../domain/session.ts"
import type { TestProgress } from "../domain/test-view.ts"
import type { BlobDamaged, Unopenable } from "./ports.ts"

/** Somebody who has logged in on this device; in memory only, and forgotten when they are idle. */
export interface Visitor {
  readonly person: EntityId
  readonly kind: Person["kind"]
  readonly profile: Profile
  readonly organisations: ReadonlyArray<OrganisationId>
  /** The person's own key: it opens what was sealed to them, and nothing else. */
  readonly identity: string
}

export class Visitors extends Context.Service<
  Visitors,
  {
    /** A token of 256 random bits; it is stored nowhere, and good until it was idle for too long. */
    readonly admit: (visitor: Visitor) => Effect.Effect<{
      readonly token: string
      readonly idleMillis: number
    }>
    readonly find: (token: string) => Effect.Effect<Option.Option<Visitor>>
    readonly leave: (token: string) => Effect.Effect<void>
  }
>()("testferry/Visitors") {}

/**
 * Profiles that proctors opened: a page that looks every few seconds would otherwise open all of them
 * each time, at two milliseconds of thinking each.
 */
export class OpenedProfiles extends Context.Service<
  OpenedProfiles,
  {
    /** What `open` answered the last time for this box and these keys; nobody else's keys. */
    readonly of: <E, R>(
      box: string,
      keys: ReadonlyArray<string>,
      open: Effect.Effect<Profile, E, R>
    ) => Effect.Effect<Profile, E, R>
  }
>()("testferry/OpenedProfiles") {}

/**
 * How far those are who sit a test, for their proctors. What is on the disk is sealed, so it is known
 * from the first thing that somebody does in a test until the device is started anew.
 */
export class Whereabouts extends Context.Service<
  Whereabouts,
  {
    readonly note: (execution: ExecutionId, progress: TestProgress) => Effect.Effect<void>
    readonly of: (execution: ExecutionId) => Effect.Effect<Option.Option<TestProgress>>
  }
>()("testferry/Whereabouts") {}

/** Both clocks of the device. */
export class Moments extends Context.Service<Moments, { readonly now: Effect.Effect<Moment> }>()(
  "testferry/Moments"
) {}

/** Sessions of this device. Everything that changes one runs inside `Atomic`. */
export class Sessions extends Context.Service<
  Sessions,
  {
    readonly find: (execution: ExecutionId) => Effect.Effect<Option.Option<Session>>
    /** All of a test-taker, or of a center, or (without either) all that are open; oldest first. */
    readonly list: (
      of:
        | { readonly testTaker: EntityId }
        | { readonly testCenters: ReadonlyArray<EntityId> }
        | "open"
    ) => Effect.Effect<ReadonlyArray<Session>>
    readonly add: (session: Session, keyBox: string) => Effect.Effect<void>
    readonly put: (session: Session) => Effect.Effect<void>
    /** The session's key, sealed to its test-taker and to the roster of its center. */
    readonly keyBox: (execution: ExecutionId) => Effect.Effect<Option.Option<string>>
    /** The newest save of each part, or of one part. */
    readonly saves: (execution: ExecutionId, part?: string) => Effect.Effect<ReadonlyArray<Save>>
    /** Replaces the save of the same part. */
    readonly keep: (execution: ExecutionId, save: Save) => Effect.Effect<void>
    readonly measure: (execution: ExecutionId) => Effect.Effect<{
      readonly parts: number
      readonly bytes: number
    }>
    readonly log: (execution: ExecutionId) => Effect.Effect<ReadonlyArray<LogEntry>>
    readonly lastEntry: (execution: ExecutionId) => Effect.Effect<LogEntry | undefined>
    readonly addEntry: (execution: ExecutionId, entry: LogEntry) => Effect.Effect<void>
    /** Forgets the key, the saves and the log. What remains counts as an attempt. */
    readonly strip: (execution: ExecutionId) => Effect.Effect<void>
    /** Takes the bytes of what was stripped off the disk too, as far as a program can. */
    readonly scrub: Effect.Effect<void>
    /** Runs one end at a time: each names the head of the ledger that the one before it made. */
    readonly alone: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  }
>()("testferry/Sessions") {}

/** Keys of sessions: in memory while somebody sits, otherwise only in their sealed boxes. */
export class SessionKeys extends Context.Service<
  SessionKeys,
  {
    readonly newExecution: Effect.Effect<ExecutionId>
    /** Makes the key of a new session; answers its box. */
    readonly make: (
      execution: ExecutionId,
      recipients: ReadonlyArray<string>
    ) => Effect.Effect<string>
    /** Takes a key out of its box, by the first identity that fits. */
    readonly unlock: (
      execution: ExecutionId,
      keyBox: string,
      identities: ReadonlyArray<string>
    ) => Effect.Effect<void, Unopenable>
    readonly isUnlocked: (execution: ExecutionId) => Effect.Effect<boolean>
    /** Dies when the session is not unlocked. */
    readonly seal: (execution: ExecutionId, name: SaveName, text: string) => Effect.Effect<string>
    readonly open: (
      execution: ExecutionId,
      name: SaveName,
      box: string
    ) => Effect.Effect<string, Unopenable>
    readonly forget: (execution: ExecutionId) => Effect.Effect<void>
  }
>()("testferry/SessionKeys") {}

/** Bound into the box of a save, so that none passes for another. */
export interface SaveName {
  readonly part: string
  readonly seq: number
}

/** Signs a result as this device, and seals it so that only its recipients can ever open it. */
export class ResultSealer extends Context.Service<
  ResultSealer,
  {
    readonly seal: (text: string, recipients: ReadonlyArray<string>) => Effect.Effect<string>
  }
>()("testferry/ResultSealer") {}

/** The files of a sealed package, decrypted as they are read, in memory only. */
export interface OpenFiles {
  readonly sizes: ReadonlyMap<string, number>
  /** Bytes of one file; dies for a name that is not among `sizes`. */
  readonly read: (
    name: string,
    range?: { readonly offset: number; readonly length: number }
  ) => Stream.Stream<Uint8Array, Unopenable>
}

export class PackageReader extends Context.Service<
  PackageReader,
  {
    readonly open: (
      content: Content,
      identity: string
    ) => Effect.Effect<OpenFiles, Unopenable | BlobDamaged>
  }
>()("testferry/PackageReader") {}

/** Which contents were opened here once, by anybody's key: what was never opened may not open. */
export class Trials extends Context.Service<
  Trials,
  {
    readonly openedAt: (blob: Digest) => Effect.Effect<Option.Option<number>>
    /** Remembers the first time. */
    readonly note: (blob: Digest, at: number) => Effect.Effect<void>
  }
>()("testferry/Trials") {}
