import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import {
  type BundleManifest,
  filesOf,
  manifestText,
  readManifest,
  streamOf
} from "../domain/bundle-manifest.ts"
import { canonical, type Json } from "../domain/canonical.ts"
import { DeviceId, Digest } from "../domain/id.ts"

const ME = DeviceId.make("dev_abcdef")
const DIGEST = Digest.make("0".repeat(64))
const part = (name: string, changes: object = {}) => ({
  name,
  role: "blob" as const,
  volume: 1,
  size: 10,
  sha256: DIGEST,
  segments: [DIGEST],
  ...changes
})
const piece = (name: string, volume: number) =>
  part(name, { volume, size: 4_096, segments: [DIGEST] })

const GOOD: BundleManifest = {
  schema: "testferry/manifest/1",
  bundle: "0".repeat(36),
  stream: streamOf("c2d", ME),
  epoch: 1,
  seq: 3,
  prev: DIGEST,
  mode: "delta",
  base: 2,
  from: "central",
  to: ME,
  createdAt: 1,
  expires: 2,
  root: 1,
  revocations: 0,
  ack: { stream: streamOf("d2c", ME), epoch: 1, seq: 1, head: DIGEST },
  ledger: null,
  segment: 4_096,
  volumes: 2,
  parts: [
    part("p/000000.age", { role: "index" }),
    part("p/000001.age", { role: "records" }),
    piece("p/000002.age.001", 1),
    part("p/000002.age.002", { volume: 2 }),
    part("p/000003.age", { volume: 2 })
  ]
}

const codeOf = (text: string) => {
  const found = readManifest(text)
  return Result.isSuccess(found) ? "read" : found.failure.code
}
const changed = (changes: Record<string, Json>) => canonical({ ...GOOD, ...changes })
const withParts = (...parts: ReadonlyArray<ReturnType<typeof part>>) =>
  changed({ volumes: 1, parts: [part("p/000000.age", { role: "index" }), ...parts] })

describe("a manifest", () => {
  it("reads what was written, and puts the files together", () => {
    assert.deepStrictEqual(Result.getOrThrow(readManifest(manifestText(GOOD))), GOOD)
    assert.deepStrictEqual(
      filesOf(GOOD).map(({ name, parts, size }) => [name, size, parts.map(({ offset }) => offset)]),
      [
        ["p/000000.age", 10, [0]],
        ["p/000001.age", 10, [0]],
        ["p/000002.age", 4_106, [0, 4_096]],
        ["p/000003.age", 10, [0]]
      ]
    )
  })

  it("is refused in any other letters: each byte that is put in or taken out is seen", () => {
    const text = manifestText(GOOD)
    fc.assert(
      fc.property(
        fc.nat(text.length),
        fc.constantFrom(" ", "\n", "0", ",", "\u{feff}"),
        (at, more) => {
          const longer = text.slice(0, at) + more + text.slice(at)
          const found = readManifest(longer)
          // A digit more can be another number; then it is another manifest, and its signature is gone.
          if (Result.isSuccess(found)) assert.strictEqual(manifestText(found.success), longer)
          assert.notStrictEqual(codeOf(text.slice(0, at) + text.slice(at + 1)), undefined)
        }
      )
    )
    for (const other of [
      text.replace("{", '{"ack":null,'),
      text.replace('"epoch":1', '"epoch":1.0'),
      `\u{feff}${text}`,
      `${text}\n`
    ]) {
      assert.strictEqual(codeOf(other), "E_MANIFEST_CANONICAL")
    }
  })

  it("cannot smuggle a prototype in", () => {
    const text = manifestText(GOOD).replace("{", '{"__proto__":1,')
    assert.strictEqual(codeOf(text), "E_MANIFEST_SCHEMA")
  })

  const contradictions: ReadonlyArray<readonly [string, string]> = [
    ["from another than its stream", changed({ from: ME })],
    ["to another than its stream", changed({ to: "dev_another" })],
    ["full, but on a base", changed({ mode: "full" })],
    ["on a base that is not before it", changed({ base: 3 })],
    ["the first, but after another", changed({ seq: 1, base: 0, mode: "full" })],
    ["over before it begins", changed({ expires: 1 })],
    ["acknowledging its own stream", changed({ ack: { ...GOOD.ack, stream: GOOD.stream } })],
    ["of a negative number", changed({ seq: -1 })],
    ["of a stream that is none", changed({ stream: "c2d.dev_a/../b" })],
    ["with more than it may say", changed({ more: null })],
    ["with another number of volumes", changed({ volumes: 3 })],
    ["without an index", changed({ volumes: 1, parts: [part("p/000000.age")] })],
    ["with two indexes", withParts(part("p/000001.age", { role: "index" }))],
    ["with a hole", withParts(part("p/000002.age"))],
    ["with a part twice", withParts(part("p/000001.age"), part("p/000001.age"))],
    ["with a lone piece", withParts(piece("p/000001.age.001", 1))],
    ["with a piece after a whole", withParts(part("p/000001.age"), part("p/000001.age.002"))],
    ["with a piece missing", withParts(piece("p/000001.age.001", 1), part("p/000001.age.003"))],
    [
      "cut within a segment",
      withParts(part("p/000001.age.001", { size: 4_095 }), part("p/000001.age.002"))
    ],
    ["with a segment too many", withParts(part("p/000001.age", { segments: [DIGEST, DIGEST] }))],
    ["with an empty part", withParts(part("p/000001.age", { size: 0 }))],
    ["with another name", withParts(part("p/../x.age"))],
    ["with a volume left out", withParts(part("p/000001.age", { volume: 3 }))],
    [
      "with a role that changes in a file",
      withParts(piece("p/000001.age.001", 1), part("p/000001.age.002", { role: "records" }))
    ]
  ]
  for (const [what, text] of contradictions) {
    it(`is refused ${what}`, () => assert.strictEqual(codeOf(text), "E_MANIFEST_SCHEMA"))
  }

  it("of a newer format is named as such, whatever else it says", () => {
    assert.strictEqual(
      codeOf(canonical({ schema: "testferry/manifest/2" })),
      "E_SCHEMA_UNSUPPORTED"
    )
  })
})
