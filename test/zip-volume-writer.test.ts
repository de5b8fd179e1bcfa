import { spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { Readable } from "node:stream"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { VOLUME_BYTES_MAX } from "../domain/bundle-manifest.ts"
import { volumeBytes } from "../domain/volume-contents.ts"
import { openVolume } from "../infrastructure/zip-volume-reader.ts"
import { type VolumeSource, writeVolume } from "../infrastructure/zip-volume-writer.ts"
import { badMedium, failure, freeSpace, type Trouble } from "./support/bad-medium.ts"
import { freshFolder } from "./support/database.ts"
import { BLOB, INDEX, openBelow, readAll, sha256, source, wholeVolume } from "./support/volumes.ts"

const NAME = "00000042-v01of01.zip"
const MIB = 1_048_576

describe("writeVolume", () => {
  it.effect("writes what the reader reads, and as many bytes as were planned", () =>
    Effect.gen(function* () {
      const file = path.join(yield* freshFolder(), NAME)
      const { size } = yield* writeVolume(file, wholeVolume())
      assert.strictEqual(size, fs.statSync(file).size)
      assert.strictEqual(size, volumeBytes(wholeVolume()))
      const contents = yield* readAll(file)
      const names = wholeVolume().map(({ name }) => name)
      assert.deepStrictEqual([...contents.keys()], names)
      for (const { name, sha256: digest } of wholeVolume()) {
        assert.strictEqual(sha256(contents.get(name)!), digest)
      }
      assert.deepStrictEqual(fs.readdirSync(path.dirname(file)), [NAME])
    })
  )

  it.effect("gives the same bytes for the same entries, however their sources cut them", () =>
    Effect.gen(function* () {
      const file = path.join(yield* freshFolder(), NAME)
      yield* writeVolume(file, wholeVolume(65_536))
      const first = fs.readFileSync(file)
      yield* writeVolume(file, wholeVolume(9_999))
      assert.isTrue(first.equals(fs.readFileSync(file)))
    })
  )

  it.effect("gives the bytes that it always gave", () =>
    Effect.gen(function* () {
      const file = path.join(yield* freshFolder(), NAME)
      yield* writeVolume(file, [source("manifest.json", "{}"), source("p/000000.age", "sealed")])
      const bytes = fs.readFileSync(file)
      assert.deepStrictEqual([bytes.readUInt16LE(10), bytes.readUInt16LE(12)], [0, 33])
      assert.strictEqual(
        sha256(bytes),
        "ad69bced2a31195287749592548e96d76a8a9737e90f65d2318a7225bf4e8f88"
      )
    })
  )

  it.effect("takes the place of a volume of that name, and of what a crash left", () =>
    Effect.gen(function* () {
      const file = path.join(yield* freshFolder(), NAME)
      fs.writeFileSync(file, "old")
      fs.symlinkSync("/etc/hostname", `${file}.partial`)
      yield* writeVolume(file, wholeVolume())
      assert.strictEqual((yield* readAll(file)).size, wholeVolume().length)
      assert.isTrue(fs.statSync("/etc/hostname").size < 1_000)
    })
  )

  it.effect("draws one source at a time", () =>
    Effect.gen(function* () {
      const file = path.join(yield* freshFolder(), NAME)
      let open = 0
      let most = 0
      const counted = wholeVolume().map((one) => ({
        ...one,
        bytes: Stream.unwrap(
          Effect.acquireRelease(
            Effect.sync(() => {
              most = Math.max(most, ++open)
              return one.bytes
            }),
            () => Effect.sync(() => open--)
          )
        )
      }))
      yield* writeVolume(file, counted)
      assert.deepStrictEqual({ open, most }, { open: 0, most: 1 })
    })
  )

  it.effect("dies of entries that no reader would accept, before it touches the stick", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      const entry = source("p/000000.age", "a")
      for (const sources of [
        [source("../x", "a")],
        [source("p\\000000.age", "a")],
        [entry, entry],
        [{ ...entry, size: VOLUME_BYTES_MAX }],
        [{ ...entry, size: -1 }],
        [{ ...entry, name: "manifest.json.sig", size: 4_097 }],
        Array.from({ length: 4_097 }, (_, i) => source(`p/${String(i).padStart(6, "0")}.age`, "a"))
      ]) {
        const exit = yield* Effect.exit(writeVolume(path.join(folder, NAME), sources))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.deepStrictEqual(fs.readdirSync(folder), [])
      }
    })
  )
})

describe("writeVolume leaves nothing behind", () => {
  /** The failure of a write with `part` between good entries, in a folder with an older volume. */
  const failureOf = Effect.fnUntraced(function* <E>(part: VolumeSource<E>, trouble?: Trouble) {
    const folder = yield* freshFolder()
    const file = path.join(folder, NAME)
    fs.writeFileSync(file, "older")
    if (trouble !== undefined) yield* badMedium(folder, trouble)
    const sources = [...wholeVolume().slice(0, 4), part, source("p/000009.age", INDEX)]
    const error = yield* Effect.flip(writeVolume(file, sources))
    assert.deepStrictEqual(fs.readdirSync(folder), [NAME])
    assert.strictEqual(fs.readFileSync(file, "utf8"), "older")
    assert.deepStrictEqual(openBelow(folder), [])
    return error
  })

  const part = source("p/000003.age", BLOB)
  const reading = (readable: () => Readable): VolumeSource<unknown> => ({
    ...part,
    bytes: NodeStream.fromReadable<Uint8Array, unknown>({
      evaluate: readable,
      onError: (cause) => cause
    })
  })

  it.effect("of a source that is short, long or changed", () =>
    Effect.gen(function* () {
      const name = part.name
      const short = yield* failureOf({ ...part, size: part.size + 1 })
      assert.deepInclude(short, { _tag: "VolumeSourceChanged", name, reason: "short" })
      const long = yield* failureOf({ ...part, size: part.size - 1 })
      assert.deepInclude(long, { _tag: "VolumeSourceChanged", name, reason: "long" })
      const changed = yield* failureOf({ ...part, sha256: sha256(INDEX) })
      assert.deepInclude(changed, { _tag: "VolumeSourceChanged", name, reason: "changed" })
    })
  )

  it.effect("of a source that fails", () =>
    Effect.gen(function* () {
      const eio = failure("EIO", "read")
      const failing = Stream.concat(Stream.take(part.bytes, 10), Stream.fail(eio))
      assert.strictEqual(yield* failureOf({ ...part, bytes: failing }), eio)
      const readable = reading(() => Readable.from(failingPieces(eio)))
      assert.strictEqual(yield* failureOf(readable), eio)
    })
  )

  it.effect("of a source that is destroyed without a word", () =>
    Effect.gen(function* () {
      const destroyed = reading(() => {
        let pieces = 0
        const readable: Readable = new Readable({
          read() {
            if (pieces++ < 3) this.push(Buffer.alloc(1_000))
            else setImmediate(() => this.destroy())
          }
        })
        return readable
      })
      assert.match(String(yield* failureOf(destroyed)), /premature/iu)
    })
  )

  it.effect("of a source that dies", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      const dying = { ...part, bytes: Stream.die(new Error("a bug")) }
      const exit = yield* Effect.exit(writeVolume(path.join(folder, NAME), [dying]))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.deepStrictEqual(fs.readdirSync(folder), [])
    })
  )

  for (const code of ["ENOSPC", "EDQUOT"]) {
    it.effect(`when the stick is full in the end (${code})`, () =>
      Effect.gen(function* () {
        const full = yield* failureOf(part, ({ method, offset, length }) => {
          if (method !== "write" || offset + length < MIB) return undefined
          return offset < MIB ? MIB - offset : code
        })
        assert.deepInclude(full, { _tag: "NoSpace", free: 0 })
        const atSync = yield* failureOf(part, ({ method }) =>
          method === "sync" ? code : undefined
        )
        assert.deepInclude(atSync, { _tag: "NoSpace" })
      })
    )
  }

  it.effect("when the stick fails at a write, a sync or a read", () =>
    Effect.gen(function* () {
      for (const failing of ["write", "sync", "read"] as const) {
        const error = yield* failureOf(part, ({ method, offset, length }) =>
          method === failing && (failing === "sync" || offset + length > MIB) ? "EIO" : undefined
        )
        assert.deepInclude(error, { _tag: "MediaError", code: "EIO" })
      }
    })
  )

  it.effect("when only the sync of what was written long before fails", () =>
    Effect.gen(function* () {
      const big = source("p/000003.age", Buffer.alloc(17 * MIB, "sealed"), MIB)
      let syncs = 0
      const error = yield* failureOf(big, ({ method }) =>
        method === "sync" && ++syncs === 1 ? "EIO" : undefined
      )
      assert.deepInclude(error, { _tag: "MediaError", code: "EIO" })
    })
  )

  it.effect("when the stick keeps other bytes than it was given", () =>
    Effect.gen(function* () {
      const big = source("p/000003.age", Buffer.alloc(5 * MIB, "sealed"), MIB)
      const error = yield* failureOf(big, ({ method, path: partial }) => {
        if (method === "sync" && partial.endsWith(".partial")) spoil(partial, 4 * MIB + 5_000)
        return undefined
      })
      assert.deepInclude(error, { _tag: "MediaError", code: "E_READ_BACK", offset: 4 * MIB })
    })
  )

  it.effect("when it is interrupted", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      const begun = yield* Deferred.make<void>()
      let drawn = 0
      const endless = Stream.forever(Stream.succeed(Buffer.alloc(10_000))).pipe(
        Stream.tap(() => (drawn++ === 300 ? Deferred.succeed(begun, undefined) : Effect.void))
      )
      const sources = [{ ...part, size: 1_000_000_000, bytes: endless }]
      const writing = yield* Effect.forkChild(writeVolume(path.join(folder, NAME), sources))
      yield* Deferred.await(begun)
      assert.deepStrictEqual(fs.readdirSync(folder), [`${NAME}.partial`])
      yield* Fiber.interrupt(writing)
      assert.deepStrictEqual(fs.readdirSync(folder), [])
      assert.deepStrictEqual(openBelow(folder), [])
    })
  )
})

describe("writeVolume tells", () => {
  it.effect("that there is no space, before it writes", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      yield* freeSpace(MIB)
      const error = yield* Effect.flip(writeVolume(path.join(folder, NAME), wholeVolume()))
      assert.deepInclude(error, { _tag: "NoSpace", free: MIB })
      assert.deepStrictEqual(fs.readdirSync(folder), [])
    })
  )

  it.effect("that the folder is not there", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      const error = yield* Effect.flip(writeVolume(path.join(folder, "no", NAME), wholeVolume()))
      assert.deepInclude(error, { _tag: "MediaError", code: "ENOENT" })
    })
  )

  it.effect("where the volume was read back from", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      let direct = 0
      yield* badMedium(folder, ({ method, length }) =>
        method === "read" && length === 4 * MIB && direct++ === 0 ? "EINVAL" : undefined
      )
      const file = path.join(folder, NAME)
      assert.strictEqual((yield* writeVolume(file, wholeVolume())).readBack, "cache")
    })
  )
})

describe("the tools of a school agree", () => {
  const tools = [
    ["unzip", "-tq"],
    ["7z", "t"],
    [
      "python3",
      "-c",
      "import sys,zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)"
    ]
  ] as const
  const present = tools.filter(([tool]) => spawnSync(tool, ["--help"]).error === undefined)

  it.effect("that a volume is good, and that it is damaged when a byte of a part is flipped", () =>
    Effect.gen(function* () {
      const file = path.join(yield* freshFolder(), NAME)
      yield* writeVolume(file, wholeVolume())
      const { offset } = yield* openVolume(file).pipe(
        Effect.map(({ entries }) => entries.get("p/000007.age.001")!),
        Effect.scoped
      )
      const verdicts = () =>
        present.map(([tool, ...given]) => spawnSync(tool, [...given, file]).status === 0)
      assert.isNotEmpty(present)
      assert.deepStrictEqual(
        verdicts(),
        present.map(() => true)
      )
      spoil(file, offset + 700_000)
      assert.deepStrictEqual(
        verdicts(),
        present.map(() => false)
      )
    })
  )

  it.effect("on the checksums in it", () =>
    Effect.gen(function* () {
      const file = path.join(yield* freshFolder(), NAME)
      yield* writeVolume(file, wholeVolume())
      const sums = String((yield* readAll(file)).get("SHA256SUMS"))
      const listed = wholeVolume().filter(({ name }) => name !== "SHA256SUMS")
      assert.strictEqual(sums, listed.map((one) => `${one.sha256}  ${one.name}\n`).join(""))
    })
  )
})

async function* failingPieces(cause: Error) {
  yield Buffer.alloc(100_000)
  throw cause
}

/** Changes one byte of a file, below everybody's eyes. */
const spoil = (file: string, at: number) => {
  const fd = fs.openSync(file, "r+")
  const byte = Buffer.alloc(1)
  fs.readSync(fd, byte, 0, 1, at)
  fs.writeSync(fd, Buffer.from([byte.readUInt8(0) ^ 0x10]), 0, 1, at)
  fs.fsyncSync(fd)
  fs.closeSync(fd)
}
