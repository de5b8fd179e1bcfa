import { spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import { VOLUME_BYTES_MAX } from "../domain/bundle-manifest.ts"
import { VOLUME_ENTRIES_MAX } from "../domain/volume-contents.ts"
import { openVolume, READ_BYTES_MAX } from "../infrastructure/zip-volume-reader.ts"
import { writeVolume } from "../infrastructure/zip-volume-writer.ts"
import { badMedium } from "./support/bad-medium.ts"
import { freshFolder } from "./support/database.ts"
import { hostileVolumes } from "./support/hostile-volumes.ts"
import { rawZip } from "./support/raw-zip.ts"
import {
  BLOB,
  fileOf,
  INDEX,
  openBelow,
  readAll,
  sha256,
  source,
  wholeVolume
} from "./support/volumes.ts"

const codeOf = (file: string) =>
  readAll(file).pipe(
    Effect.as("accepted"),
    Effect.catchTag("ZipVolumeRefused", ({ code, volume }) => {
      assert.strictEqual(volume, file)
      return Effect.succeed(code)
    })
  )

describe("openVolume refuses a volume that", () => {
  for (const [claim, code, make] of hostileVolumes) {
    it.effect(claim, () =>
      Effect.gen(function* () {
        const file = yield* fileOf(make())
        assert.strictEqual(yield* codeOf(file), code)
        assert.deepStrictEqual(openBelow(path.dirname(file)), [])
      })
    )
  }

  it.effect("is cut off anywhere", () =>
    Effect.gen(function* () {
      const file = yield* fileOf(rawZip([{ name: "manifest.json", method: 0, data: "{}" }]))
      for (let size = fs.statSync(file).size - 1; size >= 0; size--) {
        fs.truncateSync(file, size)
        assert.strictEqual(yield* codeOf(file), "E_ZIP_EOCD")
      }
    })
  )

  it.effect("is larger than 2 GB, by one byte", () =>
    Effect.gen(function* () {
      const file = yield* fileOf(Buffer.alloc(0))
      fs.truncateSync(file, VOLUME_BYTES_MAX + 1)
      assert.strictEqual(yield* codeOf(file), "E_VOL_TOO_BIG")
      fs.truncateSync(file, VOLUME_BYTES_MAX)
      assert.strictEqual(yield* codeOf(file), "E_ZIP_EOCD")
    })
  )

  it.effect("is a link, a folder, a pipe or a device, without waiting for any of them", () =>
    Effect.gen(function* () {
      const file = yield* fileOf(rawZip([]))
      const beside = (name: string) => path.join(path.dirname(file), name)
      fs.symlinkSync(file, beside("link"))
      fs.mkdirSync(beside("folder"))
      assert.strictEqual(spawnSync("mkfifo", [beside("pipe")]).status, 0)
      assert.strictEqual(yield* codeOf(beside("link")), "E_NOT_FILE")
      assert.strictEqual(yield* codeOf(beside("folder")), "E_NOT_FILE")
      assert.strictEqual(yield* codeOf(beside("pipe")), "E_NOT_FILE")
      assert.strictEqual(yield* codeOf("/dev/zero"), "E_NOT_FILE")
    })
  )
})

describe("openVolume accepts", () => {
  it.effect("4,096 entries, and sizes before as well as behind the data", () =>
    Effect.gen(function* () {
      const entries = Array.from({ length: VOLUME_ENTRIES_MAX }, (_, i) => ({
        name: `p/${String(i).padStart(6, "0")}.age`,
        method: 0,
        data: `${i}`,
        flags: i % 2 === 0 ? 0x808 : 0
      }))
      const contents = yield* readAll(yield* fileOf(rawZip(entries)))
      assert.strictEqual(contents.size, VOLUME_ENTRIES_MAX)
      assert.strictEqual(String(contents.get("p/004095.age")), "4095")
    })
  )
})

describe("a volume on a bad medium", () => {
  const SEGMENT = 100_000

  /** Copies a part as an import does: three tries a segment, all damage told in one pass. */
  const damageOf = Effect.fnUntraced(function* (file: string, name: string, data: Buffer) {
    const volume = yield* openVolume(file)
    const damage: Array<string> = []
    for (let offset = 0; offset < data.length; offset += SEGMENT) {
      const length = Math.min(SEGMENT, data.length - offset)
      const outcome = yield* volume.read(name, { offset, length }).pipe(
        Effect.retry({ times: 3 }),
        Effect.map((bytes) => {
          const right = sha256(data.subarray(offset, offset + length))
          return sha256(bytes) === right ? [] : [`digest ${offset / SEGMENT}`]
        }),
        Effect.catchTag("MediaError", ({ code, offset: at }) =>
          Effect.succeed([`${code} ${offset / SEGMENT} at ${at - offset}`])
        )
      )
      damage.push(...outcome)
    }
    return damage
  })

  const written = Effect.gen(function* () {
    const file = path.join(yield* freshFolder(), "00000042-v01of01.zip")
    yield* writeVolume(file, wholeVolume())
    const { offset } = yield* openVolume(file).pipe(
      Effect.map(({ entries }) => entries.get("p/000007.age.001")!),
      Effect.scoped
    )
    return { file, offset }
  })

  it.effect("tells every segment that cannot be read, and gives the others", () =>
    Effect.gen(function* () {
      const { file, offset } = yield* written
      const bad = offset + 3 * SEGMENT + 512
      let tries = 0
      yield* badMedium(path.dirname(file), (call) => {
        if (call.offset > bad || call.offset + call.length <= bad) return undefined
        if (call.offset < bad) return bad - call.offset
        tries++
        return "EIO"
      })
      const damage = yield* damageOf(file, "p/000007.age.001", BLOB)
      assert.deepStrictEqual(damage, [`EIO 3 at ${offset + 512}`])
      assert.strictEqual(tries, 4)
    })
  )

  it.effect("is read when a second try helps", () =>
    Effect.gen(function* () {
      const { file } = yield* written
      let reads = 0
      yield* badMedium(path.dirname(file), ({ length }) =>
        length === SEGMENT && reads++ % 2 === 0 ? "EIO" : undefined
      )
      assert.deepStrictEqual(yield* damageOf(file, "p/000007.age.001", BLOB), [])
      assert.isAbove(reads, 20)
    })
  )

  it.effect("tells of two damaged segments in one pass", () =>
    Effect.gen(function* () {
      const { file, offset } = yield* written
      flip(file, offset + 2 * SEGMENT)
      flip(file, offset + 9 * SEGMENT + 1)
      const damage = yield* damageOf(file, "p/000007.age.001", BLOB)
      assert.deepStrictEqual(damage, ["digest 2", "digest 9"])
    })
  )

  it.effect("fails with MediaError wherever it fails while it is opened, and is closed", () =>
    Effect.gen(function* () {
      const { file } = yield* written
      let calls = 0
      let at = 0
      yield* badMedium(path.dirname(file), () => (calls++ === at ? "ENODEV" : undefined))
      for (; ; at++) {
        calls = 0
        const outcome = yield* Effect.result(Effect.scoped(openVolume(file)))
        if (outcome._tag === "Success") break
        assert.strictEqual(outcome.failure._tag, "MediaError")
        assert.deepStrictEqual(openBelow(path.dirname(file)), [])
      }
      assert.isAbove(at, 10)
    })
  )

  it.effect("tells when it became shorter, or is not there", () =>
    Effect.gen(function* () {
      const { file, offset } = yield* written
      const volume = yield* openVolume(file)
      fs.truncateSync(file, offset + 10)
      const error = yield* Effect.flip(
        volume.read("p/000007.age.001", { offset: 0, length: SEGMENT })
      )
      assert.deepInclude(error, { code: "E_SHORT_READ", path: file, offset: offset + 10 })
      const missing = yield* Effect.flip(openVolume(`${file}.gone`))
      assert.deepInclude(missing, { _tag: "MediaError", code: "ENOENT" })
    })
  )
})

describe("reading an entry", () => {
  it.effect("gives any range of it, and dies of any other", () =>
    Effect.gen(function* () {
      const file = path.join(yield* freshFolder(), "volume.zip")
      yield* writeVolume(file, wholeVolume())
      const volume = yield* openVolume(file)
      const name = "p/000000.age"
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.nat(INDEX.length), fc.nat(70_000), async (offset, wanted) => {
            const length = Math.min(wanted, INDEX.length - offset)
            const bytes = await Effect.runPromise(volume.read(name, { offset, length }))
            assert.isTrue(INDEX.subarray(offset, offset + length).equals(bytes))
          }),
          { numRuns: 50 }
        )
      )
      assert.strictEqual(String(yield* volume.readSmall("manifest.json")), '{"manifest":1}')
      for (const wrong of [
        volume.read(name, { offset: 1, length: INDEX.length }),
        volume.read(name, { offset: -1, length: 1 }),
        volume.read(name, { offset: 0, length: READ_BYTES_MAX + 1 }),
        volume.read("p/000009.age", { offset: 0, length: 0 }),
        volume.readSmall(name)
      ]) {
        assert.strictEqual((yield* Effect.exit(wrong))._tag, "Failure")
      }
    })
  )
})

describe("a mutated volume", () => {
  const contents = new Map([
    ["README.txt", "Hello"],
    ["manifest.json", "{}"],
    ["manifest.json.sig", "signed"],
    ["p/000000.age", "some bytes"],
    ["p/000001.age.001", "more bytes"]
  ])

  const small = Effect.gen(function* () {
    const file = path.join(yield* freshFolder(), "volume.zip")
    yield* writeVolume(
      file,
      [...contents].map(([name, data]) => source(name, data))
    )
    return { file, bytes: fs.readFileSync(file) }
  })

  const outcomeOf = (file: string, bytes: Uint8Array) => {
    fs.writeFileSync(file, bytes)
    return readAll(file).pipe(Effect.catchTag("ZipVolumeRefused", () => Effect.undefined))
  }

  it.effect("is refused, or differs in the one entry whose byte was changed", () =>
    Effect.gen(function* () {
      const { file, bytes } = yield* small
      const entries = [...(yield* Effect.scoped(openVolume(file))).entries.values()]
      let refused = 0
      for (const at of bytes.keys()) {
        const hit = entries.find(({ offset, size }) => at >= offset && at < offset + size)
        const mutated = Buffer.from(bytes)
        mutated.writeUInt8(mutated.readUInt8(at) ^ (1 << ((at * 5) % 8)), at)
        const read = yield* outcomeOf(file, mutated)
        if (read === undefined) {
          refused++
          assert.isUndefined(hit, `byte ${at}`)
          continue
        }
        const others = new Map([...read].map(([name, data]) => [name, String(data)]))
        if (hit !== undefined) {
          assert.notStrictEqual(others.get(hit.name), contents.get(hit.name))
          others.set(hit.name, contents.get(hit.name) ?? "")
        }
        assert.deepStrictEqual([...others], [...contents], `byte ${at}`)
      }
      assert.isAbove(refused, bytes.length / 2)
    })
  )

  it.effect("is refused or read whatever is changed, cut out or put in", () =>
    Effect.gen(function* () {
      const { file, bytes } = yield* small
      const edit = fc.record({
        at: fc.nat(bytes.length - 1),
        cut: fc.nat(40),
        put: fc.uint8Array({ maxLength: 40 })
      })
      const edits = fc.array(edit, { minLength: 1, maxLength: 3 })
      const property = fc.asyncProperty(edits, async (chosen) => {
        const mutated = chosen.reduce(
          (all, { at, cut, put }) =>
            Buffer.concat([all.subarray(0, at), put, all.subarray(at + cut)]),
          bytes
        )
        const read = await Effect.runPromise(outcomeOf(file, mutated))
        for (const [name, data] of read ?? []) {
          assert.strictEqual(data.length, contents.get(name)?.length, name)
        }
      })
      yield* Effect.promise(() => fc.assert(property, { numRuns: 200 }))
    })
  )
})

const flip = (file: string, at: number) => {
  const fd = fs.openSync(file, "r+")
  const byte = Buffer.alloc(1)
  fs.readSync(fd, byte, 0, 1, at)
  fs.writeSync(fd, Buffer.from([byte.readUInt8(0) ^ 0x10]), 0, 1, at)
  fs.closeSync(fd)
}
