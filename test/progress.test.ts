/** The rules of domain/progress.ts, by number. */
import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import {
  estimate,
  type ProgressEvent,
  percent,
  rate,
  type Track,
  track
} from "../domain/progress.ts"

const natural = fc.integer({ min: 0, max: 40 })
const seen = fc.record({
  // Small and sometimes negative steps: clocks are set back on old machines.
  wait: fc.integer({ min: -2_000, max: 8_000 }),
  event: fc
    .record(
      {
        phase: fc.constantFrom<ProgressEvent["phase"]>("started", "running", "running", "finished"),
        done: natural,
        total: natural,
        bytes: natural,
        totalBytes: natural
      },
      { requiredKeys: ["phase", "done"] }
    )
    .map((event): ProgressEvent => ({ kind: "blob", label: "Tests", ...event }))
})
const story = fc.array(seen, { minLength: 1, maxLength: 60 })

/** Every state that a watcher of these events would see, with the time it is looked at. */
const watched = (events: ReadonlyArray<{ wait: number; event: ProgressEvent }>) => {
  const states: Array<{ before: Track | undefined; event: ProgressEvent; now: Track; at: number }> =
    []
  let at = 1_000_000
  let known: Track | undefined
  for (const { wait, event } of events) {
    at += wait
    const now = track(known, event, at)
    states.push({ before: known, event, now, at })
    known = now
  }
  return states
}

const steady = (seconds: number, everyMillis: number, total: number) => {
  let known: Track | undefined
  for (let at = 0; at <= seconds * 1000; at += everyMillis) {
    const done = at / everyMillis
    const phase = at === 0 ? "started" : "running"
    known = track(known, { kind: "result", label: "Results", done, total, phase }, at)
  }
  if (known === undefined) throw new Error("no events")
  return known
}

describe("progress", () => {
  it("1: never goes back within one run", () => {
    fc.assert(
      fc.property(story, (events) => {
        for (const { before, event, now } of watched(events)) {
          if (before === undefined || event.phase === "started") continue
          assert.isAtLeast(now.done, before.done)
          assert.isAtLeast(now.bytes ?? 0, before.bytes ?? 0)
        }
      })
    )
  })

  it("2: shows 100 % when finished, and never before", () => {
    fc.assert(
      fc.property(story, (events) => {
        for (const { now } of watched(events)) {
          const shown = percent(now)
          assert.strictEqual(shown === 100, now.phase === "finished")
          if (shown !== undefined)
            assert.isTrue(Number.isInteger(shown) && shown >= 0 && shown <= 100)
        }
      })
    )
  })

  it("3: has a rate and a remaining time that are finite and not negative, whenever one looks", () => {
    fc.assert(
      fc.property(story, fc.integer({ min: -5_000, max: 60_000 }), (events, later) => {
        for (const { now, at } of watched(events)) {
          const perSecond = rate(now, at + later) ?? 0
          assert.isTrue(Number.isFinite(perSecond) && perSecond >= 0, `rate ${perSecond}`)
          const left = estimate(now, at + later)
          if (left._tag !== "Remaining") continue
          assert.isTrue(Number.isFinite(left.millis) && left.millis >= 0, `left ${left.millis}`)
        }
      })
    )
  })

  it("3: remembers a bounded number of samples, however many events come", () => {
    assert.isAtMost(steady(3_600, 100, 40_000).samples.length, 40)
  })

  it("4: says that it is estimating until two seconds were seen", () => {
    assert.deepStrictEqual(estimate(steady(1, 100, 50), 1_000), { _tag: "Estimating" })
    assert.strictEqual(estimate(steady(3, 100, 50), 3_000)._tag, "Remaining")
  })

  it("4: says that it is estimating while the total is unknown", () => {
    const event = { kind: "x", label: "x", phase: "running" } as const
    const known = track(track(undefined, { ...event, done: 1 }, 0), { ...event, done: 9 }, 9_000)
    assert.deepStrictEqual(estimate(known, 9_000), { _tag: "Estimating" })
    assert.isUndefined(percent(known))
  })

  it("4: is right about work that goes steadily", () => {
    const known = steady(10, 100, 200)
    assert.approximately(rate(known, 10_000) ?? 0, 10, 0.5)
    const left = estimate(known, 10_000)
    assert.approximately(left._tag === "Remaining" ? left.millis : 0, 10_000, 500)
  })

  it("4: slows down while nothing comes, and then says that it has stalled", () => {
    const known = steady(10, 100, 200)
    assert.isBelow(rate(known, 18_000) ?? 99, 7)
    assert.deepStrictEqual(estimate(known, 40_000), { _tag: "Stalled" })
  })

  it("forgets the last run when a new one starts", () => {
    const again = track(
      steady(5, 100, 50),
      { kind: "result", label: "", done: 0, phase: "started" },
      6_000
    )
    assert.strictEqual(again.done, 0)
    assert.isUndefined(again.total)
    assert.isUndefined(rate(again, 6_000))
  })

  it("grows a total that was overtaken instead of passing 100 %", () => {
    const event = { kind: "x", label: "x", done: 7, total: 5, phase: "running" } as const
    assert.strictEqual(track(undefined, event, 0).total, 7)
  })
})
