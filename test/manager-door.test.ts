import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import { remove } from "../application/remove.ts"
import { layerQuiet } from "../entrypoints/central-server.ts"
import * as DeviceServer from "../entrypoints/device-server.ts"
import { layerManagerDoor } from "../entrypoints/manager-routes.ts"
import * as ManagerRuns from "../entrypoints/manager-runs.ts"
import { LOGIN_LIMITS, type LoginLimits } from "../entrypoints/runner-access.ts"
import { DEVICE_DEFAULTS, write } from "../entrypoints/settings.ts"
import { reachByHttps } from "../entrypoints/wiring.ts"
import { MANAGER_ROUTES } from "../infrastructure/manager-api.ts"
import { exam } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask } from "./support/runner-client.ts"
import { synced } from "./support/town.ts"

const MANAGER = "/manager/v1"
/** What is answered before anybody has logged in. */
const OPEN = ["door", "peer", "enrol", "first", "login"].map((name) => `${MANAGER}/${name}`)
const START = { kind: "sync", path: null, dryRun: false, confirmRemovals: false }

/** The manager's door of a school's device, whose central can't be reached. */
const opened = Effect.fnUntraced(function* (limits: LoginLimits = LOGIN_LIMITS) {
  const world = yield* exam
  const { directory } = world.device
  const stick = path.join(world.root, "STICK")
  fs.mkdirSync(stick)
  yield* write(directory, {
    ...DEVICE_DEFAULTS,
    rootUrl: "https://127.0.0.1:1",
    fingerprint: "AA",
    stickFolders: [stick]
  })
  const doors = layerManagerDoor({
    directory,
    reach: reachByHttps(directory),
    limits,
    secure: false
  })
  const server = DeviceServer.layer(
    { host: "127.0.0.1", port: 0, tls: undefined, grace: "1 second" },
    doors
  ).pipe(Layer.provide(ManagerRuns.layer(directory, "1.2.3")), Layer.provide(layerQuiet))
  const built = yield* world.on(Layer.build(server))
  const { address } = yield* Effect.provideContext(HttpServer.HttpServer, built)
  return { base: `http://127.0.0.1:${"port" in address ? address.port : 0}`, stick, world }
})

const tokenOf = Effect.fnUntraced(function* (base: string, door: string, login: string) {
  const body = { login, password: Office.passwordOf(login) }
  return (yield* ask(base, "POST", `${door}/login`, { body })).json.token
})

describe("the door of sync managers", () => {
  it.live("tells nobody who is not logged in more than what stands on the device", () =>
    Effect.gen(function* () {
      const { base } = yield* opened()
      for (const { method, pattern } of MANAGER_ROUTES) {
        if (OPEN.includes(pattern)) continue
        const body = method === "POST" ? { body: START } : {}
        const headers = { "testferry-page": "1" }
        const { json, status } = yield* ask(base, method, pattern, { ...body, headers })
        assert.deepStrictEqual([status, json.code], [401, "login-needed"], pattern)
      }
      const door = yield* ask(base, "GET", `${MANAGER}/door`)
      assert.deepStrictEqual(door.json, {
        name: DEVICE_DEFAULTS.name,
        enrolled: true,
        peopled: true,
        central: "https://127.0.0.1:1",
        language: DEVICE_DEFAULTS.language,
        first: null
      })
      const peer = yield* ask(base, "GET", `${MANAGER}/peer`)
      assert.deepStrictEqual(peer.json, { fingerprint: "AA", known: true, refused: null })
    })
  )

  it.live("sends test-takers and proctors away from everything, logged in or not", () =>
    Effect.gen(function* () {
      const { base } = yield* opened()
      for (const [door, login] of [
        ["/runner/v1", "ada"],
        ["/proctor/v1", "pia"]
      ] as const) {
        const body = { login, password: Office.passwordOf(login) }
        const entered = yield* ask(base, "POST", `${MANAGER}/login`, { body })
        assert.strictEqual(entered.status, 403, login)
        const token = yield* tokenOf(base, door, login)
        assert.isDefined(token, login)
        for (const { method, pattern } of MANAGER_ROUTES) {
          if (OPEN.includes(pattern) || pattern.endsWith("/logout")) continue
          const sent = method === "POST" ? { token, body: START } : { token }
          const { json, status } = yield* ask(base, method, pattern, sent)
          assert.deepStrictEqual([status, json.code], [403, "wrong-person"], `${login} ${pattern}`)
        }
      }
    })
  )

  it.live("closes for a manager whom central has removed, though they are logged in", () =>
    Effect.gen(function* () {
      const { base, world } = yield* opened()
      const token = yield* tokenOf(base, MANAGER, "mia")
      const overview = ask(base, "GET", `${MANAGER}/overview`, { token })
      assert.strictEqual((yield* overview).status, 200)
      yield* world.office(Effect.flatMap(Office.idOfPerson("mia"), (id) => remove([id])))
      yield* world.on(synced({ confirmRemovals: true }))
      const { json, status } = yield* overview
      assert.deepStrictEqual([status, json.code], [401, "login-needed"])
    })
  )

  it.live("writes and reads sticks that are listed, and no other folder", () =>
    Effect.gen(function* () {
      const { base, stick, world } = yield* opened()
      const token = yield* tokenOf(base, MANAGER, "mia")
      const start = (kind: string, place: string | null) =>
        Effect.map(
          ask(base, "POST", `${MANAGER}/run`, { token, body: { ...START, kind, path: place } }),
          ({ json, status }) => [status, json.code ?? json.state]
        )
      for (const place of [world.root, "/", "/etc", `${stick}/..`, `${stick}/`, "", null]) {
        for (const kind of ["save", "load"]) {
          assert.deepStrictEqual(yield* start(kind, place), [400, "bad-request"], `${place}`)
        }
      }
      assert.deepStrictEqual(fs.readdirSync(stick), [])
      const [status] = yield* start("load", stick)
      assert.strictEqual(status, 200)
    })
  )

  it.live("says what went wrong with a run to every window, with a code", () =>
    Effect.gen(function* () {
      const { base, stick } = yield* opened()
      const token = yield* tokenOf(base, MANAGER, "mia")
      const body = { ...START, kind: "load", path: stick }
      const begun = yield* ask(base, "POST", `${MANAGER}/run`, { token, body })
      assert.strictEqual(begun.status, 200)
      const other = yield* tokenOf(base, MANAGER, "mia")
      const look = ask(base, "GET", `${MANAGER}/run`, { token: other })
      let seen = yield* look
      while (seen.text.includes('"state":"running"')) {
        yield* Effect.sleep("50 millis")
        seen = yield* look
      }
      assert.include(seen.text, `"id":"${begun.json.id}"`)
      assert.match(seen.text, /"state":"refused".*"code":"E_\w+"/u)
    })
  )

  it.live("fetches for nobody who could log in and ask, and for no other page", () =>
    Effect.gen(function* () {
      const { base } = yield* opened()
      const first = (headers: Record<string, string>) =>
        Effect.map(
          ask(base, "POST", `${MANAGER}/first`, { headers }),
          ({ json, status }) => `${status} ${json.code}`
        )
      assert.strictEqual(yield* first({}), "403 cross-site")
      assert.strictEqual(yield* first({ "testferry-page": "1" }), "409 wrong-stage")
      const door = yield* ask(base, "GET", `${MANAGER}/door`)
      assert.strictEqual(door.json.first, null)
    })
  )

  it.live("enrols once only, and limits how often passwords are tried", () =>
    Effect.gen(function* () {
      const few = { tries: 2, windowMillis: 60_000 }
      const { base } = yield* opened({ ...LOGIN_LIMITS, address: few })
      const body = { login: "mia", password: "a guess", name: "Mine now", fingerprint: "AA" }
      const enrol = yield* ask(base, "POST", `${MANAGER}/enrol`, { body })
      assert.deepStrictEqual([enrol.status, enrol.json.code], [409, "wrong-stage"])
      const tries = yield* Effect.forEach(["mia", "mib", "mic"], (login) =>
        ask(base, "POST", `${MANAGER}/login`, { body: { login, password: "a guess" } })
      )
      assert.deepStrictEqual(
        tries.map(({ status }) => status),
        [403, 403, 429]
      )
    })
  )
})
