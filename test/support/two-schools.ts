/**
 * What central has for the tests of its door: two organisations with a test each, others with names
 * that the field really uses, and sync managers. All of it came in as it does in life.
 */
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { Blobs, Catalogue, Feeds } from "../../application/ports.ts"
import type { Refused } from "../../application/refused.ts"
import { Delivery } from "../../domain/entity.ts"
import { type Cursor, START } from "../../domain/feed.ts"
import { type Digest, type EntityId, OrganisationId } from "../../domain/id.ts"
import { personName } from "../../domain/record.ts"
import type { CentralPorts } from "../../entrypoints/wiring.ts"
import { PROBLEMS } from "../../infrastructure/http-problem.ts"
import { PACKAGES, sources, zipped } from "./build-packages.ts"
import * as DoorSupport from "./door.ts"
import { type Answer, addCredential, bearer, Door, type Knock, setState } from "./door.ts"
import { copyOf } from "./prepared.ts"
import * as Real from "./real-central.ts"

export const MINE = OrganisationId.make("mine")
export const THEIRS = OrganisationId.make("theirs")
export const OTHER = OrganisationId.make("other & co/1")
/** What the field really uses, and what breaks careless path handling. */
export const STRANGE = [
  "a/b",
  "%",
  "0123",
  "é",
  "a=b&c",
  "%2F",
  "..",
  "x;y?z#q",
  "日本",
  "é".repeat(120)
].map((id) => OrganisationId.make(id))

export const PASSWORD = "right, and long enough"
const LARGE_BYTES = 2_000_000

/** Fills an empty central. The content of "mine" is large; that of "theirs" is not. */
export const fill = Effect.gen(function* () {
  const manager = (login: string, organisation: OrganisationId) => [
    login,
    login,
    "en",
    PASSWORD,
    organisation
  ]
  yield* Real.importUsers("sync-manager", [
    manager("Anna", MINE),
    manager("otto", OTHER),
    manager("drifter", MINE)
  ])
  yield* Real.importUsers("proctor", [["proctor", "proctor", "en", PASSWORD, ""]])
  yield* Real.importUsers("test-taker", [["taker", "taker", "en", PASSWORD, ""]])
  yield* Real.importCenters([
    ["Mine", MINE],
    ["Theirs", THEIRS],
    ["Other", OTHER],
    ...STRANGE.map((id, at) => [`Strange ${at}`, id])
  ])
  const files = new Map(sources("soundscapes-qti30"))
  // Nothing that could be compressed away.
  const noise = randomBytes(LARGE_BYTES)
  yield* Real.publish(
    "mine",
    yield* Effect.promise(() => zipped(files.set("media/noise.png", noise)))
  )
  const theirs = join(PACKAGES, "fractions-qti30.zip")
  yield* Real.publish("theirs", yield* Effect.sync(() => readFileSync(theirs)))
  yield* Real.importSeats([
    ["Mine", "mine", "taker"],
    ["Theirs", "theirs", "taker"]
  ])
  yield* disown("drifter")
})

/** A sync manager of no organisation, as no roster makes one. */
const disown = Effect.fnUntraced(function* (login: string) {
  const catalogue = yield* Catalogue
  const record = (yield* catalogue.byNames([personName(login)])).get(personName(login))
  if (record?.kind !== "sync-manager") return yield* Effect.die(new Error("not imported"))
  const { organisation: _, ...rest } = record
  yield* catalogue.put([rest])
})

/** Central's ports over a copy of a central that was filled once. */
export const layerFilled: Layer.Layer<CentralPorts, Refused> = Layer.unwrap(
  Effect.map(
    copyOf("two-schools", (directory) =>
      Effect.provide(fill, Real.openCentral(directory), { local: true })
    ),
    (directory) => Real.openCentral(directory)
  )
)

interface School {
  readonly delivery: EntityId
  readonly center: EntityId
  readonly blob: Digest
  readonly content: Uint8Array
  /** Where its feed ends. */
  readonly end: Cursor
}

export class Schools extends Context.Service<
  Schools,
  { readonly mine: School; readonly theirs: School }
>()("test/Schools") {}

/** Looks up what an organisation is offered. */
export const schoolOf = Effect.fnUntraced(function* (organisation: OrganisationId) {
  const blobs = yield* Blobs
  const feeds = yield* Feeds
  const { changes, epoch, head } = yield* Effect.orDie(feeds.page(organisation, START))
  const idOf = (wanted: string) => changes.find(({ kind }) => kind === wanted)!.id
  const body = changes.find(({ kind }) => kind === "delivery")?.body
  const { content } = yield* Effect.orDie(
    Schema.decodeUnknownEffect(Schema.fromJsonString(Delivery))(body)
  )
  const parts = yield* Stream.runCollect(blobs.read(content.blob))
  const school: School = {
    delivery: idOf("delivery"),
    center: idOf("test-center"),
    blob: content.blob,
    content: new Uint8Array(Buffer.concat(parts)),
    end: { epoch, version: head }
  }
  return school
})

/** A door with the two schools behind it, and credentials to knock with. */
export const layerSchools = (ports: Layer.Layer<CentralPorts, Refused>) =>
  Layer.effect(
    Schools,
    Effect.gen(function* () {
      yield* addCredential("cred_mine", "a secret/with=&%:+é", [MINE])
      yield* addCredential("cred_gone", "gone", [MINE])
      yield* setState("cred_gone", "revoked")
      yield* addCredential("cred_strange", "strange", STRANGE)
      return Schools.of({ mine: yield* schoolOf(MINE), theirs: yield* schoolOf(THEIRS) })
    })
  ).pipe(Layer.provideMerge(DoorSupport.layer(ports)))

/** Knocks with a token of this client. */
export const ask = Effect.fnUntraced(function* (client: string, knock: Knock) {
  const door = yield* Door
  return yield* door.knock({
    ...knock,
    headers: { ...(yield* bearer(client)), ...knock.headers }
  })
})

export const problem = (answer: Answer, code: keyof typeof PROBLEMS, what: string = code) => {
  assert.strictEqual(
    answer.json?.code,
    code,
    `${what}: ${answer.status} ${answer.text.slice(0, 300)}`
  )
  assert.strictEqual(answer.status, PROBLEMS[code].status, what)
  assert.strictEqual(answer.headers["content-type"], "application/problem+json", what)
  assert.strictEqual(answer.json?.status, answer.status)
  assert.strictEqual(answer.json?.type, `urn:testferry:problem:${code}`)
  assert.isString(answer.json?.title)
  assert.isString(answer.json?.detail)
  if (answer.status === 401) assert.isDefined(answer.headers["www-authenticate"])
}

export const comparable = ({ status, headers, text }: Answer) => {
  const { date: _date, ...rest } = headers
  return { status, headers: rest, text }
}
