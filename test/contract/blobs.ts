/** Says what every adapter of the port Blobs keeps. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, type Layer, Option, Ref, Stream } from "effect"
import { Blobs } from "../../application/ports.ts"
import { Digest } from "../../domain/id.ts"
import { sha256 } from "../support/offers.ts"

type Claim = <F>(what: string, effect: Effect.Effect<void, F, Blobs>) => void

export const suite = <E>(name: string, layer: Layer.Layer<Blobs, E>) => {
  const claim: Claim = (what, effect) => it.live(what, () => Effect.provide(effect, layer))
  describe(`the port Blobs, ${name}`, () => {
    writing(claim)
    resuming(claim)
    adding(claim)
    sweeping(claim)
  })
}

/** More than is read at a time, in no round number. */
const bytes = new Uint8Array(700_001).map((_, at) => (at * 31) % 253)
const blob = sha256(bytes)
const other = Uint8Array.of(1, 2, 3)
const HALF = 300_000

const inPieces = (whole: Uint8Array, size = 100_000): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(whole.byteLength / size) }, (_, at) =>
    whole.subarray(at * size, (at + 1) * size)
  )
const nothing = () => Effect.void
const write = (from: number, to = bytes.byteLength) =>
  Blobs.use((blobs) =>
    blobs.write(
      blob,
      bytes.byteLength,
      Stream.fromIterable(inPieces(bytes.subarray(from, to))),
      nothing
    )
  )
const read = (range?: { offset: number; length?: number }, of: Digest = blob) =>
  Blobs.use((blobs) =>
    Effect.map(Stream.runCollect(blobs.read(of, range)), (parts) => Buffer.concat(parts))
  )
const isWhole = Effect.gen(function* () {
  const blobs = yield* Blobs
  assert.isTrue(yield* blobs.has(blob))
  assert.deepStrictEqual(yield* blobs.size(blob), Option.some(bytes.byteLength))
  assert.isTrue((yield* read()).equals(bytes))
  assert.strictEqual(yield* blobs.partial(blob), 0)
})
const isAbsent = Effect.fnUntraced(function* (partial: number) {
  const blobs = yield* Blobs
  assert.isFalse(yield* blobs.has(blob))
  assert.isTrue(Option.isNone(yield* blobs.size(blob)))
  assert.strictEqual(yield* blobs.partial(blob), partial)
  assert.strictEqual((yield* Effect.exit(read()))._tag, "Failure")
})
const broken = (pieces: ReadonlyArray<Uint8Array>) =>
  Stream.concat(Stream.fromIterable(pieces), Stream.fail("the line broke" as const))

const writing = (claim: Claim) => {
  claim(
    "keeps bytes under their digest, reporting them as they come",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      yield* isAbsent(0)
      const came = yield* Ref.make<ReadonlyArray<number>>([])
      const pieces = Stream.fromIterable(inPieces(bytes))
      const note = (count: number) => Ref.update(came, (all) => [...all, count])
      yield* blobs.write(blob, bytes.byteLength, pieces, note)
      yield* isWhole
      assert.deepStrictEqual(yield* Ref.get(came), [...Array(7).fill(100_000), 1])
      yield* blobs.write(blob, bytes.byteLength, Stream.die("it is here: nobody asks"), nothing)
    })
  )

  claim(
    "gives any range, cut at the end",
    Effect.gen(function* () {
      yield* write(0)
      for (const [offset, length] of [
        [0, 0],
        [0, 1],
        [262_143, 2],
        [1, 600_000],
        [700_000, 5],
        [700_001, 1],
        [900_000, undefined],
        [699_990, undefined]
      ] as const) {
        const range = length === undefined ? { offset } : { offset, length }
        const expected = bytes.subarray(offset, length === undefined ? undefined : offset + length)
        assert.isTrue((yield* read(range)).equals(expected), `${offset} ${length}`)
      }
    })
  )

  claim(
    "keeps a blob without bytes",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      const empty = sha256("")
      yield* blobs.write(empty, 0, Stream.empty, nothing)
      assert.deepStrictEqual(yield* blobs.size(empty), Option.some(0))
      assert.strictEqual((yield* read(undefined, empty)).byteLength, 0)
    })
  )

  claim(
    "drops bytes that are not what the digest names",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      const wrong = bytes.map((byte, at) => (at === 650_000 ? byte ^ 1 : byte))
      const failure = yield* Effect.flip(
        blobs.write(blob, wrong.byteLength, Stream.make(wrong), nothing)
      )
      assert.deepInclude(failure, { _tag: "BlobDamaged", blob })
      yield* isAbsent(0)
      yield* write(0)
      yield* isWhole
    })
  )

  claim(
    "stops at bytes beyond the size, and does not wait for the end of what never ends",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      const came = yield* Ref.make(0)
      const endless = Stream.forever(Stream.make(bytes))
      const failure = yield* Effect.flip(
        blobs.write(blob, bytes.byteLength, endless, (n) => Ref.update(came, (all) => all + n))
      )
      assert.strictEqual(failure._tag, "BlobDamaged")
      assert.isAtMost(yield* Ref.get(came), bytes.byteLength)
      yield* isAbsent(0)
    })
  )
}

const resuming = (claim: Claim) => {
  claim(
    "hides a write that broke off, and continues it at its byte",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      const rest = broken(inPieces(bytes.subarray(0, HALF)))
      const failure = yield* Effect.flip(blobs.write(blob, bytes.byteLength, rest, nothing))
      assert.strictEqual(failure, "the line broke")
      yield* isAbsent(HALF)
      yield* write(HALF)
      yield* isWhole
    })
  )

  claim(
    "takes bytes that end too early for damage",
    Effect.gen(function* () {
      const failure = yield* Effect.flip(write(0, HALF))
      assert.strictEqual(failure._tag, "BlobDamaged")
      yield* isAbsent(0)
    })
  )

  claim(
    "finishes a write to which only its name was missing, without asking for more",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      const all = broken([bytes])
      yield* Effect.flip(blobs.write(blob, bytes.byteLength, all, nothing))
      yield* isAbsent(bytes.byteLength)
      yield* blobs.write(blob, bytes.byteLength, Stream.empty, nothing)
      yield* isWhole
    })
  )

  claim(
    "drops a continued write whose beginning was another's",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      const wrong = broken([bytes.subarray(0, HALF).map((byte) => byte ^ 1)])
      yield* Effect.flip(blobs.write(blob, bytes.byteLength, wrong, nothing))
      const failure = yield* Effect.flip(write(HALF))
      assert.strictEqual(failure._tag, "BlobDamaged")
      yield* isAbsent(0)
    })
  )

  claim(
    "keeps what came before somebody cancelled",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      const reached = yield* Latch.make()
      const silent = Stream.concat(
        Stream.make(bytes.subarray(0, HALF)),
        Stream.fromEffect(Effect.andThen(reached.open, Effect.never))
      )
      const writer = yield* Effect.forkChild(blobs.write(blob, bytes.byteLength, silent, nothing))
      yield* reached.await
      yield* isAbsent(HALF)
      yield* Fiber.interrupt(writer)
      yield* isAbsent(HALF)
      yield* write(HALF)
      yield* isWhole
    })
  )
}

const adding = (claim: Claim) => {
  claim(
    "takes bytes of which nobody knows the digest yet, once",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      const add = blobs.add(Stream.fromIterable(inPieces(bytes)))
      assert.deepStrictEqual(yield* add, { blob, size: bytes.byteLength })
      yield* isWhole
      assert.deepStrictEqual(yield* add, { blob, size: bytes.byteLength })
      yield* isWhole
      assert.deepStrictEqual(yield* blobs.add(Stream.empty), { blob: sha256(""), size: 0 })
    })
  )

  claim(
    "keeps nothing of bytes that broke off or were cancelled",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      assert.strictEqual(yield* Effect.flip(blobs.add(broken([bytes]))), "the line broke")
      const reached = yield* Latch.make()
      const silent = Stream.concat(
        Stream.make(bytes),
        Stream.fromEffect(Effect.andThen(reached.open, Effect.never))
      )
      const adder = yield* Effect.forkChild(blobs.add(silent))
      yield* reached.await
      yield* Fiber.interrupt(adder)
      yield* isAbsent(0)
      assert.strictEqual(yield* blobs.sweep(new Set()), 0)
    })
  )
}

const sweeping = (claim: Claim) =>
  claim(
    "sweeps what is not wanted, and leaves what is, half written or whole",
    Effect.gen(function* () {
      const blobs = yield* Blobs
      assert.strictEqual(yield* blobs.sweep(new Set([blob])), 0)
      yield* write(0)
      yield* blobs.add(Stream.make(other))
      const half = Digest.make("ab".repeat(32))
      const unwanted = Digest.make("cd".repeat(32))
      for (const one of [half, unwanted]) {
        yield* Effect.flip(blobs.write(one, 10, broken([other]), nothing))
      }
      assert.strictEqual(yield* blobs.sweep(new Set([blob, half])), 2)
      yield* isWhole
      assert.isFalse(yield* blobs.has(sha256(other)))
      assert.deepStrictEqual([yield* blobs.partial(half), yield* blobs.partial(unwanted)], [3, 0])
      assert.strictEqual(yield* blobs.sweep(new Set([blob, half])), 0)
      assert.strictEqual(yield* blobs.sweep(new Set()), 2)
      yield* isAbsent(0)
    })
  )
