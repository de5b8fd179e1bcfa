import { once } from "node:events"
import { createWriteStream } from "node:fs"
import { open } from "node:fs/promises"
import { join } from "node:path"
import { finished } from "node:stream/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import fc from "fast-check"
import { eligibilities, users } from "../domain/roster.ts"
import { CHUNK_BYTES, type Dialect, sniffDialect } from "../infrastructure/csv-dialect.ts"
import { readRoster } from "../infrastructure/csv-reader.ts"
import {
  type FileRecord,
  MALFORMED_MAX,
  PAGE_RECORDS,
  pages,
  RECORD_BYTES_MAX
} from "../infrastructure/csv-records.ts"
import { fileOf, folder } from "./support/csv-files.ts"

const takers = users("test-taker", () => undefined)
const bom = "\uFEFF"

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

/** What is still in use after a collection: garbage not yet swept would make the figure chance. */
const liveHeapBytes = (): number => {
  setFlagsFromString("--expose-gc")
  runInNewContext("gc")()
  return process.memoryUsage().heapUsed
}

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

    const heapBefore = liveHeapBytes()
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
            if (seen % 10_000 === 0) heapMost = Math.max(heapMost, liveHeapBytes())
            if (seen === rows) assert.strictEqual(batch.bytesRead, batch.bytesTotal)
          })
        )
      )
    )
    assert.strictEqual(seen, rows)
    // One key per row stays, about 10 MB; the rows, were they kept, would be far above the bound.
    assert.isAbove(heapMost, 0)
    assert.isBelow(heapMost - heapBefore, 30 * 1024 * 1024)
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
      { numRuns: 150 }
    )
  })

  /** Quotes where it must, and where it is told to. */
  const write = (cell: { text: string; quoted: boolean }, delimiter: string): string => {
    const must =
      /["\r\n]/.test(cell.text) || cell.text.includes(delimiter) || cell.text.trim() !== cell.text
    return must || cell.quoted ? `"${cell.text.replaceAll('"', '""')}"` : cell.text
  }
})
