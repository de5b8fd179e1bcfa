import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Outbox } from "../application/record-ports.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { simulateCommand } from "../entrypoints/simulate-session.ts"
import { answer, exam, openResult, publishFile } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask, openDoor } from "./support/runner-client.ts"
import { DEMO } from "./support/testferry.ts"
import { HALL, synced, TAKERS } from "./support/town.ts"

const RIVERS = path.join(DEMO, "packages/rivers-qti21.zip")
const KEYS = /correct-?response|response-?processing|mapp(?:ing|ed)/iu
const SOURCE = path.join(DEMO, "packages/src/rivers-qti21")

/** An exam whose device also has a real package, and its door. */
const served = Effect.gen(function* () {
  const world = yield* exam
  yield* world.office(publishFile(RIVERS, "rivers"))
  yield* world.office(Office.eligible(HALL, "rivers", TAKERS))
  yield* world.on(synced())
  const base = yield* world.on(openDoor())
  const login = (who: string, door = "runner", password = Office.passwordOf(who)) =>
    ask(base, "POST", `/${door}/v1/login`, { body: { login: who, password } })
  const tokenOf = (who: string, door?: string) =>
    Effect.map(login(who, door), ({ json }) => json.token ?? "")
  return { ...world, base, login, tokenOf }
})

describe("a test runner", () => {
  it.live(
    "sits a package whole over HTTP: reads, saves, finishes, and the office reads the answers",
    () =>
      Effect.gen(function* () {
        const { base, keys, on, tokenOf } = yield* served
        const token = yield* tokenOf("ada")
        const get = (at: string, headers = {}) => ask(base, "GET", at, { token, headers })
        const listed = yield* get("/runner/v1/deliveries")
        const rivers = listed.json.deliveries?.find(({ delivery }) => delivery === "dlv_rivers")
        assert.deepInclude(rivers, { label: "Test rivers", denied: null, session: null })
        const begun = yield* ask(base, "POST", "/runner/v1/executions", {
          token,
          body: { delivery: "dlv_rivers" }
        })
        assert.strictEqual(begun.json.stage, "authorised")
        const at = `/runner/v1/executions/${begun.json.execution}`
        assert.strictEqual((yield* get(`${at}/package`)).status, 409)
        const started = yield* ask(base, "POST", `${at}/start`, { token })
        assert.strictEqual(started.json.stage, "started")

        const files = (yield* get(`${at}/package`)).json.files ?? []
        assert.include(
          files.map((file) => file.path),
          "media/river-map.png"
        )
        for (const { path: name } of files) {
          const file = yield* get(`${at}/files/${name}`)
          const source = fs.readFileSync(path.join(SOURCE, name))
          if (name.startsWith("items/")) assert.notMatch(file.text, KEYS, name)
          else assert.isTrue(file.bytes.equals(source), name)
          assert.strictEqual(file.headers.get("x-content-type-options"), "nosniff")
        }
        const whole = fs.readFileSync(path.join(SOURCE, "media/river-map.png"))
        const part = yield* get(`${at}/files/media/river-map.png`, { range: "bytes=100-299" })
        assert.strictEqual(part.status, 206)
        assert.strictEqual(part.headers.get("content-type"), "image/png")
        assert.strictEqual(part.headers.get("content-range"), `bytes 100-299/${whole.length}`)
        assert.isTrue(part.bytes.equals(whole.subarray(100, 300)))
        const item = yield* get(`${at}/files/items/mouth.xml`, { range: "bytes=10-19" })
        assert.strictEqual(item.status, 200)
        assert.include(item.text, "Interaction")
        assert.include(item.text, `src="${at}/files/media/river-map.png"`)
        assert.strictEqual((yield* get(`${at}/files/${"..%2f".repeat(3)}etc/passwd`)).status, 404)

        const items = ["lengths", "borders", "mouth", "nile"]
        for (const [position, item] of items.entries()) {
          const { state: _, ...save } = answer(item, `answer to ${item}`, 5)
          const put = yield* ask(base, "PUT", `${at}/saves/${item}`, {
            token,
            body: { seq: position, state: { speed: 1.5, item }, ...save }
          })
          assert.deepStrictEqual([put.status, put.json], [200, { part: item, seq: position }])
        }
        const saved = yield* get(`${at}/saves`)
        assert.deepStrictEqual(saved.json.parts?.find((each) => each.part === "nile")?.state, {
          speed: 1.5,
          item: "nile"
        })
        const finished = yield* ask(base, "POST", `${at}/finish`, { token })
        assert.strictEqual(finished.json.stage, "finished")
        assert.strictEqual((yield* get(`${at}/saves`)).json.code, "ended")

        const [result] = yield* on(
          Effect.flatMap(Outbox, (outbox) =>
            outbox.owed({ after: 0, limit: 9, kinds: ["result"], ends: SENT_BY_DEFAULT })
          )
        )
        const { document } = yield* openResult(keys.active, result?.body ?? "")
        assert.deepStrictEqual(
          document.variables.map(({ item, variables }) => [item, variables[0]?.values?.[0]?.value]),
          [...items].sort().map((item) => [item, `answer to ${item}`])
        )
      })
  )

  it.live("hears of each refusal by its own status and code", () =>
    Effect.gen(function* () {
      const { base, login, tokenOf } = yield* served
      const refusal = (method: string, at: string, options = {}) =>
        Effect.map(ask(base, method, at, options), ({ headers, json, status }) => {
          assert.strictEqual(headers.get("content-type"), "application/problem+json")
          return `${status} ${json.code}`
        })
      assert.strictEqual((yield* login("ada", "runner", "wrong")).json.code, "wrong-login")
      assert.strictEqual((yield* login("nobody", "runner", "wrong")).json.code, "wrong-login")
      assert.strictEqual((yield* login("pia", "runner")).json.code, "wrong-person")
      assert.strictEqual((yield* login("ben", "proctor")).json.code, "wrong-person")
      const token = yield* tokenOf("ben")
      const begin = (delivery: string) => ({ token, body: { delivery } })
      const essay = yield* ask(base, "POST", "/runner/v1/executions", begin("dlv_essay"))
      const at = `/runner/v1/executions/${essay.json.execution}`
      const cem = yield* tokenOf("cem")
      for (const [expected, method, path, options] of [
        ["401 login-needed", "GET", "/runner/v1/me", {}],
        ["401 login-needed", "GET", "/runner/v1/me", { token: "x".repeat(43) }],
        ["404 not-found", "POST", "/runner/v1/executions", begin("dlv_none")],
        ["400 bad-request", "POST", "/runner/v1/executions", { token, body: { delivery: 7 } }],
        ["423 awaiting", "POST", `${at}/start`, { token }],
        ["404 not-found", "POST", `${at}/start`, { token: cem }],
        ["404 not-found", "GET", at, { token: cem }],
        ["409 wrong-stage", "PUT", `${at}/saves/i1`, { token, body: { seq: 1 } }],
        ["409 wrong-stage", "POST", `${at}/finish`, { token }],
        ["404 not-found", "POST", `/proctor/v1${at.slice(10)}/authorise`, { token, body: {} }],
        ["404 not-found", "GET", "/runner/v1/nowhere", { token }],
        ["405 method-not-allowed", "DELETE", at, { token }],
        [
          "413 too-large",
          "PUT",
          `${at}/saves/i1`,
          { token, body: { seq: 1, state: "x".repeat(7_000_000) } }
        ]
      ] as const) {
        assert.strictEqual(yield* refusal(method, path, options), expected, `${method} ${path}`)
      }
      yield* ask(base, "POST", "/runner/v1/logout", { token })
      assert.strictEqual(yield* refusal("GET", "/runner/v1/me", { token }), "401 login-needed")
    })
  )

  it.live("may send the cookie instead of the token, and describes itself in OpenAPI", () =>
    Effect.gen(function* () {
      const { base, login } = yield* served
      const cookie = (yield* login("ada")).headers.get("set-cookie") ?? ""
      assert.match(cookie, /^testferry=[\w-]{43}; /u)
      assert.match(cookie, /HttpOnly/u)
      assert.match(cookie, /SameSite=Strict/u)
      const me = yield* ask(base, "GET", "/runner/v1/me", {
        headers: { cookie: cookie.split(";")[0] ?? "" }
      })
      assert.deepInclude(me.json, { login: "ada", kind: "test-taker" })
      const { json } = yield* ask(base, "GET", "/openapi.json")
      assert.include(
        Object.keys(json.paths ?? {}),
        "/runner/v1/executions/{execution}/files/{path}"
      )
      assert.include(Object.keys(json.paths ?? {}), "/proctor/v1/sessions/{execution}/terminate")
    })
  )
})

describe("a proctor's page", () => {
  it.live(
    "lists the sessions of its center with names, authorises, and terminates with a reason",
    () =>
      Effect.gen(function* () {
        const { base, keys, on, tokenOf } = yield* served
        const token = yield* tokenOf("ben")
        const body = { delivery: "dlv_essay" }
        const { json } = yield* ask(base, "POST", "/runner/v1/executions", { token, body })
        const own = `/runner/v1/executions/${json.execution}`
        const seen = `/proctor/v1/sessions/${json.execution}`
        const pol = yield* tokenOf("pol", "proctor")
        assert.deepStrictEqual(
          (yield* ask(base, "GET", "/proctor/v1/sessions", { token: pol })).json,
          {
            sessions: []
          }
        )
        const pia = yield* tokenOf("pia", "proctor")
        const list = yield* ask(base, "GET", "/proctor/v1/sessions", { token: pia })
        assert.deepInclude(list.json.sessions?.[0], { center: HALL, label: "Test essay" })
        assert.deepInclude(list.json.sessions?.[0]?.testTaker, { login: "ben" })
        yield* ask(base, "POST", `${seen}/authorise`, { token: pia, body: {} })
        assert.strictEqual(
          (yield* ask(base, "POST", `${own}/start`, { token })).json.stage,
          "started"
        )
        const put = { token, body: { seq: 1, ...answer("i1", "half a thought") } }
        assert.strictEqual((yield* ask(base, "PUT", `${own}/saves/i1`, put)).status, 200)
        const silent = yield* ask(base, "POST", `${seen}/terminate`, { token: pia, body: {} })
        assert.strictEqual(silent.status, 400)
        const reason = { category: "Examinee", subcategory: "Illness", comment: "went home" }
        const ended = yield* ask(base, "POST", `${seen}/terminate`, {
          token: pia,
          body: { reason }
        })
        assert.strictEqual(ended.json.stage, "terminated")
        const late = { token, body: { seq: 2, ...answer("i1", "more") } }
        assert.strictEqual((yield* ask(base, "PUT", `${own}/saves/i1`, late)).json.code, "ended")
        const [result, , log] = yield* on(
          Effect.flatMap(Outbox, (outbox) =>
            outbox.owed({ after: 0, limit: 9, kinds: undefined, ends: SENT_BY_DEFAULT })
          )
        )
        const { document } = yield* openResult(keys.recovery, result?.body ?? "")
        assert.strictEqual(document.end, "terminated")
        assert.include(log?.body ?? "", "went home")
      })
  )
})

describe("a rehearsal", () => {
  it.live(
    "sits every demonstration package through the runner's door, with answers to compare",
    () =>
      Effect.gen(function* () {
        const world = yield* exam
        const { keys, office, on } = world
        const packages = ["rivers-qti21", "fractions-qti22", "soundscapes-qti30"]
        for (const name of packages) {
          yield* office(publishFile(path.join(DEMO, "packages", `${name}.zip`), name))
          yield* office(Office.eligible(HALL, name, TAKERS))
        }
        yield* on(synced())
        for (const name of packages) {
          const report = yield* on(
            simulateCommand.run({
              login: "ada",
              password: Redacted.make(Office.passwordOf("ada")),
              delivery: name,
              answers: { nile: ["the sea"] }
            })
          )
          assert.strictEqual(report.stage, "finished")
          const [result] = (yield* on(
            Effect.flatMap(Outbox, (outbox) =>
              outbox.owed({ after: 0, limit: 99, kinds: ["result"], ends: SENT_BY_DEFAULT })
            )
          )).filter(({ entry }) => entry.id === report.execution)
          const { document } = yield* openResult(keys.active, result?.body ?? "")
          const sealed = document.variables.flatMap(({ item, variables }) =>
            variables
              .filter(({ kind }) => kind === "response")
              .map(({ identifier, values }) => [
                item,
                identifier,
                values?.map(({ value }) => value) ?? null
              ])
          )
          assert.deepStrictEqual(
            sealed,
            report.answers.map(({ item, response, values }) => [item, response, values])
          )
          assert.isAbove(report.answers.filter(({ values }) => values !== null).length, 3)
        }
        const wrong = yield* on(
          Effect.flip(
            simulateCommand.run({
              login: "ada",
              password: Redacted.make("wrong"),
              delivery: null,
              answers: {}
            })
          )
        )
        assert.strictEqual(wrong.code, "E_LOGIN")
      })
  )
})
