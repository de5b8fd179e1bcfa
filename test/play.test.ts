import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { finish } from "../application/end-session.ts"
import { grantTime } from "../application/extra-time.ts"
import {
  complete,
  endAttempt,
  flag,
  handIn,
  move,
  openItem,
  saveResponses,
  view
} from "../application/play.ts"
import { ItemForPage, Scorer, Unprocessed } from "../application/play-ports.ts"
import { act } from "../application/proctor.ts"
import { Outbox } from "../application/record-ports.ts"
import { begin, enter, pause, save } from "../application/sit.ts"
import { EntityId } from "../domain/id.ts"
import type { Known } from "../domain/item-save.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { answer, exam, openResult, publishFile, sitting, visitorOf } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask, openDoor } from "./support/runner-client.ts"
import { DEMO } from "./support/testferry.ts"
import { HALL, synced, TAKERS } from "./support/town.ts"

/** Strips what the tests look for; the real one is a subject of its own. */
const PAGE = Layer.succeed(ItemForPage, {
  prepare: (xml, file, contentUrl) =>
    `${contentUrl(file)} ${xml.replace(/<correctResponse[\s\S]*?<\/correctResponse>/gu, "")}`,
  rubric: (xml, file, contentUrl) => `${contentUrl(file)} ${xml}`,
  accepts: () => true
})

/** Until somebody scores, every answer must stay and wait: the hardest case for the verbs. */
const unprocessed = Effect.fail(new Unprocessed({ why: "nobody scores here" }))
const NO_SCORER = Layer.succeed(Scorer, {
  score: () => unprocessed,
  prepare: () => unprocessed,
  decide: () => unprocessed,
  conclude: () => unprocessed
})

const response = (value: string | null): Known => ({
  identifier: "RESPONSE",
  cardinality: "single",
  baseType: "identifier",
  values: value === null ? null : [{ value }]
})
const said = (seq: number, value: string | null, valid = true) => ({
  seq,
  responses: [response(value)],
  playerState: { scroll: 0.5 },
  valid
})
const url = (name: string) => `/files/${name}`
const tag = <A, E extends { readonly _tag: string; readonly code?: string }, R>(
  effect: Effect.Effect<A, E, R>
) => Effect.map(Effect.flip(effect), (error) => error.code ?? error._tag)

const TESTS = {
  /** Linear, four items. */
  rivers: { file: "rivers-qti21.zip", proctored: false },
  /** Two parts, the second in any order. */
  soundscapes: { file: "soundscapes-qti30.zip", proctored: false },
  /** In any order, half an hour. */
  fractions: { file: "fractions-qti22.zip", proctored: true }
}

/** An exam with one of the demonstration's tests. */
const school = Effect.fnUntraced(function* (id: keyof typeof TESTS) {
  const world = yield* exam
  const { file, proctored } = TESTS[id]
  yield* world.office(publishFile(path.join(DEMO, "packages", file), id))
  yield* world.office(Office.eligible(HALL, id, TAKERS, { proctored }))
  yield* world.on(synced())
  const on: typeof world.on = (effect) =>
    world.on(Effect.provide(effect, Layer.merge(PAGE, NO_SCORER)))
  return { ...world, on }
})

const resultOf = Effect.flatMap(Outbox, (outbox) =>
  outbox.owed({ after: 0, limit: 9, kinds: ["result"], ends: SENT_BY_DEFAULT })
)

describe("playing a test", () => {
  it.live("keeps each answer before it says so, and ends as a result with all of them", () =>
    Effect.gen(function* () {
      const { keys, on } = yield* school("rivers")
      const { execution, visitor } = yield* on(sitting("ada", "rivers"))
      const first = yield* on(view(visitor, execution))
      assert.deepStrictEqual(
        [first.current, first.items.map(({ ref }) => ref), first.rules?.canMoveBackward],
        ["mouth", ["mouth", "lengths", "nile", "borders"], false]
      )
      for (const [at, { ref }] of first.items.entries()) {
        const opened = yield* on(openItem(visitor, execution, ref, url))
        assert.notInclude(opened.xml, "correctResponse")
        assert.deepInclude(opened, { ref, attempt: 1, state: "interacting" })
        yield* on(saveResponses(visitor, execution, ref, said(1, "A")))
        const again = yield* on(saveResponses(visitor, execution, ref, said(1, "A")))
        assert.strictEqual(again.seq, 1)
        yield* on(endAttempt(visitor, execution, ref, said(2, `final ${ref}`)))
        yield* on(endAttempt(visitor, execution, ref, said(2, `final ${ref}`)))
        const moved = yield* on(move(visitor, execution, { from: ref, to: "next", reason: "move" }))
        assert.strictEqual(moved.current, first.items[at + 1]?.ref ?? null)
      }
      assert.isTrue((yield* on(view(visitor, execution))).over)
      const session = yield* on(complete(visitor, execution, false))
      assert.strictEqual(session.stage, "finished")
      assert.strictEqual((yield* on(complete(visitor, execution, false))).stage, "finished")

      const [result] = yield* on(resultOf)
      const { document } = yield* openResult(keys.active, result?.body ?? "")
      const [test, ...items] = document.variables
      assert.deepStrictEqual(
        [test?.item, test?.variables.map(({ identifier }) => identifier)],
        [null, ["duration", "pendingOutcomeProcessing"]]
      )
      assert.deepStrictEqual(
        items.map(({ attempt, item, position }) => [item, position, attempt]),
        first.items.map(({ position, ref }) => [ref, position, 1])
      )
      for (const { item, variables } of items) {
        const values = new Map(variables.map((one) => [one.identifier, one.values?.[0]?.value]))
        assert.strictEqual(values.get("RESPONSE"), `final ${item}`)
        assert.strictEqual(values.get("numAttempts"), "1")
        assert.strictEqual(values.get("completionStatus"), "completed")
        // No scorer was there: the answer waits for somebody who has one.
        assert.strictEqual(values.get("pendingResponseProcessing"), "true")
      }
    })
  )

  it.live("is handed in and scored as well by a runner that only finishes the session", () =>
    Effect.gen(function* () {
      const { keys, on } = yield* school("rivers")
      const { execution, visitor } = yield* on(sitting("ada", "rivers"))
      yield* on(view(visitor, execution))
      yield* on(openItem(visitor, execution, "mouth", url))
      yield* on(saveResponses(visitor, execution, "mouth", said(1, "A")))
      assert.strictEqual((yield* on(handIn(visitor, execution))).stage, "finished")
      assert.strictEqual((yield* on(handIn(visitor, execution))).stage, "finished")
      const [result] = yield* on(resultOf)
      const { document } = yield* openResult(keys.active, result?.body ?? "")
      const [test, item] = document.variables
      assert.deepStrictEqual(
        [test, item].map((set) => set?.variables.map(({ identifier }) => identifier).slice(-1)),
        [["pendingOutcomeProcessing"], ["pendingResponseProcessing"]]
      )
      const values = new Map(item?.variables.map((one) => [one.identifier, one.values?.[0]?.value]))
      assert.deepStrictEqual(
        [values.get("RESPONSE"), values.get("numAttempts"), values.get("completionStatus")],
        ["A", "1", "completed"]
      )
    })
  )

  it.live("refuses what the rules don't allow, and drops nothing by that", () =>
    Effect.gen(function* () {
      const { on } = yield* school("rivers")
      const { execution, visitor } = yield* on(sitting("ada", "rivers"))
      yield* on(openItem(visitor, execution, "mouth", url))
      yield* on(saveResponses(visitor, execution, "mouth", said(5, "A")))
      const go = (from: string, to: string) =>
        move(visitor, execution, { from, to, reason: "move" })
      assert.deepStrictEqual(
        yield* Effect.all([
          on(tag(openItem(visitor, execution, "nile", url))),
          on(tag(saveResponses(visitor, execution, "nile", said(1, "A")))),
          on(tag(saveResponses(visitor, execution, "mouth", said(5, "B")))),
          on(tag(saveResponses(visitor, execution, "mouth", said(4, "A")))),
          on(tag(go("nile", "next"))),
          on(tag(go("mouth", "previous"))),
          on(tag(go("mouth", "nile"))),
          on(tag(complete(visitor, execution, false))),
          on(
            tag(save(visitor, execution, { part: "mouth", seq: 99, ...answer("mouth", "forged") }))
          ),
          on(tag(save(visitor, execution, { part: "session", seq: 99, ...answer("x", "forged") })))
        ]),
        [
          "wrong-item",
          "wrong-item",
          "Stale",
          "Stale",
          "wrong-item",
          "linear-no-way-back",
          "not-open",
          "not-over",
          "WrongStage",
          "WrongStage"
        ]
      )
      const { saved } = yield* on(openItem(visitor, execution, "mouth", url))
      assert.deepStrictEqual(saved, {
        seq: 5,
        responses: [response("A")],
        playerState: { scroll: 0.5 }
      })
      const ben = yield* on(visitorOf("ben"))
      assert.strictEqual(yield* on(tag(view(ben, execution))), "NoSession")

      // Two windows, or a page that repeats itself: what is said to be kept is kept, and nothing else.
      const all = yield* on(
        Effect.forEach(
          [6, 7, 8, 9, 10, 11],
          (seq) => Effect.result(saveResponses(visitor, execution, "mouth", said(seq, `v${seq}`))),
          { concurrency: "unbounded" }
        )
      )
      const kept = all.flatMap((one) => (one._tag === "Success" ? [one.success.seq] : []))
      const last = yield* on(openItem(visitor, execution, "mouth", url))
      assert.strictEqual(last.saved.seq, Math.max(...kept))
      assert.deepStrictEqual(last.saved.responses, [response(`v${last.saved.seq}`)])
    })
  )

  it.live(
    "brings the test-taker back to the same item with the same answers after a power cut",
    () =>
      Effect.gen(function* () {
        const { device, on } = yield* school("rivers")
        const { execution, visitor } = yield* on(sitting("ada", "rivers"))
        yield* on(openItem(visitor, execution, "mouth", url))
        yield* on(saveResponses(visitor, execution, "mouth", said(1, "A")))
        yield* on(move(visitor, execution, { from: "mouth", to: "next", reason: "move" }))
        yield* on(openItem(visitor, execution, "lengths", url))
        yield* on(saveResponses(visitor, execution, "lengths", said(7, "half")))
        const before = yield* on(view(visitor, execution))
        yield* device.reopen(Effect.void)
        const ada = yield* on(visitorOf("ada"))
        const after = yield* on(view(ada, execution))
        assert.strictEqual(after.current, "lengths")
        assert.deepStrictEqual(after.items, before.items)
        const { saved } = yield* on(openItem(ada, execution, "lengths", url))
        assert.deepStrictEqual([saved.seq, saved.responses], [7, [response("half")]])
        yield* on(saveResponses(ada, execution, "lengths", said(8, "whole")))
      })
  )

  it.live("counts no paused time, and adds what a proctor grants", () =>
    Effect.gen(function* () {
      const { on } = yield* school("fractions")
      const ada = yield* on(visitorOf("ada"))
      const pia = yield* on(visitorOf("pia"))
      const begun = yield* on(Effect.flip(sitting("ada", "fractions")))
      assert.strictEqual(begun._tag, "Denied")
      const execution = yield* on(openExecution(ada))
      yield* on(act(pia, execution, "authorise", null))
      yield* on(enter(ada, execution))
      const timer = Effect.map(view(ada, execution), ({ timers }) => timers[0])
      assert.deepInclude(yield* on(timer), { scope: "test", maxMillis: 1_800_000 })
      const reason = { category: "Environment", subcategory: null, comment: "noise" }
      const granted = yield* on(grantTime(pia, execution, 10, reason))
      assert.strictEqual(granted.extraMillis, 600_000)
      assert.deepInclude(yield* on(timer), { maxMillis: 2_400_000 })
      yield* on(pause(ada, execution))
      assert.strictEqual(yield* on(tag(view(ada, execution))), "WrongStage")
      assert.strictEqual(yield* on(tag(grantTime(ada, execution, 10, reason))), "NoSession")
      yield* on(act(pia, execution, "authorise", null))
      const resumed = yield* on(Effect.andThen(enter(ada, execution), timer))
      assert.isBelow(resumed?.spentMillis ?? Number.NaN, 60_000)
      yield* on(flag(ada, execution, "somme", true))
      const marked = yield* on(view(ada, execution))
      assert.deepStrictEqual(
        marked.items.filter(({ flagged }) => flagged).map(({ ref }) => ref),
        ["somme"]
      )
      yield* on(finish(ada, execution))
    })
  )
})

/** The session that waits for a proctor. */
const openExecution = (visitor: Effect.Success<ReturnType<typeof visitorOf>>) =>
  Effect.map(
    begin(visitor, { delivery: EntityId.make("dlv_fractions"), eligibility: undefined }),
    ({ execution }) => execution
  )

describe("a page", () => {
  it.live("plays over HTTP, and hears of each refusal by its own status", () =>
    Effect.gen(function* () {
      const { on } = yield* school("soundscapes")
      const base = yield* on(openDoor())
      const { json } = yield* ask(base, "POST", "/runner/v1/login", {
        body: { login: "ada", password: Office.passwordOf("ada") }
      })
      const token = json.token ?? ""
      const call = (method: string, at: string, body?: unknown) =>
        ask(base, method, at, { token, body })
      const begun = yield* call("POST", "/runner/v1/executions", { delivery: "dlv_soundscapes" })
      const at = `/runner/v1/executions/${begun.json.execution}`
      assert.strictEqual((yield* call("GET", `${at}/play`)).status, 409)
      yield* call("POST", `${at}/start`)
      const shown = yield* call("GET", `${at}/play`)
      assert.deepInclude(shown.json, { current: "melody", over: false, revision: 1 })
      const item = `${at}/play/items/melody`
      const opened = yield* call("GET", item)
      assert.include(opened.text, `${at}/files/items/melody.xml`)
      assert.match(
        JSON.stringify(opened.json.rubrics),
        /\/files\/test.xml .*Put on your headphones/u
      )
      const put = (seq: number, value: string) =>
        call("PUT", `${item}/responses`, { seq, responses: [response(value)] })
      assert.deepInclude((yield* put(1, "A")).json, { ref: "melody", seq: 1 })
      const ended = yield* call("POST", `${item}/end-attempt`, {
        seq: 2,
        responses: [response("B")]
      })
      assert.deepInclude(ended.json, { current: "melody" })
      const statuses = yield* Effect.forEach(
        [
          ["PUT", `${item}/responses`, { seq: 3, responses: [response("C")] }],
          ["PUT", `${at}/play/items/waves/responses`, { seq: 1, responses: [] }],
          ["PUT", `${item}/responses`, { seq: 1, responses: "x" }],
          ["POST", `${at}/play/move`, { from: "beats", to: "next" }],
          ["POST", `${at}/play/complete`, {}],
          ["GET", `${at}/files/items/melody.xml`, undefined],
          ["PUT", `${at}/saves/melody`, { seq: 9 }],
          ["GET", `${at}/play/items/none`, undefined]
        ] as const,
        ([method, path, body]) =>
          Effect.map(call(method, path, body), (told) => `${told.status} ${told.json.code}`)
      )
      assert.deepStrictEqual(statuses, [
        "410 no-attempts-left",
        "409 wrong-item",
        "400 bad-request",
        "409 wrong-item",
        "409 not-over",
        "404 not-found",
        "409 wrong-stage",
        "409 wrong-item"
      ])
      for (const from of ["melody", "beats", "waves"]) {
        yield* call("POST", `${at}/play/move`, { from, to: "next", reason: "skip" })
      }
      const free = yield* call("POST", `${at}/play/move`, { from: "families", to: "waves" })
      assert.strictEqual(free.json.current, "waves")
      const flagged = yield* call("POST", `${at}/play/items/morning/flag`, { flagged: true })
      assert.deepInclude(flagged.json.progress, { flagged: 1, answered: 1, items: 5, position: 3 })
      const done = yield* call("POST", `${at}/play/complete`, {})
      assert.strictEqual(done.json.stage, "finished")
      assert.strictEqual((yield* call("GET", `${at}/play`)).status, 410)
    })
  )
})
