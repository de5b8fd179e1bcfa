/** Says what every adapter of the small books keeps: of both sides, of central, of a device. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, type Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import {
  type Account,
  Accounts,
  Executions,
  History,
  ImportWork,
  Lease,
  LoginTries,
  SealedStore
} from "../../application/ports.ts"
import type { Execution } from "../../domain/execution.ts"
import { type HistoryEntry, NO_COUNTS } from "../../domain/history.ts"
import { Digest } from "../../domain/id.ts"
import { id, many, STRANGE, wrap, ZERO } from "../support/records.ts"

type Both = History | LoginTries
type Claim<Ports> = <F>(what: string, effect: Effect.Effect<void, F, Ports>) => void

// A clock of the test's own: waits and leases are minutes long.
const claims =
  <Ports, E>(layer: Layer.Layer<Ports, E>): Claim<Ports> =>
  (what, effect) =>
    it.effect(what, () => Effect.provide(effect, layer))

export const centralSuite = <E>(
  name: string,
  layer: Layer.Layer<Both | SealedStore | ImportWork | Accounts, E>
) =>
  describe(`central's books, ${name}`, () => {
    history(claims(layer))
    tries(claims(layer))
    sealed(claims(layer))
    work(claims(layer))
    accounts(claims(layer))
  })

export const deviceSuite = <E>(name: string, layer: Layer.Layer<Both | Executions | Lease, E>) =>
  describe(`a device's books, ${name}`, () => {
    history(claims(layer))
    tries(claims(layer))
    executions(claims(layer))
    lease(claims(layer))
  })

const digest = (digit: string) => Digest.make(digit.repeat(64))

const entry = (reason: string, at = 0): HistoryEntry => ({
  at,
  verb: "sync",
  who: "device",
  device: "dev_abcdef",
  organisation: STRANGE,
  outcome: "done",
  counts: { delivery: { ...NO_COUNTS, created: 1 } },
  bytes: 2 ** 40,
  millis: 7,
  reason
})

const history = (claim: Claim<History>) =>
  claim(
    "remember what happened, the latest first, whatever the clock said",
    Effect.gen(function* () {
      const history = yield* History
      assert.deepStrictEqual(yield* history.recent(10), [])
      const entries = [
        entry("first", 9_000),
        entry("clock set back", 1_000),
        entry("last é\u2028", 5)
      ]
      for (const one of entries) yield* history.append(one)
      assert.deepStrictEqual(yield* history.recent(10), [...entries].reverse())
      assert.deepStrictEqual(yield* history.recent(1), entries.slice(-1))
      assert.deepStrictEqual(yield* history.recent(0), [])
    })
  )

const tries = (claim: Claim<LoginTries>) => {
  const waitOf = Effect.fnUntraced(function* (tag: Digest, now: number) {
    const tries = yield* LoginTries
    const refused = yield* Effect.option(Effect.flip(tries.admit(tag, now)))
    return Option.match(refused, { onNone: () => 0, onSome: ({ waitMillis }) => waitMillis })
  })

  claim(
    "make wrong passwords wait longer and longer, up to five minutes",
    Effect.gen(function* () {
      const tries = yield* LoginTries
      let now = 1_000_000_000_000
      assert.strictEqual(yield* waitOf(digest("a"), now), 0)
      const waits: Array<number> = []
      for (let n = 0; n < 12; n++) {
        yield* tries.failed(digest("a"), now)
        const wait = yield* waitOf(digest("a"), now)
        waits.push(wait / 1_000)
        assert.strictEqual(yield* waitOf(digest("a"), now + wait - 1), 1)
        now += wait
        assert.strictEqual(yield* waitOf(digest("a"), now), 0)
      }
      assert.deepStrictEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
    })
  )

  claim(
    "count each login for itself, and forget it when the password was right",
    Effect.gen(function* () {
      const tries = yield* LoginTries
      yield* tries.clear(digest("a"))
      yield* tries.failed(digest("a"), 0)
      yield* tries.failed(digest("a"), 0)
      yield* tries.failed(digest("b"), 0)
      assert.strictEqual(yield* waitOf(digest("a"), 0), 2_000)
      assert.strictEqual(yield* waitOf(digest("b"), 0), 1_000)
      yield* tries.clear(digest("a"))
      assert.strictEqual(yield* waitOf(digest("a"), 0), 0)
      yield* tries.failed(digest("a"), 0)
      assert.strictEqual(yield* waitOf(digest("a"), 0), 1_000)
    })
  )

  claim(
    "count eight wrong passwords at once as eight",
    Effect.gen(function* () {
      const tries = yield* LoginTries
      yield* Effect.forEach(Array.from({ length: 8 }), () => tries.failed(digest("a"), 0), {
        concurrency: "unbounded"
      })
      assert.strictEqual(yield* waitOf(digest("a"), 0), 128_000)
    })
  )
}

const sealed = (claim: Claim<SealedStore>) =>
  claim(
    "keep what was sealed by key, the latest, 1,500 at once",
    Effect.gen(function* () {
      const store = yield* SealedStore
      yield* store.put([])
      assert.strictEqual((yield* store.find([])).size, 0)
      const boxes = many((name) => ({ key: `é/${name}`, stamp: "1", box: name }))
      yield* store.put(boxes)
      const first = { key: "é/n0000", stamp: "2", box: "new" }
      yield* store.put([{ ...first, box: "older" }, first])
      const found = yield* store.find([...boxes.map(({ key }) => key), "unknown"])
      assert.strictEqual(found.size, boxes.length)
      assert.deepStrictEqual(found.get(first.key), { stamp: "2", box: "new" })
      assert.deepStrictEqual(found.get("é/n1499"), { stamp: "1", box: "n1499" })
      yield* store.forget([])
      yield* store.forget(["unknown", ...boxes.slice(1).map(({ key }) => key)])
      const left = yield* store.find(boxes.map(({ key }) => key))
      assert.deepStrictEqual([...left.keys()], ["é/n0000"])
    })
  )

const work = (claim: Claim<ImportWork>) => {
  claim(
    "forget the work for some logins, and what was kept too long or by a wrong clock",
    Effect.gen(function* () {
      const work = yield* ImportWork
      const paid = many((login) => ({ login, user: id(`usr_${login}`), wrap: wrap() }))
      const logins = paid.map(({ login }) => login)
      const left = (file: Digest) =>
        Effect.map(work.find(file, logins), (found) => [...found.keys()])
      yield* TestClock.setTime(1_000)
      yield* work.keep(digest("a"), paid)
      yield* TestClock.setTime(2_000)
      yield* work.keep(digest("b"), paid.slice(0, 2))
      yield* work.forgetLogins([])
      yield* work.forgetLogins(["nobody", ...logins.slice(1)])
      assert.deepStrictEqual(yield* left(digest("a")), ["n0000"])
      assert.deepStrictEqual(yield* left(digest("b")), ["n0000"])
      yield* work.forgetOutside(1_000, 2_000)
      assert.lengthOf(yield* left(digest("a")), 1)
      yield* work.keep(digest("a"), paid.slice(0, 1))
      yield* work.forgetOutside(2_000, 2_000)
      assert.lengthOf(yield* left(digest("a")), 1)
      yield* work.forgetOutside(2_001, 3_000)
      assert.lengthOf(yield* left(digest("b")), 0)
      yield* work.keep(digest("b"), paid.slice(0, 1))
      yield* work.forgetOutside(0, 1_999)
      assert.lengthOf(yield* left(digest("b")), 0)
    })
  )

  claim(
    "keep paid wraps by file and login until the file is done",
    Effect.gen(function* () {
      const work = yield* ImportWork
      const paid = many((login) => ({ login, user: id(`usr_${login}`), wrap: wrap() }))
      const logins = paid.map(({ login }) => login)
      yield* work.keep(digest("a"), [])
      yield* work.keep(digest("a"), paid)
      yield* work.keep(digest("b"), paid.slice(0, 2))
      const again = { login: "n0000", user: id("usr_other"), wrap: wrap(2) }
      yield* work.keep(digest("a"), [again])
      const found = yield* work.find(digest("a"), [...logins, "nobody"])
      assert.deepStrictEqual([...found.keys()].sort(), logins)
      assert.deepStrictEqual(found.get("n0000"), { user: id("usr_other"), wrap: wrap(2) })
      assert.strictEqual((yield* work.find(digest("a"), [])).size, 0)
      assert.strictEqual((yield* work.find(digest("c"), logins)).size, 0)
      yield* work.forget(digest("a"))
      yield* work.forget(digest("c"))
      assert.strictEqual((yield* work.find(digest("a"), logins)).size, 0)
      assert.strictEqual((yield* work.find(digest("b"), logins)).size, 2)
    })
  )
}

const accounts = (claim: Claim<Accounts>) =>
  claim(
    "find an account by login as people type it, and keep the latest",
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const account: Account = {
        id: id("acc_1"),
        login: "Amélie",
        role: "administrator",
        label: "Amélie G",
        mail: null,
        wrap: wrap()
      }
      yield* accounts.put(account)
      for (const login of ["Amélie", " AMÉLIE ", "ame\u0301lie"]) {
        assert.deepStrictEqual(yield* accounts.find(login), Option.some(account))
      }
      assert.isTrue(Option.isNone(yield* accounts.find("amelie")))
      const changed = { ...account, login: "amélie", mail: "a@example.org", wrap: wrap(2) }
      yield* accounts.put(changed)
      assert.deepStrictEqual(yield* accounts.find("Amélie"), Option.some(changed))
      const other = { ...account, id: id("acc_2"), login: "Bo" }
      yield* accounts.put(other)
      assert.deepStrictEqual(yield* accounts.all, [changed, other])
      assert.isFalse(yield* accounts.remove("amelie"))
      assert.isTrue(yield* accounts.remove(" AMÉLIE "))
      assert.isFalse(yield* accounts.remove("Amélie"))
      assert.deepStrictEqual(yield* accounts.all, [other])
    })
  )

const execution = (name: string, state: Execution["state"]): Execution => ({
  id: name,
  organisation: ZERO,
  delivery: id("dlv_d"),
  contentVersion: 1,
  blob: digest("a"),
  testTaker: id("usr_t"),
  testCenter: id("ctr_c"),
  eligibility: id("elg_e"),
  wrap: id("kw:1:dlv_d:usr_t"),
  state,
  startedAt: 1
})

const executions = (claim: Claim<Executions>) =>
  claim(
    "list the executions that owe something, until they are settled",
    Effect.gen(function* () {
      const executions = yield* Executions
      assert.deepStrictEqual(yield* executions.unsettled, [])
      yield* executions.put(execution("b", "running"))
      yield* executions.put(execution("a", "pending"))
      yield* executions.put(execution("c", "settled"))
      assert.deepStrictEqual(yield* executions.unsettled, [
        execution("a", "pending"),
        execution("b", "running")
      ])
      yield* executions.put(execution("b", "pending"))
      yield* executions.put(execution("a", "settled"))
      assert.deepStrictEqual(yield* executions.unsettled, [execution("b", "pending")])
    })
  )

const lease = (claim: Claim<Lease>) => {
  /** Holds the lease until told to let go; answers once it is held. */
  const holder = Effect.fnUntraced(function* () {
    const lease = yield* Lease
    const held = yield* Deferred.make<void>()
    const go = yield* Deferred.make<void>()
    const fiber = yield* Effect.forkChild(
      lease.hold(Effect.andThen(Deferred.succeed(held, undefined), Deferred.await(go)))
    )
    yield* Deferred.await(held)
    return { fiber, letGo: Effect.andThen(Deferred.succeed(go, undefined), Fiber.join(fiber)) }
  })
  const refused = Effect.flatMap(Lease, (lease) => Effect.flip(lease.hold(Effect.void)))

  claim(
    "refuse a second synchronisation, and say since when the first runs",
    Effect.gen(function* () {
      const lease = yield* Lease
      yield* TestClock.adjust("1 hour")
      const first = yield* holder()
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* refused, { _tag: "SyncRunning", since: 3_600_000 })
      yield* first.letGo
      assert.strictEqual(yield* lease.hold(Effect.succeed("mine")), "mine")
    })
  )

  claim(
    "are free again after a synchronisation that failed or was cancelled",
    Effect.gen(function* () {
      const lease = yield* Lease
      assert.strictEqual(yield* Effect.flip(lease.hold(Effect.fail("no"))), "no")
      yield* Effect.exit(lease.hold(Effect.die("bug")))
      const cancelled = yield* holder()
      yield* Fiber.interrupt(cancelled.fiber)
      assert.strictEqual(yield* lease.hold(Effect.succeed("mine")), "mine")
    })
  )

  claim(
    "stay with one who takes long",
    Effect.gen(function* () {
      const lease = yield* Lease
      const first = yield* holder()
      for (let minute = 0; minute < 10; minute++) {
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual((yield* refused)._tag, "SyncRunning")
      }
      yield* first.letGo
      yield* lease.hold(Effect.void)
    })
  )

  claim(
    "let one of twenty at once go first, and the rest not at all",
    Effect.gen(function* () {
      const lease = yield* Lease
      const go = yield* Deferred.make<void>()
      const all = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.forkChild(Effect.result(lease.hold(Deferred.await(go))), { startImmediately: true })
      )
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(go, undefined)
      const ended = yield* Effect.forEach(all, Fiber.join)
      assert.strictEqual(ended.filter((one) => one._tag === "Success").length, 1)
      assert.isAbove(yield* Clock.currentTimeMillis, 0)
    })
  )
}
