import { spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { Medium, Stick } from "../application/bundle-ports.ts"
import * as StickMedium from "../infrastructure/stick-medium.ts"
import { README } from "../infrastructure/stick-readme.ts"
import * as StickWriter from "../infrastructure/stick-writer.ts"
import { openVolume } from "../infrastructure/zip-volume-reader.ts"
import { writeVolume } from "../infrastructure/zip-volume-writer.ts"
import { badMedium, freeSpace } from "./support/bad-medium.ts"
import { bundle, CENTRAL, DEVICE, put, signAs } from "./support/bundles.ts"
import { freshFolder } from "./support/database.ts"
import { openBelow, source } from "./support/volumes.ts"

const provided = Effect.provide(Layer.merge(StickMedium.layer, StickWriter.layer))
const VOLUME = 90_000
const folderOn = (to: string) => path.join(to, "TESTFERRY", "to-device", DEVICE)

const codeAt = (from: string) =>
  Effect.gen(function* () {
    const medium = yield* Medium
    const found = yield* medium.find(from)
    for (const one of found) yield* Effect.scoped(medium.open(one))
    return "opened"
  }).pipe(Effect.catch(({ code }) => Effect.succeed(code)))

describe("a stick", () => {
  it.effect("gives back the bundle that was written, from wherever it is looked for", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const made = bundle()
      const written = yield* put(to, made)
      const medium = yield* Medium
      const folder = folderOn(to)
      const link = path.join(yield* freshFolder(), "stick")
      fs.symlinkSync(to, link)
      const places = [to, link, path.join(to, "TESTFERRY"), path.dirname(folder), folder]
      for (const from of [...places, ...written.paths]) {
        const [found, ...others] = yield* medium.find(from)
        assert.deepStrictEqual(others, [], from)
        assert.isDefined(found)
        const { of, seq, stream, volumes } = found
        assert.deepStrictEqual(
          { of, seq, stream },
          { of: 2, seq: 42, stream: made.manifest.stream }
        )
        assert.deepStrictEqual([...volumes.values()].sort(), [...written.paths].sort())
        const opened = yield* medium.open(found)
        assert.deepStrictEqual(opened.manifest, made.signed)
        for (const [name, bytes] of made.contents) {
          assert.strictEqual(opened.sizes.get(name), bytes.length)
          assert.isTrue(bytes.equals(yield* opened.read(name, 0, bytes.length)))
        }
      }
    }).pipe(provided)
  )

  it.effect("carries README, checksums, roots and every signature in every volume, in order", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const root = (version: number) => ({
        text: JSON.stringify({ version, id: "é" }),
        signatures: ["one", "two"]
      })
      const made = bundle({ roots: [root(2), root(3)] })
      const second = signAs(CENTRAL, "c2d", made.signed.text)
      const signed = { ...made.signed, signatures: [...made.signed.signatures, second] }
      const written = yield* put(to, { ...made, signed })
      for (const [at, file] of written.paths.entries()) {
        assert.isAtMost(fs.statSync(file).size, VOLUME)
        const { entries } = yield* openVolume(file)
        const names = [...entries.keys()]
        const parts = made.parts.filter(({ part }) => part.volume === at + 1)
        assert.deepStrictEqual(names, [
          ...["README.txt", "SHA256SUMS"],
          ...["root/000002.json", "root/000002.json.sig.1", "root/000002.json.sig.2"],
          ...["root/000003.json", "root/000003.json.sig.1", "root/000003.json.sig.2"],
          ...["manifest.json", "manifest.json.sig", "manifest.json.sig.2"],
          ...parts.map(({ part }) => part.name)
        ])
      }
      const medium = yield* Medium
      const [found] = yield* medium.find(to)
      assert.isDefined(found)
      const opened = yield* medium.open(found)
      assert.deepStrictEqual(opened.roots, made.roots)
      assert.deepStrictEqual(opened.manifest, signed)
      assert.strictEqual(fs.readFileSync(path.join(to, "TESTFERRY/README.txt"), "utf8"), README)
    }).pipe(provided)
  )

  it.effect("tells bytes as they are written and as they are read back", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const stick = yield* Stick
      const made = bundle()
      let told = 0
      const onBytes = (bytes: number) =>
        Effect.sync(() => {
          told += bytes
        })
      const written = yield* stick.write({ to, ...made, onBytes })
      const parts = made.parts.reduce((sum, { part }) => sum + part.size, 0)
      assert.strictEqual(told, parts + written.bytes)
      const onDisk = written.paths.reduce((sum, file) => sum + fs.statSync(file).size, 0)
      assert.strictEqual(written.bytes, onDisk)
    }).pipe(provided)
  )

  it.effect("loses older bundles of the stream and what a crash left, and nothing else", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      yield* put(to, bundle({ seq: 40 }))
      yield* put(to, bundle({ seq: 41, direction: "d2c" }))
      const folder = folderOn(to)
      for (const name of ["00000099-v01of01.zip.partial", "letter.txt", "00000043-v01of01.zip"]) {
        fs.writeFileSync(path.join(folder, name), "x")
      }
      fs.mkdirSync(path.join(folder, "00000001-v01of01.zip"))
      yield* put(to, bundle({ seq: 42 }))
      assert.deepStrictEqual(fs.readdirSync(folder).sort(), [
        ...["00000001-v01of01.zip", "00000042-v01of02.zip", "00000042-v02of02.zip"],
        ...["00000043-v01of01.zip", "letter.txt"]
      ])
      const home = path.join(to, "TESTFERRY", "to-central", DEVICE)
      assert.strictEqual(fs.readdirSync(home).length, 2)
    }).pipe(provided)
  )

  it.effect("keeps the older bundle when the new one can't be written, and nothing of that", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const { paths } = yield* put(to, bundle({ seq: 41 }))
      const before = fs.readdirSync(folderOn(to)).sort()
      const isSecond = (file: string) => file.includes("00000042-v02")
      const errors: Array<unknown> = []
      const attempt = Effect.scoped(
        Effect.andThen(
          badMedium(to, ({ method, path: file }) =>
            method === "write" && isSecond(file) ? "EIO" : undefined
          ),
          put(to, bundle({ seq: 42 }))
        )
      )
      errors.push(yield* Effect.flip(attempt))
      assert.deepStrictEqual(fs.readdirSync(folderOn(to)).sort(), before)
      errors.push(
        yield* Effect.flip(Effect.scoped(Effect.andThen(freeSpace(1_150_000), put(to, bundle()))))
      )
      assert.deepStrictEqual(fs.readdirSync(folderOn(to)).sort(), before)
      assert.deepStrictEqual(
        errors.map((error) => (error instanceof Error ? error.name : "")),
        ["MediaFailed", "NoSpace"]
      )
      assert.deepStrictEqual(
        [...paths].sort(),
        before.map((name) => path.join(folderOn(to), name))
      )
    }).pipe(provided)
  )

  it.effect("keeps the older bundle when somebody interrupts, and leaves nothing open", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      yield* put(to, bundle({ seq: 41 }))
      const before = fs.readdirSync(folderOn(to)).sort()
      const made = bundle()
      const reached = yield* Deferred.make<void>()
      const parts = made.parts.map((one) =>
        one.part.volume === 1
          ? one
          : {
              ...one,
              bytes: Stream.fromEffect(
                Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
              )
            }
      )
      const writing = yield* Effect.forkChild(put(to, { ...made, parts }))
      yield* Deferred.await(reached)
      assert.isTrue(fs.existsSync(path.join(folderOn(to), "00000042-v01of02.zip")))
      yield* Fiber.interrupt(writing)
      assert.deepStrictEqual(fs.readdirSync(folderOn(to)).sort(), before)
      assert.deepStrictEqual(openBelow(to), [])
    }).pipe(provided)
  )

  it.effect("is never written through a link that somebody left on it", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const elsewhere = yield* freshFolder()
      for (const link of ["TESTFERRY", "TESTFERRY/to-device", `TESTFERRY/to-device/${DEVICE}`]) {
        fs.rmSync(path.join(to, "TESTFERRY"), { recursive: true, force: true })
        fs.mkdirSync(path.dirname(path.join(to, link)), { recursive: true })
        fs.symlinkSync(elsewhere, path.join(to, link))
        const failed = yield* Effect.flip(put(to, bundle()))
        assert.include(JSON.stringify(failed), "ENOTDIR")
        assert.deepStrictEqual(fs.readdirSync(elsewhere), [])
      }
    }).pipe(provided)
  )

  it.effect("says what room there is, also where no folder is yet", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const stick = yield* Stick
      const { bavail, bsize } = fs.statfsSync(to)
      const free = yield* stick.free(path.join(to, "not", "yet"))
      assert.isBelow(Math.abs(free - bavail * bsize), 1e9)
      fs.writeFileSync(path.join(to, "file"), "")
      const failed = yield* Effect.flip(stick.free(path.join(to, "file")))
      assert.strictEqual(failed._tag, "MediaFailed")
      assert.include(failed.detail, "ENOTDIR")
    }).pipe(provided)
  )
})

describe("finding", () => {
  it.effect("says so when there is nothing of ours", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      assert.strictEqual(yield* codeAt(path.join(to, "gone")), "E_NOT_FOUND")
      assert.strictEqual(yield* codeAt(to), "E_NOT_FOUND")
      const folder = folderOn(to)
      fs.mkdirSync(folder, { recursive: true })
      for (const name of ["00000042-v01of01.zip.partial", "42.zip", "00000042-v02of01.zip"]) {
        fs.writeFileSync(path.join(folder, name), "x")
      }
      fs.writeFileSync(path.join(to, "00000042-v01of01.zip"), "x")
      fs.mkdirSync(path.join(to, "TESTFERRY/to-device/nobody"))
      fs.writeFileSync(path.join(to, "TESTFERRY/to-device/nobody/00000042-v01of01.zip"), "x")
      const places = [
        to,
        folder,
        path.join(folder, "42.zip"),
        path.join(to, "00000042-v01of01.zip")
      ]
      for (const from of places) assert.strictEqual(yield* codeAt(from), "E_NOT_FOUND", from)
    }).pipe(provided)
  )

  it.effect("tells bundles apart, in order, and of one volume takes its siblings", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const aside = yield* freshFolder()
      const old = yield* put(aside, bundle({ seq: 41 }))
      const { paths } = yield* put(to, bundle({ seq: 42 }))
      yield* put(to, bundle({ seq: 7, direction: "d2c" }))
      for (const file of old.paths)
        fs.copyFileSync(file, path.join(folderOn(to), path.basename(file)))
      const medium = yield* Medium
      const found = yield* medium.find(to)
      assert.deepStrictEqual(
        found.map(({ seq, stream }) => `${stream} ${seq}`),
        [`c2d.${DEVICE} 41`, `c2d.${DEVICE} 42`, `d2c.${DEVICE} 7`]
      )
      const one = yield* medium.find(paths[1] ?? "")
      assert.deepStrictEqual(
        one.map(({ seq, volumes }) => [seq, [...volumes.keys()].sort()]),
        [[42, [1, 2]]]
      )
      // A copy of the folder under another name.
      const copy = path.join(aside, "copy")
      fs.cpSync(path.join(to, "TESTFERRY"), copy, { recursive: true })
      assert.strictEqual((yield* medium.find(copy)).length, 3)
    }).pipe(provided)
  )

  it.effect("takes no link, pipe or folder for a volume, and waits for none", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const { paths } = yield* put(to, bundle())
      const [first = ""] = paths
      const aside = path.join(yield* freshFolder(), "volume.zip")
      fs.renameSync(first, aside)
      fs.symlinkSync(aside, first)
      assert.strictEqual(yield* codeAt(to), "E_NOT_FILE")
      assert.strictEqual(yield* codeAt(first), "E_NOT_FILE")
      fs.rmSync(first)
      spawnSync("mkfifo", [first])
      assert.strictEqual(yield* codeAt(to), "E_NOT_FILE")
      fs.rmSync(first)
      fs.mkdirSync(first)
      assert.strictEqual(yield* codeAt(to), "E_NOT_FILE")
      assert.deepStrictEqual(openBelow(to), [])
    }).pipe(provided)
  )

  it.effect("follows no link to a folder below the place that was named", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      yield* put(to, bundle())
      for (const link of ["TESTFERRY", "TESTFERRY/to-device", `TESTFERRY/to-device/${DEVICE}`]) {
        const stick = yield* freshFolder()
        fs.mkdirSync(path.dirname(path.join(stick, link)), { recursive: true })
        fs.symlinkSync(path.join(to, link), path.join(stick, link))
        assert.strictEqual(yield* codeAt(stick), "E_NOT_FOUND", link)
      }
    }).pipe(provided)
  )

  it.effect("looks at the newest of a crowd, by number and by date, and says what it left", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const medium = yield* Medium
      const folder = folderOn(to)
      const write = (seq: number, at: number) => {
        const file = path.join(folder, `${String(seq).padStart(8, "0")}-v01of01.zip`)
        fs.writeFileSync(file, "")
        fs.utimesSync(file, at, at)
        return file
      }
      fs.mkdirSync(folder, { recursive: true })
      for (let seq = 1; seq <= 200; seq++) write(1_000 + seq, seq)
      const all = yield* medium.find(to)
      assert.deepStrictEqual([all.length, all[0]?.left], [200, 0])
      // A new epoch: its number is the lowest, its date the newest.
      const newest = write(1, 5_000)
      for (let seq = 1; seq <= 50; seq++) write(500 + seq, 0)
      const found = yield* medium.find(to)
      const seqs = found.map(({ seq }) => seq)
      assert.deepStrictEqual([seqs.length, seqs[0], seqs.at(-1)], [200, 1, 1_200])
      assert.isAbove(seqs[1] ?? 0, 1_000)
      assert.deepStrictEqual([...new Set(found.map(({ left }) => left))], [51])
      // Who points at one bundle means it, however old it is.
      const [meant, ...others] = yield* medium.find(write(501, 0))
      assert.deepStrictEqual([meant?.seq, meant?.left, others], [501, 0, []])
      assert.lengthOf(yield* medium.find(newest), 1)
    }).pipe(provided)
  )
})

describe("opening", () => {
  const volume = (to: string, number: number, of: number) =>
    path.join(folderOn(to), `00000042-v0${number}of0${of}.zip`)

  it.effect("refuses volumes that do not belong together", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const other = yield* freshFolder()
      const { paths } = yield* put(to, bundle())
      const [first = "", second = ""] = paths
      const foreign = yield* put(other, bundle())
      fs.copyFileSync(foreign.paths[1] ?? "", second)
      assert.strictEqual(yield* codeAt(to), "E_VOLUME_MIX")
      // The same volume under two names has the same parts twice.
      fs.copyFileSync(first, second)
      assert.strictEqual(yield* codeAt(to), "E_VOLUME_MIX")
    }).pipe(provided)
  )

  it.effect("refuses a volume with another signature, without a manifest, or not in UTF-8", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      fs.mkdirSync(folderOn(to), { recursive: true })
      const manifest = source("manifest.json", "{}")
      const signature = source("manifest.json.sig", "signed")
      const write = (number: number, ...entries: ReadonlyArray<ReturnType<typeof source>>) =>
        writeVolume(volume(to, number, 2), entries)
      yield* write(1, manifest, signature)
      yield* write(2, manifest, signature)
      assert.strictEqual(yield* codeAt(to), "opened")
      yield* write(2, manifest, source("manifest.json.sig", "singed"))
      assert.strictEqual(yield* codeAt(to), "E_VOLUME_MIX")
      yield* write(2, manifest, signature, source("manifest.json.sig.2", "signed"))
      assert.strictEqual(yield* codeAt(to), "E_VOLUME_MIX")
      yield* write(2, source("README.txt", "no manifest"))
      assert.strictEqual(yield* codeAt(to), "E_VOLUME_MIX")
      for (const number of [1, 2]) {
        yield* write(number, source("manifest.json", Buffer.of(0x7b, 0xff, 0x7d)))
      }
      assert.strictEqual(yield* codeAt(to), "E_MANIFEST_CANONICAL")
    }).pipe(provided)
  )

  it.effect("names every volume that is broken, not the first alone", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const { paths } = yield* put(to, bundle({ sizes: [700, 9_000, 250_000] }))
      for (const file of paths.slice(0, 2)) fs.truncateSync(file, fs.statSync(file).size - 1)
      const medium = yield* Medium
      const [found] = yield* medium.find(to)
      assert.isDefined(found)
      const refused = yield* Effect.flip(Effect.scoped(medium.open(found)))
      assert.strictEqual(refused.code, "E_ZIP_EOCD")
      for (const file of paths.slice(0, 2)) assert.include(refused.detail, path.basename(file))
      assert.notInclude(refused.detail, "v03")
      assert.deepStrictEqual(openBelow(to), [])
    }).pipe(provided)
  )

  it.effect("gives a medium a second chance, and says when it fails", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      yield* put(to, bundle())
      const read = (fails: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            let left = fails
            yield* badMedium(to, ({ method }) =>
              method === "read" && left-- > 0 ? "EIO" : undefined
            )
            return yield* codeAt(to)
          })
        )
      assert.strictEqual(yield* read(2), "opened")
      assert.strictEqual(yield* read(Number.POSITIVE_INFINITY), "E_MEDIA_IO")
    }).pipe(provided)
  )
})
