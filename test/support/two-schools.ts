/** What central has for the tests of its door: two organisations with things in common, and not. */
import { assert } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Blobs, Feeds } from "../../application/ports.ts"
import { EntityId, OrganisationId } from "../../domain/id.ts"
import { PROBLEMS } from "../../infrastructure/http-problem.ts"
import * as Memory from "./central-memory.ts"
import { type Answer, addCredential, bearer, Door, type Knock, setState } from "./door.ts"

export const MINE = OrganisationId.make("mine")
export const THEIRS = OrganisationId.make("theirs")
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
export const content = new Uint8Array(300_000).map((_, at) => at % 251)
export const blob = Memory.sha256(content)
const theirContent = new Uint8Array([1, 2, 3])
export const theirBlob = Memory.sha256(theirContent)
const delivery = (digest: string) => `{"kind":"delivery","content":{"blob":"${digest}"}}`

const offers = (digest: string, id: string) => [
  Memory.offer({ kind: "delivery", id: EntityId.make(`dl:${id}`) }, delivery(digest)),
  Memory.offer({ kind: "test-center", id: EntityId.make(`tc:${id}`) }, `{"of":"${id}"}`)
]

export const fill = Effect.gen(function* () {
  const blobs = yield* Blobs
  const feeds = yield* Feeds
  yield* feeds.append(MINE, offers(blob, "mine"))
  yield* feeds.append(THEIRS, offers(theirBlob, "theirs"))
  for (const [at, id] of STRANGE.entries()) yield* feeds.append(id, offers(blob, `strange${at}`))
  const nothing = () => Effect.void
  yield* blobs.write(blob, content.byteLength, Stream.make(content), nothing)
  yield* blobs.write(theirBlob, 3, Stream.make(theirContent), nothing)
  yield* addCredential("cred_mine", "a secret/with=&%:+é", [MINE])
  yield* addCredential("cred_gone", "gone", [MINE])
  yield* setState("cred_gone", "revoked")
  yield* addCredential("cred_strange", "strange", STRANGE)
})

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
  assert.strictEqual(answer.json.status, answer.status)
  assert.strictEqual(answer.json.type, `urn:testferry:problem:${code}`)
  for (const member of ["title", "detail"]) assert.isString(answer.json[member])
  if (answer.status === 401) assert.isDefined(answer.headers["www-authenticate"])
}

export const comparable = ({ status, headers, text }: Answer) => {
  const { date: _date, ...rest } = headers
  return { status, headers: rest, text }
}
