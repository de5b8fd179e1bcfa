/** The files of a bundle to be: sealed to one reader, measured as they are, gone with their scope. */
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import fs from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, type Scope, Stream } from "effect"
import fc from "fast-check"
import { Outgoing, type StagedFile } from "../application/bundle-ports.ts"
import { Blobs } from "../application/ports.ts"
import { SEGMENT_BYTES } from "../domain/bundle-manifest.ts"
import { Recipient } from "../domain/id.ts"
import { newIdentity, open } from "../infrastructure/age-file.ts"
import { layer as layerBlobs } from "../infrastructure/file-blobs.ts"
import { digestsIn, layer } from "../infrastructure/outgoing-files.ts"
import { freshFolder } from "./support/database.ts"
import { sha256 } from "./support/offers.ts"
import { smallDisk } from "./support/small-disk.ts"

const MIB = 1_048_576
const SEGMENT = 4_096
const device = await Effect.runPromise(newIdentity("x25519"))
const recipient = Recipient.make(device.recipient)

const inFolder = <A, E>(
  data: string,
  use: (outgoing: Outgoing["Service"]) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.scoped(
    Effect.provide(
      Outgoing.use(use),
      layer({ directory: join(data, "outgoing"), blobs: join(data, "blobs") }),
      { local: true }
    )
  )
const added = (data: string, bytes: Uint8Array) =>
  Effect.provide(
    Blobs.use((blobs) => blobs.add(Stream.make(bytes))),
    layerBlobs(join(data, "blobs")),
    { local: true }
  )
const claim = (what: string, body: (data: string) => Effect.Effect<void, unknown>) =>
  it.live(what, () => Effect.flatMap(freshFolder(), body))

const bytesOf = (staged: StagedFile, offset = 0, length = staged.size) =>
  Effect.map(Stream.runCollect(staged.read(offset, length)), (chunks) => Buffer.concat(chunks))
const opened = (staged: StagedFile) =>
  Effect.flatMap(bytesOf(staged), (bytes) => open([device.identity], bytes))
const left = (data: string) =>
  fs.readdirSync(join(data, "outgoing")).filter((name) => name !== "digests")
const dies = (exit: Exit.Exit<unknown, unknown>) =>
  assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))

describe("sealed lines", () => {
  claim("are opened by their reader, each ended by a line feed, and counted as they are", (data) =>
    Effect.gen(function* () {
      const check = fc.asyncProperty(
        fc.array(fc.string({ unit: "grapheme", maxLength: 300 }), { maxLength: 500 }),
        (lines) =>
          Effect.runPromise(
            inFolder(data, (outgoing) =>
              Effect.gen(function* () {
                const sealed = yield* outgoing.lines(recipient, Stream.fromIterable(lines))
                const text = lines.map((line) => `${line}\n`).join("")
                assert.strictEqual(
                  Buffer.from(yield* opened(sealed.staged)).toString(),
                  Buffer.from(text).toString()
                )
                assert.deepStrictEqual(
                  [sealed.count, sealed.plainSize, sealed.plainSha256],
                  [lines.length, Buffer.byteLength(text), sha256(text)]
                )
              })
            )
          )
      )
      yield* Effect.promise(() => fc.assert(check, { numRuns: 30 }))
    })
  )

  claim("are more than fits into memory at once", (data) =>
    inFolder(data, (outgoing) =>
      Effect.gen(function* () {
        const line = "x".repeat(MIB - 1)
        const sealed = yield* outgoing.lines(recipient, Stream.fromIterable(Array(20).fill(line)))
        assert.strictEqual(sealed.plainSize, 20 * MIB)
        assert.strictEqual((yield* opened(sealed.staged)).byteLength, 20 * MIB)
      })
    )
  )

  claim("end as their source ends", (data) =>
    inFolder(data, (outgoing) =>
      Effect.gen(function* () {
        const broken = Stream.concat(Stream.make("one"), Stream.fail("the database went away"))
        const error = yield* Effect.flip(outgoing.lines(recipient, broken))
        assert.strictEqual(error, "the database went away")
      })
    )
  )

  it.live("say that the disk is full", () =>
    Effect.gen(function* () {
      const data = yield* smallDisk(MIB)
      const line = "x".repeat(200_000)
      const full = yield* Effect.flip(
        inFolder(data, (outgoing) =>
          outgoing.lines(recipient, Stream.fromIterable(Array(10).fill(line)))
        )
      )
      assert.isTrue(typeof full === "object" && full._tag === "NoSpace")
      // And give back the room that they took.
      const fits = inFolder(data, (outgoing) => outgoing.lines(recipient, Stream.make(line, line)))
      assert.strictEqual((yield* fits).count, 2)
    })
  )
})

describe("a sealed text", () => {
  claim("is opened as it was, and sealed anew each time", (data) =>
    inFolder(data, (outgoing) =>
      Effect.gen(function* () {
        const text = '{"schema":"testferry/index/1","ü":1}'
        const once = yield* outgoing.text(recipient, text)
        const again = yield* outgoing.text(recipient, text)
        assert.strictEqual(Buffer.from(yield* opened(once)).toString(), text)
        assert.isFalse((yield* bytesOf(once)).equals(yield* bytesOf(again)))
      })
    )
  )

  claim("goes with its scope", (data) =>
    Effect.gen(function* () {
      const staged = yield* inFolder(data, (outgoing) => outgoing.text(recipient, "gone"))
      dies(yield* Effect.exit(bytesOf(staged)))
      assert.deepStrictEqual(left(data), [])
    })
  )
})

describe("what a kill left", () => {
  claim("is swept by the next program, which takes nothing from one that is running", (data) =>
    inFolder(data, (outgoing) =>
      Effect.gen(function* () {
        const staged = yield* outgoing.text(recipient, "in use")
        fs.writeFileSync(
          join(data, "outgoing", "1f0b3c1e-2f3a-4d0b-9a53-5d3a0c6f8a11.age"),
          randomBytes(9)
        )
        fs.writeFileSync(join(data, "outgoing", "notes.txt"), "not ours")
        yield* inFolder(data, () => Effect.void)
        assert.deepStrictEqual(left(data), ["notes.txt"])
        assert.strictEqual(Buffer.from(yield* opened(staged)).toString(), "in use")
      })
    )
  )

  claim("is nothing, even in the middle of sealing", (data) =>
    Effect.gen(function* () {
      const killed = spawnSync(process.execPath, ["--input-type=module", "--eval", CHILD], {
        env: { ...process.env, DATA: data, RECIPIENT: recipient },
        encoding: "utf8"
      })
      assert.strictEqual(killed.signal, "SIGKILL", killed.stderr)
      assert.deepStrictEqual(left(data), [])
    })
  )
})

const here = (file: string) => pathToFileURL(join(import.meta.dirname, "..", file)).href
const CHILD = `
  import { Effect, Stream } from "${import.meta.resolve("effect")}"
  import { Outgoing } from "${here("application/bundle-ports.ts")}"
  import { layer } from "${here("infrastructure/outgoing-files.ts")}"
  const { DATA, RECIPIENT } = process.env
  const line = "x".repeat(300_000)
  const lines = Stream.concat(
    Stream.make(line, line),
    Stream.fromEffect(Effect.sync(() => process.kill(process.pid, "SIGKILL")))
  )
  await Effect.runPromise(
    Outgoing.use((outgoing) => outgoing.lines(RECIPIENT, lines)).pipe(
      Effect.scoped,
      Effect.provide(layer({ directory: DATA + "/outgoing", blobs: DATA + "/blobs" }))
    )
  )
`

describe("a content", () => {
  claim("is read at any place, as large as it is", (data) =>
    Effect.gen(function* () {
      const bytes = randomBytes(3 * MIB + 17)
      const { blob } = yield* added(data, bytes)
      yield* inFolder(data, (outgoing) =>
        Effect.gen(function* () {
          const staged = yield* outgoing.blob(blob)
          assert.strictEqual(staged.size, bytes.byteLength)
          assert.isTrue((yield* bytesOf(staged)).equals(bytes))
          const middle = yield* bytesOf(staged, MIB - 3, MIB + 5)
          assert.isTrue(middle.equals(bytes.subarray(MIB - 3, 2 * MIB + 2)))
        })
      )
    })
  )

  claim("that is not here cannot be sent", (data) =>
    inFolder(data, (outgoing) => Effect.map(Effect.exit(outgoing.blob(sha256("elsewhere"))), dies))
  )
})

describe("digests", () => {
  claim("are those of the stretch and of each segment of it", (data) =>
    Effect.gen(function* () {
      const bytes = randomBytes(2 * MIB + 3 * SEGMENT + 5)
      const { blob } = yield* added(data, bytes)
      const check = fc.asyncProperty(
        fc.nat(bytes.byteLength - 1),
        fc.integer({ min: 1, max: bytes.byteLength }),
        fc.constantFrom(SEGMENT, 5_000, 300_000, 8 * MIB),
        (offset, wanted, segment) =>
          Effect.runPromise(
            inFolder(data, (outgoing) =>
              Effect.gen(function* () {
                const length = Math.min(wanted, bytes.byteLength - offset)
                const stretch = bytes.subarray(offset, offset + length)
                const expected = {
                  sha256: sha256(stretch),
                  segments: Array.from({ length: Math.ceil(length / segment) }, (_, at) =>
                    sha256(stretch.subarray(at * segment, (at + 1) * segment))
                  )
                }
                const staged = yield* outgoing.blob(blob)
                const asked = { offset, length, segment }
                assert.deepStrictEqual(yield* outgoing.digests(staged, asked), expected)
              })
            )
          )
      )
      yield* Effect.promise(() => fc.assert(check, { numRuns: 25 }))
    })
  )

  claim("of a content are remembered by the next program, as long as it is here", (data) =>
    Effect.gen(function* () {
      const { blob } = yield* added(data, randomBytes(5 * SEGMENT))
      const asked = { offset: SEGMENT, length: 3 * SEGMENT, segment: SEGMENT }
      const ask = inFolder(data, (outgoing) =>
        Effect.flatMap(outgoing.blob(blob), (staged) => outgoing.digests(staged, asked))
      )
      const found = yield* ask
      const file = join(data, "blobs", blob.slice(0, 2), blob)
      // Wrong bytes show that they are not read again; the medium is compared with the digests.
      fs.writeFileSync(file, randomBytes(5 * SEGMENT))
      assert.deepStrictEqual(yield* ask, found)
      const [remembered = ""] = fs.readdirSync(join(data, "outgoing", "digests"))
      fs.truncateSync(join(data, "outgoing", "digests", remembered), 90)
      assert.notDeepEqual(yield* ask, found)
      fs.rmSync(file)
      yield* inFolder(data, () => Effect.void)
      assert.deepStrictEqual(fs.readdirSync(join(data, "outgoing", "digests")), [])
    })
  )

  claim(
    "of a content are made while it is added: whole or cut, it is not read for segments",
    (data) =>
      Effect.gen(function* () {
        const bytes = randomBytes(2 * SEGMENT_BYTES + 12_345)
        const noting = layerBlobs(join(data, "blobs"), digestsIn(join(data, "outgoing")))
        yield* inFolder(data, () => Effect.void)
        const { blob } = yield* Effect.provide(
          Blobs.use((blobs) => blobs.add(Stream.make(bytes))),
          noting,
          { local: true }
        )
        // Other bytes show what is read again: of the second piece the whole, and no segment.
        const other = randomBytes(bytes.byteLength)
        fs.writeFileSync(join(data, "blobs", blob.slice(0, 2), blob), other)
        yield* inFolder(data, (outgoing) =>
          Effect.gen(function* () {
            const staged = yield* outgoing.blob(blob)
            const cut = (from: number, to?: number) => ({
              offset: from * SEGMENT_BYTES,
              length:
                (to === undefined ? bytes.byteLength : to * SEGMENT_BYTES) - from * SEGMENT_BYTES,
              segment: SEGMENT_BYTES
            })
            const segments = [0, 1, 2].map((at) =>
              sha256(bytes.subarray(at * SEGMENT_BYTES, (at + 1) * SEGMENT_BYTES))
            )
            assert.deepStrictEqual(yield* outgoing.digests(staged, cut(0)), {
              sha256: blob,
              segments
            })
            for (const [from, to] of [
              [0, 2],
              [1, undefined]
            ] as const) {
              assert.deepStrictEqual(yield* outgoing.digests(staged, cut(from, to)), {
                sha256: sha256(other.subarray(from * SEGMENT_BYTES, to && to * SEGMENT_BYTES)),
                segments: segments.slice(from, to)
              })
            }
            // Not at the borders of segments: nothing of what is remembered fits.
            const odd = { offset: 5, length: SEGMENT_BYTES + 1, segment: SEGMENT_BYTES }
            const found = yield* outgoing.digests(staged, odd)
            assert.strictEqual(found.segments[0], sha256(other.subarray(5, 5 + SEGMENT_BYTES)))
          })
        )
      })
  )

  claim("of a sealed file are those of its sealed bytes", (data) =>
    inFolder(data, (outgoing) =>
      Effect.gen(function* () {
        const staged = yield* outgoing.text(recipient, "x".repeat(3 * SEGMENT))
        const asked = { offset: 0, length: staged.size, segment: SEGMENT }
        const { segments, sha256: whole } = yield* outgoing.digests(staged, asked)
        assert.strictEqual(whole, sha256(yield* bytesOf(staged)))
        assert.strictEqual(segments.length, Math.ceil(staged.size / SEGMENT))
      })
    )
  )

  claim("of more than there is are refused", (data) =>
    Effect.gen(function* () {
      const { blob } = yield* added(data, randomBytes(SEGMENT))
      yield* inFolder(data, (outgoing) =>
        Effect.gen(function* () {
          const staged = yield* outgoing.blob(blob)
          const asked = { offset: 1, length: SEGMENT, segment: SEGMENT }
          dies(yield* Effect.exit(outgoing.digests(staged, asked)))
        })
      )
    })
  )
})
