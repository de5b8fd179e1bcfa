/**
 * The edge of the hexagon: everything that verbs ask of the world, on one page.
 *
 * A power is a port: what a program is not wired to have, it can't use. Storage failures are
 * defects (they die in the adapter); typed errors are those on which a caller acts.
 */
import { Context, type Effect, type Option, Schema, type Stream } from "effect"
import type { DeviceReport } from "../domain/device-report.ts"
import type { Certificate, Enrolment, EnrolmentRequest, Signed } from "../domain/enrolment.ts"
import type {
  Content,
  Delivery,
  Entity,
  EntityKey,
  KeyWrap,
  Kind,
  PasswordWrap,
  Person
} from "../domain/entity.ts"
import type { Execution } from "../domain/execution.ts"
import type { Buckets, Change, Cursor, FeedPage } from "../domain/feed.ts"
import type { HistoryEntry } from "../domain/history.ts"
import type { DeviceId, Digest, EntityId, OrganisationId, Recipient } from "../domain/id.ts"
import type { OfficeRole } from "../domain/office-role.ts"
import type { Manifest, Plan } from "../domain/plan.ts"
import type { CatalogueRecord } from "../domain/record.ts"
import type { Capabilities } from "../domain/release.ts"
import type { Submission } from "../domain/result.ts"
import type { RootDocument, RootRole } from "../domain/root.ts"
import type { Link } from "../domain/scope.ts"
import type { SetDigest } from "../domain/set-digest.ts"

// ---------------------------------------------------------------- both sides

/** SHA-256, synchronous: it is needed once per entity on the hottest path. */
export class Hashing extends Context.Service<
  Hashing,
  { readonly sha256: (bytes: Uint8Array | string) => Digest }
>()("testferry/Hashing") {}

/** Runs an effect in one transaction of this side's database: all of it, or nothing. */
export class Atomic extends Context.Service<
  Atomic,
  { readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> }
>()("testferry/Atomic") {}

/** The bytes under a digest are not all here, or are not the bytes that the digest names. */
export class BlobDamaged extends Schema.TaggedError<BlobDamaged>()("BlobDamaged", {
  blob: Schema.String
}) {}

/** There is no room to store what was about to be stored. */
export class NoSpace extends Schema.TaggedError<NoSpace>()("NoSpace", {
  needed: Schema.Int,
  free: Schema.Int
}) {}

/** Large contents by the digest of their bytes. A partial write is invisible to `has` and `read`. */
export class Blobs extends Context.Service<
  Blobs,
  {
    readonly has: (blob: Digest) => Effect.Effect<boolean>
    /** Bytes of a blob, from an offset on, at most `length` of them. */
    readonly read: (
      blob: Digest,
      range?: { readonly offset: number; readonly length?: number }
    ) => Stream.Stream<Uint8Array>
    readonly size: (blob: Digest) => Effect.Effect<Option.Option<number>>
    /** How many bytes of an interrupted write are here already. */
    readonly partial: (blob: Digest) => Effect.Effect<number>
    /**
     * Continues a write at `partial` bytes and, at `size` bytes, checks the digest, makes the blob
     * durable and visible. A wrong digest drops the partial bytes. Reports bytes as they come.
     */
    readonly write: <E, R>(
      blob: Digest,
      size: number,
      rest: Stream.Stream<Uint8Array, E, R>,
      onBytes: (bytes: number) => Effect.Effect<void>
    ) => Effect.Effect<void, E | BlobDamaged | NoSpace, R>
    /** Takes bytes whose digest is not known yet; durable and visible when it returns. */
    readonly add: <E, R>(
      bytes: Stream.Stream<Uint8Array, E, R>
    ) => Effect.Effect<{ readonly blob: Digest; readonly size: number }, E | NoSpace, R>
    /** Removes every blob that is not among `wanted`. */
    readonly sweep: (wanted: ReadonlySet<Digest>) => Effect.Effect<number>
  }
>()("testferry/Blobs") {}

/** What happened, append only. */
export class History extends Context.Service<
  History,
  {
    readonly append: (entry: HistoryEntry) => Effect.Effect<void>
    readonly recent: (limit: number) => Effect.Effect<ReadonlyArray<HistoryEntry>>
  }
>()("testferry/History") {}

/** A password did not open the wrap it was tried on. */
export class WrongPassword extends Schema.TaggedError<WrongPassword>()("WrongPassword", {}) {}

/** Something sealed could not be opened; why is nobody's business. */
export class Unopenable extends Schema.TaggedError<Unopenable>()("Unopenable", {}) {}

/** Opens password wraps, at the full cost of the key derivation (format §3.5). */
export class Passwords extends Context.Service<
  Passwords,
  {
    readonly unwrap: (
      user: EntityId,
      wrap: PasswordWrap,
      password: string
    ) => Effect.Effect<string, WrongPassword>
    /** Costs the same as to `unwrap` a wrap like the given, or a new one; for a login of nobody. */
    readonly decoy: (password: string, like?: PasswordWrap) => Effect.Effect<never, WrongPassword>
  }
>()("testferry/Passwords") {}

/** Opens what is sealed to an identity that the caller has. */
export class Opener extends Context.Service<
  Opener,
  {
    readonly open: (identity: string, box: string) => Effect.Effect<string, Unopenable>
    readonly loginTag: (loginKey: string, login: string) => Digest
  }
>()("testferry/Opener") {}

// ---------------------------------------------------------------- central

/** How often a record changed, and which of its keys is in force (roster, content, or person key). */
export interface Revision {
  readonly key: EntityKey
  readonly revision: number
  readonly keyVersion: number
}

/** The catalogue and its graph. */
export class Catalogue extends Context.Service<
  Catalogue,
  {
    readonly byNames: (
      names: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyMap<string, CatalogueRecord>>
    readonly byIds: (
      ids: ReadonlyArray<EntityId>
    ) => Effect.Effect<ReadonlyMap<EntityId, CatalogueRecord>>
    /** Records of some kinds with one of these labels. */
    readonly byLabels: (
      kind: Kind,
      labels: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyArray<CatalogueRecord>>
    readonly list: (kind: Kind) => Stream.Stream<CatalogueRecord>
    /** The test centers that belong to each of these organisations themselves. */
    readonly centersOf: (
      organisations: ReadonlyArray<OrganisationId>
    ) => Effect.Effect<ReadonlyMap<OrganisationId, ReadonlyArray<EntityId>>>
    /** Creates or replaces records, with their links; each gets the next revision. */
    readonly put: (records: ReadonlyArray<CatalogueRecord>) => Effect.Effect<void>
    readonly remove: (ids: ReadonlyArray<EntityId>) => Effect.Effect<void>
    /** The content version that a delivery of this id had when it was removed last; 0 if none was. */
    readonly retiredVersion: (id: EntityId) => Effect.Effect<number>
    /** The records that name any of these ids in their own links. */
    readonly naming: (
      ids: ReadonlyArray<EntityId>
    ) => Effect.Effect<ReadonlyArray<{ readonly id: EntityId; readonly by: EntityId }>>
    /**
     * The organisations whose offers depend on any of these entities: their scope reaches one, or
     * somebody whom one of them shows (whose profile is sealed to the rosters that show them).
     */
    readonly concerned: (ids: ReadonlyArray<EntityId>) => Effect.Effect<ReadonlySet<OrganisationId>>
    /** Every link that can be reached from the organisation. */
    readonly linksWithin: (organisation: OrganisationId) => Effect.Effect<ReadonlyArray<Link>>
    /** Every entity that can be reached from the organisation, and what it was last made from. */
    readonly revisionsWithin: (
      organisation: OrganisationId
    ) => Effect.Effect<ReadonlyArray<Revision>>
    /** For each person within the organisation, all centers of the whole catalogue that show them. */
    readonly centersShowing: (
      organisation: OrganisationId
    ) => Effect.Effect<ReadonlyMap<EntityId, ReadonlyArray<Revision>>>
  }
>()("testferry/Catalogue") {}

/** What was sealed once and is offered many times: profiles by stamp, keys by version. */
export class SealedStore extends Context.Service<
  SealedStore,
  {
    readonly find: (
      keys: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyMap<string, { readonly stamp: string; readonly box: string }>>
    readonly put: (
      boxes: ReadonlyArray<{ readonly key: string; readonly stamp: string; readonly box: string }>
    ) => Effect.Effect<void>
    readonly forget: (keys: ReadonlyArray<string>) => Effect.Effect<void>
  }
>()("testferry/SealedStore") {}

/** A wrap that was paid for, and the person it is for: a wrap opens for that id only. */
export interface Paid {
  readonly user: EntityId
  readonly wrap: PasswordWrap
}

/** What a package is, once it was found to be one that can be played. */
export interface Inspected {
  readonly qti: string
  readonly title: string
  readonly items: number
  readonly warnings: ReadonlyArray<string>
}

/** The package can't be played on a device; nothing was kept. One reason per fault. */
export class PackageFaulty extends Schema.TaggedError<PackageFaulty>()("PackageFaulty", {
  reasons: Schema.Array(
    Schema.Struct({ code: Schema.String, file: Schema.String, detail: Schema.String })
  )
}) {}

/** Reads content packages from where an operator names them. */
export class Packages extends Context.Service<
  Packages,
  {
    readonly inspect: (file: string) => Effect.Effect<Inspected, PackageFaulty>
    readonly bytes: (file: string) => Stream.Stream<Uint8Array>
    /** Size and digest of the whole package. */
    readonly measure: (
      file: string
    ) => Effect.Effect<{ readonly size: number; readonly sha256: Digest }>
  }
>()("testferry/Packages") {}

/** What an interrupted import has already paid for: password wraps, by login. */
export class ImportWork extends Context.Service<
  ImportWork,
  {
    readonly find: (
      file: Digest,
      logins: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyMap<string, Paid>>
    readonly keep: (
      file: Digest,
      done: ReadonlyArray<Paid & { readonly login: string }>
    ) => Effect.Effect<void>
    readonly forget: (file: Digest) => Effect.Effect<void>
    readonly forgetLogins: (logins: ReadonlyArray<string>) => Effect.Effect<void>
    /** Forgets what was kept before `from` or, by a clock that was wrong, after `to`. */
    readonly forgetOutside: (from: number, to: number) => Effect.Effect<void>
  }
>()("testferry/ImportWork") {}

/** An entity to be offered: `digest` null when it is gone. `stamp` tells what it was made from. */
export interface Offer {
  readonly key: EntityKey
  readonly stamp: string
  readonly digest: Digest | null
  readonly body: string | null
}

/** The cursor is of another life of central, or ahead of it: start again with a full snapshot. */
export class FeedReset extends Schema.TaggedError<FeedReset>()("FeedReset", {
  epoch: Schema.String
}) {}

/** The change feed of each organisation. */
export class Feeds extends Context.Service<
  Feeds,
  {
    /** Makes concurrent changes of one organisation's feed wait for each other; in a transaction. */
    readonly lock: (organisation: OrganisationId) => Effect.Effect<void>
    /** What is offered now, by key: the stamp it was made from. */
    readonly stamps: (organisation: OrganisationId) => Effect.Effect<ReadonlyMap<string, string>>
    /** Which of these keys some organisation is offered. */
    readonly offeredAnywhere: (keys: ReadonlyArray<EntityKey>) => Effect.Effect<ReadonlySet<string>>
    /** Appends offers that differ from what is offered; returns how many did. */
    readonly append: (
      organisation: OrganisationId,
      offers: ReadonlyArray<Offer>
    ) => Effect.Effect<number>
    readonly page: (
      organisation: OrganisationId,
      since: Cursor
    ) => Effect.Effect<FeedPage, FeedReset>
    /** How many changes come after a cursor, without reading them. */
    readonly countAfter: (
      organisation: OrganisationId,
      since: Cursor
    ) => Effect.Effect<number, FeedReset>
    /** Makes every cursor void, and answers the new epoch: of a life that began later than `after`. */
    readonly newEpoch: (after: number) => Effect.Effect<string>
    readonly buckets: (organisation: OrganisationId) => Effect.Effect<Buckets>
    /** The live entities of one bucket, without their bodies. */
    readonly bucket: (
      organisation: OrganisationId,
      bucket: number
    ) => Effect.Effect<ReadonlyArray<Change>>
    /** Live entities by key, with bodies; keys that are not offered are missing in the answer. */
    readonly entities: (
      organisation: OrganisationId,
      keys: ReadonlyArray<EntityKey>
    ) => Effect.Effect<ReadonlyArray<Change>>
    /** Whether an organisation is offered a delivery with this blob. */
    readonly offersBlob: (
      organisations: ReadonlyArray<OrganisationId>,
      blob: Digest
    ) => Effect.Effect<boolean>
    /** The contents of all deliveries that these organisations are offered, each once. */
    readonly blobs: (
      organisations: ReadonlyArray<OrganisationId>
    ) => Effect.Effect<ReadonlyArray<Digest>>
  }
>()("testferry/Feeds") {}

/** Central's own secrets: makes keys, seals to others, keeps what it must keep in its vault. */
export class Secrets extends Context.Service<
  Secrets,
  {
    readonly newIdentity: Effect.Effect<{
      readonly identity: string
      readonly recipient: Recipient
    }>
    readonly randomText: (bytes: number) => Effect.Effect<string>
    readonly seal: (recipients: ReadonlyArray<Recipient>, text: string) => Effect.Effect<string>
    readonly toVault: (text: string) => Effect.Effect<string>
    readonly fromVault: (box: string) => Effect.Effect<string>
    readonly wrap: (input: {
      readonly user: EntityId
      readonly ver: number
      readonly password: string
      readonly identity: string
      readonly recipient: Recipient
    }) => Effect.Effect<PasswordWrap>
    readonly newPassword: Effect.Effect<string>
    readonly sealStream: <E, R>(
      recipient: Recipient,
      bytes: Stream.Stream<Uint8Array, E, R>
    ) => Stream.Stream<Uint8Array, E, R>
    readonly newId: (prefix: string) => Effect.Effect<EntityId>
  }
>()("testferry/Secrets") {}

/** The keys by which central certifies devices and speaks to them. */
export class Authority extends Context.Service<
  Authority,
  {
    /** The text of root 1 while its root keys are elsewhere and have not signed it yet. */
    readonly draft: Effect.Effect<Option.Option<string>>
    readonly certify: (certificate: Certificate) => Effect.Effect<Signed>
    /** Checks that the request is canonical and signed by the key it names. */
    readonly checkRequest: (signed: Signed) => Effect.Effect<Option.Option<EnrolmentRequest>>
    /** The key that root `version` shall name for a role, made now if it never was. */
    readonly newKey: (
      role: RootRole,
      version: number
    ) => Effect.Effect<{ readonly id: string; readonly raw: string }>
    readonly newIngest: (
      version: number
    ) => Effect.Effect<{ readonly id: string; readonly recipient: Recipient }>
    /** What this central lacks to speak by a root document: a key that it names. */
    readonly lacks: (root: RootDocument) => Effect.Effect<Option.Option<string>>
    /** Signs with those of these root keys that are on this disk; there may be none. */
    readonly signRoot: (text: string, ids: ReadonlySet<string>) => Effect.Effect<Signed>
  }
>()("testferry/Authority") {}

/** Somebody of the office who may log in to central itself. */
export interface Account {
  readonly id: EntityId
  readonly login: string
  readonly role: OfficeRole
  readonly label: string
  readonly mail: string | null
  readonly wrap: PasswordWrap
}

export class Accounts extends Context.Service<
  Accounts,
  {
    readonly find: (login: string) => Effect.Effect<Option.Option<Account>>
    readonly put: (account: Account) => Effect.Effect<void>
    readonly all: Effect.Effect<ReadonlyArray<Account>>
    /** Whether there was one. Who is logged in by it is out at the next request. */
    readonly remove: (login: string) => Effect.Effect<boolean>
  }
>()("testferry/Accounts") {}

/** Somebody who may ask for tokens: an enrolled device, or a credential made by hand. */
export interface Client {
  readonly id: string
  /** "results": a credential that may fetch sealed results and hand back opened ones, nothing else. */
  readonly kind: "device" | "credential" | "results"
  readonly name: string
  readonly organisations: ReadonlyArray<OrganisationId>
  readonly state: "active" | "blocked" | "revoked"
  readonly createdAt: number
  readonly lastSeenAt: number | null
  readonly program: string | null
  /** Of a device: its keys. */
  readonly keys: { readonly sig: string; readonly auth: string; readonly enc: string } | null
  readonly serial: number
}

export class Clients extends Context.Service<
  Clients,
  {
    readonly find: (id: string) => Effect.Effect<Option.Option<Client>>
    /** Those that there are, in no order. */
    readonly findAll: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Client>>
    readonly findBySigningKey: (sig: string) => Effect.Effect<Option.Option<Client>>
    readonly list: (kind: Client["kind"]) => Effect.Effect<ReadonlyArray<Client>>
    readonly put: (client: Client, secretHash?: string) => Effect.Effect<void>
    readonly secretHash: (id: string) => Effect.Effect<Option.Option<string>>
    readonly seen: (id: string, at: number, program: string) => Effect.Effect<void>
    /** Remembers a one-time id until `expires`; false when it was used before. */
    readonly useOnce: (id: string, now: number, expires: number) => Effect.Effect<boolean>
  }
>()("testferry/Clients") {}

// ---------------------------------------------------------------- device

/** Reads files of a sealed package through its key, in memory only. */
export class Contents extends Context.Service<
  Contents,
  {
    /** Lists the files and reads one, to prove that the package can be opened. */
    readonly prove: (
      content: Content,
      identity: string
    ) => Effect.Effect<
      { readonly files: number; readonly name: string; readonly bytes: number },
      Unopenable | BlobDamaged
    >
  }
>()("testferry/Contents") {}

/** Why a conversation with central did not come about. `reason` tells a person what to do. */
export class CentralAway extends Schema.TaggedError<CentralAway>()("CentralAway", {
  reason: Schema.Literals(["unreachable", "certificate", "timeout", "interrupted", "unavailable"]),
  detail: Schema.String
}) {}

/** Central answered and said no. `code` is the stable code of the problem document. */
export class CentralRefused extends Schema.TaggedError<CentralRefused>()("CentralRefused", {
  code: Schema.String,
  title: Schema.String,
  detail: Schema.String
}) {}

/** What arrived is not what was promised. Asking again will not help. */
export class CentralInconsistent extends Schema.TaggedError<CentralInconsistent>()(
  "CentralInconsistent",
  { what: Schema.String }
) {}

export type CentralFailure = CentralAway | CentralRefused | CentralInconsistent

/** Central as a device meets it: at the far end of HTTPS, or inside a bundle. */
export class Central extends Context.Service<
  Central,
  {
    readonly capabilities: Effect.Effect<Capabilities, CentralFailure>
    readonly page: (
      organisation: OrganisationId,
      since: Cursor
    ) => Effect.Effect<FeedPage, CentralFailure | FeedReset>
    readonly buckets: (organisation: OrganisationId) => Effect.Effect<Buckets, CentralFailure>
    readonly bucket: (
      organisation: OrganisationId,
      bucket: number
    ) => Effect.Effect<ReadonlyArray<Change>, CentralFailure>
    readonly entities: (
      organisation: OrganisationId,
      keys: ReadonlyArray<EntityKey>
    ) => Effect.Effect<ReadonlyArray<Change>, CentralFailure>
    readonly blob: (blob: Digest, offset: number) => Stream.Stream<Uint8Array, CentralFailure>
    /** Hands records over and answers central's signed receipt, which is for the caller to verify. */
    readonly submit: (submission: Submission) => Effect.Effect<Signed, CentralFailure>
  }
>()("testferry/Central") {}

/** What central signs beside the feed, for devices with a network; bundles bring it along. */
export class CentralDocuments extends Context.Service<
  CentralDocuments,
  {
    /** Root documents after a version, oldest first; perhaps not all of them at once. */
    readonly roots: (after: number) => Effect.Effect<ReadonlyArray<Signed>, CentralFailure>
    readonly revocations: Effect.Effect<Signed, CentralFailure>
    readonly certificate: Effect.Effect<Signed, CentralFailure>
    /** Tells central where this device stands, so that its next bundle carries only what is new. */
    readonly report: (report: DeviceReport) => Effect.Effect<void, CentralFailure>
  }
>()("testferry/CentralDocuments") {}

/** Central at the moment of enrolment, when the device has no certificate yet. */
export class CentralDesk extends Context.Service<
  CentralDesk,
  {
    readonly enrol: (
      request: Signed,
      proof:
        | { readonly login: string; readonly password: string }
        | { readonly key: string; readonly secret: string }
    ) => Effect.Effect<Enrolment, CentralFailure>
  }
>()("testferry/CentralDesk") {}

/** A change that was checked, with the entity that its body says; null when the entity is gone. */
export interface Checked {
  readonly change: Change
  readonly entity: Entity | null
}

/** Something that is held here can't be read any more: its bytes changed on the disk. */
export class HoldingDamaged extends Schema.TaggedError<HoldingDamaged>()("HoldingDamaged", {
  organisation: Schema.String
}) {}

/** A row as it stands here: what is kept beside the body must follow from the body. */
export interface Held {
  readonly change: Change
  readonly tag: string | null
  readonly reader: string | null
}

/**
 * What a device holds for its organisations, and what it has fetched but not yet applied. Entities
 * that were condemned are here and counted, but differ from everything offered and are not read.
 */
export class Holdings extends Context.Service<
  Holdings,
  {
    readonly cursor: (organisation: OrganisationId) => Effect.Effect<Cursor>
    /** Where an interrupted fetch stopped: the cursor to ask from. */
    readonly stagedCursor: (organisation: OrganisationId) => Effect.Effect<Cursor>
    /**
     * Keeps checked changes aside, durably; the same entity again replaces the older. A later fetch
     * goes on from `reached`; from the device's own cursor where that is the start.
     */
    readonly stage: (
      organisation: OrganisationId,
      changes: ReadonlyArray<Checked>,
      reached: Cursor
    ) => Effect.Effect<void>
    /** Everything kept aside: digests by key, null for what is gone. */
    readonly staged: (
      organisation: OrganisationId
    ) => Effect.Effect<ReadonlyMap<string, Digest | null>>
    readonly dropStaged: (organisation: OrganisationId) => Effect.Effect<void>
    /** Forgets the cursor, so that the next fetch is a full snapshot. What is held stays. */
    readonly restart: (organisation: OrganisationId) => Effect.Effect<void>
    /** Digests of what is held, of these keys or of all; what is merely kept back is left out. */
    readonly manifest: (
      organisation: OrganisationId,
      keys: ReadonlyArray<string> | "all"
    ) => Effect.Effect<Manifest>
    /**
     * Takes over what is staged or, when nothing is, `fresh`; removes what the plan removes, keeps
     * back what it holds, and sets the cursor where one is given. To be run inside `Atomic`.
     */
    readonly apply: (
      organisation: OrganisationId,
      plan: Plan,
      cursor: Cursor | undefined,
      fresh?: ReadonlyArray<Checked>
    ) => Effect.Effect<void>
    /** Keys that are on the device only because something needs them. */
    readonly keptBack: (organisation: OrganisationId) => Effect.Effect<ReadonlyArray<string>>
    readonly release: (
      organisation: OrganisationId,
      keys: ReadonlyArray<string>
    ) => Effect.Effect<void>
    /** Which of these ids are here, held or kept back. */
    readonly present: (
      organisation: OrganisationId,
      ids: ReadonlyArray<EntityId>
    ) => Effect.Effect<ReadonlySet<EntityId>>
    /** Which of these people a key wrap is here for, held or kept back. */
    readonly readers: (
      organisation: OrganisationId,
      ids: ReadonlyArray<EntityId>
    ) => Effect.Effect<ReadonlySet<EntityId>>
    /** Entities of these kinds, held or kept back, that have one of these ids among their texts. */
    readonly mentioning: (
      organisation: OrganisationId,
      kinds: ReadonlyArray<Kind>,
      ids: ReadonlyArray<EntityId>
    ) => Effect.Effect<ReadonlyArray<EntityId>>
    /** Entities of some kinds that are here, held or kept back. */
    readonly entities: (
      organisation: OrganisationId,
      kinds: ReadonlyArray<Kind>
    ) => Stream.Stream<Entity, HoldingDamaged>
    /** All deliveries that are here, held or kept back: a hundred or so. */
    readonly deliveries: (
      organisation: OrganisationId
    ) => Effect.Effect<ReadonlyArray<Delivery>, HoldingDamaged>
    readonly byIds: (
      organisation: OrganisationId,
      ids: ReadonlyArray<EntityId>
    ) => Effect.Effect<ReadonlyArray<Entity>, HoldingDamaged>
    readonly idsOf: (
      organisation: OrganisationId,
      kind: Kind
    ) => Effect.Effect<ReadonlyArray<EntityId>>
    readonly count: (organisation: OrganisationId) => Effect.Effect<ReadonlyMap<Kind, number>>
    readonly set: (organisation: OrganisationId) => Effect.Effect<SetDigest>
    /** Counts and sums from the rows again, which `count` and `set` only keep up with changes. */
    readonly sumAnew: (organisation: OrganisationId) => Effect.Effect<void>
    readonly bucketSets: (organisation: OrganisationId) => Effect.Effect<ReadonlyArray<SetDigest>>
    readonly bucketManifest: (
      organisation: OrganisationId,
      bucket: number
    ) => Effect.Effect<Manifest>
    /** Fails with HoldingDamaged also when this person was condemned. */
    readonly personByTag: (
      organisation: OrganisationId,
      tag: Digest
    ) => Effect.Effect<Option.Option<Person>, HoldingDamaged>
    readonly wrapsFor: (
      organisation: OrganisationId,
      reader: EntityId
    ) => Effect.Effect<ReadonlyArray<KeyWrap>, HoldingDamaged>
    /** Every row that is not condemned, held or kept back, for a look at its bytes. */
    readonly rows: (organisation: OrganisationId) => Stream.Stream<Held>
    /**
     * Gives these rows a digest that nothing has: they are not read again, only written anew. A row
     * whose very key makes no sense any more is removed.
     */
    readonly condemn: (
      organisation: OrganisationId,
      ids: ReadonlyArray<EntityId>
    ) => Effect.Effect<void>
    /** Whether some entity is condemned and was not written anew yet. */
    readonly condemned: (organisation: OrganisationId) => Effect.Effect<boolean>
    /** When all bytes were last looked at, in milliseconds since 1970; 0 for never. */
    readonly recheckedAt: (organisation: OrganisationId) => Effect.Effect<number>
    readonly rechecked: (organisation: OrganisationId, at: number) => Effect.Effect<void>
  }
>()("testferry/Holdings") {}

/** Delivery executions on this device, as far as synchronising must know them. */
export class Executions extends Context.Service<
  Executions,
  {
    readonly put: (execution: Execution) => Effect.Effect<void>
    readonly unsettled: Effect.Effect<ReadonlyArray<Execution>>
  }
>()("testferry/Executions") {}

/** Another synchronisation of this device holds the lease. */
export class SyncRunning extends Schema.TaggedError<SyncRunning>()("SyncRunning", {
  since: Schema.Int
}) {}

/** One synchronisation at a time. A crashed one's lease goes with its process. */
export class Lease extends Context.Service<
  Lease,
  {
    readonly hold: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SyncRunning, R>
  }
>()("testferry/Lease") {}

/** Who this device is. Private keys never leave the adapter as bytes. */
export interface Membership {
  readonly device: DeviceId
  readonly organisations: ReadonlyArray<OrganisationId>
  readonly certificate: Certificate
  readonly root: RootDocument
}

export class DeviceIdentity extends Context.Service<
  DeviceIdentity,
  {
    /** None before enrolment. */
    readonly membership: Effect.Effect<Option.Option<Membership>>
    readonly request: (name: string, now: number) => Effect.Effect<Signed>
    /** Checks certificate and roots against the device's own keys, and keeps them. */
    readonly accept: (enrolment: Enrolment) => Effect.Effect<Membership, CentralInconsistent>
    /** Checks a newer certificate by the newest root, and keeps it. */
    readonly renew: (certificate: Signed) => Effect.Effect<Membership, CentralInconsistent>
  }
>()("testferry/DeviceIdentity") {}

/** Too many wrong passwords: wait. */
export class TooManyTries extends Schema.TaggedError<TooManyTries>()("TooManyTries", {
  waitMillis: Schema.Int
}) {}

/** Counts wrong passwords per login, alike for logins that exist and those that don't. */
export class LoginTries extends Context.Service<
  LoginTries,
  {
    readonly admit: (tag: Digest, now: number) => Effect.Effect<void, TooManyTries>
    readonly failed: (tag: Digest, now: number) => Effect.Effect<void>
    readonly clear: (tag: Digest) => Effect.Effect<void>
  }
>()("testferry/LoginTries") {}
