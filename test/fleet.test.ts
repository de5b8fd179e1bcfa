import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { centerCompleteness } from "../domain/completeness.ts"
import { CERTIFICATE_MILLIS } from "../domain/enrolment.ts"
import { type DeviceKnown, FLEET_CHECKS, type FleetFinding, judgeDevice } from "../domain/fleet.ts"
import { DeviceId, EntityId } from "../domain/id.ts"
import { fleetText } from "../entrypoints/fleet-words.ts"

const DAY = 24 * 3_600_000
const NOW = Date.UTC(2026, 10, 23, 8)
const GIGA = 1024 ** 3

const WELL: DeviceKnown = {
  state: "active",
  program: "0.1.0/1",
  enrolledAt: NOW - 100 * DAY,
  lastContact: { at: NOW - DAY, carrier: "https" },
  report: { at: NOW - DAY, disk: { free: 40 * GIGA, total: 100 * GIGA }, alarms: [] },
  pending: 0,
  changes: 0,
  contents: 0,
  missing: 0,
  quarantined: 0,
  conflicts: 0,
  forked: false
}

const checks = (change: Partial<DeviceKnown>) =>
  judgeDevice({ ...WELL, ...change }, NOW).findings.map(({ check, level }) => `${check} ${level}`)

const report = (at: number, free: number, ...alarms: ReadonlyArray<string>) => ({
  report: { at, disk: { free, total: 100 * GIGA }, alarms }
})

describe("a device in the fleet", () => {
  it("is well when there is nothing to say of it", () => {
    assert.deepStrictEqual(judgeDevice(WELL, NOW), { level: "ready", findings: [] })
  })

  for (const [claim, change, expected] of [
    ["was never heard of", { lastContact: null, report: null }, ["never blocked"]],
    [
      "has been silent for more than two weeks",
      { lastContact: { at: NOW - 15 * DAY, carrier: "bundle" } },
      ["contact warning"]
    ],
    ["is behind", { changes: 12 }, ["behind warning"]],
    ["has no place in the feed any more", { changes: null }, ["anew warning"]],
    ["lacks a test", { contents: 1 }, ["contents warning"]],
    ["owes records", { missing: 3 }, ["missing warning"]],
    ["sent what nobody could accept", { quarantined: 1 }, ["quarantined blocked"]],
    ["sent two records under one name", { conflicts: 2 }, ["conflicts blocked"]],
    ["was restored from a copy", { forked: true }, ["forked blocked"]],
    ["has little disk left", report(NOW - DAY, GIGA), ["disk warning"]],
    ["has no disk left", report(NOW - DAY, 1000), ["disk blocked"]],
    ["has a fast clock", report(NOW + 3_600_000, 40 * GIGA), ["clock blocked"]],
    ["says that records wait on it", { pending: 4 }, ["pending warning"]],
    [
      "says what keeps it from its work",
      report(NOW - DAY, 40 * GIGA, "results-key", "disk", "unheard-of", "unheard-of-too"),
      ["alarm-results-key blocked", "alarm-other blocked"]
    ],
    ["is of a version that is too new", { program: "9.0.0/1" }, ["program-new blocked"]],
    ["is of a version that is too old", { program: "0.0.9" }, ["program-old blocked"]],
    ["is blocked", { state: "blocked" }, ["blocked blocked"]],
    [
      "was enrolled almost a year ago, and comes by stick",
      {
        enrolledAt: NOW - CERTIFICATE_MILLIS + 10 * DAY,
        lastContact: { at: NOW - DAY, carrier: "bundle" }
      },
      ["certificate warning"]
    ]
  ] as const satisfies ReadonlyArray<
    readonly [string, Partial<DeviceKnown>, ReadonlyArray<string>]
  >) {
    it(`is found out when it ${claim}`, () => {
      assert.deepStrictEqual(checks(change), [...expected])
    })
  }

  it("that is online has renewed its certificate, however long ago it was enrolled", () => {
    assert.deepStrictEqual(checks({ enrolledAt: NOW - 800 * DAY }), [])
  })

  it("that was let go for good is asked for nothing but what it never sent", () => {
    const gone = { state: "revoked", changes: 9, lastContact: null, missing: 2 } as const
    assert.deepStrictEqual(checks(gone), ["revoked warning", "missing warning"])
  })

  it("says nothing of a disk that it never told of", () => {
    assert.deepStrictEqual(
      checks({ report: { at: NOW, disk: { free: 0, total: 0 }, alarms: [] } }),
      []
    )
  })

  const known = fc.record({
    state: fc.constantFrom("active", "blocked", "revoked"),
    program: fc.option(fc.constantFrom("", "0.1.0", "0.0.1", "7.1.1/2", "what")),
    enrolledAt: fc.integer({ min: NOW - 900 * DAY, max: NOW }),
    lastContact: fc.option(
      fc.record({
        at: fc.integer({ min: NOW - 400 * DAY, max: NOW }),
        carrier: fc.constantFrom("https", "bundle")
      })
    ),
    report: fc.option(
      fc.record({
        at: fc.integer({ min: 1, max: NOW + DAY }),
        disk: fc.record({ free: fc.nat(), total: fc.nat() }),
        alarms: fc.array(fc.constantFrom("disk", "clock", "results-key", "fetched", "new", "newer"))
      })
    ),
    changes: fc.option(fc.nat()),
    contents: fc.nat(),
    missing: fc.nat(),
    pending: fc.nat(),
    quarantined: fc.nat(),
    conflicts: fc.nat(),
    forked: fc.boolean()
  })

  it("is judged by its worst finding, which comes first", () => {
    fc.assert(
      fc.property(known, (device) => {
        const { findings, level } = judgeDevice(device, NOW)
        assert.strictEqual(level, findings[0]?.level ?? "ready")
        assert.isTrue(findings.every((one) => one.level !== "ready"))
        const named = findings.map(({ check }) => check)
        assert.strictEqual(new Set(named).size, named.length)
      })
    )
  })

  it("is never better off for owing more", () => {
    fc.assert(
      fc.property(known, fc.nat(), (device, more) => {
        const worse = { ...device, missing: device.missing + more, quarantined: more }
        const of = (one: DeviceKnown) =>
          ["ready", "warning", "blocked"].indexOf(judgeDevice(one, NOW).level)
        assert.isAtLeast(of(worse), of({ ...device, quarantined: 0 }))
      })
    )
  })
})

describe("the words about a device", () => {
  const say = (check: FleetFinding["check"], figures: FleetFinding["figures"]) =>
    fleetText({ check, level: "warning", figures }, "en", "UTC")

  it("say how far it is behind, and since when", () => {
    assert.match(
      say("behind", { have: 12, since: NOW }),
      /^Behind by 12 changes since Monday,? 23 November 2026\.$/u
    )
    assert.match(say("missing", { have: 1 }), /^1 record is missing\./u)
  })

  it("are there in both languages for everything that can be found", () => {
    const figures = { have: 2, since: NOW, at: NOW, ends: NOW, free: 1, ahead: 600_000 }
    for (const check of FLEET_CHECKS) {
      const texts = (["en", "fr"] as const).map((language) =>
        fleetText({ check, level: "warning", figures }, language, "UTC")
      )
      assert.notStrictEqual(texts[0], texts[1])
      for (const text of texts) assert.notMatch(text, /undefined|NaN|\?/u)
    }
  })
})

describe("the completeness of a center", () => {
  it("counts those who may sit there, and nobody else", () => {
    const [ada, bo, cy] = ["tt_ada", "tt_bo", "tt_cy"].map((id) => EntityId.make(id))
    assert.isTrue(ada !== undefined && bo !== undefined && cy !== undefined)
    if (ada === undefined || bo === undefined || cy === undefined) return
    const device = DeviceId.make("dev_0123456789abcdef")
    assert.deepStrictEqual(
      centerCompleteness(
        { id: EntityId.make("tc_hall"), label: "Hall", eligible: [ada, bo] },
        {
          notSat: [bo, cy],
          missing: [
            { testTaker: ada, device },
            { testTaker: cy, device }
          ]
        }
      ),
      { center: EntityId.make("tc_hall"), label: "Hall", eligible: 2, sat: 1, missing: 1 }
    )
  })
})
