import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import { end, endAsProctor, finish } from "../application/end-session.ts"
import { endSessions } from "../application/end-sessions.ts"
import { DeviceIdentity } from "../application/ports.ts"
import { act, markIrregularity, watched } from "../application/proctor.ts"
import { Outbox, Sending } from "../application/record-ports.ts"
import { SessionKeys, Sessions } from "../application/session-ports.ts"
import { begin, enter, files, offered, pause, save, saved } from "../application/sit.ts"
import { EntityId } from "../domain/id.ts"
import { ledgerText } from "../domain/ledger.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { RECORD_BYTES_MAX } from "../domain/result.ts"
import { isChain, SESSION_BYTES_MAX } from "../domain/session.ts"
import { keyId, verify } from "../infrastructure/sshsig.ts"
import { answer, exam, openResult, sitting, visitorOf } from "./support/exam.ts"
import * as Observe from "./support/observe.ts"
import { sha256 } from "./support/offers.ts"
import * as Office from "./support/office.ts"
import { HALL, synced, TAKERS } from "./support/town.ts"

const MATHS = { delivery: EntityId.make("dlv_maths"), eligibility: undefined }
const ESSAY = { delivery: EntityId.make("dlv_essay"), eligibility: undefined }
const SECRET = "the answer that nobody may read"

/** Every byte of a directory, for a search. */
const bytesOf = (directory: string): Buffer =>
  Buffer.concat(
    fs
      .readdirSync(directory, { recursive: true, encoding: "utf8" })
      .map((name) => path.join(directory, name))
      .filter((name) => fs.statSync(name).isFile())
      .map((name) => fs.readFileSync(name))
  )

const records = Effect.flatMap(Outbox, (outbox) =>
  outbox.owed({ after: 0, limit: 100, kinds: undefined, ends: SENT_BY_DEFAULT })
)

const tag = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag)

describe("a session", () => {
  it.live("ends as a signed result that only the results keys open, and nothing else is left", () =>
    Effect.gen(function* () {
      const { device, keys, on } = yield* exam
      const { execution, visitor } = yield* on(sitting("ada"))
      yield* on(save(visitor, execution, { part: "i1", seq: 1, ...answer("i1", "first thought") }))
      yield* on(save(visitor, execution, { part: "i1", seq: 2, ...answer("i1", SECRET) }))
      const keyBox = yield* on(Effect.flatMap(Sessions, (all) => all.keyBox(execution)))
      const during = bytesOf(device.directory)
      assert.strictEqual(during.indexOf(SECRET), -1)
      assert.isAbove(during.indexOf(Option.getOrThrow(keyBox).slice(100, 160)), -1)
      yield* on(finish(visitor, execution))

      const [result, session, log] = yield* on(records)
      assert.deepStrictEqual(
        [result, session, log].map((one) => [one?.entry.kind, one?.stage, one?.end]),
        [
          ["result", "queued", "finished"],
          ["test-session", "queued", "finished"],
          ["result-log", "queued", "finished"]
        ]
      )
      const body = result?.body ?? ""
      assert.strictEqual(result?.entry.sha256, sha256(body))
      for (const key of [keys.active, keys.recovery]) {
        const { document, signed } = yield* openResult(key, body)
        assert.strictEqual(document.execution, execution)
        assert.strictEqual(document.end, "finished")
        assert.deepStrictEqual(document.recipients, ["r1", "x1"])
        assert.strictEqual(document.variables[0]?.variables[0]?.values?.[0]?.value, SECRET)
        const raw = Buffer.from(yield* on(publicKey), "base64")
        const verified = verify({
          trusted: new Map([[keyId(raw), new Uint8Array(raw)]]),
          namespace: "testferry-result-v1",
          bytes: Buffer.from(signed.text),
          armored: signed.signatures[0] ?? ""
        })
        assert.strictEqual(verified._tag, "Success")
        const entries = JSON.parse(log?.body ?? "").entries
        assert.strictEqual(document.log.count, entries.length)
        assert.isTrue(isChain(entries, sha256))
        assert.deepStrictEqual(
          entries.map((entry: { readonly what: string }) => entry.what),
          ["created", "authorised", "started", "finished"]
        )
      }
      assert.strictEqual(JSON.parse(session?.body ?? "").result, result?.entry.sha256)
      assert.strictEqual(session?.entry.prev, result && sha256(ledgerText(result.entry)))

      assert.isTrue(
        Option.isNone(yield* on(Effect.flatMap(Sessions, (all) => all.keyBox(execution))))
      )
      assert.isFalse(yield* on(Effect.flatMap(SessionKeys, (all) => all.isUnlocked(execution))))
      assert.deepStrictEqual(yield* on(Effect.flatMap(Sessions, (all) => all.saves(execution))), [])
      assert.deepStrictEqual(yield* on(Effect.flatMap(Sessions, (all) => all.log(execution))), [])
      const after = bytesOf(device.directory)
      assert.strictEqual(after.indexOf(SECRET), -1)
      assert.strictEqual(after.indexOf("first thought"), -1)
      const box = Option.getOrThrow(keyBox)
      assert.strictEqual(after.indexOf(box.slice(100, 160)), -1)
      const [row] = yield* on(Observe.executions)
      assert.strictEqual(row?.state, "pending")
      assert.strictEqual((yield* on(finish(visitor, execution))).stage, "finished")
      assert.lengthOf(yield* on(records), 3)
    })
  )

  it.live("goes on with the last save after the power failed, by its test-taker alone", () =>
    Effect.gen(function* () {
      const { device, on } = yield* exam
      const first = yield* on(sitting("ada"))
      const { execution } = first
      yield* on(save(first.visitor, execution, { part: "i1", seq: 7, ...answer("i1", SECRET) }))
      yield* device.reopen(Effect.void)
      assert.isFalse(yield* on(Effect.flatMap(SessionKeys, (all) => all.isUnlocked(execution))))
      const ben = yield* on(visitorOf("ben"))
      assert.strictEqual(yield* on(tag(saved(ben, execution))), "NoSession")
      assert.strictEqual(yield* on(tag(enter(ben, execution))), "NoSession")
      assert.strictEqual(yield* on(tag(finish(ben, execution))), "NoSession")
      const ada = yield* on(visitorOf("ada"))
      assert.strictEqual((yield* on(enter(ada, execution))).stage, "started")
      const [part] = yield* on(saved(ada, execution))
      assert.deepStrictEqual(
        [part?.seq, part?.variables[0]?.variables[0]?.values?.[0]?.value],
        [7, SECRET]
      )
      const log = yield* on(Effect.flatMap(Sessions, (all) => all.log(execution)))
      assert.strictEqual(log.at(-1)?.what, "recovered")
      assert.isTrue(isChain(log, sha256))
    })
  )

  it.live("takes the same save twice, and refuses older ones and others of the same number", () =>
    Effect.gen(function* () {
      const { on } = yield* exam
      const { execution, visitor } = yield* on(sitting("ada"))
      const put = (seq: number, value: string) =>
        save(visitor, execution, { part: "i1", seq, ...answer("i1", value) })
      yield* on(put(2, "two"))
      yield* on(put(2, "two"))
      assert.strictEqual(yield* on(tag(put(2, "other"))), "Stale")
      assert.strictEqual(yield* on(tag(put(1, "two"))), "Stale")
      yield* on(put(3, "cut \ud83d here"))
      const [part] = yield* on(saved(visitor, execution))
      assert.strictEqual(part?.variables[0]?.variables[0]?.values?.[0]?.value, "cut \ufffd here")
      const long = "x".repeat(SESSION_BYTES_MAX)
      const much = save(visitor, execution, { part: "i2", seq: 1, state: long, variables: [] })
      assert.strictEqual(yield* on(tag(much)), "TooMuch")
    })
  )

  it.live("that is as full as it may be still makes a record that can travel", () =>
    Effect.gen(function* () {
      const { keys, on } = yield* exam
      const { execution, visitor } = yield* on(sitting("ada"))
      const quotes = '"'.repeat(1_048_576)
      for (const part of ["i1", "i2"]) {
        yield* on(save(visitor, execution, { part, seq: 1, ...answer(part, quotes) }))
      }
      const third = save(visitor, execution, { part: "i3", seq: 1, ...answer("i3", quotes) })
      assert.strictEqual(yield* on(tag(third)), "TooMuch")
      const [first, second] = yield* on(
        Effect.all([finish(visitor, execution), finish(visitor, execution)], {
          concurrency: "unbounded"
        })
      )
      assert.deepStrictEqual([first.stage, second.stage], ["finished", "finished"])
      const [result, ...more] = (yield* on(records)).filter(({ entry }) => entry.kind === "result")
      assert.lengthOf(more, 0)
      assert.isBelow(result?.body?.length ?? 0, RECORD_BYTES_MAX)
      const { document } = yield* openResult(keys.active, result?.body ?? "")
      assert.strictEqual(document.variables[1]?.variables[0]?.values?.[0]?.value, quotes)
    })
  )

  it.live("may be begun as often as the eligibility says, and by nobody who is not named", () =>
    Effect.gen(function* () {
      const { on, office } = yield* exam
      const first = yield* on(sitting("ada"))
      const again = yield* on(begin(first.visitor, MATHS))
      assert.strictEqual(again.execution, first.execution)
      yield* on(finish(first.visitor, first.execution))
      const second = yield* on(sitting("ada"))
      assert.strictEqual(second.session.attempt, 2)
      yield* on(finish(second.visitor, second.execution))
      const denied = yield* on(Effect.flip(begin(second.visitor, MATHS)))
      assert.deepInclude(denied, { _tag: "Denied", why: "used-up" })
      const [maths] = (yield* on(offered(second.visitor))).filter(
        ({ delivery }) => delivery.id === MATHS.delivery
      )
      assert.strictEqual(maths?.admitted._tag, "Failure")
      const other = { delivery: EntityId.make("dlv_other"), eligibility: undefined }
      assert.strictEqual(yield* on(tag(begin(second.visitor, other))), "NoSession")
      const pia = yield* on(visitorOf("pia"))
      assert.strictEqual(yield* on(tag(begin(pia, MATHS))), "NoSession")
      const ben = yield* on(sitting("ben"))
      yield* on(pause(ben.visitor, ben.execution))
      const later = DateTime.makeUnsafe(Date.now() + 3_600_000)
      yield* office(Office.eligible(HALL, "maths", TAKERS, { from: later }))
      yield* on(synced())
      const early = yield* on(Effect.flip(enter(ben.visitor, ben.execution)))
      assert.deepInclude(early, { _tag: "Denied", why: "not-yet" })
      const cem = yield* on(visitorOf("cem"))
      assert.deepInclude(yield* on(Effect.flip(begin(cem, MATHS))), { why: "not-yet" })
    })
  )

  it.live("is not begun while nobody could ever open its result", () =>
    Effect.gen(function* () {
      const { on } = yield* exam
      const ada = yield* on(visitorOf("ada"))
      const refused = yield* on(
        Effect.flatMap(DeviceIdentity, (identity) =>
          Effect.provideService(begin(ada, MATHS), DeviceIdentity, {
            ...identity,
            membership: Effect.map(
              identity.membership,
              Option.map((one) => ({ ...one, root: { ...one.root, results: null } }))
            )
          })
        ).pipe(tag)
      )
      assert.strictEqual(refused, "NoResultsKey")
    })
  )

  it.live("keeps what it needs on the device until its result is acknowledged", () =>
    Effect.gen(function* () {
      const { office, on, root } = yield* exam
      const { execution, visitor } = yield* on(sitting("ada"))
      yield* office(Office.publishText(root, "maths", "another text"))
      yield* on(synced())
      const open = yield* on(files(visitor, execution))
      assert.include([...open.sizes.keys()], "imsmanifest.xml")
      yield* on(save(visitor, execution, { part: "i1", seq: 1, ...answer("i1", SECRET) }))
      yield* on(finish(visitor, execution))
      assert.strictEqual(yield* on(tag(files(visitor, execution))), "WrongStage")
    })
  )
})

const publicKey = Effect.flatMap(DeviceIdentity, (identity) =>
  Effect.map(identity.request("device", 0), ({ text }): string => JSON.parse(text).sig)
)

describe("a proctor", () => {
  it.live("of the center lets a test-taker start, pauses and resumes, and is written down", () =>
    Effect.gen(function* () {
      const { on } = yield* exam
      const ada = yield* on(visitorOf("ada"))
      const { execution } = yield* on(begin(ada, ESSAY))
      const waits = yield* on(Effect.flip(enter(ada, execution)))
      assert.deepInclude(waits, { _tag: "Denied", why: "awaiting" })
      const pol = yield* on(visitorOf("pol"))
      assert.deepStrictEqual(yield* on(watched(pol)), [])
      assert.strictEqual(yield* on(tag(act(pol, execution, "authorise", null))), "NoSession")
      assert.strictEqual(yield* on(tag(act(ada, execution, "authorise", null))), "NoSession")
      const pia = yield* on(visitorOf("pia"))
      const [seen] = yield* on(watched(pia))
      assert.deepStrictEqual(
        [seen?.testTaker?.login, seen?.center, seen?.session.stage],
        ["ada", HALL, "awaiting"]
      )
      yield* on(act(pia, execution, "authorise", null))
      yield* on(enter(ada, execution))
      yield* on(act(pia, execution, "pause", null))
      const write = save(ada, execution, { part: "i1", seq: 1, ...answer("i1", "x") })
      assert.strictEqual(yield* on(tag(write)), "WrongStage")
      const paused = yield* on(Effect.flip(enter(ada, execution)))
      assert.deepInclude(paused, { _tag: "Denied", why: "paused" })
      yield* on(act(pia, execution, "resume", null))
      yield* on(write)
      yield* on(pause(ada, execution))
      const own = yield* on(Effect.flip(enter(ada, execution)))
      assert.deepInclude(own, { _tag: "Denied", why: "paused" })
      yield* on(act(pia, execution, "authorise", null))
      yield* on(enter(ada, execution))
      const reason = { category: "Environment", subcategory: "Noise", comment: null }
      yield* on(markIrregularity(pia, execution, reason))
      const log = yield* on(Effect.flatMap(Sessions, (all) => all.log(execution)))
      assert.deepStrictEqual(
        log.map(({ what }) => what),
        [
          ...["created", "awaiting", "authorised", "started", "paused", "resumed", "paused"],
          ...["authorised", "resumed", "irregularity"]
        ]
      )
      assert.isTrue(isChain(log, sha256))
      assert.strictEqual(log.at(-1)?.who, pia.person)
    })
  )

  it.live("can terminate a session after a power cut, with all that was saved", () =>
    Effect.gen(function* () {
      const { device, keys, on } = yield* exam
      const { execution, visitor } = yield* on(sitting("ada"))
      yield* on(save(visitor, execution, { part: "i1", seq: 1, ...answer("i1", SECRET) }))
      yield* device.reopen(Effect.void)
      const early = yield* on(Effect.flip(end(execution, "terminate", "device", null)))
      assert.strictEqual(early._tag, "SessionLocked")
      const pol = yield* on(visitorOf("pol"))
      assert.strictEqual(
        yield* on(tag(endAsProctor(pol, execution, "terminate", null))),
        "NoSession"
      )
      const pia = yield* on(visitorOf("pia"))
      yield* on(endAsProctor(pia, execution, "terminate", null))
      const [result] = yield* on(records)
      const { document } = yield* openResult(keys.active, result?.body ?? "")
      assert.strictEqual(document.end, "terminated")
      assert.strictEqual(document.variables[0]?.variables[0]?.values?.[0]?.value, SECRET)
    })
  )

  it.live("cancels what was never started, and that uses no attempt up", () =>
    Effect.gen(function* () {
      const { on } = yield* exam
      const ada = yield* on(visitorOf("ada"))
      const pia = yield* on(visitorOf("pia"))
      const { execution } = yield* on(begin(ada, ESSAY))
      yield* on(
        Effect.provideService(endAsProctor(pia, execution, "cancel", null), Sending, {
          chunkSize: 10,
          statusExecutionsToSync: ["finished"],
          deleteAfterSend: false
        })
      )
      assert.deepStrictEqual(yield* on(records), [])
      const waiting = yield* on(Effect.flatMap(Outbox, (outbox) => outbox.waiting))
      assert.deepStrictEqual(
        waiting.map(({ end: how, stage }) => [how, stage]),
        Array.from({ length: 3 }, () => ["cancelled", "sealed"])
      )
      const next = yield* on(begin(ada, ESSAY))
      assert.notStrictEqual(next.execution, execution)
    })
  )
})

describe("ending all sessions", () => {
  it.live("pauses what runs; terminates what is unlocked, and says which need a proctor", () =>
    Effect.gen(function* () {
      const { device, on } = yield* exam
      const ada = yield* on(sitting("ada"))
      const ben = yield* on(sitting("ben"))
      for (const { execution, visitor } of [ada, ben]) {
        yield* on(save(visitor, execution, { part: "i1", seq: 1, ...answer("i1", "x") }))
      }
      const paused = yield* on(endSessions("pause"))
      assert.deepStrictEqual(paused, { done: [ada.execution, ben.execution], needProctor: [] })
      yield* device.reopen(Effect.void)
      yield* on(enter(yield* on(visitorOf("ben")), ben.execution))
      const ended = yield* on(endSessions("terminate"))
      assert.deepStrictEqual(ended, { done: [ben.execution], needProctor: [ada.execution] })
      assert.strictEqual(
        (yield* on(enter(yield* on(visitorOf("ada")), ada.execution))).stage,
        "started"
      )
    })
  )

  it.live("of many at once numbers every record, in one chain", () =>
    Effect.gen(function* () {
      const { on } = yield* exam
      const all = yield* on(Effect.forEach(TAKERS, (login) => sitting(login)))
      yield* on(
        Effect.forEach(all, ({ execution, visitor }) => finish(visitor, execution), {
          concurrency: "unbounded"
        })
      )
      const chain = (yield* on(records)).map(({ entry }) => entry)
      assert.lengthOf(chain, 9)
      for (const [at, entry] of chain.entries()) {
        const before = chain[at - 1]
        assert.strictEqual(entry.number, at + 1)
        assert.strictEqual(entry.prev, before === undefined ? null : sha256(ledgerText(before)))
      }
    })
  )
})
