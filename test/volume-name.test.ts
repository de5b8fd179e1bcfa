import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { Digest } from "../domain/id.ts"
import { checksums } from "../domain/volume-contents.ts"
import {
  type EntryName,
  parseEntryName,
  parseVolumeName,
  printEntryName,
  printVolumeName
} from "../domain/volume-name.ts"
import { badNames } from "./support/hostile-volumes.ts"

const examples: ReadonlyArray<readonly [string, EntryName]> = [
  ["README.txt", { kind: "readme" }],
  ["SHA256SUMS", { kind: "checksums" }],
  ["root/000002.json", { kind: "root", version: 2 }],
  ["root/000002.json.sig.1", { kind: "root-signature", version: 2, number: 1 }],
  ["manifest.json", { kind: "manifest" }],
  ["manifest.json.sig", { kind: "manifest-signature", number: 1 }],
  ["manifest.json.sig.9", { kind: "manifest-signature", number: 9 }],
  ["p/000000.age", { kind: "part", part: 0 }],
  ["p/000007.age.001", { kind: "part", part: 7, piece: 1 }]
]

describe("the name of an entry", () => {
  it("is parsed and printed, each kind", () => {
    for (const [name, entry] of examples) {
      assert.deepStrictEqual(parseEntryName(name), entry)
      assert.strictEqual(printEntryName(entry), name)
    }
  })

  it("is nothing else than the grammar's", () => {
    for (const name of badNames) {
      assert.isUndefined(parseEntryName(Buffer.from(name).toString("latin1")))
    }
  })

  it("is the same after parsing and printing, or none", () => {
    const odd = fc.tuple(fc.constantFrom(...examples), fc.nat(20), fc.string({ maxLength: 2 }))
    fc.assert(
      fc.property(odd, ([[name], at, put]) => {
        const changed = name.slice(0, at) + put + name.slice(at + put.length)
        const parsed = parseEntryName(changed)
        if (parsed !== undefined) assert.strictEqual(printEntryName(parsed), changed)
      }),
      { numRuns: 2_000 }
    )
  })

  it("is not printed for numbers that it has no room for", () => {
    const unprintable: ReadonlyArray<EntryName> = [
      { kind: "part", part: 1_000_000 },
      { kind: "part", part: -1 },
      { kind: "part", part: 0.5 },
      { kind: "part", part: 1, piece: 1_000 },
      { kind: "manifest-signature", number: 10 },
      { kind: "manifest-signature", number: 0 },
      { kind: "root-signature", version: 1, number: 0 }
    ]
    for (const entry of unprintable) assert.throws(() => printEntryName(entry), RangeError)
  })
})

describe("the name of a volume", () => {
  it("is parsed and printed", () => {
    const volume = { seq: 42, volume: 1, volumes: 3 }
    assert.strictEqual(printVolumeName(volume), "00000042-v01of03.zip")
    assert.deepStrictEqual(parseVolumeName("00000042-v01of03.zip"), volume)
  })

  it("is nothing else", () => {
    for (const name of [
      "00000042-v01of03.zip.partial",
      "00000042-v00of03.zip",
      "00000042-v04of03.zip",
      "00000042-v1of3.zip",
      "42-v01of03.zip",
      "00000042-V01OF03.ZIP",
      "00000042-v01of03.zip\n",
      "._00000042-v01of03.zip",
      "00000042-v01of03 (1).zip"
    ]) {
      assert.isUndefined(parseVolumeName(name), name)
    }
    for (const volume of [
      { seq: 100_000_000, volume: 1, volumes: 1 },
      { seq: 1, volume: 2, volumes: 1 },
      { seq: 1, volume: 1, volumes: 100 }
    ]) {
      assert.throws(() => printVolumeName(volume), RangeError)
    }
  })
})

describe("the checksums of a volume", () => {
  it("are as sha256sum reads them", () => {
    const sha256 = Digest.make("0".repeat(64))
    assert.strictEqual(
      checksums([
        { name: "README.txt", sha256 },
        { name: "p/000000.age", sha256 }
      ]),
      `${sha256}  README.txt\n${sha256}  p/000000.age\n`
    )
  })
})
