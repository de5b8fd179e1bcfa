import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Option, Stream } from "effect"
import * as fc from "fast-check"
import { Blobs, Holdings } from "../application/ports.ts"
import { readiness } from "../application/readiness.ts"
import { EntityId, OrganisationId } from "../domain/id.ts"
import { CHECKS, type DeviceFacts, judge, type RoomFacts } from "../domain/readiness.ts"
import { readMoment } from "../entrypoints/readiness-commands.ts"
import { findingText } from "../entrypoints/readiness-words.ts"
import { exam, sitting } from "./support/exam.ts"
import { ORGANISATION } from "./support/town.ts"

const NOW = Date.UTC(2027, 2, 1, 8)
const DAY = 24 * 3_600_000

const WELL: DeviceFacts = {
  now: NOW,
  enrolled: true,
  fetchedAt: NOW - DAY,
  knownPast: NOW - DAY,
  diskFree: 50e9,
  certificateEnds: NOW + 300 * DAY,
  rootEnds: NOW + 900 * DAY,
  resultsKey: true,
  resultsWaiting: 0,
  inProgress: 0
}
const ROOM: RoomFacts = {
  organisation: OrganisationId.make("0123"),
  center: EntityId.make("tc_1"),
  centerLabel: "Hall",
  delivery: EntityId.make("dlv_1"),
  label: "Maths",
  contentHere: true,
  openedAt: NOW - DAY,
  from: NOW,
  to: NOW + 2 * DAY,
  proctored: true,
  proctors: 2,
  testTakers: { named: 20, present: 20, withKey: 20 }
}
const TOMORROW = NOW + DAY

const levelOf = (device: Partial<DeviceFacts>, room: Partial<RoomFacts> = {}, at = TOMORROW) =>
  judge({ ...WELL, ...device }, [{ ...ROOM, ...room }], at).rooms[0]?.level

describe("readiness", () => {
  it("is given where everything is there", () => {
    const judged = judge(WELL, [ROOM], TOMORROW)
    assert.strictEqual(judged.level, "ready")
    assert.isTrue(judged.rooms[0]?.findings.every(({ level }) => level === "ready"))
  })

  it("is refused where somebody could not sit: each lack alone is enough", () => {
    const lacks: ReadonlyArray<[Partial<DeviceFacts>, Partial<RoomFacts>]> = [
      [{}, { contentHere: false }],
      [{}, { testTakers: { named: 20, present: 19, withKey: 19 } }],
      [{}, { testTakers: { named: 20, present: 20, withKey: 19 } }],
      [{}, { testTakers: { named: 0, present: 0, withKey: 0 } }],
      [{}, { proctors: 0 }],
      [{}, { from: TOMORROW + 1 }],
      [{}, { to: TOMORROW }],
      [{ enrolled: false }, {}],
      [{ fetchedAt: null }, {}],
      [{ diskFree: 1e6 }, {}],
      [{ knownPast: NOW + 1 }, {}],
      [{ resultsKey: false }, {}]
    ]
    for (const [device, room] of lacks) assert.strictEqual(levelOf(device, room), "blocked")
  })

  it("warns of what does not keep anybody from sitting", () => {
    const cares: ReadonlyArray<[Partial<DeviceFacts>, Partial<RoomFacts>]> = [
      [{}, { openedAt: null }],
      [{ fetchedAt: NOW - 15 * DAY }, {}],
      [{ diskFree: 1e9 }, {}],
      [{ certificateEnds: NOW + 10 * DAY }, {}],
      [{ rootEnds: NOW + 10 * DAY }, {}],
      [{ resultsWaiting: 3 }, {}],
      [{ inProgress: 1 }, {}]
    ]
    for (const [device, room] of cares) assert.strictEqual(levelOf(device, room), "warning")
    assert.strictEqual(levelOf({}, { proctored: false, proctors: 0 }), "ready")
  })

  it("of a device is its worst room's, and a device's own lack is every room's", () => {
    const level = fc.constantFrom<Partial<RoomFacts>>(
      {},
      { openedAt: null },
      { contentHere: false }
    )
    fc.assert(
      fc.property(fc.array(level, { maxLength: 5 }), fc.boolean(), (rooms, enrolled) => {
        const all = rooms.map((room) => ({ ...ROOM, ...room }))
        const judged = judge({ ...WELL, enrolled }, all, TOMORROW)
        const levels = judged.rooms.map((one) => one.level)
        const worst = ["blocked", "warning", "ready"].find((one) =>
          [...levels, ...judged.device.map((own) => own.level)].some((each) => each === one)
        )
        assert.strictEqual(judged.level, worst)
        if (!enrolled) assert.isTrue(levels.every((one) => one === "blocked"))
      })
    )
  })

  it("has words for every check and level, in both languages, without holes", () => {
    const figures = { at: NOW, have: 1, want: 2, from: NOW, to: NOW, free: 5, now: NOW, past: NOW }
    for (const check of CHECKS) {
      for (const level of ["ready", "warning", "blocked"] as const) {
        const finding = { check, level, figures: { ...figures, ends: NOW } }
        const [en, fr] = [findingText(finding, "en", "UTC"), findingText(finding, "fr", "UTC")]
        assert.notMatch(`${en}${fr}`, /undefined|NaN|\?\./u)
        assert.notStrictEqual(en, fr)
      }
    }
  })

  it("takes moments as people write them, and nothing else", () => {
    assert.deepStrictEqual(readMoment("2027-03-01T08:00Z"), Option.some(NOW))
    for (const good of ["2027-03-01", "2027-03-01 08:00", "2027-03-01T08:00:30"]) {
      assert.isTrue(Option.isSome(readMoment(good)), good)
    }
    for (const bad of ["", "tomorrow", "2027-13-01", "2027-03-01 25:00", "01.03.2027"]) {
      assert.isTrue(Option.isNone(readMoment(bad)), bad)
    }
  })
})

describe("a device before the exam", () => {
  it.live("tells each test of each center, and what is not there any more", () =>
    Effect.gen(function* () {
      const { on } = yield* exam
      const tomorrow = (yield* Clock.currentTimeMillis) + DAY
      const first = yield* on(readiness(tomorrow))
      assert.deepStrictEqual(first.rooms.map(({ label, level }) => [label, level]).sort(), [
        ["Test essay", "warning"],
        ["Test maths", "warning"]
      ])
      assert.deepStrictEqual(
        first.rooms[0]?.findings.filter(({ level }) => level !== "ready").map(({ check }) => check),
        ["trial"]
      )
      yield* on(sitting("ada"))
      const begun = yield* on(readiness(tomorrow))
      const trial = (label: string) =>
        begun.rooms
          .find((room) => room.label === label)
          ?.findings.find(({ check }) => check === "trial")?.level
      assert.deepStrictEqual([trial("Test maths"), trial("Test essay")], ["ready", "warning"])
      assert.strictEqual(begun.device.find(({ check }) => check === "in-progress")?.figures.have, 1)

      yield* on(loseContent)
      const lost = yield* on(readiness(tomorrow))
      assert.strictEqual(lost.level, "blocked")
      assert.isTrue(lost.rooms.every(({ level }) => level === "blocked"))
    })
  )
})

/** The blobs are gone from the disk, all of them. */
const loseContent = Effect.gen(function* () {
  const blobs = yield* Blobs
  const holdings = yield* Holdings
  const held = holdings.entities(OrganisationId.make(ORGANISATION), ["delivery"])
  assert.strictEqual((yield* Stream.runCollect(held)).length, 2)
  assert.strictEqual(yield* blobs.sweep(new Set()), 2)
})
