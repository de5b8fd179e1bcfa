import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { Feeds, Hashing, Holdings } from "../application/ports.ts"
import { canonical } from "../domain/canonical.ts"
import { KINDS, type LtiConsumer } from "../domain/entity.ts"
import { type Change, type Cursor, PAGE_CHANGES, START } from "../domain/feed.ts"
import { Digest, EntityId } from "../domain/id.ts"
import { EMPTY } from "../domain/set-digest.ts"
import * as Observe from "./support/observe.ts"
import * as Office from "./support/office.ts"
import { beginNewLife } from "./support/site.ts"
import * as Town from "./support/town.ts"
import { HALL, ORGANISATION, TAKERS } from "./support/town.ts"

const NOTHING = { create: [], update: [], remove: [], keep: [], held: [] }

/** What the device holds, to the last byte. */
const state = Effect.gen(function* () {
  const holdings = yield* Holdings
  const cursor = yield* holdings.cursor(ORGANISATION)
  return { cursor, rows: yield* Observe.heldRows }
})

/** Whatever pull left must resolve and be what it says. */
const sound = Effect.gen(function* () {
  const hashing = yield* Hashing
  const rows = yield* Observe.heldRows
  Observe.assertSound(rows, hashing.sha256)
  Observe.assertResolves(rows)
})

/** What a device asked of the feed. */
const watched = (asked: Array<Cursor>) =>
  Town.instead((central) => ({
    ...central,
    page: (organisation, since) => {
      asked.push(since)
      return central.page(organisation, since)
    }
  }))

/** Lets somebody change the changes on their way. */
const forged = (forge: (changes: ReadonlyArray<Change>) => ReadonlyArray<Change>) =>
  Town.instead((central) => ({
    ...central,
    page: (organisation, since) =>
      Effect.map(central.page(organisation, since), (page) => ({
        ...page,
        changes: forge(page.changes)
      }))
  }))

describe("a pull", () => {
  it.live("brings exactly what central offers, and the second finds nothing to do", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      const first = yield* on(Town.pulled())
      assert.strictEqual(first.same, true)
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
      const people = 3 + TAKERS.length
      assert.lengthOf(first.plan.create, 1 + 1 + people + 1 + 1 + (TAKERS.length + 2))
      const before = yield* on(state)
      const second = yield* on(Town.pulled())
      assert.deepStrictEqual(second.plan, NOTHING)
      assert.deepStrictEqual(yield* on(state), before)
      yield* on(sound)
    })
  )

  it.live("changes nothing when it is a dry run, and says what it would do", () =>
    Effect.gen(function* () {
      const { on } = yield* Town.town
      const tried = yield* on(Town.pulled({ dryRun: true }))
      assert.deepStrictEqual(yield* on(state), { cursor: START, rows: [] })
      assert.deepStrictEqual((yield* on(Town.pulled())).plan, tried.plan)
    })
  )

  const lies: ReadonlyArray<readonly [string, (change: Change, other: Change) => Change]> = [
    [
      "not what its digest says",
      (change) => ({ ...change, body: change.body?.replace("hall", "Hall") ?? null })
    ],
    ["half a change", (change) => ({ ...change, body: null })],
    ["half a tombstone", (change) => ({ ...change, digest: null })],
    ["another entity's body", (change, { body, digest }) => ({ ...change, body, digest })],
    ["of another kind than announced", (change) => ({ ...change, kind: "delivery" })]
  ]
  for (const [name, lie] of lies) {
    it.live(`writes nothing when an entity is ${name}`, () =>
      Effect.gen(function* () {
        const { office, on } = yield* Town.town
        const hall = yield* office(Office.idOfCenter(ORGANISATION, HALL))
        const failure = yield* Town.pulled().pipe(
          forged((changes) =>
            changes.map((change, at) =>
              change.id === hall ? lie(change, changes.at(at - 1) ?? change) : change
            )
          ),
          Effect.flip,
          on
        )
        assert.strictEqual(failure._tag, "CentralInconsistent")
        assert.deepStrictEqual(yield* on(state), { cursor: START, rows: [] })
        assert.strictEqual((yield* on(Town.pulled())).same, true)
      })
    )
  }

  it.live("writes nothing when a key wrap is for another reader than its id says", () =>
    Effect.gen(function* () {
      const { on } = yield* Town.town
      const sha256 = yield* on(Effect.map(Hashing, (hashing) => hashing.sha256))
      const failure = yield* Town.pulled().pipe(
        forged((changes) =>
          changes.map((change) => {
            if (change.kind !== "key-wrap" || change.body === null) return change
            const body = change.body.replace('"version":1', '"version":2')
            return { ...change, body, digest: Digest.make(sha256(body)) }
          })
        ),
        Effect.flip,
        on
      )
      assert.strictEqual(failure._tag, "CentralInconsistent")
      assert.deepStrictEqual(yield* on(state), { cursor: START, rows: [] })
    })
  )

  it.live("writes nothing when something refers to what is not offered", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      const ada = yield* office(Office.idOfPerson("ada"))
      const failure = yield* Town.pulled().pipe(
        forged((changes) => changes.filter(({ id }) => id !== ada)),
        Effect.flip,
        on
      )
      assert.strictEqual(failure._tag, "CentralInconsistent")
      assert.deepStrictEqual((yield* on(state)).rows, [])
    })
  )

  it.live("refuses pages that stand still, go back or leave their order", () =>
    Effect.gen(function* () {
      const { on } = yield* Town.town
      yield* on(Town.pulled())
      const before = yield* on(state)
      const { epoch, version } = before.cursor
      const change: Change = {
        version: version + 1,
        kind: "delivery",
        id: EntityId.make("dlv_gone"),
        digest: null,
        body: null
      }
      const page = { organisation: ORGANISATION, epoch, head: version + 2, set: EMPTY }
      const bad = [
        { ...page, more: true, changes: [] },
        { ...page, more: false, changes: [{ ...change, version }] },
        { ...page, more: false, changes: [change, change] },
        { ...page, more: false, changes: [{ ...change, version: version + 3 }] },
        { ...page, more: false, changes: [], head: version - 1 }
      ]
      for (const wrong of bad) {
        const failure = yield* Town.pulled().pipe(
          Town.instead((central) => ({ ...central, page: () => Effect.succeed(wrong) })),
          Effect.flip,
          on
        )
        assert.strictEqual(failure._tag, "CentralInconsistent")
        assert.deepStrictEqual(yield* on(state), before)
      }
    })
  )

  it.live("removes only by tombstone or full snapshot", () =>
    Effect.gen(function* () {
      const { line, office, on } = yield* Town.town
      yield* on(Town.pulled())
      const before = yield* on(Town.keys())

      yield* office(Office.eligible(HALL, "math", ["ada", "ben"]))
      line.pageChanges = 1
      for (const at of [1, 2, 2]) {
        line.calls = 0
        line.trouble = { at, what: "cut" }
        assert.strictEqual((yield* on(Effect.flip(Town.pulled())))._tag, "CentralAway")
        assert.deepStrictEqual(yield* on(Town.keys()), before)
      }
      line.trouble = undefined
      const cem = yield* office(Office.idOfPerson("cem"))
      const told = yield* on(Town.pulled())
      assert.lengthOf(told.plan.remove, 2)
      assert.include(told.plan.remove, `test-taker/${cem}`)

      yield* office(Office.eligible(HALL, "math", ["ada"]))
      yield* on(Effect.flatMap(Holdings, (holdings) => holdings.restart(ORGANISATION)))
      assert.lengthOf((yield* on(Town.pulled())).plan.remove, 2)
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
    })
  )

  it.live("resumes from what was staged after an interruption", () =>
    Effect.gen(function* () {
      const { line, office, on } = yield* Town.town
      line.pageChanges = 4
      line.trouble = { at: 3, what: "silence" }
      const fiber = yield* Effect.forkChild(on(Town.pulled()))
      yield* Deferred.await(line.silent)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual((yield* on(state)).rows, [])

      line.trouble = undefined
      const asked: Array<Cursor> = []
      const told = yield* on(watched(asked)(Town.pulled()))
      // The page before the silent one was kept; the one beside it perhaps, since they overlap.
      assert.include([4, 8], asked[0]?.version)
      assert.strictEqual(told.same, true)
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
    })
  )

  for (const pageChanges of [1, 2, 3, 5, 7]) {
    it.live(`comes to the same with ${pageChanges} changes a page`, () =>
      Effect.gen(function* () {
        const { line, office, on } = yield* Town.town
        line.pageChanges = pageChanges
        assert.strictEqual((yield* on(Town.pulled())).same, true)
        assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
        yield* on(sound)
      })
    )
  }

  it.live("ends with the last state of an entity that changed while it was paging", () =>
    Effect.gen(function* () {
      const { central, line, office, on } = yield* Town.town
      line.pageChanges = 3
      line.trouble = { at: 4, what: "edited" }
      const edit = Effect.gen(function* () {
        yield* Office.people("test-taker", [{ login: "ada", label: "Ada the second" }])
        yield* Office.eligible(HALL, "math", ["ada", "ben"])
      })
      line.edit = Effect.asVoid(central.run(edit))
      const told = yield* on(Town.pulled())
      assert.strictEqual(told.same, true)
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
      yield* on(sound)
      assert.deepStrictEqual((yield* on(Town.pulled())).plan, NOTHING)
    })
  )

  for (const [changes, pages] of [
    [PAGE_CHANGES - 1, 1],
    [PAGE_CHANGES, 1],
    [PAGE_CHANGES + 1, 2]
  ] as const) {
    it.live(`fetches exactly ${changes} changes with ${pages} questions`, () =>
      Effect.gen(function* () {
        const { line, office, on } = yield* Town.town
        yield* office(fillTo(changes))
        const told = yield* on(Town.pulled())
        assert.strictEqual(line.calls, pages)
        assert.lengthOf(told.plan.create, changes)
        assert.strictEqual(told.same, true)
        assert.strictEqual(told.head, changes)
      })
    )
  }

  it.live("keeps organisations 0123, 123 and 1e3 apart, and those that only look alike", () =>
    Effect.gen(function* () {
      const { central, device, line, office, on } = yield* Town.town
      const others = ["123", "1e3", "1000", "0x7b", "é=&/?", "A", "a"]
      for (const [at, organisation] of others.entries()) {
        const login = `manager ${at}`
        yield* office(Office.people("sync-manager", [{ login, organisation }]))
        yield* office(Office.center(organisation, HALL))
        const proof = { login, password: Office.passwordOf(login) }
        yield* Office.enrolDevice(central, device, line, proof)
      }
      yield* on(Town.synced())
      const rows = yield* on(Observe.heldRows)
      for (const [at, organisation] of others.entries()) {
        const hall = yield* office(Office.idOfCenter(organisation, HALL))
        const manager = yield* office(Office.idOfPerson(`manager ${at}`))
        assert.deepStrictEqual(
          Observe.keysIn(rows, organisation, 0),
          [
            `organisation/org:${organisation}`,
            `sync-manager/${manager}`,
            `test-center/${hall}`
          ].sort()
        )
      }
      yield* on(sound)
    })
  )

  it.live("asks before removing more than a tenth, and then obeys", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      const crowd = Array.from({ length: 12 }, (_, at) => `taker${at}`)
      yield* office(
        Office.people(
          "test-taker",
          crowd.map((login) => ({ login }))
        )
      )
      yield* office(Office.eligible(HALL, "math", [...TAKERS, ...crowd]))
      yield* on(Town.pulled())
      const before = yield* on(state)

      yield* office(Office.eligible(HALL, "math", [...TAKERS, ...crowd.slice(11)]))
      const refused = yield* on(Effect.flip(Town.pulled()))
      assert.strictEqual(refused._tag, "RemovalNeedsConfirmation")
      if (refused._tag === "RemovalNeedsConfirmation") {
        assert.deepStrictEqual([refused.removing, refused.holding], [11, 2 + 3 + 15 + 2])
      }
      assert.deepStrictEqual(yield* on(state), before)
      assert.strictEqual((yield* on(Town.pulled({ confirmRemovals: true }))).same, true)
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
    })
  )
})

/** Offers so many entities that the organisation's feed has exactly `count` changes. */
const fillTo = Effect.fnUntraced(function* (count: number) {
  const feeds = yield* Feeds
  const hashing = yield* Hashing
  const { head } = yield* feeds.buckets(ORGANISATION)
  const offers = Array.from({ length: count - head }, (_, at) => {
    const id = EntityId.make(`lti_${at}`)
    const consumer: LtiConsumer = { kind: "lti-consumer", id, label: `${at}`, key: "k", secret: "" }
    const body = canonical(consumer)
    return {
      key: { kind: "lti-consumer" as const, id },
      stamp: "1",
      digest: hashing.sha256(body),
      body
    }
  })
  yield* feeds.append(ORGANISATION, offers)
})

describe("a limited pull", () => {
  for (const kind of KINDS) {
    it.live(`of ${kind} brings what it names along`, () =>
      Effect.gen(function* () {
        const { on } = yield* Town.town
        const told = yield* on(Town.pulled({ kinds: [kind] }))
        assert.isTrue(
          kind === "lti-consumer" || told.plan.create.some((key) => key.startsWith(kind))
        )
        yield* on(sound)
        assert.strictEqual((yield* on(Town.pulled())).same, true)
      })
    )
  }

  it.live("brings but never takes away", () =>
    Effect.gen(function* () {
      const { office, on, published } = yield* Town.town
      yield* on(Town.pulled())
      const before = yield* on(Town.keys())
      yield* office(Office.eligible(HALL, "math", ["ada"]))
      yield* office(published("art", "a picture"))
      yield* office(Office.eligible(HALL, "art", ["ada"]))
      const told = yield* on(Town.pulled({ kinds: ["delivery", "eligibility"] }))
      assert.deepStrictEqual(told.plan.remove, [])
      assert.strictEqual(told.same, undefined)
      const after = new Set(yield* on(Town.keys()))
      for (const key of before) assert.isTrue(after.has(key), key)
      assert.isTrue(after.has("delivery/dlv_art"))
      yield* on(sound)

      const whole = yield* on(Town.pulled())
      assert.lengthOf(whole.plan.remove, 4)
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
    })
  )

  it.live("that broke off leaves nothing behind for a whole pull to build on", () =>
    Effect.gen(function* () {
      const { line, office, on } = yield* Town.town
      line.pageChanges = 4
      line.trouble = { at: 3, what: "cut" }
      assert.strictEqual(
        (yield* on(Effect.flip(Town.pulled({ kinds: ["proctor"] }))))._tag,
        "CentralAway"
      )
      line.trouble = undefined
      const told = yield* on(Town.pulled())
      assert.strictEqual(told.same, true)
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
    })
  )

  it.live(
    "does not stop at a restored central, and leaves the snapshot to the next whole pull",
    () =>
      Effect.gen(function* () {
        const { central, on, root } = yield* Town.town
        yield* on(Town.pulled())
        const before = yield* on(Town.keys())
        yield* restored(central, root, "another life")
        yield* on(Town.pulled({ kinds: ["delivery"] }))
        assert.deepStrictEqual(yield* on(Town.keys()), before)
        assert.strictEqual((yield* on(Town.pulled())).same, true)
      })
  )
})

/** Brings central back as it was at its copy, in another life where one is named. */
const restored = Effect.fnUntraced(function* (
  central: Town.Town["central"],
  root: string,
  epoch?: string,
  copy?: string
) {
  yield* central.reopen(copy === undefined ? Effect.void : central.restoreFrom(`${root}/${copy}`))
  if (epoch !== undefined) yield* central.run(beginNewLife(epoch))
})

describe("a restored central", () => {
  for (const [name, epoch] of [
    ["with an older head", undefined],
    ["in another life", "another life"]
  ] as const) {
    it.live(`${name} forces a full snapshot at the first pull`, () =>
      Effect.gen(function* () {
        const { central, line, office, on, published, root } = yield* Town.town
        yield* on(Town.pulled())
        central.copyTo(`${root}/copy`)
        yield* office(published("art", "a picture"))
        yield* office(Office.eligible(HALL, "art", ["ada"]))
        yield* on(Town.pulled())
        assert.include(yield* on(Town.keys()), "delivery/dlv_art")

        yield* restored(central, root, epoch, "copy")
        line.pageChanges = 5
        const told = yield* on(Town.pulled())
        assert.include(told.plan.remove, "delivery/dlv_art")
        assert.strictEqual(told.same, true)
        assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
        yield* on(sound)
      })
    )
  }

  it.live("asks first when the snapshot would remove more than a tenth", () =>
    Effect.gen(function* () {
      const { central, office, on, root } = yield* Town.town
      const crowd = Array.from({ length: 12 }, (_, at) => `taker${at}`)
      central.copyTo(`${root}/copy`)
      yield* office(
        Office.people(
          "test-taker",
          crowd.map((login) => ({ login }))
        )
      )
      yield* office(Office.eligible(HALL, "math", crowd))
      yield* on(Town.pulled())
      const before = yield* on(Town.keys())
      yield* restored(central, root, "another life", "copy")
      for (let times = 0; times < 2; times++) {
        const refused = yield* on(Effect.flip(Town.pulled()))
        assert.strictEqual(refused._tag, "RemovalNeedsConfirmation")
        assert.deepStrictEqual(yield* on(Town.keys()), before)
      }
      yield* on(Town.pulled({ confirmRemovals: true }))
      assert.deepStrictEqual(yield* on(Town.keys()), yield* office(Town.offered))
    })
  )
})
