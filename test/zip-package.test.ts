import { crc32, deflateRawSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Stream } from "effect"
import fc from "fast-check"
import type { PackageRefused } from "../domain/package-refusal.ts"
import type { ByteSource } from "../infrastructure/zip-directory.ts"
import { openPackage } from "../infrastructure/zip-package.ts"
import { zipped } from "./support/build-packages.ts"
import { good, hostile, text } from "./support/hostile-zips.ts"
import { rawZip } from "./support/raw-zip.ts"

const sourceOf = (bytes: Uint8Array): ByteSource => ({
  size: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length)
})

/** Reads everything, as publishing does: gives the contents by name, or fails. */
const readAll = Effect.fnUntraced(function* (bytes: Uint8Array) {
  const opened = yield* openPackage(sourceOf(bytes))
  const contents = new Map<string, Uint8Array>()
  for (const name of opened.entries.keys()) contents.set(name, yield* opened.read(name))
  return contents
})

const codeOf = (bytes: Uint8Array) =>
  readAll(bytes).pipe(
    Effect.as("accepted"),
    Effect.catch((refused: PackageRefused) => Effect.succeed(refused.reasons[0].code))
  )

describe("openPackage refuses an archive that", () => {
  for (const [claim, code, make] of hostile) {
    it.effect(claim, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* codeOf(make()), code)
      })
    )
  }

  it.effect("is a bomb, before more comes out than it declares", () =>
    Effect.gen(function* () {
      const packed = deflateRawSync(Buffer.alloc(200_000_000))
      const opened = yield* openPackage(sourceOf(rawZip([{ name: "a", packed, size: 100_000 }])))
      let came = 0
      const counted = opened.stream("a").pipe(
        Stream.runForEach((piece) =>
          Effect.sync(() => {
            came += piece.length
          })
        )
      )
      const refused = yield* Effect.flip(counted)
      assert.strictEqual(refused.reasons[0].code, "zip-damaged")
      assert.isAtMost(came, 100_000)
    })
  )

  it.effect("is cut off anywhere", () =>
    Effect.gen(function* () {
      const bytes = rawZip(good)
      for (let length = 0; length < bytes.length; length++) {
        assert.notStrictEqual(yield* codeOf(bytes.subarray(0, length)), "accepted", `${length}`)
      }
    })
  )
})

describe("openPackage reads", () => {
  it.effect("packed and stored files, not folders, whatever the comment", () =>
    Effect.gen(function* () {
      const contents = yield* readAll(rawZip(good, { comment: Buffer.alloc(65_535, "PK") }))
      assert.deepStrictEqual([...contents.keys()], ["imsmanifest.xml", "media/a.png"])
      assert.strictEqual(Buffer.from(contents.get("imsmanifest.xml")!).toString(), text)
    })
  )

  it.effect("an archive without files", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* readAll(rawZip([]))).size, 0)
    })
  )

  it.effect("around what desktops add", () =>
    Effect.gen(function* () {
      const rubbish = ["__MACOSX/._a.xml", ".DS_Store", "media/.DS_Store", "a.xml"]
      const contents = yield* readAll(rawZip(rubbish.map((name) => ({ name }))))
      assert.deepStrictEqual([...contents.keys()], ["a.xml"])
    })
  )

  it.effect("archives written as a stream, with sizes after the data", () =>
    Effect.gen(function* () {
      const file = Buffer.from(Array.from({ length: 900_000 }, (_, i) => Math.imul(i, i) >> 3))
      const bytes = yield* Effect.promise(() => zipped(new Map([["a.bin", file]])))
      const opened = yield* openPackage(sourceOf(bytes))
      const pieces = yield* Stream.runCollect(opened.stream("a.bin"))
      assert.isAbove(pieces.length, 1)
      assert.isTrue(Buffer.concat(pieces).equals(file))
    })
  )

  it.effect("what it can and dies of a medium that fails, at any read", () =>
    Effect.gen(function* () {
      const bytes = rawZip(good)
      let reads = 0
      const failing = (at: number): ByteSource => ({
        size: bytes.length,
        read: async (offset, length) => {
          if (reads++ === at) throw new Error("EIO")
          return bytes.subarray(offset, offset + length)
        }
      })
      for (let at = 0; ; at++) {
        reads = 0
        const all = Effect.flatMap(openPackage(failing(at)), ({ entries, read }) =>
          Effect.forEach([...entries.keys()], read)
        )
        const exit = yield* Effect.exit(all)
        if (Exit.isSuccess(exit)) break
        assert.match(String(Cause.squash(exit.cause)), /EIO/)
        assert.isTrue(Cause.hasDies(exit.cause))
      }
      assert.isAbove(reads, 5)
    })
  )
})

describe("openPackage never gives other contents than declared when", () => {
  const bytes = rawZip(good)
  const original = new Map(good.map(({ name, data }) => [String(name), Buffer.from(data ?? "")]))

  const check = Effect.fnUntraced(function* (mutated: Uint8Array) {
    const result = yield* Effect.result(readAll(mutated))
    if (result._tag === "Failure") return
    for (const [name, contents] of result.success) {
      const before = original.get(name)
      assert.isTrue(before !== undefined && crc32(before) === crc32(contents), name)
    }
  })

  it.effect("any one bit is flipped", () =>
    Effect.gen(function* () {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const mutated = Buffer.from(bytes)
        mutated.writeUInt8(mutated.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        yield* check(mutated)
      }
    })
  )

  it("any bytes are changed, cut out or put in", async () => {
    const edit = fc.record({
      at: fc.nat(bytes.length - 1),
      cut: fc.nat(40),
      put: fc.uint8Array({ maxLength: 40 })
    })
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
        const mutated = edits.reduce(
          (all, { at, cut, put }) =>
            Buffer.concat([all.subarray(0, at), put, all.subarray(at + cut)]),
          bytes
        )
        await Effect.runPromise(check(mutated))
      }),
      { numRuns: 500 }
    )
  })
})
