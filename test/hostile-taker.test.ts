/** What a test-taker who knows HTTP can do to their own session, and to the device. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Sessions } from "../application/session-ports.ts"
import { ExecutionId } from "../domain/result.ts"
import { OWN_ENTRIES_MAX } from "../domain/session.ts"
import { exam } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask, openDoor } from "./support/runner-client.ts"

/** Ada sits maths; Pia watches her. */
const sat = Effect.gen(function* () {
  const world = yield* exam
  const base = yield* world.on(openDoor())
  const tokenOf = (door: string, login: string) =>
    Effect.map(
      ask(base, "POST", `/${door}/v1/login`, {
        body: { login, password: Office.passwordOf(login) }
      }),
      ({ json }) => json.token
    )
  const [ada, pia] = [yield* tokenOf("runner", "ada"), yield* tokenOf("proctor", "pia")]
  const body = { delivery: "dlv_maths" }
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
  return { ...world, base, execution, own, proctor }
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
})
