/** Central's door over a real TLS socket: what clients get, and what they never get. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Clients } from "../application/ports.ts"
import type { Refused } from "../application/refused.ts"
import type { CentralPorts } from "../entrypoints/wiring.ts"
import { addCredential, Door, type Knock } from "./support/door.ts"
import { layerPostgres } from "./support/real-central.ts"
import {
  ask,
  comparable,
  fill,
  layerFilled,
  layerSchools,
  MINE,
  problem,
  Schools,
  STRANGE
} from "./support/two-schools.ts"

/** The claims, over whatever keeps central's data. */
const suite = (name: string, ports: Layer.Layer<CentralPorts, Refused>) =>
  layer(layerSchools(ports), { excludeTestServices: true })(name, (it) => {
    describe("scope", () => {
      it.effect("answers for another's things as for nonsense, on every route", () =>
        Effect.gen(function* () {
          const { theirs: school } = yield* Schools
          const routes = (org: string, digest: string): ReadonlyArray<Knock> => [
            { path: `/api/v1/feeds/${org}` },
            { path: `/api/v1/feeds/${org}?since=1&epoch=${school.end.epoch}` },
            { path: `/api/v1/feeds/${org}/buckets` },
            { path: `/api/v1/feeds/${org}/buckets/7` },
            {
              method: "POST",
              path: `/api/v1/feeds/${org}/entities`,
              headers: { "content-type": "application/json" },
              body: JSON.stringify({ keys: [{ kind: "delivery", id: school.delivery }] })
            },
            { path: `/api/v1/blobs/${digest}` },
            { path: `/api/v1/blobs/${digest}`, headers: { range: "bytes=1-" } }
          ]
          const theirs = routes("theirs", school.blob)
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
          const { mine, theirs } = yield* Schools
          const keys = [
            { kind: "delivery", id: mine.delivery },
            { kind: "delivery", id: theirs.delivery },
            { kind: "test-center", id: mine.center },
            { kind: "test-center", id: theirs.center }
          ]
          const answer = yield* ask("cred_mine", {
            method: "POST",
            path: "/api/v1/feeds/mine/entities",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ keys })
          })
          assert.strictEqual(answer.json?.asked, 4)
          const ids = answer.json?.changes?.map((change) => change.id)
          assert.sameMembers([...(ids ?? [])], [mine.delivery, mine.center])
        })
      )

      it.effect("knows organisations by any id that the field uses", () =>
        Effect.gen(function* () {
          for (const id of STRANGE) {
            const path = `/api/v1/feeds/${encodeURIComponent(id)}`
            const answer = yield* ask("cred_strange", { path })
            assert.strictEqual(answer.status, 200, id)
            assert.strictEqual(answer.json?.organisation, id)
            const buckets = yield* ask("cred_strange", { path: `${path}/buckets` })
            assert.strictEqual(buckets.json?.buckets?.length, 256, id)
          }
          problem(yield* ask("cred_strange", { path: "/api/v1/feeds/123" }), "not-found")
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
          assert.deepStrictEqual(told.json?.protocols, [1])
          const good = { "testferry-device": "0.1.0/1" }
          const answer = yield* ask("cred_mine", { path: "/api/v1/feeds/mine", headers: good })
          assert.strictEqual(answer.status, 200)
        })
      )
    })

    describe("contents", () => {
      it.effect("come whole or from any byte on, under a name that says what they are", () =>
        Effect.gen(function* () {
          const { blob, content } = (yield* Schools).mine
          const size = content.byteLength
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
            ["bytes=250000-", 250_000, size],
            ["bytes=-10", size - 10, size],
            ["bytes=100-9999999", 100, size]
          ] as const
          for (const [range, from, to] of cases) {
            const part = yield* ask("cred_mine", { path, headers: { range } })
            assert.strictEqual(part.status, 206, range)
            assert.strictEqual(part.headers["content-range"], `bytes ${from}-${to - 1}/${size}`)
            assert.deepStrictEqual(new Uint8Array(part.bytes), content.subarray(from, to))
          }
          for (const range of ["bytes=1-2,5-6", "pages=1-2", "bytes=9-1"]) {
            assert.strictEqual((yield* ask("cred_mine", { path, headers: { range } })).status, 200)
          }
          const headers = { range: "bytes=5-", "if-range": '"another"' }
          assert.strictEqual((yield* ask("cred_mine", { path, headers })).status, 200)
          const head = yield* ask("cred_mine", { path, method: "HEAD" })
          assert.strictEqual(head.headers["content-length"], String(size))
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
        const paths = Object.keys(openapi.json?.paths ?? {})
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

suite("central's door, over the embedded database", layerFilled)
suite(
  "central's door, over PostgreSQL",
  Layer.effectDiscard(fill).pipe(
    Layer.catch((error) => Layer.effectContext(Effect.die(error))),
    Layer.provideMerge(layerPostgres)
  )
)
