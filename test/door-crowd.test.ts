/** What one client of a school's network can do to all the others. */
import { once } from "node:events"
import http from "node:http"
import net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { listener } from "../entrypoints/http-listener.ts"
import { makeRateLimiter } from "../infrastructure/rate-limit.ts"
import { exam } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask, openDoor } from "./support/runner-client.ts"

const NEIGHBOUR = "127.0.0.2"
const FLOOD = 60

/** Sends a login but for its last byte; what it answers sends that too, and gives the status. */
const typed = (base: string, login: string, password: string, localAddress?: string) =>
  Effect.promise(
    () =>
      new Promise<() => Promise<number>>((resolve, reject) => {
        const body = JSON.stringify({ login, password })
        const request = http.request(`${base}/runner/v1/login`, {
          method: "POST",
          headers: { "content-type": "application/json", "content-length": body.length },
          agent: false,
          ...(localAddress === undefined ? {} : { localAddress })
        })
        const answered = new Promise<number>((done) => {
          request.on("response", (answer) => {
            answer.resume()
            answer.on("end", () => done(answer.statusCode ?? 0))
          })
        })
        request.on("error", reject)
        request.on("socket", (socket) =>
          socket.on("connect", () =>
            resolve(() => {
              request.end(body.slice(-1))
              return answered
            })
          )
        )
        request.write(body.slice(0, -1))
      })
  )

const enter = (...said: Parameters<typeof typed>) =>
  Effect.flatMap(typed(...said), (send) => Effect.promise(send))

describe("a device's door", () => {
  it.live("lets somebody in whose login others keep trying from elsewhere", () =>
    Effect.gen(function* () {
      const world = yield* exam
      const base = yield* world.on(openDoor())
      const guess = enter(base, "ada", "a guess", NEIGHBOUR)
      assert.deepStrictEqual([yield* guess, yield* guess], [403, 429])
      assert.strictEqual(yield* enter(base, "ada", Office.passwordOf("ada")), 200)
    })
  )

  it.live("lets nobody wait behind all the tries of somebody else", () =>
    Effect.gen(function* () {
      const world = yield* exam
      const base = yield* world.on(openDoor())
      const typing = Array.from({ length: FLOOD }, (_, at) => `nobody${at}`)
      const flood = yield* Effect.forEach(typing, (login) =>
        typed(base, login, "a guess", NEIGHBOUR)
      )
      const ada = yield* typed(base, "ada", Office.passwordOf("ada"))
      // Who came first is let in first: by now the device knows all of these connections.
      yield* ask(base, "GET", "/health")
      let answers = 0
      yield* Effect.promise(async () => {
        const all = flood.map(async (send) => {
          await send()
          answers += 1
        })
        assert.strictEqual(await ada(), 200)
        assert.isBelow(answers, FLOOD / 2)
        await Promise.all(all)
      })
    })
  )

  it.live("reads no more of a stranger than a login is long", () =>
    Effect.gen(function* () {
      const world = yield* exam
      const base = yield* world.on(openDoor())
      for (const door of ["runner", "proctor"]) {
        const post = (more: string) =>
          ask(base, "POST", `/${door}/v1/login`, { body: { login: door, password: "y", more } })
        assert.strictEqual((yield* post("z".repeat(10_000))).status, 403)
        const { json, status } = yield* post("z".repeat(40_000))
        assert.deepStrictEqual([status, json.code], [413, "too-large"])
      }
    })
  )

  it.live("lets nothing that it says of people be kept", () =>
    Effect.gen(function* () {
      const world = yield* exam
      const base = yield* world.on(openDoor())
      const body = { login: "ada", password: Office.passwordOf("ada") }
      const login = yield* ask(base, "POST", "/runner/v1/login", { body })
      const { token } = login.json
      const told = [login]
      for (const path of ["runner/v1/me", "runner/v1/deliveries", "proctor/v1/sessions"]) {
        told.push(yield* ask(base, "GET", `/${path}`, { token }))
      }
      told.push(yield* ask(base, "POST", "/runner/v1/logout", { token }))
      assert.deepStrictEqual(
        told.map(({ headers }) => headers.get("cache-control")),
        told.map(() => "no-store")
      )
    })
  )

  it.live("leaves connections for others, however many one address opens", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = listener(undefined, 3)
        server.on("request", (_, answer) => answer.end("here"))
        yield* Effect.acquireRelease(
          Effect.promise(() => once(server.listen(0, "127.0.0.1"), "listening")),
          () =>
            Effect.sync(() => {
              server.closeAllConnections()
              server.close()
            })
        )
        const address = server.address()
        const port = typeof address === "object" ? (address?.port ?? 0) : 0
        const open = (localAddress: string) => {
          const socket = net.connect({ host: "127.0.0.1", port, localAddress })
          socket.on("error", () => {})
          return socket
        }
        const hoard = Array.from({ length: 4 }, () => open(NEIGHBOUR))
        const closed = once(hoard[3] ?? open(NEIGHBOUR), "close")
        yield* Effect.promise(() => closed)
        const answered = yield* ask(`http://127.0.0.1:${port}`, "GET", "/")
        assert.strictEqual(answered.text, "here")
        hoard[0]?.destroy()
        yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}`))
        const again = open(NEIGHBOUR)
        again.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        const [bytes] = yield* Effect.promise(() => once(again, "data"))
        assert.include(String(bytes), "200 OK")
      })
    )
  )

  it.effect("counts tries anew when its clock was set back", () =>
    Effect.gen(function* () {
      const limited = makeRateLimiter({ tries: 1, windowMillis: 60_000 })
      yield* TestClock.setTime(90_000_000)
      assert.isTrue(Option.isNone(yield* limited("a")))
      assert.isTrue(Option.isSome(yield* limited("a")))
      yield* TestClock.setTime(3_600_000)
      assert.isTrue(Option.isNone(yield* limited("a")))
      assert.isTrue(Option.isSome(yield* limited("a")))
    })
  )
})
