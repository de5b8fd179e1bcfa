import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import {
  type BundleManifest,
  manifestText,
  readManifest,
  streamOf,
  VOLUME_BYTES_MAX
} from "../domain/bundle-manifest.ts"
import { DeviceId, Digest } from "../domain/id.ts"
import {
  checksums,
  README_BYTES_MAX,
  VOLUME_ENTRIES_MAX,
  volumeBytes
} from "../domain/volume-contents.ts"
import {
  cut,
  type FileToCut,
  PARTS_MAX,
  type PlacedPart,
  rootsBytes,
  SIGNATURE_BYTES
} from "../domain/volumes.ts"
import { README } from "../infrastructure/stick-readme.ts"
import { bundle } from "./support/bundles.ts"

const SEGMENT = 4_096
const DIGEST = Digest.make("e".repeat(64))
/** What is kept free for a manifest with wider numbers and more volumes. */
const SPARE = 2_000

const filesOf = (sizes: ReadonlyArray<number>): ReadonlyArray<FileToCut> =>
  sizes.map((size, at) => ({
    name: `p/${String(at).padStart(6, "0")}.age`,
    role: at === 0 ? "index" : at === 1 ? "records" : "blob",
    size
  }))

const DEVICE = DeviceId.make(`dev_${"w".repeat(32)}`)
const NUMBER = Number.MAX_SAFE_INTEGER
const TIME = 253_402_300_799_999
/** A manifest as long as any. */
const WIDE: BundleManifest = {
  ...bundle({ sizes: [1] }).manifest,
  stream: streamOf("d2c", DEVICE),
  ...({ epoch: NUMBER, seq: NUMBER, prev: DIGEST, mode: "delta", base: NUMBER - 1 } as const),
  ...({ from: DEVICE, to: "central", root: NUMBER, revocations: NUMBER } as const),
  ...{ createdAt: TIME - 1, expires: TIME, ledger: { count: NUMBER, head: DIGEST } },
  ack: { stream: streamOf("c2d", DEVICE), epoch: NUMBER, seq: NUMBER, head: DIGEST }
}

/** The volumes that the writer would make of parts so placed, with all that may lie beside them. */
const sizesOf = (placed: ReadonlyArray<PlacedPart>, segment: number, extra: number) => {
  const volumes = placed.at(-1)?.volume ?? 1
  const manifest: BundleManifest = {
    ...WIDE,
    segment,
    volumes,
    parts: placed.map(({ name, role, size, volume }) => ({
      name,
      role,
      volume,
      size,
      sha256: DIGEST,
      segments: Array.from({ length: Math.ceil(size / segment) }, () => DIGEST)
    }))
  }
  const text = manifestText(manifest)
  const read = readManifest(text)
  assert.isTrue(Result.isSuccess(read), JSON.stringify(read))
  return Array.from({ length: volumes }, (_, at) => {
    const entries = [
      { name: "README.txt", size: README_BYTES_MAX },
      { name: "manifest.json", size: text.length },
      { name: "manifest.json.sig", size: SIGNATURE_BYTES },
      ...[2, 3, 4, 5, 6, 7, 8, 9].map((number) => ({
        name: `manifest.json.sig.${number}`,
        size: SIGNATURE_BYTES
      })),
      ...placed.filter(({ volume }) => volume === at + 1)
    ]
    const sums = checksums(entries.map(({ name }) => ({ name, sha256: DIGEST })))
    const all = [...entries, { name: "SHA256SUMS", size: sums.length }]
    return { entries: all.length, bytes: volumeBytes(all) + extra }
  })
}

describe("cut", () => {
  it("places what fits when the manifest is made, and fills every volume before the next", () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 150_000, max: 600_000 }),
        fc.integer({ min: 0, max: 5_000 }),
        fc.integer({ min: 1, max: 3_000_000 }),
        (sizes, volume, extra, large) => {
          const files = filesOf([1_000, ...sizes, large])
          const placed = Result.getOrThrow(cut(files, { volume, segment: SEGMENT, extra }))
          const volumes = sizesOf(placed, SEGMENT, extra)
          for (const [at, { bytes, entries }] of volumes.entries()) {
            assert.isAtMost(bytes, volume)
            assert.isAtMost(entries, VOLUME_ENTRIES_MAX)
            if (at < volumes.length - 1) assert.isAbove(bytes + SEGMENT + SPARE, volume)
          }
          for (const { name, size } of files) {
            const pieces = placed.filter(({ file }) => file === name)
            assert.strictEqual(
              pieces.reduce((sum, piece) => sum + piece.size, 0),
              size
            )
          }
        }
      ),
      { numRuns: 60 }
    ))

  it("gives no volume more entries than readers take", () => {
    const files = filesOf([1_000, ...Array.from({ length: 2 * PARTS_MAX }, () => 10)])
    const placed = Result.getOrThrow(
      cut(files, { volume: VOLUME_BYTES_MAX, segment: 8 * 1_048_576, extra: 0 })
    )
    const volumes = sizesOf(placed, 8 * 1_048_576, 0)
    assert.strictEqual(volumes.length, 3)
    for (const { entries } of volumes) assert.isAtMost(entries, VOLUME_ENTRIES_MAX)
  })

  it("puts 20 GB into eleven volumes, each within a segment of being full", () => {
    const files = filesOf([1_000, ...Array.from({ length: 20 }, () => 1_000_000_000)])
    const placed = Result.getOrThrow(
      cut(files, { volume: VOLUME_BYTES_MAX, segment: 8 * 1_048_576, extra: 0 })
    )
    const volumes = sizesOf(placed, 8 * 1_048_576, 0)
    assert.strictEqual(volumes.length, 11)
  })

  it("refuses volumes that hold no segment, too many volumes, and an endless manifest", () => {
    const refused = (sizes: ReadonlyArray<number>, volume: number, segment = SEGMENT) => {
      const result = cut(filesOf(sizes), { volume, segment, extra: 0 })
      return Result.isFailure(result) ? `${result.failure.code} ${result.failure.detail}` : ""
    }
    assert.include(refused([1_000, 5_000], 20_000), "single segment")
    assert.include(refused([1_000, 3e9], 20_000_000, 8 * 1_048_576), "volumes")
    assert.include(refused([60_000, 5_000], 50_000), "index")
    assert.include(refused([1_000, 2_000_000_000], VOLUME_BYTES_MAX), "manifest")
  })

  it("counts what root documents take, and no byte less", () => {
    const roots = [{ text: '{"id":"é"}', signatures: ["abc", "def"] }]
    const entries = [
      { name: "root/000001.json", size: 11 },
      { name: "root/000001.json.sig.1", size: 3 },
      { name: "root/000001.json.sig.2", size: 3 }
    ]
    const sums = checksums(entries.map(({ name }) => ({ name, sha256: DIGEST })))
    assert.strictEqual(rootsBytes(roots), volumeBytes(entries) - volumeBytes([]) + sums.length)
  })

  it("has room for the README and our signatures", () => {
    assert.isAtMost(Buffer.byteLength(README), README_BYTES_MAX)
    for (const { length } of bundle({ sizes: [1] }).signed.signatures) {
      assert.isAtMost(length, SIGNATURE_BYTES)
    }
  })
})
