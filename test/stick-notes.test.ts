import { spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Medium } from "../application/bundle-ports.ts"
import * as StickMedium from "../infrastructure/stick-medium.ts"
import { NOTE_BYTES_MAX, NOTES_MAX } from "../infrastructure/stick-notes.ts"
import * as StickWriter from "../infrastructure/stick-writer.ts"
import { badMedium } from "./support/bad-medium.ts"
import { bundle, DEVICE, put } from "./support/bundles.ts"
import { freshFolder } from "./support/database.ts"

const provided = Effect.provide(Layer.merge(StickMedium.layer, StickWriter.layer))
const receipt = (seq: number) =>
  `receipts/${DEVICE}/c2d.${DEVICE}-${String(seq).padStart(8, "0")}.json`
const note = { text: '{"é":1}', signatures: ["first", "second"] }

describe("notes on a stick", () => {
  it.effect("come back as they were put, from wherever the stick is pointed at", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const medium = yield* Medium
      assert.deepStrictEqual(yield* medium.notes(to, "receipts"), [])
      yield* medium.putNote(to, receipt(2), note)
      const { paths } = yield* put(to, bundle())
      // Beside the bundle, though only one volume of it was named.
      yield* medium.putNote(paths[0] ?? "", receipt(1), { ...note, text: "{}" })
      yield* medium.putNote(to, receipt(1), { text: "[]", signatures: ["one"] })
      yield* medium.putNote(to, "enrol/019ac0de-7d3a-7b11.json", note)
      for (const from of [to, path.join(to, "TESTFERRY"), ...paths]) {
        const [first, second, ...others] = yield* medium.notes(from, "receipts")
        assert.deepStrictEqual(others, [])
        assert.deepStrictEqual(second, { path: receipt(2), note })
        assert.strictEqual(first?.note.text, "[]")
        assert.strictEqual((yield* medium.notes(from, "enrol")).length, 1)
      }
      const names = fs.readdirSync(path.join(to, "TESTFERRY/receipts", DEVICE))
      assert.isEmpty(names.filter((name) => name.endsWith(".partial")))
    }).pipe(provided)
  )

  it.effect("are left out when they are broken, and keep nobody waiting", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const medium = yield* Medium
      const file = (seq: number) => path.join(to, "TESTFERRY", receipt(seq))
      for (const seq of [1, 2, 3, 4, 5, 6]) yield* medium.putNote(to, receipt(seq), note)
      fs.rmSync(`${file(1)}.sig`)
      fs.writeFileSync(file(2), Buffer.of(0xff))
      fs.truncateSync(file(3), NOTE_BYTES_MAX + 1)
      fs.renameSync(file(4), `${file(4)}.real`)
      fs.symlinkSync(`${file(4)}.real`, file(4))
      fs.rmSync(file(5))
      spawnSync("mkfifo", [file(5)])
      fs.mkdirSync(file(7))
      fs.writeFileSync(path.join(path.dirname(file(1)), "letter.json"), "{}")
      const notes = yield* medium.notes(to, "receipts")
      assert.deepStrictEqual(notes, [{ path: receipt(6), note }])
    }).pipe(provided)
  )

  it.effect("are read up to a limit", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const medium = yield* Medium
      yield* medium.putNote(to, receipt(1), note)
      const file = path.join(to, "TESTFERRY", receipt(1))
      for (let seq = 2; seq <= NOTES_MAX + 5; seq++) {
        const other = path.join(to, "TESTFERRY", receipt(seq))
        fs.copyFileSync(file, other)
        fs.copyFileSync(`${file}.sig`, `${other}.sig`)
      }
      assert.strictEqual((yield* medium.notes(to, "receipts")).length, NOTES_MAX)
    }).pipe(provided)
  )

  it.effect("that can't be written leave what was there", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const medium = yield* Medium
      yield* medium.putNote(to, receipt(1), note)
      const failed = yield* Effect.flip(
        Effect.scoped(
          Effect.andThen(
            badMedium(to, ({ method }) => (method === "sync" ? "EROFS" : undefined)),
            medium.putNote(to, receipt(1), { text: "new", signatures: ["new"] })
          )
        )
      )
      assert.strictEqual(failed._tag, "MediaFailed")
      assert.include(failed.detail, "EROFS")
      assert.deepStrictEqual(yield* medium.notes(to, "receipts"), [{ path: receipt(1), note }])
    }).pipe(provided)
  )

  it.effect("have no other paths than the format's", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const medium = yield* Medium
      for (const name of ["x.json", "../x.json", `receipts/${DEVICE}/../x.json`, "enrol/x.json"]) {
        const exit = yield* Effect.exit(medium.putNote(to, name, note))
        assert.strictEqual(exit._tag, "Failure", name)
      }
      assert.deepStrictEqual(fs.readdirSync(to), [])
    }).pipe(provided)
  )
})
