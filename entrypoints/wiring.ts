/**
 * Wires the programs together: the only place outside tests with `Layer.provide`.
 *
 * The device's wiring has no vault, no authority and no catalogue: what a device must not be able
 * to do does not compile.
 */
import fs from "node:fs"
import path from "node:path"
import { Clock, Effect, Layer, Option, Schema } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import { Atomic, DeviceIdentity as DeviceIdentityPort } from "../application/ports.ts"
import { Sending } from "../application/record-ports.ts"
import { Refused } from "../application/refused.ts"
import type { RootHolders } from "../domain/root.ts"
import * as Authority from "../infrastructure/authority.ts"
import * as BundleCentral from "../infrastructure/bundle-central.ts"
import * as BundleKeys from "../infrastructure/bundle-keys.ts"
import * as BundleRecords from "../infrastructure/bundle-records.ts"
import * as BundleSignatures from "../infrastructure/bundle-signatures.ts"
import { centralMigrations } from "../infrastructure/central-schema.ts"
import * as CryptoPorts from "../infrastructure/crypto-ports.ts"
import * as DeviceFacts from "../infrastructure/device-facts.ts"
import * as DeviceIdentity from "../infrastructure/device-identity.ts"
import * as DeviceMoments from "../infrastructure/device-moments.ts"
import { deviceMigrations } from "../infrastructure/device-schema.ts"
import * as FileBlobs from "../infrastructure/file-blobs.ts"
import { type FileKeys, type KeyFileRefused, openKeys } from "../infrastructure/file-keys.ts"
import * as IncomingFiles from "../infrastructure/incoming-files.ts"
import * as MemoryProfiles from "../infrastructure/memory-profiles.ts"
import * as MemoryVisitors from "../infrastructure/memory-visitors.ts"
import * as MemoryWhereabouts from "../infrastructure/memory-whereabouts.ts"
import * as OutgoingFiles from "../infrastructure/outgoing-files.ts"
import * as PackageFiles from "../infrastructure/package-files.ts"
import * as PackagePreparing from "../infrastructure/package-preparing.ts"
import { own } from "../infrastructure/process-lock.ts"
import * as QtiConvertProcess from "../infrastructure/qti-convert-process.ts"
import * as QtiScorer from "../infrastructure/qti-scorer.ts"
import * as ResultSealer from "../infrastructure/result-sealer.ts"
import * as SessionKeys from "../infrastructure/session-keys.ts"
import * as SqlCatalogue from "../infrastructure/sql-catalogue.ts"
import * as SqlClients from "../infrastructure/sql-clients.ts"
import * as SqlDevices from "../infrastructure/sql-devices.ts"
import * as SqlFeeds from "../infrastructure/sql-feeds.ts"
import * as SqlHoldings from "../infrastructure/sql-holdings.ts"
import * as SqlLedgers from "../infrastructure/sql-ledgers.ts"
import { type DatabaseTooNew, type Migrations, migrate } from "../infrastructure/sql-migrate.ts"
import * as SqlOpened from "../infrastructure/sql-opened.ts"
import * as SqlOrigins from "../infrastructure/sql-origins.ts"
import * as SqlOutbox from "../infrastructure/sql-outbox.ts"
import * as SqlReceipts from "../infrastructure/sql-receipts.ts"
import * as SqlRecords from "../infrastructure/sql-records.ts"
import * as SqlSessions from "../infrastructure/sql-sessions.ts"
import { changeSetting, setting, settleSetting } from "../infrastructure/sql-settings.ts"
import type { DatabaseUnavailable } from "../infrastructure/sql-sqlite.ts"
import * as SqlSqlite from "../infrastructure/sql-sqlite.ts"
import * as SqlStanding from "../infrastructure/sql-standing.ts"
import * as SqlStreams from "../infrastructure/sql-streams.ts"
import * as SqlTrials from "../infrastructure/sql-trials.ts"
import * as SqlWaiting from "../infrastructure/sql-waiting.ts"
import * as StickMedium from "../infrastructure/stick-medium.ts"
import * as StickWriter from "../infrastructure/stick-writer.ts"
import { layerPlaying } from "./play-wiring.ts"
import { type CentralSettings, type DeviceSettings, readDevice, sendingRules } from "./settings.ts"

/** Owns a data directory for as long as the scope is open. Fails with DataDirectoryOwned. */
export const acquire = (directory: string) =>
  Effect.andThen(
    Effect.sync(() => fs.mkdirSync(directory, { recursive: true, mode: 0o700 })),
    own(directory)
  )

/** Everything that central's verbs ask for. */
export const layerCentral = (directory: string, settings: CentralSettings) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const keys = yield* openKeys(path.join(directory, "keys"))
      const token = yield* keys.ed25519("token")
      const JoseTokens = yield* Effect.promise(() => import("../infrastructure/jose-tokens.ts"))
      const privateKeyPem = token.key.export({ type: "pkcs8", format: "pem" }).toString()
      return layerCentralWith(keys, settings.passwordCost, settings.rootHolders).pipe(
        Layer.provideMerge(layerStores(directory)),
        Layer.provideMerge(JoseTokens.layer({ issuer: settings.url, privateKeyPem })),
        Layer.provideMerge(layerCentralDatabase(directory, settings))
      )
    })
  ).pipe(
    Layer.catch((error) => Layer.effectContext(Effect.fail(refusedBy(error)))),
    // Layers that are built while others are open are shared with them: a device's books must not be
    // central's, where both run in one process.
    Layer.fresh
  )

/** What central's programs may use. */
export type CentralPorts = Layer.Success<ReturnType<typeof layerCentral>>

/** What makes of a package the form that devices play. */
export const layerPreparing = Layer.merge(
  Layer.provide(PackagePreparing.layer, QtiConvertProcess.layer()),
  QtiScorer.layer()
)

/** Central's ports over a database, blobs and tokens that are given. */
export const layerCentralWith = (
  keys: FileKeys,
  cost: CentralSettings["passwordCost"],
  holders?: RootHolders
) =>
  Layer.mergeAll(
    SqlCatalogue.layer,
    SqlFeeds.layer,
    SqlClients.layer,
    SqlLedgers.layerHistory,
    SqlLedgers.layerSealedStore,
    SqlLedgers.layerLoginTries,
    SqlLedgers.layerImportWork,
    SqlLedgers.layerAccounts,
    layerAtomic,
    PackageFiles.layerPackages,
    layerPreparing,
    SqlOrigins.layer,
    CryptoPorts.layerHashing,
    CryptoPorts.layerOpener,
    CryptoPorts.layerPasswords(cost),
    CryptoPorts.layerSecrets(keys, cost),
    Authority.layer(keys, holders),
    BundleRecords.layer.pipe(Layer.provideMerge(BundleKeys.layerCentral(keys))),
    SqlStreams.layer,
    SqlDevices.layer,
    SqlWaiting.layer,
    Layer.provide(SqlRecords.layer, CryptoPorts.layerHashing),
    SqlReceipts.layer,
    SqlOpened.layerOpened
  ).pipe(Layer.provideMerge(layerTrust))

const layerCentralDatabase = (directory: string, settings: CentralSettings) =>
  settings.database === "embedded"
    ? migrated(embedded(path.join(directory, "central.db"), settings.engine), centralMigrations)
    : migrated(postgres(settings.database), centralMigrations)

/** Everything that a device's verbs ask for, but for central. */
export const layerDevice = (directory: string, settings: DeviceSettings) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const keys = yield* openKeys(path.join(directory, "keys"))
      return layerDeviceWith(keys).pipe(
        Layer.provideMerge(Layer.succeed(Sending, sendingRules(settings))),
        Layer.provideMerge(DeviceFacts.layer(directory)),
        Layer.provideMerge(layerStores(directory)),
        Layer.provideMerge(
          migrated(embedded(path.join(directory, "device.db"), settings.engine), deviceMigrations)
        )
      )
    })
  ).pipe(
    Layer.catch((error) => Layer.effectContext(Effect.fail(refusedBy(error)))),
    Layer.fresh
  )

/** What a device's programs may use. */
export type DevicePorts = Layer.Success<ReturnType<typeof layerDevice>>

/** A device's ports over a database and blobs that are given. */
export const layerDeviceWith = (keys: FileKeys) =>
  Layer.mergeAll(
    SqlHoldings.layer,
    SqlLedgers.layerExecutions,
    SqlLedgers.layerHistory,
    SqlLedgers.layerLoginTries,
    SqlLedgers.layerLease,
    Layer.provide(SqlOutbox.layer, CryptoPorts.layerHashing),
    layerAtomic,
    PackageFiles.layerContents,
    CryptoPorts.layerHashing,
    CryptoPorts.layerOpener,
    CryptoPorts.layerPasswords(),
    DeviceIdentity.layer(keys).pipe(Layer.provide(layerAtomic)),
    BundleCentral.layer.pipe(Layer.provideMerge(BundleKeys.layerDevice(keys))),
    SqlStreams.layer,
    layerSittings(keys)
  ).pipe(Layer.provideMerge(layerTrust))

/** What test-takers and proctors need on a device, and what comes of it. */
const layerSittings = (keys: FileKeys) =>
  Layer.mergeAll(
    SqlSessions.layer,
    SqlTrials.layer,
    SessionKeys.layer,
    MemoryVisitors.layer,
    MemoryProfiles.layer,
    MemoryWhereabouts.layer,
    DeviceMoments.layer,
    ResultSealer.layer(keys),
    PackageFiles.layerReader,
    layerPlaying
  )

/** Contents, beside them the files of bundles that come and go, and the sticks that carry these. */
const layerStores = (directory: string) => {
  const blobs = path.join(directory, "blobs")
  const outgoing = path.join(directory, "outgoing")
  return Layer.mergeAll(
    FileBlobs.layer(blobs, OutgoingFiles.digestsIn(outgoing)),
    IncomingFiles.layer({ directory: path.join(directory, "incoming"), blobs }),
    OutgoingFiles.layer({ directory: outgoing, blobs }),
    StickMedium.layer,
    StickWriter.layer
  )
}

/** Whom this side trusts, and whose signatures hold. */
const layerTrust = Layer.mergeAll(SqlStanding.layer, BundleSignatures.layer)

const layerAtomic = Layer.effect(
  Atomic,
  Effect.map(SqlClient.SqlClient, (sql) =>
    Atomic.of({
      run: (effect) =>
        Effect.catch(sql.withTransaction(effect), (error) =>
          SqlError.isSqlError(error) ? Effect.die(error) : Effect.fail(error)
        )
    })
  )
)

/** Loaded when there is one: most installations have none. */
const postgres = (url: string) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("../infrastructure/sql-postgres.ts")),
      ({ layer }) => layer(url)
    )
  )

const embedded = (file: string, engine: "sqljs" | "node") =>
  engine === "node" ? SqlSqlite.layerNode(file) : SqlSqlite.layer(file)

/** A database with the newest tables, and an epoch that tells its life from a restored one's. */
const migrated = <E>(database: Layer.Layer<SqlClient.SqlClient, E>, migrations: Migrations) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      yield* migrate("migrations", migrations)
      const sql = yield* SqlClient.SqlClient
      yield* settleSetting(sql, "epoch", SqlFeeds.newLife(yield* Clock.currentTimeMillis))
    })
  ).pipe(Layer.provideMerge(database))

/** Central over HTTPS, as an enrolled device meets it. Refuses with E_NOT_ENROLLED before that. */
export const layerCentralByHttps = (directory: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const settings = yield* readDevice(directory)
      const identity = yield* DeviceIdentityPort
      const sql = yield* SqlClient.SqlClient
      const keys = yield* Effect.mapError(openKeys(path.join(directory, "keys")), refusedBy)
      const membership = yield* identity.membership
      if (Option.isNone(membership)) return yield* notEnrolled
      const { layer } = yield* loadHttpCentral
      return layer({
        baseUrl: settings.rootUrl,
        trust: trustOf(settings),
        client: membership.value.device,
        signAssertion: (claims) => DeviceIdentity.signAssertion(keys, claims),
        cache: {
          get: Effect.orDie(Effect.flatMap(setting(sql, "token"), decodeToken)),
          set: (token) => Effect.orDie(changeSetting(sql, "token", JSON.stringify(token)))
        }
      })
    })
  )

/** Central's enrolment desk, for a device that has no certificate yet. */
export const layerDeskByHttps = (directory: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const settings = yield* readDevice(directory)
      const { layerDesk } = yield* loadHttpCentral
      return layerDesk({ baseUrl: settings.rootUrl, trust: trustOf(settings) })
    })
  )

const loadHttpCentral = Effect.promise(() => import("../infrastructure/http-central.ts"))

/** How a device's commands reach central; settings are read anew for each of them. */
export const reachByHttps = (directory: string) => ({
  central: layerCentralByHttps(directory),
  desk: layerDeskByHttps(directory)
})

const trustOf = ({ fingerprint }: DeviceSettings) =>
  fingerprint === null ? ("authorities" as const) : { fingerprint }

const CachedToken = Schema.Struct({ token: Schema.String, expires: Schema.Finite })
const decodeToken = (text: string | undefined) =>
  text === undefined
    ? Effect.succeedNone
    : Effect.asSome(Schema.decodeUnknownEffect(Schema.fromJsonString(CachedToken))(text))

const notEnrolled = new Refused({
  code: "E_NOT_ENROLLED",
  what: "Nothing was fetched.",
  why: "This device is not enrolled with a central yet.",
  todo: 'Run "testferry device enrol --login LOGIN" with the login of a sync manager.'
})

type OpeningFailure =
  | DatabaseUnavailable
  | DatabaseTooNew
  | KeyFileRefused
  | Authority.KeysOfAnother
  | SqlError.SqlError

/** Says in words why an installation could not be opened. */
const refusedBy = (error: OpeningFailure): Refused => {
  const what = "The installation could not be opened."
  switch (error._tag) {
    case "DatabaseUnavailable":
      return new Refused({
        code:
          error.reason === "full"
            ? "E_DISK_FULL"
            : `E_DATABASE_${error.reason.replace("-", "_").toUpperCase()}`,
        what,
        why: error.message,
        todo: databaseAdvice[error.reason]
      })
    case "DatabaseTooNew":
      return new Refused({
        code: "E_DATABASE_TOO_NEW",
        what,
        why: error.message,
        todo: "Use the newer program, or restore a backup from before it was used."
      })
    case "KeyFileRefused":
      return new Refused({
        code: "E_KEY_FILE",
        what,
        why: `The key file ${error.path} is ${error.reason.replaceAll("-", " ")}.`,
        todo: "Make it readable for its owner only (chmod 600, its folder 700), or restore it."
      })
    case "KeysOfAnother":
      return new Refused({
        code: "E_OTHER_KEYS",
        what,
        why: "The database belongs to a central with other keys than those in this data directory.",
        todo: "Copy the folder keys of that central into this data directory, or use a database of its own."
      })
    case "SqlError":
      return new Refused({
        code: "E_DATABASE",
        what,
        why: `The database did not do what was asked: ${error.message}`,
        todo: "Check that the database runs and that its address and password are right."
      })
  }
}

const databaseAdvice: Readonly<Record<DatabaseUnavailable["reason"], string>> = {
  owned: "Wait until the other command has finished, or stop the other program.",
  "self-test": "This disk does not keep what is written to it. Use another disk.",
  damaged: "Restore the newest backup. Keep the damaged file: results in it may be recoverable.",
  unreachable: "Check that the folder exists and that this user may write in it.",
  full: "Free some space, then run the command again."
}
