/** What a test-taker who knows HTTP can do to their own session, and to the device. */
import { once } from "node:events"
import http from "node:http"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Outbox } from "../application/record-ports.ts"
import { Sessions } from "../application/session-ports.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { ExecutionId } from "../domain/result.ts"
import { OWN_ENTRIES_MAX } from "../domain/session.ts"
import { AT_ONCE_MAX } from "../entrypoints/one-persons-share.ts"
import { exam, openResult, publishFile } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask, openDoor } from "./support/runner-client.ts"
import { DEMO } from "./support/testferry.ts"
import { HALL, synced } from "./support/town.ts"

const essay = (value: string) => ({
  identifier: "RESPONSE",
  cardinality: "single",
  baseType: "string",
  values: [{ value }]
})

/** Where somebody stands who has spent less than no time. */
const FORGED = {
  schema: "testferry/play/1",
  route: [],
  position: -1,
  spent: { test: -3_600_000 },
  reading: null,
  extraMillis: 0,
  undecided: 0
}

/** Ada sits a test that can be played; Pia watches her. */
const sat = Effect.gen(function* () {
  const world = yield* exam
  const { office } = world
  yield* office(publishFile(path.join(DEMO, "packages/rivers-qti21.zip"), "rivers"))
  yield* office(Office.eligible(HALL, "rivers", ["ada", "ben"]))
  yield* world.on(synced())
  const base = yield* world.on(openDoor())
  const tokenOf = (door: string, login: string) =>
    Effect.map(
      ask(base, "POST", `/${door}/v1/login`, {
        body: { login, password: Office.passwordOf(login) }
      }),
      ({ json }) => json.token
    )
  const [ada, pia] = [yield* tokenOf("runner", "ada"), yield* tokenOf("proctor", "pia")]
  const body = { delivery: "dlv_rivers" }
  const begun = yield* ask(base, "POST", "/runner/v1/executions", { token: ada, body })
  const execution = ExecutionId.make(begun.json.execution ?? "")
  const own = (method: string, path: string, body?: unknown) =>
    ask(base, method, `/runner/v1/executions/${execution}/${path}`, { token: ada, body })
  const proctor = (name: string) =>
    ask(base, "POST", `/proctor/v1/sessions/${execution}/${name}`, {
      token: pia,
      body: { reason: { category: "Environment" } }
    })
  yield* own("POST", "start")
  return { ...world, ada, base, execution, own, proctor, tokenOf }
})

describe("a hostile test-taker", () => {
  it.live("can't fill the log so that the proctor can do no more", () =>
    Effect.gen(function* () {
      const { execution, on, own, proctor } = yield* sat
      const lengthOf = on(
        Effect.flatMap(Sessions, (all) =>
          Effect.map(all.lastEntry(execution), (last) => last?.number)
        )
      )
      yield* on(
        Effect.flatMap(Sessions, (all) =>
          Effect.flatMap(all.log(execution), ([first]) =>
            first === undefined
              ? Effect.die(new Error("no log"))
              : all.addEntry(execution, { ...first, number: OWN_ENTRIES_MAX })
          )
        )
      )
      assert.strictEqual((yield* own("POST", "pause")).status, 413)
      assert.strictEqual((yield* own("POST", "start")).json.stage, "started")
      assert.strictEqual(yield* lengthOf, OWN_ENTRIES_MAX)
      assert.strictEqual((yield* proctor("irregularity")).status, 200)
      assert.strictEqual((yield* proctor("pause")).json.stage, "paused")
      assert.strictEqual(yield* lengthOf, OWN_ENTRIES_MAX + 2)
    })
  )

  it.live("can't put points or time of their own making into a test that the device plays", () =>
    Effect.gen(function* () {
      const { base, execution, own, tokenOf } = yield* sat
      const points = {
        kind: "outcome",
        identifier: "SCORE",
        cardinality: "single",
        baseType: "float",
        values: [{ value: "100" }],
        at: 1
      }
      const set = { item: "lengths", position: 1, attempt: 1, variables: [points] }
      const state = { schema: "testferry/item/1" }
      const kept = yield* own("PUT", "saves/lengths", { seq: 1, state, variables: [set] })
      assert.strictEqual(kept.status, 200, kept.text)
      const played = yield* own("GET", "play")
      assert.deepStrictEqual([played.status, played.json.code], [409, "wrong-stage"])

      // Another's state, of the same test, with time that was not spent.
      const token = yield* tokenOf("runner", "ben")
      const begun = yield* ask(base, "POST", "/runner/v1/executions", {
        token,
        body: { delivery: "dlv_rivers" }
      })
      const at = `/runner/v1/executions/${begun.json.execution}`
      yield* ask(base, "POST", `${at}/start`, { token })
      const body = { seq: 1, state: FORGED }
      const forged = yield* ask(base, "PUT", `${at}/saves/session`, { token, body })
      assert.deepStrictEqual([forged.status, forged.json.code], [409, "wrong-stage"])
      assert.strictEqual((yield* ask(base, "GET", `${at}/play`, { token })).status, 200)
      assert.notStrictEqual(begun.json.execution, execution)
    })
  )

  it.live(
    "has everything in the result that they were told is kept, whoever ends the session",
    () =>
      Effect.gen(function* () {
        const { keys, on, own, proctor } = yield* sat
        const { current } = (yield* own("GET", "play")).json
        yield* own("GET", `play/items/${current}`)
        let told = 0
        let refused = false
        const write = (seq: number) =>
          Effect.map(
            own("PUT", `play/items/${current}/responses`, {
              seq,
              responses: [essay(`draft ${seq}`)]
            }),
            ({ status }) => {
              if (status === 200) told = Math.max(told, seq)
              if (status === 410) refused = true
            }
          )
        const writing = Effect.gen(function* () {
          for (let seq = 1; !refused && seq < 1_000; seq += 2) {
            yield* Effect.all([write(seq), write(seq + 1)], { concurrency: 2 })
          }
        })
        const ending = Effect.gen(function* () {
          while (told < 6) yield* Effect.sleep("1 millis")
          return yield* proctor("terminate")
        })
        const [, ended] = yield* Effect.all([writing, ending], { concurrency: 2 })
        assert.strictEqual(ended.json.stage, "terminated")
        const [result] = yield* on(
          Effect.flatMap(Outbox, (outbox) =>
            outbox.owed({ after: 0, limit: 9, kinds: ["result"], ends: SENT_BY_DEFAULT })
          )
        )
        const { document } = yield* openResult(keys.active, result?.body ?? "")
        const [said] = document.variables.find(({ item }) => item === current)?.variables ?? []
        assert.strictEqual(said?.values?.[0]?.value, `draft ${told}`)
      })
  )

  it.live("has a few requests worked on at a time, and keeps nobody else waiting", () =>
    Effect.gen(function* () {
      const { ada, base, execution, tokenOf } = yield* sat
      const held = Array.from({ length: AT_ONCE_MAX }, () => {
        const request = http.request(`${base}/runner/v1/executions/${execution}/saves/i1`, {
          method: "PUT",
          agent: false,
          headers: {
            authorization: `Bearer ${ada}`,
            "content-type": "application/json",
            "content-length": 1_000
          }
        })
        request.on("error", () => {})
        request.write("{")
        return request
      })
      const sent = held.map((request) => once(request, "socket"))
      yield* Effect.promise(() => Promise.all(sent))
      const ben = yield* tokenOf("runner", "ben")
      let answered = false
      const mine = yield* Effect.forkChild(
        Effect.tap(ask(base, "GET", "/runner/v1/me", { token: ada }), () =>
          Effect.sync(() => {
            answered = true
          })
        )
      )
      for (let times = 0; times < 5; times += 1) {
        const { status } = yield* ask(base, "GET", "/runner/v1/me", { token: ben })
        assert.strictEqual(status, 200)
      }
      assert.isFalse(answered)
      held[0]?.destroy()
      assert.strictEqual((yield* Fiber.join(mine)).status, 200)
      for (const request of held) request.destroy()
    })
  )
})
