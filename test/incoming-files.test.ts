/** What waits aside for the rest of a bundle: believed by its bytes only, whole or not at all. */
import { randomBytes } from "node:crypto"
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, type Scope, Stream } from "effect"
import fc from "fast-check"
import { Incoming } from "../application/bundle-ports.ts"
import { Blobs } from "../application/ports.ts"
import type { Digest } from "../domain/id.ts"
import { layer as layerBlobs } from "../infrastructure/file-blobs.ts"
import { layer } from "../infrastructure/incoming-files.ts"
import { freshFolder } from "./support/database.ts"
import { sha256 } from "./support/offers.ts"
import { smallDisk } from "./support/small-disk.ts"

const MIB = 1_048_576
const SEGMENT = 4_096
const FILE = "p/000007.age"
const bundle = sha256("a manifest")
const other = sha256("another manifest")

type Use<A, E> = (incoming: Incoming["Service"]) => Effect.Effect<A, E, Scope.Scope>
/** As one run of the program on a data directory. */
const inFolder = <A, E>(data: string, use: Use<A, E>) =>
  Effect.scoped(
    Effect.provide(
      Incoming.use(use),
      layer({ directory: join(data, "incoming"), blobs: join(data, "blobs") }),
      { local: true }
    )
  )
const blobsIn = <A, E>(data: string, use: (blobs: Blobs["Service"]) => Effect.Effect<A, E>) =>
  Effect.provide(Blobs.use(use), layerBlobs(join(data, "blobs")), { local: true })

const claim = (what: string, body: (data: string) => Effect.Effect<void, unknown>) =>
  it.live(what, () => Effect.flatMap(freshFolder(), body))

/** The segments of a file: where they are, and what they are. */
const cut = (bytes: Uint8Array, segment = SEGMENT) =>
  Array.from({ length: Math.ceil(bytes.byteLength / segment) }, (_, at) => {
    const piece = bytes.subarray(at * segment, (at + 1) * segment)
    return { bytes: piece, offset: at * segment, length: piece.byteLength, sha256: sha256(piece) }
  })
const collected = <E>(stream: Stream.Stream<Uint8Array, E>) =>
  Effect.map(Stream.runCollect(stream), (chunks) => Buffer.concat(chunks))
const stagedAt = (data: string, of: Digest = bundle) => join(data, "incoming", of, "p_000007.age")

/** Stages a whole file, as an import that is not interrupted. */
const staged = (incoming: Incoming["Service"], bytes: Uint8Array, of: Digest = bundle) =>
  Effect.gen(function* () {
    for (const piece of cut(bytes)) yield* incoming.write(of, FILE, piece.offset, piece.bytes)
    yield* incoming.settle(of, FILE, bytes.byteLength)
  })

describe("what waits aside", () => {
  claim("is read back as it was written, in any order of its segments", (data) =>
    Effect.gen(function* () {
      const check = fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 40_000 }),
        fc.constantFrom(1_000, SEGMENT, 9_999),
        fc.integer(),
        (bytes, segment, seed) =>
          Effect.runPromise(
            inFolder(data, (incoming) =>
              Effect.gen(function* () {
                const of = sha256(bytes)
                const shuffled = [...cut(bytes, segment)].sort(
                  (a, b) => ((a.offset ^ seed) % 7) - ((b.offset ^ seed) % 7)
                )
                for (const piece of shuffled) {
                  yield* incoming.write(of, FILE, piece.offset, piece.bytes)
                  assert.isTrue(yield* incoming.has(of, FILE, piece))
                }
                yield* incoming.settle(of, FILE, bytes.byteLength)
                assert.isTrue((yield* collected(incoming.read(of, FILE))).equals(bytes))
                yield* incoming.drop(of)
              })
            )
          )
      )
      yield* Effect.promise(() => fc.assert(check, { numRuns: 40 }))
    })
  )

  claim("is continued by the next program where the bytes are right", (data) =>
    Effect.gen(function* () {
      const bytes = randomBytes(5 * SEGMENT - 7)
      const pieces = cut(bytes)
      yield* inFolder(data, (incoming) =>
        Effect.forEach(pieces.slice(0, 2), (piece) =>
          incoming.write(bundle, FILE, piece.offset, piece.bytes)
        )
      )
      // A power loss in the middle of the third segment.
      fs.appendFileSync(stagedAt(data), bytes.subarray(2 * SEGMENT, 2 * SEGMENT + 100))
      const here = yield* inFolder(data, (incoming) =>
        Effect.forEach(pieces, (piece) => incoming.has(bundle, FILE, piece))
      )
      assert.deepStrictEqual(here, [true, true, false, false, false])
      yield* inFolder(data, (incoming) =>
        Effect.gen(function* () {
          for (const piece of pieces.slice(2)) {
            yield* incoming.write(bundle, FILE, piece.offset, piece.bytes)
          }
          yield* incoming.settle(bundle, FILE, bytes.byteLength)
          assert.isTrue((yield* collected(incoming.read(bundle, FILE))).equals(bytes))
        })
      )
    })
  )

  claim("is not believed when a bit has changed, and not for another bundle", (data) =>
    Effect.gen(function* () {
      const bytes = randomBytes(3 * SEGMENT)
      const pieces = cut(bytes)
      yield* inFolder(data, (incoming) => staged(incoming, bytes))
      const wrong = Buffer.from(bytes)
      wrong.writeUInt8(wrong.readUInt8(SEGMENT + 5) ^ 1, SEGMENT + 5)
      fs.writeFileSync(stagedAt(data), wrong)
      const has = (of: Digest) =>
        inFolder(data, (incoming) =>
          Effect.forEach(pieces, (piece) => incoming.has(of, FILE, piece))
        )
      assert.deepStrictEqual(yield* has(bundle), [true, false, true])
      assert.deepStrictEqual(yield* has(other), [false, false, false])
    })
  )

  claim("is cut to its size, and is never taken for whole when it is shorter", (data) =>
    inFolder(data, (incoming) =>
      Effect.gen(function* () {
        yield* incoming.write(bundle, FILE, 0, randomBytes(500))
        yield* incoming.settle(bundle, FILE, 300)
        assert.strictEqual(fs.statSync(stagedAt(data)).size, 300)
        const short = yield* Effect.exit(incoming.settle(bundle, FILE, 301))
        assert.isTrue(Exit.isFailure(short) && Cause.hasDies(short.cause))
        assert.strictEqual(fs.statSync(stagedAt(data)).size, 300)
      })
    )
  )

  claim("is for the eyes of its owner only", (data) =>
    inFolder(data, (incoming) =>
      Effect.gen(function* () {
        yield* incoming.write(bundle, FILE, 0, Uint8Array.of(1))
        assert.strictEqual(fs.statSync(stagedAt(data)).mode & 0o777, 0o600)
        assert.strictEqual(fs.statSync(join(data, "incoming", bundle)).mode & 0o777, 0o700)
      })
    )
  )

  claim("takes no name that leads elsewhere", (data) =>
    inFolder(data, (incoming) =>
      Effect.gen(function* () {
        const names = ["..", "../x", "p/../x", "/etc/x", ".hidden", "p//x", "p\\x", "P", "", "p/"]
        for (const name of names) {
          const exit = yield* Effect.exit(incoming.write(bundle, name, 0, Uint8Array.of(1)))
          assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), name)
          const read = yield* Effect.exit(Stream.runDrain(incoming.read(bundle, name)))
          assert.isTrue(Exit.isFailure(read) && Cause.hasDies(read.cause), name)
        }
        assert.deepStrictEqual(fs.readdirSync(data), ["incoming"])
      })
    )
  )

  claim("goes with its bundle, and stays for the one that is kept", (data) =>
    inFolder(data, (incoming) =>
      Effect.gen(function* () {
        const third = sha256("a third manifest")
        for (const of of [bundle, other, third]) yield* incoming.write(of, FILE, 0, randomBytes(9))
        fs.writeFileSync(join(data, "incoming", "notes.txt"), "not ours")
        yield* incoming.drop(third)
        yield* incoming.drop(third)
        yield* incoming.sweep(bundle)
        const left = () => fs.readdirSync(join(data, "incoming")).sort()
        assert.deepStrictEqual(left(), [bundle, "notes.txt"].sort())
        yield* incoming.sweep(undefined)
        assert.deepStrictEqual(left(), ["notes.txt"])
      })
    )
  )

  it.live("says that the disk is full, and is continued when there is room", () =>
    Effect.gen(function* () {
      const data = yield* smallDisk(MIB)
      yield* inFolder(data, (incoming) =>
        Effect.gen(function* () {
          const bytes = randomBytes(MIB / 2)
          yield* incoming.write(other, FILE, 0, randomBytes(700_000))
          const full = yield* Effect.flip(incoming.write(bundle, FILE, 0, bytes))
          assert.strictEqual(full._tag, "NoSpace")
          assert.strictEqual(full.needed, MIB / 2)
          const [whole] = cut(bytes, MIB)
          if (whole === undefined) return assert.fail()
          assert.isFalse(yield* incoming.has(bundle, FILE, whole))
          yield* incoming.sweep(bundle)
          yield* incoming.write(bundle, FILE, 0, bytes)
          assert.isTrue(yield* incoming.has(bundle, FILE, whole))
        })
      )
    })
  )

  it.live("has no room for what the database needs", () =>
    Effect.gen(function* () {
      const data = yield* smallDisk(MIB)
      assert.strictEqual(yield* inFolder(data, (incoming) => incoming.free), 0)
    })
  )

  claim("lets others work while a large file is written and digested", (data) =>
    inFolder(data, (incoming) =>
      Effect.gen(function* () {
        let turns = 0
        const turn = (): void => {
          turns += 1
          waiting = setImmediate(turn)
        }
        let waiting = setImmediate(turn)
        yield* Effect.addFinalizer(() => Effect.sync(() => clearImmediate(waiting)))
        const bytes = Buffer.alloc(8 * MIB, 7)
        const [whole] = cut(bytes, bytes.byteLength)
        if (whole === undefined) return assert.fail()
        yield* incoming.write(bundle, FILE, 0, bytes)
        turns = 0
        assert.isTrue(yield* incoming.has(bundle, FILE, whole))
        assert.isAbove(turns, 16)
      })
    )
  )
})

describe("what became a content", () => {
  claim("is in the store, and no longer aside", (data) =>
    Effect.gen(function* () {
      const bytes = randomBytes(3 * SEGMENT + 1)
      const blob = sha256(bytes)
      yield* inFolder(data, (incoming) =>
        Effect.gen(function* () {
          yield* staged(incoming, bytes)
          const { ino } = fs.statSync(stagedAt(data))
          yield* incoming.toBlob(bundle, FILE, blob)
          assert.isFalse(fs.existsSync(stagedAt(data)))
          // The very same file: not a byte was copied.
          assert.strictEqual(fs.statSync(join(data, "blobs", blob.slice(0, 2), blob)).ino, ino)
          // A kill before this was noted: it is asked for again.
          yield* incoming.toBlob(bundle, FILE, blob)
        })
      )
      const read = yield* blobsIn(data, (blobs) => collected(blobs.read(blob)))
      assert.isTrue(read.equals(bytes))
    })
  )

  claim("was what its digest says: else it is nowhere", (data) =>
    Effect.gen(function* () {
      const blob = sha256("something else")
      const error = yield* inFolder(data, (incoming) =>
        Effect.gen(function* () {
          yield* staged(incoming, randomBytes(SEGMENT))
          return yield* Effect.flip(incoming.toBlob(bundle, FILE, blob))
        })
      )
      assert.deepStrictEqual([error._tag, error.blob], ["BlobDamaged", blob])
      assert.isFalse(fs.existsSync(stagedAt(data)))
      assert.isFalse(yield* blobsIn(data, (blobs) => blobs.has(blob)))
    })
  )

  claim("stays as it was when it was there before", (data) =>
    Effect.gen(function* () {
      const bytes = randomBytes(SEGMENT)
      const { blob } = yield* blobsIn(data, (blobs) => blobs.add(Stream.make(bytes)))
      yield* inFolder(data, (incoming) =>
        Effect.gen(function* () {
          yield* staged(incoming, randomBytes(SEGMENT))
          yield* incoming.toBlob(bundle, FILE, blob)
          assert.isFalse(fs.existsSync(stagedAt(data)))
        })
      )
      const read = yield* blobsIn(data, (blobs) => collected(blobs.read(blob)))
      assert.isTrue(read.equals(bytes))
    })
  )
})
