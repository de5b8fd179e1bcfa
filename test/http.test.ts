/** Central's door over a real TLS socket: who gets in, what they get, and how it says no. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Blobs, Clients, Feeds } from "../application/ports.ts"
import { EntityId, OrganisationId } from "../domain/id.ts"
import { PROBLEMS } from "../infrastructure/http-problem.ts"
import * as Memory from "./support/central-memory.ts"
import * as DoorSupport from "./support/door.ts"
import {
  type Answer,
  addCredential,
  addDevice,
  assertion,
  assertionForm,
  bearer,
  Door,
  type Knock,
  setState,
  tokenForm
} from "./support/door.ts"

const MINE = OrganisationId.make("mine")
const THEIRS = OrganisationId.make("theirs")
/** What the field really uses, and what breaks careless path handling. */
const STRANGE = [
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
const content = new Uint8Array(300_000).map((_, at) => at % 251)
const blob = Memory.sha256(content)
const theirContent = new Uint8Array([1, 2, 3])
const theirBlob = Memory.sha256(theirContent)
const delivery = (digest: string) => `{"kind":"delivery","content":{"blob":"${digest}"}}`

const offers = (digest: string, id: string) => [
  Memory.offer({ kind: "delivery", id: EntityId.make(`dl:${id}`) }, delivery(digest)),
  Memory.offer({ kind: "test-center", id: EntityId.make(`tc:${id}`) }, `{"of":"${id}"}`)
]

const fill = Effect.gen(function* () {
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

/** The claims, over whatever keeps central's data. */
const suite = (name: string, ports: Layer.Layer<Memory.Ports>) =>
  layer(Layer.effectDiscard(fill).pipe(Layer.provideMerge(DoorSupport.layer(ports))), {
    excludeTestServices: true
  })(name, (it) => {
    const ask = Effect.fnUntraced(function* (client: string, knock: Knock) {
      const door = yield* Door
      return yield* door.knock({
        ...knock,
        headers: { ...(yield* bearer(client)), ...knock.headers }
      })
    })

    describe("scope", () => {
      it.effect("answers for another's things as for nonsense, on every route", () =>
        Effect.gen(function* () {
          const routes = (org: string, digest: string): ReadonlyArray<Knock> => [
            { path: `/api/v1/feeds/${org}` },
            { path: `/api/v1/feeds/${org}?since=1&epoch=e1` },
            { path: `/api/v1/feeds/${org}/buckets` },
            { path: `/api/v1/feeds/${org}/buckets/7` },
            {
              method: "POST",
              path: `/api/v1/feeds/${org}/entities`,
              headers: { "content-type": "application/json" },
              body: JSON.stringify({ keys: [{ kind: "delivery", id: "dl:theirs" }] })
            },
            { path: `/api/v1/blobs/${digest}` },
            { path: `/api/v1/blobs/${digest}`, headers: { range: "bytes=1-" } }
          ]
          const theirs = routes("theirs", theirBlob)
          const nonsense = routes("n0nsense", "0".repeat(64))
          for (const [at, knock] of theirs.entries()) {
            const refused = yield* ask("cred_mine", knock)
            const missing = yield* ask("cred_mine", nonsense[at]!)
            problem(refused, "not-found")
            assert.deepStrictEqual(comparable(refused), comparable(missing))
          }
        })
      )

      it.effect("keeps another's entities out of an answer about one's own", () =>
        Effect.gen(function* () {
          const keys = ["dl:mine", "dl:theirs", "tc:mine"].map((id) => ({
            kind: id.startsWith("dl") ? "delivery" : "test-center",
            id
          }))
          const answer = yield* ask("cred_mine", {
            method: "POST",
            path: "/api/v1/feeds/mine/entities",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ keys })
          })
          assert.strictEqual(answer.json.asked, 3)
          const ids = answer.json.changes.map((change: { id: string }) => change.id)
          assert.deepStrictEqual(ids, ["dl:mine", "tc:mine"])
        })
      )

      it.effect("knows organisations by any id that the field uses", () =>
        Effect.gen(function* () {
          for (const id of STRANGE) {
            const path = `/api/v1/feeds/${encodeURIComponent(id)}`
            const answer = yield* ask("cred_strange", { path })
            assert.strictEqual(answer.status, 200, id)
            assert.strictEqual(answer.json.organisation, id)
            const buckets = yield* ask("cred_strange", { path: `${path}/buckets` })
            assert.strictEqual(buckets.json.buckets.length, 256, id)
          }
          problem(yield* ask("cred_strange", { path: "/api/v1/feeds/123" }), "not-found")
        })
      )
    })

    describe("admission", () => {
      it.effect("shuts out a revoked client at its next request, token or not", () =>
        Effect.gen(function* () {
          yield* addCredential("cred_soon", "s", [MINE])
          const knock = { path: "/api/v1/feeds/mine" }
          assert.strictEqual((yield* ask("cred_soon", knock)).status, 200)
          yield* setState("cred_soon", "revoked")
          problem(yield* ask("cred_soon", knock), "token-refused")
          yield* setState("cred_soon", "blocked")
          problem(yield* ask("cred_soon", knock), "token-refused")
        })
      )

      it.effect("refuses requests without a token, or with one of another's making", () =>
        Effect.gen(function* () {
          const door = yield* Door
          const device = yield* addDevice("dev_forger0", [MINE])
          const forged = yield* assertion(device, { sub: "cred_mine", iss: DoorSupport.ISSUER })
          const none = Buffer.from('{"alg":"none"}').toString("base64url")
          const [, payload] = ((yield* bearer("cred_mine")).authorization ?? "").split(".")
          const wrong = ["", "Bearer", "Bearer x", "Basic eDp5", `Bearer ${forged}`]
          for (const authorization of [...wrong, `Bearer ${none}.${payload}.`]) {
            const answer = yield* door.knock({
              path: "/api/v1/feeds/mine",
              headers: { authorization }
            })
            problem(answer, "token-refused")
            assert.match(String(answer.headers["www-authenticate"]), /^Bearer /u)
          }
        })
      )

      it.effect("takes a secret from header or form, with any characters in it", () =>
        Effect.gen(function* () {
          const door = yield* Door
          const secret = "a secret/with=&%:+é"
          const form = yield* door.knock(
            tokenForm({ client_id: "cred_mine", client_secret: secret })
          )
          assert.strictEqual(form.json.token_type, "Bearer")
          assert.strictEqual(form.json.expires_in, 600)
          assert.approximately(form.json.expires, Date.now() / 1_000 + 600, 5)
          const encoded = [`cred_mine`, secret].map(encodeURIComponent).join(":")
          const basic = { authorization: `Basic ${Buffer.from(encoded).toString("base64")}` }
          const header = tokenForm({})
          const answer = yield* door.knock({ ...header, headers: { ...header.headers, ...basic } })
          assert.strictEqual(answer.status, 200)
          assert.strictEqual(answer.headers["cache-control"], "no-store")
        })
      )

      it.effect("says the same to a wrong secret, an unknown key and a revoked credential", () =>
        Effect.gen(function* () {
          const door = yield* Door
          yield* addDevice("dev_nosecret", [MINE])
          const answers = yield* Effect.forEach(
            [
              { client_id: "cred_mine", client_secret: "wrong" },
              { client_id: "cred_nobody", client_secret: "wrong" },
              { client_id: "cred_gone", client_secret: "gone" },
              { client_id: "dev_nosecret", client_secret: "" }
            ],
            (fields) => door.knock(tokenForm(fields))
          )
          for (const answer of answers) {
            problem(answer, "invalid-client")
            assert.strictEqual(answer.json.error, "invalid_client")
            assert.isString(answer.json.error_description)
            assert.deepStrictEqual(comparable(answer), comparable(answers[0]!))
          }
        })
      )

      it.effect("takes an assertion once", () =>
        Effect.gen(function* () {
          const door = yield* Door
          const device = yield* addDevice("dev_once00", [MINE])
          const jwt = yield* assertion(device)
          assert.strictEqual((yield* door.knock(assertionForm(jwt))).status, 200)
          problem(yield* door.knock(assertionForm(jwt)), "invalid-client")
        })
      )

      it.effect("refuses assertions that are forged, foreign, too long-lived or untimely", () =>
        Effect.gen(function* () {
          const door = yield* Door
          const device = yield* addDevice("dev_assert0", [MINE])
          const other = yield* addDevice("dev_other00", [MINE])
          const blocked = yield* addDevice("dev_blocked", [MINE])
          yield* setState("dev_blocked", "blocked")
          const clients = yield* Clients
          const now = Math.floor(Date.now() / 1_000)
          const found = yield* clients.find(device.id)
          const raw = found._tag === "Some" ? (found.value.keys?.auth ?? "") : ""
          const none = `${base64url({ alg: "none" })}.${base64url({ sub: device.id })}.`
          const cases: ReadonlyArray<readonly [string, string, keyof typeof PROBLEMS]> = [
            ["alg none", none, "invalid-client"],
            [
              "HS256 with the public key as secret",
              yield* assertion(device, {}, { alg: "HS256" }, Buffer.from(raw, "base64")),
              "invalid-client"
            ],
            ["another's key", yield* assertion({ ...device, auth: other.auth }), "invalid-client"],
            ["another issuer", yield* assertion(device, { iss: other.id }), "invalid-client"],
            ["an unknown device", yield* assertion({ ...device, id: "dev_x" }), "invalid-client"],
            ["a blocked device", yield* assertion(blocked), "invalid-client"],
            ["two minutes of life", yield* assertion(device, { exp: now + 120 }), "invalid-client"],
            ["no jti", yield* assertion(device, { jti: undefined }), "invalid-client"],
            ["no exp", yield* assertion(device, { exp: undefined }), "invalid-client"],
            ["another aud", yield* assertion(device, { aud: "https://evil" }), "wrong-audience"],
            [
              "a clock an hour fast",
              yield* assertion(device, { iat: now + 3_600, exp: now + 3_660 }),
              "clock-wrong"
            ],
            [
              "a clock an hour slow",
              yield* assertion(device, { iat: now - 3_600, exp: now - 3_540 }),
              "clock-wrong"
            ]
          ]
          for (const [what, jwt, code] of cases) {
            const answer = yield* door.knock(assertionForm(jwt))
            problem(answer, code, what)
            assert.strictEqual(answer.json.error, "invalid_client")
          }
          assert.strictEqual(
            (yield* door.knock(assertionForm(yield* assertion(device)))).status,
            200
          )
        })
      )
    })

    describe("problems", () => {
      it.effect("have one form, whatever went wrong", () =>
        Effect.gen(function* () {
          const door = yield* Door
          const post = (path: string, body: string, type = "application/json"): Knock => ({
            method: "POST",
            path,
            headers: { "content-type": type },
            body
          })
          const big = "x".repeat(3 * 1_048_576)
          const cases: ReadonlyArray<readonly [Knock, keyof typeof PROBLEMS]> = [
            [{ path: "/nowhere" }, "not-found"],
            [{ path: "/api/v1/nowhere" }, "not-found"],
            [{ path: "/api/v1/feeds/%zz" }, "not-found"],
            [{ path: "/api/v1/feeds/%00" }, "not-found"],
            [{ path: "/api/v1/feeds/mine/buckets/256" }, "not-found"],
            [{ path: "/api/v1/feeds/mine/buckets/x" }, "not-found"],
            [{ path: "/api/v1/blobs/xyz" }, "not-found"],
            [{ method: "DELETE", path: "/api/v1/feeds/mine" }, "method-not-allowed"],
            [{ method: "PUT", path: "/health" }, "method-not-allowed"],
            [{ method: "GET", path: "/oauth/token" }, "method-not-allowed"],
            [{ path: "/api/v1/feeds/mine?since=-1" }, "bad-request"],
            [{ path: "/api/v1/feeds/mine?since=x" }, "bad-request"],
            [{ path: "/api/v1/feeds/mine?since=1&since=2" }, "bad-request"],
            [{ path: "/api/v1/feeds/mine?since=9&epoch=old" }, "feed-reset"],
            [{ path: "/api/v1/feeds/mine?since=99&epoch=e1" }, "feed-reset"],
            [post("/api/v1/feeds/mine/entities", "{"), "bad-request"],
            [post("/api/v1/feeds/mine/entities", "{}"), "bad-request"],
            [post("/api/v1/feeds/mine/entities", ""), "bad-request"],
            [post("/api/v1/feeds/mine/entities", "{}", "text/html"), "unsupported-media-type"],
            [post("/api/v1/feeds/mine/entities", big), "too-large"],
            [post("/oauth/token", "{}"), "unsupported-media-type"],
            [tokenForm({ grant_type: "password" }), "unsupported-grant-type"],
            [tokenForm({}), "invalid-client"],
            [post("/oauth/token", "x=1", "application/x-www-form-urlencoded"), "bad-request"],
            [
              tokenForm({ client_id: "a", client_secret: "b", client_assertion: "c" }),
              "bad-request"
            ],
            [post("/api/v1/enrolments", "{}"), "bad-request"],
            [
              { path: `/api/v1/blobs/${blob}`, headers: { range: "bytes=300000-" } },
              "range-not-satisfiable"
            ]
          ]
          for (const [knock, code] of cases) {
            const open = !knock.path.startsWith("/api/v1/feeds") && !knock.path.includes("blobs")
            const answer = open ? yield* door.knock(knock) : yield* ask("cred_mine", knock)
            problem(answer, code, `${knock.method ?? "GET"} ${knock.path}`)
            if (knock.path === "/oauth/token") assert.isString(answer.json.error)
          }
        })
      )

      it.effect("never repeat what was sent", () =>
        Effect.gen(function* () {
          const door = yield* Door
          const answer = yield* door.knock({
            method: "POST",
            path: "/api/v1/enrolments",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ proof: { login: 7, password: "hush-hush" } })
          })
          problem(answer, "bad-request")
          assert.notInclude(answer.text, "hush-hush")
        })
      )

      it.effect("come as plain JSON at the token endpoint for clients that insist", () =>
        Effect.gen(function* () {
          const door = yield* Door
          const form = tokenForm({ client_id: "cred_mine", client_secret: "wrong" })
          const headers = { ...form.headers, accept: "application/json" }
          const answer = yield* door.knock({ ...form, headers })
          assert.strictEqual(answer.headers["content-type"], "application/json")
          assert.strictEqual(answer.json.error, "invalid_client")
        })
      )
    })

    describe("versions", () => {
      it.effect("are judged before anything else", () =>
        Effect.gen(function* () {
          const door = yield* Door
          const cases = [
            ["0.0.9/1", "device-too-old"],
            ["0.1.0/0", "device-too-old"],
            ["1.0.0/1", "device-too-new"],
            ["0.1.0/2", "device-too-new"],
            ["soon", "device-unreadable"]
          ] as const
          for (const [version, code] of cases) {
            const headers = { "testferry-device": version }
            problem(yield* door.knock({ path: "/api/v1/feeds/mine", headers }), code)
            problem(yield* door.knock({ path: "/oauth/token", method: "POST", headers }), code)
          }
          const headers = { "testferry-device": "0.0.1/0" }
          const told = yield* door.knock({ path: "/api/v1/capabilities", headers })
          assert.deepStrictEqual(told.json.protocols, [1])
          const good = { "testferry-device": "0.1.0/1" }
          const answer = yield* ask("cred_mine", { path: "/api/v1/feeds/mine", headers: good })
          assert.strictEqual(answer.status, 200)
        })
      )
    })

    describe("contents", () => {
      it.effect("come whole or from any byte on, under a name that says what they are", () =>
        Effect.gen(function* () {
          const path = `/api/v1/blobs/${blob}`
          const whole = yield* ask("cred_mine", { path })
          assert.strictEqual(whole.status, 200)
          assert.deepStrictEqual(new Uint8Array(whole.bytes), content)
          assert.strictEqual(whole.headers.etag, `"${blob}"`)
          assert.strictEqual(whole.headers["accept-ranges"], "bytes")
          const named = Buffer.from(blob, "hex").toString("base64")
          assert.strictEqual(whole.headers["repr-digest"], `sha-256=:${named}:`)
          const cases = [
            ["bytes=0-0", 0, 1],
            ["bytes=250000-", 250_000, 300_000],
            ["bytes=-10", 299_990, 300_000],
            ["bytes=100-9999999", 100, 300_000]
          ] as const
          for (const [range, from, to] of cases) {
            const part = yield* ask("cred_mine", { path, headers: { range } })
            assert.strictEqual(part.status, 206, range)
            assert.strictEqual(part.headers["content-range"], `bytes ${from}-${to - 1}/300000`)
            assert.deepStrictEqual(new Uint8Array(part.bytes), content.subarray(from, to))
          }
          for (const range of ["bytes=1-2,5-6", "pages=1-2", "bytes=9-1"]) {
            assert.strictEqual((yield* ask("cred_mine", { path, headers: { range } })).status, 200)
          }
          const headers = { range: "bytes=5-", "if-range": '"another"' }
          assert.strictEqual((yield* ask("cred_mine", { path, headers })).status, 200)
          const head = yield* ask("cred_mine", { path, method: "HEAD" })
          assert.strictEqual(head.headers["content-length"], "300000")
          assert.strictEqual(head.bytes.byteLength, 0)
        })
      )
    })

    it.effect("writes down who was here, with which program", () =>
      Effect.gen(function* () {
        const clients = yield* Clients
        yield* addCredential("cred_seen", "s", [MINE])
        const headers = { "testferry-device": "0.1.0/1" }
        yield* ask("cred_seen", { path: "/api/v1/feeds/mine", headers })
        const found = yield* clients.find("cred_seen")
        assert.isTrue(found._tag === "Some" && found.value.lastSeenAt !== null)
        assert.isTrue(found._tag === "Some" && found.value.program === "0.1.0/1")
      })
    )

    it.effect("describes itself, and says how it is", () =>
      Effect.gen(function* () {
        const door = yield* Door
        const openapi = yield* door.knock({ path: "/openapi.json" })
        const paths = Object.keys(openapi.json.paths)
        assert.include(paths, "/oauth/token")
        assert.include(paths, "/api/v1/feeds/{organisation}/buckets/{number}")
        const docs = yield* door.knock({ path: "/docs" })
        assert.strictEqual(docs.status, 200)
        assert.notMatch(docs.text, /<(script|link)[^>]+(src|href)=["']?https?:/u)
        assert.deepStrictEqual((yield* door.knock({ path: "/health" })).json, { status: "ok" })
        assert.deepStrictEqual((yield* door.knock({ path: "/ready" })).json, { status: "ready" })
        const metrics = yield* door.knock({ path: "/metrics" })
        assert.include(metrics.text, "testferry_http_requests_total")
        assert.include(metrics.text, 'route="/openapi.json"')
      })
    )
  })

const problem = (answer: Answer, code: keyof typeof PROBLEMS, what: string = code) => {
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

const comparable = ({ status, headers, text }: Answer) => {
  const { date: _date, ...rest } = headers
  return { status, headers: rest, text }
}

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

suite("central's door, over memory", Memory.layer)
