/**
 * Opens Testferry's central for a measurement and fills its catalogue from the bodies that every
 * contender carries: names, keys and rosters are real, so that central seals every profile and every
 * key wrap anew and the bodies that it offers are its own.
 *
 * Different from life: people get one and the same password wrap, for a real one costs a tenth of a
 * second each (the peers have none at all), and the limits on tokens and enrolments are lifted, for
 * all devices of a run share one address.
 */
import { createHash } from "node:crypto"
import fs from "node:fs"
import { createServer } from "node:net"
import path from "node:path"
import { Effect, Layer, Logger, ManagedRuntime, Option, Schema, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { ensureOrganisations } from "../../application/import.ts"
import { Atomic, Blobs, Catalogue, Clients, Hashing, Secrets } from "../../application/ports.ts"
import { refreshConcerned } from "../../application/refresh.ts"
import { remove } from "../../application/remove.ts"
import { type Content, Entity, type Person } from "../../domain/entity.ts"
import { EntityId, OrganisationId } from "../../domain/id.ts"
import type { CatalogueRecord } from "../../domain/record.ts"
import { certificateFiles, initCentral } from "../../entrypoints/central-init.ts"
import * as CentralServer from "../../entrypoints/central-server.ts"
import { readCentral } from "../../entrypoints/settings.ts"
import { layerCentral } from "../../entrypoints/wiring.ts"
import type { Body } from "../bodies.ts"
import type { Central, Place } from "../calls.ts"

/** Every device of a run enrols with it; that it is no secret does not matter here. */
export const SECRET = "a secret for the benchmark only"
/** The package of all deliveries, so that one blob is fetched: contents are not what is measured. */
const PACKAGE = new TextEncoder().encode("not a test, but as good as one to whoever can't open it")
/** More than any run has devices. */
const UNLIMITED = { tries: 1_000_000, windowMillis: 60_000 }

export const openCentral = async ({
  directory,
  organisation,
  postgres
}: Place): Promise<Central> => {
  const port = await freePort()
  const url = `https://127.0.0.1:${port}`
  const fingerprint = await Effect.runPromise(setUp(directory, url, postgres))
  const runtime = ManagedRuntime.make(serving(directory, port))
  const made = {
    wrap: await runtime.runPromise(oneWrap),
    ...(await runtime.runPromise(oneContent))
  }
  // Devices may enrol before their organisation has anything.
  await runtime.runPromise(addCredential(OrganisationId.make(organisation)))
  return {
    url: `https://127.0.0.1:${port}/#${fingerprint}`,
    put: (entities) => runtime.runPromise(put(entities, made)),
    remove: (ids) => runtime.runPromise(removeAll(ids)),
    entities: () => runtime.runPromise(offered),
    close: () => runtime.dispose()
  }
}

const freePort = async (): Promise<number> => {
  const server = createServer()
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, "127.0.0.1", resolve)
  await promise
  const address = server.address()
  server.close()
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}

const setUp = (directory: string, url: string, postgres: string | null) =>
  Effect.map(
    initCentral({
      directory,
      setup: Option.none(),
      database: Option.fromNullOr(postgres),
      url: Option.some(url)
    }),
    ({ certificate }) => certificate
  )

/** What `testferry central serve` serves; its log goes to a file. */
const serving = (directory: string, port: number) =>
  Layer.unwrap(
    Effect.map(readCentral(directory), (settings) => {
      const files = certificateFiles(directory)
      const tls = {
        certPem: fs.readFileSync(files.cert, "utf8"),
        keyPem: fs.readFileSync(files.key, "utf8")
      }
      const limits = { token: UNLIMITED, enrolment: UNLIMITED, address: UNLIMITED }
      return CentralServer.layer({ host: "127.0.0.1", port, tls, limits, grace: 0 }).pipe(
        Layer.provideMerge(layerCentral(directory, settings)),
        Layer.provide(layerLog(path.join(directory, "central.log")))
      )
    })
  )

const layerLog = (file: string) => {
  const log = fs.createWriteStream(file)
  return Logger.layer([Logger.map(Logger.formatJson, (line) => void log.write(`${line}\n`))])
}

const oneWrap = Effect.gen(function* () {
  const secrets = yield* Secrets
  const { identity, recipient } = yield* secrets.newIdentity
  const user = EntityId.make("tt_somebody")
  return yield* secrets.wrap({
    user,
    ver: 1,
    password: "correct horse battery",
    identity,
    recipient
  })
})

const oneContent = Effect.gen(function* () {
  const blobs = yield* Blobs
  const hashing = yield* Hashing
  const secrets = yield* Secrets
  const { recipient, sealedIdentity } = yield* newKey
  const { blob, size } = yield* blobs.add(secrets.sealStream(recipient, Stream.make(PACKAGE)))
  const plain = { plainSize: PACKAGE.length, plainSha256: hashing.sha256(PACKAGE) }
  const content: Content = { version: 1, qti: "2.2", ...plain, blob, size, recipient }
  return { content, sealedIdentity }
})

/** What all people, and all deliveries, of a run have in common. */
interface Made {
  readonly wrap: Person["wrap"]
  readonly content: Content
  readonly sealedIdentity: string
}

const newKey = Effect.gen(function* () {
  const secrets = yield* Secrets
  const { identity, recipient } = yield* secrets.newIdentity
  return { recipient, sealedIdentity: yield* secrets.toVault(identity) }
})

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Entity))

/** One transaction, as an import is one: the catalogue, and the feeds that follow from it. */
const put = Effect.fnUntraced(function* (bodies: ReadonlyArray<Body>, made: Made) {
  const atomic = yield* Atomic
  const catalogue = yield* Catalogue
  const records: Array<CatalogueRecord> = []
  const organisations = new Set<OrganisationId>()
  for (const { body } of bodies) {
    const entity = decode(body)
    if (entity.kind === "organisation") organisations.add(entity.organisation)
    const record = yield* recordOf(entity, made)
    if (record !== undefined) records.push(record)
  }
  for (const organisation of organisations) yield* addCredential(organisation)
  yield* atomic.run(
    Effect.gen(function* () {
      yield* ensureOrganisations(organisations)
      const ids = records.map(({ id }) => id)
      const before = yield* catalogue.concerned(ids)
      yield* catalogue.put(records)
      yield* refreshConcerned(before, ids)
    })
  )
})

/** The catalogue's form of an entity; none for those that central makes by itself. */
const recordOf = Effect.fnUntraced(function* (entity: Entity, made: Made) {
  switch (entity.kind) {
    case "test-center":
      return { ...entity, roster: { version: 1, ...(yield* newKey) } }
    case "delivery":
      return { ...entity, content: made.content, sealedIdentity: made.sealedIdentity }
    case "test-taker":
      return personRecord(entity, made.wrap)
    case "eligibility":
      return entity
    default:
      return undefined
  }
})

/** Another profile is another name, so that an edited person is sealed anew. */
const personRecord = ({ id, profile }: Person, wrap: Person["wrap"]): CatalogueRecord => {
  const name = createHash("sha256").update(profile).digest("hex").slice(0, 16)
  return {
    kind: "test-taker",
    id,
    login: id,
    label: `Test-Taker ${name}`,
    firstName: "Test-Taker",
    lastName: name,
    mail: `${name}@school.example`,
    interfaceLanguage: "en-US",
    wrap
  }
}

const addCredential = Effect.fnUntraced(function* (organisation: OrganisationId) {
  const clients = yield* Clients
  const hashing = yield* Hashing
  yield* clients.put(
    {
      id: organisation,
      kind: "credential",
      name: organisation,
      organisations: [organisation],
      state: "active",
      createdAt: 0,
      lastSeenAt: null,
      program: null,
      keys: null,
      serial: 0
    },
    hashing.sha256(SECRET)
  )
})

const removeAll = (ids: ReadonlyArray<string>) =>
  Effect.asVoid(
    // Central's own key wraps go by themselves.
    remove(ids.filter((id) => !id.startsWith("kw:")).map((id) => EntityId.make(id)))
  )

const offered = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ id: string; body: string }>`
    SELECT id, body FROM offers WHERE digest IS NOT NULL`
  return new Map(rows.map(({ id, body }) => [id, body]))
})
