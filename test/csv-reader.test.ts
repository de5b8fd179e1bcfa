import { createHash } from "node:crypto"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Stream } from "effect"
import fc from "fast-check"
import { problemLine } from "../domain/import-report.ts"
import {
  eligibilities,
  type Roster,
  type RosterItem,
  testCenters,
  users
} from "../domain/roster.ts"
import { CHUNK_BYTES } from "../infrastructure/csv-dialect.ts"
import { CsvRefused, checksumOfFile, readRoster } from "../infrastructure/csv-reader.ts"
import { fileOf, folder } from "./support/csv-files.ts"

const takers = users("test-taker", () => undefined)

const itemsOf = <Row>(roster: Roster<Row>, content: string | Uint8Array) =>
  readRoster(fileOf(content), roster).pipe(
    Stream.runCollect,
    Effect.map((batches) => batches.flatMap((batch) => batch.items))
  )

/** Each line of the file that is not blank, told in a few words. */
const told = <Row>(items: ReadonlyArray<RosterItem<Row>>, tell: (row: Row) => string) =>
  items.flatMap((item) =>
    item._tag === "Row" ? [`line ${item.line} ${tell(item.row)}`] : item.problems.map(problemLine)
  )

const refusalOf = (content: string | Uint8Array) =>
  Effect.gen(function* () {
    const failure = yield* Effect.flip(itemsOf(takers, content))
    if (!(failure instanceof CsvRefused)) throw new Error(`expected a refusal: ${failure}`)
    return failure.problems.map(problemLine).join("\n")
  })

const bom = "\uFEFF"
const taoExample =
  'Label,"First Name","Last Name",Login,Mail,Password,"Interface Language", "Default language"\n' +
  'user1,"user first name1","user last name1",user1,user@email.com1,user1,en-US,en-US\n' +
  'user2,"user first name2","user last name2",user2,user@email.com2,user2,en-US,en-US\n' +
  "user3,,,,,,,"

describe("a roster file", () => {
  it.effect("as TAO ships its example, space before a quote and no newline at the end", () =>
    Effect.gen(function* () {
      const items = yield* itemsOf(takers, taoExample)
      const [first] = items
      assert.deepStrictEqual(
        told(items, (row) => row.login),
        ["line 2 user1", "line 3 user2", "line 4: only the first cell is filled"]
      )
      if (first?._tag !== "Row") throw new Error("the first line is a row")
      const { password, ...row } = first.row
      assert.strictEqual(password && Redacted.value(password), "user1")
      assert.deepStrictEqual(row, {
        label: "user1",
        firstName: "user first name1",
        lastName: "user last name1",
        login: "user1",
        mail: "user@email.com1",
        interfaceLanguage: "en-US",
        defaultLanguage: "en-US"
      })
    })
  )

  it.effect("may have ; or tabs, a BOM, and any line ends", () =>
    Effect.gen(function* () {
      for (const delimiter of [",", ";", "\t"]) {
        for (const lineEnd of ["\n", "\r\n", "\r"]) {
          for (const mark of ["", bom]) {
            const lines = [
              ['"label"', '"organisation id"', "proctors"],
              ["Élan, Ltd".replace(delimiter, " "), "0123", '"a|b"'],
              [""],
              ["Other", "1e3", ""]
            ]
            const text = mark + lines.map((line) => line.join(delimiter)).join(lineEnd)
            for (const content of [text, text + lineEnd]) {
              assert.deepStrictEqual(
                told(yield* itemsOf(testCenters, content), (row) => row.organisation),
                ["line 2 0123", "line 4 1e3"],
                JSON.stringify(content)
              )
            }
          }
        }
      }
    })
  )

  it.effect("reads false as false", () =>
    Effect.gen(function* () {
      const content = "test center,delivery,test takers,is proctored\n0123,rivers,ada|bob,false\n"
      const [item] = yield* itemsOf(eligibilities, content)
      assert.deepStrictEqual(item?._tag === "Row" && item.row, {
        testCenter: "0123",
        delivery: "rivers",
        testTakers: ["ada", "bob"],
        proctored: false
      })
    })
  )

  it.effect("counts lines as an editor does, with line breaks in quotes", () =>
    Effect.gen(function* () {
      for (const lineEnd of ["\n", "\r\n", "\r"]) {
        const lines = [
          "label,login,interface language",
          'A,"a',
          '"",b',
          'c",fr',
          "B,b,fr",
          "C,b,fr",
          '"D',
          'E",d'
        ]
        const items = yield* itemsOf(takers, lines.join(lineEnd))
        assert.deepStrictEqual(
          told(items, (row) => row.login).map((line) => line.split(";")[0]?.split(" (")[0]),
          [
            'line 2, column "login": contains a line break',
            "line 5 b",
            'line 6, column "login": this login is already on line 5',
            "lines 7 to 8: has 2 columns where the header has 3"
          ].map((line) => line.split(";")[0])
        )
      }
    })
  )

  it.effect("reports lines with another number of columns and goes on", () =>
    Effect.gen(function* () {
      const content = "label,login,interface language\nA,a\nB,b,fr\nC,c,fr,more\nD,d,fr"
      const lines = told(yield* itemsOf(takers, content), (row) => row.login)
      assert.deepStrictEqual(
        lines.map((line) => line.split(";")[0]),
        [
          "line 2: has 2 columns where the header has 3",
          "line 3 b",
          "line 4: has 4 columns where the header has 3",
          "line 5 d"
        ]
      )
    })
  )

  it.effect("loses only the lines whose quotes are wrong", () =>
    Effect.gen(function* () {
      const content = [
        "label,login,interface language",
        "A,a,fr",
        'Jo "the cat",b,fr',
        "C,c,fr",
        '"D" d,d,fr',
        "E,e,fr",
        '"F,f,fr',
        'G,"g",fr',
        "H,h,fr",
        '"I,i,fr',
        "J,j,fr"
      ].join("\r\n")
      const lines = told(yield* itemsOf(takers, content), (row) => row.login)
      assert.deepStrictEqual(
        lines.map((line) => line.split(";")[0]),
        [
          "line 2 a",
          "line 3: has a quote in the middle of a cell",
          "line 4 c",
          "line 5: has text behind a closing quote",
          "line 6 e",
          "line 7: has text behind a closing quote",
          "line 8 g",
          "line 9 h",
          "line 10: opens a quote that is never closed",
          "line 11 j"
        ]
      )
    })
  )

  it.effect("is refused for its header before any row is read", () =>
    Effect.gen(function* () {
      const refusal = yield* refusalOf("label,login,interface langage\nA,a,fr\n")
      assert.strictEqual(
        refusal,
        'line 1, column "interface langage": is not a known column; did you mean "interface language"?\n' +
          'line 1, column "interface language": this column is missing'
      )
    })
  )

  it.effect("is refused when it is empty or has a header only", () =>
    Effect.gen(function* () {
      for (const content of ["", bom, "\n\r\n", ",,\n"]) {
        assert.strictEqual(yield* refusalOf(content), "line 1: the file is empty")
      }
      for (const rest of ["", "\n", "\n,,\n\n"]) {
        assert.strictEqual(
          yield* refusalOf(`\nlabel,login,interface language${rest}`),
          "line 2: there is no row below the header"
        )
      }
    })
  )

  it.effect("is refused with the line and byte that are not UTF-8", () =>
    Effect.gen(function* () {
      const text = "label,login,interface language\r\nÉlan,a,fr\r\n\r\nJosé,b,fr\r\n"
      const lastBytes = Buffer.concat([
        Buffer.from("label,login,interface language\r\nÉlan,a,fr\r\n\r\n\uFFFD Jos"),
        Buffer.from([0xe9]),
        Buffer.from(",b,fr\r\n")
      ])
      assert.strictEqual(
        yield* refusalOf(lastBytes),
        'line 4: is not UTF-8 (byte 0xE9; in Windows-1252 it would be "é"): save the file as "CSV UTF-8"'
      )
      assert.match(yield* refusalOf(Buffer.from(text, "latin1")), /^line 2: .*0xC9.*"É"/)
      assert.match(yield* refusalOf(Buffer.from(text, "utf16le")), /UTF-16/)
      assert.match(yield* refusalOf(Buffer.from(bom + text, "utf16le")), /UTF-16/)
      assert.match(yield* refusalOf(Buffer.from("PK\u0003\u0004zip", "latin1")), /workbook/)
      assert.match(yield* refusalOf(Buffer.from([0x61, 0x0a, 0xc3])), /^line 2: .*0xC3/)
      // The three bytes looked at before a read are the end of a whole character.
      const emojiAtEnd = Buffer.from(`${"x".repeat(CHUNK_BYTES - 4)}😀`)
      assert.match(yield* refusalOf(Buffer.concat([emojiAtEnd, Buffer.from([0xe9])])), /0xE9/)
    })
  )

  it("that is not UTF-8 is told by line wherever the reads are cut", async () => {
    const near = fc.integer({ min: CHUNK_BYTES - 12, max: CHUNK_BYTES + 12 })
    const tail = fc.constantFrom("", "é", "€", "😀", "\n", "\r\n")
    await fc.assert(
      fc.asyncProperty(
        near,
        tail,
        fc.constantFrom(0xe9, 0x80, 0xf0),
        async (length, text, byte) => {
          const before = Buffer.from(`${"x".repeat(length - 1)}\n${text}`)
          const broken = Buffer.concat([before, Buffer.from([byte]), Buffer.from("\nz\n")])
          const line = text.endsWith("\n") ? 3 : 2
          const refusal = await Effect.runPromise(refusalOf(broken))
          assert.match(refusal, new RegExp(`^line ${line}: .*0x${byte.toString(16)}`, "i"))
          const good = await Effect.runPromise(refusalOf(before))
          assert.notMatch(good, /UTF-8/)
        }
      ),
      { numRuns: 60 }
    )
  })

  it.effect("that is missing, or a folder, is a typed failure", () =>
    Effect.gen(function* () {
      const missing = join(folder, "missing.csv")
      const failure = yield* readRoster(missing, takers).pipe(Stream.runDrain, Effect.flip)
      assert.include(failure, { _tag: "CsvUnreadable", reason: "missing", file: missing })
      mkdirSync(join(folder, "folder"))
      const other = yield* Effect.flip(checksumOfFile(join(folder, "folder")))
      assert.strictEqual(other.reason, "not a file")
    })
  )

  it.effect("has a checksum to resume by", () =>
    Effect.gen(function* () {
      const content = Buffer.alloc(CHUNK_BYTES * 2 + 17, "é")
      assert.strictEqual(
        yield* checksumOfFile(fileOf(content)),
        createHash("sha256").update(content).digest("hex")
      )
    })
  )
})
