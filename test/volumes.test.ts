import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import {
  type BundleManifest,
  filesOf,
  manifestText,
  type Part,
  readManifest,
  streamOf
} from "../domain/bundle-manifest.ts"
import { DeviceId, Digest } from "../domain/id.ts"
import { cut, type FileToCut } from "../domain/volumes.ts"

const ME = DeviceId.make("dev_abcdef")
const DIGEST = Digest.make("0".repeat(64))
const SEGMENT = 4_096
const VOLUME = 60_000

const files = fc.array(fc.integer({ min: 1, max: 120_000 }), { maxLength: 12 }).map((sizes) => [
  { name: "p/000000.age", role: "index" as const, size: 900 },
  ...sizes.map(
    (size, at): FileToCut => ({
      name: `p/${String(at + 1).padStart(6, "0")}.age`,
      role: at === 0 ? "records" : "blob",
      size
    })
  )
])

const cutAll = (given: ReadonlyArray<FileToCut>, volume = VOLUME) =>
  cut(given, { volume, segment: SEGMENT, extra: 0 })

const manifestOf = (given: ReadonlyArray<FileToCut>): BundleManifest => {
  const placed = Result.getOrThrow(cutAll(given))
  const parts = placed.map(
    ({ name, role, size, volume }): Part => ({
      name,
      role,
      volume,
      size,
      sha256: DIGEST,
      segments: Array.from({ length: Math.ceil(size / SEGMENT) }, () => DIGEST)
    })
  )
  return {
    schema: "testferry/manifest/1",
    bundle: "0".repeat(36),
    stream: streamOf("c2d", ME),
    epoch: 1,
    seq: 1,
    prev: null,
    mode: "full",
    base: 0,
    from: "central",
    to: ME,
    createdAt: 1,
    expires: 2,
    root: 1,
    revocations: 0,
    ack: null,
    ledger: null,
    segment: SEGMENT,
    volumes: parts.at(-1)?.volume ?? 1,
    parts
  }
}

describe("files that are cut into volumes", () => {
  it("are all there, each byte once, cut at segments only, and no volume is too large", () => {
    fc.assert(
      fc.property(files, (given) => {
        const placed = Result.getOrThrow(cutAll(given))
        for (const { name, size } of given) {
          const pieces = placed.filter(({ file }) => file === name)
          let at = 0
          for (const piece of pieces) {
            assert.strictEqual(piece.offset, at)
            assert.strictEqual(piece.offset % SEGMENT, 0)
            at += piece.size
          }
          assert.strictEqual(at, size)
        }
        const manifest = manifestText(manifestOf(given)).length
        for (const volume of new Set(placed.map((one) => one.volume))) {
          const here = placed.filter((one) => one.volume === volume)
          const bytes = here.reduce((sum, { size }) => sum + size + 200, 0)
          assert.isAtMost(bytes + manifest, VOLUME)
        }
      }),
      { numRuns: 200 }
    )
  })

  it("are put together again by what the manifest says", () => {
    fc.assert(
      fc.property(files, (given) => {
        const manifest = Result.getOrThrow(readManifest(manifestText(manifestOf(given))))
        assert.deepStrictEqual(
          filesOf(manifest).map(({ name, role, size }) => ({ name, role, size })),
          given
        )
        for (const { parts } of filesOf(manifest)) {
          parts.reduce((at, { offset, part }) => {
            assert.strictEqual(offset, at)
            return at + part.size
          }, 0)
        }
      }),
      { numRuns: 200 }
    )
  })

  it("are refused where a volume holds no segment, or the index does not fit the first", () => {
    const index = { name: "p/000000.age", role: "index" as const, size: 50_000 }
    for (const [given, volume] of [
      [{ ...index, size: 900 }, 29_000],
      [index, 62_000],
      [{ ...index, size: 900 }, 10]
    ] as const) {
      const found = cutAll([given], volume)
      assert.deepInclude(Result.isFailure(found) ? found.failure : {}, { code: "E_VOL_TOO_BIG" })
    }
    const large = [
      { ...index, size: 900 },
      { name: "p/000001.age", role: "blob" as const, size: 99 * VOLUME }
    ]
    assert.isTrue(Result.isFailure(cutAll(large)))
  })
})
