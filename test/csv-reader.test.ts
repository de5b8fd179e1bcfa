import { createHash } from "node:crypto"
import { once } from "node:events"
import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { open } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { finished } from "node:stream/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Stream } from "effect"
import fc from "fast-check"
import { afterAll } from "vitest"
import { problemLine } from "../domain/import-report.ts"
import {
  eligibilities,
  type Roster,
  type RosterItem,
  testCenters,
  type UserType,
  users
} from "../domain/roster.ts"
import { CHUNK_BYTES, type Dialect, sniffDialect } from "../infrastructure/csv-dialect.ts"
import { CsvRefused, checksumOfFile, readRoster } from "../infrastructure/csv-reader.ts"
import {
  type FileRecord,
  MALFORMED_MAX,
  PAGE_RECORDS,
  pages,
  RECORD_BYTES_MAX
} from "../infrastructure/csv-records.ts"

const folder = mkdtempSync(join(tmpdir(), "testferry-csv-"))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
const fileOf = (content: string | Uint8Array): string => {
  const file = join(folder, `${files++}.csv`)
  writeFileSync(file, content)
  return file
}

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

/** The records of a file with the dialect that was found in it. */
const recordsOf = async (
  content: string | Uint8Array,
  wanted?: Dialect["delimiter"]
): Promise<ReadonlyArray<FileRecord>> => {
  await using handle = await open(fileOf(content), "r")
  const dialect = await sniffDialect(handle)
  const asked = { ...dialect, ...(wanted !== undefined && { delimiter: wanted }) }
  return (await Effect.runPromise(Stream.runCollect(pages(handle, asked)))).flat()
}

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

describe("a large roster file", () => {
  it("of 100,000 rows streams in batches, with progress, in bounded memory", async () => {
    const rows = 100_000
    const file = join(folder, "large.csv")
    const out = createWriteStream(file)
    out.write("label,login,first name,password,interface language\n")
    const note = "n".repeat(200)
    for (let row = 0; row < rows; row++) {
      if (!out.write(`User ${row},user-${row},${note},"pass,word",fr\n`)) {
        await once(out, "drain")
      }
    }
    out.end()
    await finished(out)

    const heapBefore = process.memoryUsage().heapUsed
    let heapMost = 0
    let seen = 0
    let bytesRead = 0
    await Effect.runPromise(
      readRoster(file, takers).pipe(
        Stream.runForEach((batch) =>
          Effect.sync(() => {
            assert.isAtMost(batch.items.length, PAGE_RECORDS)
            assert.isAbove(batch.bytesRead, bytesRead)
            bytesRead = batch.bytesRead
            seen += batch.items.filter((item) => item._tag === "Row").length
            heapMost = Math.max(heapMost, process.memoryUsage().heapUsed)
            if (seen === rows) assert.strictEqual(batch.bytesRead, batch.bytesTotal)
          })
        )
      )
    )
    assert.strictEqual(seen, rows)
    // The rows alone would be well over 100 MB; one key per row and garbage stay far below.
    assert.isBelow(heapMost - heapBefore, 80 * 1024 * 1024)
  })

  it("without a closing quote gives up that line, not the file", async () => {
    const filler = `${"x".repeat(98)}\n`.repeat((RECORD_BYTES_MAX / 99) * 2)
    const records = await recordsOf(`a,b\n"open,b\n${filler}c,d\n`)
    assert.match(records[1]?.malformed ?? "", /closing quote missing/)
    assert.deepStrictEqual(records.at(-1)?.cells, ["c", "d"])
    assert.strictEqual(records.at(-1)?.line, 2 + filler.length / 99 + 1)
  })

  it("with one endless line is given up behind it", async () => {
    const records = await recordsOf(`a,b\n${"x".repeat(RECORD_BYTES_MAX * 3)}\r\nc,d`)
    assert.deepStrictEqual(
      records.map((record) => [record.line, record.cells.length, record.malformed !== undefined]),
      [
        [1, 2, false],
        [2, 0, true],
        [3, 2, false]
      ]
    )
  })

  it("with too many malformed lines is given up", async () => {
    const records = await recordsOf(`a,b\n${'x"y,z\n'.repeat(MALFORMED_MAX + 10)}`)
    assert.strictEqual(records.length, 1 + MALFORMED_MAX + 1)
    assert.match(records.at(-1)?.malformed ?? "", /Reading stopped here/)
  })

  it("of long records does not wait for a thousand of them", async () => {
    const list = "login|".repeat(100_000)
    const content = `test center,delivery,test takers\n${`1,2,"${list}"\n`.repeat(8)}`
    const counts = await Effect.runPromise(
      readRoster(fileOf(content), eligibilities).pipe(
        Stream.map((batch) => batch.items.length),
        Stream.runCollect
      )
    )
    assert.isAbove(counts.length, 1)
    assert.strictEqual(
      counts.reduce((sum, count) => sum + count, 0),
      8
    )
  })
})

describe("any table", () => {
  const text = fc.oneof(
    fc.constantFrom(
      "",
      "a",
      " a ",
      '"',
      '""',
      "\r",
      "\n",
      "\r\n",
      ",",
      ";",
      "\t",
      "é",
      "😀",
      "0123"
    ),
    fc.string({ unit: "grapheme" })
  )

  it("written with any quoting reads back equal, each record on its line", async () => {
    const table = fc.integer({ min: 2, max: 4 }).chain((width) =>
      fc.array(
        fc.array(fc.record({ text, quoted: fc.boolean() }), {
          minLength: width,
          maxLength: width
        }),
        { minLength: 1, maxLength: 6 }
      )
    )
    const shape = fc.record({
      delimiter: fc.constantFrom<Dialect["delimiter"]>(",", ";", "\t"),
      lineEnd: fc.constantFrom("\n", "\r\n", "\r"),
      mark: fc.constantFrom("", bom),
      lastLineEnd: fc.boolean(),
      // Moves the table across the place where two reads meet.
      padding: fc.oneof(fc.constant(0), fc.integer({ min: CHUNK_BYTES - 60, max: CHUNK_BYTES }))
    })
    await fc.assert(
      fc.asyncProperty(table, shape, async (rows, { delimiter, lineEnd, mark, ...rest }) => {
        const padding = "x".repeat(rest.padding)
        const written = rows.map((row) => row.map((cell) => write(cell, delimiter)).join(delimiter))
        const content = [padding, ...written].join(lineEnd) + (rest.lastLineEnd ? lineEnd : "")
        const records = await recordsOf(mark + content, delimiter)
        assert.deepStrictEqual(
          records.map((record) => record.cells),
          [[padding], ...rows.map((row) => row.map((cell) => cell.text))]
        )
        let line = 2
        for (const [index, row] of written.entries()) {
          assert.strictEqual(records[index + 1]?.line, line)
          line += (row.match(/\r\n|\n|\r/g)?.length ?? 0) + 1
        }
        assert.strictEqual(records.at(-1)?.end, Buffer.byteLength(mark + content))
      }),
      { numRuns: 300 }
    )
  })

  /** Quotes where it must, and where it is told to. */
  const write = (cell: { text: string; quoted: boolean }, delimiter: string): string => {
    const must =
      /["\r\n]/.test(cell.text) || cell.text.includes(delimiter) || cell.text.trim() !== cell.text
    return must || cell.quoted ? `"${cell.text.replaceAll('"', '""')}"` : cell.text
  }
})

describe("the demo's roster files", () => {
  const demo = join(import.meta.dirname, "../entrypoints/demo/csv")
  const rowsOf = <Row>(name: string, roster: Roster<Row>) =>
    readRoster(join(demo, name), roster).pipe(
      Stream.runCollect,
      Effect.map((batches) =>
        batches.flatMap((batch) =>
          batch.items.map((item) => {
            if (item._tag === "Row") return item.row
            throw new Error(item.problems.map(problemLine).join("\n"))
          })
        )
      )
    )
  const usersOf = (name: string, type: UserType) =>
    rowsOf(
      name,
      users(type, (password) => (password.length < 15 ? "is too short" : undefined))
    )

  it.effect("are free of problems and name only each other", () =>
    Effect.gen(function* () {
      const logins = {
        takers: (yield* usersOf("test-takers.csv", "test-taker")).map((row) => row.login),
        proctors: (yield* usersOf("proctors.csv", "proctor")).map((row) => row.login),
        administrators: (yield* usersOf("administrators.csv", "test-center-admin")).map(
          (row) => row.login
        )
      }
      const managers = yield* usersOf("sync-managers.csv", "sync-manager")
      const centers = yield* rowsOf("test-centers.csv", testCenters)
      assert.deepStrictEqual(
        new Set(centers.map((center) => center.organisation)),
        new Set(["0123", "123"])
      )
      assert.deepStrictEqual(
        new Set(managers.map((row) => row.organisation)),
        new Set(["0123", "123"])
      )
      const labels = centers.map((center) => center.label)
      for (const center of centers) {
        assert.includeMembers(logins.administrators, [...center.administrators])
        assert.includeMembers(logins.proctors, [...center.proctors])
        assert.includeMembers(labels, [...center.subCenters])
      }
      const eligible = yield* rowsOf("eligibilities.csv", eligibilities)
      for (const row of eligible) {
        assert.include([...labels, "0123", "123"], row.testCenter)
        assert.include(["rivers", "fractions", "soundscapes"], row.delivery)
        assert.includeMembers(logins.takers, [...row.testTakers])
      }
      assert.strictEqual(readdirSync(demo).length, 6)
    })
  )
})
