/** The age files of format §2.5 and §4.3: vectors of other makers, every size, rows 53, 56, 77. */
import { spawnSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { inflateSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Stream } from "effect"
import fc from "fast-check"
import {
  type AgeInputRefused,
  HEADER_BYTES_MAX,
  headerEnd,
  headerLength,
  isForAnother,
  newFile,
  newIdentity,
  open,
  recipientOf,
  STANZAS_MAX,
  seal,
  sealedSize
} from "../infrastructure/age-file.ts"
import { CHUNK_BYTES, sealChunk, TAG_BYTES } from "../infrastructure/age-payload.ts"
import { openRandom, openStream, READ_BYTES_MAX, sealStream } from "../infrastructure/age-stream.ts"
import vectors from "./vectors/age.json" with { type: "json" }

const SIZES = [0, 1, 65_535, 65_536, 65_537, 131_072, 131_073]
const alice = await Effect.runPromise(newIdentity("x25519"))
const eve = await Effect.runPromise(newIdentity("x25519"))
const officer = await Effect.runPromise(newIdentity("hybrid"))
const recovery = await Effect.runPromise(newIdentity("hybrid"))
const hasAge = spawnSync("age", ["--version"]).error === undefined

const sealed = (size: number) => Effect.runPromise(seal([alice.recipient], randomBytes(size)))

/** Every way to open a file; all must agree. */
const ways = {
  whole: (identities: ReadonlyArray<string>, file: Uint8Array) => open(identities, file),
  stream: (identities: ReadonlyArray<string>, file: Uint8Array) =>
    collected(openStream(identities)(pieces(file, [file.length]))),
  "stream in small pieces": (identities: ReadonlyArray<string>, file: Uint8Array) =>
    collected(openStream(identities)(pieces(file, [1, 7_001]))),
  random: (identities: ReadonlyArray<string>, file: Uint8Array) =>
    Effect.flatMap(openRandom({ identities, ...source(file) }), (plain) =>
      plain.read(0, plain.plainSize)
    )
} as const

describe.each(Object.entries(ways))("opened as %s, an age file", (_, openWith) => {
  it.effect.each(SIZES)("of %i bytes gives back what was sealed", (size) =>
    Effect.gen(function* () {
      const plain = randomBytes(size)
      const streamed = sealStream([alice.recipient])(pieces(plain, [1, 60_000, 130_000]))
      for (const file of [yield* seal([alice.recipient], plain), yield* collected(streamed)]) {
        const length = yield* headerLength([alice.recipient])
        assert.strictEqual(file.length, sealedSize(length, size))
        assert.isTrue(plain.equals(yield* openWith([eve.identity, alice.identity], file)))
      }
    })
  )

  it.effect.each(Object.entries(vectors))(
    "agrees with the vector %s of other makers",
    ([, vector]) =>
      Effect.gen(function* () {
        const bytes = Buffer.from(vector.file, "base64")
        const file = "compressed" in vector ? inflateSync(bytes) : bytes
        const exit = yield* Effect.exit(openWith([vector.identity], file))
        if (vector.expect === "success" && "payload" in vector) {
          assert.isTrue(Exit.isSuccess(exit))
          const plain = Exit.isSuccess(exit) ? exit.value : new Uint8Array()
          assert.strictEqual(createHash("sha256").update(plain).digest("hex"), vector.payload)
        } else {
          assert.strictEqual(failureOf(exit), "Undecryptable")
        }
      })
  )

  const hostile: ReadonlyArray<readonly [string, () => Promise<Uint8Array>]> = [
    ["for somebody else", () => Effect.runPromise(seal([eve.recipient], randomBytes(9)))],
    ["of 10 MiB without a line end", async () => Buffer.alloc(10 << 20, "a")],
    [
      "whose first line is right and whose second never ends",
      async () => Buffer.concat([INTRO, Buffer.alloc(10 << 20, "a")])
    ],
    ["with 33 stanzas", async () => stuffed(STANZAS_MAX)],
    ["with a bad header MAC", async () => changedAt(await sealed(10), (file) => macAt(file))],
    ["with a changed stanza", async () => changedAt(await sealed(10), () => INTRO.length + 20)],
    ["with an empty final chunk", async () => withEmptyLastChunk()],
    ["cut at a chunk border", async () => cut(await sealed(131_073), 1 + TAG_BYTES)],
    ["cut at its last byte", async () => cut(await sealed(131_073), 1)],
    ["cut in its nonce", async () => cut(await sealed(0), TAG_BYTES + 1)],
    ["cut in its header", async () => cut(await sealed(0), 60)],
    ["with an extra byte", async () => Buffer.concat([await sealed(10), Buffer.from("x")])],
    [
      "with an extra byte behind full chunks",
      async () => Buffer.concat([await sealed(131_072), Buffer.from("x")])
    ],
    ["that is empty", async () => new Uint8Array()]
  ]
  it.effect.each(hostile)("%s is Undecryptable", ([, make]) =>
    Effect.gen(function* () {
      const file = yield* Effect.promise(make)
      const exit = yield* Effect.exit(openWith([alice.identity], file))
      assert.strictEqual(failureOf(exit), "Undecryptable")
    })
  )

  it.effect("refuses to start without an identity, or with something else", () =>
    Effect.gen(function* () {
      const file = yield* seal([alice.recipient], Buffer.from("x"))
      for (const identities of [[], ["AGE-SECRET-KEY-1QQ"], [alice.recipient], [""]]) {
        const refused = yield* Effect.flip(openWith(identities, file))
        assert.deepInclude(refused, { _tag: "AgeInputRefused", reason: "E_AGE_IDENTITIES" })
      }
    })
  )
})

describe("sealing", () => {
  it.effect("opens for each of several recipients, hybrid or not", () =>
    Effect.gen(function* () {
      for (const [one, two] of [
        [officer, recovery],
        [alice, eve]
      ] as const) {
        const file = yield* seal([one.recipient, two.recipient], Buffer.from("result"))
        for (const { identity } of [one, two]) {
          assert.strictEqual(Buffer.from(yield* open([identity], file)).toString(), "result")
        }
      }
    })
  )

  const nobody: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["no recipient (an unopenable file)", []],
    ["a hybrid and an X25519 recipient", [officer.recipient, alice.recipient]],
    [
      "a recipient with a typing mistake",
      [alice.recipient.replace(/.$/, "q").replace("age1q", "age1p")]
    ],
    ["an identity as recipient", [alice.identity]],
    ["a hybrid recipient cut short", [officer.recipient.slice(0, -1)]],
    ["33 recipients, which nobody would read", Array.from({ length: 33 }, () => eve.recipient)]
  ]
  it.effect.each(nobody)("refuses %s", ([, recipients]) =>
    Effect.gen(function* () {
      const refusals = [
        yield* Effect.flip(seal(recipients, new Uint8Array())),
        yield* Effect.flip(collected(sealStream(recipients)(Stream.empty)))
      ]
      for (const refused of refusals) assert.strictEqual(refused.reason, "E_AGE_RECIPIENTS")
    })
  )

  it.effect(
    "refuses a Node Readable and a string, which the library seals as nothing or as text",
    () =>
      Effect.gen(function* () {
        for (const input of [Readable.from([Buffer.from("secret")]), "secret", undefined]) {
          const whole: Effect.Effect<unknown, AgeInputRefused> = Reflect.apply(seal, undefined, [
            [alice.recipient],
            input
          ])
          const stream = sealStream([alice.recipient])
          const file: Stream.Stream<Uint8Array, AgeInputRefused> = Reflect.apply(
            stream,
            undefined,
            [Stream.make(input)]
          )
          for (const attempt of [whole, collected(file)]) {
            const refused = yield* Effect.flip(attempt)
            assert.deepInclude(refused, { _tag: "AgeInputRefused", reason: "E_AGE_INPUT" })
          }
        }
      })
  )

  it.effect("never uses a file key twice", () =>
    Effect.gen(function* () {
      const stream = sealStream([alice.recipient])(Stream.make(Buffer.from("same")))
      assert.notDeepEqual(yield* collected(stream), yield* collected(stream))
    })
  )

  it.effect("passes on the failure of its source", () =>
    Effect.gen(function* () {
      const broken = Stream.concat(Stream.make(randomBytes(70_000)), Stream.fail("EIO" as const))
      assert.strictEqual(
        yield* Effect.flip(collected(sealStream([alice.recipient])(broken))),
        "EIO"
      )
    })
  )

  it.effect("tells the owner of the key a foreign file from a damaged one", () =>
    Effect.gen(function* () {
      const file = yield* seal([alice.recipient], Buffer.from("x"))
      assert.isTrue(yield* isForAnother([eve.identity, officer.identity], file))
      assert.isFalse(
        yield* isForAnother(
          [alice.identity],
          changedAt(file, () => -1)
        )
      )
      assert.isFalse(yield* isForAnother([eve.identity], cut(file, 60)))
    })
  )

  it.effect("knows the recipient of an identity", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* recipientOf(alice.identity), alice.recipient)
      assert.strictEqual(yield* recipientOf(officer.identity), officer.recipient)
      assert.strictEqual((yield* Effect.flip(recipientOf("x"))).reason, "E_AGE_IDENTITIES")
    })
  )

  it.effect("and the age command open each other's files", () =>
    Effect.gen(function* () {
      // Without age on this machine, the files it made in the vectors stand for it.
      const byAge = Buffer.from(vectors.debian_age.file, "base64")
      const opened = yield* open([vectors.debian_age.identity], byAge)
      assert.strictEqual(Buffer.from(opened).toString(), "sealed by age 1.1.1")
      for (const size of hasAge ? SIZES : []) {
        const plain = randomBytes(size)
        assert.isTrue(plain.equals(ageDecrypts(yield* seal([alice.recipient], plain))))
        const streamed = yield* collected(sealStream([alice.recipient])(pieces(plain, [999])))
        assert.isTrue(plain.equals(ageDecrypts(streamed)))
        const theirs = run(["-r", alice.recipient], plain)
        assert.isTrue(plain.equals(yield* open([alice.identity], theirs)))
      }
    })
  )

  it("of every part in every order gives the same plaintext", () =>
    fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 200_000 }),
        fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 4 }),
        async (size, inPieces, outPieces) => {
          const plain = randomBytes(size)
          const file = await Effect.runPromise(
            collected(sealStream([alice.recipient])(pieces(plain, inPieces)))
          )
          const opened = openStream([alice.identity])(pieces(file, outPieces))
          assert.isTrue(plain.equals(await Effect.runPromise(collected(opened))))
        }
      ),
      { numRuns: 25 }
    ))

  it("shows a change of every byte", async () => {
    const file = await sealed(20)
    for (let at = 0; at < file.length; at++) {
      const exit = await Effect.runPromiseExit(
        open(
          [alice.identity],
          changedAt(file, () => at)
        )
      )
      assert.strictEqual(failureOf(exit), "Undecryptable", `byte ${at}`)
    }
  })
})

describe("a header", () => {
  it("is read up to 32 stanzas and 64 KiB, and not one more", async () => {
    assert.isNumber(headerEnd(await stuffed(STANZAS_MAX - 1)))
    assert.strictEqual(headerEnd(await stuffed(STANZAS_MAX)), "refused")
    const long = Buffer.concat([INTRO, Buffer.alloc(HEADER_BYTES_MAX, "a")])
    assert.strictEqual(headerEnd(long.subarray(0, HEADER_BYTES_MAX - 1)), "unfinished")
    assert.strictEqual(headerEnd(long.subarray(0, HEADER_BYTES_MAX)), "refused")
    assert.strictEqual(headerEnd(Buffer.from("age-encryption.org/v2")), "refused")
  })

  it.effect("that never ends is not read on", () =>
    Effect.gen(function* () {
      let taken = 0
      const endless = Stream.concat(
        Stream.make(INTRO),
        Stream.forever(Stream.make(Buffer.alloc(1_024, "a")))
      )
      const counted = Stream.tap(endless, (bytes) => Effect.sync(() => (taken += bytes.length)))
      const refused = yield* Effect.flip(collected(openStream([alice.identity])(counted)))
      assert.strictEqual(refused._tag, "Undecryptable")
      assert.isAtMost(taken, HEADER_BYTES_MAX + 1_024)
    })
  )
})

describe("random access", () => {
  const plain = randomBytes(3 * CHUNK_BYTES + 17)

  it("reads every range as it is, from the chunks it lies in only", async () => {
    const file = await Effect.runPromise(seal([alice.recipient], plain))
    const reads: Array<number> = []
    const spied = source(file, (length) => reads.push(length))
    const opened = await Effect.runPromise(openRandom({ identities: [alice.identity], ...spied }))
    assert.strictEqual(opened.plainSize, plain.length)
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: plain.length }),
        fc.nat({ max: plain.length }),
        async (a, b) => {
          const [from, to] = a < b ? [a, b] : [b, a]
          reads.length = 0
          const bytes = await Effect.runPromise(opened.read(from, to - from))
          assert.isTrue(plain.subarray(from, to).equals(bytes))
          const chunks =
            to === from
              ? 0
              : Math.floor((to - 1) / CHUNK_BYTES) - Math.floor(from / CHUNK_BYTES) + 1
          assert.isAtMost(
            reads.reduce((sum, length) => sum + length, 0),
            chunks * (CHUNK_BYTES + TAG_BYTES)
          )
        }
      ),
      { numRuns: 60 }
    )
  })

  it.effect("opens the last chunk before it says how long the file is", () =>
    Effect.gen(function* () {
      const file = yield* seal([alice.recipient], plain)
      const reads: Array<number> = []
      const shorter = file.subarray(0, -17 - TAG_BYTES)
      const opening = openRandom({
        identities: [alice.identity],
        ...source(shorter, (length) => reads.push(length))
      })
      assert.strictEqual((yield* Effect.flip(opening))._tag, "Undecryptable")
      assert.deepStrictEqual(reads.slice(1), [CHUNK_BYTES + TAG_BYTES])
    })
  )

  it.effect("refuses a changed chunk when it is read, and no other", () =>
    Effect.gen(function* () {
      const file = yield* seal([alice.recipient], plain)
      const length = yield* headerLength([alice.recipient])
      const damaged = changedAt(file, () => sealedSize(length, CHUNK_BYTES) + 5)
      const opened = yield* openRandom({ identities: [alice.identity], ...source(damaged) })
      assert.strictEqual((yield* opened.read(0, CHUNK_BYTES)).length, CHUNK_BYTES)
      const refused = yield* Effect.flip(opened.read(CHUNK_BYTES - 1, 2))
      assert.strictEqual(refused._tag, "Undecryptable")
    })
  )

  it.effect("dies of a read outside the file", () =>
    Effect.gen(function* () {
      const file = yield* seal([alice.recipient], plain)
      const opened = yield* openRandom({ identities: [alice.identity], ...source(file) })
      for (const [offset, length] of [
        [plain.length, 1],
        [-1, 1],
        [0, -1],
        [0, READ_BYTES_MAX + 1]
      ] as const) {
        const exit = yield* Effect.exit(opened.read(offset, length))
        assert.strictEqual(failureOf(exit), "defect")
      }
    })
  )
})

const INTRO = Buffer.from("age-encryption.org/v1\n")

const collected = <E, R>(stream: Stream.Stream<Uint8Array, E, R>) =>
  Effect.map(Stream.runCollect(stream), (parts) => Buffer.concat(parts))

/** Cuts bytes into elements of these lengths, over and over. */
function pieces(bytes: Uint8Array, lengths: ReadonlyArray<number>) {
  const parts: Array<Uint8Array> = []
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const length = lengths[n % lengths.length]!
    parts.push(bytes.subarray(at, at + length))
    at += length
  }
  return Stream.fromIterable(parts)
}

const source = (file: Uint8Array, seen: (length: number) => void = () => undefined) => ({
  size: file.length,
  read: async (offset: number, length: number) => {
    seen(length)
    return file.subarray(offset, offset + length)
  }
})

const failureOf = <A, E extends { readonly _tag: string }>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" ? reason.error._tag : "defect"
}

const changedAt = (file: Uint8Array, place: (file: Buffer) => number): Buffer => {
  const changed = Buffer.from(file)
  const at = place(changed)
  changed[at < 0 ? changed.length + at : at]! ^= 1
  return changed
}

const macAt = (file: Buffer): number => file.indexOf("\n--- ") + 6

const cut = (file: Uint8Array, bytes: number): Uint8Array => file.subarray(0, -bytes)

/** As many stanzas of no known kind as given, before those of a good file. */
async function stuffed(stanzas: number): Promise<Uint8Array> {
  const stanza = "-> grease x\n\n"
  const file = await sealed(1)
  return Buffer.concat([INTRO, Buffer.from(stanza.repeat(stanzas)), file.subarray(INTRO.length)])
}

/** A file key is needed to make one, so the chunks are sealed anew under a known payload key. */
async function withEmptyLastChunk(): Promise<Uint8Array> {
  const { key, start } = await Effect.runPromise(newFile([alice.recipient]))
  const full = sealChunk(key, 0, false, Buffer.alloc(CHUNK_BYTES))
  return Buffer.concat([start, full, sealChunk(key, 1, true, new Uint8Array())])
}

function ageDecrypts(file: Uint8Array): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "testferry-age-"))
  try {
    writeFileSync(join(folder, "key"), `${alice.identity}\n`)
    return run(["-d", "-i", join(folder, "key")], file)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function run(args: ReadonlyArray<string>, input: Uint8Array): Buffer {
  const done = spawnSync("age", [...args], { input, maxBuffer: 1 << 24 })
  assert.strictEqual(done.status, 0, done.stderr.toString())
  return done.stdout
}
