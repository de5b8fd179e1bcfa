/** Keeps in memory what central keeps in a database, so that its door can be tested by itself. */
import { createHash, createPublicKey, randomBytes, verify } from "node:crypto"
import { Effect, Layer, Option, Schema, Stream } from "effect"
import {
  Atomic,
  Authority,
  Blobs,
  Catalogue,
  type Client,
  Clients,
  FeedReset,
  Feeds,
  Hashing,
  History,
  LoginTries,
  type Offer,
  Passwords,
  Secrets,
  TooManyTries,
  WrongPassword
} from "../../application/ports.ts"
import { canonical } from "../../domain/canonical.ts"
import { EnrolmentRequest } from "../../domain/enrolment.ts"
import { keyText } from "../../domain/entity.ts"
import { type Change, PAGE_CHANGES } from "../../domain/feed.ts"
import type { HistoryEntry } from "../../domain/history.ts"
import { Digest, type OrganisationId } from "../../domain/id.ts"
import { type CatalogueRecord, naturalName } from "../../domain/record.ts"
import { BUCKETS, bucketOf, changed, EMPTY } from "../../domain/set-digest.ts"

export const sha256 = (bytes: Uint8Array | string): Digest =>
  Digest.make(createHash("sha256").update(bytes).digest("hex"))

const layerClients = Layer.sync(Clients, () => {
  const rows = new Map<string, { client: Client; secretHash: string | undefined }>()
  const used = new Map<string, number>()
  return Clients.of({
    find: (id) => Effect.sync(() => Option.fromUndefinedOr(rows.get(id)?.client)),
    findBySigningKey: (sig) =>
      Effect.sync(() =>
        Option.fromUndefinedOr(
          [...rows.values()].map(({ client }) => client).find(({ keys }) => keys?.sig === sig)
        )
      ),
    list: (kind) =>
      Effect.sync(() =>
        [...rows.values()].map(({ client }) => client).filter((client) => client.kind === kind)
      ),
    put: (client, secretHash) =>
      Effect.sync(() => {
        const kept = secretHash ?? rows.get(client.id)?.secretHash
        rows.set(client.id, { client, secretHash: kept })
      }),
    secretHash: (id) => Effect.sync(() => Option.fromUndefinedOr(rows.get(id)?.secretHash)),
    seen: (id, at, program) =>
      Effect.sync(() => {
        const row = rows.get(id)
        if (row !== undefined) row.client = { ...row.client, lastSeenAt: at, program }
      }),
    useOnce: (id, now, expires) =>
      Effect.sync(() => {
        if ((used.get(id) ?? 0) > now) return false
        used.set(id, expires)
        return true
      })
  })
})

interface Feed {
  version: number
  readonly changes: Map<string, Change>
  readonly stamps: Map<string, string>
}

const layerFeeds = Layer.sync(Feeds, () => {
  const epoch = "e1"
  const feeds = new Map<OrganisationId, Feed>()
  const feedOf = (organisation: OrganisationId): Feed => {
    const found = feeds.get(organisation)
    const feed = found ?? { version: 0, changes: new Map(), stamps: new Map() }
    feeds.set(organisation, feed)
    return feed
  }
  const live = (feed: Feed) => [...feed.changes.values()].filter(({ digest }) => digest !== null)
  const setOf = (changes: ReadonlyArray<Change>) =>
    changed(
      EMPTY,
      [],
      changes.flatMap(({ digest }) => (digest === null ? [] : [digest]))
    )
  const withoutBody = (change: Change): Change => ({ ...change, body: null })
  return Feeds.of({
    lock: () => Effect.void,
    stamps: (organisation) => Effect.sync(() => feedOf(organisation).stamps),
    append: (organisation, offers) =>
      Effect.sync(() => {
        const feed = feedOf(organisation)
        const different = offers.filter(
          ({ key, digest }) => feed.changes.get(keyText(key))?.digest !== digest
        )
        for (const { key, digest, body, stamp } of different) {
          feed.version += 1
          feed.changes.delete(keyText(key))
          feed.changes.set(keyText(key), { version: feed.version, ...key, digest, body })
          feed.stamps.set(keyText(key), stamp)
        }
        return different.length
      }),
    page: (organisation, since) =>
      Effect.suspend(() => {
        const feed = feedOf(organisation)
        const void_ = since.epoch !== epoch && since.version > 0
        if (void_ || since.version > feed.version) return Effect.fail(new FeedReset({ epoch }))
        const after = [...feed.changes.values()].filter(({ version }) => version > since.version)
        const changes = after.slice(0, PAGE_CHANGES)
        const more = after.length > changes.length
        return Effect.succeed({
          organisation,
          epoch,
          head: feed.version,
          more,
          set: setOf(live(feed)),
          changes
        })
      }),
    buckets: (organisation) =>
      Effect.sync(() => {
        const feed = feedOf(organisation)
        const byBucket = Map.groupBy(live(feed), ({ id }) => bucketOf(id))
        const buckets = Array.from({ length: BUCKETS }, (_, at) => setOf(byBucket.get(at) ?? []))
        return { epoch, head: feed.version, buckets }
      }),
    bucket: (organisation, bucket) =>
      Effect.sync(() =>
        live(feedOf(organisation))
          .filter(({ id }) => bucketOf(id) === bucket)
          .map(withoutBody)
      ),
    entities: (organisation, keys) =>
      Effect.sync(() => {
        const { changes } = feedOf(organisation)
        return keys.flatMap((key) => {
          const change = changes.get(keyText(key))
          return change === undefined || change.digest === null ? [] : [change]
        })
      }),
    offersBlob: (organisations, blob) =>
      Effect.sync(() =>
        organisations.some((organisation) =>
          live(feedOf(organisation)).some(
            ({ kind, body }) => kind === "delivery" && body?.includes(`"blob":"${blob}"`)
          )
        )
      )
  })
})

/** Bytes in a chunk of a blob. */
const CHUNK = 65_536

const layerBlobs = Layer.sync(Blobs, () => {
  const blobs = new Map<string, Uint8Array>()
  return Blobs.of({
    has: (blob) => Effect.sync(() => blobs.has(blob)),
    size: (blob) => Effect.sync(() => Option.fromUndefinedOr(blobs.get(blob)?.byteLength)),
    partial: () => Effect.succeed(0),
    read: (blob, range) => {
      const offset = range?.offset ?? 0
      const all = blobs.get(blob) ?? new Uint8Array()
      const end = range?.length === undefined ? all.byteLength : offset + range.length
      const bytes = all.subarray(offset, end)
      return Stream.fromIterable(
        Array.from({ length: Math.ceil(bytes.byteLength / CHUNK) }, (_, at) =>
          bytes.subarray(at * CHUNK, (at + 1) * CHUNK)
        )
      ).pipe(Stream.rechunk(1))
    },
    write: (blob, _size, rest) =>
      Stream.runCollect(rest).pipe(
        Effect.map((parts) => blobs.set(blob, Buffer.concat(parts))),
        Effect.asVoid
      ),
    sweep: () => Effect.succeed(0)
  })
})

const layerCatalogue = Layer.sync(Catalogue, () => {
  const records = new Map<string, CatalogueRecord>()
  const later = Effect.die(new Error("not needed at the door"))
  return Catalogue.of({
    byNames: (names) =>
      Effect.sync(
        () =>
          new Map(
            names.flatMap((name) => {
              const record = records.get(name)
              return record === undefined ? [] : [[name, record]]
            })
          )
      ),
    put: (added) =>
      Effect.sync(() => {
        for (const record of added) records.set(naturalName(record), record)
      }),
    byIds: () => later,
    list: () => Stream.fromEffect(later),
    remove: () => later,
    concerned: () => later,
    linksWithin: () => later,
    revisionsWithin: () => later,
    centersShowing: () => later
  })
})

/** The wrap's box is the password itself here; every try counts as one derivation. */
export const derivations = { count: 0 }
const layerPasswords = Layer.succeed(Passwords, {
  unwrap: (_user, wrap, password) =>
    Effect.suspend(() => {
      derivations.count += 1
      const right = Buffer.from(wrap.box, "base64").toString() === password
      return right ? Effect.succeed("identity") : Effect.fail(new WrongPassword())
    }),
  decoy: () =>
    Effect.suspend(() => {
      derivations.count += 1
      return Effect.fail(new WrongPassword())
    })
})

/** Five tries, then a minute. */
const layerTries = Layer.sync(LoginTries, () => {
  const failures = new Map<string, { count: number; at: number }>()
  return LoginTries.of({
    admit: (tag, now) =>
      Effect.suspend(() => {
        const found = failures.get(tag)
        const wait = found === undefined || found.count < 5 ? 0 : found.at + 60_000 - now
        return wait > 0 ? Effect.fail(new TooManyTries({ waitMillis: wait })) : Effect.void
      }),
    failed: (tag, now) =>
      Effect.sync(() => {
        failures.set(tag, { count: (failures.get(tag)?.count ?? 0) + 1, at: now })
      }),
    clear: (tag) =>
      Effect.sync(() => {
        failures.delete(tag)
      })
  })
})

/** A request's signature here is plain ed25519 over its text, in base64. */
const layerAuthority = Layer.succeed(Authority, {
  roots: Effect.succeed([{ text: "{}", signatures: [] }]),
  certify: (certificate) =>
    Effect.sync(() => ({ text: canonical(certificate), signatures: ["signed"] })),
  checkRequest: ({ text, signatures }) =>
    Effect.sync(() =>
      Schema.decodeUnknownOption(Schema.fromJsonString(EnrolmentRequest))(text).pipe(
        Option.filter(({ sig }) => {
          const x = Buffer.from(sig, "base64").toString("base64url")
          const key = createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x } })
          return verify(null, Buffer.from(text), key, Buffer.from(signatures[0] ?? "", "base64"))
        })
      )
    )
})

const layerSecrets = Layer.succeed(Secrets, {
  newIdentity: Effect.die("not needed"),
  randomText: (bytes) => Effect.sync(() => randomBytes(bytes).toString("base64url")),
  seal: () => Effect.die("not needed"),
  toVault: () => Effect.die("not needed"),
  fromVault: () => Effect.die("not needed"),
  wrap: () => Effect.die("not needed"),
  newPassword: Effect.die("not needed")
})

const layerHistory = Layer.sync(History, () => {
  const entries: Array<HistoryEntry> = []
  return History.of({
    append: (entry) => Effect.sync(() => void entries.unshift(entry)),
    recent: (limit) => Effect.sync(() => entries.slice(0, limit))
  })
})

/** Every port that central's door asks for, but the tokens. */
export const layer = Layer.mergeAll(
  Layer.succeed(Hashing, { sha256 }),
  Layer.succeed(Atomic, { run: (effect) => effect }),
  layerClients,
  layerFeeds,
  layerBlobs,
  layerCatalogue,
  layerPasswords,
  layerTries,
  layerAuthority,
  layerSecrets,
  layerHistory
)

export type Ports = Layer.Success<typeof layer>

/** An offer of an entity with this body. */
export const offer = (key: Offer["key"], body: string | null): Offer => ({
  key,
  stamp: body === null ? "gone" : sha256(body),
  digest: body === null ? null : sha256(body),
  body
})
