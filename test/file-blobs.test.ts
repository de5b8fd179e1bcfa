/** Files keep the contract of Blobs, and what only files can go wrong with. */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Blobs as BlobsPort } from "../application/ports.ts"
import { layer } from "../infrastructure/file-blobs.ts"
import * as Blobs from "./contract/blobs.ts"
import { freshFolder } from "./support/database.ts"
import { sha256 } from "./support/offers.ts"
import { smallDisk } from "./support/small-disk.ts"

Blobs.suite("files", Layer.unwrap(Effect.map(freshFolder(), layer)))

const MIB = 1_048_576
const nothing = () => Effect.void
const inFolder = <A, E>(
  folder: string,
  use: (blobs: BlobsPort["Service"]) => Effect.Effect<A, E>
) => Effect.provide(BlobsPort.use(use), layer(folder), { local: true })
const filesIn = (folder: string) =>
  fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((name) => fs.statSync(name).isFile())

/** Bytes of zeros, half of what a disk has to take at a time. */
const zeros = (size: number) =>
  Stream.fromIterable(Array.from({ length: size / (MIB / 2) }, () => new Uint8Array(MIB / 2)))
const broken = (size: number) => Stream.concat(zeros(size), Stream.fail("the line broke"))

describe("blobs in files", () => {
  it.live("are for the eyes of their owner only", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      const bytes = Uint8Array.of(1, 2, 3)
      yield* inFolder(folder, (blobs) =>
        Effect.all([
          blobs.add(Stream.make(bytes)),
          Effect.flip(
            blobs.write(
              sha256("x"),
              9,
              Stream.concat(Stream.make(bytes), Stream.fail("the line broke")),
              nothing
            )
          )
        ])
      )
      const modes = filesIn(folder).map((file) => fs.statSync(file).mode & 0o777)
      assert.deepStrictEqual(modes, [0o600, 0o600])
    })
  )

  it.live("are found again by the next program, whole and half", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      const whole = new Uint8Array(MIB)
      const half = sha256(new Uint8Array(2 * MIB))
      yield* inFolder(folder, (blobs) => blobs.add(Stream.make(whole)))
      yield* inFolder(folder, (blobs) =>
        Effect.flip(blobs.write(half, 2 * MIB, broken(MIB), nothing))
      )
      yield* inFolder(folder, (blobs) =>
        Effect.gen(function* () {
          assert.isTrue(yield* blobs.has(sha256(whole)))
          assert.strictEqual(yield* blobs.partial(half), MIB)
          yield* blobs.write(half, 2 * MIB, zeros(MIB), nothing)
          assert.isTrue(yield* blobs.has(half))
        })
      )
    })
  )

  it.live("are swept around what somebody else has put into their folder", () =>
    Effect.gen(function* () {
      const folder = yield* freshFolder()
      fs.writeFileSync(join(folder, "notes.txt"), "not ours")
      fs.mkdirSync(join(folder, "lost+found"))
      fs.writeFileSync(join(folder, "lost+found", "#12"), "not ours")
      const swept = yield* inFolder(folder, (blobs) =>
        Effect.andThen(blobs.add(Stream.make(Uint8Array.of(1))), blobs.sweep(new Set()))
      )
      assert.strictEqual(swept, 1)
      assert.deepStrictEqual(
        filesIn(folder).sort(),
        ["lost+found/#12", "notes.txt"].map((name) => join(folder, name))
      )
    })
  )

  it.live("say that there is no room before they begin", () =>
    Effect.gen(function* () {
      const folder = yield* smallDisk(MIB)
      const blob = sha256(new Uint8Array(2 * MIB))
      yield* inFolder(folder, (blobs) =>
        Effect.gen(function* () {
          const asked = Stream.die("nobody asks for bytes that have no room")
          const refused = yield* Effect.flip(blobs.write(blob, 2 * MIB, asked, nothing))
          if (refused._tag !== "NoSpace") return assert.fail(refused._tag)
          assert.isAbove(refused.needed, 2 * MIB)
          assert.isAtMost(refused.free, MIB)
          assert.strictEqual(yield* blobs.partial(blob), 0)
        })
      )
    })
  )

  it.live("leave nothing when the disk is full in the middle of adding", () =>
    Effect.gen(function* () {
      const folder = yield* smallDisk(MIB)
      const full = yield* inFolder(folder, (blobs) => Effect.flip(blobs.add(zeros(2 * MIB))))
      assert.strictEqual(full._tag, "NoSpace")
      assert.deepStrictEqual(filesIn(folder), [])
    })
  )

  it.live("need room only for what is still missing", () =>
    Effect.gen(function* () {
      // 64 MiB are always left free; what is half here already needs half the room.
      const folder = yield* smallDisk(80 * MIB)
      const blob = sha256(new Uint8Array(14 * MIB))
      yield* inFolder(folder, (blobs) =>
        Effect.gen(function* () {
          yield* Effect.flip(blobs.write(blob, 14 * MIB, broken(10 * MIB), nothing))
          yield* blobs.write(blob, 14 * MIB, zeros(4 * MIB), nothing)
          assert.isTrue(yield* blobs.has(blob))
        })
      )
    })
  )
})
