/** How central's door says no: to those who may not enter, and to what it cannot read. */

import { readFileSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Clients } from "../application/ports.ts"
import { PROBLEMS } from "../infrastructure/http-problem.ts"
import {
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
import { ISSUER } from "./support/real-central.ts"
import {
  ask,
  comparable,
  layerFilled,
  layerSchools,
  MINE,
  problem,
  Schools
} from "./support/two-schools.ts"

layer(layerSchools(layerFilled), { excludeTestServices: true })(
  "refusals of central's door",
  (it) => {
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
          const forged = yield* assertion(device, { sub: "cred_mine", iss: ISSUER })
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
          assert.strictEqual(form.json?.token_type, "Bearer")
          assert.strictEqual(form.json?.expires_in, 600)
          assert.approximately(Number(form.json?.expires), Date.now() / 1_000 + 600, 5)
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
            assert.strictEqual(answer.json?.error, "invalid_client")
            assert.isString(answer.json?.error_description)
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
            assert.strictEqual(answer.json?.error, "invalid_client")
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
          const { blob, content, end } = (yield* Schools).mine
          const size = content.byteLength
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
            [{ path: `/api/v1/feeds/mine?since=999&epoch=${end.epoch}` }, "feed-reset"],
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
              { path: `/api/v1/blobs/${blob}`, headers: { range: `bytes=${size}-` } },
              "range-not-satisfiable"
            ]
          ]
          for (const [knock, code] of cases) {
            const open = !knock.path.startsWith("/api/v1/feeds") && !knock.path.includes("blobs")
            const answer = open ? yield* door.knock(knock) : yield* ask("cred_mine", knock)
            problem(answer, code, `${knock.method ?? "GET"} ${knock.path}`)
            if (knock.path === "/oauth/token") assert.isString(answer.json?.error)
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
          assert.strictEqual(answer.json?.error, "invalid_client")
        })
      )
    })

    it.effect("has a line in the protocol for every code", () =>
      Effect.sync(() => {
        const protocol = readFileSync(new URL("../docs/protocol.md", import.meta.url), "utf8")
        for (const [code, { status }] of Object.entries(PROBLEMS))
          assert.include(protocol, `| \`${code}\` | ${status} |`)
      })
    )
  }
)

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
