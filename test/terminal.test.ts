/** What people see: tables, units, progress. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { report } from "../application/progress.ts"
import { Refused } from "../application/refused.ts"
import { track } from "../domain/progress.ts"
import {
  cut,
  padded,
  plain,
  refusalText,
  type Screen,
  table,
  width
} from "../entrypoints/terminal.ts"
import { bars, showProgress } from "../entrypoints/terminal-progress.ts"
import { byteSize, count, duration, roughDuration } from "../entrypoints/terminal-units.ts"

const text = fc.string({ unit: "grapheme", maxLength: 30 })

/** A screen that keeps what is written. */
const paper = (isTerminal: boolean): Screen & { readonly written: Array<string> } => {
  const written: Array<string> = []
  return {
    isTerminal,
    canColor: isTerminal,
    columns: () => 80,
    write: (said) => void written.push(said),
    written
  }
}

describe("a table", () => {
  it("stands in columns, whatever the width of the characters", () => {
    const rows = [
      ["小学校", 7],
      ["Škola", 1200],
      ["e\u0301cole", 30]
    ]
    assert.strictEqual(
      table(["SCHOOL", { title: "READY", align: "right" }], rows),
      [
        "SCHOOL  READY",
        "------  -----",
        "小学校      7",
        "Škola    1200",
        "e\u0301cole      30"
      ].join("\n")
    )
  })

  it("has its titles when there are no rows", () => {
    assert.strictEqual(table(["A", "B"], []), "A  B\n-  -")
  })

  it("lays out a hundred thousand rows", () => {
    const rows = Array.from({ length: 100_000 }, (_, i) => [`taker-${i}`, i])
    assert.lengthOf(table(["LOGIN", "N"], rows).split("\n"), 100_002)
  })

  it("never lets a cell move the cursor or turn the line around", () => {
    const drawn = table(["NAME"], [["\u001B[2Jx\ny\u202Ez\u009B1A"]])
    assert.notMatch(drawn.replaceAll("\n", ""), /\p{Cc}|\u202E/u)
    assert.lengthOf(drawn.split("\n"), 3)
  })
})

describe("text", () => {
  it("is cut to a width without splitting a character", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 40 }), (said, columns) => {
        assert.isAtMost(width(cut(said, columns)), columns)
      })
    )
    assert.strictEqual(cut("小学校", 4), "小…")
  })

  it("is filled up to a width, and never cut by it", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 40 }), (said, columns) => {
        assert.strictEqual(width(padded(said, columns)), Math.max(width(said), columns))
      })
    )
  })

  it("of a refusal keeps its lines under their word and its colours off where there are none", () => {
    const refused = new Refused({ code: "E_TEST", what: "No.\u001B[31m", why: "a\nb", todo: "c" })
    assert.strictEqual(
      refusalText(refused, paper(false)),
      `error: No.${plain("\u001B")}[31m\n  why: a\n       b\n  do: c\n`
    )
    assert.include(refusalText(refused, paper(true)), "\u001B[31merror:\u001B[0m")
  })
})

describe("units", () => {
  it("are the ones that people use", () => {
    assert.deepStrictEqual(
      [0, 999, 1000, 1449, 9_960, 999_499, 999_500, 52e9, 9e15].map(byteSize),
      ["0 B", "999 B", "1.0 kB", "1.4 kB", "10 kB", "999 kB", "1.0 MB", "52 GB", "9000 TB"]
    )
    assert.deepStrictEqual(
      [0, 999, 59_400, 59_600, 200_000, 7_500_000, 273_600_000].map(duration),
      ["0 ms", "999 ms", "59 s", "1 min", "3 min 20 s", "2 h 5 min", "3 d 4 h"]
    )
    assert.deepStrictEqual([0, 8_100, 41_000, 100_000, 7_500_000].map(roughDuration), [
      "1 s",
      "9 s",
      "45 s",
      "2 min",
      "2 h 5 min"
    ])
    assert.strictEqual(count(1_234_567), "1,234,567")
  })
})

describe("progress bars", () => {
  const blob = (done: number, atMillis: number, label = "Downloading tests") =>
    track(
      undefined,
      { kind: "blob", label, done, total: 262, bytes: 12e6, totalBytes: 4e7, phase: "running" },
      atMillis
    )

  it("tell done and total, share and bytes, one line for each kind", () => {
    const log = track(undefined, { kind: "log", label: "Logs", done: 9, phase: "running" }, 0)
    assert.deepStrictEqual(bars([blob(118, 0), log], 0, 120), [
      "Downloading tests  [######--------------]   30 %  118 of 262  estimating  12 MB of 40 MB",
      "Logs               [????????????????????]  9  estimating"
    ])
  })

  it("are never wider than the screen, and never show half a number", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 10, max: 140 }), (label, columns) => {
        for (const line of bars([blob(118, 0, label)], 0, columns)) {
          assert.isBelow(width(line), columns)
          assert.notMatch(line, /(?<!\d)(118 of 2?6?|11?8? ?o?f?)$/)
        }
      })
    )
  })

  it.effect("are drawn over themselves, and their last state stays", () =>
    Effect.gen(function* () {
      const screen = paper(true)
      const work = Effect.gen(function* () {
        yield* report({ kind: "a", label: "A", done: 0, total: 2, phase: "started" })
        yield* Effect.sleep("1 second")
        yield* report({ kind: "a", label: "A", done: 2, total: 2, phase: "finished" })
      })
      const fiber = yield* Effect.forkChild(showProgress(work, screen))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.isAbove(screen.written.length, 5)
      const [first = "", second = ""] = screen.written
      assert.notInclude(first, "\u001B[1A")
      assert.isTrue(second.startsWith("\u001B[1A\r"))
      assert.include(screen.written.at(-1), "100 %  2 of 2")
    })
  )

  it.effect("stay above nothing: a warning is written over them, and they come again below", () =>
    Effect.gen(function* () {
      const screen = paper(true)
      const work = Effect.gen(function* () {
        yield* report({ kind: "a", label: "A", done: 0, phase: "started" })
        yield* Effect.sleep("1 second")
        yield* Effect.logWarning("late")
      })
      const fiber = yield* Effect.forkChild(showProgress(work, screen))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      const [warning = "", after = ""] = screen.written.slice(-2)
      assert.isTrue(warning.startsWith("\u001B[1A\r\u001B[J") && warning.endsWith("late\n"))
      assert.notInclude(after, "\u001B[1A")
    })
  )
})

describe("progress without a terminal", () => {
  const work = (seconds: number) =>
    Effect.gen(function* () {
      for (let done = 0; done <= seconds * 10; done += 1) {
        yield* report({ kind: "a", label: "Sending", done, total: seconds * 10, phase: "running" })
        yield* Effect.sleep("100 millis")
      }
    })
  const lines = Effect.fnUntraced(function* (seconds: number) {
    const screen = paper(false)
    const fiber = yield* Effect.forkChild(showProgress(work(seconds), screen))
    yield* TestClock.adjust(`${seconds + 1} seconds`)
    yield* Fiber.join(fiber)
    return screen.written
  })

  it.effect("is a plain line every five seconds", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* lines(20), [
        "Sending: 25 %, 50 of 200, about 15 s left, 10.0/s\n",
        "Sending: 50 %, 100 of 200, about 10 s left, 10.0/s\n",
        "Sending: 75 %, 150 of 200, about 5 s left, 10.0/s\n",
        "Sending: 99 %, 200 of 200, about 1 s left, 10.0/s\n"
      ])
    })
  )

  it.effect("is nothing for a command that is quick", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* lines(4), [])
    })
  )
})
