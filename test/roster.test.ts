import { assert, describe, it } from "@effect/vitest"
import { DateTime, Redacted, Result, Schema } from "effect"
import fc from "fast-check"
import {
  emptyReport,
  PROBLEMS_KEPT_MAX,
  problemLine,
  type RowOutcome,
  reportLines,
  reportWith
} from "../domain/import-report.ts"
import {
  EligibilityRow,
  eligibilities,
  type Roster,
  type RosterItem,
  rosterReader,
  TestCenterRow,
  testCenters,
  UserRow,
  users
} from "../domain/roster.ts"
import { LABEL_LENGTH_MAX, type RowProblem, VALUE_SHOWN_MAX } from "../domain/roster-cells.ts"

const anyPassword = () => undefined
const takers = users("test-taker", anyPassword)
const userHeader = ["label", "login", "password", "interface language", "mail"]

/** Reads rows below a header as the reader of files would, one line each. */
const readAll = <Row>(
  roster: Roster<Row>,
  header: ReadonlyArray<string>,
  ...rows: ReadonlyArray<ReadonlyArray<string>>
): ReadonlyArray<RosterItem<Row>> => {
  const read = rosterReader(roster, { line: 1, lastLine: 1, cells: header })
  if (Result.isFailure(read)) throw new Error(JSON.stringify(read.failure))
  return rows.flatMap((cells, index) => {
    const item = read.success({ line: index + 2, lastLine: index + 2, cells })
    return item === undefined ? [] : [item]
  })
}

const rowOf = <Row>(item: RosterItem<Row> | undefined): Row => {
  if (item?._tag !== "Row") throw new Error(`expected a row, got ${JSON.stringify(item)}`)
  return item.row
}

const problemsOf = <Row>(item: RosterItem<Row> | undefined): ReadonlyArray<RowProblem> => {
  if (item?._tag !== "Refused") throw new Error(`expected problems, got ${JSON.stringify(item)}`)
  return item.problems
}

const headerProblems = <Row>(roster: Roster<Row>, cells: ReadonlyArray<string>) => {
  const read = rosterReader(roster, { line: 1, lastLine: 1, cells })
  return Result.isFailure(read) ? read.failure : []
}

describe("the header of a roster", () => {
  it("is compared trimmed and in lower case", () => {
    const header = [" LABEL", "Login ", "Interface Language"]
    assert.strictEqual(rowOf(readAll(takers, header, ["A", "a", "fr"])[0]).login, "a")
  })

  it("names the nearest known column for one it does not know", () => {
    const header = ["label", "login", "interface language", "pasword", "organization id"]
    assert.deepStrictEqual(headerProblems(takers, header).map(problemLine), [
      'line 1, column "pasword": is not a known column; did you mean "password"?',
      'line 1, column "organization id": is not a known column; did you mean "organisation id"?'
    ])
  })

  it("lists the known columns when none is near", () => {
    const [problem] = headerProblems(testCenters, ["label", "organisation id", "zzzzzzzzzz"])
    assert.match(problem?.reason ?? "", /known are: label, organisation id, administrators/)
  })

  it("names missing, doubled and nameless columns at once", () => {
    const problems = headerProblems(testCenters, ["label", "Label", ""])
    assert.deepStrictEqual(problems.map(problemLine), [
      'line 1, column "Label": this column appears twice',
      "line 1: the header of column 3 is empty",
      'line 1, column "organisation id": this column is missing'
    ])
  })

  it("demands the organisation id of sync managers only", () => {
    const header = ["label", "login", "interface language"]
    assert.deepStrictEqual(headerProblems(takers, header), [])
    assert.deepStrictEqual(
      headerProblems(users("sync-manager", anyPassword), header).map((problem) => problem.column),
      ["organisation id"]
    )
  })

  it("repeats nothing of a first line that is somebody's row", () => {
    const problems = headerProblems(takers, ["Ada", "ada", "S3cret!", "fr"])
    assert.strictEqual(problems.length, 1)
    assert.notInclude(JSON.stringify(problems), "S3cret!")
  })
})

describe("a row of users", () => {
  it("is read with its optional cells only where they are filled", () => {
    const row = rowOf(readAll(takers, userHeader, ["Ada L", "ada", "", "en-US", ""])[0])
    assert.deepStrictEqual(row, { label: "Ada L", login: "ada", interfaceLanguage: "en-US" })
  })

  it("keeps ids that look like numbers as they are written", () => {
    const header = ["label", "organisation id"]
    const items = readAll(testCenters, header, ["A", "0123"], ["A", "123"], ["A", "1e3"])
    assert.deepStrictEqual(
      items.map((item) => rowOf(item).organisation),
      ["0123", "123", "1e3"]
    )
  })

  it("with only its first cell filled is one problem, not many", () => {
    const [item] = readAll(takers, userHeader, ["user3", "", "", "", ""])
    assert.deepStrictEqual(problemsOf(item), [{ line: 2, reason: "only the first cell is filled" }])
  })

  it("without any filled cell is a blank line", () => {
    assert.deepStrictEqual(readAll(takers, userHeader, ["", " ", "", "", ""], [""]), [])
  })

  it("with another number of cells is refused without repeating any", () => {
    const [item] = readAll(takers, userHeader, ["Ada", "ada", "S3cret!", "fr"])
    const [problem] = problemsOf(item)
    assert.match(problem?.reason ?? "", /has 4 columns where the header has 5/)
    assert.notInclude(JSON.stringify(problem), "S3cret!")
  })

  it("names every wrong cell, by the header's own spelling", () => {
    const header = ["Label", "Login", "Interface Language", "Mail"]
    const [item] = readAll(takers, header, ["", "a|b", "english", "no address"])
    assert.deepStrictEqual(
      new Set(problemsOf(item).map((problem) => problem.column)),
      new Set(header)
    )
  })

  it("whose login was already seen names the first line, whatever the case or width", () => {
    const rows = [
      ["Ada", "ada", "", "fr", ""],
      ["Ada", "ADA", "", "fr", ""],
      ["Ada", "ａｄａ", "", "fr", ""]
    ]
    const [first, ...others] = readAll(takers, userHeader, ...rows)
    assert.strictEqual(rowOf(first).login, "ada")
    for (const other of others) {
      assert.match(problemsOf(other)[0]?.reason ?? "", /this login is already on line 2/)
    }
  })

  it("accepts only language tags", () => {
    const accepted = (tag: string) =>
      readAll(takers, userHeader, ["A", "a", "", tag, ""])[0]?._tag === "Row"
    for (const tag of ["fr", "en-US", "pt-PT", "zh-Hant-TW", "FR"])
      assert.isTrue(accepted(tag), tag)
    for (const tag of ["en_US", "english", "e", "fr-", "fr FR"]) assert.isFalse(accepted(tag), tag)
  })

  it("refuses control characters, line breaks, lost characters and cells that are too long", () => {
    for (const text of ["a\u0000b", "a\u001b[31mb", "a\u0085b", "a\nb", "Jos\uFFFD"]) {
      const [item] = readAll(takers, userHeader, [text, "a", "", "fr", ""])
      assert.strictEqual(problemsOf(item)[0]?.column, "label", JSON.stringify(text))
    }
    const longest = "x".repeat(LABEL_LENGTH_MAX)
    assert.strictEqual(readAll(takers, userHeader, [longest, "a", "", "fr", ""])[0]?._tag, "Row")
    const [item] = readAll(takers, userHeader, [`${longest}x`, "a", "", "fr", ""])
    assert.match(problemsOf(item)[0]?.reason ?? "", /at most 255/)
  })

  it("refuses invisible characters in a login", () => {
    const [item] = readAll(takers, userHeader, ["Ada", "a\u200bda", "", "fr", ""])
    assert.match(problemsOf(item)[0]?.reason ?? "", /invisible/)
  })

  it("shows a wrong cell shortened, with nothing in it that steers a terminal", () => {
    const [item] = readAll(takers, userHeader, ["Ada", "a", "", `\u001b[2J${"x".repeat(500)}`, ""])
    const value = problemsOf(item)[0]?.value ?? ""
    assert.isTrue(value.startsWith("\\u{1b}[2J"))
    assert.strictEqual(value.length, VALUE_SHOWN_MAX + 1)
  })
})

describe("a password in a roster", () => {
  const strict = users("test-taker", (password) =>
    password.length < 8 ? "is shorter than 8 characters" : undefined
  )

  it("may be empty, or have no column at all", () => {
    assert.notProperty(rowOf(readAll(strict, userHeader, ["A", "a", " ", "fr", ""])[0]), "password")
    const header = ["label", "login", "interface language"]
    assert.notProperty(rowOf(readAll(strict, header, ["A", "a", "fr"])[0]), "password")
  })

  it("is kept exactly, and hidden from logs", () => {
    const row = rowOf(readAll(strict, userHeader, ["A", "a", "Pass word|1", "fr", ""])[0])
    assert.strictEqual(row.password && Redacted.value(row.password), "Pass word|1")
    assert.notInclude(JSON.stringify(row), "Pass word")
  })

  it("is never repeated when it is refused", () => {
    for (const secret of ["S3cret", " S3cretS3cret", "S3cret\u0007S3cret", "S3cret".repeat(99)]) {
      const [item] = readAll(strict, userHeader, ["A", "a", secret, "fr", ""])
      const [problem] = problemsOf(item)
      assert.strictEqual(problem?.column, "password")
      assert.notInclude(JSON.stringify(item), "S3cret")
    }
  })
})

describe("a row of test centers", () => {
  const header = ["label", "organisation id", "administrators", "proctors", "sub centers"]

  it("splits lists at |, trims, drops what is empty and keeps one of what is the same", () => {
    const cells = ["Lycée", "0123", " ada | |Bob|ADA|", "", "Annexe|Gymnase|Annexe"]
    const row = rowOf(readAll(testCenters, header, cells)[0])
    assert.deepStrictEqual(row.administrators, ["ada", "Bob"])
    assert.deepStrictEqual(row.proctors, [])
    assert.deepStrictEqual(row.subCenters, ["Annexe", "Gymnase"])
  })

  it("quotes the wrong entry of a list, not the whole list", () => {
    const [item] = readAll(testCenters, header, ["L", "1", "ada|b\u0007b|carl", "", ""])
    assert.strictEqual(problemsOf(item)[0]?.value, "b\\u{7}b")
  })

  it("may repeat a label in another organisation, but not in the same", () => {
    const rows = [
      ["Main", "0123", "", "", ""],
      ["Main", "123", "", "", ""],
      ["Main", "0123", "", "", ""]
    ]
    const items = readAll(testCenters, header, ...rows)
    assert.deepStrictEqual(
      items.map((item) => item._tag),
      ["Row", "Row", "Refused"]
    )
  })
})

describe("a row of eligibilities", () => {
  const header = ["test center", "delivery", "test takers", "is proctored"]
  const proctored = (word: string) =>
    readAll(eligibilities, header, ["1", "rivers", "ada", word])[0]

  it("reads false as false", () => {
    for (const word of ["false", "FALSE", "no", "N", "0", "off", "Non"]) {
      assert.strictEqual(rowOf(proctored(word)).proctored, false, word)
    }
    for (const word of ["true", "True", "YES", "y", "1", "on", "oui", ""]) {
      assert.strictEqual(rowOf(proctored(word)).proctored, true, word)
    }
  })

  it("refuses any other word for yes or no", () => {
    for (const word of ["maybe", "2", "-1", "ja", "true false", "00"]) {
      assert.strictEqual(problemsOf(proctored(word))[0]?.column, "is proctored", word)
    }
  })

  it("names somebody", () => {
    const [empty] = readAll(eligibilities, header, ["1", "rivers", "", "yes"])
    const [bars] = readAll(eligibilities, header, ["1", "rivers", "| |", "yes"])
    assert.strictEqual(problemsOf(empty)[0]?.column, "test takers")
    assert.strictEqual(problemsOf(bars)[0]?.reason, "names nobody")
  })

  it("may limit the time and the number of sittings", () => {
    const wide = [...header, "from", "to", "max executions"]
    const row = (from: string, to: string, most: string) =>
      readAll(eligibilities, wide, ["1", "rivers", "ada", "", from, to, most])[0]
    const limited = rowOf(row("2027-03-01T08:00+01:00", "2027-03-05 18:00:00Z", "2"))
    assert.strictEqual(limited.from && DateTime.formatIso(limited.from), "2027-03-01T07:00:00.000Z")
    assert.strictEqual(limited.to && DateTime.formatIso(limited.to), "2027-03-05T18:00:00.000Z")
    assert.strictEqual(limited.maxExecutions, 2)
    for (const day of [
      "2027-02-30T08:00Z",
      "2027-03-01",
      "2027-03-01T08:00",
      "2027-03-01T25:00Z"
    ]) {
      assert.strictEqual(problemsOf(row(day, "", ""))[0]?.column, "from", day)
    }
    const backwards = problemsOf(row("2027-03-02T08:00Z", "2027-03-01T08:00Z", ""))
    assert.strictEqual(backwards[0]?.reason, 'must be later than "from"')
    for (const most of ["0", "-1", "1.5", "1e3", "9999"]) {
      assert.strictEqual(problemsOf(row("", "", most))[0]?.column, "max executions", most)
    }
  })

  it("brings a center and a delivery together once", () => {
    const rows = [
      ["1", "rivers", "ada", ""],
      ["2", "rivers", "ada", ""],
      ["1", "rivers", "bob", ""]
    ]
    const [, second, third] = readAll(eligibilities, header, ...rows)
    assert.strictEqual(second?._tag, "Row")
    assert.match(problemsOf(third)[0]?.reason ?? "", /already on line 2/)
  })
})

describe("any cells at all", () => {
  const cell = fc.oneof(
    fc.constantFrom(
      "",
      "a",
      "A",
      "0123",
      "123",
      "yes",
      "false",
      "fr",
      "a|b",
      "|",
      "2027-03-01T08:00Z"
    ),
    fc.string({ unit: "binary" })
  )
  const holds = <Row>(roster: Roster<Row>, isRow: (row: unknown) => boolean) => {
    const header = roster.columns.map((column) => column.header)
    const record = fc.array(cell, { minLength: header.length, maxLength: header.length })
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), (rows) => {
        const blank = rows.filter((row) => row.every((text) => text.trim() === "")).length
        const items = readAll(roster, header, ...rows)
        assert.strictEqual(items.length + blank, rows.length)
        for (const item of items) {
          if (item._tag === "Row") assert.isTrue(isRow(item.row))
          else assert.isTrue(item.problems.every((problem) => problem.reason !== ""))
        }
      })
    )
  }

  it("become a row of the schema, problems with reasons, or a blank line", () => {
    holds(takers, Schema.is(UserRow))
    holds(testCenters, Schema.is(TestCenterRow))
    holds(eligibilities, Schema.is(EligibilityRow))
  })
})

describe("the report of an import", () => {
  const failed = (line: number): RowOutcome => ({
    _tag: "Failed",
    line,
    problems: [{ line, column: "Login", reason: "is empty, but must have a value" }]
  })

  it("counts rows by what became of them", () => {
    const first = reportWith(emptyReport, [{ _tag: "Created", line: 2 }, failed(14)])
    const report = reportWith(first, [
      { _tag: "Updated", line: 15 },
      { _tag: "Unchanged", line: 16 },
      { _tag: "Created", line: 17 }
    ])
    assert.deepStrictEqual(reportLines(report), [
      'line 14, column "Login": is empty, but must have a value',
      "2 created, 1 updated, 1 unchanged, 1 refused"
    ])
  })

  it("keeps the first thousand problems and counts the rest, however they arrive", () => {
    const outcomes = Array.from({ length: PROBLEMS_KEPT_MAX + 234 }, (_, index) =>
      failed(index + 2)
    )
    const whole = reportWith(emptyReport, outcomes)
    const oneByOne = outcomes.reduce(
      (report, outcome) => reportWith(report, [outcome]),
      emptyReport
    )
    assert.deepStrictEqual(oneByOne, whole)
    assert.strictEqual(whole.failed, PROBLEMS_KEPT_MAX + 234)
    assert.strictEqual(whole.problems.at(-1)?.line, PROBLEMS_KEPT_MAX + 1)
    assert.include(reportLines(whole), "… and 234 more problems")
  })

  it("names all lines of a row that goes over line breaks", () => {
    const problem = { line: 5, lastLine: 9, reason: "has 3 columns where the header has 8" }
    assert.strictEqual(problemLine(problem), "lines 5 to 9: has 3 columns where the header has 8")
  })
})
